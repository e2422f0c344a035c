/* SPDX-License-Identifier: Apache-2.0 */
#include "media/menu.h"

#include <string.h>

#include "base/xalloc.h"

#define SERIAL_PARAMS "console=tty0 console=ttyS0,115200"
#define BLANKS        " \t\r\n"

struct entry {
	const char *id, *title, *words;
	bool serial, kickstart, check;
};

static const struct entry entries[] = {
	{"install", "Install", "install", .kickstart = true},
	{"install-serial", "Install (serial console)", "install", .serial = true,
		.kickstart = true},
	{"upgrade", "Upgrade", "upgrade"},
	{"reinstall", "Reinstall", "reinstall", .kickstart = true},
	{"uninstall", "Uninstall", "uninstall"},
	{"live", "Live", ""},
	{"check", "Check this medium", "bedplate.check", .check = true},
};

void menu_add_word(struct strbuf *out, const char *word)
{
	strbuf_putc(out, '\'');
	for (; *word; word++) {
		if (*word == '\'')
			strbuf_puts(out, "'\\''");
		else if (*word != '\n' && *word != '\r')
			strbuf_putc(out, *word);
	}
	strbuf_putc(out, '\'');
}

static bool is_plain(const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789./,:=_+-@%";

	return *word && word[strspn(word, plain)] == '\0';
}

/* GRUB puts its own quotes around a word with blanks, so ours must not get through to it. */
void menu_add_params(struct strbuf *out, const char *params)
{
	const char *p = params + strspn(params, BLANKS);

	while (*p) {
		autostrbuf word = {0};

		for (bool quoted = false; *p && (quoted || !strchr(BLANKS, *p)); p++) {
			if (*p == '"')
				quoted = !quoted;
			else
				strbuf_putc(&word, *p);
		}
		p += strspn(p, BLANKS);
		strbuf_putc(out, ' ');
		if (word.data && is_plain(word.data))
			strbuf_puts(out, word.data);
		else
			menu_add_word(out, word.data ? word.data : "");
	}
}

/* The last console= is the one that /dev/console leads to. */
static bool ends_on_serial(const char *params)
{
	const char *last = NULL;

	for (const char *p = params; (p = strstr(p, "console=")); p++)
		if (p == params || strchr(BLANKS, p[-1]))
			last = p;
	return last && str_starts(last, "console=ttyS");
}

/* Our own words, of which some have variables in them. */
static void add_found(struct strbuf *out, const struct menu_image *image, const char *words)
{
	if (image->variables)
		strbuf_printf(out, " %s", words);
	else
		menu_add_params(out, words);
}

static void add_entry(struct strbuf *out, const struct menu_image *image, const struct entry *en)
{
	strbuf_printf(out, "menuentry '%s' --id %s {\n\techo 'Loading the kernel...'\n\tlinux ",
		en->title, en->id);
	menu_add_word(out, image->kernel);
	menu_add_params(out, image->params);
	add_found(out, image, image->root);
	menu_add_params(out, en->words);
	if (en->kickstart && image->kickstart)
		add_found(out, image, image->kickstart);
	if (en->serial && !ends_on_serial(image->params))
		menu_add_params(out, SERIAL_PARAMS);
	strbuf_puts(out, "\n\techo 'Loading the initramfs...'\n\tinitrd ");
	menu_add_word(out, image->initramfs);
	strbuf_puts(out, "\n}\n");
}

char *menu_entries(const struct menu_image *image)
{
	autostrbuf out = {0};

	for (size_t i = 0; i < ARRAY_LEN(entries); i++)
		if (!entries[i].check || image->check)
			add_entry(&out, image, &entries[i]);
	return strbuf_take(&out);
}

