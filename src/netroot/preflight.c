/* SPDX-License-Identifier: Apache-2.0 */
#include "netroot/preflight.h"

#include <archive.h>
#include <archive_entry.h>
#include <inttypes.h>
#include <string.h>

#include "base/endian.h"
#include "base/interrupt.h"
#include "base/xalloc.h"
#include "fmt/cpio-read.h"

#define CHUNK_BYTES   (64 * KIB)
#define RELEASE_MAX   64
#define RELEASES_MAX  16
#define BZIMAGE_MAGIC "HdrS"
#define LACKS_LIVE    "dracut's module 'dmsquash-live' (package dracut-live)"

static const char *const module_names[MODULE_COUNT] = {
	[MODULE_NBD] = "nbd",
	[MODULE_EXT4] = "ext4",
	[MODULE_ISOFS] = "isofs",
	[MODULE_SQUASHFS] = "squashfs",
	[MODULE_EROFS] = "erofs",
	[MODULE_LOOP] = "loop",
	[MODULE_OVERLAY] = "overlay",
	[MODULE_SNAPSHOT] = "dm-snapshot",
};

/* The bytes of the initramfs, as they are or unpacked. */
struct input {
	struct source *s;
	uint64_t at;
	char *chunk;
	struct archive *archive; /* NULL: as they are */
	uint64_t *total;         /* of all that was given out */
	struct initramfs_info *info;
};

void initramfs_info_fini(struct initramfs_info *x)
{
	strv_fini(&x->releases);
}

static bool is_component(const char *path, const char *suffix)
{
	return str_ends(path, suffix) &&
		(strlen(path) == strlen(suffix) || suffix[0] == '/' ||
			path[strlen(path) - strlen(suffix) - 1] == '/');
}

/* Anything below drivers/net/ but what no card is: buses and chips that belong to one, and loops. */
static bool is_network_driver(const char *path)
{
	static const char *const others[] = {
		"phy/", "mdio", "pcs/", "mii.", "loopback.", "dummy.", "tun.", "veth."};
	const char *at = strstr(path, "drivers/net/");

	for (size_t i = 0; at && i < ARRAY_LEN(others); i++)
		if (str_starts(at + strlen("drivers/net/"), others[i]))
			return false;
	return at != NULL;
}

/* "kernel/drivers/block/nbd.ko.xz" */
static void note_module(struct initramfs_info *x, const char *path)
{
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	const char *end = strstr(name, ".ko");

	x->network_driver |= end && is_network_driver(path);
	for (size_t i = 0; end && i < MODULE_COUNT; i++)
		if (strlen(module_names[i]) == (size_t)(end - name) &&
			str_starts(name, module_names[i]))
			x->modules[i] = true;
}

static void note_builtin(struct initramfs_info *x, const char *list)
{
	autofree char *copy = xstrdup(list);
	char *rest = copy;

	for (char *line; (line = str_next_word(&rest, "\n"));)
		note_module(x, line);
}

/* What is behind "lib/modules/", or NULL. */
static const char *below_modules(const char *path)
{
	if (str_starts(path, "usr/"))
		path += strlen("usr/");
	return str_starts(path, "lib/modules/") ? path + strlen("lib/modules/") : NULL;
}

static void note_release(struct initramfs_info *x, const char *rest)
{
	const char *slash = strchr(rest, '/');

	/* A folder alone may be what is left of another kernel. */
	if (!slash || slash == rest || slash - rest > RELEASE_MAX)
		return;
	autofree char *release = xstrndup(rest, (size_t)(slash - rest));
	if (x->releases.count < RELEASES_MAX && !strv_has(&x->releases, release))
		strv_add(&x->releases, release);
}

/* "usr/lib/dracut/dracut-106-6" */
static void note_version(struct initramfs_info *x, const char *path)
{
	const char *at = strstr(path, "lib/dracut/dracut-");
	uintmax_t version = at ? strtoumax(at + strlen("lib/dracut/dracut-"), NULL, 10) : 0;

	if (version > 0 && version < 10000)
		x->dracut_version = (unsigned)version;
}

/* In bin/ or sbin/. */
static bool is_program(const char *path, const char *name)
{
	size_t folder = is_component(path, name) ? strlen(path) - strlen(name) : 0;

	return folder >= strlen("bin/") && str_starts(path + folder - strlen("bin/"), "bin/");
}

