/* SPDX-License-Identifier: Apache-2.0 */
#include "hotadd/transaction-internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "plugin/record.h"

char *transaction_kept_path(const char *plugin)
{
	return xasprintf(PLUGIN_RECORDS "/%s" TRANSACTION_KEPT, plugin);
}

int transaction_open_records(int root_fd, struct err *e)
{
	return file_open_in_root(root_fd, PLUGIN_RECORDS, O_RDONLY | O_DIRECTORY, 0, e);
}

int transaction_remove_in(int folder_fd, const char *name, struct err *e)
{
	autofree char *path = xasprintf("/proc/self/fd/%d/%s", folder_fd, name);

	return file_remove_tree(path, e);
}

/* The file systems that were written to: /var may be a volume of its own, and others. */
struct synced {
	dev_t *devs;
	size_t count;
};

static int sync_fd(struct synced *s, int fd, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, "writing to disk");
	for (size_t i = 0; i < s->count; i++)
		if (s->devs[i] == st.st_dev)
			return 0;
	s->devs = xrealloc(s->devs, (s->count + 1) * sizeof(*s->devs));
	s->devs[s->count++] = st.st_dev;
	/* Folders on the way are opened O_PATH, which is not good for this. */
	autofd int real = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return real < 0 || syncfs(real) < 0 ? err_errno(e, "writing to disk") : 0;
}

static int sync_path(struct synced *s, int root_fd, const char *path, struct err *e)
{
	struct copy_place at;

	if (copy_place_open(root_fd, path, &at, NULL) < 0)
		return 0;
	int r = sync_fd(s, at.fd, e);
	close(at.fd);
	return r;
}

int transaction_sync_list(int root_fd, int folder_fd, const struct undo_list *u, struct err *e)
{
	struct synced s = {0};
	int r = sync_fd(&s, folder_fd, e);

	for (size_t i = 0; r == 0 && i < u->count; i++)
		r = sync_path(&s, root_fd, u->items[i].path, e);
	free(s.devs);
	return r;
}

int transaction_sync_changes(int root_fd, int folder_fd, const struct changes *c, struct err *e)
{
	struct synced s = {0};
	int r = sync_fd(&s, folder_fd, e);

	for (size_t i = 0; r == 0 && i < c->count; i++)
		r = sync_path(&s, root_fd, c->items[i].en->path, e);
	free(s.devs);
	return r;
}

int transaction_rename(int folder_fd, const char *from, const char *to, struct err *e)
{
	if (renameat(folder_fd, from, folder_fd, to) < 0)
		return err_errno(e, "'" PLUGIN_RECORDS "/%s'", from);
	if (fsync(folder_fd) == 0)
		return 0;
	int r = err_errno(e, "'" PLUGIN_RECORDS "'");
	(void)!renameat(folder_fd, to, folder_fd, from);
	return r;
}

void transaction_drop_folder(int root_fd)
{
	struct copy_place at;

	if (copy_place_open(root_fd, PLUGIN_RECORDS, &at, NULL) < 0)
		return;
	/* Fine when there is something in it. */
	unlinkat(at.fd, at.name, AT_REMOVEDIR);
	close(at.fd);
}

int transaction_end(int folder_fd, const char *name, struct err *e)
{
	int r = transaction_remove_in(folder_fd, name, e);

	return r == 0 ? transaction_rename(folder_fd, UNDO, name, e) : r;
}

int transaction_pending(int root_fd, struct undo_list *out, struct err *e)
{
	struct err own = {0};
	int r = undo_list_load(root_fd, UNDO, out, &own);

	if (r == -ENOENT)
		return 0;
	return r < 0 ? err_set(e, -r, "%s", own.msg) : 1;
}

int transaction_set_aside(int root_fd, struct err *e)
{
	autofd int folder_fd = transaction_open_records(root_fd, e);
	int r = folder_fd < 0 ? folder_fd : transaction_remove_in(folder_fd, UNDO_BAD, e);

	return r == 0 ? transaction_rename(folder_fd, UNDO, UNDO_BAD, e) : r;
}

int transaction_kept(int root_fd, const char *plugin, struct undo_list *out, int *fd, struct err *e)
{
	autofree char *folder = xasprintf("%s" TRANSACTION_KEPT, plugin);
	autofree char *path = transaction_kept_path(plugin);
	int r = undo_list_load(root_fd, folder, out, e);

	if (r < 0 || !fd)
		return r;
	*fd = file_open_in_root(root_fd, path, O_RDONLY | O_DIRECTORY, 0, e);
	if (*fd < 0)
		undo_list_fini(out);
	return MIN(*fd, 0);
}

int transaction_tidy(int root_fd, struct err *e)
{
	autostrv names = {0};
	struct err none;
	autofd int folder_fd = transaction_open_records(root_fd, &none);

	if (folder_fd < 0)
		return 0;
	int r = transaction_remove_in(folder_fd, UNDO_NEW, e);
	if (r == 0)
		r = transaction_remove_in(folder_fd, UNDO_DONE, e);
	/* One without a list was never begun, whoever made it. */
	if (r == 0 && faccessat(folder_fd, UNDO "/" UNDO_LIST, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
		errno == ENOENT)
		r = transaction_remove_in(folder_fd, UNDO, e);
	if (r < 0)
		return r;
	autofree char *path = xasprintf("/proc/self/fd/%d/.", folder_fd);
	r = file_list(path, &names, e);
	if (r == 0 && names.count == 0)
		transaction_drop_folder(root_fd);
	return r;
}
