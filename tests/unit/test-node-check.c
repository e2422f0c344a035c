/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <string.h>

#include "base/json.h"
#include "node-scene.h"
#include "node/check.h"

static void unmount(struct node_state *s, const char *target)
{
	for (size_t i = 0; i < s->mounts.count; i++)
		if (str_eq(s->mounts.items[i].target, target))
			scene_set(&s->mounts.items[i].target, "/elsewhere");
}

static void set_options(struct node_state *s, const char *target, const char *options)
{
	for (size_t i = 0; i < s->mounts.count; i++)
		if (str_eq(s->mounts.items[i].target, target))
			scene_set(&s->mounts.items[i].options, options);
}

static void no_entry(struct node_state *s)
{
	scene_add_lv(s, "node-1.3", LVM_TAG_BASE)->read_only = true;
	scene_add_lv(s, "node-1.3+1", LVM_TAG_LAYER);
}

static void no_boot(struct node_state *s)
{
	scene_set(&s->boot.error, "'boot': No such file or directory");
}

static void file_missing(struct node_state *s)
{
	scene_set(&s->boot.entries.items[0].missing, "initramfs.img");
}

static void entry_of_nothing(struct node_state *s)
{
	scene_add_entry(s, "node-0.9+1", SCENE_HASH);
}

static void no_entries(struct node_state *s)
{
	boot_entries_fini(&s->boot.entries);
	s->boot.entries = (struct boot_entries){0};
}

static void no_default(struct node_state *s)
{
	scene_set(&s->boot.default_layer, NULL);
}

static void foreign_default(struct node_state *s)
{
	scene_set(&s->boot.default_layer, "node-7\033[2J");
}

static void default_is_gone(struct node_state *s)
{
	entry_of_nothing(s);
	scene_set(&s->boot.default_layer, "node-0.9+1");
}

static void no_var(struct node_state *s)
{
	unmount(s, "/var");
}

static void no_log_and_boot(struct node_state *s)
{
	unmount(s, "/var/log");
	unmount(s, "/boot");
}

static void no_discard(struct node_state *s)
{
	set_options(s, "/var", "rw,nodiscard");
	set_options(s, "/var/log", "rw");
}

static void layer_no_discard(struct node_state *s)
{
	set_options(s, NODE_LAYER_DIR, "rw");
}

static void layer_not_mounted(struct node_state *s)
{
	unmount(s, NODE_LAYER_DIR);
}

static void pool_ignores_discards(struct node_state *s)
{
	scene_lv(s, "pool00")->has_discards = false;
}

static void no_lvm(struct node_state *s)
{
	lvm_report_fini(&s->storage.lvm);
	s->storage.lvm = (struct lvm_report){0};
	scene_set(&s->storage.error, "lvm: No such file or directory");
}

static void no_group(struct node_state *s)
{
	strv_fini(&s->storage.lvm.vgs[0].tags);
}

static void two_groups(struct node_state *s)
{
	scene_add_vg(s, "other", LVM_TAG_VG);
}

static void disk_missing(struct node_state *s)
{
	s->storage.lvm.vgs[0].partial = true;
}

static void no_pool(struct node_state *s)
{
	strv_fini(&scene_lv(s, "pool00")->tags);
}

static void pool_failed(struct node_state *s)
{
	scene_set(&scene_lv(s, "pool00")->health, "metadata_read_only");
}

static void no_layer(struct node_state *s)
{
	strv_fini(&scene_lv(s, "node-1.2+1")->tags);
}

static void no_base(struct node_state *s)
{
	strv_fini(&scene_lv(s, "node-1.2")->tags);
}

static void strange_layer(struct node_state *s)
{
	scene_set(&s->layer, "node-1.2");
}

static void base_writable(struct node_state *s)
{
	scene_lv(s, "node-1.2")->read_only = false;
}

static void volume_failed(struct node_state *s)
{
	scene_set(&scene_lv(s, "var_log")->health, "failed");
}

static void data_full(struct node_state *s)
{
	scene_lv(s, "pool00")->data_percent = 80;
}

