/* SPDX-License-Identifier: Apache-2.0 */
/* lang, keyboard, timezone and timesource. */
#include <fcntl.h>
#include <stdio.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "image/configure-step.h"
#include "image/intree.h"

#define SUPPORTED_MAX_BYTES (1 * MIB)
#define CONF_MAX_BYTES      (1 * MIB)

/* These words go into files that shells and parsers read. */
static int check_word(const struct ks_cmd *c, const char *what, const char *text, struct err *e)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789._@:/+-[]";
	size_t len = strspn(text, chars);

	if (len > 0 && text[len] == '\0' && !strstr(text, ".."))
		return 0;
	return configure_error(c, e, "bad %s '%s'", what, text);
}

static int set_lang(struct configure *cf, const char *lang, struct err *e)
{
	autofree char *text = xasprintf("LANG=%s\n", lang);
	int r = intree_write(cf->root_fd, "/etc/locale.conf", text, 0644, e);

	return r == 0 ? intree_link(cf->root_fd, "../locale.conf", "/etc/default/locale", e) : r;
}

static bool needs_no_locale(const char *lang)
{
	return str_eq(lang, "C") || str_eq(lang, "POSIX") || str_eq(lang, "C.UTF-8") ||
		str_eq(lang, "C.utf8");
}

/* Add a line for locale.gen(5): "de_DE.UTF-8 UTF-8".  The name may lack its character set. */
static int add_locale(const struct ks_cmd *c, const char *supported, const char *lang,
	struct strbuf *out, struct err *e)
{
	autofree char *full = strchr(lang, '.') ? xstrdup(lang) : xasprintf("%s.UTF-8", lang);
	autofree char *line = xasprintf("\n%s UTF-8\n", full);
	int r = check_word(c, "language", lang, e);

	if (r < 0)
		return r;
	if (needs_no_locale(lang))
		return 0;
	if (!strstr(supported, line))
		return configure_error(c, e, "unknown language '%s'", lang);
	strbuf_puts(out, line + 1);
	return 0;
}

static int generate(struct configure *cf, const struct ks_cmd *c, const char *lang, struct err *e)
{
	static const char *const argv[] = {"locale-gen", NULL};
	const struct strv *more = ks_list(c, "addsupport");
	autofree char *text = NULL;
	autostrbuf gen = {0};
	int r = file_read_in_root(
		cf->root_fd, "/usr/share/i18n/SUPPORTED", SUPPORTED_MAX_BYTES, &text, e);

	if (r < 0)
		return configure_wrap(c, r, e);
	autofree char *supported = xasprintf("\n%s", text);
	r = add_locale(c, supported, lang, &gen, e);
	for (size_t i = 0; r == 0 && i < more->count; i++)
		r = add_locale(c, supported, more->items[i], &gen, e);
	if (r == 0)
		r = intree_write(cf->root_fd, "/etc/locale.gen", gen.data ? gen.data : "", 0644, e);
	if (r == 0 && gen.len > 0)
		r = configure_wrap(c, configure_run(cf, argv, e), e);
	return r;
}

int configure_lang(struct configure *cf, struct err *e)
{
	const struct ks_cmd *c = ks_next(cf->doc, "lang", NULL);
	const char *lang = c && ks_args(c)->count > 0 ? ks_args(c)->items[0] : "C.UTF-8";
	int r;

	if (!c)
		return cf->params->is_node ? 0 : set_lang(cf, lang, e);
	r = check_word(c, "language", lang, e);
	if (r < 0)
		return r;
	if (!intree_has(cf->root_fd, "/usr/sbin/locale-gen")) {
		if (ks_list(c, "addsupport")->count > 0)
			configure_warn(cf, c,
				"no package 'locales' in this image, --addsupport does nothing");
		if (!needs_no_locale(lang))
			configure_warn(cf, c,
				"no package 'locales' in this image, C.UTF-8 instead of '%s'",
				lang);
		return set_lang(cf, "C.UTF-8", e);
	}
	r = generate(cf, c, lang, e);
	if (r < 0)
		return r;
	autofree char *full = strchr(lang, '.') || needs_no_locale(lang)
		? xstrdup(lang)
		: xasprintf("%s.UTF-8", lang);
	return set_lang(cf, full, e);
}

/* "de (nodeadkeys)" is layout de, variant nodeadkeys; each list gets one item, maybe empty. */
static int add_layout(const struct ks_cmd *c, const char *item, struct strbuf *layouts,
	struct strbuf *variants, struct err *e)
{
	size_t len = strcspn(item, " (");
	const char *open = strchr(item, '(');
	autofree char *layout = xstrndup(item, len);
	autofree char *variant = open ? xstrndup(open + 1, strcspn(open + 1, ")")) : xstrdup("");
	const char *comma = layouts->len > 0 ? "," : "";
	int r = check_word(c, "keyboard layout", layout, e);

