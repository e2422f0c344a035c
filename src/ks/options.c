/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words of a line to values, as Python's argparse reads them: "--name value", "--name=value",
 * unambiguous prefixes of names, options and positionals in any order, "--" before positionals that
 * start with a dash.
 */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <strings.h>

#include "base/xalloc.h"
#include "ks/doc.h"
#include "ks/text.h"

/* "-5" and "-.5" are positionals and values, not options. */
static bool is_negative_number(const char *word)
{
	const char *p = word + 1;

	if (word[0] != '-')
		return false;
	while (isdigit((unsigned char)*p))
		p++;
	if (*p == '\0')
		return p > word + 1;
	if (*p != '.' || !isdigit((unsigned char)p[1]))
		return false;
	p++;
	while (isdigit((unsigned char)*p))
		p++;
	return *p == '\0';
}

/* How many of the names between '|' start with the len bytes at prefix. */
static unsigned count_names(const char *names, const char *prefix, size_t len)
{
	unsigned count = 0;

	for (; names; names = strchr(names, '|')) {
		names += *names == '|';
		count += strncmp(names, prefix, len) == 0;
	}
	return count;
}

/* Options of which the len bytes at name are a prefix; *found is one of them. */
static unsigned count_prefixed(
	const struct ks_command *g, const char *name, size_t len, size_t *found)
{
	unsigned count = 0;

	for (size_t i = 0; i < g->opt_count; i++) {
		/* Our own options must not make a prefix ambiguous that is fine without them. */
		unsigned n = g->opts[i].flags & KS_OURS ? 0
							: count_names(g->opts[i].name, name, len);

		if (n > 0)
			*found = i;
		count += n;
	}
	return count;
}

enum word_kind { POSITIONAL, OPTION, UNKNOWN, AMBIGUOUS };

/* What "--name" or "--name=value" stands for; *opt and *value (NULL without '=') are set. */
static enum word_kind classify_long(
	const struct ks_command *g, const char *word, size_t *opt, const char **value)
{
	const char *name = word + 2;
	size_t len = strcspn(name, "=");
	unsigned count;

	*value = name[len] == '=' ? name + len + 1 : NULL;
	for (size_t i = 0; i < g->opt_count; i++) {
		if (ks_alternative(g->opts[i].name, name, len)) {
			*opt = i;
			return OPTION;
		}
	}
	count = count_prefixed(g, name, len, opt);
	if (count == 0)
		return UNKNOWN;
	return count == 1 ? OPTION : AMBIGUOUS;
}

/* Sort out a word; for OPTION *opt and *value are set. */
static enum word_kind classify(
	const struct ks_command *g, const char *word, size_t *opt, const char **value)
{
	enum word_kind kind = UNKNOWN;

	if (word[0] != '-' || word[1] == '\0')
		return POSITIONAL;
	if (word[1] == '-')
		kind = classify_long(g, word, opt, value);
	if (kind == UNKNOWN && (is_negative_number(word) || strchr(word, ' ')))
		return POSITIONAL;
	return kind;
}

static int convert_autopart_type(const char *text, char **out, struct err *e)
{
	static const char *const types[] = {"lvm", "btrfs", "plain", "partition", "thinp"};

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (strcasecmp(text, types[i]) == 0) {
			*out = xstrdup(str_eq(types[i], "partition") ? "plain" : types[i]);
			return 0;
		}
	}
	return err_set(e, EINVAL, "there is no partitioning scheme '%.80s'", text);
}

static int convert_level(const char *text, char **out, struct err *e)
{
	static const char *const levels[] = {"0", "1", "4", "5", "6", "10"};
	const char *number = strncasecmp(text, "raid", 4) == 0 ? text + 4 : text;

	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		if (str_eq(number, levels[i])) {
			*out = xasprintf("RAID%s", levels[i]);
			return 0;
		}
	}
	return err_set(e, EINVAL, "there is no RAID level '%.80s'", text);
}

static int convert_when(const char *text, char **out, struct err *e)
{
	bool post = strcasecmp(text, "post-install") == 0;

	if (!post && strcasecmp(text, "pre-install") != 0)
		return err_set(e, EINVAL, "'%.80s' is neither pre-install nor post-install", text);
	*out = xstrdup(post ? "post-install" : "pre-install");
	return 0;
}