static void metadata_full(struct node_state *s)
{
	scene_lv(s, "pool00")->metadata_percent = 99.96;
}

static void use_unknown(struct node_state *s)
{
	scene_lv(s, "pool00")->data_percent = -1;
}

static void never_extended(struct node_state *s)
{
	s->storage.extend_threshold = 100;
}

static void not_watched(struct node_state *s)
{
	scene_lv(s, "pool00")->monitored = false;
}

static void extension_unknown(struct node_state *s)
{
	scene_set(&s->storage.extend_error, "lvm: no end after 20 s");
}

static void waits_when_full(struct node_state *s)
{
	scene_lv(s, "pool00")->error_if_full = false;
}

static void no_verity(struct node_state *s)
{
	scene_set(&s->verity.error, "dmsetup: exit status 1: Device does not exist.");
}

static void other_base_mounted(struct node_state *s)
{
	for (size_t i = 0; i < s->mounts.count; i++)
		if (str_eq(s->mounts.items[i].target, NODE_BASE_DIR))
			scene_set(&s->mounts.items[i].source, "/dev/mapper/vg-node");
}

static void no_overlay(struct node_state *s)
{
	scene_set(&s->mounts.items[0].fstype, "ext4");
}

static void corrupted(struct node_state *s)
{
	s->verity.corrupted = true;
}

static void other_hash(struct node_state *s)
{
	s->verity.root_hash[0] = 'f';
}

static void entry_has_other_hash(struct node_state *s)
{
	scene_set(&s->boot.entries.items[0].cmd_line, "bedplate.roothash=00");
}

static void other_image_installed(struct node_state *s)
{
	s->factory = json_pack("{s:s, s:{s:s}}", "layer", "node-1.2+4", "image", "root_hash", "00");
}

static void units_failed(struct node_state *s)
{
	strv_add(&s->units.failed, "cron.service");
	strv_add(&s->units.failed, "x\n.service");
}

static void no_systemd(struct node_state *s)
{
	scene_set(&s->units.error, "systemctl: No such file or directory");
}

static void libvirtd_failed(struct node_state *s)
{
	scene_set(&s->units.items[0].active, "failed");
}

static void libvirtd_down(struct node_state *s)
{
	scene_set(&s->units.items[1].active, "inactive");
}