	if (r == 0 && *variant)
		r = check_word(c, "keyboard variant", variant, e);
	strbuf_printf(layouts, "%s%s", comma, layout);
	strbuf_printf(variants, "%s%s", comma, variant);
	return r;
}

static int keyboard_lists(const struct ks_cmd *c, const char *keymap, struct strbuf *layouts,
	struct strbuf *variants, struct err *e)
{
	const struct strv *given = ks_list(c, "xlayouts");
	int r = 0;

	for (size_t i = 0; r == 0 && i < given->count; i++)
		r = add_layout(c, given->items[i], layouts, variants, e);
	if (given->count > 0)
		return r;
	/* A console map "de-nodeadkeys" begins with what X calls the layout. */
	autofree char *layout = xstrndup(keymap, strcspn(keymap, "-_"));
	return add_layout(c, *layout ? layout : "us", layouts, variants, e);
}

/* The map of the console, "" when only X layouts are given. */
static const char *console_map(const struct configure *cf, const struct ks_cmd *c)
{
	const char *option = ks_str(c, "vckeymap");

	if (ks_args(c)->count == 0)
		return option ? option : "";
	if (option && *option)
		configure_warn(cf, c, "--vckeymap does nothing beside '%s'", ks_args(c)->items[0]);
	return ks_args(c)->items[0];
}

int configure_keyboard(struct configure *cf, struct err *e)
{
	const struct ks_cmd *c = ks_next(cf->doc, "keyboard", NULL);
	autostrbuf layouts = {0}, variants = {0}, options = {0};
	const char *keymap;
	int r;

	if (!c)
		return 0;
	keymap = console_map(cf, c);
	r = *keymap ? check_word(c, "keyboard", keymap, e) : 0;
	if (r == 0)
		r = keyboard_lists(c, keymap, &layouts, &variants, e);
	for (size_t i = 0; r == 0 && i < ks_list(c, "switch")->count; i++) {
		const char *option = ks_list(c, "switch")->items[i];

		r = check_word(c, "keyboard option", option, e);
		strbuf_printf(&options, "%s%s", i > 0 ? "," : "", option);
	}
	if (r < 0)
		return r;

	/* Debian's console-setup and systemd read the same file; KEYMAP is systemd's alone. */
	autofree char *text = xasprintf("# From the kickstart.\n"
					"KEYMAP=\"%s\"\n"
					"XKBMODEL=\"pc105\"\n"
					"XKBLAYOUT=\"%s\"\n"
					"XKBVARIANT=\"%s\"\n"
					"XKBOPTIONS=\"%s\"\n"
					"BACKSPACE=\"guess\"\n",
		*keymap ? keymap : layouts.data, layouts.data, variants.data,
		options.data ? options.data : "");
	r = intree_write(cf->root_fd, "/etc/default/keyboard", text, 0644, e);
	return r == 0 ? intree_link(cf->root_fd, "default/keyboard", "/etc/vconsole.conf", e) : r;
}

static int set_zone(struct configure *cf, const struct ks_cmd *c, const char *zone, struct err *e)
{
	autofree char *file = xasprintf("/usr/share/zoneinfo/%s", zone);
	autofree char *target = xasprintf("../usr/share/zoneinfo/%s", zone);
	autofree char *line = xasprintf("%s\n", zone);
	int r = check_word(c, "time zone", zone, e);

	if (r < 0)
		return r;
	if (!intree_has(cf->root_fd, "/usr/share/zoneinfo")) {
		if (!str_eq(zone, "UTC") && !str_eq(zone, "Etc/UTC"))
			return configure_error(c, e, "time zone '%s' needs package 'tzdata'", zone);
		return 0;
	}
	if (!intree_has(cf->root_fd, file))
		return configure_error(c, e, "unknown time zone '%s'", zone);
	r = intree_link(cf->root_fd, target, "/etc/localtime", e);
	return r == 0 ? intree_write(cf->root_fd, "/etc/timezone", line, 0644, e) : r;
}

int configure_timezone(struct configure *cf, struct err *e)
{
	const struct ks_cmd *c = ks_next(cf->doc, "timezone", NULL);
	int r = 0;

	if (!c)
		return 0;
	if (ks_args(c)->count > 0)
		r = set_zone(cf, c, ks_args(c)->items[0], e);
	/* The form of hwclock(8); without the file the clock is taken to be in UTC. */
	if (r == 0 && !ks_flag(c, "utc"))
		r = intree_write(cf->root_fd, "/etc/adjtime", "0.0 0 0.0\n0\nLOCAL\n", 0644, e);
	else if (r == 0 && cf->params->is_node)
		r = intree_remove(cf->root_fd, "/etc/adjtime", e);
	return r;
}

