/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "folder.h"
#include "node-scene.h"
#include "node/banner.h"
#include "node/info.h"
#include "node/layers.h"
#include "node/motd.h"

static void a_layer_names_its_base(void **state)
{
	static const struct {
		const char *layer;
		size_t len;
	} cases[] = {
		{"node-1.2+1", 8},
		{"node-1.2+b1+12", 11},
		{"node-1.2", 0},
		{"node-1.2+", 0},
		{"node-1.2+0", 0},
		{"node-1.2+1x", 0},
		{"+1", 0},
		{"", 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(node_base_len(cases[i].layer), cases[i].len);
}

static void kernel_parameters(void **state)
{
	autofree char *last = node_kernel_param("a=1 b=2\ta=3\n", "a=");
	autofree char *none = node_kernel_param("xa=1 a", "a=");

	(void)state;
	assert_string_equal(last, "3");
	assert_null(none);
}

static void mounts_are_parsed(void **state)
{
	static const char text[] = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
				   "what is this?\n"
				   "21 20 8:2 / /a\\040b rw,nodev - xfs /dev/sda2 rw,discard\n"
				   "22 20 8:3 / /a\\040b rw - tmpfs tmpfs rw\n";
	struct node_mounts m = {0};

	(void)state;
	node_mounts_parse(text, &m);
	assert_int_equal(m.count, 3);
	assert_string_equal(m.items[1].target, "/a b");
	assert_true(node_mount_has(&m.items[1], "discard"));
	assert_true(node_mount_has(&m.items[1], "nodev"));
	assert_false(node_mount_has(&m.items[1], "dev"));
	assert_string_equal(node_mount_on(&m, "/a b")->fstype, "tmpfs");
	assert_null(node_mount_on(&m, "/a"));
	node_mounts_fini(&m);
	node_mounts_parse("", &m);
	assert_int_equal(m.count, 0);
}

static void verity_words(void **state)
{
	static const char table[] = "0 8192 verity 1 253:3 253:3 4096 4096 1024 1025 sha256 "
				    "AA00 0011 1 ignore_zero_blocks\n";
	struct node_verity v = {0};
	struct err e = {0};

	(void)state;
	assert_ok(node_verity_parse("0 8192 verity V\n", table, &v, &e), e);
	assert_false(v.corrupted);
	assert_string_equal(v.root_hash, "aa00");
	node_verity_fini(&v);
	v = (struct node_verity){0};
	assert_ok(node_verity_parse("0 8192 verity C 3\n", table, &v, &e), e);
	assert_true(v.corrupted);
	node_verity_fini(&v);

	assert_fails(node_verity_parse("0 8192 linear \n", table, &v, &e), EBADMSG, e,
		"no dm-verity target");
	assert_fails(node_verity_parse("0 8192 verity\n", table, &v, &e), EBADMSG, e,
		"no dm-verity target");
	assert_fails(node_verity_parse("", table, &v, &e), EBADMSG, e, "no dm-verity target");
	assert_fails(node_verity_parse("0 8192 verity V\n", "0 8192 verity 1\n", &v, &e), EBADMSG,
		e, "dm-verity table without a root hash");
}

static void units(void **state)
{
	struct node_units u = {0};
	struct err e = {0};

	(void)state;
	assert_ok(node_failed_units_parse("[{\"unit\":\"b.service\",\"load\":\"loaded\"},"
					  "{\"unit\":\"a.mount\"},{\"x\":1},3]",
			  &u.failed, &e),
		e);
	assert_int_equal(u.failed.count, 2);
	assert_string_equal(u.failed.items[0], "a.mount");
	assert_fails(node_failed_units_parse("{}", &u.failed, &e), EBADMSG, e,
		"systemctl: no list of units");
	assert_fails(node_failed_units_parse("", &u.failed, &e), EBADMSG, e,
		"systemctl: no list of units");

	node_units_parse("\n\nId=a\nOther=x=y\nActiveState=active\nrubbish\nLoadState=loaded", &u);
	assert_int_equal(u.count, 2);
	assert_string_equal(u.items[0].name, "a");
	assert_string_equal(u.items[0].active, "active");
	assert_string_equal(u.items[0].load, "");
	assert_string_equal(u.items[1].load, "loaded");
	node_units_fini(&u);
}

static void extension_of_the_pool(void **state)
{
	struct err e = {0};
	unsigned percent = 0;

	(void)state;
	assert_ok(node_threshold_parse("thin_pool_autoextend_threshold=70\n", &percent, &e), e);
	assert_int_equal(percent, 70);
	assert_fails(node_threshold_parse("x=", &percent, &e), EBADMSG, e,
		"lvm: no threshold for extending the thin pool");
	assert_fails(node_threshold_parse("x=101", &percent, &e), EBADMSG, e,
		"lvm: no threshold for extending the thin pool");
	assert_fails(node_threshold_parse("", &percent, &e), EBADMSG, e,
		"lvm: no threshold for extending the thin pool");
}

/* An older and a newer image, a base alone, and what breaks other tools. */
static void many_layers(struct node_state *s)
{
	scene_healthy(s);
	scene_add_lv(s, "node-1.2+10", LVM_TAG_LAYER);
	scene_add_lv(s, "node-1.2+2", LVM_TAG_LAYER);
	scene_add_lv(s, "other-0.1", LVM_TAG_BASE);
	scene_add_lv(s, "gone-1+1", LVM_TAG_LAYER)->data_percent = -1;
	scene_add_lv(s, "n\033am", LVM_TAG_LAYER);
	scene_set(&scene_add_lv(s, "foreign+1", LVM_TAG_LAYER)->vg, "storage");
	scene_set(&s->boot.default_layer, "node-1.2+2");
}

static void layers_as_text(void **state)
{
	autonodestate s = {0};
	autonodelayers l = {0};
	autostrbuf b = {0};

	(void)state;
	many_layers(&s);
	node_layers_find(&s, &l);
	node_layers_text(&l, &b);
	assert_string_equal(b.data,
		"node-1.2 (5.0 GiB, 12.5 % used)\n"
		" +- node-1.2+1 (5.0 GiB, 12.5 % used, current)\n"
		" +- node-1.2+2 (5.0 GiB, 12.5 % used, default, no boot entry)\n"
		" +- node-1.2+10 (5.0 GiB, 12.5 % used, no boot entry)\n"
		"other-0.1 (5.0 GiB, 12.5 % used, no layer)\n"
		"Without a base:\n"
		" +- gone-1+1 (5.0 GiB, no boot entry)\n"
		"Not named like a layer:\n"
		" +- n\\x1bam\n");
}

static void layers_as_json(void **state)
{
	autonodestate s = {0};
	autonodelayers l = {0};
	const char *base, *layer, *orphan, *unknown;
	int current, chosen, entry;
	json_int_t size;

	(void)state;
	many_layers(&s);
	node_layers_find(&s, &l);
	json_t *j = node_layers_json(&l);
	assert_int_equal(
		json_unpack(j, "{s:[{s:s, s:[{s:s, s:I, s:b, s:b, s:b}]}], s:[{s:s, s:n}], s:[s!]}",
			"bases", "name", &base, "layers", "name", &layer, "size", &size, "current",
			&current, "default", &chosen, "boot_entry", &entry, "without_base", "name",
			&orphan, "used_percent", "unknown", &unknown),
		0);
	assert_string_equal(base, "node-1.2");
	assert_string_equal(layer, "node-1.2+1");
	assert_int_equal(size, 5 * GIB);
	assert_true(current && !chosen && entry);
	assert_string_equal(orphan, "gone-1+1");
	assert_string_equal(unknown, "n\033am");
	json_decref(j);
}

static void no_group_no_layers(void **state)
{
	autonodestate s = {0};
	autonodelayers l = {0};

	(void)state;
	node_layers_find(&s, &l);
	assert_int_equal(l.count + l.orphans.count + l.unknown_count, 0);
}

static void info_as_text(void **state)
{
	autonodestate s = {0};

	(void)state;
	scene_healthy(&s);
	s.factory = json_pack("{s:s, s:{s:s}}", "installed", "2026-01-01T01:00:00Z", "image",
		"origin", "the \tmedium");
	autofree char *text = node_info_text(&s);
	assert_string_equal(text,
		"Image:     node 1.2 (amd64)\n"
		"Date:      2026-01-01T00:00:00Z\n"
		"Running:   installed, layer node-1.2+1\n"
		"Kernel:    6.12.0\n"
		"Uptime:    1 d 2 h 3 min\n"
		"Installed: 2026-01-01T01:00:00Z from the \\x09medium\n"
		"Base:      root hash " SCENE_HASH "\n"
		"Boot:      default node-1.2+1\n"
		"  node-1.2+1: Node node-1.2+1 (6.12.0)\n"
		"    quiet bedplate.layer=node-1.2+1 bedplate.roothash=" SCENE_HASH "\n"
		"Storage:   volume group bedplate, 60.0 GiB, 10.0 GiB free\n"
		"  thin pool pool00: 48.0 GiB, data 12.5 %, metadata 3.2 %\n"
		"  var: 5.0 GiB, 12.5 % used, on /var\n"
		"  var_log: 5.0 GiB, 12.5 % used, on /var/log\n"
		"  swap: 5.0 GiB, 12.5 % used, on swap\n"
		"Layers:\n"
		"node-1.2 (5.0 GiB, 12.5 % used)\n"
		" +- node-1.2+1 (5.0 GiB, 12.5 % used, current, default)\n");
}

static void info_of_a_node_in_trouble(void **state)
{
	autonodestate s = {0};

	(void)state;
	scene_healthy(&s);
	lvm_report_fini(&s.storage.lvm);
	s.storage.lvm = (struct lvm_report){0};
	scene_set(&s.storage.error, "lvm: exit status 5: \033[1mno");
	scene_set(&s.boot.error, "'boot': No such file or directory");
	autofree char *text = node_info_text(&s);
	assert_non_null(strstr(text, "\nBoot:      'boot': No such file or directory\n"));
	assert_true(str_ends(text, "\nStorage:   lvm: exit status 5: \\x1b[1mno\n"));

	json_t *j = node_info_json(&s);
	const char *boot, *storage;
	assert_int_equal(json_unpack(j, "{s:{s:s}, s:{s:n, s:s}, s:n}", "bootloader", "error",
				 &boot, "storage", "vg", "error", &storage, "factory"),
		0);
	assert_string_equal(storage, "lvm: exit status 5: \033[1mno");
	json_decref(j);
}

static void info_as_json(void **state)
{
	const char *running, *chosen, *layer, *vg, *pool, *volume, *mount;
	autonodestate s = {0};
	double data;

	(void)state;
	scene_healthy(&s);
	json_t *j = node_info_json(&s);
	assert_int_equal(
		json_unpack(j, "{s:s, s:{s:s, s:[{s:s}]}, s:{s:s, s:{s:s, s:f}, s:[{s:s, s:s}]}}",
			"running", &running, "bootloader", "default", &chosen, "entries", "layer",
			&layer, "storage", "vg", &vg, "pool", "name", &pool, "data_percent", &data,
			"volumes", "name", &volume, "mount", &mount),
		0);
	assert_string_equal(running, "installed");
	assert_string_equal(chosen, "node-1.2+1");
	assert_string_equal(layer, "node-1.2+1");
	assert_string_equal(pool, "pool00");
	assert_true(data > 12.4 && data < 12.6);
	assert_string_equal(volume, "var");
	assert_string_equal(mount, "/var");
	json_decref(j);
}

static void assert_motd(const char *text, int64_t age, const char *status, const char *then)
{
	autofree char *got = node_motd_text(text, age);
	autofree char *want = xasprintf("  node status: %s\n  %s\n", status, then);

	assert_string_equal(got, want);
}

static void motd(void **state)
{
	static const char more[] = "See `nodectl check` for more information";
	static const char look[] = "Please check the status manually using `nodectl check`";

	(void)state;
	assert_motd("{\"status\":\"ok\"}", 0, "OK", more);
	assert_motd("{\"status\":\"warn\"}", NODE_RESULT_MAX_SECONDS, "WARN", more);
	assert_motd("{\"status\":\"failed\"}", 1, "DEGRADED", look);
	assert_motd("{\"status\":\"ok\"}", NODE_RESULT_MAX_SECONDS + 1, "UNKNOWN", look);
	assert_motd("{\"status\":\"ok\"}", -1, "UNKNOWN", look);
	assert_motd("{\"stat", 0, "UNKNOWN", look);
	assert_motd("[]", 0, "UNKNOWN", look);
	assert_motd(NULL, 0, "UNKNOWN", look);
}

/* The layer before runs; another is tried, a third has failed, a fourth is staged. */
static void transitions(struct node_state *s)
{
	struct node_boot *b = &s->boot;

	scene_healthy(s);
	scene_add_lv(s, "node-1.2+2", LVM_TAG_LAYER);
	scene_add_lv(s, "node-1.2+3", LVM_TAG_LAYER);
	scene_add_lv(s, "node-1.2+4", LVM_TAG_LAYER);
	scene_add_entry(s, "node-1.2+2", SCENE_HASH);
	scene_add_entry(s, "node-1.2+3", SCENE_HASH);
	scene_add_entry(s, "node-1.2+4", SCENE_HASH);
	b->trial = xstrdup("node-1.2+2");
	b->tries = 2;
	b->staged = xstrdup("node-1.2+4");
	b->failed.items = xcalloc(1, sizeof(*b->failed.items));
	b->failed.items[b->failed.count++] = (struct failed_version){.name = xstrdup("node"),
		.version = xstrdup("1.2"),
		.layer = xstrdup("node-1.2+3"),
		.why = xstrdup("network: no \033 address"),
		.root_hash = SCENE_HASH,
		.time = 1767225600};
	b->last_failed = xstrdup("node-1.2+3");
	b->last_why = xstrdup("network: no \033 address");
}

static void transitions_are_shown(void **state)
{
	autonodestate s = {0};
	autonodelayers l = {0};
	autostrbuf b = {0};

	(void)state;
	transitions(&s);
	autofree char *text = node_info_text(&s);
	assert_non_null(strstr(text,
		"\nTrial:     layer node-1.2+2, 2 tries left\n"
		"Staged:    layer node-1.2+4, for 'nodectl activate'\n"
		"Failed:    layer node-1.2+3 on 2026-01-01T00:00:00Z: network: no \\x1b address\n"
		"Storage: "));
	node_layers_find(&s, &l);
	node_layers_text(&l, &b);
	assert_non_null(strstr(b.data,
		" +- node-1.2+1 (5.0 GiB, 12.5 % used, current, default)\n"
		" +- node-1.2+2 (5.0 GiB, 12.5 % used, on trial)\n"
		" +- node-1.2+3 (5.0 GiB, 12.5 % used, failed its trial)\n"
		" +- node-1.2+4 (5.0 GiB, 12.5 % used, staged)\n"));
	scene_set(&s.layer, "node-1.2+2");
	autofree char *running = node_info_text(&s);
	assert_non_null(strstr(running, "\nTrial:     layer node-1.2+2, it runs now\n"));
}

static void transitions_as_json(void **state)
{
	const char *trial, *staged, *failed, *why;
	autonodestate s = {0};
	int tries, running;

	(void)state;
	transitions(&s);
	json_t *j = node_info_json(&s);
	assert_int_equal(
		json_unpack(j, "{s:{s:{s:s, s:i, s:b}, s:s, s:[{s:s, s:s}]}}", "bootloader",
			"trial", "layer", &trial, "tries_left", &tries, "running", &running,
			"staged", &staged, "failed", "layer", &failed, "why", &why),
		0);
	assert_string_equal(trial, "node-1.2+2");
	assert_int_equal(tries, 2);
	assert_int_equal(running, 0);
	assert_string_equal(staged, "node-1.2+4");
	assert_string_equal(failed, "node-1.2+3");
	assert_string_equal(why, "network: no \033 address");
	json_decref(j);
}

static void transitions_at_login(void **state)
{
	autonodestate s = {0}, well = {0};
	autostrv notices = {0}, none = {0};

	(void)state;
	transitions(&s);
	node_notices(&s, &notices);
	assert_int_equal(notices.count, 3);
	assert_string_equal(notices.items[0], "layer node-1.2+2 is tried at the next boot");
	assert_string_equal(
		notices.items[1], "the trial of layer node-1.2+3 failed: network: no \033 address");
	assert_string_equal(notices.items[2], "layer node-1.2+4 is staged");
	scene_healthy(&well);
	node_notices(&well, &none);
	assert_int_equal(none.count, 0);

	autofree char *text = node_motd_text(
		"{\"status\":\"ok\", \"notices\":[\"a trial\", 7, \"b\\u001b\"]}", 0);
	assert_string_equal(text,
		"  node status: OK\n  a trial\n  b\\x1b\n"
		"  See `nodectl check` for more information\n");
}

static void banner(void **state)
{
	autobanner b = {.hostname = xstrdup("no\\de\n.example"), .has_console = true};

	(void)state;
	autofree char *alone = banner_text(&b);
	assert_string_equal(alone, "Node: no?de?.example\nAddresses: none\n\n");
	strv_add(&b.ipv4, "192.0.2.1");
	strv_add(&b.ipv6, "2001:db8::1");
	autofree char *full = banner_text(&b);
	assert_string_equal(full,
		"Node: no?de?.example\nAddresses: 192.0.2.1 2001:db8::1\n"
		"Admin Console: https://192.0.2.1:9090/ or https://[2001:db8::1]:9090/\n\n");
	b.has_console = false;
	autofree char *plain = banner_text(&b);
	assert_string_equal(plain, "Node: no?de?.example\nAddresses: 192.0.2.1 2001:db8::1\n\n");
}

static bool wants4(uint32_t address)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};

	return banner_wants((const struct sockaddr *)(const void *)&a);
}

