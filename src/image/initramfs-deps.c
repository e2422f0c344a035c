/* SPDX-License-Identifier: Apache-2.0 */
#include "image/initramfs-deps.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/str.h"
#include "base/tree.h"
#include "base/xalloc.h"

#define CPIO_HEADER_BYTES 110
#define CPIO_NAME_MAX     4096
#define CPIO_ENTRIES_MAX  200000
/* dracut --reproducible sets what is newer than this file of its own to its time. */
#define CLAMP_PATH "/usr/lib/dracut/dracut-functions.sh"

/* What dracut reads, or looks for, beyond the files that it takes. */
static const struct {
	char kind;
	const char *path;
} looked_at[] = {
	{'t', "/etc/dracut.conf.d"},
	{'t', "/usr/lib/dracut"},
	{'t', "/etc/modprobe.d"},
	{'t', "/usr/lib/modprobe.d"},
	{'t', "/etc/modules-load.d"},
	{'t', "/usr/lib/modules-load.d"},
	{'t', "/etc/udev"},
	{'t', "/usr/lib/udev/rules.d"},
	{'t', "/etc/lvm"},
	{'t', "/etc/multipath"},
	{'t', "/etc/cmdline.d"},
	{'t', "/usr/lib/sysusers.d"},
	{'t', "/etc/systemd/network"},
	{'n', "/usr/lib/systemd/network"},
	{'n', "/usr/lib/udev"},
	{'n', "/usr/lib/systemd"},
	{'n', "/usr/lib/systemd/system"},
	{'n', "/usr/lib/systemd/system-generators"},
	{'n', "/usr/bin"},
	{'n', "/usr/sbin"},
	{'n', "/usr/local/bin"},
	{'n', "/usr/local/sbin"},
	{'r', "/usr/lib/firmware"},
	{'r', "/usr/lib/NetworkManager"},
	{'c', "/etc/dracut.conf"},
	{'c', "/etc/ld.so.cache"},
	{'c', "/etc/ld.so.conf"},
	{'c', "/etc/locale.conf"},
	{'c', "/etc/vconsole.conf"},
	{'c', "/etc/crypttab"},
	{'c', "/etc/fstab"},
	{'c', "/etc/mdadm/mdadm.conf"},
	{'c', "/etc/multipath.conf"},
	{'c', "/etc/passwd"},
	{'c', "/etc/group"},
	{'c', "/etc/shadow"},
	{'c', "/usr/lib/os-release"},
	{'c', "/usr/lib/initrd-release"},
};

struct state {
	int root_fd;
	int64_t clamp; /* seconds since 1970 */
};

static void add_number(struct sha256 *h, int64_t number)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", (long long)number);
	sha256_add_str(h, text);
}

static int add_target(struct sha256 *h, int fd, struct err *e)
{
	char target[PATH_MAX];
	ssize_t len = readlinkat(fd, "", target, sizeof(target));

	if (len < 0)
		return err_errno(e, "reading link");
	sha256_add(h, target, (size_t)len);
	return 0;
}

static int add_content(struct sha256 *h, int root_fd, const char *path, struct err *e)
{
	autofd int fd = file_open_in_root(root_fd, path, O_RDONLY | O_NOFOLLOW, 0, e);
	autoptr(source) s = NULL;
	uint8_t sum[SHA256_BYTES];
	int r;

	if (fd < 0)
		return fd;
	r = source_open_fd(take_fd(&fd), &s, e);
	if (r == 0)
		r = sha256_source(s, sum, e);
	if (r < 0)
		return err_wrap(e, r, "'%s'", path);
	sha256_add(h, sum, sizeof(sum));
	return 0;
}

static int add_file(struct sha256 *h, const struct state *s, const char *path, struct err *e)
{
	autofd int fd = file_open_in_root(s->root_fd, path, O_PATH | O_NOFOLLOW, 0, NULL);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		sha256_add_str(h, "absent");
		return 0;
	}
	add_number(h, (int64_t)st.st_mode);
	if (S_ISDIR(st.st_mode))
		return 0;
	add_number(h, MIN((int64_t)st.st_mtim.tv_sec, s->clamp));
	if (S_ISLNK(st.st_mode))
		return add_target(h, fd, e);
	return S_ISREG(st.st_mode) ? add_content(h, s->root_fd, path, e) : 0;
}

static int add_names(struct sha256 *h, const struct state *s, const char *path, struct err *e)
{
	autofd int fd = file_open_in_root(s->root_fd, path, O_RDONLY | O_DIRECTORY, 0, NULL);
	autostrv names = {0};

	if (fd < 0)
		return 0;
	autofree char *folder = xasprintf("/proc/self/fd/%d", fd);
	int r = file_list(folder, &names, e);
	for (size_t i = 0; i < names.count; i++)
		sha256_add_str(h, names.items[i]);
	return r;
}

static int add_tree(
	struct sha256 *h, const struct state *s, const char *path, bool with_content, struct err *e)
{
	autofd int fd = file_open_in_root(s->root_fd, path, O_RDONLY | O_DIRECTORY, 0, NULL);
	autoptr(tree) t = NULL;

	if (fd < 0)
		return 0;
	autofree char *folder = xasprintf("/proc/self/fd/%d", fd);
	int r = tree_scan(folder, &t, e);
	for (size_t i = 0; r == 0 && i < t->count; i++) {
		autofree char *file = xasprintf("%s/%s", path, t->entries[i].path);

		sha256_add_str(h, t->entries[i].path);
		if (with_content)
			r = add_file(h, s, file, e);
	}
	return r;
}

