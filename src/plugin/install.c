/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/install.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/cmd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "image/firewall.h"
#include "image/image.h"
#include "image/intree.h"
#include "image/scripts.h"
#include "image/scrub.h"
#include "sys/chroot.h"

#define STAGING        "/.bedplate-plugin" /* packages, while they are installed */
#define RULESET_PATH   "/etc/nftables.conf"
#define RULESET_MAX    (1 * MIB)
#define BOOT_CONF_MAX  (64 * KIB)
#define DPKG_LINE_SIZE 256

/* dpkg says what is wrong in the line behind the one that names the package. */
struct dpkg_said {
	bool next;
	char line[DPKG_LINE_SIZE];
};

static void watch_dpkg(void *ctx, const char *line)
{
	struct dpkg_said *said = ctx;

	if (said->next && !said->line[0])
		snprintf(said->line, sizeof(said->line), "%s", line + strspn(line, " \t"));
	said->next = str_starts(line, "dpkg: error") || str_starts(line, "dpkg: dependency");
}

static void begin(const struct plugin_place *place, const struct chroot *root, struct cmd *c)
{
	if (place->on_node)
		chroot_cmd_init_guarded(root, c);
	else
		chroot_cmd_init(root, c);
	c->log_fd = place->log_fd;
	cmd_env(c, "SOURCE_DATE_EPOCH=%lld", (long long)place->source_date);
	/* The kernel's hooks make no initramfs: the image gets one, at the end. */
	cmd_env(c, "INITRD=No");
}

static int run_dpkg(const struct plugin_place *place, const char *action, const char *folder,
	const struct strv *what, struct err *e)
{
	autoptr(chroot) root = NULL;
	struct dpkg_said said = {0};
	autocmd c = {.on_line = watch_dpkg, .on_line_ctx = &said};
	int r = chroot_open(place->tree_path, &root, e);

	if (r < 0)
		return r;
	begin(place, root, &c);
	cmd_add(&c, "dpkg", "--force-unsafe-io", action, "--", NULL);
	for (size_t i = 0; i < what->count; i++)
		cmd_addf(&c, "%s%s%s", folder, *folder ? "/" : "", what->items[i]);
	r = cmd_run(&c, e);
	if (r == -EPROTO && said.line[0]) {
		autofree char *safe = str_printable(said.line);

		return err_set(e, EPROTO, "dpkg: %s", safe);
	}
	return r;
}

int plugin_install_debs(const struct plugin_place *place, const char *folder,
	const struct strv *files, struct err *e)
{
	return run_dpkg(place, "--install", folder, files, e);
}

int plugin_remove_debs(const struct plugin_place *place, const struct strv *names, struct err *e)
{
	return run_dpkg(place, "--purge", "", names, e);
}

static int stage(const struct candidate *x, const struct plugin_place *place,
	const struct plugin_package *p, const char *name, struct err *e)
{
	autofree char *path = xasprintf(STAGING "/%s", name);
	autofd int fd = file_open_in_root(
		place->root_fd, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, e);

	return fd < 0 ? fd : plugin_extract(x->file, &x->plugin, &p->member, fd, e);
}

static int stage_and_install(
	const struct candidate *x, const struct plugin_place *place, struct err *e)
{
	autostrv files = {0};
	int r = file_make_folder_in_root(place->root_fd, STAGING, e);

	for (size_t i = 0; r == 0 && i < x->install_count; i++) {
		strv_add(&files, x->install[i]->member.file + strlen(PLUGIN_PACKAGES));
		r = stage(x, place, x->install[i], files.items[i], e);
	}
	return r == 0 ? plugin_install_debs(place, STAGING, &files, e) : r;
}

static int install_packages(
	const struct candidate *x, const struct plugin_place *place, struct err *e)
{
	int r;

	if (x->install_count == 0)
		return 0;
	r = intree_remove(place->root_fd, STAGING, e);
	if (r == 0)
		r = stage_and_install(x, place, e);
	if (r == 0)
		r = intree_remove(place->root_fd, STAGING, e);
	return r;
}