/* "22,53:udp": each with its protocol. */
static void split_ports(const char *text, struct strv *out)
{
	for (;;) {
		size_t len = strcspn(text, ",");
		autofree char *port = ks_strip(text, len);

		strv_take(out, xasprintf("%s%s", port, strchr(port, ':') ? "" : ":tcp"));
		if (text[len] == '\0')
			return;
		text += len + 1;
	}
}

/* Add the devices in "a,,b," ; only the last of them can have a configuration. */
static void add_team_devices(struct strbuf *b, const char *text, size_t len)
{
	while (len > 0 && text[0] == ',') {
		text++;
		len--;
	}
	while (len > 0 && text[len - 1] == ',')
		len--;
	if (b->len > 0)
		strbuf_putc(b, ',');
	strbuf_add(b, text, len);
}

/* "a,b'{...}',c": the same again with the superfluous commas and quotes gone. */
static char *normalise_team(const char *text)
{
	autostrbuf b = {0};

	while (*text) {
		size_t devices = strcspn(text, "'");
		const char *config = text + devices + (text[devices] == '\'');
		size_t len = strcspn(config, "'");

		add_team_devices(&b, text, devices);
		if (len > 0)
			strbuf_printf(&b, "'%.*s'", (int)len, config);
		text = config + len + (config[len] == '\'');
	}
	return strbuf_take(&b);
}

static int convert_text(const struct ks_opt *o, const char *text, char **out, struct err *e)
{
	switch (o->type) {
	case KS_AUTOPART_TYPE:
		return convert_autopart_type(text, out, e);
	case KS_LEVEL:
		return convert_level(text, out, e);
	case KS_WHEN:
		return convert_when(text, out, e);
	case KS_TEAM:
		*out = normalise_team(text);
		return 0;
	case KS_PARTITION:
		*out = xstrdup(str_starts(text, "/dev/") ? text + 5 : text);
		return 0;
	case KS_TEXT:
	case KS_INT:
	case KS_BOOL:
	case KS_COMMAS:
	case KS_COMMAS_ALL:
	case KS_PORTS:
		break;
	}
	if (o->choices && !ks_alternative(o->choices, text, strlen(text)))
		return err_set(e, EINVAL, "'%.80s' is not one of %s", text, o->choices);
	*out = xstrdup(text);
	return 0;
}

static int store_value(const struct ks_opt *o, struct ks_value *v, const char *text, struct err *e)
{
	char *converted = NULL;
	int r = 0;

	if (o->action == KS_APPEND) {
		strv_add(&v->list, text);
		return 0;
	}
	if (o->type == KS_COMMAS || o->type == KS_COMMAS_ALL || o->type == KS_PORTS) {
		if (o->type == KS_COMMAS)
			strv_fini(&v->list);
		if (o->type == KS_PORTS)
			split_ports(text, &v->list);
		else
			ks_split_commas(text, &v->list);
		converted = xstrdup(text);
	} else if (o->type == KS_INT) {
		r = ks_parse_int(text, &converted, &v->number, e);
	} else if (o->type == KS_BOOL) {
		r = ks_parse_bool(text, &v->truth, e);
		converted = r == 0 ? xstrdup(v->truth ? "on" : "off") : NULL;
	} else {
		r = convert_text(o, text, &converted, e);
		v->truth = true;
	}
	if (r < 0)
		return r;
	free(v->text);
	v->text = converted;
	return 0;
}

static int store_option(struct ks_cmd *c, size_t i, const char *text, struct err *e)
{
	const struct ks_opt *o = &c->grammar->opts[i];
	struct ks_value *v = ks_value_get(c, ks_opt_dest(c->grammar, i));
	char *copy;
	int r;

	c->given |= UINT64_C(1) << i;
	switch (o->action) {
	case KS_SET:
	case KS_CLEAR:
		v->truth = o->action == KS_SET;
		return 0;
	case KS_CONST:
		copy = xstrdup(o->value);
		free(v->text);
		v->text = copy;
		return 0;
	case KS_ADD_CONST:
		strv_add(&v->list, o->value);
		return 0;
	case KS_STORE:
	case KS_APPEND:
		break;
	}
	if (!text) { /* KS_MAY_BE_BARE */
		free(v->text);
		v->text = NULL;
		v->truth = true;
		return 0;
	}
	r = store_value(o, v, text, e);
	return r < 0 ? err_wrap(e, r, "--%.*s", (int)strcspn(o->name, "|"), o->name) : 0;
}

