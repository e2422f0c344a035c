/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cmd.h"
#include "base/endian.h"
#include "boot/cmd-line.h"
#include "boot/entry-manifest.h"
#include "boot/entry.h"
#include "boot/grubenv.h"
#include "boot/loader.h"
#include "folder.h"
#include "sys/chroot.h"

#define SECTOR 512
/* The last entry of a cpio archive, and with zeroes after it a whole one. */
#define ZERO  "00000000"
#define ZERO4 ZERO ZERO ZERO ZERO
#define CPIO  "070701" ZERO4 ZERO4 ZERO ZERO ZERO "0000000B" ZERO "TRAILER!!!"

static int boot_fd; /* an empty folder for each test */
static char *boot_path;

static int begin(void **state)
{
	static int number;

	(void)state;
	boot_path = xasprintf("%s/boot-%d", folder, number++);
	assert_int_equal(mkdir(boot_path, 0755), 0);
	boot_fd = open(boot_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(boot_fd >= 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	close(boot_fd);
	free(boot_path);
	return 0;
}

static char *path_of(const char *name)
{
	return xasprintf("%s/%s", boot_path, name);
}

static void write_text(const char *name, const char *text)
{
	struct err e = {0};

	assert_ok(file_write_in_root(boot_fd, name, text, 0644, &e), e);
}

static char *read_text(const char *name)
{
	struct err e = {0};
	char *text = NULL;

	assert_ok(file_read_in_root(boot_fd, name, 1 * MIB, &text, &e), e);
	return text;
}

static bool is_there(const char *name)
{
	return faccessat(boot_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A file of len bytes that begins with text. */
static int make_file(const char *text, size_t len)
{
	autofree char *path = xasprintf("%s/input.XXXXXX", folder);
	int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));
	return fd;
}

static struct boot_entry sample(const char *layer, const char *cmd_line)
{
	return (struct boot_entry){.layer = xstrdup(layer),
		.title = xstrdup("Node 1 (test)"),
		.release = xstrdup("6.12.1+deb13-amd64"),
		.cmd_line = xstrdup(cmd_line)};
}

static int write_entry(const char *layer, const char *cmd_line, struct err *e)
{
	autobootentry entry = sample(layer, cmd_line);
	autofd int kernel = make_file("kernel", 100000);
	autofd int initramfs = make_file(CPIO, 1 << 20);

	return boot_entry_write(boot_fd, &entry, kernel, initramfs, e);
}

/* ---- entries ---- */

static void entry_is_read_as_it_was_written(void **state)
{
	static const char *const cmd_lines[] = {
		"bedplate.layer=node-1+1 bedplate.roothash=0123 console=ttyS0,115200 quiet",
		"a=b;c&d|e(f){g}<h>$i*j?k[l]~m#n!o",
		"dyndbg=\"file a.c +p\" quiet",
		"\"a b\" c=\"\"x",
		"",
		"\"a b=c d\" \"\"",
	};
	struct err e = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cmd_lines); i++) {
		autobootentries entries = {0};

		assert_ok(write_entry("node-1+1", cmd_lines[i], &e), e);
		assert_ok(boot_entries_read(boot_fd, &entries, &e), e);
		assert_int_equal(entries.count, 1);
		assert_string_equal(entries.items[0].layer, "node-1+1");
		assert_string_equal(entries.items[0].title, "Node 1 (test)");
		assert_string_equal(entries.items[0].release, "6.12.1+deb13-amd64");
		assert_null(entries.items[0].missing);
		if (i != 3)
			assert_string_equal(entries.items[0].cmd_line, cmd_lines[i]);
		else
			assert_string_equal(entries.items[0].cmd_line, "\"a b\" c=x");
	}
}

static void entry_is_a_script_that_grub_accepts(void **state)
{
	autofree char *path = path_of("node-1+1/bedplate.cfg");
	struct err e = {0};
	autocmd c = {0};

	(void)state;
	assert_ok(write_entry("node-1+1", "a=$b;c \"d e\" f={g}", &e), e);
	autofree char *text = read_text("node-1+1/bedplate.cfg");
	assert_non_null(strstr(text,
		"\nmenuentry 'Node 1 (test)' --id 'node-1+1' --unrestricted {\n"
		"\tlinux /node-1+1/vmlinuz 'a=$b;c' 'd e' 'f={g}' "
		"bedplate.trial=$trying\n"
		"\tinitrd /node-1+1/initramfs.img\n}\n"));
	if (!cmd_exists("grub-script-check"))
		skip();
	cmd_add(&c, "grub-script-check", path, NULL);
	assert_ok(cmd_run(&c, &e), e);
}

