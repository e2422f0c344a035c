/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kickstart text for others to read.  What is a secret is in the grammar; where in doubt, as with an
 * option cut short or a command that is not parsed, more is taken out rather than less.
 */
#include <string.h>

#include "base/xalloc.h"
#include "ks/grammar.h"
#include "ks/ks.h"
#include "ks/text.h"

#define MASK "REMOVED"

/* What a word hides: nothing, all of itself, or the word behind it. */
enum hides { NOTHING, VALUE, NEXT };

/* The option may be cut short, and still must not be another one by its full name. */
static bool is_secret(const struct ks_command *g, const char *name, size_t len)
{
	bool secret = false;

	for (size_t i = 0; i < g->opt_count; i++) {
		const struct ks_opt *o = &g->opts[i];

		if (ks_alternative(o->name, name, len))
			return o->flags & KS_SECRET;
		secret |= o->flags & KS_SECRET && strncmp(o->name, name, len) == 0;
	}
	return secret;
}

static enum hides look_at_option(const struct ks_command *g, const char *word)
{
	size_t len = strcspn(word + 2, "=");

	if (!is_secret(g, word + 2, len))
		return NOTHING;
	return word[2 + len] == '=' ? VALUE : NEXT;
}

/* "http://user:password@host/": true when there was something to hide. */
static bool mask_url(char **word)
{
	const char *scheme = strstr(*word, "://");
	const char *user = scheme ? scheme + 3 : NULL;
	const char *at = user ? memrchr(user, '@', strcspn(user, "/")) : NULL;

	if (!at || at == user)
		return false;
	char *masked = xasprintf("%.*s" MASK "%s", (int)(user - *word), *word, at);
	free(*word);
	*word = masked;
	return true;
}

static void mask_option(char **word)
{
	char *masked = xasprintf("%.*s=" MASK, (int)strcspn(*word, "="), *word);

	free(*word);
	*word = masked;
}

static void mask_all(char **word)
{
	free(*word);
	*word = xstrdup(MASK);
}

/* Options and positionals of a command that is parsed. */
static bool mask_command(const struct ks_command *g, struct strv *words)
{
	bool any = false, only_args = false;

	for (size_t i = 1; i < words->count; i++) {
		char **word = &words->items[i];
		bool option = !only_args && str_starts(*word, "--");
		enum hides hides = option ? look_at_option(g, *word) : NOTHING;

		only_args |= option && str_eq(*word, "--");
		any |= hides != NOTHING || (!option && g->secret_args);
		if (hides == VALUE)
			mask_option(word);
		else if (hides == NEXT && i + 1 < words->count)
			mask_all(&words->items[++i]);
		else if (!option && g->secret_args)
			mask_all(word);
	}
	return any;
}

/* True when something was taken out. */
static bool mask_words(struct strv *words)
{
	const struct ks_command *g = ks_command_find(words->items[0]);
	bool any = false;

	if (g && (g->raw || g->status != KS_ACTIVE) && words->count > 1) {
		while (words->count > 2)
			free(words->items[--words->count]);
		mask_all(&words->items[1]);
		return true;
	}
	if (g)
		any = mask_command(g, words);
	for (size_t i = 1; i < words->count; i++)
		any |= mask_url(&words->items[i]);
	return any;
}

/* The first word of a line, for sections.  The caller frees it. */
static char *first_word(const char *line, size_t len)
{
	const char *first = ks_skip_space(line, line + len), *end = first;

	while (end < line + len && ks_space_len(end, line + len) == 0)
		end++;
	return xstrndup(first, (size_t)(end - first));
}

static bool begins_with_command(const char *text, size_t len)
{
	autofree char *word = first_word(text, len);

	return ks_command_find(word) != NULL;
}

/* One line outside of sections, or a section's header. */
static void add_command(struct strbuf *out, const char *line, size_t len)
{
	const char *first = ks_skip_space(line, line + len);
	bool comment = first < line + len && *first == '#';
	autostrv words = {0};

	while (first < line + len && (*first == '#' || ks_space_len(first, line + len) > 0))
		first++;
	size_t left = (size_t)(line + len - first);
	if (memchr(line, '\0', len) || ks_shlex(first, left, !comment, &words, NULL) < 0) {
		/* Prose has apostrophes. */
		if (comment && !begins_with_command(first, left))
			strbuf_add(out, line, len);
		else
			strbuf_puts(out, "# (left out: a line that cannot be read)\n");
		return;
	}
	if (words.count == 0 || !mask_words(&words)) {
		strbuf_add(out, line, len);
		return;
	}
	strbuf_puts(out, comment ? "# " : "");
	for (size_t i = 0; i < words.count; i++) {
		autofree char *quoted = ks_shell_quote(words.items[i]);

		strbuf_printf(out, "%s%s", i > 0 ? " " : "", quoted);
	}
	strbuf_putc(out, '\n');
}

char *ks_without_secrets(const char *text, size_t len)
{
	const char *end = text + len;
	bool in_section = false;
	autostrbuf out = {0};

	for (const char *p = text, *next; p < end; p = next) {
		next = ks_line_end(p, end);
		size_t line_len = (size_t)(next - p);
		autofree char *word = first_word(p, line_len);
		bool header = ks_section_find(word) != NULL;

		if (in_section && !header && !str_eq(word, "%include"))
			strbuf_add(&out, p, line_len);
		else
			add_command(&out, p, line_len);
		in_section = header || (in_section && !str_eq(word, "%end"));
	}
	return strbuf_take(&out);
}
