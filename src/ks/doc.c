/* SPDX-License-Identifier: Apache-2.0 */
#include "ks/doc.h"

#include <assert.h>
#include <search.h>
#include <stdarg.h>

#include "base/xalloc.h"
#include "ks/text.h"

static void add_problem(struct ks_doc *doc, const struct ks_problem *p)
{
	size_t *count = p->is_warning ? &doc->warning_count : &doc->error_count;

	if (++*count > KS_PROBLEMS_MAX) {
		free(p->text);
		return;
	}
	KS_GROW(doc->problems, doc->problem_count, doc->problem_room);
	doc->problems[doc->problem_count++] = *p;
}

void ks_error(struct ks_doc *doc, const char *file, unsigned line, const char *fmt, ...)
{
	struct ks_problem p = {.file = file, .line = line};
	va_list ap;

	va_start(ap, fmt);
	p.text = xvasprintf(fmt, ap);
	va_end(ap);
	add_problem(doc, &p);
}

void ks_warning(struct ks_doc *doc, const char *file, unsigned line, const char *fmt, ...)
{
	struct ks_problem p = {.file = file, .line = line, .is_warning = true};
	va_list ap;

	va_start(ap, fmt);
	p.text = xvasprintf(fmt, ap);
	va_end(ap);
	add_problem(doc, &p);
}

bool ks_allowed(
	struct ks_doc *doc, const char *name, const struct ks_cmd *line, struct ks_place place)
{
	struct err e = {0};

	if (!doc->options || !doc->options->allow || doc->options->allow(name, line, &e) == 0)
		return true;
	ks_error(doc, place.file, place.line, "%s", e.msg);
	return false;
}

const char *ks_keep_name(struct ks_doc *doc, const char *name)
{
	for (size_t i = 0; i < doc->names.count; i++)
		if (str_eq(doc->names.items[i], name))
			return doc->names.items[i];
	strv_add(&doc->names, name);
	return doc->names.items[doc->names.count - 1];
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(a, b);
}

bool ks_seen_before(struct ks_doc *doc, const char *kind, const char *key)
{
	char *entry = xasprintf("%s %s", kind, key);
	char **found = tsearch(entry, &doc->keys, compare_keys);

	/* tsearch() fails only without memory. */
	assert(found);
	if (*found == entry)
		return false;
	free(entry);
	return true;
}

struct ks_cmd *ks_cmd_new(const struct ks_command *g, const char *name)
{
	struct ks_cmd *c = xcalloc(1, sizeof(*c));

	c->grammar = g;
	c->name = name;
	return c;
}

void ks_cmd_append(struct ks_cmd_list *list, struct ks_cmd *c)
{
	if (list->last)
		list->last->next = c;
	else
		list->first = c;
	list->last = c;
}

static void value_fini(struct ks_value *v)
{
	free(v->text);
	strv_fini(&v->list);
}

void ks_cmd_free(struct ks_cmd *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->value_count; i++)
		value_fini(&c->values[i]);
	free(c->values);
	strv_fini(&c->args);
	free(c->rest);
	free(c);
}

struct ks_value *ks_value_find(const struct ks_cmd *c, size_t opt)
{
	for (size_t i = 0; i < c->value_count; i++)
		if (c->values[i].opt == opt)
			return &c->values[i];
	return NULL;
}

struct ks_value *ks_value_get(struct ks_cmd *c, size_t opt)
{
	struct ks_value *v = ks_value_find(c, opt);

	if (v)
		return v;
	KS_GROW(c->values, c->value_count, c->value_room);
	v = &c->values[c->value_count++];
	*v = (struct ks_value){.opt = (unsigned)opt};
	return v;
}

void ks_value_drop(struct ks_cmd *c, size_t opt)
{
	struct ks_value *v = ks_value_find(c, opt);

	if (!v)
		return;
	value_fini(v);
	*v = c->values[--c->value_count];
}

/* Index of an option that must exist. */
static size_t opt_index(const struct ks_cmd *c, const char *option)
{
	size_t i = ks_opt_find(c->grammar, option);

	assert(i < c->grammar->opt_count);
	return i;
}

static const struct ks_value *value_of(const struct ks_cmd *c, size_t i)
{
	return ks_value_find(c, ks_opt_dest(c->grammar, i));
}

bool ks_given(const struct ks_cmd *c, const char *option)
{
	return c->given >> opt_index(c, option) & 1;
}

bool ks_given_only(const struct ks_cmd *c, const char *options)
{
	for (size_t i = 0; i < c->grammar->opt_count; i++) {
		const char *name = c->grammar->opts[i].name;

		if (c->given >> i & 1 && !ks_alternative(options, name, strcspn(name, "|")))
			return false;
	}
	return true;
}

