/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/layer-fresh.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/xalloc.h"

#define OPAQUE "trusted.overlay.opaque"

/* Without these the node would not find its volumes, or would be another machine. */
static const char *const always[] = {"etc/crypttab", "etc/fstab", "etc/machine-id", NULL};

static const char *const network[] = {
	"etc/NetworkManager/system-connections",
	"etc/hostname",
	"etc/hosts",
	"etc/network",
	"etc/resolv.conf",
	"etc/systemd/network",
	NULL,
};
static const char *const accounts[] = {
	"etc/group",
	"etc/gshadow",
	"etc/passwd",
	"etc/shadow",
	"etc/subgid",
	"etc/subuid",
	"etc/sudoers.d",
	"home",
	"root/.ssh",
	NULL,
};
static const char *const ssh[] = {"etc/ssh", NULL};

static const struct {
	const char *name;
	const char *const *paths;
} groups[] = {
	{"accounts", accounts},
	{"network", network},
	{"ssh", ssh},
};

static void add_all(struct strv *out, const char *const *paths)
{
	for (; *paths; paths++)
		strv_add(out, *paths);
}

static int add_path(const char *text, struct strv *out, struct err *e)
{
	autofree char *copy = xstrdup(text);
	autostrbuf path = {0};
	char *rest = copy;

	for (char *part; (part = str_next_word(&rest, "/"));) {
		if (str_eq(part, "..") || str_eq(part, "."))
			return err_set(e, EINVAL, "bad path '%s' to keep: '%s' in it", text, part);
		strbuf_printf(&path, "%s%s", path.len ? "/" : "", part);
	}
	if (path.len == 0)
		return err_set(e, EINVAL, "to keep '%s' would be to keep all", text);
	strv_take(out, strbuf_take(&path));
	return 0;
}

int fresh_paths(const struct strv *keep, struct strv *out, struct err *e)
{
	int r = 0;

	add_all(out, always);
	for (size_t i = 0; r == 0 && i < keep->count; i++) {
		const char *item = keep->items[i];
		size_t g = 0;

		while (g < ARRAY_LEN(groups) && !str_eq(item, groups[g].name))
			g++;
		if (g < ARRAY_LEN(groups))
			add_all(out, groups[g].paths);
		else if (item[0] == '/')
			r = add_path(item, out, e);
		else
			r = err_set(e, EINVAL,
				"cannot keep '%s': expected a path from / on, network, accounts or "
				"ssh",
				item);
	}
	return r;
}

/* Whether path is below folder, or it. */
static bool is_within(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return strncmp(path, folder, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static bool is_kept(const char *path, const struct strv *paths)
{
	for (size_t i = 0; i < paths->count; i++)
		if (is_within(path, paths->items[i]))
			return true;
	return false;
}

static bool is_on_the_way(const char *path, const struct strv *paths)
{
	for (size_t i = 0; i < paths->count; i++)
		if (*path == '\0' || is_within(paths->items[i], path))
			return true;
	return false;
}

static bool is_wanted(const struct tree_entry *en, const void *ctx)
{
	return is_kept(en->path, ctx) || (S_ISDIR(en->mode) && is_on_the_way(en->path, ctx));
}

/* A folder that only leads somewhere no longer hides what the base has in it. */
static void drop_opaque(struct tree_entry *en)
{
	for (size_t i = 0; i < en->xattr_count; i++) {
		if (!str_eq(en->xattrs[i].name, OPAQUE))
			continue;
		free(en->xattrs[i].name);
		free(en->xattrs[i].value);
		memmove(&en->xattrs[i], &en->xattrs[i + 1],
			(en->xattr_count - i - 1) * sizeof(*en->xattrs));
		en->xattr_count--;
		return;
	}
}

void fresh_filter(struct tree *upper, const struct strv *paths)
{
	tree_keep(upper, is_wanted, paths);
	for (size_t i = 0; i < upper->count; i++)
		if (!is_kept(upper->entries[i].path, paths))
			drop_opaque(&upper->entries[i]);
}
