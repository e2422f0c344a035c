/* SPDX-License-Identifier: Apache-2.0 */
/* What the kickstart wants of an image, asked before anything is written. */
#include <string.h>

#include "base/str.h"
#include "base/xalloc.h"
#include "image/image.h"
#include "install/configure-node.h"

#define PASSWD_MAX_BYTES (4 * MIB)

static int refuse(const struct ks_cmd *c, struct err *e, const char *what, const char *value)
{
	return err_set(e, EINVAL, "%s:%u: %s%s%s%s", ks_file(c), ks_line(c), what,
		value ? " '" : "", value ? value : "", value ? "'" : "");
}

static int check_firewall(const struct ks_doc *doc, struct tree *t, struct err *e)
{
	const struct ks_cmd *c = ks_next(doc, "firewall", NULL);

	if (!c || ks_flag(c, "use-system-defaults") || !ks_flag(c, "enabled") ||
		image_resolve(t, "usr/lib/systemd/system/nftables.service"))
		return 0;
	return refuse(c, e, "the firewall needs package 'nftables', which the image lacks", NULL);
}

static int check_timezone(const struct ks_doc *doc, struct tree *t, struct err *e)
{
	const struct ks_cmd *c = ks_next(doc, "timezone", NULL);
	const char *zone = c && ks_args(c)->count > 0 ? ks_args(c)->items[0] : "UTC";
	autofree char *path = xasprintf("usr/share/zoneinfo/%s", zone);

	if (str_eq(zone, "UTC") || str_eq(zone, "Etc/UTC") || image_resolve(t, path))
		return 0;
	return refuse(c, e, "the image has no time zone", zone);
}

static bool is_new_user(const struct ks_doc *doc, const char *name)
{
	for (const struct ks_cmd *c = NULL; (c = ks_next(doc, "user", c));)
		if (str_eq(ks_str(c, "name"), name))
			return true;
	return false;
}

static int check_sshkeys(const struct ks_doc *doc, struct tree *t, struct err *e)
{
	autofree char *text = NULL;

	if (!ks_next(doc, "sshkey", NULL))
		return 0;
	int r = image_read(t, "etc/passwd", PASSWD_MAX_BYTES, &text, NULL, e);
	if (r < 0)
		return r;
	autofree char *lines = xasprintf("\n%s", text);
	for (const struct ks_cmd *c = NULL; (c = ks_next(doc, "sshkey", c));) {
		const char *name = ks_str(c, "username");
		autofree char *line = xasprintf("\n%s:", name);

		if (!strstr(lines, line) && !is_new_user(doc, name))
			return refuse(c, e, "sshkey: there is no user", name);
	}
	return 0;
}

int node_precheck(const struct ks_doc *doc, struct tree *image_tree, struct err *e)
{
	int r = check_firewall(doc, image_tree, e);

	if (r == 0)
		r = check_timezone(doc, image_tree, e);
	return r == 0 ? check_sshkeys(doc, image_tree, e) : r;
}
