/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a node's configuration on plain folders; volumes and mounts are in tests/lab. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/cmd.h"
#include "base/str.h"
#include "folder.h"
#include "image/intree.h"
#include "install/configure-part.h"
#include "ks/ks.h"
#include "layout-scene.h"

static struct ks_doc *parse(const char *text)
{
	struct ks_doc *doc = NULL;
	struct err e = {0};

	assert_ok(ks_parse_text("t.ks", text, strlen(text), NULL, &doc, &e), e);
	assert_int_equal(ks_error_count(doc), 0);
	return doc;
}

static char dev_vda2[] = "/dev/vda2", dev_vda3[] = "/dev/vda3", dev_vda4[] = "/dev/vda4";
static struct layout_part parts[] = {
	{.role = LAYOUT_BIOS, .path = (char[]){"/dev/vda1"}},
	{.role = LAYOUT_EFI,
		.path = dev_vda2,
		.mount = (char[]){"/boot/efi"},
		.fstype = (char[]){"efi"}},
	{.role = LAYOUT_BOOT,
		.path = dev_vda3,
		.mount = (char[]){"/boot"},
		.fstype = (char[]){"ext4"}},
	{.role = LAYOUT_PV, .path = dev_vda4},
	{.role = LAYOUT_DATA,
		.path = (char[]){"/dev/vda6"},
		.mount = (char[]){"/opt"},
		.fstype = (char[]){"xfs"}},
	{.role = LAYOUT_SWAP, .path = (char[]){"/dev/vda5"}, .fstype = (char[]){"swap"}},
};
static struct layout_volume volumes[] = {
	{.mount = (char[]){"/"}, .fstype = (char[]){"ext4"}},
	{.name = (char[]){"var"},
		.mount = (char[]){"/var"},
		.fstype = (char[]){"ext4"},
		.fsoptions = (char[]){"defaults,discard"}},
	{.name = (char[]){"var_log"},
		.mount = (char[]){"/var/log"},
		.fstype = (char[]){"xfs"},
		.fsoptions = (char[]){"noexec,discard"}},
	{.name = (char[]){"srv_my_data"},
		.mount = (char[]){"/srv/my data"},
		.fstype = (char[]){"ext4"},
		.fsoptions = (char[]){"discard,x-systemd.growfs"}},
	{.name = (char[]){"home"}, .mount = (char[]){"/home"}, .fstype = (char[]){"ext4"}},
	{.name = (char[]){"tmp"}, .mount = (char[]){"/tmp"}, .fstype = (char[]){"ext4"}},
	{.name = (char[]){"swap"}, .mount = (char[]){"swap"}, .fstype = (char[]){"swap"}},
};
static char vg[] = "node-vg", pool[] = "pool00";
static char dev_vda[] = "/dev/vda";
static struct layout_disk disks[] = {{.path = dev_vda, .new_table = true}};
static const struct layout layout = {
	.disks = disks,
	.disk_count = 1,
	.parts = parts,
	.part_count = ARRAY_LEN(parts),
	.vg = vg,
	.pool = pool,
	.volumes = volumes,
	.volume_count = ARRAY_LEN(volumes),
};

static void fstab_has_a_line_for_each_file_system(void **state)
{
	static const char *const uuids[] = {NULL, "ABCD-1234", "0f3c", NULL, "0b0b", "5a5a"};
	autofree char *text = fstab_format(&layout, uuids);

	(void)state;
	assert_string_equal(text,
		"# Made by nodectl install.  Root is not here: the kernel's command line names its "
		"layer.\n"
		"UUID=ABCD-1234 /boot/efi vfat umask=0077,shortname=winnt 0 2\n"
		"UUID=0f3c /boot ext4 defaults 0 2\n"
		"UUID=0b0b /opt xfs defaults 0 0\n"
		"UUID=5a5a none swap defaults 0 0\n"
		"/dev/node-vg/var /var ext4 defaults,discard,x-systemd.growfs 0 2\n"
		"/dev/node-vg/var_log /var/log xfs noexec,discard,x-systemd.growfs 0 0\n"
		"/dev/node-vg/srv_my_data /srv/my\\040data ext4 discard,x-systemd.growfs 0 2\n"
		"/dev/node-vg/home /home ext4 defaults,discard,x-systemd.growfs 0 2\n"
		"/dev/node-vg/tmp /tmp ext4 defaults,discard,x-systemd.growfs 0 2\n"
		"/dev/node-vg/swap none swap defaults 0 0\n");
}