static void visit(void *ctx, const char *path, uint64_t size UNUSED, const char *data)
{
	struct initramfs_info *x = ((struct input *)ctx)->info;
	const char *rest = below_modules(path);

	x->dracut |= strstr(path, "lib/dracut/") != NULL || is_component(path, "dracut-cmdline");
	note_version(x, path);
	x->live |= is_component(path, "dmsquash-live-root") ||
		is_component(path, "dmsquash-live-root.sh");
	x->nbd_hook |= str_ends(path, "parse-nbdroot.sh");
	/* With their folder: etc/NetworkManager is there without the program, too. */
	x->nbd_client |= is_program(path, "nbd-client");
	x->livenet |= str_ends(path, "parse-livenet.sh");
	x->curl |= is_program(path, "curl");
	x->own |= is_component(path, "lib/bedplate/nbd-root");
	x->network |= is_program(path, "ifup") || is_program(path, "NetworkManager") ||
		is_component(path, "lib/systemd/systemd-networkd");
	if (!rest)
		return;
	note_release(x, rest);
	note_module(x, rest);
	if (data && is_component(path, "modules.builtin"))
		note_builtin(x, data);
}

static int count(struct input *in, size_t len, struct err *e)
{
	*in->total += len;
	return *in->total > NETROOT_UNPACKED_MAX
		? err_set(e, EFBIG, "it unpacks to more than %llu bytes",
			  (unsigned long long)NETROOT_UNPACKED_MAX)
		: 0;
}

static int read_plain(void *ctx, void *buf, size_t len, size_t *got, struct err *e)
{
	struct input *in = ctx;

	*got = (size_t)MIN(len, in->s->size_bytes - in->at);
	int r = interrupt_check(e);
	if (r == 0)
		r = source_read_at(in->s, buf, *got, in->at, e);
	in->at += *got;
	return r < 0 ? r : count(in, *got, e);
}

static la_ssize_t feed(struct archive *a, void *ctx, const void **buf)
{
	struct input *in = ctx;
	size_t n = (size_t)MIN(CHUNK_BYTES, in->s->size_bytes - in->at);
	struct err e = {0};

	if (source_read_at(in->s, in->chunk, n, in->at, &e) < 0) {
		archive_set_error(a, EIO, "%s", e.msg);
		return -1;
	}
	in->at += n;
	*buf = in->chunk;
	return (la_ssize_t)n;
}

static int archive_fails(struct archive *a, struct err *e)
{
	const char *text = archive_error_string(a);

	return err_set(e, EBADMSG, "unpacking it: %s", text ? text : "it is damaged");
}

static int read_unpacked(void *ctx, void *buf, size_t len, size_t *got, struct err *e)
{
	struct input *in = ctx;
	int r = interrupt_check(e);

	if (r < 0)
		return r;
	for (*got = 0; *got < len;) {
		la_ssize_t n = archive_read_data(in->archive, (char *)buf + *got, len - *got);

		if (n < 0)
			return archive_fails(in->archive, e);
		if (n == 0)
			break;
		*got += (size_t)n;
	}
	return count(in, *got, e);
}

static void end_archive(struct archive **a)
{
	archive_read_free(*a);
}

/* None that would start a program: those that libarchive was not built with are refused. */
static bool add_filters(struct archive *a)
{
	return archive_read_support_filter_gzip(a) == ARCHIVE_OK &&
		archive_read_support_filter_xz(a) == ARCHIVE_OK &&
		archive_read_support_filter_lzma(a) == ARCHIVE_OK &&
		archive_read_support_filter_zstd(a) == ARCHIVE_OK &&
		archive_read_support_filter_lz4(a) == ARCHIVE_OK &&
		archive_read_support_filter_bzip2(a) == ARCHIVE_OK &&
		archive_read_support_format_raw(a) == ARCHIVE_OK;
}

static int look_inside(struct input *in, struct err *e)
{
	auto_with(end_archive) struct archive *a = archive_read_new();
	const struct cpio_walk walk = {.read = read_unpacked, .visit = visit, .ctx = in};
	struct archive_entry *en;
	uint64_t rest = 0, before = *in->total;

	if (!a || !add_filters(a))
		return err_set(e, ENOTSUP, "libarchive lacks a way to unpack it");
	if (archive_read_open(a, in, NULL, feed, NULL) != ARCHIVE_OK ||
		archive_read_next_header(a, &en) != ARCHIVE_OK)
		return archive_fails(a, e);
	if (archive_filter_count(a) < 2)
		return err_set(e, EBADMSG, "neither a cpio archive nor compressed in a known way");
	in->archive = a;
	int r = cpio_walk(&walk, &rest, e);
	if (r == 0 && rest != *in->total - before)
		r = err_set(e, EBADMSG, "what is compressed is not a cpio archive");
	return r;
}

