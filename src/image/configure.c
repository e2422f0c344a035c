/* SPDX-License-Identifier: Apache-2.0 */
#include "image/configure.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/cmd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "image/configure-step.h"
#include "image/image.h"
#include "image/intree.h"
#include "image/scripts.h"
#include "sys/chroot.h"

int configure_error(const struct ks_cmd *c, struct err *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	autofree char *text = xvasprintf(fmt, ap);
	va_end(ap);
	return err_set(e, EINVAL, "%s:%u: %s", ks_file(c), ks_line(c), text);
}

void configure_warn(const struct configure *cf, const struct ks_cmd *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	autofree char *text = xvasprintf(fmt, ap);
	va_end(ap);
	if (cf->params->dry_run)
		return;
	log_warning("%s:%u: %s", ks_file(c), ks_line(c), text);
	if (cf->log_fd > 0)
		dprintf(cf->log_fd, "warning: %s:%u: %s\n", ks_file(c), ks_line(c), text);
}

int configure_wrap(const struct ks_cmd *c, int r, struct err *e)
{
	return r < 0 ? err_wrap(e, r, "%s:%u", ks_file(c), ks_line(c)) : 0;
}

int configure_run(const struct configure *cf, const char *const argv[], struct err *e)
{
	autoptr(chroot) root = NULL;
	autocmd c = {.log_fd = cf->log_fd};
	int r;

	if (cf->params->dry_run)
		return 0;
	r = chroot_open(cf->tree_path, &root, e);
	if (r < 0)
		return r;
	chroot_cmd_init(root, &c);
	cmd_env(&c, "SOURCE_DATE_EPOCH=%lld", (long long)cf->params->source_date);
	for (size_t i = 0; argv[i]; i++)
		cmd_add(&c, argv[i], NULL);
	return cmd_run(&c, e);
}

int configure_systemctl(
	const struct configure *cf, const char *verb, const char *unit, struct err *e)
{
	const char *const argv[] = {"systemctl", "--quiet", verb, "--", unit, NULL};

	return configure_run(cf, argv, e);
}

int configure_selinux(struct configure *cf, struct err *e)
{
	static const char path[] = "/etc/selinux/config";
	const struct ks_cmd *c = ks_next(cf->doc, "selinux", NULL);
	const char *mode;

	if (!c)
		return 0;
	mode = ks_given(c, "disabled")      ? "disabled"
		: ks_given(c, "permissive") ? "permissive"
					    : "enforcing";
	if (!intree_has(cf->root_fd, path)) {
		if (!str_eq(mode, "disabled"))
			configure_warn(cf, c,
				"no SELinux in this image (package selinux-basics), '%s' does "
				"nothing",
				mode);
		return 0;
	}
	autofree char *text = xasprintf(
		"# From the kickstart.\nSELINUX=%s\nSELINUXTYPE=default\n", mode);
	return intree_write(cf->root_fd, path, text, 0644, e);
}

/* For what boots this image later: the kickstart's wishes, one NAME=VALUE a line. */
int configure_bootloader(struct configure *cf, struct err *e)
{
	const struct ks_cmd *c = ks_next(cf->doc, "bootloader", NULL);
	const char *append = c ? ks_str(c, "append") : NULL;
	autostrbuf b = {0};
	int64_t timeout;

	/* A node has a boot entry. */
	if (cf->params->is_node)
		return 0;
	if (append && strpbrk(append, "\n\r"))
		return configure_error(c, e, "--append of more than one line");
	strbuf_printf(&b, "append=%s\n", append ? append : "");
	if (c && ks_int(c, "timeout", &timeout))
		strbuf_printf(&b, "timeout=%lld\n", (long long)timeout);
	return intree_write(cf->root_fd, BOOT_CONF_PATH, b.data, 0644, e);
}

/* Users before their keys, and services last: what they name is there by then. */
static int (*const steps[])(struct configure *cf, struct err *e) = {
	configure_lang,
	configure_keyboard,
	configure_timezone,
	configure_timesource,
	configure_users,
	configure_sshkeys,
	configure_selinux,
	configure_network,
	configure_firewall,
	configure_services,
	configure_bootloader,
};

int configure_commands(const struct ks_doc *doc, const char *tree_path,
	const struct configure_params *params, int log_fd, struct progress *p, struct err *e)
{
	autofd int root_fd = open(tree_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct configure cf = {
		.doc = doc,
		.params = params,
		.tree_path = tree_path,
		.root_fd = root_fd,
		.log_fd = log_fd,
	};

	if (root_fd < 0)
		return err_errno(e, "'%s'", tree_path);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		int r = steps[i](&cf, e);

		if (r == 0 && p)
			r = progress_advance(p, i + 1, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int configure_tree(const struct ks_doc *doc, const char *tree_path,
	const struct configure_params *params, int log_fd, struct progress *p, struct err *e)
{
	const struct scripts_env env = {
		.tree_path = tree_path, .source_date = params->source_date, .log_fd = log_fd};
	int r = configure_commands(doc, tree_path, params, log_fd, p, e);

	return r == 0 ? scripts_run(doc, KS_POST, &env, p, e) : r;
}
