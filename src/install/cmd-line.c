/* SPDX-License-Identifier: Apache-2.0 */
/* The installed node's kernel command line. */
#include <ctype.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "boot/entry.h"
#include "install/configure-node.h"
#include "liveimg/booted.h"

/* Only the installer says what is booted, and with what. */
static bool is_ours(const char *word)
{
	return str_starts(word, BOOT_LAYER_PARAM) || str_starts(word, BOOT_ROOTHASH_PARAM);
}

/* It goes into a file that the boot loader reads as a script. */
static bool is_clean(const char *word)
{
	for (; *word; word++)
		if (iscntrl((unsigned char)*word) || strchr("'`\\", *word))
			return false;
	return true;
}

static void add_words(struct strv *out, const char *text, const char *from)
{
	autostrv words = {0};

	cmd_line_split(text ? text : "", &words);
	for (size_t i = 0; i < words.count; i++) {
		autofree char *printable = str_printable(words.items[i]);

		if (is_ours(words.items[i]) || !is_clean(words.items[i]))
			log_warning("kernel parameter '%s' of %s is left out: %s", printable, from,
				is_ours(words.items[i]) ? "it is the installer's to set"
							: "it holds a character that cannot be");
		else
			strv_add(out, words.items[i]);
	}
}

/* The kernel's own console is the last one: the installer's comes last. */
static void add_consoles(struct strv *out, const char *running)
{
	autostrv words = {0}, consoles = {0};

	cmd_line_split(running ? running : "", &words);
	for (size_t i = 0; i < words.count; i++)
		if (str_starts(words.items[i], "console=") && is_clean(words.items[i]))
			strv_add(&consoles, words.items[i]);
	strv_add_all(out, &consoles);
}

static bool comes_again(const struct strv *words, size_t at)
{
	for (size_t i = at + 1; i < words->count; i++)
		if (str_eq(words->items[i], words->items[at]))
			return true;
	return false;
}

/* name="a b": the kernel takes quotes around a value. */
static void print_word(struct strbuf *b, const char *word)
{
	const char *equals = strchr(word, '=');

	if (b->len > 0)
		strbuf_putc(b, ' ');
	if (!strchr(word, ' '))
		strbuf_puts(b, word);
	else if (equals)
		strbuf_printf(b, "%.*s\"%s\"", (int)(equals + 1 - word), word, equals + 1);
	else
		strbuf_printf(b, "\"%s\"", word);
}

char *node_cmd_line(
	const struct node_config *c, const char *image_append, const char *running_cmd_line)
{
	const struct ks_cmd *loader = ks_next(c->doc, "bootloader", NULL);
	char hash[SHA256_HEX_BYTES];
	autostrbuf out = {0};
	autostrv words = {0};

	hex_format(c->manifest->verity.root_hash, SHA256_BYTES, hash);
	strbuf_printf(&out, BOOT_LAYER_PARAM "%s " BOOT_ROOTHASH_PARAM "%s", c->layer, hash);
	add_words(&words, image_append, "the image");
	add_words(&words, loader ? ks_str(loader, "append") : NULL, "the kickstart");
	add_consoles(&words, running_cmd_line);
	/* What is there twice counts where it stands last. */
	for (size_t i = 0; i < words.count; i++)
		if (!comes_again(&words, i))
			print_word(&out, words.items[i]);
	return strbuf_take(&out);
}