/* The words of one line while they are read. */
struct reader {
	struct ks_doc *doc;
	struct ks_cmd *c;
	const struct strv *words;
	size_t at;
	size_t runs; /* groups of positionals between options */
	size_t first_run;
	bool in_run;
	bool only_positionals; /* behind "--" */
};

/* Whether the next word can be the value of an option. */
static const char *peek_value(const struct reader *rd)
{
	const char *word, *value;
	size_t opt;

	if (rd->at >= rd->words->count)
		return NULL;
	word = rd->words->items[rd->at];
	if (str_eq(word, "--") || classify(rd->c->grammar, word, &opt, &value) != POSITIONAL)
		return NULL;
	return word;
}

static int read_option(struct reader *rd, size_t i, const char *value, struct err *e)
{
	const struct ks_opt *o = &rd->c->grammar->opts[i];
	int name_len = (int)strcspn(o->name, "|");
	bool takes_value = o->action == KS_STORE || o->action == KS_APPEND;

	if (!takes_value && value)
		return err_set(e, EINVAL, "option --%.*s takes no value", name_len, o->name);
	if (takes_value && !value) {
		value = peek_value(rd);
		rd->at += value != NULL;
		if (!value && !(o->flags & KS_MAY_BE_BARE))
			return err_set(e, EINVAL, "option --%.*s needs a value", name_len, o->name);
	}
	if (o->flags & KS_OLD)
		ks_warning(rd->doc, rd->c->file, rd->c->line,
			"option --%.*s is deprecated and has no effect any more", name_len,
			o->name);
	return store_option(rd->c, i, value, e);
}

static void read_positional(struct reader *rd, const char *word)
{
	if (!rd->in_run)
		rd->runs++;
	rd->in_run = true;
	strv_add(&rd->c->args, word);
	if (rd->runs == 1)
		rd->first_run = rd->c->args.count;
}

static int read_word(struct reader *rd, struct err *e)
{
	const struct ks_command *g = rd->c->grammar;
	const char *word = rd->words->items[rd->at++];
	const char *value = NULL;
	size_t opt = 0;

	if (!rd->only_positionals && str_eq(word, "--")) {
		rd->only_positionals = true;
		return g->args_max == 0 ? err_set(e, EINVAL, "unexpected argument '--'") : 0;
	}
	switch (rd->only_positionals ? POSITIONAL : classify(g, word, &opt, &value)) {
	case POSITIONAL:
		read_positional(rd, word);
		return 0;
	case OPTION:
		rd->in_run = false;
		return read_option(rd, opt, value, e);
	case UNKNOWN:
		return err_set(e, EINVAL, "unknown option '%.80s'", word);
	case AMBIGUOUS:
		break;
	}
	return err_set(e, EINVAL, "option '%.80s' may mean more than one", word);
}

static int check_required(const struct ks_cmd *c, struct err *e)
{
	const struct ks_command *g = c->grammar;

	for (size_t i = 0; i < g->opt_count; i++)
		if (g->opts[i].flags & KS_REQUIRED && !(c->given >> i & 1))
			return err_set(e, EINVAL, "option --%s is missing", g->opts[i].name);
	if (c->args.count < (size_t)g->args_min)
		return err_set(e, EINVAL, "expected %s", g->args_help);
	if (g->args_max >= 0 && c->args.count > (size_t)g->args_max)
		return g->args_help
			? err_set(e, EINVAL, "expected %s, not '%.80s' too", g->args_help,
				  c->args.items[g->args_max])
			: err_set(e, EINVAL, "unexpected argument '%.80s'", c->args.items[0]);
	return 0;
}

int ks_parse_options(struct ks_doc *doc, struct ks_cmd *c, const struct strv *words,
	size_t *first_run, struct err *e)
{
	struct reader rd = {.doc = doc, .c = c, .words = words, .at = 1};
	int r = 0;

	assert(c->grammar->opt_count <= 64);
	while (r == 0 && rd.at < words->count)
		r = read_word(&rd, e);
	if (r == 0)
		r = check_required(c, e);
	*first_run = rd.first_run;
	return r;
}
