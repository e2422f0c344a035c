/* SPDX-License-Identifier: Apache-2.0 */
/*
 * %packages.  Lines are kept in their order and sorted once at the end, so that a million of them
 * cost no more than the sort: the last mention of a package wins, and "-@group" takes back an
 * earlier "@group".
 */
#include <errno.h>

#include "base/macro.h"
#include "base/xalloc.h"
#include "ks/doc.h"
#include "ks/text.h"

static void set_text(char **field, const char *text)
{
	free(*field);
	*field = text ? xstrdup(text) : NULL;
}

static const char *digits_or_null(const struct ks_cmd *header, const char *option)
{
	return ks_given(header, option) ? ks_digits(header, option) : NULL;
}

/* The language has it so that the last section decides; hardly what those mean who add to an included file. */
static void warn_of_lost_flags(struct ks_doc *doc, const struct ks_cmd *header)
{
	const struct ks_packages *p = &doc->packages;
	const struct {
		const char *name;
		bool before;
	} flags[] = {
		{"excludedocs", p->excludedocs},
		{"ignoremissing", p->ignoremissing},
		{"multilib", p->multilib},
		{"nocore", p->nocore},
		{"exclude-weakdeps", p->exclude_weakdeps},
	};

	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (flags[i].before && !ks_flag(header, flags[i].name))
			ks_warning(doc, header->file, header->line,
				"%%packages without --%s undoes that of line %u", flags[i].name,
				p->line);
}

int ks_packages_header(struct ks_doc *doc, const struct ks_cmd *header, struct err *e)
{
	struct ks_packages *p = &doc->packages;

	warn_of_lost_flags(doc, header);
	p->seen = true;
	p->file = header->file;
	p->line = header->line;
	p->excludedocs = ks_flag(header, "excludedocs");
	p->ignoremissing = ks_flag(header, "ignoremissing");
	p->default_env |= ks_flag(header, "default");
	p->multilib = ks_flag(header, "multilib");
	p->nocore = ks_flag(header, "nocore");
	p->exclude_weakdeps = ks_flag(header, "exclude-weakdeps");
	if (ks_given(header, "inst-langs"))
		set_text(&p->inst_langs, ks_str(header, "inst-langs"));
	set_text(&p->timeout, digits_or_null(header, "timeout"));
	set_text(&p->retries, digits_or_null(header, "retries"));
	if (ks_flag(header, "default") && p->nocore)
		return err_set(e, EINVAL, "--default and --nocore exclude each other");
	return 0;
}

static struct ks_mention *add_mention(
	struct ks_doc *doc, struct ks_place place, enum ks_mention_kind kind, char *name)
{
	struct ks_mention *m;

	KS_GROW(doc->mentions, doc->mention_count, doc->mention_room);
	m = &doc->mentions[doc->mention_count];
	*m = (struct ks_mention){
		.name = name, .kind = kind, .place = place, .order = doc->mention_count};
	doc->mention_count++;
	return m;
}

/* The option that a word stands for: 'n' for --nodefaults, 'o' for --optional, 0 for neither. */
static char group_option(const char *word)
{
	size_t len = strcspn(word, "=");

	if (len < 3)
		return '\0';
	if (strncmp("--nodefaults", word, len) == 0)
		return 'n';
	return strncmp("--optional", word, len) == 0 ? 'o' : '\0';
}

/* "group name --nodefaults": other words make up the name, blanks and all. */
static int add_group(struct ks_doc *doc, struct ks_place place, const char *text, struct err *e)
{
	autostrv words = {0};
	autostrbuf name = {0};
	bool nodefaults = false, optional = false;

	ks_words(text, &words);
	for (size_t i = 0; i < words.count; i++) {
		char option = group_option(words.items[i]);

		if (option != '\0' && strchr(words.items[i], '='))
			return err_set(e, EINVAL, "a group's option takes no value");
		nodefaults |= option == 'n';
		optional |= option == 'o';
		if (option == '\0')
			strbuf_printf(&name, "%s%s", name.len > 0 ? " " : "", words.items[i]);
	}
	if (nodefaults && optional)
		return err_set(e, EINVAL, "--nodefaults and --optional exclude each other");

	struct ks_mention *m = add_mention(doc, place, KS_GROUP, strbuf_take(&name));
	m->nodefaults = nodefaults;
	m->optional = optional;
	return 0;
}

