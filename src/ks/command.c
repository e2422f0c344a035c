/* SPDX-License-Identifier: Apache-2.0 */
/* One line of a command into the document: options, merging, checks, duplicates. */
#include <errno.h>

#include "base/xalloc.h"
#include "ks/doc.h"
#include "ks/text.h"

/* Commands between '|' of which a line was seen: the first one, or NULL. */
static const char *find_seen(const struct ks_doc *doc, const char *names)
{
	autofree char *copy = names ? xstrdup(names) : NULL;
	char *rest = copy;

	for (char *name; copy && (name = str_next_word(&rest, "|"));) {
		const struct ks_command *g = ks_command_find(name);

		if (doc->commands[ks_command_index(g)].seen)
			return g->name;
	}
	return NULL;
}

static void copy_value(struct ks_cmd *to, const struct ks_value *from)
{
	ks_value_drop(to, from->opt);

	struct ks_value *v = ks_value_get(to, from->opt);
	v->truth = from->truth;
	v->number = from->number;
	v->text = from->text ? xstrdup(from->text) : NULL;
	strv_add_all(&v->list, &from->list);
}

/*
 * Whether a line that does not give the option sets it back.  Options without a default keep what
 * an earlier line said: "liveimg --url=a --checksum=b" and "liveimg --url=c" leave checksum b.
 */
static bool is_reset(const struct ks_opt *o)
{
	switch (o->action) {
	case KS_SET:
	case KS_CLEAR:
		return !(o->flags & KS_KEEP);
	case KS_STORE:
		return o->value != NULL;
	case KS_CONST:
	case KS_APPEND:
	case KS_ADD_CONST:
		break;
	}
	return false;
}

static void merge(struct ks_cmd *into, const struct ks_cmd *line)
{
	const struct ks_command *g = into->grammar;

	for (size_t i = 0; i < g->opt_count; i++) {
		const struct ks_value *v = ks_value_find(line, i);

		if (v)
			copy_value(into, v);
		else if (is_reset(&g->opts[i]))
			ks_value_drop(into, i);
	}
	if (line->args.count > 0 || g->empty_args_reset) {
		strv_fini(&into->args);
		strv_add_all(&into->args, &line->args);
	}
	into->given |= line->given;
	into->name = line->name;
	into->file = line->file;
	into->line = line->line;
}

/* The values that two instances should not share, one string; NULL when there are none to compare. */
static char *instance_key(const struct ks_cmd *c)
{
	autofree char *names = c->grammar->key ? xstrdup(c->grammar->key) : NULL;
	autostrbuf key = {0};
	char *rest = names;

	/* Any number of swap partitions is fine. */
	if (!names || (str_eq(c->grammar->name, "part") && str_eq(c->args.items[0], "swap")))
		return NULL;
	for (char *name; (name = str_next_word(&rest, "+"));) {
		const char *value = str_eq(name, "$1") ? c->args.items[0] : ks_text(c, name);

		strbuf_printf(&key, "%s%s", key.len > 0 ? " " : "", value);
	}
	/* A network line without a device, say one with the hostname only, is not about one device. */
	return key.len > 0 ? strbuf_take(&key) : NULL;
}

static void warn_of_duplicate(struct ks_doc *doc, const struct ks_cmd *c)
{
	autofree char *key = instance_key(c);

	if (key && ks_seen_before(doc, c->grammar->name, key))
		ks_warning(doc, c->file, c->line, "%s '%.80s' has been defined already",
			c->grammar->key_help, key);
}

static void warn_of_repetition(struct ks_doc *doc, const struct ks_cmd *own, unsigned before)
{
	ks_warning(doc, own->file, own->line,
		"'%s' repeats line %u; options not given again may keep their earlier value",
		own->name, before);
}

static int read_line(struct ks_doc *doc, struct ks_cmd *own, const struct strv *words,
	const char *raw_line, struct err *e)
{
	struct ks_cmd_list *list = &doc->commands[ks_command_index(own->grammar)];
	struct ks_entry en = {.doc = doc, .own = own, .merged = own};
	size_t skip = strlen(own->name);
	int r = 0;

	if (own->grammar->raw)
		own->rest = ks_strip(raw_line + skip, strlen(raw_line) - skip);
	else
		r = ks_parse_options(doc, own, words, &en.first_run, e);
	if (r < 0)
		return r;

	if (!own->grammar->multiple && list->first) {
		en.merged = list->first;
		warn_of_repetition(doc, own, en.merged->line);
		merge(en.merged, own);
		if (own->rest) {
			free(en.merged->rest);
			en.merged->rest = xstrdup(own->rest);
		}
	}
	return own->grammar->check ? own->grammar->check(&en, e) : 0;
}

static void add_active(
	struct ks_doc *doc, struct ks_cmd *own, const struct strv *words, const char *raw_line)
{
	autoptr(ks_cmd) c = own;
	const struct ks_place place = {c->file, c->line};
	struct ks_cmd_list *list = &doc->commands[ks_command_index(c->grammar)];
	const char *conflict = find_seen(doc, c->grammar->conflicts);
	struct err e = {0};

	list->seen = true;
	if (conflict) {
		ks_error(doc, c->file, c->line, "'%s' does not go with '%s' above", c->name,
			conflict);
		return;
	}
	if (read_line(doc, c, words, raw_line, &e) < 0) {
		ks_error(doc, c->file, c->line, "%s: %s", c->name, e.msg);
		return;
	}
	if (!ks_allowed(doc, c->grammar->name, c, place))
		return;
	if (ks_command_used_by(c->grammar, c->name) == 0)
		ks_warning(doc, c->file, c->line,
			"'%s' is valid kickstart, but nothing here acts on it", c->name);
	warn_of_duplicate(doc, c);
	if (c->grammar->multiple || !list->first)
		ks_cmd_append(list, take_ptr(c));
}

/* The name in static storage. */
static const char *lasting_name(const struct ks_command *g, const char *name)
{
	for (size_t i = 0; i < ks_aliases_count; i++)
		if (str_eq(name, ks_aliases[i].name))
			return ks_aliases[i].name;
	return g->name;
}

void ks_add_command(struct ks_doc *doc, const char *file, unsigned line, const struct strv *words,
	const char *raw_line)
{
	const char *name = words->items[0];
	const struct ks_command *g = ks_command_find(name);

	if (!g) {
		ks_error(doc, file, line, "unknown command '%.80s'", name);
		return;
	}
	if (!ks_allowed(doc, g->name, NULL, (struct ks_place){file, line}))
		return;
	if (g->status == KS_REMOVED) {
		ks_error(doc, file, line, "'%s' has been removed from the language", name);
		return;
	}
	if (g->status == KS_DEPRECATED) {
		ks_warning(doc, file, line, "'%s' is deprecated and has no effect any more", name);
		return;
	}

	struct ks_cmd *c = ks_cmd_new(g, lasting_name(g, name));
	c->file = file;
	c->line = line;
	add_active(doc, c, words, raw_line);
}
