/* SPDX-License-Identifier: Apache-2.0 */
#include "netroot/vendor-line.h"

#include <string.h>

#include "base/str.h"
#include "base/xalloc.h"
#include "fmt/iso9660.h"
#include "netroot/db.h"
#include "sys/kernel-line.h"

#define MENU_MAX (1 * MIB)

static const char *const menus[] = {
	"isolinux/isolinux.cfg",
	"boot/grub2/grub.cfg",
	"boot/grub/grub.cfg",
	"EFI/BOOT/grub.cfg",
};

/* What finds the medium or checks it, and what a boot loader would have filled in. */
static bool is_dropped(const char *word)
{
	static const char *const names[] = {"initrd=", "root=", "netroot=", "BOOT_IMAGE=",
		"rd.live.check", "rd.live.image", "liveimg", "rd.live.overlay.overlayfs",
		"rd.live.overlay.nouserconfirmprompt", "check", "iso-scan/"};

	if (strchr(word, '$') || netroot_params_check(word, NULL) < 0 || strchr(word, '"'))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		size_t len = strlen(names[i]);
		bool open = strchr("=/", names[i][len - 1]) != NULL;

		if (str_starts(word, names[i]) && (open || word[len] == '\0' || word[len] == '='))
			return true;
	}
	return false;
}

static char *clean(const char *line, bool skip_first)
{
	autostrv words = {0};
	autostrbuf out = {0};

	cmd_line_split(line, &words);
	/* A comment of GRUB's. */
	for (size_t i = skip_first; i < words.count && words.items[i][0] != '#'; i++)
		if (*words.items[i] && !is_dropped(words.items[i]))
			cmd_line_add_word(&out, words.items[i]);
	return strbuf_take(&out);
}

/* What is behind the keyword and a blank, or NULL. */
static char *behind(char *line, const char *keyword)
{
	size_t len = strlen(keyword);

	return strncasecmp(line, keyword, len) == 0 && strchr(" \t", line[len]) && line[len]
		? line + len
		: NULL;
}

char *vendor_line_parse(const char *menu)
{
	static const char *const linux_words[] = {
		"linux", "linuxefi", "linux16", "$linux", "kernel"};
	autofree char *copy = xstrdup(menu);
	char *rest = copy;

	for (char *line; (line = str_next_word(&rest, "\r\n"));) {
		line = str_trim(line);
		char *words = behind(line, "append");
		bool is_grub = false;

		for (size_t i = 0; !words && i < ARRAY_LEN(linux_words); i++) {
			words = behind(line, linux_words[i]);
			is_grub = words != NULL;
		}
		/* isolinux names the kernel on a line of its own; a menu starts other things, too. */
		if (words && strstr(words, "root="))
			return clean(words, is_grub);
	}
	return NULL;
}

int vendor_line_read(struct source *iso, char **out, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(menus); i++) {
		autoptr(source) s = NULL;
		struct err none = {0};

		if (iso9660_open(iso, menus[i], &s, &none) < 0 || s->size_bytes > MENU_MAX)
			continue;
		autofree char *text = xcalloc(1, (size_t)s->size_bytes + 1);
		int r = source_read_at(s, text, (size_t)s->size_bytes, 0, e);
		if (r < 0)
			return r;
		*out = vendor_line_parse(text);
		if (*out)
			return 0;
	}
	*out = xstrdup("");
	return 0;
}