static bool wants6(uint8_t first, uint8_t second, uint8_t last)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6};

	a.sin6_addr.s6_addr[0] = first;
	a.sin6_addr.s6_addr[1] = second;
	a.sin6_addr.s6_addr[15] = last;
	return banner_wants((const struct sockaddr *)(const void *)&a);
}

static void addresses_worth_showing(void **state)
{
	(void)state;
	assert_true(wants4(0xc0000201));
	assert_false(wants4(0x7f000101));
	assert_false(wants4(0xa9fe0001));
	assert_true(wants6(0x20, 0x01, 1));
	assert_true(wants6(0xfd, 0x00, 1));
	assert_false(wants6(0xfe, 0x80, 1));
	assert_false(wants6(0, 0, 1));
}

static void make(const char *path)
{
	autofree char *full = xasprintf("%s/%s", folder, path);
	struct err e = {0};

	assert_ok(file_make_folder(full, 0755, &e), e);
}

static void interfaces_with_a_card_behind(void **state)
{
	(void)state;
	make("eno1/device");
	make("bond0/lower_eno1");
	make("br0/lower_bond0");
	make("br0.7/lower_br0");
	make("virbr0/lower_vnet1");
	make("vnet1");
	make("round/lower_round");
	autofd int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(banner_is_real(fd, "eno1"));
	assert_true(banner_is_real(fd, "br0"));
	assert_true(banner_is_real(fd, "br0.7"));
	assert_false(banner_is_real(fd, "virbr0"));
	assert_false(banner_is_real(fd, "round"));
	assert_false(banner_is_real(fd, "none"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_layer_names_its_base),
		cmocka_unit_test(kernel_parameters),
		cmocka_unit_test(mounts_are_parsed),
		cmocka_unit_test(verity_words),
		cmocka_unit_test(units),
		cmocka_unit_test(extension_of_the_pool),
		cmocka_unit_test(layers_as_text),
		cmocka_unit_test(layers_as_json),
		cmocka_unit_test(no_group_no_layers),
		cmocka_unit_test(info_as_text),
		cmocka_unit_test(info_of_a_node_in_trouble),
		cmocka_unit_test(info_as_json),
		cmocka_unit_test(motd),
		cmocka_unit_test(transitions_are_shown),
		cmocka_unit_test(transitions_as_json),
		cmocka_unit_test(transitions_at_login),
		cmocka_unit_test(banner),
		cmocka_unit_test(addresses_worth_showing),
		cmocka_unit_test(interfaces_with_a_card_behind),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
