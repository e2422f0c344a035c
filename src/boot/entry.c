/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/entry.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/io.h"
#include "base/log.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "boot/compress.h"
#include "boot/entry-manifest.h"
#include "boot/entry-text.h"

#define CONFIG      "bedplate.cfg"
#define KERNEL      "vmlinuz"
#define INITRAMFS   "initramfs.img"
#define CHUNK_BYTES (256 * KIB)

void boot_entry_fini(struct boot_entry *b)
{
	free(b->layer);
	free(b->title);
	free(b->release);
	free(b->cmd_line);
	free(b->missing);
}

void boot_entries_fini(struct boot_entries *b)
{
	for (size_t i = 0; i < b->count; i++)
		boot_entry_fini(&b->items[i]);
	free(b->items);
}

static int open_folder(int boot_fd, const char *layer, struct err *e)
{
	int fd = openat(boot_fd, layer, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? err_errno(e, "boot folder '%s'", layer) : fd;
}

static int drop_file(int folder_fd, const char *name, struct err *e)
{
	if (unlinkat(folder_fd, name, 0) < 0 && errno != ENOENT)
		return err_errno(e, "removing '%s'", name);
	return 0;
}

/* The entry is gone once its configuration is, so that goes first and for good. */
static int drop_files(int folder_fd, struct err *e)
{
	static const char *const files[] = {
		CONFIG ".new",
		KERNEL,
		INITRAMFS,
		BOOT_MANIFEST,
		BOOT_MANIFEST_SIG,
		BOOT_MANIFEST ".new",
		BOOT_MANIFEST_SIG ".new",
	};
	int r = drop_file(folder_fd, CONFIG, e);

	if (r == 0 && fsync(folder_fd) < 0)
		r = err_errno(e, "writing to the boot volume");
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(files); i++)
		r = drop_file(folder_fd, files[i], e);
	return r;
}

int boot_entry_remove(int boot_fd, const char *layer, struct err *e)
{
	int r;

	if (!entry_layer_ok(layer))
		return err_set(e, EINVAL, "bad name of a layer: '%s'", layer);
	autofd int folder_fd = open_folder(boot_fd, layer, e);
	if (folder_fd == -ENOENT)
		return 0;
	if (folder_fd < 0)
		return folder_fd;
	r = drop_files(folder_fd, e);
	if (r < 0)
		return err_wrap(e, r, "boot entry '%s'", layer);
	/* What else is in it is not ours, so the folder may stay. */
	if (unlinkat(boot_fd, layer, AT_REMOVEDIR) < 0 && errno != ENOTEMPTY && errno != ENOENT)
		return err_errno(e, "removing boot folder '%s'", layer);
	return boot_sync(boot_fd, e);
}

static uint64_t free_bytes(int fd)
{
	struct statvfs s;

	return fstatvfs(fd, &s) < 0 ? 0 : (uint64_t)s.f_bavail * s.f_frsize;
}

static uint64_t size_of(int folder_fd, const char *name)
{
	struct stat st;

	return fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : (uint64_t)st.st_size;
}

static int no_space(int boot_fd, const struct boot_entry *entry, uint64_t written, struct err *e)
{
	autofree char *free_text = str_bytes(free_bytes(boot_fd));
	autofree char *written_text = str_bytes(written);

	return err_set(e, ENOSPC,
		"boot volume: kernel and initramfs of layer '%s' need more than %s, %s are free",
		entry->layer, written_text, free_text);
}

