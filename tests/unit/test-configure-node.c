/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a node's configuration on plain folders; volumes and mounts are in tests/lab. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/cmd.h"
#include "base/log.h"
#include "base/str.h"
#include "boot/loader.h"
#include "folder.h"
#include "image/configure.h"
#include "image/intree.h"
#include "image/nm-profile.h"
#include "install/configure-part.h"
#include "install/loader-check.h"
#include "install/run.h"
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
		.fstype = (char[]){"efi"},
		.fsoptions = (char[]){"umask=0077,shortname=winnt"}},
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

static void copy_account_files(int fd)
{
	struct err e = {0};

	assert_ok(intree_write(fd, "/etc/passwd",
			  "root:x:0:0::/root:/bin/sh\nd:x:5:5::/d:/bin/sh\n", 0644, &e),
		e);
	assert_ok(
		intree_write(fd, "/etc/shadow", "root:*:1:0:99999:7:::\nd:*:1:::::::\n", 0640, &e),
		e);
	assert_ok(intree_write(fd, "/etc/group", "root:x:0:\nd:x:5:\n", 0644, &e), e);
	assert_ok(intree_write(fd, "/etc/gshadow", "root:*::\nd:*::\n", 0640, &e), e);
}

/* An image with all that the commands below need. */
static struct tree *make_image(const char *name)
{
	autofree char *path = xasprintf("%s/%s", folder, name);
	struct tree *t = NULL;
	struct err e = {0};

	assert_int_equal(mkdir(path, 0755), 0);
	autofd int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	copy_account_files(fd);
	assert_ok(intree_write(fd, "/usr/share/zoneinfo/Europe/Vienna", "", 0644, &e), e);
	assert_ok(
		intree_write(fd, "/usr/share/i18n/SUPPORTED", "de_DE.UTF-8 UTF-8\n", 0644, &e), e);
	assert_ok(intree_write(fd, "/usr/sbin/locale-gen", "", 0755, &e), e);
	assert_ok(intree_write(fd, "/usr/sbin/NetworkManager", "", 0755, &e), e);
	assert_ok(intree_write(fd, "/usr/lib/systemd/system/nftables.service", "", 0644, &e), e);
	assert_ok(intree_write(fd, "/etc/services", "zabbix 10050/tcp\n", 0644, &e), e);
	assert_ok(tree_scan(path, &t, &e), e);
	return t;
}

struct refusal {
	const char *ks, *message; /* NULL: none */
};

static void assert_refusals(struct tree *t, const struct refusal *cases, size_t count)
{
	autofree char *work = xasprintf("%s/work", folder);
	struct err e = {0};

	assert_ok(file_make_folder(work, 0700, &e), e);
	for (size_t i = 0; i < count; i++) {
		autoptr(ks_doc) doc = parse(cases[i].ks);
		autostrv left = {0};
		int r = node_precheck(doc, t, work, &e);

		if (r == 0 && cases[i].message)
			fail_msg("not refused: %s", cases[i].ks);
		if (cases[i].message)
			assert_string_equal(e.msg, cases[i].message);
		else
			assert_ok(r, e);
		assert_ok(file_list(work, &left, &e), e);
		assert_int_equal(left.count, 0);
	}
}

static void what_the_image_lacks_is_said_before(void **state)
{
	static const struct refusal cases[] = {
		{"firewall --enabled\n", "t.ks:1: the firewall needs package 'nftables'"},
		{"firewall --disabled\n", NULL},
		{"lang de_DE.UTF-8\n", NULL},
		{"network --device=eth0 --bootproto=static --ip=1\n", NULL},
		{"timezone Etc/UTC\n", NULL},
		{"timezone Europe/Vienna\n",
			"t.ks:1: time zone 'Europe/Vienna' needs package 'tzdata'"},
		{"sshkey --username=root 'ssh-ed25519 AAAA'\n", NULL},
		{"user --name=a\nsshkey --username=a 'ssh-ed25519 AAAA'\n", NULL},
	};
	autofree char *path = xasprintf("%s/lacks", folder);
	autoptr(tree) t = NULL;
	struct err e = {0};

	(void)state;
	assert_int_equal(mkdir(path, 0755), 0);
	autofd int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	copy_account_files(fd);
	assert_ok(tree_scan(path, &t, &e), e);
	assert_refusals(t, cases, ARRAY_LEN(cases));
}

