/* SPDX-License-Identifier: Apache-2.0 */
#include "image/modules.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cmd.h"
#include "base/file.h"
#include "base/io.h"
#include "base/macro.h"
#include "base/tree.h"
#include "base/xalloc.h"
#include "image/intree.h"
#include "sys/chroot.h"

#define MODULES_PATH   "/usr/lib/modules"
#define INFO_PATH      "/var/lib/dpkg/info"
#define INFO_MAX_BYTES (16 * MIB)

static const struct {
	const char *suffix;
	const char *program; /* understands -d; replaces the file */
} formats[] = {
	{".ko.xz", "xz"},
	{".ko.gz", "gzip"},
	{".ko.zst", "zstd"},
};

int modules_versions(int root_fd, struct strv *out, struct err *e)
{
	autostrv names = {0};
	int r = intree_list(root_fd, MODULES_PATH, &names, e);

	for (size_t i = 0; r == 0 && i < names.count; i++) {
		autofree char *order = xasprintf(MODULES_PATH "/%s/kernel", names.items[i]);

		if (intree_has(root_fd, order))
			strv_add(out, names.items[i]);
	}
	return r;
}

/* The paths under folder_fd with this suffix, each ended by NUL, in a file to read from. */
static int list_compressed(const struct tree *t, const char *suffix, size_t *count, struct err *e)
{
	autofd int fd = memfd_create("modules", MFD_CLOEXEC);
	autostrbuf b = {0};

	if (fd < 0)
		return err_errno(e, "list of modules");
	*count = 0;
	for (size_t i = 0; i < t->count; i++) {
		const struct tree_entry *en = &t->entries[i];

		if (!S_ISREG(en->mode) || !str_ends(en->path, suffix))
			continue;
		strbuf_printf(&b, "./%s", en->path);
		strbuf_putc(&b, '\0');
		++*count;
	}
	int r = io_write(fd, b.data ? b.data : "", b.len, e);
	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(e, "list of modules");
	return take_fd(&fd);
}

/* The program may not follow links that are in the tree: xz, gzip and zstd refuse links. */
static int decompress(const struct tree *t, int folder_fd, size_t format, int log_fd, struct err *e)
{
	autofree char *cwd = xasprintf("/proc/self/fd/%d", folder_fd);
	size_t count = 0;
	autofd int list = list_compressed(t, formats[format].suffix, &count, e);
	autocmd c = {.log_fd = log_fd, .cwd = cwd, .stdin_fd = list};

	if (list < 0)
		return list;
	if (count == 0)
		return 0;
	cmd_add(&c, "xargs", "-0", "-n", "128", NULL);
	cmd_addf(&c, "-P%ld", MAX(1, sysconf(_SC_NPROCESSORS_ONLN)));
	cmd_add(&c, formats[format].program, "-d", "-q", NULL);
	if (str_eq(formats[format].program, "zstd"))
		cmd_add(&c, "--rm", NULL);
	cmd_add(&c, "--", NULL);
	int r = cmd_run(&c, e);
	return r < 0 ? err_wrap(e, r, "decompressing kernel modules") : 1;
}

static const char *compressed_suffix(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(formats); i++)
		if (str_ends(path, formats[i].suffix))
			return formats[i].suffix;
	return NULL;
}

/* A list names the file as it is now; a checksum of the compressed file is dropped. */
static char *corrected(const char *text, bool is_list)
{
	autofree char *copy = xstrdup(text);
	autostrbuf b = {0};
	char *rest = copy;

	for (char *line; (line = str_next_word(&rest, "\n"));) {
		const char *suffix = strstr(line, "lib/modules/") ? compressed_suffix(line) : NULL;

		if (!suffix)
			strbuf_printf(&b, "%s\n", line);
		else if (is_list)
			strbuf_printf(&b, "%.*s.ko\n", (int)(strlen(line) - strlen(suffix)), line);
	}
	return strbuf_take(&b);
}

static int correct_info(int root_fd, struct err *e)
{
	autostrv names = {0};
	int r = intree_list(root_fd, INFO_PATH, &names, e);

	for (size_t i = 0; r == 0 && i < names.count; i++) {
		autofree char *path = xasprintf(INFO_PATH "/%s", names.items[i]);
		bool is_list = str_ends(path, ".list");
		autofree char *text = NULL;

		if (!is_list && !str_ends(path, ".md5sums"))
			continue;
		r = file_read_in_root(root_fd, path, INFO_MAX_BYTES, &text, e);
		if (r < 0 || !strstr(text, "lib/modules/"))
			continue;
		autofree char *now = corrected(text, is_list);
		r = file_write_in_root(root_fd, path, now, 0644, e);
	}
	return r;
}

static int index_all(const char *tree_path, int root_fd, int log_fd, struct err *e)
{
	autostrv versions = {0};
	autoptr(chroot) root = NULL;
	int r = modules_versions(root_fd, &versions, e);

	if (r < 0 || versions.count == 0)
		return r;
	r = chroot_open(tree_path, &root, e);
	for (size_t i = 0; r == 0 && i < versions.count; i++) {
		autocmd c = {.log_fd = log_fd};

		chroot_cmd_init(root, &c);
		cmd_add(&c, "depmod", "-a", versions.items[i], NULL);
		r = cmd_run(&c, e);
	}
	return r < 0 ? err_wrap(e, r, "indexing kernel modules") : 0;
}

int modules_decompress(const char *tree_path, int log_fd, struct err *e)
{
	autofd int root_fd = open(tree_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	autoptr(tree) t = NULL;
	int changed = 0, r;

	if (root_fd < 0)
		return err_errno(e, "'%s'", tree_path);
	autofd int folder = file_open_in_root(
		root_fd, MODULES_PATH, O_RDONLY | O_DIRECTORY, 0, NULL);
	if (folder < 0)
		return 0;
	autofree char *path = xasprintf("/proc/self/fd/%d", folder);
	r = tree_scan(path, &t, e);
	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(formats); i++) {
		r = decompress(t, folder, i, log_fd, e);
		changed += r > 0;
	}
	if (r < 0 || changed == 0)
		return r < 0 ? r : 0;
	r = correct_info(root_fd, e);
	return r == 0 ? index_all(tree_path, root_fd, log_fd, e) : r;
}

int modules_index(const char *tree_path, int log_fd, struct err *e)
{
	autofd int root_fd = open(tree_path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root_fd < 0)
		return err_errno(e, "'%s'", tree_path);
	return index_all(tree_path, root_fd, log_fd, e);
}
