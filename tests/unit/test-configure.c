/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "image/accounts.h"
#include "image/firewall.h"
#include "image/initramfs-deps.h"
#include "image/intree.h"
#include "image/nm-profile.h"
#include "image/scrub.h"

/* A folder of our own that plays the tree; gone at the end of the test. */
struct scene {
	char path[64];
	int fd;
};

static void scene_init(struct scene *s)
{
	snprintf(s->path, sizeof(s->path), "/tmp/bedplate-test-XXXXXX");
	assert_non_null(mkdtemp(s->path));
	s->fd = open(s->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(s->fd >= 0);
}

static void scene_fini(struct scene *s)
{
	struct err e = {0};

	close(s->fd);
	assert_ok(file_remove_tree(s->path, &e), e);
}

static void put(const struct scene *s, const char *path, const char *text)
{
	struct err e = {0};

	assert_ok(intree_write(s->fd, path, text, 0644, &e), e);
}

static void assert_text(const struct scene *s, const char *path, const char *want)
{
	autofree char *text = NULL;
	struct err e = {0};

	assert_ok(file_read_in_root(s->fd, path, 65536, &text, &e), e);
	assert_string_equal(text, want);
}

static void put_accounts(const struct scene *s)
{
	put(s, "/etc/passwd",
		"root:x:0:0:root:/root:/bin/bash\nold:x:1000:1000::/home/old:/bin/sh\n");
	put(s, "/etc/shadow", "root:*:100:0:99999:7:::\nold:!:100:0:99999:7:::\n");
	put(s, "/etc/group", "root:x:0:\nsudo:x:27:\nold:x:1000:\n");
	put(s, "/etc/gshadow", "root:*::\nsudo:*::\nold:!::\n");
}

static void users_are_added_where_there_is_room(void **state)
{
	const struct account node = {.name = "node", .uid = ACCOUNTS_AUTO, .gid = ACCOUNTS_AUTO};
	const struct account fixed = {.name = "app",
		.uid = 2000,
		.gid = 27,
		.gecos = "An app",
		.home = "/srv/app",
		.shell = "/bin/false"};
	autoaccounts a = {.today = 20000};
	struct scene s;
	struct err e = {0};

	(void)state;
	scene_init(&s);
	put_accounts(&s);
	assert_ok(accounts_load(&a, s.fd, &e), e);
	assert_ok(accounts_add_user(&a, &node, &e), e);
	assert_ok(accounts_add_user(&a, &fixed, &e), e);
	assert_ok(accounts_add_member(&a, "sudo", "node", &e), e);
	assert_ok(accounts_add_member(&a, "sudo", "app", &e), e);
	assert_ok(accounts_add_member(&a, "sudo", "node", &e), e);
	assert_ok(accounts_set_password(&a, "root", "$y$x", true, &e), e);
	assert_ok(accounts_set_password(&a, "app", "$y$z", false, &e), e);
	assert_ok(accounts_save(&a, s.fd, &e), e);

	assert_text(&s, "/etc/passwd",
		"root:x:0:0:root:/root:/bin/bash\nold:x:1000:1000::/home/old:/bin/sh\n"
		"node:x:1001:1001::/home/node:/bin/bash\napp:x:2000:27:An app:/srv/app:/bin/false\n");
	assert_text(&s, "/etc/shadow",
		"root:!$y$x:20000:0:99999:7:::\nold:!:100:0:99999:7:::\n"
		"node:!:20000:0:99999:7:::\napp:$y$z:20000:0:99999:7:::\n");
	assert_text(&s, "/etc/group", "root:x:0:\nsudo:x:27:node,app\nold:x:1000:\nnode:x:1001:\n");
	assert_text(&s, "/etc/gshadow", "root:*::\nsudo:*::node,app\nold:!::\nnode:!::\n");
	scene_fini(&s);
}

static void users_that_cannot_be_are_refused(void **state)
{
	static const struct {
		struct account account;
		int code;
		const char *message;
	} cases[] = {
		{{.name = "old", .uid = -1, .gid = -1}, EEXIST, "user 'old' is there already"},
		{{.name = "new", .uid = 1000, .gid = -1}, EEXIST, "user id 1000 is taken"},
		{{.name = "a:b", .uid = -1, .gid = -1}, EINVAL, "bad name 'a:b'"},
		{{.name = "-a", .uid = -1, .gid = -1}, EINVAL, "bad name '-a'"},
		{{.name = "12", .uid = -1, .gid = -1}, EINVAL, "bad name '12'"},
		{{.name = "a", .uid = 4294967295, .gid = -1}, EINVAL, "bad id 4294967295"},
		{{.name = "a", .uid = -1, .gid = -1, .gecos = "x\ny:0:0"}, EINVAL,
			"'x\ny:0:0' has a character that passwd(5) can not hold"},
	};
	autoaccounts a = {0};
	struct scene s;
	struct err e = {0};

	(void)state;
	scene_init(&s);
	put_accounts(&s);
	assert_ok(accounts_load(&a, s.fd, &e), e);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_fails(accounts_add_user(&a, &cases[i].account, &e), cases[i].code, e,
			cases[i].message);
	scene_fini(&s);
}

static void users_that_are_there_are_changed(void **state)
{
	const struct account all = {.name = "old",
		.uid = 1500,
		.gid = 1600,
		.gecos = "Old",
		.home = "/srv/old",
		.shell = "/bin/bash"};
	const struct account taken = {.name = "old", .uid = 0, .gid = ACCOUNTS_AUTO};
	autoaccounts a = {.today = 20000};
	struct scene s;
	struct err e = {0};

	(void)state;
	scene_init(&s);
	put_accounts(&s);
	assert_ok(accounts_load(&a, s.fd, &e), e);
	assert_fails(accounts_change_user(&a, &taken, &e), EEXIST, e, "user id 0 is taken");
	assert_ok(accounts_change_user(&a, &all, &e), e);
	assert_ok(accounts_change_user(&a, &all, &e), e);
	assert_ok(accounts_change_group(&a, "sudo", ACCOUNTS_AUTO, &e), e);
	assert_ok(accounts_change_group(&a, "sudo", 28, &e), e);
	assert_fails(accounts_change_group(&a, "sudo", 0, &e), EEXIST, e, "group id 0 is taken");
	assert_fails(accounts_change_group(&a, "no", 5, &e), ENOENT, e, "no group 'no'");
	assert_ok(accounts_save(&a, s.fd, &e), e);
	assert_text(&s, "/etc/passwd",
		"root:x:0:0:root:/root:/bin/bash\nold:x:1500:1600:Old:/srv/old:/bin/bash\n");
	assert_text(&s, "/etc/group", "root:x:0:\nsudo:x:28:\nold:x:1600:\n");
	scene_fini(&s);
}

static void password_hashes_can_be_repeated(void **state)
{
	autofree char *a = NULL;
	autofree char *b = NULL;
	autofree char *c = NULL;
	struct err e = {0};

	(void)state;
	assert_ok(accounts_hash_password("secret", "node", "root", &a, &e), e);
	assert_ok(accounts_hash_password("secret", "node", "root", &b, &e), e);
	assert_ok(accounts_hash_password("secret", "node", "other", &c, &e), e);
	assert_true(str_starts(a, "$y$"));
	assert_string_equal(a, b);
	assert_string_not_equal(a, c);
}

static void firewall_opens_what_is_named(void **state)
{
	struct firewall f = {0};
	autofree char *text = NULL;
	struct err e = {0};

	(void)state;
	strv_add(&f.services, "ssh");
	strv_add(&f.services, "gopher");
	strv_add(&f.ports, "5900-5910:tcp");
	strv_add(&f.ports, "53:udp");
	strv_add(&f.trusted, "br0");
	assert_ok(firewall_ruleset(&f, "x 1/tcp\ngopher\t70/tcp # old\n", &text, &e), e);
	assert_non_null(strstr(text,
		"\t\tiifname \"br0\" accept\n"
		"\t\ttcp dport { 22, 70, 5900-5910 } accept\n"
		"\t\tudp dport { 53 } accept\n"
		"\t}\n}\n"));
	assert_non_null(strstr(text, "policy drop"));
	strv_fini(&f.services);
	strv_fini(&f.ports);
	strv_fini(&f.trusted);
}

static void firewall_refuses_nonsense(void **state)
{
	static const char *const ports[] = {"0:tcp", "70000:tcp", "5-3:tcp", "80:icmp", "x", "80;"};
	static const char *const devices[] = {"", "a\" accept", "a-name-that-is-too-long"};
	autofree char *text = NULL;
	struct err e = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
		struct firewall f = {0};

		strv_add(&f.ports, ports[i]);
		assert_int_equal(firewall_ruleset(&f, "", &text, &e), -EINVAL);
		strv_fini(&f.ports);
	}
	for (size_t i = 0; i < ARRAY_LEN(devices); i++) {
		struct firewall f = {0};

		strv_add(&f.trusted, devices[i]);
		assert_int_equal(firewall_ruleset(&f, "", &text, &e), -EINVAL);
		strv_fini(&f.trusted);
	}
	struct firewall f = {0};
	strv_add(&f.services, "none");
	assert_fails(firewall_ruleset(&f, "", &text, &e), EINVAL, e, "unknown service 'none'");
	strv_fini(&f.services);
}

