/* SPDX-License-Identifier: Apache-2.0 */
/* A plan for people and for programs: docs/formats/upgrade.md. */
#include <inttypes.h>

#include "base/json.h"
#include "base/xalloc.h"
#include "node/text.h"
#include "upgrade/carry.h"
#include "upgrade/packages-diff.h"
#include "upgrade/upgrade.h"

#define SCHEMA 1

void upgrade_plan_fini(struct upgrade_plan *u)
{
	char *const owned[] = {u->from, u->to, u->base, u->old_name, u->old_version, u->new_name,
		u->new_version, u->origin, u->signer, u->replaces};

	for (size_t i = 0; i < ARRAY_LEN(owned); i++)
		free(owned[i]);
	package_changes_fini(&u->packages);
	strv_fini(&u->lost_packages);
	carry_plan_fini(&u->plugins);
	merge_report_fini(&u->merge);
	strv_fini(&u->problems);
	*u = (struct upgrade_plan){0};
}

static void text_room(struct strbuf *b, const char *what, uint64_t needed, uint64_t there)
{
	autofree char *needed_text = str_bytes(needed);
	autofree char *there_text = str_bytes(there);

	text_line(b, "  %-10s%s needed, %s free", what, needed_text, there_text);
}

static void text_base(struct strbuf *b, const struct upgrade_plan *u)
{
	autofree char *write = str_bytes(u->write_bytes);
	autofree char *image = str_bytes(u->image_bytes);

	if (u->base_is_there)
		text_line(b, "Base: %s, which is there", u->base);
	else
		text_line(b, "Base: %s, %s%s of %s to write", u->base,
			u->measured ? "" : "at most ", write, image);
	if (u->seconds > 0)
		text_line(b, "Time: up to about %" PRIu64 " min", u->seconds / 60 + 1);
}

static void text_packages(struct strbuf *b, const struct upgrade_plan *u)
{
	for (size_t i = 0; i < u->packages.count; i++) {
		const struct package_change *c = &u->packages.items[i];

		if (i == 0)
			text_line(b, "Packages:");
		if (c->old_version && c->new_version)
			text_line(b, "  %s %s -> %s", c->name, c->old_version, c->new_version);
		else
			text_line(b, "  %s %s %s", c->name,
				c->old_version ? c->old_version : c->new_version,
				c->old_version ? "removed" : "added");
	}
	for (size_t i = 0; i < u->lost_packages.count; i++) {
		if (i == 0)
			text_line(b, "Installed on this node, and not in the new image:");
		text_line(b, "  %s", u->lost_packages.items[i]);
	}
}

static const char *const carry_ids[] = {
	[CARRY_OVER] = "carried",
	[CARRY_IN_IMAGE] = "in-image",
	[CARRY_DROPPED] = "dropped",
	[CARRY_UNFIT] = "unfit",
};

static void text_plugins(struct strbuf *b, const struct upgrade_plan *u)
{
	static const char *const words[] = {
		[CARRY_OVER] = "is carried over",
		[CARRY_IN_IMAGE] = "is part of the new image",
		[CARRY_DROPPED] = "is left out",
		[CARRY_UNFIT] = "does not fit: ",
	};

	for (size_t i = 0; i < u->plugins.count; i++) {
		const struct carry_item *it = &u->plugins.items[i];

		if (i == 0)
			text_line(b, "Plugins that were added on this node:");
		text_line(b, "  %s %s %s%s", it->name, it->version, words[it->action],
			it->why ? it->why : "");
	}
}

static void text_merge(struct strbuf *b, const struct upgrade_plan *u)
{
	autofree char *lines = merge_report_text(&u->merge);

	if (!*lines)
		return;
	text_line(b, "Changes of this node:");
	strbuf_puts(b, lines);
	if (!str_ends(lines, "\n"))
		strbuf_putc(b, '\n');
}

static void text_problems(struct strbuf *b, const struct upgrade_plan *u)
{
	for (size_t i = 0; i < u->problems.count; i++) {
		if (i == 0)
			text_line(b, "In the way of booting it:");
		text_line(b, "  %s", u->problems.items[i]);
	}
}

