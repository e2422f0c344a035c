/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/policy.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/str.h"
#include "base/xalloc.h"

#define LINKS_MAX 40 /* as the kernel */
#define UNITS     "etc/systemd/system"

struct plugin_policy {
	const struct plugin_manifest *m;
	struct strv paths;   /* single ones */
	struct strv folders; /* without a '/' at the end */
};

/* With a '/' at the end: all below, and the folder itself. */
static const char *const common[] = {
	"etc/.updated",
	"etc/ld.so.cache",
	"usr/lib/bedplate/apt/",
	"usr/lib/bedplate/debconf/",
	"usr/lib/bedplate/dpkg/",
	"usr/lib/bedplate/image.json",
	"usr/lib/bedplate/plugins/",
	"usr/share/factory/var/.updated",
	"var/.updated",
	"var/cache/",
	"var/lib/apt/",
	"var/lib/dpkg/",
	"var/lib/systemd/deb-systemd-helper-enabled/",
	"var/lib/systemd/deb-systemd-user-helper-enabled/",
	"var/log/",
};

static void drop_last(struct strbuf *path)
{
	const char *slash = path->data ? strrchr(path->data, '/') : NULL;

	path->len = slash ? (size_t)(slash - path->data) : 0;
	if (path->data)
		path->data[path->len] = '\0';
}

char *plugin_real_path(const struct tree *t, const char *path, bool follow)
{
	autofree char *todo = xstrdup(path); /* owns what rest points into */
	char *rest = todo;
	autostrbuf at = {0};
	unsigned links = 0;

	for (char *name; (name = str_next_word(&rest, "/"));) {
		if (str_eq(name, "."))
			continue;
		if (str_eq(name, "..")) {
			drop_last(&at);
			continue;
		}
		strbuf_printf(&at, "%s%s", at.len > 0 ? "/" : "", name);
		bool last = !rest || rest[strspn(rest, "/")] == '\0';
		const struct tree_entry *en = tree_find(t, at.data);

		if (!en || !S_ISLNK(en->mode) || (last && !follow))
			continue;
		if (++links > LINKS_MAX)
			return NULL;
		drop_last(&at);
		if (en->target[0] == '/') {
			at.len = 0;
			at.data[0] = '\0';
		}
		char *more = xasprintf("%s/%s", en->target, rest ? rest : "");
		free(todo);
		rest = todo = more;
	}
	return strbuf_take(&at);
}

static void add_paths(struct plugin_policy *p, const struct strv *declared, const struct tree *base)
{
	for (size_t i = 0; i < declared->count; i++) {
		const char *path = declared->items[i];
		bool is_folder = str_ends(path, "/");
		char *real = plugin_real_path(base, path, is_folder);

		/* Links that go round lead nowhere. */
		if (real && *real)
			strv_take(is_folder ? &p->folders : &p->paths, real);
		else
			free(real);
	}
}

struct plugin_policy *plugin_policy_new(const struct plugin_manifest *m, const struct tree *base)
{
	struct plugin_policy *p = xcalloc(1, sizeof(*p));

	p->m = m;
	add_paths(p, &m->writes, base);
	add_paths(p, &m->state, base);
	return p;
}

void plugin_policy_free(struct plugin_policy *p)
{
	if (!p)
		return;
	strv_fini(&p->paths);
	strv_fini(&p->folders);
	free(p);
}

static bool is_at_or_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return strncmp(path, folder, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

bool plugin_policy_declares(const struct plugin_policy *p, const char *path)
{
	for (size_t i = 0; i < p->folders.count; i++)
		if (is_at_or_below(path, p->folders.items[i]))
			return true;
	return strv_has(&p->paths, path);
}

bool plugin_path_is_common(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(common); i++) {
		size_t len = strlen(common[i]);
		bool is_folder = common[i][len - 1] == '/';

		if (str_eq(path, common[i]) || (is_folder && str_starts(path, common[i])) ||
			(is_folder && strlen(path) == len - 1 &&
				strncmp(path, common[i], len - 1) == 0))
			return true;
	}
	return false;
}

/* A folder on the way to something declared. */
static bool leads_to(const struct strv *paths, const char *folder)
{
	for (size_t i = 0; i < paths->count; i++)
		if (is_at_or_below(paths->items[i], folder))
			return true;
	return false;
}

/* Links by which systemctl enables a unit: named like it, or leading to it; and their folders. */
static bool enables_unit(const struct plugin_policy *p, const struct tree_entry *en)
{
	const char *slash = strrchr(en->path, '/');

	if (p->m->services.count == 0 || !is_at_or_below(en->path, UNITS))
		return false;
	if (S_ISDIR(en->mode))
		return str_ends(en->path, ".wants") || str_ends(en->path, ".requires");
	if (!S_ISLNK(en->mode))
		return false;
	const char *target = strrchr(en->target, '/');
	return strv_has(&p->m->services, slash + 1) ||
		strv_has(&p->m->services, target ? target + 1 : en->target);
}

static bool allows(
	const struct plugin_policy *p, const struct tree_entry *en, const char *path, bool is_new)
{
	const struct plugin_manifest *m = p->m;

	if (plugin_policy_declares(p, path) || plugin_path_is_common(path))
		return true;
	if (is_new && S_ISDIR(en->mode) &&
		(leads_to(&p->folders, path) || leads_to(&p->paths, path)))
		return true;
	if (m->ports.count > 0 && str_eq(path, "etc/nftables.conf"))
		return true;
	if (m->kernel_add.count + m->kernel_remove.count > 0 &&
		str_eq(path, "usr/lib/bedplate/boot.conf"))
		return true;
	if (m->module_count > 0 &&
		(fnmatch("usr/lib/modules/*/modules.*", path, FNM_PATHNAME) == 0 ||
			fnmatch("boot/initrd.img-*", path, FNM_PATHNAME) == 0))
		return true;
	return enables_unit(p, en);
}

bool plugin_policy_allows(const struct plugin_policy *p, const struct tree_entry *en, bool is_new)
{
	static const char factory[] = "usr/share/factory/var/";

	/* What is in /var is there for new nodes a second time. */
	if (str_starts(en->path, factory) &&
		allows(p, en, en->path + strlen(factory) - strlen("var/"), is_new))
		return true;
	return allows(p, en, en->path, is_new);
}

bool plugin_path_is_of_accounts(const char *path)
{
	static const char *const files[] = {
		"etc/passwd", "etc/group", "etc/shadow", "etc/gshadow", "etc/subuid", "etc/subgid"};

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (str_eq(path, files[i]))
			return true;
	return false;
}

int plugin_policy_check(
	const struct plugin_policy *p, const struct change *c, const char *owner, struct err *e)
{
	static const char *const verbs[] = {[CHANGE_ADDED] = "writes",
		[CHANGE_CHANGED] = "changes",
		[CHANGE_REMOVED] = "removes"};
	const char *name = p->m->name, *path = c->en->path;
	autofree char *safe = str_printable(path);

	if (!plugin_policy_allows(p, c->en, c->kind == CHANGE_ADDED))
		return err_set(e, EACCES, "plugin '%s' %s '/%s', which it does not declare", name,
			verbs[c->kind], safe);
	/* The rules of the firewall and the kernel's arguments are everybody's. */
	if (owner && plugin_policy_declares(p, path))
		return err_set(
			e, ENOTUNIQ, "plugins '%s' and '%s' both write '/%s'", owner, name, safe);
	if (S_ISCHR(c->en->mode) || S_ISBLK(c->en->mode))
		return err_set(e, EACCES, "plugin '%s' makes a device of '/%s'", name, safe);
	return 0;
}
