/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/cmd-line.h"

#include <ctype.h>
#include <string.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "boot/entry.h"
#include "boot/trial.h"
#include "sys/kernel-line.h"

#define CONSOLE       "console="
#define PANIC         "panic="
#define PANIC_DEFAULT PANIC "30"

static bool is_ours(const char *word)
{
	return str_starts(word, BOOT_LAYER_PARAM) || str_starts(word, BOOT_ROOTHASH_PARAM) ||
		str_starts(word, TRIAL_PARAM);
}

/* It goes into a file that the boot loader reads as a script. */
static bool is_clean(const char *word)
{
	for (; *word; word++)
		if (iscntrl((unsigned char)*word) || strchr("'`\\", *word))
			return false;
	return true;
}

void cmd_line_collect(struct strv *out, const char *text, const char *from)
{
	autostrv words = {0};

	cmd_line_split(text ? text : "", &words);
	for (size_t i = 0; i < words.count; i++) {
		const char *word = words.items[i];
		autofree char *printable = str_printable(word);

		if (!is_ours(word) && is_clean(word))
			strv_add(out, word);
		else if (from)
			log_warning("kernel parameter '%s' of %s is left out: %s", printable, from,
				is_ours(word) ? "it is the installer's to set"
					      : "it holds a character that cannot be");
	}
}

static bool comes_again(const struct strv *words, size_t at)
{
	for (size_t i = at + 1; i < words->count; i++)
		if (str_eq(words->items[i], words->items[at]))
			return true;
	return false;
}

static bool has_panic(const struct strv *words)
{
	for (size_t i = 0; i < words->count; i++)
		if (str_starts(words->items[i], PANIC))
			return true;
	return false;
}

char *cmd_line_compose(const char *layer, const char *root_hash, const struct strv *words)
{
	autostrbuf out = {0};

	strbuf_printf(&out, BOOT_LAYER_PARAM "%s " BOOT_ROOTHASH_PARAM "%s", layer, root_hash);
	if (!has_panic(words))
		cmd_line_add_word(&out, PANIC_DEFAULT);
	for (size_t i = 0; i < words->count; i++)
		if (!comes_again(words, i))
			cmd_line_add_word(&out, words->items[i]);
	return strbuf_take(&out);
}

char *cmd_line_carry(const char *old_line, const char *old_image, const char *new_image,
	const char *layer, const char *root_hash)
{
	autostrv had = {0}, before = {0}, now = {0}, words = {0};

	cmd_line_collect(&had, old_line, NULL);
	cmd_line_collect(&before, old_image, NULL);
	cmd_line_collect(&now, new_image, "the new image");
	for (size_t i = 0; i < now.count; i++)
		if (!strv_has(&before, now.items[i]) || strv_has(&had, now.items[i]))
			strv_add(&words, now.items[i]);
	for (size_t i = 0; i < had.count; i++) {
		const char *word = had.items[i];

		/* That is added again unless the new image knows better. */
		if (str_eq(word, PANIC_DEFAULT))
			continue;
		if (!strv_has(&before, word) || str_starts(word, CONSOLE))
			strv_add(&words, word);
	}
	return cmd_line_compose(layer, root_hash, &words);
}