static void entry_of_the_first_nodes_is_read(void **state)
{
	struct err e = {0};

	(void)state;
	assert_ok(write_entry("node-1+1", "quiet a=\"b c\"", &e), e);
	autofree char *text = read_text("node-1+1/bedplate.cfg");
	char *trial = strstr(text, " bedplate.trial=$trying\n");
	assert_non_null(trial);
	memmove(trial, strchr(trial, '\n'), strlen(strchr(trial, '\n')) + 1);
	write_text("node-1+1/bedplate.cfg", text);
	autobootentries entries = {0};
	assert_ok(boot_entries_read(boot_fd, &entries, &e), e);
	assert_int_equal(entries.count, 1);
	assert_string_equal(entries.items[0].cmd_line, "quiet a=\"b c\"");
}

/* ---- command lines ---- */

static void what_was_changed_is_carried_over(void **state)
{
	static const struct {
		const char *old_line, *old_image, *new_image, *want;
	} cases[] = {
		/* Nothing was changed: the new image's words, and the panic of our own. */
		{"panic=30 quiet a=1", "quiet a=1", "quiet b=2", "panic=30 quiet b=2"},
		{"", "", "", "panic=30"},
		{"", NULL, NULL, "panic=30"},
		/* Words that were added stay, in their order and behind the image's. */
		{"quiet z=1 y=2", "quiet", "x=3 quiet", "panic=30 x=3 quiet z=1 y=2"},
		/* What was taken away stays away, what the new image no longer has goes. */
		{"panic=30 a b", "quiet a b", "quiet b c", "panic=30 b c"},
		/* A value that was changed wins over the image's, by standing last. */
		{"mitigations=off", "mitigations=auto", "mitigations=auto",
			"panic=30 mitigations=off"},
		{"m=1 m=2", "m=1", "m=3", "panic=30 m=3 m=2"},
		/* Ours are ours. */
		{"bedplate.layer=old+1 bedplate.roothash=00 bedplate.trial=x q", "",
			"bedplate.layer=x ok", "panic=30 ok q"},
		/* Consoles stay, and the last one is the last one. */
		{"console=tty0 console=ttyS0,115200", "console=tty0 console=ttyS0,115200",
			"console=tty0", "panic=30 console=tty0 console=ttyS0,115200"},
		{"console=ttyS1 console=tty0", "", "console=ttyS0 quiet",
			"panic=30 console=ttyS0 quiet console=ttyS1 console=tty0"},
		/* A restart after a panic, by whoever asked for it. */
		{"panic=30 x", "x", "x panic=5", "x panic=5"},
		{"panic=7 x", "x", "x panic=5", "x panic=5 panic=7"},
		{"panic=7 x", "panic=7 x", "x", "panic=30 x"},
		/* Quotes. */
		{"dyndbg=\"file a.c +p\" \"a b\"", "\"a b\"", "c=\"d e\"",
			"panic=30 c=\"d e\" dyndbg=\"file a.c +p\""},
		{"c=\"d e\"", "c=\"d e\"", "c=\"d  e\"", "panic=30 c=\"d  e\""},
		/* What is there twice stands where it stood last. */
		{"a b a", "", "b c", "panic=30 c b a"},
		{"q", "q", "q q\tq", "panic=30 q"},
		{"", "", "a=\"\x01\" b='c' ok", "panic=30 ok"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autofree char *got = cmd_line_carry(
			cases[i].old_line, cases[i].old_image, cases[i].new_image, "n-2+1", "ab");
		autofree char *want = xasprintf(
			"bedplate.layer=n-2+1 bedplate.roothash=ab %s", cases[i].want);

		assert_string_equal(got, want);
		/* With the same image again and again: consoles may gather at the end, no more. */
		autofree char *once = cmd_line_carry(
			got, cases[i].new_image, cases[i].new_image, "n-2+1", "ab");
		autofree char *twice = cmd_line_carry(
			once, cases[i].new_image, cases[i].new_image, "n-2+1", "ab");
		assert_string_equal(twice, once);
		assert_int_equal(strlen(once), strlen(want));
	}
}

static void what_grub_would_change_is_refused(void **state)
{
	struct err e = {0};

	(void)state;
	assert_fails(write_entry("node-1+1", "a='b'", &e), EINVAL, e,
		"boot entry: kernel command line 'a='b'': GRUB cannot take control characters, "
		"single quotes and backslashes");
	assert_int_equal(write_entry("node-1+1", "a=b\nc", &e), -EINVAL);
	assert_fails(write_entry("node-1+1", "a=\"b c", &e), EINVAL, e,
		"boot entry: a quote is open at the end of the kernel command line 'a=\"b c'");
	assert_int_equal(write_entry("../node+1", "", &e), -EINVAL);
	assert_int_equal(write_entry("node/x+1", "", &e), -EINVAL);
	assert_int_equal(write_entry("grub", "", &e), -EINVAL);
	autofree char *lengthy = xcalloc(1, 3001);
	memset(lengthy, 'x', 3000);
	assert_int_equal(write_entry("node-1+1", lengthy, &e), -EINVAL);
	assert_false(is_there("node-1+1"));
}

static void plain_initramfs_is_compressed(void **state)
{
	static const unsigned char zstd_magic[] = {0x28, 0xb5, 0x2f, 0xfd};
	unsigned char got[4];
	struct stat st;
	struct err e = {0};

	(void)state;
	assert_ok(write_entry("node-1+1", "", &e), e);
	assert_int_equal(fstatat(boot_fd, "node-1+1/vmlinuz", &st, 0), 0);
	assert_int_equal(st.st_size, 100000);
	assert_int_equal(fstatat(boot_fd, "node-1+1/initramfs.img", &st, 0), 0);
	assert_true(st.st_size < 10000);
	autofd int fd = openat(boot_fd, "node-1+1/initramfs.img", O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, got, 4), 4);
	assert_memory_equal(got, zstd_magic, 4);

	/* One that is compressed stays as it is, wherever its descriptor stands. */
	autobootentry entry = sample("node-2+1", "");
	autofd int kernel = make_file("kernel", 10);
	autofd int initramfs = make_file("(not a cpio)", 5000);
	assert_int_equal(lseek(kernel, 0, SEEK_END), 10);
	assert_ok(boot_entry_write(boot_fd, &entry, kernel, initramfs, &e), e);
	assert_int_equal(fstatat(boot_fd, "node-2+1/vmlinuz", &st, 0), 0);
	assert_int_equal(st.st_size, 10);
	assert_int_equal(fstatat(boot_fd, "node-2+1/initramfs.img", &st, 0), 0);
	assert_int_equal(st.st_size, 5000);
}

