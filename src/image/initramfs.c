/* SPDX-License-Identifier: Apache-2.0 */
#include "image/initramfs.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "image/embedded.h"
#include "image/initramfs-deps.h"
#include "image/intree.h"
#include "image/modules.h"
#include "sys/chroot.h"

#define DRACUT_CONF_PATH "/usr/lib/dracut/dracut.conf.d/50-bedplate.conf"
#define DEPS_MAX_BYTES   (16 * MIB)
#define ENTRIES_KEPT     4
/* Changed whenever the same files make another initramfs. */
#define RECIPE_VERSION "1"

struct build {
	const char *tree_path;
	const char *cache_dir;
	int64_t source_date;
	int log_fd;
	int root_fd;
};

/* Where results for this kernel version are kept; they differ in what they depend on. */
static char *cache_folder(const struct build *b, const char *kernel)
{
	return xasprintf("%s/initramfs/%s-%s", b->cache_dir, RECIPE_VERSION, kernel);
}

static char *image_path(const char *kernel)
{
	return xasprintf("/boot/initrd.img-%s", kernel);
}

static int copy(int from, int to, struct err *e)
{
	char chunk[65536];

	for (;;) {
		ssize_t n = read(from, chunk, sizeof(chunk));

		if (n < 0)
			return err_errno(e, "reading initramfs");
		if (n == 0)
			return 0;
		int r = io_write(to, chunk, (size_t)n, e);
		if (r < 0)
			return err_wrap(e, r, "copying initramfs");
	}
}

static int take_entry(const struct build *b, const char *entry, const char *kernel, struct err *e)
{
	autofree char *from_path = xasprintf("%s/initrd", entry);
	autofree char *to_path = image_path(kernel);
	autofd int from = open(from_path, O_RDONLY | O_CLOEXEC);
	int r;

	if (from < 0)
		return 0;
	r = intree_remove(b->root_fd, to_path, e);
	if (r < 0)
		return r;
	autofd int to = file_open_in_root(
		b->root_fd, to_path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, e);
	if (to < 0)
		return to;
	r = copy(from, to, e);
	if (r < 0)
		return r;
	/* The time tells which entries are in use. */
	if (utimensat(AT_FDCWD, entry, NULL, 0) < 0)
		log_debug("'%s': %m", entry);
	return 1;
}

/* 1: taken from the cache.  0: nothing there fits. */
static int find_entry(const struct build *b, const char *kernel, struct err *e)
{
	autofree char *folder = cache_folder(b, kernel);
	autostrv names = {0};

	if (file_list(folder, &names, NULL) < 0)
		return 0;
	for (size_t i = 0; i < names.count; i++) {
		autofree char *entry = xasprintf("%s/%s", folder, names.items[i]);
		autofree char *deps_path = xasprintf("%s/deps", entry);
		autofree char *deps = NULL;

		if (file_read(deps_path, DEPS_MAX_BYTES, &deps, NULL, NULL) < 0)
			continue;
		int r = initramfs_deps_match(b->root_fd, deps, e);
		if (r != 0)
			return r < 0 ? r : take_entry(b, entry, kernel, e);
	}
	return 0;
}

static int run_dracut(const struct build *b, const char *kernel, struct err *e)
{
	autofree char *image = image_path(kernel);
	autoptr(chroot) root = NULL;
	autocmd c = {.log_fd = b->log_fd};
	int r = chroot_open(b->tree_path, &root, e);

	if (r < 0)
		return r;
	chroot_cmd_init(root, &c);
	cmd_env(&c, "SOURCE_DATE_EPOCH=%lld", (long long)b->source_date);
	cmd_add(&c, "dracut", "--force", "--no-hostonly", "--no-hostonly-cmdline",
		"--no-early-microcode", "--reproducible", "--no-compress", "--nostrip", image,
		kernel, NULL);
	r = cmd_run(&c, e);
	return r < 0 ? err_wrap(e, r, "initramfs of kernel '%s'", kernel) : 0;
}

static int check_size(const char *kernel, uint64_t size_bytes, struct err *e)
{
	log_info("initramfs of kernel '%s': %llu MiB", kernel,
		(unsigned long long)(size_bytes / MIB));
	if (size_bytes <= INITRAMFS_MAX_BYTES)
		return 0;
	return err_set(e, EFBIG, "initramfs of kernel '%s' has %llu MiB, more than %llu", kernel,
		(unsigned long long)(size_bytes / MIB),
		(unsigned long long)(INITRAMFS_MAX_BYTES / MIB));
}