/* What is done to a healthy node, and the line that it changes. */
static const struct {
	void (*harm)(struct node_state *s);
	const char *line;
} cases[] = {
	{no_entry, "Layer boot entries ... FAILED - no boot entry of layer: node-1.3+1"},
	{no_boot, "Layer boot entries ... FAILED - 'boot': No such file or directory"},
	{no_lvm, "Layer boot entries ... FAILED - lvm: No such file or directory"},
	{file_missing,
		"Valid boot entries ... FAILED - entry 'node-1.2+1': initramfs.img is missing"},
	{entry_of_nothing,
		"Valid boot entries ... FAILED - entry 'node-0.9+1': there is no such layer, or not "
		"its base"},
	{no_entries, "Valid boot entries ... FAILED - there is no boot entry"},
	{no_default, "Default boot entry ... FAILED - no default is set"},
	{foreign_default,
		"Default boot entry ... FAILED - the default is 'node-7\\x1b[2J', which has no boot "
		"entry"},
	{default_is_gone,
		"Default boot entry ... FAILED - the default is 'node-0.9+1', and there is no such "
		"layer"},
	{no_var, "Separate /var ... FAILED - /var is not mounted"},
	{no_log_and_boot, "Volumes are mounted ... FAILED - not mounted: /var/log, /boot"},
	{no_discard, "Discard is used ... FAILED - mounted without discard: /var, /var/log"},
	{layer_no_discard,
		"Discard is used ... FAILED - mounted without discard: /run/bedplate/layer"},
	{layer_not_mounted,
		"Discard is used ... FAILED - the layer is not mounted on /run/bedplate/layer"},
	{pool_ignores_discards, "Discard is used ... FAILED - thin pool 'pool00' ignores discards"},
	{no_lvm, "Initialized VG ... FAILED - lvm: No such file or directory"},
	{no_group, "Initialized VG ... FAILED - no volume group has the tag bedplate:vg"},
	{two_groups, "Initialized VG ... FAILED - 2 volume groups have the tag bedplate:vg"},
	{disk_missing,
		"All physical volumes ... FAILED - volume group 'bedplate' misses a physical volume"},
	{no_pool, "Initialized Thin Pool ... FAILED - no thin pool has the tag bedplate:pool"},
	{pool_failed, "Initialized Thin Pool ... FAILED - 'pool00': metadata_read_only"},
	{no_layer, "Initialized LVs ... FAILED - no volume of layer 'node-1.2+1'"},
	{no_base, "Initialized LVs ... FAILED - no volume of base 'node-1.2'"},
	{strange_layer, "Initialized LVs ... FAILED - 'node-1.2' is no name of a layer"},
	{base_writable, "Initialized LVs ... FAILED - base 'node-1.2' is not read-only"},
	{volume_failed, "Initialized LVs ... FAILED - 'var_log': failed"},
	{data_full,
		"Checking available space in thinpool ... FAILED - data of thin pool 'pool00' is 80.0 % "
		"full, from 80 % on it is too full"},
	{metadata_full,
		"Checking available space in thinpool ... FAILED - metadata of thin pool 'pool00' is "
		"100.0 % full, from 80 % on it is too full"},
	{use_unknown,
		"Checking available space in thinpool ... FAILED - the use of thin pool 'pool00' is not "
		"known, is it active?"},
	{never_extended,
		"Checking thinpool auto-extend ... FAILED - thin_pool_autoextend_threshold is 100, "
		"below 100 is expected"},
	{not_watched,
		"Checking thinpool auto-extend ... FAILED - dmeventd does not watch thin pool 'pool00'"},
	{extension_unknown, "Checking thinpool auto-extend ... FAILED - lvm: no end after 20 s"},
	{waits_when_full,
		"Checking what a full thinpool does ... WARN - with thin pool 'pool00' full, programs "
		"that write would wait: run 'lvchange --errorwhenfull y bedplate/pool00'"},
	{no_verity,
		"Opened through dm-verity ... FAILED - dmsetup: exit status 1: Device does not exist."},
	{other_base_mounted,
		"Opened through dm-verity ... FAILED - /dev/mapper/bedplate-base is not what is mounted "
		"on /run/bedplate/base"},
	{no_overlay, "Opened through dm-verity ... FAILED - the root file system is no overlay"},
	{corrupted,
		"No corruption seen ... FAILED - dm-verity has met a block that is not as it was "
		"installed"},
	{other_hash,
		"Root hash of the boot entry ... FAILED - it is not the root hash on the kernel command "
		"line"},
	{entry_has_other_hash,
		"Root hash of the boot entry ... FAILED - the boot entry of 'node-1.2+1' has another "
		"root hash"},
	{other_image_installed,
		"Root hash of the boot entry ... FAILED - it is not the root hash of the image that was "
		"installed"},
	{units_failed, "No failed units ... WARN - failed: cron.service, x\\x0a.service"},
	{no_systemd, "No failed units ... WARN - systemctl: No such file or directory"},
	{libvirtd_failed, "libvirtd ... FAILED - it has failed, see 'systemctl status libvirtd'"},
	{libvirtd_down, "libvirtd ... FAILED - it is enabled, and does not run"},
};

static const char healthy_text[] = "Status: OK\n"
				   "Bootloader ... OK\n"
				   "  Layer boot entries ... OK\n"
				   "  Valid boot entries ... OK\n"
				   "  Default boot entry ... OK\n"
				   "Mount points ... OK\n"
				   "  Separate /var ... OK\n"
				   "  Volumes are mounted ... OK\n"
				   "  Discard is used ... OK\n"
				   "Basic storage ... OK\n"
				   "  Initialized VG ... OK\n"
				   "  All physical volumes ... OK\n"
				   "  Initialized Thin Pool ... OK\n"
				   "  Initialized LVs ... OK\n"
				   "Thin storage ... OK\n"
				   "  Checking available space in thinpool ... OK\n"
				   "  Checking thinpool auto-extend ... OK\n"
				   "  Checking what a full thinpool does ... OK\n"
				   "Base ... OK\n"
				   "  Opened through dm-verity ... OK\n"
				   "  No corruption seen ... OK\n"
				   "  Root hash of the boot entry ... OK\n"
				   "Services ... OK\n"
				   "  No failed units ... OK\n"
				   "  libvirtd ... OK\n";

