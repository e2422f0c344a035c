/* SPDX-License-Identifier: Apache-2.0 */
/* What other programs know of the running system: each is asked once and with a time limit. */
#include <ctype.h>

#include "base/cmd.h"
#include "base/xalloc.h"
#include "node/state-parts.h"

#define TIMEOUT_SECONDS 20

static int ask(struct cmd *c, char **out, struct err *e)
{
	c->timeout_seconds = TIMEOUT_SECONDS;
	return cmd_output(c, out, e);
}

static char *error_text(const struct err *e)
{
	return xstrdup(e->msg);
}

/* The word of that number, counted from 0, in a line of dmsetup; NULL when there are fewer. */
static const char *word_number(char **rest, unsigned number)
{
	const char *word = NULL;

	for (unsigned i = 0; i <= number; i++) {
		word = str_next_word(rest, " \n");
		if (!word)
			return NULL;
	}
	return word;
}

/*
 * Linux, Documentation/admin-guide/device-mapper/verity.rst.  Status: start, length, "verity", V or
 * C.  Table: start, length, "verity", version, two devices, two block sizes, two numbers of blocks,
 * algorithm, root hash, salt.
 */
int node_verity_parse(const char *status, const char *table, struct node_verity *out, struct err *e)
{
	autofree char *status_copy = xstrdup(status);
	autofree char *table_copy = xstrdup(table);
	char *rest = status_copy;
	const char *target = word_number(&rest, 2);
	const char *state = target ? word_number(&rest, 0) : NULL;

	if (!target || !str_eq(target, "verity") || !state)
		return err_set(e, EBADMSG, "no dm-verity target");
	rest = table_copy;
	const char *hash = word_number(&rest, 11);
	if (!hash)
		return err_set(e, EBADMSG, "dm-verity table without a root hash");
	out->corrupted = state[0] != 'V';
	out->root_hash = xstrdup(hash);
	for (char *c = out->root_hash; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return 0;
}

static int read_verity(struct node_verity *out, struct err *e)
{
	autofree char *status = NULL;
	autofree char *table = NULL;
	autocmd ask_status = {0};
	autocmd ask_table = {0};

	cmd_add(&ask_status, "dmsetup", "status", NODE_VERITY_NAME, NULL);
	cmd_add(&ask_table, "dmsetup", "table", NODE_VERITY_NAME, NULL);
	int r = ask(&ask_status, &status, e);
	if (r == 0)
		r = ask(&ask_table, &table, e);
	return r < 0 ? r : node_verity_parse(status, table, out, e);
}

void node_verity_gather(struct node_verity *out)
{
	struct err e = {0};

	if (read_verity(out, &e) < 0)
		out->error = error_text(&e);
}

void node_verity_fini(struct node_verity *v)
{
	free(v->error);
	free(v->root_hash);
}

int node_failed_units_parse(const char *text, struct strv *out, struct err *e)
{
	json_t *list = json_loads(text, 0, NULL);
	json_t *unit;
	size_t i;

	if (!json_is_array(list)) {
		json_decref(list);
		return err_set(e, EBADMSG, "systemctl: no list of units");
	}
	json_array_foreach(list, i, unit)
	{
		const char *name = json_string_value(json_object_get(unit, "unit"));

		if (name)
			strv_add(out, name);
	}
	json_decref(list);
	strv_sort(out);
	return 0;
}

static void set_field(struct node_unit *u, const char *name, const char *value)
{
	char **field = str_eq(name, "Id")       ? &u->name
		: str_eq(name, "LoadState")     ? &u->load
		: str_eq(name, "ActiveState")   ? &u->active
		: str_eq(name, "UnitFileState") ? &u->file_state
						: NULL;

	if (!field)
		return;
	free(*field);
	*field = xstrdup(value);
}

static void add_unit(struct node_units *out)
{
	out->items = xrealloc(out->items, (out->count + 1) * sizeof(*out->items));
	out->items[out->count++] = (struct node_unit){
		.name = xstrdup(""),
		.load = xstrdup(""),
		.active = xstrdup(""),
		.file_state = xstrdup(""),
	};
}

void node_units_parse(const char *text, struct node_units *out)
{
	autofree char *copy = xstrdup(text);
	bool in_unit = false;

	for (char *line = copy, *next; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		char *value = strchr(line, '=');
		if (!value) {
			in_unit = false;
			continue;
		}
		*value++ = '\0';
		if (!in_unit)
			add_unit(out);
		in_unit = true;
		set_field(&out->items[out->count - 1], line, value);
	}
}

static int read_units(struct node_units *out, struct err *e)
{
	autofree char *failed = NULL;
	autofree char *states = NULL;
	autocmd ask_failed = {0};
	autocmd ask_states = {0};

	cmd_add(&ask_failed, "systemctl", "list-units", "--state=failed", "--output=json",
		"--no-pager", NULL);
	cmd_add(&ask_states, "systemctl", "show",
		"--property=Id,LoadState,ActiveState,UnitFileState", "libvirtd.service",
		"libvirtd.socket", NULL);
	int r = ask(&ask_failed, &failed, e);
	if (r == 0)
		r = node_failed_units_parse(failed, &out->failed, e);
	if (r == 0)
		r = ask(&ask_states, &states, e);
	if (r < 0)
		return r;
	node_units_parse(states, out);
	return 0;
}

void node_units_gather(struct node_units *out)
{
	struct err e = {0};

	if (read_units(out, &e) < 0)
		out->error = error_text(&e);
}

void node_units_fini(struct node_units *u)
{
	for (size_t i = 0; i < u->count; i++) {
		free(u->items[i].name);
		free(u->items[i].load);
		free(u->items[i].active);
		free(u->items[i].file_state);
	}
	free(u->items);
	strv_fini(&u->failed);
	free(u->error);
}

int node_threshold_parse(const char *text, unsigned *out, struct err *e)
{
	const char *value = strchr(text, '=');
	char *end = NULL;
	unsigned long n = value ? strtoul(value + 1, &end, 10) : 0;

	if (!value || end == value + 1 || n > 100)
		return err_set(e, EBADMSG, "lvm: no threshold for extending the thin pool");
	*out = (unsigned)n;
	return 0;
}

static int read_threshold(const struct lvm_lv *pool, unsigned *out, struct err *e)
{
	autofree char *text = NULL;
	autocmd c = {0};

	cmd_add(&c, "lvm", "lvmconfig", "--typeconfig=full", NULL);
	if (pool->profile)
		cmd_add(&c, "--metadataprofile", pool->profile, NULL);
	cmd_add(&c, "activation/thin_pool_autoextend_threshold", NULL);
	int r = ask(&c, &text, e);
	return r < 0 ? r : node_threshold_parse(text, out, e);
}

void node_storage_gather(struct node_storage *out)
{
	struct err e = {0};

	if (lvm_report(&out->lvm, &e) < 0) {
		out->error = error_text(&e);
		return;
	}
	const struct lvm_lv *pool = lvm_node_pool(&out->lvm);
	if (pool && read_threshold(pool, &out->extend_threshold, &e) < 0)
		out->extend_error = error_text(&e);
}

void node_storage_fini(struct node_storage *s)
{
	free(s->error);
	free(s->extend_error);
	lvm_report_fini(&s->lvm);
}
