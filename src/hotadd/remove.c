/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "hotadd/copy.h"
#include "hotadd/hotadd.h"
#include "hotadd/lines.h"
#include "hotadd/run.h"
#include "image/intree.h"
#include "plugin/install.h"

#define TEXT_MAX_BYTES (64 * MIB)

struct removal {
	struct run run;
	const struct plugin_record *record;
	struct undo_list kept;
	int kept_fd;
	struct plugin_policy *policy;
};

static void removal_fini(struct removal *m)
{
	run_fini(&m->run);
	undo_list_fini(&m->kept);
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

static int read_kept(const struct removal *m, const char *name, char **out, struct err *e)
{
	return file_read_in_root(m->kept_fd, name, TEXT_MAX_BYTES, out, e);
}

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
	autofree char *now = NULL, *before = NULL, *after = NULL;
	int r = read_kept(m, item->copy, &before, e);

	if (r == 0)
		r = read_kept(m, item->after, &after, e);
	if (r == 0)
		r = file_read_in_root(m->run.stage.tree_fd, item->path, TEXT_MAX_BYTES, &now, e);
	if (r < 0)
		return r;
	if (str_eq(now, after) || str_eq(now, before))
		return restore_copy(m, item, at, e);
	autofree char *text = lines_take_back(item->path, now, before, after);
	autofd int fd = openat(at->fd, at->name, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "opening");
	return io_write(fd, text, strlen(text), e);
}

/* 1: as the plugin has left it. */
static int is_as_recorded(const struct removal *m, const char *path, struct err *e)
{
	const struct files_entry *was = files_find(m->record->files, path);
	uint8_t sum[SHA256_BYTES];

	if (!was || !S_ISREG(was->mode))
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

static int restore_file(const struct removal *m, const struct undo_item *item,
	const struct copy_place *at, struct err *e)
{
	struct stat st;

	if (fstatat(m->kept_fd, item->copy, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, "the copy of it");
	if (S_ISDIR(st.st_mode)) {
		const struct copy_place from = {.fd = m->kept_fd, .name = item->copy};

		if (faccessat(at->fd, at->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return 0;
		return copy_object(&from, at, e);
	}
	if (item->after && intree_has(m->run.stage.tree_fd, item->path))
		return restore_text(m, item, at, e);
	int r = is_as_recorded(m, item->path, e);
	if (r == 0)
		strv_take(&m->run.plan->notes,
			xasprintf("'/%s' was changed since the plugin changed it, and stays",
				item->path));
	return r > 0 ? restore_copy(m, item, at, e) : r;
}

/* A folder goes with what came to be in it when it is the plugin's; else only when it is empty. */
static int remove_file(const struct removal *m, const struct undo_item *item,
	const struct copy_place *at, struct err *e)
{
	struct stat st;

	if (fstatat(at->fd, at->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(e, "looking");
	if (!S_ISDIR(st.st_mode))
		return unlinkat(at->fd, at->name, 0) < 0 ? err_errno(e, "removing") : 0;
	if (plugin_policy_declares(m->policy, item->path)) {
		autofree char *path = copy_place_path(at);

		return file_remove_tree(path, e);
	}
	if (unlinkat(at->fd, at->name, AT_REMOVEDIR) < 0 && errno != ENOTEMPTY && errno != EEXIST)
		return err_errno(e, "removing");
	return 0;
}

static int restore_item(
	const struct removal *m, const struct undo_item *item, bool removes, struct err *e)
{
	struct copy_place at;

	/* dpkg and its friends have seen to the database. */
	if (!*item->path || plugin_path_is_common(item->path) || removes != !item->copy)
		return 0;
	int r = copy_place_open(m->run.stage.tree_fd, item->path, &at, NULL);
	if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP)
		return 0;
	if (r < 0)
		return err_set(e, -r, "'/%s' cannot be reached", item->path);
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
	if (r == 0)
		r = run_view(&m.run, &m.record->manifest, e);
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
	return r == 0 ? transaction_tidy(s->root_fd, e) : r;
}