/* Microcode stands in front, uncompressed. */
int initramfs_look(struct source *s, struct initramfs_info *out, struct err *e)
{
	autofree char *chunk = xcalloc(1, CHUNK_BYTES);
	autoinitramfs info = {0};
	uint64_t rest = 0;
	struct input in = {.s = s, .chunk = chunk, .total = &info.unpacked_bytes, .info = &info};
	const struct cpio_walk walk = {.read = read_plain, .visit = visit, .ctx = &in};

	if (s->size_bytes == 0)
		return err_set(e, EBADMSG, "it is empty");
	/* A file of an ISO may have the same bytes many times. */
	if (s->size_bytes > NETROOT_PACKED_MAX)
		return err_set(e, EFBIG, "it has more than %llu bytes", NETROOT_PACKED_MAX);
	int r = cpio_walk(&walk, &rest, e);
	if (r == 0 && rest < s->size_bytes) {
		info.unpacked_bytes = rest;
		in.at = rest;
		r = look_inside(&in, e);
	}
	if (r < 0)
		return r;
	*out = info;
	info.releases = (struct strv){0};
	return 0;
}

static void lacks(struct strbuf *list, bool there, const char *what)
{
	if (!there)
		strbuf_printf(list, "%s%s", list->len > 0 ? "; " : "", what);
}

static int missing(const struct strbuf *list, struct err *e)
{
	return err_set(e, ENOTSUP,
		"its initramfs cannot boot over the network, it lacks: %s.  Install these and make the "
		"initramfs anew",
		list->data);
}

int initramfs_judge_http(const struct initramfs_info *x, struct err *e)
{
	autostrbuf list = {0};

	lacks(&list, x->live, LACKS_LIVE);
	lacks(&list, x->livenet && x->curl,
		"dracut's module 'livenet' (packages dracut-live, dracut-network and curl)");
	return list.len > 0 ? missing(&list, e) : 0;
}

int initramfs_judge(
	const struct initramfs_info *x, unsigned needs, const char *release, struct err *e)
{
	autostrbuf list = {0};

	if (!x->dracut)
		return err_set(
			e, ENOTSUP, "its initramfs was not made by dracut, which netroot needs");
	lacks(&list, x->live || !(needs & NEEDS_LIVE), LACKS_LIVE);
	lacks(&list, (x->nbd_hook && x->nbd_client) || !(needs & NEEDS_LIVE),
		"dracut's module 'nbd' (packages dracut-network, and nbd-client or nbd)");
	lacks(&list, x->network,
		"dracut's module 'network' (packages dracut-network, and NetworkManager or "
		"systemd-networkd)");
	lacks(&list, x->network_driver, "a driver of a network card (kernel/drivers/net/)");
	lacks(&list, x->modules[MODULE_NBD],
		"the kernel module 'nbd' (add_drivers+=\" nbd \" in /etc/dracut.conf.d)");
	for (size_t i = 0; i < MODULE_COUNT; i++) {
		autofree char *text = xasprintf("the kernel module '%s'", module_names[i]);

		if (i == MODULE_LOOP || (needs & NEEDS(i)))
			lacks(&list, x->modules[i], text);
	}
	if (list.len > 0)
		return missing(&list, e);
	if (release && x->releases.count > 0 && !strv_has(&x->releases, release))
		return err_set(e, EBADMSG, "the initramfs is for kernel '%s', not for '%s'",
			x->releases.items[0], release);
	return 0;
}

/* Linux, Documentation/arch/x86/boot.rst: offset 0x202 and 0x20E. */
char *kernel_release(struct source *kernel)
{
	char magic[4], text[RELEASE_MAX + 1] = "";
	le16 at;

	if (kernel->size_bytes < 0x400 || source_read_at(kernel, magic, 4, 0x202, NULL) < 0 ||
		memcmp(magic, BZIMAGE_MAGIC, 4) != 0 ||
		source_read_at(kernel, &at, sizeof(at), 0x20e, NULL) < 0 || le16_get(at) == 0)
		return NULL;
	uint64_t off = 0x200ULL + le16_get(at);
	if (off >= kernel->size_bytes ||
		source_read_at(kernel, text, (size_t)MIN(RELEASE_MAX, kernel->size_bytes - off),
			off, NULL) < 0)
		return NULL;
	text[strcspn(text, " ")] = '\0';
	for (const char *p = text; *p; p++)
		if (*p < '!' || *p > '~')
			return NULL;
	return *text ? xstrdup(text) : NULL;
}