const char *ks_str(const struct ks_cmd *c, const char *option)
{
	size_t i = opt_index(c, option);
	const struct ks_opt *o = &c->grammar->opts[ks_opt_dest(c->grammar, i)];
	const struct ks_value *v = value_of(c, i);

	if (v && v->text)
		return v->text;
	return o->action == KS_STORE ? o->value : NULL;
}

/* Whether the value of an option that takes one says something. */
static bool value_counts(const struct ks_opt *o, const struct ks_value *v)
{
	if (o->type == KS_BOOL)
		return v ? v->truth : o->flags & KS_ON;
	if (!v)
		return false;
	if (o->type == KS_INT)
		return v->number != 0;
	if (o->action == KS_APPEND || o->type == KS_COMMAS || o->type == KS_COMMAS_ALL ||
		o->type == KS_PORTS)
		return v->list.count > 0;
	return v->text ? v->text[0] != '\0' : v->truth;
}

bool ks_flag(const struct ks_cmd *c, const char *option)
{
	size_t i = opt_index(c, option);
	const struct ks_opt *o = &c->grammar->opts[i];
	const struct ks_opt *holder = &c->grammar->opts[ks_opt_dest(c->grammar, i)];
	const struct ks_value *v = value_of(c, i);

	switch (o->action) {
	case KS_SET:
		return v ? v->truth : holder->flags & KS_ON;
	case KS_CLEAR:
		return v ? !v->truth : !(holder->flags & (KS_ON | KS_KEEP));
	case KS_CONST:
		return v && v->text && str_eq(v->text, o->value);
	case KS_ADD_CONST:
		return v && strv_has(&v->list, o->value);
	case KS_STORE:
	case KS_APPEND:
		break;
	}
	return value_counts(o, v);
}

bool ks_int(const struct ks_cmd *c, const char *option, int64_t *out)
{
	const struct ks_value *v = value_of(c, opt_index(c, option));

	if (!v)
		return false;
	*out = v->number;
	return true;
}

const struct strv *ks_list(const struct ks_cmd *c, const char *option)
{
	static const struct strv empty;
	const struct ks_value *v = value_of(c, opt_index(c, option));

	return v ? &v->list : &empty;
}

const char *ks_text(const struct ks_cmd *c, const char *option)
{
	const char *text = ks_str(c, option);

	return text ? text : "";
}

int64_t ks_number(const struct ks_cmd *c, const char *option)
{
	int64_t n = 0;

	return ks_int(c, option, &n) ? n : 0;
}

const char *ks_digits(const struct ks_cmd *c, const char *option)
{
	const struct ks_value *v = value_of(c, opt_index(c, option));

	return v && v->text ? v->text : "";
}

void ks_set_text(struct ks_cmd *c, const char *option, const char *text)
{
	struct ks_value *v = ks_value_get(c, ks_opt_dest(c->grammar, opt_index(c, option)));
	char *copy = xstrdup(text);

	free(v->text);
	v->text = copy;
}

void ks_set_flag(struct ks_cmd *c, const char *option, bool on)
{
	ks_value_get(c, ks_opt_dest(c->grammar, opt_index(c, option)))->truth = on;
}

const struct ks_cmd *ks_next(const struct ks_doc *doc, const char *name, const struct ks_cmd *after)
{
	const struct ks_command *g = ks_command_find(name);

	assert(g);
	return after ? after->next : doc->commands[ks_command_index(g)].first;
}

const char *ks_name(const struct ks_cmd *c)
{
	return c->name;
}

const struct strv *ks_args(const struct ks_cmd *c)
{
	return &c->args;
}

const char *ks_rest(const struct ks_cmd *c)
{
	return c->rest;
}

const char *ks_file(const struct ks_cmd *c)
{
	return c->file;
}

unsigned ks_line(const struct ks_cmd *c)
{
	return c->line;
}

const struct ks_packages *ks_packages(const struct ks_doc *doc)
{
	return &doc->packages;
}

const char *ks_script_name(enum ks_script_kind kind)
{
	static const char *const names[] = {
		[KS_PRE] = "%pre",
		[KS_PRE_INSTALL] = "%pre-install",
		[KS_POST] = "%post",
		[KS_ONERROR] = "%onerror",
		[KS_TRACEBACK] = "%traceback",
	};

	return names[kind];
}

size_t ks_script_count(const struct ks_doc *doc)
{
	return doc->script_count;
}

const struct ks_script *ks_script_at(const struct ks_doc *doc, size_t i)
{
	assert(i < doc->script_count);
	return &doc->scripts[i];
}

size_t ks_certificate_count(const struct ks_doc *doc)
{
	return doc->certificate_count;
}

