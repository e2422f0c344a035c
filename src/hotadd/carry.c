/* SPDX-License-Identifier: Apache-2.0 */
#include "hotadd/carry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "hotadd/image.h"
#include "plugin/candidate.h"

#define FILE_MAX_BYTES (1024 * GIB)
#define BLOCK_BYTES    (4 * KIB) /* that is begun, or of a folder */

#define TIME_OF "list.json" /* written once, when it was added */

void added_plugins_fini(struct added_plugins *a)
{
	for (size_t i = 0; i < a->count; i++) {
		struct added_plugin *p = &a->items[i];

		undo_list_fini(&p->kept);
		if (p->kept_fd >= 0)
			close(p->kept_fd);
		if (p->file_fd >= 0)
			close(p->file_fd);
		strv_fini(&p->changed);
		strv_fini(&p->gone);
	}
	free(a->items);
	plugin_records_fini(&a->records);
	view_fini(&a->view);
	*a = (struct added_plugins){0};
}

static int open_file(int root_fd, const char *name, int *fd, struct err *e)
{
	autofree char *path = hotadd_file_path(name);
	struct err own = {0};

	int r = file_open_beneath(root_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, &own);

	*fd = r < 0 ? -1 : r;
	return r < 0 && r != -ENOENT ? err_set(e, own.code, "%s", own.msg) : 0;
}

static int add_one(struct added_plugins *a, const struct plugin_record *record, struct err *e)
{
	const char *name = record->manifest.name;
	struct added_plugin *p;
	struct stat st;

	a->items = xrealloc(a->items, (a->count + 1) * sizeof(*a->items));
	p = &a->items[a->count++];
	*p = (struct added_plugin){.record = record, .kept_fd = -1, .file_fd = -1};
	int r = transaction_kept(a->root_fd, name, &p->kept, &p->kept_fd, e);
	if (r == 0 && fstatat(p->kept_fd, TIME_OF, &st, AT_SYMLINK_NOFOLLOW) < 0)
		r = err_errno(e, "'%s'", TIME_OF);
	if (r == 0)
		r = open_file(a->root_fd, name, &p->file_fd, e);
	if (r < 0)
		return err_wrap(e, r, "plugin '%s'", name);
	p->added_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	return 0;
}

static int compare_times(const void *a, const void *b)
{
	const struct added_plugin *x = a, *y = b;

	if (x->added_ns != y->added_ns)
		return x->added_ns < y->added_ns ? -1 : 1;
	return strcmp(x->record->manifest.name, y->record->manifest.name);
}

static int check_complete(int root_fd, struct err *e)
{
	autoundolist u = {0};
	int r = transaction_pending(root_fd, &u, e);

	if (r <= 0)
		return r;
	return err_set(e, EBUSY,
		"a change of plugin '%s' was cut off: 'nodectl plugin list' on the node takes it back",
		u.plugin);
}

int added_plugins_read(int root_fd, struct added_plugins *out, struct err *e)
{
	autoaddedplugins a = {.root_fd = root_fd};
	int r = check_complete(root_fd, e);

	if (r == 0)
		r = hotadd_records(root_fd, &a.view, &a.records, e);
	for (size_t i = 0; r == 0 && i < a.records.count; i++)
		if (hotadd_is_added(root_fd, a.records.items[i].manifest.name))
			r = add_one(&a, &a.records.items[i], e);
	if (r < 0)
		return r;
	if (a.count > 1)
		qsort(a.items, a.count, sizeof(*a.items), compare_times);
	*out = a;
	a = (struct added_plugins){0};
	return 0;
}

static int read_candidate(const struct added_plugin *p, struct candidates *out, struct err *e)
{
	const struct plugin_demand demand = {.sha256 = p->record->sha256};
	autostrv paths = {0};

	if (p->file_fd < 0)
		return err_set(e, ENOENT, "its file is not kept on this node");
	strv_take(&paths, xasprintf("/proc/self/fd/%d", p->file_fd));
	return candidates_read(&paths, &demand, NULL, out, e);
}

int added_plugin_check(const struct added_plugin *p, const struct hotadd_image *image,
	struct tree *tree, struct err *e)
{
	autocandidates c = {0};
	automanifest m = {0};
	auto_plugin_records records = {0};
	int r = read_candidate(p, &c, e);

	hotadd_image_manifest(image, &m);
	if (r == 0)
		r = plugin_records_read(tree, &records, e);
	const struct candidates_place place = {.image = &m, .tree = tree, .records = &records};
	return r == 0 ? candidates_check_all(&c, &place, e) : r;
}

uint64_t added_plugin_bytes(const struct added_plugin *p)
{
	const struct files *f = p->record->files;
	uint64_t bytes = 0;
	struct stat st;

	if (p->file_fd >= 0 && fstat(p->file_fd, &st) == 0)
		bytes = (uint64_t)st.st_size;
	/* Sizes are what somebody has written there: no sum of them wraps. */
	for (size_t i = 0; i < f->count; i++)
		bytes += MIN(f->entries[i].size_bytes, FILE_MAX_BYTES) + BLOCK_BYTES;
	return bytes;
}