static void foreign_folders_are_left_alone(void **state)
{
	autobootentries entries = {0};
	struct err e = {0};

	(void)state;
	write_text("grub/grub.cfg", "x");
	write_text("vmlinuz-6", "x");
	write_text("other+1/bedplate.cfg", "menuentry 'mine' {\n}\n");
	write_text("other+2/vmlinuz.old", "x");
	assert_ok(write_entry("node-2+1", "", &e), e);
	assert_ok(write_entry("node-1+1", "", &e), e);
	write_text("node-1+1/notes", "mine");
	assert_int_equal(unlinkat(boot_fd, "node-2+1/initramfs.img", 0), 0);

	assert_ok(boot_entries_read(boot_fd, &entries, &e), e);
	assert_int_equal(entries.count, 2);
	assert_string_equal(entries.items[0].layer, "node-1+1");
	assert_string_equal(entries.items[1].missing, "node-2+1/initramfs.img");

	assert_ok(boot_entry_remove(boot_fd, "node-1+1", &e), e);
	assert_ok(boot_entry_remove(boot_fd, "node-2+1", &e), e);
	assert_ok(boot_entry_remove(boot_fd, "node-3+1", &e), e);
	assert_ok(boot_entry_remove(boot_fd, "other+2", &e), e);
	assert_false(is_there("node-2+1"));
	assert_false(is_there("node-1+1/vmlinuz"));
	assert_true(is_there("node-1+1/notes"));
	assert_true(is_there("other+2/vmlinuz.old"));
}