/* The text of a node that was harmed; NULL: that was not. */
static char *text_after(void (*harm)(struct node_state *s), enum check_status *status)
{
	autonodestate s = {0};
	autocheckresult r = {0};

	scene_healthy(&s);
	if (harm)
		harm(&s);
	node_check(&s, &r);
	*status = r.status;
	return check_text(&r, false);
}

static void a_healthy_node_is_ok(void **state)
{
	enum check_status status;
	autofree char *text = text_after(NULL, &status);

	(void)state;
	assert_string_equal(text, healthy_text);
	assert_int_equal(status, CHECK_OK);
}

static void every_harm_is_seen(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		enum check_status status;
		autofree char *text = text_after(cases[i].harm, &status);
		autofree char *line = xasprintf("\n  %s\n", cases[i].line);

		if (!strstr(text, line))
			fail_msg("expected '%s' in:\n%s", cases[i].line, text);
		assert_int_equal(status, strstr(cases[i].line, "WARN") ? CHECK_WARN : CHECK_FAILED);
	}
}

/* A check without a case here would be one that cannot fail. */
static void every_check_has_a_case(void **state)
{
	autonodestate s = {0};
	autocheckresult r = {0};

	(void)state;
	scene_healthy(&s);
	node_check(&s, &r);
	for (size_t g = 0; g < r.count; g++) {
		for (size_t c = 0; c < r.groups[g].count; c++) {
			bool found = false;

			for (size_t i = 0; i < ARRAY_LEN(cases); i++)
				found |= str_starts(cases[i].line, r.groups[g].items[c].name);
			if (!found)
				fail_msg("no case of '%s'", r.groups[g].items[c].name);
		}
	}
}

static void a_group_is_as_bad_as_its_worst_check(void **state)
{
	enum check_status status;
	autofree char *warned = text_after(units_failed, &status);
	autofree char *failed = text_after(data_full, &status);

	(void)state;
	assert_true(str_starts(warned, "Status: WARN\n"));
	assert_non_null(strstr(warned, "\nServices ... WARN\n"));
	assert_true(str_starts(failed, "Status: FAILED\n"));
	assert_non_null(strstr(failed, "\nThin storage ... FAILED\n"));
	assert_non_null(strstr(failed, "\nBase ... OK\n"));
}

static void what_is_not_ours_does_no_harm(void **state)
{
	autonodestate s = {0};
	autocheckresult r = {0};

	(void)state;
	scene_healthy(&s);
	scene_add_vg(&s, "storage", "somebody")->partial = true;
	scene_set(&scene_add_lv(&s, "x", LVM_TAG_LAYER " " LVM_TAG_VOLUME " bedplate:mount:/x")->vg,
		"storage");
	scene_add_lv(&s, "orphan-1+1", LVM_TAG_LAYER);
	scene_add_lv(&s, "+", LVM_TAG_LAYER);
	s.factory = json_pack("{s:s, s:{s:s}}", "layer", "node-1.1+1", "image", "root_hash", "00");
	node_check(&s, &r);
	assert_int_equal(r.status, CHECK_OK);
}

static void a_stateless_node_needs_no_layer(void **state)
{
	autonodestate s = {0};
	autocheckresult r = {0};

	(void)state;
	scene_healthy(&s);
	s.stateless = true;
	layer_no_discard(&s);
	node_check(&s, &r);
	assert_int_equal(r.status, CHECK_OK);
}