char *upgrade_plan_text(const struct upgrade_plan *u)
{
	autostrbuf b = {0};

	if (u->already) {
		text_line(&b, "%s %s runs here already, as layer %s.", u->new_name, u->new_version,
			u->from);
		return strbuf_take(&b);
	}
	text_line(&b, "Upgrade: %s %s (%s) -> %s %s (%s)", u->old_name ? u->old_name : "?",
		u->old_version ? u->old_version : "?", u->from, u->new_name, u->new_version, u->to);
	text_line(&b, "Image: from %s, %s%s", u->origin ? u->origin : "?",
		u->signer ? "signed by " : "not signed", u->signer ? u->signer : "");
	if (u->replaces)
		text_line(&b, "Replaces: %s, which is staged", u->replaces);
	text_base(&b, u);
	text_line(&b, "Room:");
	text_room(&b, "pool", u->pool_growth_bytes, u->pool_free_bytes);
	text_room(&b, "metadata", u->metadata_growth_bytes, u->metadata_free_bytes);
	text_room(&b, "/boot", u->boot_needed_bytes, u->boot_free_bytes);
	if (u->var_needed_bytes > 0)
		text_room(&b, "/var", u->var_needed_bytes, u->var_free_bytes);
	text_packages(&b, u);
	text_plugins(&b, u);
	text_merge(&b, u);
	text_problems(&b, u);
	return strbuf_take(&b);
}

static json_t *list_json(const struct strv *v)
{
	json_t *array = json_array();

	for (size_t i = 0; i < v->count; i++)
		json_array_append_new(array, json_text(v->items[i]));
	return array;
}

static json_t *packages_json(const struct package_changes *c)
{
	json_t *array = json_array();

	for (size_t i = 0; i < c->count; i++)
		json_array_append_new(array,
			json_pack("{s:o, s:o, s:o}", "name", json_text(c->items[i].name), "from",
				json_text(c->items[i].old_version), "to",
				json_text(c->items[i].new_version)));
	return array;
}

static json_t *plugins_json(const struct carry_plan *c)
{
	json_t *array = json_array();

	for (size_t i = 0; i < c->count; i++)
		json_array_append_new(array,
			json_pack("{s:o, s:o, s:s, s:o}", "name", json_text(c->items[i].name),
				"version", json_text(c->items[i].version), "action",
				carry_ids[c->items[i].action], "why", json_text(c->items[i].why)));
	return array;
}

static json_t *image_json(const char *name, const char *version)
{
	return json_pack("{s:o, s:o}", "name", json_text(name), "version", json_text(version));
}

static json_t *room_json(uint64_t needed, uint64_t there)
{
	return json_pack("{s:I, s:I}", "needed", (json_int_t)needed, "free", (json_int_t)there);
}

json_t *upgrade_plan_json(const struct upgrade_plan *u)
{
	json_t *out = json_pack("{s:i, s:b, s:b, s:b}", "schema", SCHEMA, "already", u->already,
		"base_is_there", u->base_is_there, "measured", u->measured);

	json_object_set_new(out, "from", json_text(u->from));
	json_object_set_new(out, "to", json_text(u->to));
	json_object_set_new(out, "base", json_text(u->base));
	json_object_set_new(out, "replaces", json_text(u->replaces));
	json_object_set_new(out, "origin", json_text(u->origin));
	json_object_set_new(out, "signer", json_text(u->signer));
	json_object_set_new(out, "old_image", image_json(u->old_name, u->old_version));
	json_object_set_new(out, "new_image", image_json(u->new_name, u->new_version));
	json_object_set_new(out, "image_bytes", json_integer((json_int_t)u->image_bytes));
	json_object_set_new(out, "write_bytes", json_integer((json_int_t)u->write_bytes));
	json_object_set_new(
		out, "seconds", u->seconds ? json_integer((json_int_t)u->seconds) : json_null());
	json_object_set_new(out, "pool", room_json(u->pool_growth_bytes, u->pool_free_bytes));
	json_object_set_new(
		out, "metadata", room_json(u->metadata_growth_bytes, u->metadata_free_bytes));
	json_object_set_new(out, "boot", room_json(u->boot_needed_bytes, u->boot_free_bytes));
	json_object_set_new(out, "var", room_json(u->var_needed_bytes, u->var_free_bytes));
	json_object_set_new(out, "packages", packages_json(&u->packages));
	json_object_set_new(out, "lost_packages", list_json(&u->lost_packages));
	json_object_set_new(out, "plugins", plugins_json(&u->plugins));
	json_object_set_new(out, "changes", merge_report_json(&u->merge));
	json_object_set_new(out, "problems", list_json(&u->problems));
	return out;
}
