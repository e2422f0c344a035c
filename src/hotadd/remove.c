/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "hotadd/copy.h"
#include "hotadd/hotadd.h"
#include "hotadd/run.h"
#include "image/intree.h"
#include "plugin/install.h"

#define TEXT_MAX_BYTES (64 * MIB)
#define DPKG_INFO      "/var/lib/dpkg/info"

struct removal {
	struct run run;
	const struct plugin_record *record;
	struct undo_list kept;
	int kept_fd;
	struct plugin_policy *policy;
	struct strv owned; /* paths of packages, sorted, once they were read */
	bool owned_read;
};

static void removal_fini(struct removal *m)
{
	run_fini(&m->run);
	undo_list_fini(&m->kept);
	strv_fini(&m->owned);
	plugin_policy_free(m->policy);
	if (m->kept_fd >= 0)
		close(m->kept_fd);
}

static int open_record(struct removal *m, const char *name, struct err *e)
{
	struct run *run = &m->run;
	autoview v = {0};
	int r = hotadd_records(run->site->root_fd, &v, &run->records, e);

	if (r < 0)
		return r;
	m->record = plugin_records_find(&run->records, name);
	if (!m->record)
		return err_set(e, ENOENT, "there is no plugin '%s' on this node", name);
	if (!hotadd_is_added(run->site->root_fd, name))
		return err_set(e, EPERM,
			"plugin '%s' is part of the image: 'bedplate plugin remove' makes one "
			"without it",
			name);
	return transaction_kept(run->site->root_fd, name, &m->kept, &m->kept_fd, e);
}

/* What another plugin brings as well, and did not have to install. */
static int check_others(const struct removal *m, struct err *e)
{
	for (size_t i = 0; i < m->run.records.count; i++) {
		const struct plugin_record *other = &m->run.records.items[i];

		for (size_t k = 0; other != m->record && k < m->kept.packages.count; k++)
			if (plugin_manifest_package(&other->manifest, m->kept.packages.items[k]))
				return err_set(e, EBUSY,
					"plugin '%s' has package '%s', too: remove it first",
					other->manifest.name, m->kept.packages.items[k]);
	}
	return 0;
}

static void fill_plan(const struct removal *m, struct hotadd_plan *plan)
{
	const struct plugin_manifest *pm = &m->record->manifest;

	plan->removes = true;
	plan->name = xstrdup(pm->name);
	plan->version = xstrdup(pm->version);
	for (size_t i = 0; i < m->kept.packages.count; i++) {
		const struct plugin_package *p = plugin_manifest_package(
			pm, m->kept.packages.items[i]);

		strv_take(&plan->install,
			xasprintf("%s %s", m->kept.packages.items[i], p ? p->version : "?"));
	}
	strv_add_all(&plan->services, &pm->services);
	strv_add_all(&plan->ports, &pm->ports);
}

/* ---- in the copy: what was there before ---- */

static int restore_copy(const struct removal *m, const struct undo_item *item,
	const struct copy_place *at, struct err *e)
{
	const struct copy_place from = {.fd = m->kept_fd, .name = item->copy};

	if (unlinkat(at->fd, at->name, 0) < 0 && errno != ENOENT)
		return err_errno(e, "removing");
	return copy_object(&from, at, e);
}

/* Many write to it: what others have done since stays. */
static int restore_text(const struct removal *m, const struct undo_item *item,
	const struct copy_place *at, struct err *e)
{
	autoundotext text = {0};
	int r = undo_text_read(m->kept_fd, item, m->run.stage.tree_fd, item->path, &text, e);

	if (r < 0)
		return r;
	return text.is_known ? restore_copy(m, item, at, e) : undo_text_put(&text, at, e);
}