static void assert_cmd_line(
	const char *ks, const char *image, const char *running, const char *want)
{
	const struct manifest m = {.verity.root_hash = {0xab}};
	autoptr(ks_doc) doc = parse(ks);
	const struct node_config c = {.doc = doc, .manifest = &m, .layer = "n-1+1"};
	autofree char *got = node_cmd_line(&c, image, running);
	autofree char *all = xasprintf("bedplate.layer=n-1+1 bedplate.roothash=ab%062d%s%s%s", 0,
		strstr(want, "panic=") ? "" : " panic=30", *want ? " " : "", want);

	assert_string_equal(got, all);
}

static void command_line_is_put_together(void **state)
{
	(void)state;
	assert_cmd_line("", NULL, NULL, "");
	assert_cmd_line("", "console=tty0 console=ttyS0,115200", "quiet",
		"console=tty0 console=ttyS0,115200");
	assert_cmd_line("bootloader --append=\"quiet mitigations=auto quiet\"\n",
		"console=tty0 console=ttyS0,115200 quiet",
		"BOOT_IMAGE=/x console=ttyS0,115200 console=tty0 rd.live.image root=live:x",
		"mitigations=auto quiet console=ttyS0,115200 console=tty0");
	assert_cmd_line("bootloader --append=panic=0\n", "x", NULL, "x panic=0");
	assert_cmd_line("", "panic=5 x", NULL, "panic=5 x");
	/* Quotes are kept where they are needed, what is ours stays ours. */
	assert_cmd_line("bootloader --append='dyndbg=\"file a.c +p\" bedplate.layer=x "
			"bedplate.roothash=00 a=$(b)'\n",
		"x=1\ty=2\nz=3", "", "x=1 y=2 z=3 dyndbg=\"file a.c +p\" a=$(b)");
	assert_cmd_line("", "a=\"\x01\" b='c' d`e` f\\g ok", "console=ttyS1'", "ok");
}

/* A tree as of the base, and one as of the node with empty folders for volumes. */
static void make_trees(const char *name, int *base_fd, int *root_fd)
{
	autofree char *script = xasprintf(
		"mkdir -p %1$s/base %1$s/root; cd %1$s\n"
		"mkdir -p base/usr/share/factory/var/lib/x base/usr/share/factory/var/log/audit\n"
		"cd base/usr/share/factory/var; echo lib >lib/x/one; ln lib/x/one lib/x/two\n"
		"chmod 2750 lib/x; chown 12:34 lib/x; touch -d @1000 lib/x/one; chmod 0640 lib/x/one\n"
		"setfattr -n user.a -v b lib/x/one; echo log >log/messages; ln -s x lib/link\n"
		"mkfifo lib/pipe; chmod 0770 log; chown 0:4 log; chmod 0711 .\n"
		"setfattr -n user.root -v yes log\n"
		"cd ../../../..; mkdir -p var/lib/not-this home/node tmp; chmod 0700 home/node\n"
		"chown 1000:1000 home/node; chmod 01777 tmp; chmod 0751 home; echo hi >home/node/hi; mkdir opt; echo >opt/in\n"
		"cd ../root; mkdir -p var/log/lost+found home/kept tmp opt 'srv/my data'",
		name);
	autofree char *base = xasprintf("%s/%s/base", folder, name);
	autofree char *root = xasprintf("%s/%s/root", folder, name);
	autocmd c = {0};
	struct err e = {0};

	cmd_add(&c, "sh", "-euc", script, NULL);
	c.cwd = folder;
	assert_ok(cmd_run(&c, &e), e);
	*base_fd = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
	*root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(*base_fd >= 0 && *root_fd >= 0);
}

static void assert_looks(const char *script, const char *want)
{
	autofree char *out = NULL;
	autocmd c = {0};
	struct err e = {0};

	cmd_add(&c, "sh", "-euc", script, NULL);
	c.cwd = folder;
	assert_ok(cmd_output(&c, &out, &e), e);
	assert_string_equal(out, want);
}