static int add_excluded(struct ks_doc *doc, struct ks_place place, const char *text, struct err *e)
{
	struct ks_packages *p = &doc->packages;

	if (text[0] == '\0')
		return err_set(e, EINVAL, "a name must follow the '-'");
	if (str_starts(text, "@^") && p->environment && str_eq(p->environment, text + 2))
		set_text(&p->environment, NULL);
	else if (text[0] == '@')
		add_mention(doc, place, KS_GROUP_OUT, xstrdup(text + 1));
	else
		add_mention(doc, place, KS_NAME_OUT, xstrdup(text));
	return 0;
}

int ks_packages_line(
	struct ks_doc *doc, struct ks_place place, const char *text, size_t len, struct err *e)
{
	const char *comment = memchr(text, '#', len);
	autofree char *item = ks_strip(text, comment ? (size_t)(comment - text) : len);

	if (str_starts(item, "@^")) {
		set_text(&doc->packages.environment, item + 2);
		doc->packages.environment_place = place;
		return 0;
	}
	if (item[0] == '@')
		return add_group(doc, place, item + 1, e);
	if (item[0] == '-')
		return add_excluded(doc, place, item + 1, e);
	add_mention(doc, place, KS_NAME, take_ptr(item));
	return 0;
}

static bool is_group(const struct ks_mention *m)
{
	return m->kind == KS_GROUP || m->kind == KS_GROUP_OUT;
}

static int compare_mentions(const void *a, const void *b)
{
	const struct ks_mention *x = a, *y = b;

	if (is_group(x) != is_group(y))
		return is_group(x) - is_group(y);
	int by_name = strcmp(x->name, y->name);
	if (by_name != 0)
		return by_name;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* The array of places has room for the next power of two. */
static void add_item(struct strv *list, struct ks_place **places, const struct ks_mention *m)
{
	size_t n = list->count;

	if ((n & (n - 1)) == 0)
		*places = xrealloc(*places, MAX(1, 2 * n) * sizeof(**places));
	(*places)[n] = m->place;
	strv_add(list, m->name);
}

/* All mentions of one group, oldest first. */
static void finish_group(
	struct ks_packages *p, struct ks_mention *mentions, size_t count, size_t *room)
{
	const struct ks_mention *in = NULL;

	for (size_t i = 0; i < count; i++) {
		const struct ks_mention *m = &mentions[i];

		if (m->kind == KS_GROUP_OUT) {
			/* Stays for globs, which only the package manager can resolve. */
			add_item(&p->excluded_groups, &p->excluded_group_places, m);
			in = NULL;
		} else if (!in) {
			in = m;
		}
	}
	if (!in)
		return;
	KS_GROW(p->group_details, p->groups.count, *room);
	p->group_details[p->groups.count] = (struct ks_group){
		.nodefaults = in->nodefaults, .optional = in->optional};
	add_item(&p->groups, &p->group_places, in);
}

void ks_packages_finish(struct ks_doc *doc)
{
	struct ks_packages *p = &doc->packages;
	size_t room = 0;

	if (doc->mention_count > 0)
		qsort(doc->mentions, doc->mention_count, sizeof(*doc->mentions), compare_mentions);
	for (size_t i = 0, next; i < doc->mention_count; i = next) {
		const struct ks_mention *m = &doc->mentions[i];

		for (next = i + 1; next < doc->mention_count; next++)
			if (is_group(&doc->mentions[next]) != is_group(m) ||
				!str_eq(doc->mentions[next].name, m->name))
				break;

		const struct ks_mention *last = &doc->mentions[next - 1];
		if (is_group(m))
			finish_group(p, &doc->mentions[i], next - i, &room);
		else if (last->kind == KS_NAME)
			add_item(&p->packages, &p->package_places, last);
		else
			add_item(&p->excluded, &p->excluded_places, last);
	}
}