/* The profile without its first lines, which hold the UUID. */
static const char *body(const struct nm_profiles *p, size_t i)
{
	const char *type = strstr(p->items[i].text, "type=");

	assert_non_null(type);
	return type;
}

static void static_address_becomes_a_profile(void **state)
{
	const struct nm_network n = {.seed = "x",
		.device = "eth0",
		.bootproto = "static",
		.ip = "192.0.2.5",
		.netmask = "255.255.254.0",
		.gateway = "192.0.2.1",
		.nameserver = "192.0.2.2,2001:db8::1",
		.ipv6 = "2001:db8::5/48",
		.ipv4_dns_search = "a.example,b.example",
		.mtu = "9000",
		.no_autoconnect = true};
	auto_nm_profiles p = {0};
	struct err e = {0};

	(void)state;
	assert_ok(nm_profiles_add(&p, &n, &e), e);
	assert_int_equal(p.count, 1);
	assert_string_equal(p.items[0].name, "eth0");
	assert_string_equal(body(&p, 0),
		"type=ethernet\ninterface-name=eth0\nautoconnect=false\n"
		"\n[ethernet]\nmtu=9000\n"
		"\n[ipv4]\nmethod=manual\naddress1=192.0.2.5/23,192.0.2.1\n"
		"dns-search=a.example;b.example;\ndns=192.0.2.2;\n"
		"\n[ipv6]\nmethod=manual\naddress1=2001:db8::5/48\ndns=2001:db8::1;\n");
}