static void volumes_begin_as_the_image_has_them(void **state)
{
	struct factory_roots roots = {-1, -1};
	struct err e = {0};

	(void)state;
	if (geteuid() != 0)
		skip();
	make_trees("fill", &roots.base_fd, &roots.root_fd);
	assert_ok(factory_fill_volumes(&roots, &layout, "n-1+1", &e), e);
	close(roots.base_fd);
	close(roots.root_fd);
	assert_looks(
		"cd fill/root; stat -c '%n %a %u:%g %h' var var/log tmp home 'srv/my data' "
		"var/lib/x var/lib/x/one | sed 's/ [0-9]*$//;t'; "
		"stat -c '%h %Y' var/lib/x/one; cat var/lib/x/two var/log/messages; "
		"readlink var/lib/link; test -p var/lib/pipe; test ! -e var/lib/not-this; test -e opt/in; "
		"getfattr --only-values -n user.a var/lib/x/one; "
		"getfattr --only-values -n user.root var/log; ls -A home var/log",
		"var 711 0:0\nvar/log 770 0:4\ntmp 1777 0:0\nhome 755 0:0\nsrv/my data 755 0:0\n"
		"var/lib/x 2750 12:34\nvar/lib/x/one 640 0:0\n2 1000\nlib\nlog\nx\nbyes"
		"home:\nkept\n\nvar/log:\naudit\nlost+found\nmessages\n");
	assert_looks("cat fill/root/var/lib/bedplate/factory-added",
		"layer n-1+1\nlib\nlib/link\nlib/pipe\nlib/x\nlib/x/one\nlib/x/two\nlog\n"
		"log/audit\nlog/messages\n");
}

static void a_var_that_is_kept_remembers_nothing(void **state)
{
	struct factory_roots roots = {-1, -1};
	struct err e = {0};

	(void)state;
	if (geteuid() != 0)
		skip();
	make_trees("kept", &roots.base_fd, &roots.root_fd);
	assert_looks("echo mine >kept/root/var/mine", "");
	assert_ok(factory_fill_volumes(&roots, &layout, "n-1+1", &e), e);
	close(roots.base_fd);
	close(roots.root_fd);
	assert_looks("ls -F kept/root/var", "log/\nmine\n");
}

static void firstboot_is_for_what_the_image_has(void **state)
{
	static const char unit[] = "/usr/lib/systemd/system/systemd-firstboot.service";
	autofree char *path = xasprintf("%s/first", folder);
	autoptr(ks_doc) enable = parse("firstboot --reconfig\n");
	autoptr(ks_doc) disable = parse("firstboot --disable\n");
	autofree char *text = NULL;
	struct err e = {0};

	(void)state;
	assert_int_equal(mkdir(path, 0755), 0);
	autofd int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_ok(firstboot_configure(fd, enable, &e), e);
	assert_false(intree_has(fd, "/etc/systemd"));
	assert_ok(intree_write(fd, unit, "", 0644, &e), e);
	assert_ok(firstboot_configure(fd, enable, &e), e);
	assert_true(intree_has(fd, "/etc/bedplate/firstboot"));
	assert_ok(file_read_in_root(fd,
			  "/etc/systemd/system/systemd-firstboot.service.d/50-kickstart.conf", 4096,
			  &text, &e),
		e);
	assert_non_null(
		strstr(text, "ConditionFirstBoot=\nConditionPathExists=/etc/bedplate/firstboot\n"));
	assert_non_null(strstr(text, "--prompt-root-password --force\n"));
	assert_ok(firstboot_configure(fd, disable, &e), e);
	assert_true(intree_is_link(fd, "/etc/systemd/system/systemd-firstboot.service"));
}