/* Off with the servers that the package comes with: the kickstart's are the only ones. */
static int comment_pools(struct configure *cf, struct err *e)
{
	static const char path[] = "/etc/chrony/chrony.conf";
	autofree char *text = NULL;
	autostrbuf b = {0};
	int r = file_read_in_root(cf->root_fd, path, CONF_MAX_BYTES, &text, e);

	if (r < 0)
		return r;
	for (const char *p = text; *p;) {
		size_t len = strcspn(p, "\n") + 1;

		len -= p[len - 1] != '\n';
		if (str_starts(p, "pool ") || str_starts(p, "server "))
			strbuf_puts(&b, "#");
		strbuf_add(&b, p, len);
		p += len;
	}
	return file_write_in_root(cf->root_fd, path, b.data ? b.data : "", 0644, e);
}

static int set_chrony(struct configure *cf, const struct ks_doc *doc, struct err *e)
{
	autostrbuf b = {0};
	int r;

	strbuf_puts(&b, "# From the kickstart.\n");
	for (const struct ks_cmd *c = NULL; (c = ks_next(doc, "timesource", c));) {
		const char *server = ks_str(c, "ntp-server"), *pool = ks_str(c, "ntp-pool");

		if (server || pool)
			strbuf_printf(&b, "%s %s iburst%s\n", server ? "server" : "pool",
				server ? server : pool, ks_flag(c, "nts") ? " nts" : "");
	}
	r = comment_pools(cf, e);
	if (r == 0)
		r = intree_write(
			cf->root_fd, "/etc/chrony/sources.d/kickstart.sources", b.data, 0644, e);
	return r;
}

static int set_timesyncd(struct configure *cf, const struct ks_doc *doc, struct err *e)
{
	autostrbuf b = {0};

	strbuf_puts(&b, "# From the kickstart.\n[Time]\nNTP=");
	for (const struct ks_cmd *c = NULL; (c = ks_next(doc, "timesource", c));) {
		const char *server = ks_str(c, "ntp-server"), *pool = ks_str(c, "ntp-pool");

		if (ks_flag(c, "nts"))
			configure_warn(cf, c, "--nts needs package 'chrony'");
		if (server || pool)
			strbuf_printf(&b, " %s", server ? server : pool);
	}
	strbuf_putc(&b, '\n');
	return intree_write(
		cf->root_fd, "/etc/systemd/timesyncd.conf.d/50-kickstart.conf", b.data, 0644, e);
}

static int switch_time(struct configure *cf, const char *verb, struct err *e)
{
	static const char *const units[][2] = {
		{"/usr/sbin/chronyd", "chrony.service"},
		{"/usr/lib/systemd/systemd-timesyncd", "systemd-timesyncd.service"},
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(units); i++)
		if (intree_has(cf->root_fd, units[i][0]))
			r = configure_systemctl(cf, verb, units[i][1], e);
	return r;
}

int configure_timesource(struct configure *cf, struct err *e)
{
	const struct ks_cmd *first = ks_next(cf->doc, "timesource", NULL);
	bool disable = false, any = false;
	int r = 0;

	for (const struct ks_cmd *c = NULL; r == 0 && (c = ks_next(cf->doc, "timesource", c));) {
		const char *server = ks_str(c, "ntp-server"), *pool = ks_str(c, "ntp-pool");

		disable |= ks_flag(c, "ntp-disable");
		any |= server || pool;
		if (server || pool)
			r = check_word(c, "time source", server ? server : pool, e);
	}
	if (r < 0 || !first)
		return r;
	if (disable && any)
		configure_warn(cf, first, "timesource: --ntp-disable beats the servers");
	if (disable)
		return configure_wrap(first, switch_time(cf, "disable", e), e);
	if (!any)
		return 0;
	/* The image's recipe may have switched it off. */
	if (cf->params->is_node)
		r = configure_wrap(first, switch_time(cf, "enable", e), e);
	if (r < 0)
		return r;
	if (intree_has(cf->root_fd, "/usr/sbin/chronyd"))
		return configure_wrap(first, set_chrony(cf, cf->doc, e), e);
	if (intree_has(cf->root_fd, "/usr/lib/systemd/systemd-timesyncd"))
		return configure_wrap(first, set_timesyncd(cf, cf->doc, e), e);
	configure_warn(cf, first, "neither chrony nor systemd-timesyncd is in this image");
	return 0;
}
