/* SPDX-License-Identifier: Apache-2.0 */
/* The kickstart's scripts and commands on a whole tree, with a real chroot. */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/str.h"
#include "base/xalloc.h"
#include "image/configure.h"
#include "image/intree.h"
#include "image/scripts.h"
#include "ks/ks.h"
#include "sh-tree.h"

#define TEXT_MAX_BYTES 65536

struct scene {
	struct sh_tree tree;
	struct ks_doc *doc;
	int root_fd, log_fd;
	char log_path[64];
};

static bool scene_init(struct scene *s, const char *kickstart)
{
	struct err e = {0};

	*s = (struct scene){.root_fd = -1, .log_path = "/tmp/bedplate-test-XXXXXX"};
	if (!sh_tree_init(&s->tree))
		return false;
	s->root_fd = open(s->tree.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	s->log_fd = mkostemp(s->log_path, O_CLOEXEC);
	assert_true(s->root_fd >= 0 && s->log_fd >= 0);
	assert_ok(ks_parse_text("t.ks", kickstart, strlen(kickstart), NULL, &s->doc, &e), e);
	assert_int_equal(ks_error_count(s->doc), 0);
	return true;
}

static void scene_fini(struct scene *s)
{
	ks_doc_free(s->doc);
	close(s->root_fd);
	close(s->log_fd);
	unlink(s->log_path);
	sh_tree_fini(&s->tree);
}

static int run_post(struct scene *s, struct err *e)
{
	const struct scripts_env env = {
		.tree_path = s->tree.path, .source_date = 1234567, .log_fd = s->log_fd};

	return scripts_run(s->doc, KS_POST, &env, NULL, e);
}

static void put(const struct scene *s, const char *path, const char *text, unsigned mode)
{
	struct err e = {0};

	assert_ok(intree_write(s->root_fd, path, text, mode, &e), e);
}

static char *text_of(const struct scene *s, const char *path)
{
	struct err e = {0};
	char *text = NULL;

	assert_ok(file_read_in_root(s->root_fd, path, TEXT_MAX_BYTES, &text, &e), e);
	return text;
}

static void assert_text(const struct scene *s, const char *path, const char *want)
{
	autofree char *text = text_of(s, path);

	assert_string_equal(text, want);
}

/* Owner and mode too, as "0:0 600". */
static void assert_mode(const struct scene *s, const char *path, const char *want)
{
	autofd int fd = file_open_in_root(s->root_fd, path, O_PATH | O_NOFOLLOW, 0, NULL);
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	autofree char *got = xasprintf("%u:%u %o", st.st_uid, st.st_gid, st.st_mode & 07777U);
	assert_string_equal(got, want);
}

static void assert_logged(const struct scene *s, const char *want)
{
	autofree char *text = NULL;
	struct err e = {0};

	assert_ok(file_read(s->log_path, TEXT_MAX_BYTES, &text, NULL, &e), e);
	if (!strstr(text, want))
		fail_msg("no '%s' in the log: %s", want, text);
}

static void scripts_run_in_order(void **state)
{
	struct scene s;
	struct err e = {0};

	(void)state;
	if (!scene_init(&s,
		    "%post --log=/var/log/first\n"
		    "echo one >/order\necho said\necho wrong >&2\n%end\n"
		    "%pre\nexit 1\n%end\n"
		    "%post\necho two $SOURCE_DATE_EPOCH >>/order\n%end\n"
		    "%post --interpreter='/bin/sh -e'\n: >/before\nfalse\n: >/after\n%end\n"
		    "%post --interpreter=cat --log=/body\nnothing runs this\n%end\n"))
		skip();
	assert_ok(run_post(&s, &e), e);
	assert_text(&s, "/order", "one\ntwo 1234567\n");
	assert_text(&s, "/var/log/first", "said\nwrong\n");
	assert_mode(&s, "/var/log/first", "0:0 600");
	assert_logged(&s, "t.ks:1: %post\nsaid\nwrong\n");
	assert_true(intree_has(s.root_fd, "/before"));
	assert_false(intree_has(s.root_fd, "/after"));
	assert_text(&s, "/body", "nothing runs this\n");
	scene_fini(&s);
}

static void nochroot_sees_the_host(void **state)
{
	struct scene s;
	struct err e = {0};

	(void)state;
	if (!scene_init(&s,
		    "%post --nochroot\n"
		    "echo $INSTALL_ROOT $ANA_INSTALL_PATH >$INSTALL_ROOT/where\n%end\n"))
		skip();
	autofree char *want = xasprintf("%s %s\n", s.tree.path, s.tree.path);
	assert_ok(run_post(&s, &e), e);
	assert_text(&s, "/where", want);
	scene_fini(&s);
}

static void failures_name_line_and_status(void **state)
{
	struct scene s;
	struct err e = {0};

	(void)state;
	if (!scene_init(&s,
		    "\n%post\nexit 3\n%end\n%post --erroronfail\necho bad >&2\nexit 4\n"
		    "%end\n%post\n: >/never\n%end\n"))
		skip();
	assert_fails(
		run_post(&s, &e), EPROTO, e, "t.ks:5: %post script failed: exit status 4: bad");
	assert_logged(&s, "warning: t.ks:2: %post script failed: exit status 3\n");
	assert_false(intree_has(s.root_fd, "/never"));
	scene_fini(&s);
}

/* A daemon would keep the tree busy, and a change of its files would be luck. */
static void nothing_of_a_script_stays(void **state)
{
	static const char resolv[] = "# the tree's own\n";
	autocmd find = {0};
	struct scene s;
	struct err e = {0};

	(void)state;
	if (!scene_init(&s,
		    "%post --erroronfail\n"
		    "sleep 54321 >/dev/null 2>&1 &\n"
		    "cat /etc/resolv.conf >/seen\n"
		    "echo overwritten >/etc/resolv.conf\n"
		    ": >/run/left; : >/dev/left\n%end\n"))
		skip();
	autofree char *host = NULL;
	if (file_read("/etc/resolv.conf", TEXT_MAX_BYTES, &host, NULL, NULL) < 0)
		host = xstrdup(resolv);
	put(&s, "/etc/resolv.conf", resolv, 0644);
	assert_ok(run_post(&s, &e), e);
	assert_text(&s, "/seen", host);
	assert_text(&s, "/etc/resolv.conf", resolv);
	assert_false(intree_has(s.root_fd, "/run/left"));
	assert_false(intree_has(s.root_fd, "/dev/left"));
	assert_false(intree_has(s.root_fd, "/usr/sbin/policy-rc.d"));

	autofree char *now = NULL;
	if (file_read("/etc/resolv.conf", TEXT_MAX_BYTES, &now, NULL, NULL) == 0)
		assert_string_equal(now, host);
	cmd_add(&find, "sh", "-c", "! grep -laz '^54321$' /proc/[0-9]*/cmdline", NULL);
	assert_ok(cmd_run(&find, &e), e);
	scene_fini(&s);
}

/* What the packages would have brought. */
static void put_packages(const struct scene *s)
{
	static const char log_it[] = "#!/bin/sh\necho \"$(cat /proc/1/comm) $*\" >>/calls\n";

	put(s, "/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", 0644);
	put(s, "/etc/shadow", "root:*:1:0:99999:7:::\n", 0640);
	put(s, "/etc/group", "root:x:0:\nsudo:x:27:\n", 0644);
	put(s, "/etc/gshadow", "root:*::\nsudo:*::\n", 0640);
	put(s, "/etc/skel/.profile", "# profile\n", 0644);
	put(s, "/usr/share/i18n/SUPPORTED", "de_DE.UTF-8 UTF-8\nde_DE ISO-8859-1\n", 0644);
	put(s, "/usr/share/zoneinfo/Europe/Berlin", "", 0644);
	put(s, "/usr/sbin/locale-gen", log_it, 0755);
	put(s, "/usr/bin/systemctl", log_it, 0755);
	put(s, "/usr/sbin/NetworkManager", "", 0755);
	put(s, "/usr/lib/systemd/system/nftables.service", "", 0644);
	put(s, "/usr/lib/systemd/system/ssh.service", "", 0644);
}

static void commands_change_the_tree(void **state)
{
	static const struct configure_params params = {
		.seed = "test", .source_date = 86400 * 20000};
	struct scene s;
	struct err e = {0};

	(void)state;
	if (!scene_init(&s,
		    "lang de_DE\nkeyboard 'de'\ntimezone Europe/Berlin\n"
		    "rootpw --lock\nuser --name=node --groups=sudo(99),new(300) --gecos=Node\n"
		    "sshkey --username=node 'ssh-ed25519 AAAA me'\n"
		    "network --hostname=a.example\nnetwork --device=eth0 --activate\n"
		    "firewall --enabled --port=8080:tcp\n"
		    "services --enabled=sshd --disabled=absent\n"
		    "bootloader --append='quiet' --timeout=3\n"
		    "%post\ncat /etc/hostname >/copy\n%end\n"))
		skip();
	put_packages(&s);
	assert_ok(configure_tree(s.doc, s.tree.path, &params, s.log_fd, NULL, &e), e);

	assert_text(&s, "/etc/locale.conf", "LANG=de_DE.UTF-8\n");
	assert_text(&s, "/etc/locale.gen", "de_DE.UTF-8 UTF-8\n");
	assert_text(&s, "/etc/timezone", "Europe/Berlin\n");
	assert_text(&s, "/etc/adjtime", "0.0 0 0.0\n0\nLOCAL\n");
	assert_text(&s, "/etc/hostname", "a.example\n");
	assert_text(&s, "/copy", "a.example\n");
	assert_text(&s, "/etc/passwd",
		"root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000:Node:/home/node:/bin/bash\n");
	assert_text(&s, "/etc/group", "root:x:0:\nsudo:x:27:node\nnode:x:1000:\nnew:x:300:node\n");
	assert_text(&s, "/etc/shadow", "root:!:20000:0:99999:7:::\nnode:!:20000:0:99999:7:::\n");
	assert_mode(&s, "/etc/shadow", "0:0 640");
	assert_mode(&s, "/home/node", "1000:1000 700");
	assert_mode(&s, "/home/node/.profile", "1000:1000 644");
	assert_mode(&s, "/home/node/.ssh", "1000:1000 700");
	assert_mode(&s, "/home/node/.ssh/authorized_keys", "1000:1000 600");
	assert_text(&s, "/home/node/.ssh/authorized_keys", "ssh-ed25519 AAAA me\n");
	assert_mode(&s, "/etc/NetworkManager/system-connections/eth0.nmconnection", "0:0 600");
	assert_text(&s, "/calls",
		"locale-gen \nsystemctl --quiet enable -- nftables.service\n"
		"systemctl --quiet enable -- ssh.service\n");
	assert_text(&s, "/usr/lib/bedplate/boot.conf", "append=quiet\ntimeout=3\n");
	assert_logged(&s, "warning: t.ks:5: group 'sudo' is there already and keeps its id\n");
	assert_logged(&s, "warning: t.ks:10: no service 'absent' to disable in this image\n");
	scene_fini(&s);
}

/* What an image's recipe has said, and then a node's kickstart. */
static void a_node_is_changed_not_made_anew(void **state)
{
	static const struct configure_params image = {.seed = "test", .source_date = 86400 * 20000};
	static const struct configure_params node = {.seed = "0123456789abcdef",
		.source_date = 86400 * 20001,
		.is_node = true,
		.boot_mac = "52:54:00:00:00:01",
		.link_device = "ens3"};
	static const char kickstart[] =
		"timezone Europe/Berlin --utc\nrootpw --plaintext secret\n"
		"user --name=node --uid=1500 --shell=/bin/bash --groups=sudo\n"
		"group --name=new --gid=301\nnetwork --device=bootif\n"
		"network --device=link --ipv6=dhcp\nservices --enabled=absent\n"
		"bootloader --append='quiet'\n";
	autoptr(ks_doc) doc = NULL;
	struct scene s;
	struct err e = {0};

	(void)state;
	if (!scene_init(&s,
		    "lang de_DE\ntimezone Europe/Berlin\nrootpw --lock --allow-ssh\n"
		    "user --name=node --groups=new(300) --gecos=Node\n"
		    "network --hostname=a.example\nnetwork --device=eth0\n"
		    "bootloader --append='image'\n"))
		skip();
	put_packages(&s);
	put(&s, "/etc/NetworkManager/system-connections/vendor.nmconnection", "[connection]\n",
		0600);
	assert_ok(configure_tree(s.doc, s.tree.path, &image, s.log_fd, NULL, &e), e);
	assert_true(intree_has(s.root_fd, "/etc/ssh/sshd_config.d/01-permitrootlogin.conf"));
	assert_ok(ks_parse_text("n.ks", kickstart, strlen(kickstart), NULL, &doc, &e), e);
	assert_int_equal(ks_error_count(doc), 0);
	assert_ok(configure_commands(doc, s.tree.path, &node, s.log_fd, NULL, &e), e);

	/* Not mentioned: as it was. */
	assert_text(&s, "/etc/locale.conf", "LANG=de_DE.UTF-8\n");
	assert_text(&s, "/etc/hostname", "a.example\n");
	assert_text(&s, "/usr/lib/bedplate/boot.conf", "append=image\n");
	assert_true(intree_has(
		s.root_fd, "/etc/NetworkManager/system-connections/vendor.nmconnection"));
	/* Mentioned: as it says. */
	assert_false(intree_has(s.root_fd, "/etc/adjtime"));
	assert_false(intree_has(s.root_fd, "/etc/ssh/sshd_config.d/01-permitrootlogin.conf"));
	assert_text(&s, "/etc/passwd",
		"root:x:0:0:root:/root:/bin/sh\nnode:x:1500:1000:Node:/home/node:/bin/bash\n");
	assert_text(&s, "/etc/group", "root:x:0:\nsudo:x:27:node\nnode:x:1000:\nnew:x:301:node\n");
	assert_mode(&s, "/home/node", "1500:1000 700");
	assert_false(
		intree_has(s.root_fd, "/etc/NetworkManager/system-connections/eth0.nmconnection"));
	assert_true(
		intree_has(s.root_fd, "/etc/NetworkManager/system-connections/ens3.nmconnection"));
	autofree char *profile = NULL, *shadow = NULL;
	assert_ok(file_read_in_root(s.root_fd,
			  "/etc/NetworkManager/system-connections/52-54-00-00-00-01.nmconnection",
			  TEXT_MAX_BYTES, &profile, &e),
		e);
	assert_non_null(strstr(profile, "mac-address=52:54:00:00:00:01\n"));
	assert_ok(file_read_in_root(s.root_fd, "/etc/shadow", TEXT_MAX_BYTES, &shadow, &e), e);
	assert_true(str_starts(shadow, "root:$y$"));
	assert_logged(&s, "warning: n.ks:7: no service 'absent' to enable in this image\n");
	scene_fini(&s);
}

static void a_nodes_scripts_have_its_devices(void **state)
{
	autofree char *mounts = NULL;
	struct scene s;
	struct err e = {0};

	(void)state;
	if (!scene_init(&s,
		    "%post --erroronfail\n[ -d /dev/pts ]\n[ -c /dev/null ]\n[ -d /sys/class ]\n"
		    "[ \"${SOURCE_DATE_EPOCH-none}\" = none ]\necho >/done\n%end\n"
		    "%pre-install --erroronfail\n"
		    "[ -e \"$ANA_INSTALL_PATH/etc\" ]; echo >\"$ANA_INSTALL_PATH/before\"\n%end\n"))
		skip();
	const struct scripts_env env = {
		.tree_path = s.tree.path, .log_fd = s.log_fd, .on_node = true};
	assert_ok(scripts_run(s.doc, KS_PRE_INSTALL, &env, NULL, &e), e);
	assert_true(intree_has(s.root_fd, "/before"));
	assert_false(intree_has(s.root_fd, "/done"));
	assert_ok(scripts_run(s.doc, KS_POST, &env, NULL, &e), e);
	assert_true(intree_has(s.root_fd, "/done"));
	assert_ok(file_read("/proc/self/mountinfo", MIB, &mounts, NULL, &e), e);
	assert_null(strstr(mounts, s.tree.path));
	scene_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scripts_run_in_order),
		cmocka_unit_test(nochroot_sees_the_host),
		cmocka_unit_test(failures_name_line_and_status),
		cmocka_unit_test(nothing_of_a_script_stays),
		cmocka_unit_test(commands_change_the_tree),
		cmocka_unit_test(a_node_is_changed_not_made_anew),
		cmocka_unit_test(a_nodes_scripts_have_its_devices),
	};

	return cmocka_run_group_tests_name("scripts", tests, NULL, NULL);
}