static void bond_vlan_and_bridge_become_profiles(void **state)
{
	const struct nm_network bond = {.seed = "x",
		.device = "bond0",
		.bondslaves = "eth0,eth1",
		.bondopts = "mode=active-backup,miimon=100",
		.noipv6 = true};
	const struct nm_network vlan = {
		.seed = "x", .device = "bond0", .vlanid = "171", .noipv4 = true};
	const struct nm_network bridge = {
		.seed = "x", .device = "br0", .bridgeslaves = "eth2", .bridgeopts = "stp=false"};
	auto_nm_profiles p = {0};
	struct err e = {0};

	(void)state;
	assert_ok(nm_profiles_add(&p, &bond, &e), e);
	assert_ok(nm_profiles_add(&p, &vlan, &e), e);
	assert_ok(nm_profiles_add(&p, &bridge, &e), e);
	assert_int_equal(p.count, 6);
	assert_string_equal(body(&p, 0),
		"type=bond\ninterface-name=bond0\n\n[bond]\nmode=active-backup\nmiimon=100\n"
		"\n[ethernet]\n\n[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=disabled\n");
	assert_string_equal(body(&p, 2),
		"type=ethernet\ninterface-name=eth1\nmaster=bond0\nslave-type=bond\n"
		"\n[ethernet]\n");
	assert_string_equal(p.items[3].name, "bond0.171");
	assert_string_equal(body(&p, 3),
		"type=vlan\ninterface-name=bond0.171\n\n[vlan]\nid=171\nparent=bond0\n"
		"\n[ethernet]\n\n[ipv4]\nmethod=disabled\n\n[ipv6]\nmethod=auto\n");
	assert_string_equal(p.items[5].name, "br0-eth2");
}