static void the_manifest_goes_with_its_entry(void **state)
{
	struct boot_manifest m = {(char[]){"{}"}, (char[]){"s\0g"}, 2, 3};
	autobootmanifest got = {0}, unsigned_one = {0}, none = {0};
	struct err e = {0};

	(void)state;
	assert_int_equal(boot_manifest_write(boot_fd, "node-7+1", &m, &e), -ENOENT);
	assert_int_equal(boot_manifest_write(boot_fd, "../x+1", &m, &e), -EINVAL);
	assert_ok(write_entry("node-7+1", "", &e), e);
	assert_int_equal(boot_manifest_read(boot_fd, "node-7+1", &none, &e), -ENOENT);
	assert_ok(boot_manifest_write(boot_fd, "node-7+1", &m, &e), e);
	assert_ok(boot_manifest_read(boot_fd, "node-7+1", &got, &e), e);
	assert_int_equal(got.len, 2);
	assert_memory_equal(got.text, "{}", 2);
	assert_int_equal(got.sig_len, 3);
	assert_memory_equal(got.sig, "s\0g", 3);
	assert_int_equal(unlinkat(boot_fd, "node-7+1/" BOOT_MANIFEST_SIG, 0), 0);
	assert_ok(boot_manifest_read(boot_fd, "node-7+1", &unsigned_one, &e), e);
	assert_null(unsigned_one.sig);
	/* Not a link to somewhere else. */
	assert_int_equal(symlinkat("/etc/passwd", boot_fd, "node-7+1/" BOOT_MANIFEST_SIG), 0);
	assert_int_equal(boot_manifest_read(boot_fd, "node-7+1", &none, &e), -ELOOP);
	assert_ok(boot_manifest_write(boot_fd, "node-7+1", &m, &e), e);
	assert_ok(boot_entry_remove(boot_fd, "node-7+1", &e), e);
	assert_false(is_there("node-7+1"));
}

static void damaged_entries_are_left_out(void **state)
{
	static const char *const texts[] = {
		"# bedplate 1\n",
		"# bedplate 1\n# layer: bad+1\n# title: a\n# release: b\nmenuentry 'x' {\n",
		"# bedplate 1\n# layer: bad+1\n# title: a\n# release: b\nmenuentry 'x' {\n"
		"\tlinux /bad+1/vmlinuz 'a\n",
		"# bedplate 1\n# layer: bad+1\n# title: a\n# release: b\nmenuentry 'x' {\n"
		"\tlinux /bad+1/vmlinuz $a\n",
		"# bedplate 1\n# layer: good+1\n# title: a\n# release: b\nmenuentry 'x' {\n"
		"\tlinux /good+1/vmlinuz a\n",
		"# bedplate 1\n# layer: bad+1\n# title: a",
	};
	struct err e = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		autobootentries entries = {0};

		write_text("bad+1/bedplate.cfg", texts[i]);
		assert_ok(boot_entries_read(boot_fd, &entries, &e), e);
		assert_int_equal(entries.count, 0);
	}
}

static void failed_write_leaves_nothing(void **state)
{
	autobootentry entry = sample("node-1+1", "");
	struct err e = {0};

	(void)state;
	autofd int kernel = make_file("kernel", 100000);
	autofd int empty = make_file("", 0);
	assert_fails(boot_entry_write(boot_fd, &entry, kernel, empty, &e), EINVAL, e,
		"boot entry 'node-1+1': 'initramfs.img': it would be empty");
	assert_false(is_there("node-1+1"));
}