static void what_no_node_can_be_given_is_said_before(void **state)
{
	static const struct refusal cases[] = {
		{"firewall --enabled --service=zabbix --port=9090:tcp\n", NULL},
		{"\nfirewall --service=nosuch\n", "t.ks:2: unknown service 'nosuch'"},
		{"firewall --trust=a/b\n", "t.ks:1: bad device 'a/b'"},
		{"network --device=eth0 --bootproto=static --ip=10.0.0.2\n",
			"t.ks:1: a static address needs --ip and --netmask"},
		{"network --device=eth0 --bootproto=static --ip=10.0.0.2 --netmask=24\n", NULL},
		{"network --device=link --vlanid=4095\n",
			"t.ks:1: bad VLAN id '4095', expected 0 to 4094"},
		{"network --vlanid=5\n", "t.ks:1: this needs --device"},
		{"network --hostname=a_b\n", "t.ks:1: bad hostname 'a_b'"},
		{"timezone Europe/Vienna\n", NULL},
		{"\ntimezone Europe/Nowhere\n", "t.ks:2: unknown time zone 'Europe/Nowhere'"},
		{"timezone ../../../etc/passwd\n", "t.ks:1: bad time zone '../../../etc/passwd'"},
		{"lang de_DE.UTF-8 --addsupport=xx_XX\n", "t.ks:1: unknown language 'xx_XX'"},
		{"lang xx_XX.UTF-8\n", "t.ks:1: unknown language 'xx_XX.UTF-8'"},
		{"keyboard 'de;reboot'\n", "t.ks:1: bad keyboard 'de;reboot'"},
		{"user --name=a --uid=5\n", "t.ks:1: user id 5 is taken"},
		{"user --name=d --uid=6\n", NULL},
		{"user --name=a:b\n", "t.ks:1: bad name 'a:b'"},
		{"user --name=a --homedir=/\n", "t.ks:1: bad home folder '/'"},
		{"user --name=a --groups='b(x)'\n", "t.ks:1: bad group 'b(x)'"},
		{"group --name=g --gid=0\n", "t.ks:1: group id 0 is taken"},
		{"sshkey --username=roo 'ssh-ed25519 AAAA'\n", "t.ks:1: no user 'roo'"},
		{"services --enabled=nosuch\n", NULL}, /* a warning, later */
		{"services --enabled=a/b\n", "t.ks:1: bad service name 'a/b'"},
		{"bootloader --password=plain\n", NULL},
		{"bootloader --iscrypted --password=grub.pbkdf2.sha512.10000.AA.BB\n", NULL},
		{"bootloader --iscrypted --password=$6$a$b\n",
			"t.ks:1: the password of the boot menu is no 'grub.pbkdf2.sha512....'"},
		{"bootloader --md5pass=$1$a$b\n",
			"t.ks:1: the password of the boot menu is no 'grub.pbkdf2.sha512....'"},
		{"timesource --ntp-server='a b'\n", "t.ks:1: bad time source 'a b'"},
	};
	autoptr(tree) t = make_image("full");

	(void)state;
	assert_refusals(t, cases, ARRAY_LEN(cases));
}

static void the_loader_is_judged_before(void **state)
{
	static const char bios_image[] = "boot loader for BIOS: the image lacks the package "
					 "'grub-common'";
	static const struct {
		const char *ks;
		unsigned sector_bytes;
		bool uefi, has_efi_files;
		const char *message;
	} cases[] = {
		{"", 512, false, true, bios_image},
		{"bootloader --nombr\n", 512, false, false, NULL},
		{"bootloader --location=none\n", 4096, true, false, NULL},
		{"", 4096, false, true,
			"boot loader for BIOS: '/dev/vda' has sectors of 4096 bytes, GRUB for BIOS "
			"boots from 512 only: start this machine by UEFI, or choose another disk "
			"with --boot-drive"},
		{"", 4096, true, true, NULL},
		{"", 512, true, false,
			"boot loader for UEFI: the image lacks the package 'grub-efi-amd64-signed'"},
	};
	struct err e = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autofree char *path = xasprintf("%s/loader%zu", folder, i);
		autoptr(ks_doc) doc = parse(cases[i].ks);
		autoptr(tree) t = NULL;

		assert_int_equal(mkdir(path, 0755), 0);
		autofd int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		const struct loader_file *f = loader_efi_needs();
		for (; cases[i].has_efi_files && f->path; f++)
			assert_ok(intree_write(fd, f->path, "", 0644, &e), e);
		assert_ok(tree_scan(path, &t, &e), e);
		disks[0].sector_bytes = cases[i].sector_bytes;
		int r = loader_precheck(doc, &layout, cases[i].uefi, t, &e);
		if (cases[i].message)
			assert_string_equal(r < 0 ? e.msg : "", cases[i].message);
		else
			assert_ok(r, e);
	}
}