static void libvirtd_that_is_off_or_not_there(void **state)
{
	enum check_status status;
	autonodestate s = {0};
	autocheckresult r = {0};

	(void)state;
	scene_healthy(&s);
	libvirtd_down(&s);
	scene_set(&s.units.items[0].file_state, "disabled");
	scene_set(&s.units.items[1].file_state, "masked");
	node_check(&s, &r);
	assert_int_equal(r.status, CHECK_OK);

	check_result_fini(&r);
	scene_set(&s.units.items[0].load, "not-found");
	scene_set(&s.units.items[0].active, "failed");
	node_check(&s, &r);
	autofree char *text = check_text(&r, false);
	assert_null(strstr(text, "libvirtd"));
	status = r.status;
	assert_int_equal(status, CHECK_OK);
}

static void colours_and_one_line(void **state)
{
	autonodestate s = {0};
	autocheckresult r = {0};

	(void)state;
	scene_healthy(&s);
	corrupted(&s);
	node_check(&s, &r);
	autofree char *coloured = check_text(&r, true);
	autofree char *line = check_line(&r, false);
	assert_true(str_starts(coloured, "Status: \033[31mFAILED\033[0m\n"));
	assert_non_null(strstr(coloured, "\nBootloader ... \033[32mOK\033[0m\n"));
	assert_string_equal(line, "\n  Node Status: FAILED\n");
}

static void json_says_the_same(void **state)
{
	const char *group, *check, *status, *reason, *name;
	autonodestate s = {0};
	autocheckresult r = {0};
	int schema;

	(void)state;
	scene_healthy(&s);
	no_var(&s);
	node_check(&s, &r);
	json_t *j = check_json(&r);
	assert_int_equal(json_unpack(j, "{s:i, s:s}", "schema", &schema, "status", &status), 0);
	assert_int_equal(schema, 1);
	assert_string_equal(status, "failed");
	json_t *mounts = json_array_get(json_object_get(j, "groups"), 1);
	assert_int_equal(json_unpack(mounts, "{s:s, s:s, s:[{s:s, s:s, s:s, s:s}]}", "id", &group,
				 "status", &status, "checks", "id", &check, "name", &name, "status",
				 &status, "reason", &reason),
		0);
	assert_string_equal(group, "mounts");
	assert_string_equal(check, "separate_var");
	assert_string_equal(name, "Separate /var");
	assert_string_equal(reason, "/var is not mounted");
	json_decref(j);
}

static void some_checks_only(void **state)
{
	autonodestate s = {0};
	autocheckresult all = {0}, some = {0};
	autostrv ids = {0}, unknown = {0};
	struct err e = {0};

	(void)state;
	scene_healthy(&s);
	unmount(&s, "/var/log");
	no_default(&s);
	strv_add(&ids, "thin");
	strv_add(&ids, "volumes_mounted");
	node_check(&s, &some);
	assert_ok(check_select(&some, &ids, &e), e);
	assert_int_equal(some.status, CHECK_FAILED);
	assert_int_equal(some.count, 2);
	assert_string_equal(some.groups[0].id, "mounts");
	assert_int_equal(some.groups[0].count, 1);
	assert_int_equal(some.groups[1].count, 3);

	check_result_fini(&some);
	strv_fini(&ids);
	ids = (struct strv){0};
	strv_add(&ids, "separate_var");
	node_check(&s, &some);
	assert_ok(check_select(&some, &ids, &e), e);
	assert_int_equal(some.status, CHECK_OK);

	strv_add(&unknown, "thing");
	node_check(&s, &all);
	assert_fails(check_select(&all, &unknown, &e), EINVAL, e, "there is no check 'thing'");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(some_checks_only),
		cmocka_unit_test(a_healthy_node_is_ok),
		cmocka_unit_test(every_harm_is_seen),
		cmocka_unit_test(every_check_has_a_case),
		cmocka_unit_test(a_group_is_as_bad_as_its_worst_check),
		cmocka_unit_test(what_is_not_ours_does_no_harm),
		cmocka_unit_test(a_stateless_node_needs_no_layer),
		cmocka_unit_test(libvirtd_that_is_off_or_not_there),
		cmocka_unit_test(colours_and_one_line),
		cmocka_unit_test(json_says_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