static void full_boot_volume_is_told_with_numbers(void **state)
{
	autobootentry entry = sample("node-1+1", "");
	struct err e = {0};

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_ok(chroot_enter_namespace(&e), e);
	assert_int_equal(mount("tmpfs", boot_path, "tmpfs", 0, "size=64k"), 0);
	autofd int small_fd = open(boot_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autofd int kernel = make_file("kernel", 400000);
	autofd int initramfs = make_file(CPIO, 1 << 20);
	assert_fails(boot_entry_write(small_fd, &entry, kernel, initramfs, &e), ENOSPC, e,
		"boot volume: kernel and initramfs of layer 'node-1+1' need more than 64.0 KiB, "
		"64.0 KiB are free");
	assert_int_equal(faccessat(small_fd, "node-1+1", F_OK, 0), -1);
	assert_int_equal(umount2(boot_path, MNT_DETACH), 0);
}

/* ---- environment ---- */

static void set(const char *name, const char *value)
{
	const char *const names[] = {name, NULL};
	const char *const values[] = {value, NULL};
	struct err e = {0};

	assert_ok(grubenv_set(boot_fd, names, values, &e), e);
}

static void check_value(const char *name, const char *want)
{
	autofree char *got = NULL;
	struct err e = {0};

	assert_ok(grubenv_get(boot_fd, name, &got, &e), e);
	if (!want)
		assert_null(got);
	else
		assert_string_equal(got, want);
}

static void environment_is_kept(void **state)
{
	const char *const names[] = {"trial", "tries", NULL};
	const char *const values[] = {"node-2+1", "3", NULL};
	struct stat st, after;
	struct err e = {0};

	(void)state;
	check_value("default", NULL);
	set("default", "node-1+1");
	assert_int_equal(fstatat(boot_fd, GRUBENV_PATH, &st, 0), 0);
	assert_int_equal(st.st_size, 1024);
	assert_ok(grubenv_set(boot_fd, names, values, &e), e);
	check_value("default", "node-1+1");
	check_value("trial", "node-2+1");
	set("trial", NULL);
	check_value("trial", NULL);
	check_value("tries", "3");
	set("odd", "back\\slash\nnew=line #");
	check_value("odd", "back\\slash\nnew=line #");
	check_value("new", NULL);
	/* GRUB knows the blocks of this very file. */
	assert_int_equal(fstatat(boot_fd, GRUBENV_PATH, &after, 0), 0);
	assert_int_equal(after.st_ino, st.st_ino);
	assert_int_equal(after.st_size, 1024);
}

static void environment_is_that_of_grub_editenv(void **state)
{
	autofree char *path = path_of(GRUBENV_PATH);
	autofree char *list = NULL;
	struct err e = {0};
	autocmd change = {0}, show = {0};

	(void)state;
	if (!cmd_exists("grub-editenv"))
		skip();
	set("default", "node-1+1");
	set("odd", "a\\b");
	cmd_add(&change, "grub-editenv", path, "set", "tries=2", "kept=x y", "odd2=c\\d", NULL);
	assert_ok(cmd_run(&change, &e), e);
	check_value("tries", "2");
	check_value("odd2", "c\\d");
	set("default", "node-2+1");
	cmd_add(&show, "grub-editenv", path, "list", NULL);
	assert_ok(cmd_output(&show, &list, &e), e);
	assert_string_equal(list, "odd=a\\b\ntries=2\nkept=x y\nodd2=c\\d\ndefault=node-2+1\n");
}

static void what_is_no_environment_is_refused(void **state)
{
	autofree char *lengthy = xcalloc(1, 1025), *value = NULL;
	const char *const names[] = {"a", NULL};
	const char *const values[] = {lengthy, NULL};
	struct err e = {0};

	(void)state;
	memset(lengthy, 'x', 1024);
	assert_fails(grubenv_set(boot_fd, names, values, &e), ENOSPC, e,
		"'/boot/grub/grubenv': 1052 bytes do not fit into GRUB's environment of 1024");
	assert_false(is_there(GRUBENV_PATH));

	write_text(GRUBENV_PATH, "# GRUB Environment Block\nshort\n");
	assert_int_equal(grubenv_get(boot_fd, "a", &value, &e), -EBADMSG);
	write_text(GRUBENV_PATH, lengthy);
	assert_fails(grubenv_get(boot_fd, "a", &value, &e), EBADMSG, e,
		"'/boot/grub/grubenv': not an environment block of GRUB");
	memset(lengthy, '#', 1024);
	memcpy(lengthy, "# GRUB Environment Block\nx=1", 28);
	write_text(GRUBENV_PATH, lengthy);
	assert_int_equal(grubenv_get(boot_fd, "x", &value, &e), -EBADMSG);
	assert_null(value);
}

/* ---- GRUB ---- */

static void configuration_is_complete_and_keeps_what_is_not_ours(void **state)
{
	autofree char *root_path = xasprintf("%s/root", boot_path);
	autofree char *hash = loader_hash_password("secret");
	struct loader_settings s = {.timeout_seconds = -1, .serial = true, .password_hash = hash};
	struct err e = {0};

	(void)state;
	write_text("root/usr/lib/grub/i386-pc/normal.mod", "module");
	write_text("root/usr/lib/grub/i386-pc/boot.img", "no module");
	write_text("grub/custom.cfg", "mine");
	autofd int root_fd = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_ok(loader_write_config(root_fd, boot_fd, &s, &e), e);
	set("default", "node-1+1");
	assert_true(is_there("grub/i386-pc/normal.mod"));
	assert_false(is_there("grub/i386-pc/boot.img"));
	autofree char *user = read_text("grub/user.cfg");
	assert_non_null(strstr(user, hash));
	autofree char *config = read_text("grub/grub.cfg");
	assert_non_null(strstr(config, "set timeout=5\nif serial --unit=0 --speed=115200; then\n"));

	s = (struct loader_settings){.timeout_seconds = 0};
	assert_ok(loader_write_config(root_fd, boot_fd, &s, &e), e);
	assert_false(is_there("grub/user.cfg"));
	check_value("default", "node-1+1");
	autofree char *custom = read_text("grub/custom.cfg");
	assert_string_equal(custom, "mine");
	autofree char *again = read_text("grub/grub.cfg");
	assert_non_null(strstr(again, "set timeout=0\n"));
	assert_null(strstr(again, "serial"));
	/* Before anything is tried it is nobody's name, and entries see it. */
	assert_non_null(strstr(again, "\nset trying=\nexport trying\n"));
	assert_non_null(strstr(again, "set default=$trial\n\t\tset trying=$trial\n"));

	s.password_hash = "grub.pbkdf2.sha512.1.A.B\nset x";
	assert_int_equal(loader_write_config(root_fd, boot_fd, &s, &e), -EINVAL);
	s.password_hash = "plain";
	assert_int_equal(loader_write_config(root_fd, boot_fd, &s, &e), -EINVAL);
}

static void passwords_are_salted(void **state)
{
	autofree char *one = loader_hash_password("secret");
	autofree char *two = loader_hash_password("secret");

	(void)state;
	assert_int_equal(strlen(one), strlen("grub.pbkdf2.sha512.10000.") + 128 + 1 + 128);
	assert_string_not_equal(one, two);
}

static void boot_sector_keeps_the_partition_table(void **state)
{
	uint8_t disk[8 * SECTOR], boot_img[SECTOR], core[3 * SECTOR - 100], got[8 * SECTOR];
	const uint64_t start = 4 * SECTOR;
	struct err e = {0};

	(void)state;
	memset(disk, 0xdd, sizeof(disk));
	memset(boot_img, 0xbb, sizeof(boot_img));
	memset(core, 0xcc, sizeof(core));
	autofd int fd = make_file("", sizeof(disk));
	assert_int_equal(pwrite(fd, disk, sizeof(disk), 0), sizeof(disk));
	assert_ok(
		loader_write_bios(fd, SECTOR, start, 3 * SECTOR, boot_img, core, sizeof(core), &e),
		e);
	assert_int_equal(pread(fd, got, sizeof(got), 0), sizeof(got));

	/* Parameters of the disk and its partition table are as before, the code is not. */
	assert_int_equal(got[0], 0xbb);
	assert_memory_equal(got + 3, disk, 0x5a - 3);
	assert_int_equal(got[0x5a], 0xbb);
	assert_memory_equal(got + 0x5c, ((uint8_t[]){4, 0, 0, 0, 0, 0, 0, 0}), 8);
	assert_memory_equal(got + 0x66, ((uint8_t[]){0x90, 0x90}), 2);
	assert_memory_equal(got + 0x1b8, disk, 0x1fe - 0x1b8);
	assert_memory_equal(got + SECTOR, disk, 3 * SECTOR);
	/* The first sector of the core knows where the rest of it is. */
	assert_memory_equal(got + start, core, 0x1f4);
	assert_memory_equal(got + start + 0x1f4, ((uint8_t[]){5, 0, 0, 0, 0, 0, 0, 0, 2, 0}), 10);
	assert_memory_equal(got + start + SECTOR, core, 2 * SECTOR - 100);
	assert_memory_equal(got + 7 * SECTOR, disk, SECTOR);

	/* It goes again, and another one's stays. */
	assert_ok(loader_remove_bios(fd, start + SECTOR, &e), e);
	assert_int_equal(pread(fd, disk, SECTOR, 0), SECTOR);
	assert_memory_equal(disk, got, SECTOR);
	assert_ok(loader_remove_bios(fd, start, &e), e);
	assert_int_equal(pread(fd, disk, SECTOR, 0), SECTOR);
	memset(got, 0, 0x1b8);
	assert_memory_equal(disk, got, SECTOR);

	assert_int_equal(loader_write_bios(fd, 4096, start, 4096, boot_img, core, sizeof(core), &e),
		-EOPNOTSUPP);
	assert_fails(loader_write_bios(fd, SECTOR, start, SECTOR, boot_img, core, sizeof(core), &e),
		ENOSPC, e, "GRUB for BIOS: GRUB needs 1436 bytes, the BIOS boot partition has 512");
}

static void uefi_programs_go_beside_those_of_others(void **state)
{
	autofree char *root_path = xasprintf("%s/root", boot_path);
	autofree char *esp_path = xasprintf("%s/esp", boot_path);
	struct err e = {0};

	(void)state;
	write_text("root/usr/lib/shim/mmx64.efi.signed", "mm");
	write_text("root/usr/lib/shim/shimx64.efi.signed", "shim");
	write_text("esp/EFI/debian/grub.cfg", "of Debian");
	autofd int root_fd = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	autofd int esp_fd = open(esp_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_fails(loader_install_efi(root_fd, esp_fd, "1234-5678", &e), ENOENT, e,
		"no boot loader for UEFI: the package 'grub-efi-amd64-signed' is missing");
	assert_false(is_there("esp/EFI/bedplate"));

	write_text("root/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", "grub");
	assert_ok(loader_install_efi(root_fd, esp_fd, "1234-5678", &e), e);
	autofree char *fallback = read_text("esp/EFI/BOOT/BOOTX64.EFI");
	assert_string_equal(fallback, "shim");
	autofree char *grub = read_text("esp/EFI/bedplate/grubx64.efi");
	assert_string_equal(grub, "grub");
	autofree char *config = read_text("esp/EFI/bedplate/grub.cfg");
	assert_non_null(strstr(config, "--fs-uuid --set=root 1234-5678;"));
	autofree char *debian = read_text("esp/EFI/debian/grub.cfg");
	assert_string_equal(debian, "of Debian");

	/* Ours is replaced; once somebody else is there it is kept. */
	write_text("root/usr/lib/shim/shimx64.efi.signed", "newer shim");
	assert_ok(loader_install_efi(root_fd, esp_fd, "1234-5678", &e), e);
	autofree char *newer = read_text("esp/EFI/BOOT/BOOTX64.EFI");
	assert_string_equal(newer, "newer shim");
	write_text("esp/EFI/BOOT/BOOTX64.EFI", "other");
	write_text("esp/EFI/BOOT/grub.cfg", "other");
	assert_ok(loader_install_efi(root_fd, esp_fd, "1234-5678", &e), e);
	autofree char *other = read_text("esp/EFI/BOOT/BOOTX64.EFI");
	assert_string_equal(other, "other");
}

static void configurations_are_scripts_that_grub_accepts(void **state)
{
	static const char *const names[] = {"grub/grub.cfg", "grub/user.cfg"};
	const struct loader_settings s = {
		.serial = true, .password_hash = "grub.pbkdf2.sha512.1.AA.BB"};
	autofd int root_fd = open(boot_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct err e = {0};

	(void)state;
	if (!cmd_exists("grub-script-check"))
		skip();
	assert_ok(loader_write_config(root_fd, boot_fd, &s, &e), e);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		autofree char *path = path_of(names[i]);
		autocmd c = {0};

		cmd_add(&c, "grub-script-check", path, NULL);
		assert_ok(cmd_run(&c, &e), e);
	}
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(entry_is_read_as_it_was_written),
		IN_FOLDER(entry_is_a_script_that_grub_accepts),
		IN_FOLDER(entry_of_the_first_nodes_is_read),
		IN_FOLDER(what_grub_would_change_is_refused),
		IN_FOLDER(what_was_changed_is_carried_over),
		IN_FOLDER(plain_initramfs_is_compressed),
		IN_FOLDER(foreign_folders_are_left_alone),
		IN_FOLDER(the_manifest_goes_with_its_entry),
		IN_FOLDER(damaged_entries_are_left_out),
		IN_FOLDER(failed_write_leaves_nothing),
		IN_FOLDER(full_boot_volume_is_told_with_numbers),
		IN_FOLDER(environment_is_kept),
		IN_FOLDER(environment_is_that_of_grub_editenv),
		IN_FOLDER(what_is_no_environment_is_refused),
		IN_FOLDER(configuration_is_complete_and_keeps_what_is_not_ours),
		IN_FOLDER(configurations_are_scripts_that_grub_accepts),
		IN_FOLDER(passwords_are_salted),
		IN_FOLDER(boot_sector_keeps_the_partition_table),
		IN_FOLDER(uefi_programs_go_beside_those_of_others),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