static void the_other_firmware_may_go_without(void **state)
{
	static const int forgiven[] = {0, ENOENT, EOPNOTSUPP};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(forgiven); i++) {
		struct err e = {.code = forgiven[i]};

		assert_int_equal(loader_judge(-forgiven[i], false, "BIOS", &e), 0);
		assert_int_equal(loader_judge(-forgiven[i], true, "BIOS", &e), -forgiven[i]);
	}
	struct err e = {.code = EIO};
	assert_int_equal(loader_judge(-EIO, false, "BIOS", &e), -EIO);
}

static void the_installer_uses_what_is_to_be_activated(void **state)
{
	autoptr(ks_doc) doc = parse("network --device=eth0 --bootproto=dhcp\n"
				    "network --hostname=a\n"
				    "network --device=link --activate --bootproto=static "
				    "--ip=10.0.0.2 --netmask=24\n");
	autoptr(ks_doc) bad = parse("network --device=eth0 --activate --bootproto=static\n");
	const struct configure_params params = {
		.seed = "s", .is_node = true, .link_device = "eth7", .dry_run = true};
	auto_nm_profiles p = {0}, none = {0};
	struct err e = {0};

	(void)state;
	assert_ok(configure_activated(doc, &params, &p, &e), e);
	assert_int_equal(p.count, 1);
	assert_string_equal(p.items[0].name, "eth7");
	assert_non_null(strstr(p.items[0].text, "10.0.0.2/24"));
	assert_non_null(strstr(p.items[0].text, "\nuuid="));
	assert_fails(configure_activated(bad, &params, &none, &e), EINVAL, e,
		"t.ks:1: a static address needs --ip and --netmask");
}

static void network_words_that_nobody_knows_are_said(void **state)
{
	autoptr(ks_doc) doc = parse("network --device=eth0 --activate --bootproto=ibft "
				    "--ethtool='speed 100 wol g autoneg'\n");
	const struct configure_params params = {.seed = "s", .is_node = true};
	static const char known[] =
		"is ignored, known are autoneg, speed and duplex, each with a value";
	auto_nm_profiles p = {0};
	autofree char *said = NULL;
	size_t len = 0;
	struct err e = {0};
	FILE *log = open_memstream(&said, &len);

	(void)state;
	log_add_copy(log, LOG_LEVEL_NORMAL);
	assert_ok(configure_activated(doc, &params, &p, &e), e);
	log_drop_copy(log);
	fclose(log);
	autofree char *want = xasprintf(
		"warning: t.ks:1: network: --bootproto=ibft is not known here, it will be "
		"dhcp\n"
		"warning: t.ks:1: network: --ethtool: 'wol' %s\n"
		"warning: t.ks:1: network: --ethtool: 'autoneg' %s\n",
		known, known);
	assert_string_equal(said, want);
}

static void each_end_is_another_one(void **state)
{
	static const struct {
		const char *ks;
		enum install_end end;
	} cases[] = {
		{"text\n", INSTALL_STAY},
		{"reboot\n", INSTALL_REBOOT},
		{"reboot --eject\n", INSTALL_REBOOT},
		{"poweroff\n", INSTALL_POWEROFF},
		{"shutdown\n", INSTALL_POWEROFF},
		{"halt\n", INSTALL_HALT},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autoptr(ks_doc) doc = parse(cases[i].ks);

		assert_int_equal(install_end_of(doc), cases[i].end);
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
		cmocka_unit_test(what_no_node_can_be_given_is_said_before),
		cmocka_unit_test(the_loader_is_judged_before),
		cmocka_unit_test(the_other_firmware_may_go_without),
		cmocka_unit_test(the_installer_uses_what_is_to_be_activated),
		cmocka_unit_test(network_words_that_nobody_knows_are_said),
		cmocka_unit_test(each_end_is_another_one),
		cmocka_unit_test(every_directive_is_planned),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