char *menu_ipxe(const struct menu_image *image, const char *title, const char *default_entry,
	int timeout_seconds)
{
	autostrbuf out = {0};

	strbuf_printf(&out, "#!ipxe\n# Written by bedplate.\nmenu %s\n", title);
	for (size_t i = 0; i < ARRAY_LEN(entries); i++)
		if (!entries[i].check || image->check)
			strbuf_printf(&out, "item %s %s\n", entries[i].id, entries[i].title);
	strbuf_printf(&out, "choose --default %s --timeout %d entry || exit\ngoto ${entry}\n",
		default_entry, timeout_seconds * 1000);
	for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
		const struct entry *en = &entries[i];

		if (en->check && !image->check)
			continue;
		strbuf_printf(&out, ":%s\nset words %s", en->id, en->words);
		if (en->kickstart && image->kickstart)
			strbuf_printf(&out, " %s", image->kickstart);
		if (en->serial && !ends_on_serial(image->params))
			strbuf_printf(&out, " %s", SERIAL_PARAMS);
		strbuf_puts(&out, "\ngoto start\n");
	}
	strbuf_printf(&out,
		":start\nkernel %s initrd=initrd.img %s %s ${words} || goto failed\n"
		"initrd --name initrd.img %s || goto failed\nboot || goto failed\n"
		":failed\necho It cannot be started: the messages above say why.\n"
		"prompt Press a key to go on.\nexit 1\n",
		image->kernel, image->params, image->root, image->initramfs);
	return strbuf_take(&out);
}

/* Kernel parameters as they are: this language has no quotes. */
char *menu_pxelinux(const struct menu_image *image, const char *default_entry, int timeout_seconds)
{
	autostrbuf out = {0};

	strbuf_puts(&out, "# Written by bedplate.\nSAY Type one of these, or wait:\n");
	for (size_t i = 0; i < ARRAY_LEN(entries); i++)
		if (!entries[i].check || image->check)
			strbuf_printf(&out, "SAY %s - %s\n", entries[i].id, entries[i].title);
	/* A timeout of 0 would be none. */
	strbuf_printf(&out, "PROMPT %d\nTIMEOUT %d\nDEFAULT %s\n", timeout_seconds > 0,
		timeout_seconds * 10, default_entry);
	for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
		const struct entry *en = &entries[i];

		if (en->check && !image->check)
			continue;
		strbuf_printf(&out, "LABEL %s\n\tKERNEL %s\n\tAPPEND initrd=%s %s %s %s", en->id,
			image->kernel, image->initramfs, image->params, image->root, en->words);
		if (en->kickstart && image->kickstart)
			strbuf_printf(&out, " %s", image->kickstart);
		if (en->serial && !ends_on_serial(image->params))
			strbuf_printf(&out, " %s", SERIAL_PARAMS);
		strbuf_putc(&out, '\n');
	}
	return strbuf_take(&out);
}

static void add_search(struct strbuf *out, const char *label)
{
	strbuf_puts(out, "search --no-floppy --set=root --label ");
	menu_add_word(out, label);
	strbuf_putc(out, '\n');
}

/*
 * UEFI firmware shows its own console on the serial port when it is set up to; a BIOS seldom does.
 * Where there is no port, "serial" fails and says so.
 */
char *menu_head(const char *label, const char *default_entry, int timeout_seconds)
{
	autostrbuf out = {0};

	strbuf_puts(&out, "# Written by bedplate.\n");
	if (label)
		add_search(&out, label);
	strbuf_puts(&out,
		"if [ \"$grub_platform\" = pc ]; then\n"
		"\tif serial --unit=0 --speed=115200; then\n"
		"\t\tterminal_input console serial\n"
		"\t\tterminal_output console serial\n"
		"\tfi\n"
		"fi\n"
		"set default=");
	menu_add_word(&out, default_entry);
	strbuf_printf(&out, "\nset timeout=%d\n", timeout_seconds);
	return strbuf_take(&out);
}

char *menu_redirect(const char *label, const char *folder)
{
	autostrbuf out = {0};

	strbuf_puts(&out, "# Written by bedplate.\n");
	add_search(&out, label);
	strbuf_printf(&out, "set prefix=($root)%s\nconfigfile $prefix/grub.cfg\n", folder);
	return strbuf_take(&out);
}