const struct ks_certificate *ks_certificate_at(const struct ks_doc *doc, size_t i)
{
	assert(i < doc->certificate_count);
	return &doc->certificates[i];
}

size_t ks_addon_count(const struct ks_doc *doc)
{
	return doc->addon_count;
}

const struct ks_addon *ks_addon_at(const struct ks_doc *doc, size_t i)
{
	assert(i < doc->addon_count);
	return &doc->addons[i];
}

size_t ks_error_count(const struct ks_doc *doc)
{
	return doc->error_count;
}

size_t ks_warning_count(const struct ks_doc *doc)
{
	return doc->warning_count;
}

size_t ks_problem_count(const struct ks_doc *doc)
{
	return doc->problem_count;
}

const struct ks_problem *ks_problem_at(const struct ks_doc *doc, size_t i)
{
	assert(i < doc->problem_count);
	return &doc->problems[i];
}

static void packages_fini(struct ks_packages *p)
{
	strv_fini(&p->packages);
	strv_fini(&p->excluded);
	strv_fini(&p->groups);
	strv_fini(&p->excluded_groups);
	free(p->group_details);
	free(p->package_places);
	free(p->excluded_places);
	free(p->group_places);
	free(p->excluded_group_places);
	free(p->inst_langs);
	free(p->environment);
	free(p->timeout);
	free(p->retries);
}

static void sections_fini(struct ks_doc *doc)
{
	for (size_t i = 0; i < doc->script_count; i++) {
		free(doc->scripts[i].interpreter);
		free(doc->scripts[i].log);
		free(doc->scripts[i].body);
	}
	for (size_t i = 0; i < doc->certificate_count; i++) {
		free(doc->certificates[i].filename);
		free(doc->certificates[i].dir);
		free(doc->certificates[i].type);
		free(doc->certificates[i].body);
	}
	for (size_t i = 0; i < doc->addon_count; i++) {
		free(doc->addons[i].header);
		free(doc->addons[i].body);
	}
	free(doc->scripts);
	free(doc->certificates);
	free(doc->addons);
}

static void free_list(struct ks_cmd *first)
{
	for (struct ks_cmd *c = first, *next; c; c = next) {
		next = c->next;
		ks_cmd_free(c);
	}
}

void ks_doc_free(struct ks_doc *doc)
{
	if (!doc)
		return;
	for (size_t i = 0; i < KS_COMMANDS_MAX; i++)
		free_list(doc->commands[i].first);
	free_list(doc->headers.first);
	packages_fini(&doc->packages);
	for (size_t i = 0; i < doc->mention_count; i++)
		free(doc->mentions[i].name);
	free(doc->mentions);
	sections_fini(doc);
	for (size_t i = 0; i < doc->problem_count; i++)
		free(doc->problems[i].text);
	free(doc->problems);
	strv_fini(&doc->names);
	tdestroy(doc->keys, free);
	free(doc);
}

static bool is_acted_on(
	const struct ks_command *g, const struct ks_opt *opt, size_t len, unsigned consumers)
{
	if (consumers == KS_FOR_IMAGE)
		return !g->image_options || ks_alternative(g->image_options, opt->name, len);
	return consumers != KS_FOR_INSTALL || !g->install_ignored ||
		!ks_alternative(g->install_ignored, opt->name, len);
}

static void warn_of_options(struct ks_doc *doc, const struct ks_cmd *c, unsigned consumers)
{
	const struct ks_command *g = c->grammar;

	for (size_t i = 0; i < g->opt_count; i++) {
		size_t len = strcspn(g->opts[i].name, "|");

		if (c->given >> i & 1 && !is_acted_on(g, &g->opts[i], len, consumers))
			ks_warning(doc, c->file, c->line, "%s: --%.*s is not acted on", c->name,
				(int)len, g->opts[i].name);
	}
}

static void warn_of_support(struct ks_doc *doc, const struct ks_cmd *first, unsigned consumers)
{
	for (const struct ks_cmd *c = first; c; c = c->next) {
		unsigned used_by = ks_command_used_by(c->grammar, c->name);

		/* What nothing acts on was reported by the parser. */
		if (used_by != 0 && !(used_by & consumers))
			ks_warning(doc, c->file, c->line, "'%s' has no effect here", c->name);
		else if (used_by != 0)
			warn_of_options(doc, c, consumers);
	}
}

void ks_add_support_warnings(struct ks_doc *doc, unsigned consumers)
{
	for (size_t i = 0; i < ks_commands_count; i++)
		warn_of_support(doc, doc->commands[i].first, consumers);
	warn_of_support(doc, doc->headers.first, consumers);
}