static int copy(struct source *from, int to_fd, struct err *e)
{
	autofree char *chunk = xcalloc(1, CHUNK_BYTES);

	for (uint64_t off = 0; off < from->size_bytes; off += CHUNK_BYTES) {
		size_t len = (size_t)MIN(CHUNK_BYTES, from->size_bytes - off);
		int r = source_read_at(from, chunk, len, off, e);

		if (r == 0)
			r = io_write(to_fd, chunk, len, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int write_file(int folder_fd, const char *name, int from_fd, bool compressed, struct err *e)
{
	autoptr(source) from = NULL;
	autofd int own_fd = fcntl(from_fd, F_DUPFD_CLOEXEC, 3);
	autofd int fd = openat(
		folder_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r;

	if (own_fd < 0 || fd < 0)
		return err_errno(e, "'%s'", name);
	r = source_open_fd(take_fd(&own_fd), &from, e);
	if (r == 0 && from->size_bytes == 0)
		r = err_set(e, EINVAL, "it would be empty");
	if (r == 0)
		r = compressed ? initramfs_compress(from, INITRAMFS_QUICK, fd, NULL, e)
			       : copy(from, fd, e);
	if (r == 0 && fsync(fd) < 0)
		r = err_errno(e, "writing");
	return r < 0 ? err_wrap(e, r, "'%s'", name) : 0;
}

static int write_config(int folder_fd, const char *text, struct err *e)
{
	autofree char *path = xasprintf("/proc/self/fd/%d/" CONFIG, folder_fd);

	return file_replace(path, text, strlen(text), 0644, e);
}

static int write_files(
	int folder_fd, const char *text, int kernel_fd, int initramfs_fd, struct err *e)
{
	int r = write_file(folder_fd, KERNEL, kernel_fd, false, e);

	if (r == 0)
		r = write_file(folder_fd, INITRAMFS, initramfs_fd, true, e);
	if (r == 0 && fsync(folder_fd) < 0)
		r = err_errno(e, "writing to the boot volume");
	return r == 0 ? write_config(folder_fd, text, e) : r;
}

int boot_entry_write(
	int boot_fd, const struct boot_entry *entry, int kernel_fd, int initramfs_fd, struct err *e)
{
	autofree char *text = NULL;
	int r = entry_text_format(entry, &text, e);

	if (r < 0)
		return err_wrap(e, r, "boot entry");
	r = boot_entry_remove(boot_fd, entry->layer, e);
	if (r < 0)
		return r;
	if (mkdirat(boot_fd, entry->layer, 0755) < 0 && errno != EEXIST)
		return err_errno(e, "boot folder '%s'", entry->layer);
	autofd int folder_fd = open_folder(boot_fd, entry->layer, e);
	if (folder_fd < 0)
		return folder_fd;
	r = write_files(folder_fd, text, kernel_fd, initramfs_fd, e);
	if (r == 0)
		return boot_sync(boot_fd, e);

	uint64_t written = size_of(folder_fd, KERNEL) + size_of(folder_fd, INITRAMFS);
	struct err ignored = {0};
	if (boot_entry_remove(boot_fd, entry->layer, &ignored) < 0)
		log_warning("%s", ignored.msg);
	return r == -ENOSPC ? no_space(boot_fd, entry, written, e)
			    : err_wrap(e, r, "boot entry '%s'", entry->layer);
}

static bool has_file(int boot_fd, const char *path)
{
	struct stat st;

	return fstatat(boot_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
		st.st_size > 0;
}

static char *find_missing(int boot_fd, const char *layer)
{
	static const char *const files[] = {KERNEL, INITRAMFS};

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		autofree char *path = xasprintf("%s/%s", layer, files[i]);

		if (!has_file(boot_fd, path))
			return take_ptr(path);
	}
	return NULL;
}

/* 0: added.  -ENOENT: foreign.  Otherwise ours, and wrong. */
static int read_entry(int boot_fd, const char *folder, struct boot_entries *out, struct err *e)
{
	autofree char *path = xasprintf("%s/" CONFIG, folder);
	autofree char *text = NULL;
	autobootentry entry = {0};
	autofd int fd = file_open_beneath(boot_fd, path, O_RDONLY, e);
	int r = fd < 0 ? fd : file_read_fd(fd, ENTRY_TEXT_MAX, &text, NULL, e);

	if (r < 0)
		return r == -ENOTDIR ? -ENOENT : r;
	if (!entry_text_is_ours(text))
		return -ENOENT;
	r = entry_text_parse(text, &entry, e);
	if (r < 0)
		return r;
	if (!str_eq(entry.layer, folder))
		return err_set(e, EBADMSG, "it is of layer '%s'", entry.layer);
	entry.missing = find_missing(boot_fd, folder);
	out->items = xrealloc(out->items, (out->count + 1) * sizeof(*out->items));
	out->items[out->count++] = entry;
	entry = (struct boot_entry){0};
	return 0;
}

int boot_entries_read(int boot_fd, struct boot_entries *out, struct err *e)
{
	autofree char *path = xasprintf("/proc/self/fd/%d", boot_fd);
	autostrv names = {0};
	int r = file_list(path, &names, e);

	if (r < 0)
		return err_wrap(e, r, "boot volume");
	for (size_t i = 0; i < names.count; i++) {
		struct err why = {0};

		if (!entry_layer_ok(names.items[i]))
			continue;
		r = read_entry(boot_fd, names.items[i], out, &why);
		if (r < 0 && r != -ENOENT)
			log_warning("boot entry '%s': %s", names.items[i], why.msg);
	}
	return 0;
}

const struct boot_entry *boot_entries_find(const struct boot_entries *b, const char *layer)
{
	for (size_t i = 0; i < b->count; i++)
		if (str_eq(b->items[i].layer, layer))
			return &b->items[i];
	return NULL;
}