/* 0: nothing is there. */
static unsigned type_at(const struct copy_place *at)
{
	struct stat st;

	return fstatat(at->fd, at->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_mode & S_IFMT;
}

static bool leads_to(const struct copy_place *at, const char *target)
{
	char text[PATH_MAX + 1];
	ssize_t len = readlinkat(at->fd, at->name, text, PATH_MAX);

	if (len < 0)
		return false;
	text[len] = '\0';
	return str_eq(text, target);
}

/* 1: as the plugin has left it. */
static int is_as_recorded(
	const struct removal *m, const char *path, const struct copy_place *at, struct err *e)
{
	const struct files_entry *was = files_find(m->record->files, path);
	unsigned now = type_at(at);
	uint8_t sum[SHA256_BYTES];

	if (!was)
		return 1;
	if (now != (was->mode & S_IFMT))
		return 0;
	if (S_ISLNK(was->mode))
		return leads_to(at, was->target);
	if (!S_ISREG(was->mode))
		return 1;
	autofd int fd = file_open_beneath(
		m->run.stage.tree_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, NULL);
	if (fd < 0)
		return 0;
	autoptr(source) s = NULL;
	int r = source_open_fd(take_fd(&fd), &s, e);
	if (r == 0)
		r = sha256_source(s, sum, e);
	return r < 0 ? r : memcmp(sum, was->sha256, SHA256_BYTES) == 0;
}

static int keep(const struct removal *m, const struct undo_item *item, const char *why)
{
	strv_take(&m->run.plan->notes, xasprintf("'/%s' %s, and stays", item->path, why));
	return 0;
}

/* Of another type than before.  1: it is gone. */
static int clear_place(const struct removal *m, const struct undo_item *item,
	const struct copy_place *at, struct err *e)
{
	bool folder = type_at(at) == S_IFDIR;

	if (unlinkat(at->fd, at->name, folder ? AT_REMOVEDIR : 0) == 0)
		return 1;
	if (errno == ENOTEMPTY || errno == EEXIST)
		return keep(m, item, "is a folder with other things in it");
	return err_errno(e, "removing");
}

static int restore_file(const struct removal *m, const struct undo_item *item,
	const struct copy_place *at, struct err *e)
{
	const struct copy_place from = {.fd = m->kept_fd, .name = item->copy};
	unsigned was = type_at(&from), now = type_at(at);

	if (was == 0)
		return err_set(e, ENOENT, "the copy of it is gone");
	if (item->after && now == S_IFREG)
		return restore_text(m, item, at, e);
	if (now != 0 && now != S_IFDIR && strv_has(&m->record->removed, item->path))
		return keep(m, item, "was removed by the plugin and made again since");
	if (was == S_IFDIR && now == S_IFDIR)
		return 0;
	int r = now == 0 ? 1 : is_as_recorded(m, item->path, at, e);
	if (r == 0)
		return keep(m, item, "was changed since the plugin changed it");
	if (r > 0 && now != 0 && now != was)
		r = clear_place(m, item, at, e);
	if (r <= 0)
		return r;
	return was == S_IFDIR ? copy_object(&from, at, e) : restore_copy(m, item, at, e);
}

/* ---- folders of the plugin, and what is not its own in them ---- */

static int compare_paths(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* As dpkg has it, in the tree: /lib/x is /usr/lib/x when /lib is a link. */
static void own_path(const struct removal *m, const char *line, struct strv *out)
{
	const char *path = line + strspn(line, "/");
	autofree char *first = xstrndup(path, strcspn(path, "/"));
	char target[8];

	if (!*path || str_eq(path, "."))
		return;
	bool merged = readlinkat(m->run.stage.tree_fd, first, target, sizeof(target)) >= 4 &&
		memcmp(target, "usr/", 4) == 0;
	strv_take(out, xasprintf("%s%s", merged ? "usr/" : "", path));
}

static int read_owned(struct removal *m, struct err *e)
{
	autofd int info_fd = file_open_in_root(
		m->run.stage.tree_fd, DPKG_INFO, O_RDONLY | O_DIRECTORY, 0, e);
	autofree char *proc = xasprintf("/proc/self/fd/%d", info_fd);
	autostrv names = {0};
	int r = info_fd < 0 ? info_fd : file_list(proc, &names, e);

	for (size_t i = 0; r == 0 && i < names.count; i++) {
		autofree char *text = NULL;

		if (!str_ends(names.items[i], ".list"))
			continue;
		r = file_read_in_root(info_fd, names.items[i], TEXT_MAX_BYTES, &text, e);
		char *rest = text;
		for (char *line; r == 0 && (line = str_next_word(&rest, "\n"));)
			own_path(m, line, &m->owned);
	}
	strv_sort(&m->owned);
	m->owned_read = r == 0;
	return r;
}

/* How long the longest of the declared places is that a path is at or below; 0: there is none. */
static size_t declared_len(
	const struct removal *m, const struct plugin_manifest *pm, const char *path)
{
	const struct strv *const lists[] = {&pm->writes, &pm->state};
	size_t longest = 0;

	for (size_t k = 0; k < ARRAY_LEN(lists); k++)
		for (size_t i = 0; i < lists[k]->count; i++) {
			const char *place = lists[k]->items[i];
			autofree char *real = plugin_real_path(
				m->run.view.tree, place, str_ends(place, "/"));
			size_t len = real ? strlen(real) : 0;

			if (len > longest && strncmp(path, real, len) == 0 &&
				(path[len] == '/' || path[len] == '\0'))
				longest = len;
		}
	return longest;
}

/* What is in places of several plugins is of the one that says it most closely. */
static bool is_declared_by_others(const struct removal *m, const char *path)
{
	size_t own = declared_len(m, &m->record->manifest, path);

	for (size_t i = 0; i < m->run.records.count; i++) {
		const struct plugin_record *other = &m->run.records.items[i];

		if (other != m->record && declared_len(m, &other->manifest, path) >= MAX(own, 1))
			return true;
	}
	return false;
}

static bool is_owned(const struct removal *m, const char *path)
{
	const char *owner = plugin_records_owner(&m->run.records, path);

	if (owner && !str_eq(owner, m->record->manifest.name))
		return true;
	if (is_declared_by_others(m, path))
		return true;
	return m->owned.count > 0 &&
		bsearch(&path, m->owned.items, m->owned.count, sizeof(*m->owned.items),
			compare_paths);
}

static int sweep(
	const struct removal *m, const struct copy_place *at, const char *path, struct err *e);

/* What others have stays, with all that is in it. */
static int sweep_below(
	const struct removal *m, const struct copy_place *at, const char *path, struct err *e)
{
	if (is_owned(m, path))
		return 0;
	if (type_at(at) == S_IFDIR)
		return sweep(m, at, path, e);
	return unlinkat(at->fd, at->name, 0) < 0 ? err_errno(e, "removing '/%s'", path) : 0;
}

/* The folders on the way to what stays do so, too. */
static int sweep(
	const struct removal *m, const struct copy_place *at, const char *path, struct err *e)
{
	autofree char *proc = copy_place_path(at);
	autostrv names = {0};
	int r = copy_place_mounted(at, e);

	if (r != 0)
		return MIN(r, 0);
	autofd int fd = openat(at->fd, at->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = fd < 0 ? err_errno(e, "opening") : file_list(proc, &names, e);
	for (size_t i = 0; r == 0 && i < names.count; i++) {
		autofree char *below = xasprintf("%s/%s", path, names.items[i]);
		const struct copy_place in = {.fd = fd, .name = names.items[i]};

		r = sweep_below(m, &in, below, e);
	}
	if (r == 0 && !is_owned(m, path) && unlinkat(at->fd, at->name, AT_REMOVEDIR) < 0 &&
		errno != ENOTEMPTY && errno != EEXIST && errno != EBUSY)
		r = err_errno(e, "removing");
	return r;
}

static int sweep_own(
	struct removal *m, const struct copy_place *at, const char *path, struct err *e)
{
	int r = m->owned_read ? 0 : read_owned(m, e);

	return r == 0 ? sweep(m, at, path, e) : r;
}

/* Where it writes and keeps its state a folder goes with what is nobody else's; others when they are empty. */
static int remove_file(
	struct removal *m, const struct undo_item *item, const struct copy_place *at, struct err *e)
{
	unsigned type = type_at(at);

	if (type == 0)
		return 0;
	if (type != S_IFDIR)
		return unlinkat(at->fd, at->name, 0) < 0 ? err_errno(e, "removing") : 0;
	if (unlinkat(at->fd, at->name, AT_REMOVEDIR) == 0)
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return err_errno(e, "removing");
	return plugin_policy_declares(m->policy, item->path) ? sweep_own(m, at, item->path, e) : 0;
}

static int restore_item(
	struct removal *m, const struct undo_item *item, bool removes, struct err *e)
{
	struct copy_place at;

	/* dpkg and its friends have seen to the database. */
	if (!*item->path || plugin_path_is_common(item->path) || removes != !item->copy)
		return 0;
	int r = copy_place_find(m->run.stage.tree_fd, item->path, &at, NULL);
	if (r <= 0)
		return r < 0 ? err_set(e, -r, "'/%s' cannot be reached", item->path) : 0;
	r = removes ? remove_file(m, item, &at, e) : restore_file(m, item, &at, e);
	close(at.fd);
	return r < 0 ? err_wrap(e, r, "'/%s'", item->path) : 0;
}

static int drop_records(const struct removal *m, struct err *e)
{
	const char *name = m->record->manifest.name;
	autofree char *json = xasprintf("/" PLUGIN_RECORDS "/%s.json", name);
	autofree char *list = xasprintf("/" PLUGIN_RECORDS "/%s.files", name);
	autofree char *kept = transaction_kept_path(name);
	autofree char *kept_path = xasprintf("/%s", kept);
	autofree char *file = hotadd_file_path(name);
	autofree char *file_path = xasprintf("/%s", file);
	int r = intree_remove(m->run.stage.tree_fd, json, e);

	if (r == 0)
		r = intree_remove(m->run.stage.tree_fd, list, e);
	if (r == 0)
		r = intree_remove(m->run.stage.tree_fd, file_path, e);
	return r == 0 ? intree_remove(m->run.stage.tree_fd, kept_path, e) : r;
}

static int change_copy(struct removal *m, struct err *e)
{
	struct run *run = &m->run;
	struct plugin_place place;
	int r = run_open_stage(run, &place, e);

	if (r < 0)
		return r;
	if (m->kept.packages.count > 0)
		r = plugin_remove_debs(&place, &m->kept.packages, e);
	for (size_t i = m->kept.count; r == 0 && i-- > 0;)
		r = restore_item(m, &m->kept.items[i], true, e);
	for (size_t i = 0; r == 0 && i < m->kept.count; i++)
		r = restore_item(m, &m->kept.items[i], false, e);
	return r == 0 ? drop_records(m, e) : r;
}

/* Logs and caches are of the moment and no part of a transaction: folders that came with it, when it has gone. */
static void drop_moments(struct removal *m)
{
	for (size_t i = m->kept.count; i-- > 0;) {
		const struct undo_item *item = &m->kept.items[i];
		struct copy_place at;
		struct err e = {0};

		if (item->copy ||
			!(str_starts(item->path, "var/log/") ||
				str_starts(item->path, "var/cache/")) ||
			copy_place_open(m->run.site->root_fd, item->path, &at, NULL) < 0)
			continue;
		if (type_at(&at) == S_IFDIR && sweep_own(m, &at, item->path, &e) < 0)
			log_warning("'/%s': %s", item->path, e.msg);
		close(at.fd);
	}
}

int hotadd_remove(const struct hotadd_site *s, const char *name, bool dry_run,
	struct hotadd_plan *plan, struct progress *p, struct err *e)
{
	auto_with(removal_fini) struct removal m = {
		.run = {.site = s, .plan = plan, .stage = STAGE_NONE}, .kept_fd = -1};
	autostrv none = {0};
	int r = open_record(&m, name, e);

	if (r == 0)
		r = check_others(&m, e);
	if (r == 0)
		r = run_begin(&m.run, e);
	/* Of the others as well: what they have in its folders stays. */
	for (size_t i = 0; r == 0 && i < m.run.records.count; i++)
		r = run_view(&m.run, &m.run.records.items[i].manifest, e);
	if (r < 0)
		return r;
	view_end(&m.run.view);
	m.run.policy = m.policy = plugin_policy_new(&m.record->manifest, m.run.view.tree);
	m.run.kept = &m.kept;
	fill_plan(&m, plan);
	progress_begin(p, "trying it on a copy", 0, "steps");
	r = change_copy(&m, e);
	progress_end(p);
	if (r == 0)
		r = run_judge(&m.run, e);
	if (r < 0)
		return err_wrap(e, r, "plugin '%s'", name);
	if (dry_run)
		return 0;
	r = run_carry_out(&m.run, &none, e);
	if (r < 0)
		return r;
	drop_moments(&m);
	return transaction_tidy(s->root_fd, e);
}