static void networks_that_cannot_be_are_refused(void **state)
{
	static const struct {
		struct nm_network n;
		const char *message;
	} cases[] = {
		{{.device = "../x"}, "bad device name '../x'"},
		{{.device = "e", .bootproto = "static"},
			"a static address needs --ip and --netmask"},
		{{.device = "e", .bootproto = "static", .ip = "1.2.3", .netmask = "24"},
			"bad IPv4 address '1.2.3'"},
		{{.device = "e", .bootproto = "static", .ip = "1.2.3.4", .netmask = "255.0.255.0"},
			"bad netmask '255.0.255.0'"},
		{{.device = "e", .dhcpclass = "1\n[ipv4]"}, "'1\n[ipv4]' has more than one line"},
		{{.device = "e", .mtu = "1500\n[ipv4]"},
			"bad MTU '1500\n[ipv4]', expected 68 to 65535"},
		{{.device = "e", .vlanid = "4095"}, "bad VLAN id '4095', expected 0 to 4094"},
		{{.device = "e", .ipv6 = "fe80::1/200"}, "bad IPv6 address 'fe80::1/200'"},
		{{.vlanid = "5"}, "this needs --device"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct nm_network n = cases[i].n;
		auto_nm_profiles p = {0};
		struct err e = {0};

		n.seed = "x";
		assert_fails(nm_profiles_add(&p, &n, &e), EINVAL, e, cases[i].message);
	}
}

/* One entry of a cpio archive in "newc" format. */
static void add_cpio(struct strbuf *b, const char *name, unsigned mode, const char *data)
{
	strbuf_printf(b, "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", 1, mode, 0,
		0, 1, 0, strlen(data), 0, 0, 0, 0, strlen(name) + 1, 0);
	strbuf_add(b, name, strlen(name) + 1);
	while (b->len % 4 != 0)
		strbuf_putc(b, '\0');
	strbuf_puts(b, data);
	while (b->len % 4 != 0)
		strbuf_putc(b, '\0');
}

static void initramfs_depends_on_what_is_in_it(void **state)
{
	autostrbuf archive = {0};
	autofree char *deps = NULL;
	struct scene s;
	struct err e = {0};

	(void)state;
	scene_init(&s);
	put(&s, "/usr/bin/tool", "one");
	put(&s, "/usr/share/data", "one");
	put(&s, "/etc/lvm/lvm.conf", "one");
	add_cpio(&archive, "usr/bin", S_IFDIR | 0755, "");
	add_cpio(&archive, "usr/bin/tool", S_IFREG | 0755, "one");
	add_cpio(&archive, "usr/lib/made-by-dracut", S_IFREG | 0644, "two");
	add_cpio(&archive, "TRAILER!!!", 0, "");
	autoptr(source) src = source_memory(archive.data, archive.len);
	assert_ok(initramfs_deps_collect(s.fd, "6.12", src, &deps, &e), e);
	assert_int_equal(initramfs_deps_match(s.fd, deps, &e), 1);

	/* Not looked at. */
	put(&s, "/usr/share/data", "two");
	assert_int_equal(initramfs_deps_match(s.fd, deps, &e), 1);

	/* Another content. */
	put(&s, "/usr/bin/tool", "two");
	assert_int_equal(initramfs_deps_match(s.fd, deps, &e), 0);

	/* A new program, and a changed file of a folder that is read as a whole. */
	free(take_ptr(deps));
	assert_ok(initramfs_deps_collect(s.fd, "6.12", src, &deps, &e), e);
	put(&s, "/usr/bin/new", "");
	assert_int_equal(initramfs_deps_match(s.fd, deps, &e), 0);
	assert_ok(intree_remove(s.fd, "/usr/bin/new", &e), e);
	assert_int_equal(initramfs_deps_match(s.fd, deps, &e), 1);
	put(&s, "/etc/lvm/lvm.conf", "two");
	assert_int_equal(initramfs_deps_match(s.fd, deps, &e), 0);
	scene_fini(&s);
}

static void damaged_initramfs_is_an_error(void **state)
{
	static const char *const archives[] = {"", "070701",
		"not a cpio archive at all, but long "
		"enough for the header of one, which "
		"has a hundred and ten bytes in it"};
	autofree char *deps = NULL;
	struct scene s;
	struct err e = {0};

	(void)state;
	scene_init(&s);
	for (size_t i = 0; i < ARRAY_LEN(archives); i++) {
		autoptr(source) src = source_memory(archives[i], strlen(archives[i]));

		assert_true(initramfs_deps_collect(s.fd, "6.12", src, &deps, &e) < 0);
	}
	assert_int_equal(initramfs_deps_match(s.fd, "nonsense\n", &e), 0);
	scene_fini(&s);
}

/* A named pipe would be waited for without end. */
static void only_files_are_read_and_written(void **state)
{
	autofree char *text = NULL;
	struct scene s;
	struct err e = {0};

	(void)state;
	scene_init(&s);
	autofree char *pipe = xasprintf("%s/pipe", s.path);
	assert_int_equal(mkfifo(pipe, 0644), 0);
	assert_fails(
		file_read_in_root(s.fd, "/pipe", 100, &text, &e), EINVAL, e, "'/pipe' is no file");
	assert_true(file_write_in_root(s.fd, "/pipe", "x", 0644, &e) < 0);
	scene_fini(&s);
}

static void scrubbing_keeps_what_the_kickstart_made(void **state)
{
	struct scene s;
	struct err e = {0};

	(void)state;
	scene_init(&s);
	put(&s, "/etc/adjtime", "0.0 0 0.0\n0\nLOCAL\n");
	put(&s, "/etc/ssh/ssh_host_rsa_key", "secret");
	put(&s, "/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
	/* Two nodes with one of these would be one to their storage. */
	put(&s, "/etc/iscsi/initiatorname.iscsi", "InitiatorName=iqn.1993-08.org.debian:01:1\n");
	put(&s, "/etc/nvme/hostnqn", "nqn.2014-08.org.nvmexpress:uuid:1\n");
	put(&s, "/etc/nvme/hostid", "1\n");
	put(&s, "/var/log/dpkg.log", "today");
	assert_ok(scrub_tree(s.fd, &e), e);
	assert_text(&s, "/etc/adjtime", "0.0 0 0.0\n0\nLOCAL\n");
	assert_text(&s, "/etc/machine-id", "");
	assert_false(intree_has(s.fd, "/etc/ssh/ssh_host_rsa_key"));
	assert_text(&s, "/etc/iscsi/initiatorname.iscsi", "GenerateName=yes\n");
	assert_false(intree_has(s.fd, "/etc/nvme/hostnqn"));
	assert_false(intree_has(s.fd, "/etc/nvme/hostid"));
	assert_true(intree_has(s.fd, "/var/log"));
	assert_false(intree_has(s.fd, "/var/log/dpkg.log"));
	scene_fini(&s);
}

static void links_lead_nowhere_outside(void **state)
{
	struct scene s;
	struct err e = {0};

	(void)state;
	scene_init(&s);
	assert_ok(intree_link(s.fd, "/etc", "/out", &e), e);
	assert_false(intree_has(s.fd, "/out/passwd"));
	assert_true(intree_is_link(s.fd, "/out"));
	put(&s, "/etc/x/y", "");
	put(&s, "/etc/x/z", "");
	assert_ok(intree_remove_matching(s.fd, "/out/x", "y*", &e), e);
	assert_false(intree_has(s.fd, "/etc/x/y"));
	assert_true(intree_has(s.fd, "/etc/x/z"));
	assert_ok(intree_move_folder(s.fd, "/etc/x", "/usr/x", "../usr/x", &e), e);
	assert_true(intree_has(s.fd, "/etc/x/z"));
	assert_true(intree_is_link(s.fd, "/etc/x"));
	assert_ok(intree_move_folder(s.fd, "/etc/x", "/usr/x", "../usr/x", &e), e);
	assert_true(intree_has(s.fd, "/usr/x/z"));
	scene_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(users_are_added_where_there_is_room),
		cmocka_unit_test(users_that_cannot_be_are_refused),
		cmocka_unit_test(users_that_are_there_are_changed),
		cmocka_unit_test(password_hashes_can_be_repeated),
		cmocka_unit_test(firewall_opens_what_is_named),
		cmocka_unit_test(firewall_refuses_nonsense),
		cmocka_unit_test(static_address_becomes_a_profile),
		cmocka_unit_test(bond_vlan_and_bridge_become_profiles),
		cmocka_unit_test(networks_that_cannot_be_are_refused),
		cmocka_unit_test(initramfs_depends_on_what_is_in_it),
		cmocka_unit_test(damaged_initramfs_is_an_error),
		cmocka_unit_test(only_files_are_read_and_written),
		cmocka_unit_test(scrubbing_keeps_what_the_kickstart_made),
		cmocka_unit_test(links_lead_nowhere_outside),
	};

	return cmocka_run_group_tests_name("configure", tests, NULL, NULL);
}