/* Entries that were not used for the longest time go. */
static void prune(const char *folder)
{
	autostrv names = {0};

	while (file_list(folder, &names, NULL) == 0 && names.count > ENTRIES_KEPT) {
		autofree char *oldest = NULL;
		time_t oldest_time = 0;

		for (size_t i = 0; i < names.count; i++) {
			autofree char *path = xasprintf("%s/%s", folder, names.items[i]);
			struct stat st;

			if (stat(path, &st) < 0 || (oldest && st.st_mtime >= oldest_time))
				continue;
			free(oldest);
			oldest = take_ptr(path);
			oldest_time = st.st_mtime;
		}
		if (!oldest || file_remove_tree(oldest, NULL) < 0)
			return;
		strv_fini(&names);
		names = (struct strv){0};
	}
}

static int write_entry(const char *folder, struct source *image, const char *deps, struct err *e)
{
	autofree char *deps_path = xasprintf("%s/deps", folder);
	autofree char *image_copy = xasprintf("%s/initrd", folder);
	char chunk[65536];
	int r = file_make_folder(folder, 0755, e);

	if (r < 0)
		return r;
	autofd int fd = open(image_copy, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(e, "'%s'", image_copy);
	for (uint64_t off = 0; r == 0 && off < image->size_bytes; off += sizeof(chunk)) {
		size_t len = (size_t)MIN(sizeof(chunk), image->size_bytes - off);

		r = source_read_at(image, chunk, len, off, e);
		if (r == 0)
			r = io_write(fd, chunk, len, e);
	}
	return r == 0 ? file_replace(deps_path, deps, strlen(deps), 0644, e) : r;
}

/* An entry appears whole: it is written beside its place and renamed. */
static int keep(const struct build *b, const char *kernel, struct source *image, struct err *e)
{
	autofree char *folder = cache_folder(b, kernel);
	autofree char *fresh = xasprintf("%s.new-%d", folder, (int)getpid());
	autofree char *deps = NULL;
	uint8_t sum[SHA256_BYTES];
	char hex[SHA256_HEX_BYTES];
	int r = initramfs_deps_collect(b->root_fd, kernel, image, &deps, e);

	if (r == 0)
		r = file_make_folder(folder, 0755, e);
	if (r < 0)
		return r;
	sha256_buffer(deps, strlen(deps), sum);
	hex_format(sum, sizeof(sum), hex);
	autofree char *entry = xasprintf("%s/%.16s", folder, hex);
	r = write_entry(fresh, image, deps, e);
	if (r == 0)
		r = file_remove_tree(entry, e);
	if (r == 0 && rename(fresh, entry) < 0)
		r = err_errno(e, "renaming '%s'", fresh);
	if (r < 0 && file_remove_tree(fresh, NULL) < 0)
		log_debug("'%s' stays behind", fresh);
	prune(folder);
	return r;
}

static int build_one(const struct build *b, const char *kernel, struct err *e)
{
	autofree char *path = image_path(kernel);
	autoptr(source) image = NULL;
	int r = find_entry(b, kernel, e);

	if (r != 0)
		return r < 0 ? r : 0;
	r = run_dracut(b, kernel, e);
	if (r < 0)
		return r;
	autofd int fd = file_open_in_root(b->root_fd, path, O_RDONLY, 0, e);
	if (fd < 0)
		return fd;
	r = source_open_fd(take_fd(&fd), &image, e);
	if (r == 0)
		r = check_size(kernel, image->size_bytes, e);
	return r == 0 ? keep(b, kernel, image, e) : r;
}

static int build_all(struct build *b, struct err *e)
{
	autostrv kernels = {0};
	bool configured = false;
	int r = modules_versions(b->root_fd, &kernels, e);

	for (size_t i = 0; r == 0 && i < kernels.count; i++) {
		autofree char *vmlinuz = xasprintf("/boot/vmlinuz-%s", kernels.items[i]);

		if (!intree_has(b->root_fd, vmlinuz))
			continue;
		if (!intree_has(b->root_fd, "/usr/bin/dracut"))
			return err_set(e, ENOENT,
				"kernel '%s' needs an initramfs, but package 'dracut' is missing",
				kernels.items[i]);
		if (!configured)
			r = intree_write(
				b->root_fd, DRACUT_CONF_PATH, embedded_dracut_conf, 0644, e);
		configured = true;
		if (r == 0)
			r = build_one(b, kernels.items[i], e);
	}
	return r;
}

int initramfs_build(const char *tree_path, const char *cache_dir, int64_t source_date, int log_fd,
	struct err *e)
{
	struct build b = {
		.tree_path = tree_path,
		.cache_dir = cache_dir,
		.source_date = source_date,
		.log_fd = log_fd,
	};
	autofd int root_fd = open(tree_path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root_fd < 0)
		return err_errno(e, "'%s'", tree_path);
	b.root_fd = root_fd;
	return build_all(&b, e);
}
