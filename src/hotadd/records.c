/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/xalloc.h"
#include "hotadd/copy.h"
#include "hotadd/hotadd.h"
#include "hotadd/lines.h"
#include "hotadd/records.h"
#include "hotadd/transaction-internal.h"
#include "image/image.h"
#include "image/intree.h"
#include "image/package-db.h"
#include "plugin/policy.h"

int hotadd_records(int root_fd, struct view *v, struct plugin_records *out, struct err *e)
{
	view_begin(v, root_fd);
	int r = view_add_folder(v, PLUGIN_RECORDS, e);

	if (r < 0)
		return r;
	view_end(v);
	return plugin_records_read(v->tree, out, e);
}

static bool is_there(int root_fd, const char *path)
{
	struct copy_place at;

	if (copy_place_open(root_fd, path, &at, NULL) < 0)
		return false;
	bool there = faccessat(at.fd, at.name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	close(at.fd);
	return there;
}

bool hotadd_is_added(int root_fd, const char *name)
{
	autofree char *path = transaction_kept_path(name);

	return is_there(root_fd, path);
}

bool hotadd_is_changing(int root_fd)
{
	return is_there(root_fd, PLUGIN_RECORDS "/" UNDO);
}

char *hotadd_file_path(const char *name)
{
	return xasprintf(PLUGIN_RECORDS "/%s" PLUGIN_SUFFIX, name);
}

int hotadd_added(int root_fd, struct strv *out, struct err *e)
{
	static const char suffix[] = TRANSACTION_KEPT;
	autostrv names = {0};
	int r = intree_list(root_fd, PLUGIN_RECORDS, &names, e);

	for (size_t i = 0; r == 0 && i < names.count; i++)
		if (str_ends(names.items[i], suffix))
			strv_take(out,
				xstrndup(names.items[i], strlen(names.items[i]) - strlen(suffix)));
	return r;
}

/* ---- are they what they were ---- */

PRINTF(2, 3)
static void wrong_line(struct strv *out, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	autofree char *text = xvasprintf(fmt, ap);
	va_end(ap);
	strv_take(out, str_printable(text));
}

/* What a plugin keeps there changes as it runs. */
static bool is_state(const struct plugin_manifest *m, const char *path)
{
	for (size_t i = 0; i < m->state.count; i++) {
		const char *state = m->state.items[i] + 1;
		size_t len = strlen(state);
		bool folder = str_ends(state, "/");

		if (folder ? strncmp(path, state, len) == 0 : str_eq(path, state))
			return true;
	}
	return false;
}

static bool is_everybodys(const char *path)
{
	return plugin_path_is_of_accounts(path) || plugin_path_is_common(path) ||
		str_eq(path, LINES_RULES);
}

const char *hotadd_difference(const struct files_entry *was, const struct files_entry *is)
{
	if (was->mode != is->mode)
		return (was->mode & S_IFMT) != (is->mode & S_IFMT) ? "is of another type"
								   : "has another mode";
	if (was->uid != is->uid || was->gid != is->gid)
		return "has another owner";
	if (S_ISLNK(was->mode) && !str_eq(was->target, is->target))
		return "leads elsewhere";
	if (S_ISREG(was->mode) && memcmp(was->sha256, is->sha256, SHA256_BYTES) != 0)
		return "has changed";
	return NULL;
}

static const char *difference(const struct files_entry *was, const struct files_entry *is)
{
	const char *how = hotadd_difference(was, is);

	if (!how && !xattrs_equal(was->xattrs, was->xattr_count, is->xattrs, is->xattr_count))
		how = "has other extended attributes";
	return how;
}

static int look_at_files(
	int root_fd, const struct plugin_record *rec, struct tree *t, struct err *e)
{
	for (size_t i = 0; i < rec->files->count; i++) {
		struct copy_place at;
		const char *path = rec->files->entries[i].path;
		int r = copy_place_find(root_fd, path, &at, NULL);

		if (r == 0)
			continue;
		if (r < 0)
			return err_set(e, -r, "'/%s' cannot be looked at", path);
		r = tree_look(t, at.fd, at.name, path, e);
		close(at.fd);
		if (r < 0)
			return r;
	}
	tree_sort(t);
	return 0;
}

int hotadd_files_now(
	int root_fd, const struct plugin_record *rec, struct files **out, struct err *e)
{
	autoptr(tree) t = view_tree_new(root_fd);
	int r = look_at_files(root_fd, rec, t, e);

	return r == 0 ? files_compute(t, out, NULL, e) : r;
}

static int verify_packages(
	int root_fd, const struct plugin_record *rec, struct strv *wrong, struct err *e)
{
	autoview v = {0};
	automanifest db = {0};

	view_begin(&v, root_fd);
	int r = view_add(&v, "var/lib/dpkg/status", e);
	if (r < 0)
		return r;
	view_end(&v);
	r = packages_read(v.tree, &db, e);
	for (size_t i = 0; r == 0 && i < rec->manifest.package_count; i++) {
		const struct plugin_package *p = &rec->manifest.packages[i];
		bool found = false;

		for (size_t k = 0; k < db.package_count; k++)
			found |= str_eq(db.packages[k].name, p->name) &&
				str_eq(db.packages[k].version, p->version);
		if (!found)
			wrong_line(wrong, "package '%s' %s is not installed", p->name, p->version);
	}
	return r;
}

int hotadd_verify(int root_fd, const struct plugin_record *rec, struct strv *wrong, struct err *e)
{
	autoptr(files) now = NULL;
	int r = hotadd_files_now(root_fd, rec, &now, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < rec->files->count; i++) {
		const struct files_entry *was = &rec->files->entries[i];
		const struct files_entry *is = files_find(now, was->path);

		if (is_everybodys(was->path) || is_state(&rec->manifest, was->path))
			continue;
		const char *how = is ? difference(was, is) : "is missing";
		if (how)
			wrong_line(wrong, "'/%s' %s", was->path, how);
	}
	for (size_t i = 0; i < rec->removed.count; i++) {
		struct copy_place at;

		if (copy_place_open(root_fd, rec->removed.items[i], &at, NULL) < 0)
			continue;
		if (faccessat(at.fd, at.name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			wrong_line(wrong, "'/%s' is there again", rec->removed.items[i]);
		close(at.fd);
	}
	return verify_packages(root_fd, rec, wrong, e);
}