static void record_tells_no_passwords(void **state)
{
	static const char ks[] =
		"rootpw hunter2\nuser --name=a --password=hunter3\n%post\ntrue\n%end\n";
	char name[] = "n", version[] = "1", arch[] = "x86_64";
	const struct manifest m = {.name = name, .version = version, .arch = arch};
	autofree char *path = xasprintf("%s/record", folder);
	autofree char *log = xasprintf("%s/the.log", folder);
	autofree char *text = NULL, *json = NULL, *copy = NULL;
	autoptr(ks_doc) doc = parse(ks);
	const struct node_config c = {.doc = doc,
		.manifest = &m,
		.layout = &layout,
		.layer = "n-1+1",
		.kickstart_text = ks,
		.origin = "the medium"};
	struct err e = {0};
	struct stat st;

	(void)state;
	assert_int_equal(mkdir(path, 0755), 0);
	assert_ok(file_replace(log, "said\n", 5, 0600, &e), e);
	autofd int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_ok(record_write(fd, &c, log, &e), e);
	assert_ok(file_read_in_root(fd, "/var/log/bedplate/install.ks", 4096, &text, &e), e);
	assert_string_equal(
		text, "rootpw REMOVED\nuser --name=a --password=REMOVED\n%post\ntrue\n%end\n");
	assert_ok(file_read_in_root(fd, "/var/log/bedplate/install.log", 4096, &copy, &e), e);
	assert_string_equal(copy, "said\n");
	assert_int_equal(fstatat(fd, "var/log/bedplate/install.ks", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_ok(file_read_in_root(fd, "/usr/lib/bedplate/factory.json", 65536, &json, &e), e);
	assert_non_null(strstr(json, "\"layer\": \"n-1+1\""));
	assert_non_null(strstr(json, "\"origin\": \"the medium\""));
	assert_non_null(strstr(json, "\"format\": 1"));
}

static void what_the_image_lacks_is_said_before(void **state)
{
	static const struct {
		const char *ks, *message;
	} cases[] = {
		{"firewall --enabled\n",
			"t.ks:1: the firewall needs package 'nftables', which the image lacks"},
		{"firewall --disabled\n", NULL},
		{"timezone Etc/UTC\n", NULL},
		{"timezone Europe/Vienna\n", NULL},
		{"\ntimezone Europe/Nowhere\n",
			"t.ks:2: the image has no time zone 'Europe/Nowhere'"},
		{"sshkey --username=root 'ssh-ed25519 AAAA'\n", NULL},
		{"user --name=a\nsshkey --username=a 'ssh-ed25519 AAAA'\n", NULL},
		{"sshkey --username=roo 'ssh-ed25519 AAAA'\n",
			"t.ks:1: sshkey: there is no user 'roo'"},
	};
	autofree char *path = xasprintf("%s/lacks", folder);
	autoptr(tree) t = NULL;
	struct err e = {0};

	(void)state;
	assert_int_equal(mkdir(path, 0755), 0);
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_ok(intree_write(fd, "/etc/passwd", "root:x:0:0::/root:/bin/sh\n", 0644, &e), e);
	assert_ok(intree_write(fd, "/usr/share/zoneinfo/Europe/Vienna", "", 0644, &e), e);
	close(fd);
	assert_ok(tree_scan(path, &t, &e), e);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autoptr(ks_doc) doc = parse(cases[i].ks);
		int r = node_precheck(doc, t, &e);

		if (cases[i].message)
			assert_fails(r, EINVAL, e, cases[i].message);
		else
			assert_ok(r, e);
	}
}

/* tests/vm/every-directive.ks, as far as it can be followed without a machine. */
static void every_directive_is_planned(void **state)
{
	static const char *const names[] = {"home", "srv", "tmp", "var", "log"};
	const struct layout_params params = {.name = "every",
		.version = "1",
		.rootfs_bytes = 900 * MIB,
		.boot_bytes = 150 * MIB};
	const struct ks_options options = {.missing_include_ok = true};
	autoinventory inv = {0};
	autolayout l = {0};
	autoptr(ks_doc) doc = NULL;
	struct err e = {0};

	(void)state;
	autofree char *path = xasprintf("%s/../vm/every-directive.ks", getenv("BEDPLATE_GOLDEN"));
	scene_disk(&inv, "vda", 12 * GIB);
	assert_ok(ks_parse_file(path, &options, &doc, &e), e);
	assert_int_equal(ks_error_count(doc), 0);
	assert_int_equal(ks_warning_count(doc), 0);
	ks_add_support_warnings(doc, KS_FOR_INSTALL);
	assert_int_equal(ks_warning_count(doc), 0);
	assert_ok(layout_plan(doc, &inv, &params, &l, &e), e);
	assert_string_equal(l.vg, "every");
	assert_string_equal(l.pool, "everypool");
	assert_int_equal(l.pool_chunk_bytes, 128 * KIB);
	assert_int_equal(l.volume_count, 1 + ARRAY_LEN(names));
	assert_int_equal(l.volumes[0].size_bytes, 1000 * MIB);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_string_equal(l.volumes[i + 1].name, names[i]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(fstab_has_a_line_for_each_file_system),
		cmocka_unit_test(command_line_is_put_together),
		cmocka_unit_test(volumes_begin_as_the_image_has_them),
		cmocka_unit_test(a_var_that_is_kept_remembers_nothing),
		cmocka_unit_test(firstboot_is_for_what_the_image_has),
		cmocka_unit_test(record_tells_no_passwords),
		cmocka_unit_test(what_the_image_lacks_is_said_before),
		cmocka_unit_test(every_directive_is_planned),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
