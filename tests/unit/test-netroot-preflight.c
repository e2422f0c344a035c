/* SPDX-License-Identifier: Apache-2.0 */
/* What is read out of an initramfs, in each form that it comes in, and what is made of it. */
#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/xalloc.h"
#include "fmt/cpio.h"
#include "netroot/preflight.h"
#include "test.h"

#define REL     "6.1.0-1"
#define OWN     (NEEDS(MODULE_EXT4) | NEEDS(MODULE_SQUASHFS) | NEEDS(MODULE_OVERLAY))
#define LIVEIMG (OWN | NEEDS_LIVE)
#define MODULES "usr/lib/modules/" REL "/"

static const char *const files[] = {
	"usr/lib/dracut/modules.txt",
	"var/lib/dracut/hooks/cmdline/90-parse-nbdroot.sh",
	"usr/sbin/nbd-client",
	"usr/sbin/dmsquash-live-root",
	"usr/sbin/NetworkManager",
	MODULES "kernel/drivers/block/nbd.ko.xz",
	MODULES "kernel/drivers/block/loop.ko",
	MODULES "kernel/fs/squashfs/squashfs.ko.zst",
	MODULES "kernel/fs/overlayfs/overlay.ko.gz",
	MODULES "kernel/drivers/net/ethernet/intel/e1000/e1000.ko.xz",
	/* These alone are no network. */
	MODULES "kernel/drivers/net/phy/libphy.ko",
	"etc/NetworkManager",
	"etc/systemd/network/systemd-networkd",
	"usr/share/doc/nbd-client",
};

#define BUILTIN "kernel/fs/ext4/ext4.ko\nkernel/fs/isofs/isofs.ko\n"

/* All but one of the files. */
static void add_files(struct strbuf *b, const char *left_out)
{
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (!left_out || !strstr(files[i], left_out))
			cpio_add(b, files[i], S_IFREG | 0644, "x", 1);
	if (!left_out || !strstr(MODULES "modules.builtin", left_out))
		cpio_add(b, MODULES "modules.builtin", S_IFREG | 0644, BUILTIN, strlen(BUILTIN));
	cpio_end(b);
}

static int look(const struct strbuf *b, struct initramfs_info *out, struct err *e)
{
	autoptr(source) s = source_memory(b->data, b->len);

	return initramfs_look(s, out, e);
}

static void compress(const struct strbuf *in, int (*filter)(struct archive *), struct strbuf *out)
{
	struct archive *a = archive_write_new();
	struct archive_entry *en = archive_entry_new();
	size_t room = in->len + 65536, used = 0;
	autofree char *buf = xcalloc(1, room);

	archive_write_set_format_raw(a);
	assert_int_equal(filter(a), ARCHIVE_OK);
	assert_int_equal(archive_write_open_memory(a, buf, room, &used), ARCHIVE_OK);
	archive_entry_set_filetype(en, AE_IFREG);
	archive_entry_set_pathname(en, "initramfs");
	assert_int_equal(archive_write_header(a, en), ARCHIVE_OK);
	assert_int_equal(archive_write_data(a, in->data, in->len), (la_ssize_t)in->len);
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_entry_free(en);
	archive_write_free(a);
	strbuf_add(out, buf, used);
}

static void each_form_is_read(void **state)
{
	static int (*const filters[])(struct archive *) = {NULL, archive_write_add_filter_gzip,
		archive_write_add_filter_xz, archive_write_add_filter_zstd,
		archive_write_add_filter_lz4, archive_write_add_filter_bzip2};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LEN(filters); i++) {
		int (*filter)(struct archive *) = filters[i / 2];
		autostrbuf plain = {0}, all = {0};
		autoinitramfs x = {0};
		struct err e = {0};

		add_files(&plain, NULL);
		/* Microcode in front. */
		if (i % 2) {
			cpio_add(&all, "kernel/x86/microcode/GenuineIntel.bin", S_IFREG | 0644, "m",
				1);
			cpio_end(&all);
		}
		size_t early = all.len;
		if (filter)
			compress(&plain, filter, &all);
		else
			strbuf_add(&all, plain.data, plain.len);
		assert_ok(look(&all, &x, &e), e);
		assert_ok(initramfs_judge(&x, LIVEIMG, REL, &e), e);
		assert_ok(initramfs_judge(&x, NEEDS(MODULE_ISOFS) | NEEDS_LIVE, NULL, &e), e);
		assert_false(x.own);
		assert_int_equal(x.unpacked_bytes, early + plain.len);
		assert_int_equal(x.releases.count, 1);
	}
}

