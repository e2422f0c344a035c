/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/entry-text.h"

#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "base/xalloc.h"
#include "boot/trial.h"
#include "sys/kernel-line.h"

#define MARK    "# bedplate 1\n"
#define LAYER   "# layer: "
#define TITLE   "# title: "
#define RELEASE "# release: "
#define LINUX   "\tlinux "
/* What loader-config.c sets: the layer that is tried, or nothing. */
#define TRIAL     " " TRIAL_PARAM "$trying"
#define NAME_MAX_ 127 /* of an LVM volume */
/* COMMAND_LINE_SIZE of x86, with the NUL, less what GRUB adds: BOOT_IMAGE=PATH and the trial. */
#define CMD_LINE_MAX (2048 - NAME_MAX_ - 32 - NAME_MAX_ - 16)
/* What GRUB takes as it stands. */
#define PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-,:=/@%^~"

bool entry_layer_ok(const char *layer)
{
	size_t len = strlen(layer);
	const char *plus = strrchr(layer, '+');

	if (len > NAME_MAX_ || !plus || plus == layer || !plus[1])
		return false;
	return isalnum((unsigned char)*layer) &&
		strspn(layer,
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-") ==
		len;
}

bool entry_text_is_ours(const char *text)
{
	return str_starts(text, MARK);
}

/* Between single quotes GRUB takes everything but a single quote; a backslash it would pass on. */
static int check_text(const char *what, const char *text, struct err *e)
{
	for (const char *p = text; *p; p++)
		if (iscntrl((unsigned char)*p) || *p == '\'' || *p == '\\') {
			autofree char *shown = str_printable(text);

			return err_set(e, EINVAL,
				"%s '%s': GRUB cannot take control characters, single quotes "
				"and backslashes",
				what, shown);
		}
	return 0;
}

static int check(const struct boot_entry *entry, struct err *e)
{
	int r;

	if (!entry_layer_ok(entry->layer))
		return err_set(e, EINVAL, "bad name of a layer: '%s'", entry->layer);
	r = check_text("title", entry->title, e);
	if (r == 0)
		r = check_text("kernel release", entry->release, e);
	if (r == 0)
		r = check_text("kernel command line", entry->cmd_line, e);
	if (r == 0 && strlen(entry->cmd_line) > CMD_LINE_MAX)
		return err_set(e, EINVAL, "the kernel command line has %zu bytes, more than %d",
			strlen(entry->cmd_line), CMD_LINE_MAX);
	return r;
}

static void add_word(struct strbuf *out, const char *word)
{
	if (*word && word[strspn(word, PLAIN)] == '\0')
		strbuf_printf(out, " %s", word);
	else
		strbuf_printf(out, " '%s'", word);
}

/*
 * The kernel's double quotes only hold a word together; GRUB puts its own around a word with
 * blanks, so they are left out here.
 */
static int add_cmd_line(struct strbuf *out, const char *cmd_line, struct err *e)
{
	autostrbuf word = {0};
	bool quoted = false, inside = false;

	for (const char *p = cmd_line;; p++) {
		if (*p == '"') {
			quoted = !quoted;
			inside = true;
		} else if (*p && (quoted || *p != ' ')) {
			strbuf_putc(&word, *p);
			inside = true;
		} else if (inside) {
			autofree char *text = strbuf_take(&word);

			add_word(out, text);
			inside = false;
		}
		if (!*p)
			break;
	}
	return quoted ? err_set(e, EINVAL,
				"a quote is open at the end of the kernel command line "
				"'%s'",
				cmd_line)
		      : 0;
}

int entry_text_format(const struct boot_entry *entry, char **out, struct err *e)
{
	autostrbuf text = {0};
	int r = check(entry, e);

	if (r < 0)
		return r;
	strbuf_printf(&text, "%s%s%s\n%s%s\n%s%s\n", MARK, LAYER, entry->layer, TITLE, entry->title,
		RELEASE, entry->release);
	strbuf_printf(
		&text, "menuentry '%s' --id '%s' --unrestricted {\n", entry->title, entry->layer);
	strbuf_printf(&text, LINUX "/%s/vmlinuz", entry->layer);
	r = add_cmd_line(&text, entry->cmd_line, e);
	if (r < 0)
		return r;
	strbuf_printf(&text, TRIAL "\n\tinitrd /%s/initramfs.img\n}\n", entry->layer);
	*out = strbuf_take(&text);
	return 0;
}

/* The value of the next line, which must begin with prefix; NULL otherwise. */
static char *next_value(char **rest, const char *prefix)
{
	char *line = *rest, *end = strchr(line, '\n');

	if (!end || !str_starts(line, prefix))
		return NULL;
	*end = '\0';
	*rest = end + 1;
	return line + strlen(prefix);
}

/* Entries of the first nodes have no such word. */
static void cut_trial(char *words)
{
	if (str_ends(words, TRIAL))
		words[strlen(words) - strlen(TRIAL)] = '\0';
}

/* Words as add_word() writes them. */
static int parse_words(const char *p, struct strbuf *out, struct err *e)
{
	while (*p) {
		size_t quoted = p[1] == '\'', len;

		if (*p != ' ')
			return err_set(e, EBADMSG, "a word of the kernel command line");
		p += 1 + quoted;
		len = quoted ? strcspn(p, "'") : strspn(p, PLAIN);
		if (quoted && p[len] != '\'')
			return err_set(e, EBADMSG, "a quote is open");
		if (!quoted && len == 0)
			return err_set(e, EBADMSG, "a word of the kernel command line");
		autofree char *word = xstrndup(p, len);
		cmd_line_add_word(out, word);
		p += len + quoted;
	}
	return 0;
}

static int parse(char *text, struct boot_entry *out, struct err *e)
{
	autostrbuf cmd_line = {0};
	char *rest = text;
	const char *layer, *title, *release;

	if (!next_value(&rest, "# bedplate 1"))
		return err_set(e, EBADMSG, "the first line");
	layer = next_value(&rest, LAYER);
	title = layer ? next_value(&rest, TITLE) : NULL;
	release = title ? next_value(&rest, RELEASE) : NULL;
	if (!release || !entry_layer_ok(layer) || !next_value(&rest, "menuentry "))
		return err_set(e, EBADMSG, "layer, title or release");

	autofree char *linux_line = xasprintf(LINUX "/%s/vmlinuz", layer);
	char *words = next_value(&rest, linux_line);
	if (!words)
		return err_set(e, EBADMSG, "the line of the kernel");
	cut_trial(words);
	int r = parse_words(words, &cmd_line, e);
	if (r < 0)
		return r;
	*out = (struct boot_entry){.layer = xstrdup(layer),
		.title = xstrdup(title),
		.release = xstrdup(release),
		.cmd_line = strbuf_take(&cmd_line)};
	return 0;
}

int entry_text_parse(char *text, struct boot_entry *out, struct err *e)
{
	int r = parse(text, out, e);

	return r < 0 ? err_wrap(e, r, "not as it was written") : 0;
}