/* One line of the text, without its newline. */
static int describe(
	const struct state *s, char kind, const char *path, struct strbuf *out, struct err *e)
{
	autoptr(sha256) h = sha256_new();
	uint8_t sum[SHA256_BYTES];
	char hex[SHA256_HEX_BYTES];
	int r;

	if (kind == 'c')
		r = add_file(h, s, path, e);
	else if (kind == 'n')
		r = add_names(h, s, path, e);
	else
		r = add_tree(h, s, path, kind == 't', e);
	if (r < 0)
		return r;
	sha256_end(h, sum);
	hex_format(sum, sizeof(sum), hex);
	strbuf_printf(out, "%c %s %s", kind, hex, path);
	return 0;
}

static void state_init(struct state *s, int root_fd)
{
	autofd int fd = file_open_in_root(root_fd, CLAMP_PATH, O_PATH, 0, NULL);
	struct stat st;

	s->root_fd = root_fd;
	s->clamp = fd >= 0 && fstat(fd, &st) == 0 ? st.st_mtim.tv_sec : INT64_MAX;
}

static int hex_field(const char *header, size_t index, uint32_t *out, struct err *e)
{
	uint8_t bytes[4] = {0};
	char text[9] = {0};

	/* After the six bytes of magic come 13 fields of eight digits each. */
	memcpy(text, header + 6 + 8 * index, 8);
	int r = hex_parse(text, bytes, sizeof(bytes), e);
	*out = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
		bytes[3];
	return r;
}

static uint64_t aligned(uint64_t n)
{
	return (n + 3) & ~(uint64_t)3;
}

struct cpio_entry {
	uint32_t mode;
	char *name;
	uint64_t next; /* offset of the entry after it */
};

static int read_entry(struct source *archive, uint64_t off, struct cpio_entry *out, struct err *e)
{
	/* Fields count from zero: inode, mode, uid, gid, links, time, size, ..., name size. */
	char header[CPIO_HEADER_BYTES + 1] = {0};
	uint32_t mode = 0, size = 0, name_size = 0;
	int r = source_read_at(archive, header, CPIO_HEADER_BYTES, off, e);

	if (r == 0 && memcmp(header, "070701", 6) != 0)
		r = err_set(e, EINVAL, "no cpio header at byte %llu", (unsigned long long)off);
	if (r == 0)
		r = hex_field(header, 1, &mode, e);
	if (r == 0)
		r = hex_field(header, 6, &size, e);
	if (r == 0)
		r = hex_field(header, 11, &name_size, e);
	if (r < 0)
		return r;
	if (name_size == 0 || name_size > CPIO_NAME_MAX)
		return err_set(e, EINVAL, "bad cpio name at byte %llu", (unsigned long long)off);

	autofree char *name = xcalloc(1, name_size + 1);
	r = source_read_at(archive, name, name_size, off + CPIO_HEADER_BYTES, e);
	if (r < 0)
		return r;
	*out = (struct cpio_entry){
		.mode = mode,
		.name = take_ptr(name),
		.next = aligned(aligned(off + CPIO_HEADER_BYTES + name_size) + size),
	};
	return 0;
}

/* Files of the archive that come from the tree. */
static int add_archive(
	const struct state *s, struct source *archive, struct strbuf *out, struct err *e)
{
	uint64_t off = 0;

	for (unsigned count = 0; count < CPIO_ENTRIES_MAX; count++) {
		struct cpio_entry en = {0};
		int r = read_entry(archive, off, &en, e);

		if (r < 0)
			return err_wrap(e, r, "reading the initramfs");
		autofree char *name = en.name;
		assert(name);
		if (str_eq(name, "TRAILER!!!"))
			return 0;
		off = en.next;
		autofree char *path = xasprintf("/%s", name);
		if (S_ISDIR(en.mode) || strchr(name, '\n'))
			continue;
		autofd int fd = file_open_in_root(s->root_fd, path, O_PATH | O_NOFOLLOW, 0, NULL);
		if (fd < 0)
			continue;
		r = describe(s, 'c', path, out, e);
		if (r < 0)
			return r;
		strbuf_putc(out, '\n');
	}
	return err_set(e, E2BIG, "initramfs of more than %d files", CPIO_ENTRIES_MAX);
}

int initramfs_deps_collect(
	int root_fd, const char *kernel, struct source *archive, char **out, struct err *e)
{
	autofree char *modules_dep = xasprintf("/usr/lib/modules/%s/modules.dep", kernel);
	autostrbuf b = {0};
	struct state s;
	int r;

	state_init(&s, root_fd);
	r = describe(&s, 'c', modules_dep, &b, e);
	strbuf_putc(&b, '\n');
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(looked_at); i++) {
		r = describe(&s, looked_at[i].kind, looked_at[i].path, &b, e);
		strbuf_putc(&b, '\n');
	}
	if (r == 0)
		r = add_archive(&s, archive, &b, e);
	if (r < 0)
		return r;
	*out = strbuf_take(&b);
	return 0;
}

int initramfs_deps_match(int root_fd, const char *text, struct err *e)
{
	autofree char *copy = xstrdup(text);
	char *rest = copy;
	struct state s;

	state_init(&s, root_fd);
	for (char *line; (line = str_next_word(&rest, "\n"));) {
		autostrbuf now = {0};

		if (strlen(line) < 2 + SHA256_HEX_BYTES || !strchr("cnrt", line[0]))
			return 0;
		int r = describe(&s, line[0], line + 2 + SHA256_HEX_BYTES, &now, e);
		if (r < 0)
			return r;
		if (!str_eq(now.data, line))
			return 0;
	}
	return 1;
}