static int enable_services(
	const struct candidate *x, const struct plugin_place *place, struct err *e)
{
	const struct strv *units = &x->plugin.recipe->services;
	autoptr(chroot) root = NULL;
	autocmd c = {0};
	int r;

	if (units->count == 0)
		return 0;
	r = chroot_open(place->tree_path, &root, e);
	if (r < 0)
		return r;
	begin(place, root, &c);
	cmd_add(&c, "systemctl", "--quiet", "enable", "--", NULL);
	for (size_t i = 0; i < units->count; i++)
		cmd_add(&c, units->items[i], NULL);
	r = cmd_run(&c, e);
	return r < 0 ? err_wrap(e, r, "services") : 0;
}

/* Without rules of a firewall everything is open. */
static int open_ports(const struct candidate *x, const struct plugin_place *place, struct err *e)
{
	const struct strv *ports = &x->plugin.recipe->ports;
	autofree char *old = NULL, *text = NULL;
	int r;

	if (ports->count == 0 || !intree_has(place->root_fd, RULESET_PATH))
		return 0;
	r = file_read_in_root(place->root_fd, RULESET_PATH, RULESET_MAX, &old, e);
	if (r == 0)
		r = firewall_open_ports(old, ports, &text, e);
	if (r == 0)
		r = intree_write(place->root_fd, RULESET_PATH, text, 0755, e);
	return r < 0 ? err_wrap(e, r, "'" RULESET_PATH "'") : 0;
}

static void add_arguments(struct strbuf *b, const char *old, const struct plugin_recipe *recipe)
{
	autofree char *copy = xstrdup(old);
	char *rest = copy;
	autostrv words = {0};

	for (char *word; (word = str_next_word(&rest, " \t"));)
		if (!strv_has(&recipe->kernel_remove, word))
			strv_add(&words, word);
	for (size_t i = 0; i < recipe->kernel_add.count; i++)
		if (!strv_has(&words, recipe->kernel_add.items[i]))
			strv_add(&words, recipe->kernel_add.items[i]);
	strbuf_puts(b, "append=");
	for (size_t i = 0; i < words.count; i++)
		strbuf_printf(b, "%s%s", i > 0 ? " " : "", words.items[i]);
	strbuf_putc(b, '\n');
}

static int set_arguments(const struct candidate *x, const struct plugin_place *place, struct err *e)
{
	const struct plugin_recipe *recipe = x->plugin.recipe;
	autofree char *old = NULL;
	autostrbuf b = {0};
	bool found = false;
	char *rest;
	int r;

	if (recipe->kernel_add.count + recipe->kernel_remove.count == 0)
		return 0;
	r = file_read_in_root(place->root_fd, BOOT_CONF_PATH, BOOT_CONF_MAX, &old, e);
	if (r < 0 && r != -ENOENT)
		return r;
	rest = old;
	for (char *line; rest && (line = str_next_word(&rest, "\n"));) {
		if (str_starts(line, "append=")) {
			add_arguments(&b, line + strlen("append="), recipe);
			found = true;
		} else {
			strbuf_printf(&b, "%s\n", line);
		}
	}
	if (!found)
		add_arguments(&b, "", recipe);
	if (e)
		*e = (struct err){0};
	return intree_write(place->root_fd, BOOT_CONF_PATH, b.data, 0644, e);
}

int plugin_install(const struct candidate *x, const struct plugin_place *place, struct err *e)
{
	const struct scripts_env env = {.tree_path = place->tree_path,
		.source_date = place->source_date,
		.log_fd = place->log_fd,
		.is_plugin = true,
		.guarded = place->on_node};
	int r = scripts_run(x->plugin.recipe->doc, KS_PRE, &env, NULL, e);

	if (r == 0)
		r = install_packages(x, place, e);
	if (r == 0)
		r = enable_services(x, place, e);
	if (r == 0)
		r = open_ports(x, place, e);
	if (r == 0 && !place->on_node)
		r = set_arguments(x, place, e);
	if (r == 0)
		r = scripts_run(x->plugin.recipe->doc, KS_POST, &env, NULL, e);
	if (r == 0 && !place->on_node)
		r = scrub_tree(place->root_fd, e);
	return r < 0 ? err_wrap(e, r, "plugin '%s'", x->plugin.manifest.name) : 0;
}
