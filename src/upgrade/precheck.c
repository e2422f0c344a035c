/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/precheck.h"

#include <errno.h>

#include "base/cmd.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/version.h"
#include "base/xalloc.h"
#include "upgrade/carry.h"

#define VIRSH_SECONDS 30

PRINTF(2, 3)
static void problem(struct strv *out, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	autofree char *text = xvasprintf(fmt, ap);
	va_end(ap);
	strv_take(out, str_printable(text));
}

static void judge_version(const struct precheck *c, struct strv *out)
{
	const struct upgrade_plan *u = c->plan;
	bool same_name = !u->old_name || str_eq(u->old_name, u->new_name);

	if (!same_name && !c->spec->allow_other_name)
		problem(out,
			"the image is of '%s', this node runs '%s': --allow-other-name takes it",
			u->new_name, u->old_name);
	if (c->base_differs)
		problem(out,
			"this node has another image that is called %s, too: build the new one with "
			"a version of its own",
			u->base);
	if (same_name && u->old_version && !c->spec->allow_downgrade &&
		version_compare(u->new_version, u->old_version) < 0)
		problem(out, "version %s is older than %s, which runs: --allow-downgrade takes it",
			u->new_version, u->old_version);
}

static void judge_range(const struct precheck *c, struct strv *out)
{
	const struct upgrade_plan *u = c->plan;
	const char *min = c->upgrades_from_min, *max = c->upgrades_from_max;

	/* Versions of another product say nothing. */
	if (!min || c->spec->allow_incompatible ||
		(u->old_name && !str_eq(u->old_name, u->new_name)))
		return;
	if (!u->old_version || !version_in_range(u->old_version, min, max))
		problem(out,
			"version %s runs, and %s upgrades from %s%s%s: upgrade to one of these "
			"first, or --allow-incompatible takes it",
			u->old_version ? u->old_version : "(unknown)", u->new_version, min,
			max ? " to " : " and newer", max ? max : "");
}

static void judge_failed(const struct precheck *c, struct strv *out)
{
	char hash[SHA256_HEX_BYTES];

	hex_format(c->root_hash, SHA256_BYTES, hash);
	for (size_t i = 0; !c->spec->retry_failed && i < c->failed->count; i++) {
		const struct failed_version *v = &c->failed->items[i];

		if (str_eq(v->root_hash, hash))
			problem(out,
				"%s %s has failed here before%s%s: --retry-failed tries it again",
				c->plan->new_name, c->plan->new_version, v->why ? ": " : "",
				v->why ? v->why : "");
	}
}

static void judge_pool(const struct precheck *c, struct strv *out)
{
	const struct pool_room *room = c->room;
	const char *vg = c->site->vg->name, *pool = c->site->pool->name;

	if (room->failed)
		problem(out, "thin pool %s/%s has failed: lvconvert --repair", vg, pool);
	else if (room->needs_check)
		problem(out, "thin pool %s/%s needs a check: lvconvert --repair", vg, pool);
	else if (room->read_only)
		problem(out, "thin pool %s/%s is read-only", vg, pool);
	if (room->out_of_data)
		problem(out, "thin pool %s/%s is full: lvextend", vg, pool);
}

static void judge_room(
	const char *what, uint64_t needed, uint64_t there, const char *help, struct strv *out)
{
	autofree char *needed_text = str_bytes(needed);
	autofree char *there_text = str_bytes(there);

	if (needed > there)
		problem(out, "%s: %s needed, %s free: %s", what, needed_text, there_text, help);
}

void precheck_rooms(const struct upgrade_plan *u, const struct site *s, struct strv *out)
{
	autofree char *data = xasprintf("thin pool %s/%s", s->vg->name, s->pool->name);
	autofree char *metadata = xasprintf("metadata of %s", data);

	judge_room(data, u->pool_growth_bytes, u->pool_free_bytes, "lvextend it, or 'nodectl gc'",
		out);
	judge_room(metadata, u->metadata_growth_bytes, u->metadata_free_bytes,
		"lvextend --poolmetadatasize", out);
	judge_room("/boot", u->boot_needed_bytes, u->boot_free_bytes,
		"'nodectl gc', or remove files", out);
	judge_room("/var, for the download", u->var_needed_bytes, u->var_free_bytes, "remove files",
		out);
}