static void what_is_missing_is_named(void **state)
{
	static const struct {
		const char *left_out, *want;
	} cases[] = {
		{"parse-nbdroot",
			"dracut's module 'nbd' (packages dracut-network, and nbd-client or nbd)"},
		{"sbin/nbd-client",
			"dracut's module 'nbd' (packages dracut-network, and nbd-client or nbd)"},
		{"dmsquash", "dracut's module 'dmsquash-live' (package dracut-live)"},
		{"sbin/NetworkManager", "dracut's module 'network' (packages dracut-network, and"},
		{"e1000.ko", "it lacks: a driver of a network card (kernel/drivers/net/).  "},
		{"nbd.ko", "the kernel module 'nbd' (add_drivers+=\" nbd \" in"},
		{"loop.ko", "it lacks: the kernel module 'loop'.  "},
		{"squashfs.ko", "it lacks: the kernel module 'squashfs'.  "},
		{"overlay.ko", "it lacks: the kernel module 'overlay'.  "},
		{"modules.builtin", "it lacks: the kernel module 'ext4'.  "},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autostrbuf b = {0};
		autoinitramfs x = {0};
		struct err e = {0};

		add_files(&b, cases[i].left_out);
		assert_ok(look(&b, &x, &e), e);
		assert_int_equal(initramfs_judge(&x, LIVEIMG, REL, &e), -ENOTSUP);
		if (!strstr(e.msg, cases[i].want) || strstr(e.msg, "; "))
			fail_msg("without %s: %s", cases[i].left_out, e.msg);
	}
}

/* Without dracut's own modules, but with ours. */
static void our_module_needs_less(void **state)
{
	autostrbuf b = {0};
	autoinitramfs x = {0};
	struct err e = {0};

	(void)state;
	cpio_add(&b, "usr/lib/bedplate/nbd-root", S_IFREG | 0755, "x", 1);
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (!strstr(files[i], "nbdroot") && !strstr(files[i], "dmsquash") &&
			!strstr(files[i], "nbd-client"))
			cpio_add(&b, files[i], S_IFREG | 0644, "x", 1);
	cpio_add(&b, MODULES "modules.builtin", S_IFREG | 0644, BUILTIN, strlen(BUILTIN));
	cpio_end(&b);
	assert_ok(look(&b, &x, &e), e);
	assert_true(x.own);
	assert_ok(initramfs_judge(&x, OWN, REL, &e), e);
	assert_int_equal(initramfs_judge(&x, LIVEIMG, REL, &e), -ENOTSUP);
}

static void others_are_refused(void **state)
{
	autostrbuf b = {0}, none = {0};
	autoinitramfs x = {0}, empty = {0};
	struct err e = {0};

	(void)state;
	add_files(&b, NULL);
	assert_ok(look(&b, &x, &e), e);
	assert_int_equal(initramfs_judge(&x, NEEDS(MODULE_SNAPSHOT), REL, &e), -ENOTSUP);
	assert_int_equal(initramfs_judge(&x, NEEDS(MODULE_EROFS), REL, &e), -ENOTSUP);
	assert_fails(initramfs_judge(&x, LIVEIMG, "5.0", &e), EBADMSG, e,
		"the initramfs is for kernel '" REL "', not for '5.0'");
	cpio_end(&none);
	assert_ok(look(&none, &empty, &e), e);
	assert_fails(initramfs_judge(&empty, LIVEIMG, REL, &e), ENOTSUP, e,
		"its initramfs was not made by dracut, which netroot needs");
}

static void damage_is_an_error(void **state)
{
	autostrbuf plain = {0}, packed = {0}, text = {0};

	(void)state;
	add_files(&plain, NULL);
	compress(&plain, archive_write_add_filter_gzip, &packed);
	strbuf_puts(&text, "neither an archive nor compressed");
	for (size_t i = 0; i < 4; i++) {
		autostrbuf b = {0};
		autoinitramfs x = {0};
		struct err e = {0};

		if (i == 0)
			strbuf_add(&b, packed.data, packed.len / 2);
		else if (i == 1)
			strbuf_add(&b, text.data, text.len);
		else if (i == 2)
			compress(&text, archive_write_add_filter_gzip, &b);
		else
			strbuf_add(&b, "", 0);
		assert_int_equal(look(&b, &x, &e), -EBADMSG);
	}
}

static int read_zeroes(
	struct source *s UNUSED, void *buf, size_t len, uint64_t off UNUSED, struct err *e UNUSED)
{
	memset(buf, 0, len);
	return 0;
}

/* As an ISO may have it whose file is the same bytes over and over. */
static void a_huge_one_is_not_read(void **state)
{
	static const struct source_ops ops = {.read_at = read_zeroes};
	struct source s = {.ops = &ops, .size_bytes = 4096 * GIB};
	autoinitramfs x = {0};
	struct err e = {0};

	(void)state;
	assert_fails(initramfs_look(&s, &x, &e), EFBIG, e, "it has more than 1073741824 bytes");
}

static void the_release_of_a_kernel(void **state)
{
	char kernel[8192] = "";
	autoptr(source) s = source_memory(kernel, sizeof(kernel));

	(void)state;
	assert_null(kernel_release(s));
	memcpy(kernel + 0x202, "HdrS", 4);
	assert_null(kernel_release(s));
	kernel[0x20f] = 0x10;
	snprintf(kernel + 0x1200, 64, REL " (x) #1");
	autofree char *release = kernel_release(s);
	assert_string_equal(release, REL);
	kernel[0x20f] = (char)0xff;
	assert_null(kernel_release(s));
	kernel[0x20f] = 0x10;
	kernel[0x1201] = '\n';
	assert_null(kernel_release(s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_form_is_read),
		cmocka_unit_test(what_is_missing_is_named),
		cmocka_unit_test(our_module_needs_less),
		cmocka_unit_test(others_are_refused),
		cmocka_unit_test(damage_is_an_error),
		cmocka_unit_test(a_huge_one_is_not_read),
		cmocka_unit_test(the_release_of_a_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