/* What an upgrade that fails falls back to. */
static void judge_default(const struct site *s, struct strv *out)
{
	const char *layer = s->choice.default_layer;
	const struct boot_entry *entry = layer ? boot_entries_find(&s->entries, layer) : NULL;

	if (!layer)
		problem(out, "no layer is set to boot by default: 'nodectl rollback --to %s'",
			s->layer);
	else if (!entry)
		problem(out,
			"the default layer '%s' has no boot entry, nothing could be gone back to",
			layer);
	else if (entry->missing)
		problem(out, "the default layer '%s' cannot boot: there is no %s", layer,
			entry->missing);
	else if (!lvm_find(&s->lvm, LVM_TAG_LAYER, layer))
		problem(out, "the default layer '%s' has no volume", layer);
}

void precheck_image(const struct precheck *c, struct strv *problems)
{
	judge_version(c, problems);
	judge_range(c, problems);
	judge_failed(c, problems);
}

void precheck_plugins(const struct precheck *c, struct strv *problems)
{
	carry_plan_problems(&c->plan->plugins, &c->spec->drop_plugins, problems);
}

void precheck_node(const struct precheck *c, struct strv *problems)
{
	judge_default(c->site, problems);
	judge_pool(c, problems);
	precheck_rooms(c->plan, c->site, problems);
}

/* Of libvirt as one daemon and of libvirt as many. */
static bool has_libvirt(void)
{
	return cmd_exists("libvirtd") || cmd_exists("virtqemud");
}

static void list_machines(char *text, struct strv *problems)
{
	autostrbuf names = {0};
	char *rest = text;
	size_t count = 0;

	for (char *line; (line = str_next_word(&rest, "\n"));)
		if (*str_trim(line))
			strbuf_printf(&names, "%s%s", count++ ? ", " : "", str_trim(line));
	if (count > 0)
		problem(problems,
			"%zu virtual machine%s running (%.200s): move or stop them, or "
			"--allow-running-vms",
			count, count == 1 ? " is" : "s are", names.data);
}

int precheck_machines(struct strv *problems, struct err *e)
{
	autofree char *text = NULL;
	autocmd c = {.timeout_seconds = VIRSH_SECONDS};
	struct err own = {0};

	if (!cmd_exists("virsh")) {
		if (has_libvirt())
			problem(problems,
				"libvirt is here and virsh is not, so nothing says which virtual machines "
				"run: --allow-running-vms does not ask");
		return 0;
	}
	/* All that are active: one that is paused is lost with a restart, too. */
	cmd_add(&c, "virsh", "--connect=qemu:///system", "--readonly", "list", "--name", NULL);
	int r = cmd_output(&c, &text, &own);
	if (r == -EINTR)
		return err_set(e, EINTR, "%s", own.msg);
	if (r == 0)
		list_machines(text, problems);
	else if (r == -ETIMEDOUT || has_libvirt())
		problem(problems,
			"libvirt does not say which virtual machines run (%s): start it, or "
			"--allow-running-vms does not ask",
			own.msg);
	else
		log_info("no virtual machines: %s", own.msg);
	return 0;
}

int precheck_no_trial(const struct site *s, struct err *e)
{
	const char *trial = s->choice.trial;

	if (!trial)
		return 0;
	if (s->running && str_eq(trial, s->layer))
		return err_set(e, EBUSY,
			"layer '%s' runs on trial: wait until it is found good, or 'nodectl bless', or "
			"'nodectl rollback'",
			trial);
	return err_set(e, EBUSY,
		"layer '%s' is waiting for its trial: restart into it, or 'nodectl rollback' to call it "
		"off",
		trial);
}

int precheck_result(const struct strv *problems, const char *what, struct err *e)
{
	if (problems->count == 0)
		return 0;
	if (problems->count == 1)
		return err_set(e, EPERM, "%s", problems->items[0]);
	/* A part of the error that -q does not leave out either. */
	for (size_t i = 0; i < problems->count; i++)
		log_error("%s", problems->items[i]);
	return err_set(e, EPERM, "%zu reasons against the %s, see above", problems->count, what);
}

int upgrade_check_restart(struct err *e)
{
	autostrv problems = {0};
	int r = precheck_machines(&problems, e);

	return r < 0 ? r : precheck_result(&problems, "restart", e);
}
