/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/version.h"
#include "folder.h"
#include "site-scene.h"
#include "upgrade/base-make.h"
#include "upgrade/base-view.h"
#include "upgrade/carry.h"
#include "upgrade/layer-again.h"
#include "upgrade/layer-fresh.h"
#include "upgrade/packages-diff.h"
#include "upgrade/precheck.h"
#include "upgrade/rollback-target.h"
#include "upgrade/run.h"

static void versions_are_ordered_as_debian_does(void **state)
{
	static const char *const ordered[] = {"", "~", "1.0~rc1", "1.0", "1.0-1", "1.0-1+b1",
		"1.0a", "1.0+dfsg", "1.0.1", "1.2", "1.10", "2", "20261120",
		"99999999999999999999999999", "100000000000000000000000000", "1:0"};

	(void)state;
	assert_true(version_compare("~", "") < 0);
	for (size_t i = 1; i < ARRAY_LEN(ordered); i++)
		for (size_t k = 1; k < ARRAY_LEN(ordered); k++) {
			int order = version_compare(ordered[i], ordered[k]);

			assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
		}
	assert_int_equal(version_compare("1.01", "1.1"), 0);
	assert_int_equal(version_compare("0:1-0", "1"), 0);
}

static const struct tree_ops no_content = {0};

static void add_file(struct tree *t, const char *path, uint32_t mode)
{
	tree_add(t, &(struct tree_entry){.path = xstrdup(path), .mode = mode});
}

static void add_opaque(struct tree_entry *en)
{
	en->xattrs = xcalloc(1, sizeof(*en->xattrs));
	en->xattrs[0] = (struct xattr){
		.name = xstrdup("trusted.overlay.opaque"), .value = xmemdup("y", 1), .len = 1};
	en->xattr_count = 1;
}

static void a_reset_keeps_what_it_is_told(void **state)
{
	static const char *const want[] = {
		"", "etc", "etc/app", "etc/app/a", "etc/fstab", "etc/hostname"};
	autoptr(tree) t = tree_new(&no_content, NULL);
	autostrv keep = {0}, paths = {0};
	struct err e = {0};

	(void)state;
	strv_add(&keep, "/etc//app/");
	strv_add(&keep, "network");
	assert_ok(fresh_paths(&keep, &paths, &e), e);
	add_file(t, "", S_IFDIR | 0755);
	add_file(t, "etc", S_IFDIR | 0755);
	add_opaque(&t->entries[1]);
	add_file(t, "etc/app", S_IFDIR | 0755);
	add_opaque(&t->entries[2]);
	add_file(t, "etc/app/a", S_IFREG | 0644);
	add_file(t, "etc/application", S_IFREG | 0644);
	add_file(t, "etc/fstab", S_IFREG | 0644);
	add_file(t, "etc/hostname", S_IFREG | 0644);
	add_file(t, "etc/passwd", S_IFREG | 0644);
	/* A whiteout in the place of a folder on the way to one. */
	add_file(t, "home", S_IFCHR);
	tree_sort(t);
	fresh_filter(t, &paths);
	assert_int_equal(t->count, ARRAY_LEN(want));
	for (size_t i = 0; i < t->count; i++)
		assert_string_equal(t->entries[i].path, want[i]);
	assert_int_equal(t->entries[1].xattr_count, 0);
	assert_int_equal(t->entries[2].xattr_count, 1);
}

static void what_cannot_be_kept_is_refused(void **state)
{
	static const char *const bad[][2] = {
		{"etc", "cannot keep 'etc': expected a path from / on, network, accounts or ssh"},
		{"/etc/../root", "bad path '/etc/../root' to keep: '..' in it"},
		{"//", "to keep '//' would be to keep all"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		autostrv keep = {0}, paths = {0};
		struct err e = {0};

		strv_add(&keep, bad[i][0]);
		assert_fails(fresh_paths(&keep, &paths, &e), EINVAL, e, bad[i][1]);
	}
}

static void add_package(struct manifest *m, const char *name, const char *version)
{
	struct manifest_package *p = manifest_add_package(m);

	p->name = xstrdup(name);
	p->version = xstrdup(version);
	p->arch = xstrdup("amd64");
}

static void packages_are_compared(void **state)
{
	static const char *const want[][3] = {{"b", "1", "2"}, {"c", "1", ""}, {"d", "", "4"}};
	auto_with(package_changes_fini) struct package_changes changes = {0};
	automanifest from = {0}, to = {0}, node = {0}, none = {0};
	autostrv lost = {0};

	(void)state;
	packages_compare(&none, &none, &changes);
	assert_int_equal(changes.count, 0);
	add_package(&from, "a", "1");
	add_package(&from, "b", "1");
	add_package(&from, "c", "1");
	add_package(&to, "a", "1");
	add_package(&to, "b", "2");
	add_package(&to, "d", "4");
	packages_compare(&from, &to, &changes);
	assert_int_equal(changes.count, ARRAY_LEN(want));
	for (size_t i = 0; i < changes.count; i++) {
		const struct package_change *c = &changes.items[i];

		assert_string_equal(c->name, want[i][0]);
		assert_string_equal(c->old_version ? c->old_version : "", want[i][1]);
		assert_string_equal(c->new_version ? c->new_version : "", want[i][2]);
	}
	add_package(&node, "a", "1");
	add_package(&node, "c", "1");
	add_package(&node, "d", "3");
	add_package(&node, "e", "5");
	add_package(&node, "n-image-update", "2");
	packages_lost(&node, &from, &to, &lost);
	assert_int_equal(lost.count, 1);
	assert_string_equal(lost.items[0], "e 5");
}

/* A node with layer n-1+1 that can be upgraded, and all that is judged of it. */
struct check_scene {
	struct upgrade_spec spec;
	struct upgrade_plan plan;
	struct site site;
	struct failed_versions failed;
	struct pool_room room;
	struct strv problems;
	const char *from_min, *from_max;
	uint8_t root_hash[SHA256_BYTES];
	bool base_differs;
};

static void scene_layer(struct site *s, const char *base, const char *layer)
{
	if (!lvm_find(&s->lvm, LVM_TAG_BASE, base))
		scene_add_lv(s, base, LVM_TAG_BASE);
	scene_add_lv(s, layer, LVM_TAG_LAYER);
	scene_add_entry(s, layer);
}

static void set(char **field, const char *text)
{
	free(*field);
	*field = xstrdup(text);
}

static void check_begin(struct check_scene *c)
{
	*c = (struct check_scene){0};
	scene_begin(&c->site);
	scene_layer(&c->site, "n-1", "n-1+1");
	set(&c->site.layer, "n-1+1");
	set(&c->site.choice.default_layer, "n-1+1");
	set(&c->plan.old_name, "n");
	set(&c->plan.new_name, "n");
	set(&c->plan.old_version, "1.9");
	set(&c->plan.new_version, "1.10");
	set(&c->plan.base, "n-1.10");
	c->plan.pool_growth_bytes = c->plan.pool_free_bytes = 5 * GIB;
}

static void check_end(struct check_scene *c)
{
	upgrade_plan_fini(&c->plan);
	site_fini(&c->site);
	strv_fini(&c->problems);
}

static void check_judge(struct check_scene *c)
{
	const struct precheck p = {
		.spec = &c->spec,
		.plan = &c->plan,
		.site = &c->site,
		.failed = &c->failed,
		.root_hash = c->root_hash,
		.room = &c->room,
		.upgrades_from_min = c->from_min,
		.upgrades_from_max = c->from_max,
		.base_differs = c->base_differs,
	};

	c->site.pool = lvm_node_pool(&c->site.lvm);
	strv_fini(&c->problems);
	c->problems = (struct strv){0};
	precheck_image(&p, &c->problems);
	precheck_plugins(&p, &c->problems);
	precheck_node(&p, &c->problems);
}

static void assert_problem(struct check_scene *c, const char *text)
{
	check_judge(c);
	assert_int_equal(c->problems.count, 1);
	if (!strstr(c->problems.items[0], text))
		fail_msg("'%s' is not in '%s'", text, c->problems.items[0]);
}

static void assert_fine(struct check_scene *c)
{
	check_judge(c);
	if (c->problems.count > 0)
		fail_msg("%s", c->problems.items[0]);
}

static void versions_and_names_are_judged(void **state)
{
	struct check_scene c;

	(void)state;
	check_begin(&c);
	assert_fine(&c);
	set(&c.plan.new_version, "1.8");
	assert_problem(&c, "version 1.8 is older than 1.9");
	c.spec.allow_downgrade = true;
	assert_fine(&c);
	set(&c.plan.new_name, "other");
	assert_problem(&c, "--allow-other-name");
	c.spec.allow_other_name = true;
	assert_fine(&c);
	c.base_differs = true;
	assert_problem(&c, "another image that is called n-1.10");
	check_end(&c);
}

static void the_image_says_what_it_can_replace(void **state)
{
	struct check_scene c;

	(void)state;
	check_begin(&c);
	c.from_min = "1.9";
	assert_fine(&c);
	c.from_max = "1.9";
	assert_fine(&c);
	c.from_min = "1.2";
	c.from_max = "1.8";
	assert_problem(&c,
		"version 1.9 runs, and 1.10 upgrades from 1.2 to 1.8: upgrade to one of these "
		"first, or --allow-incompatible");
	c.from_min = "1.9.1";
	c.from_max = NULL;
	assert_problem(&c, "version 1.9 runs, and 1.10 upgrades from 1.9.1 and newer:");
	free(c.plan.old_version);
	c.plan.old_version = NULL;
	assert_problem(&c, "version (unknown) runs");
	c.spec.allow_incompatible = true;
	assert_fine(&c);
	c.spec.allow_incompatible = false;
	set(&c.plan.new_name, "other");
	c.spec.allow_other_name = true;
	assert_fine(&c);
	check_end(&c);
}

static void rooms_are_judged_with_numbers(void **state)
{
	struct check_scene c;

	(void)state;
	check_begin(&c);
	c.plan.pool_growth_bytes = 6 * GIB;
	assert_problem(&c, "/pool00: 6.0 GiB needed, 5.0 GiB free");
	c.plan.pool_growth_bytes = 0;
	c.plan.metadata_growth_bytes = 3 * MIB;
	assert_problem(&c, "metadata of thin pool");
	c.plan.metadata_growth_bytes = 0;
	c.plan.boot_needed_bytes = 2 * MIB;
	c.plan.boot_free_bytes = 1 * MIB;
	assert_problem(&c, "/boot: 2.0 MiB needed, 1.0 MiB free");
	c.plan.var_needed_bytes = 3 * MIB;
	c.plan.boot_needed_bytes = 0;
	assert_problem(&c, "/var, for the download: 3.0 MiB needed, 0 bytes free: remove files");
	c.plan.var_needed_bytes = 0;
	c.room.needs_check = c.room.read_only = true;
	c.plan.boot_needed_bytes = 0;
	assert_problem(&c, "needs a check");
	check_end(&c);
}

static void a_plugin_that_does_not_fit_is_in_the_way(void **state)
{
	char one[] = "fits", two[] = "there", three[] = "tools", version[] = "1";
	char why[] = "it is too old";
	struct carry_item items[] = {
		{.action = CARRY_OVER, .name = one, .version = version},
		{.action = CARRY_IN_IMAGE, .name = two, .version = version},
		{.action = CARRY_UNFIT, .name = three, .version = version, .why = why},
	};
	struct check_scene c;

	(void)state;
	check_begin(&c);
	c.plan.plugins = (struct carry_plan){.items = items, .count = ARRAY_LEN(items)};
	assert_problem(&c,
		"plugin 'tools' of this node does not fit the new image: it is too old: "
		"--drop-plugin=tools leaves it out");
	items[2].action = CARRY_DROPPED;
	strv_add(&c.spec.drop_plugins, "tools");
	assert_fine(&c);
	strv_add(&c.spec.drop_plugins, "other");
	assert_problem(&c, "there is no plugin 'other' that was added on this node");
	strv_fini(&c.spec.drop_plugins);
	c.plan.plugins = (struct carry_plan){0};
	check_end(&c);
}

/* What was left out when it was staged may be gone; a name that is given now is of a plugin. */
static void names_to_drop_are_asked_for_once(void **state)
{
	const struct carry_plan plan = {0};
	autostrv dropped = {0}, drop = {0}, named = {0}, problems = {0};

	(void)state;
	strv_add(&dropped, "before");
	strv_add(&drop, "before");
	strv_add(&drop, "tolos");
	strv_add(&drop, "tolos");
	layer_again_drop(&dropped, &drop, &named);
	assert_int_equal(dropped.count, 2);
	assert_string_equal(dropped.items[1], "tolos");
	carry_plan_problems(&plan, &named, &problems);
	assert_int_equal(problems.count, 1);
	assert_string_equal(
		problems.items[0], "there is no plugin 'tolos' that was added on this node");
}

static void all_problems_are_told_at_once(void **state)
{
	char why[] = "no\033[2J address";
	struct failed_version before = {.why = why};
	struct check_scene c;
	struct err e = {0};

	(void)state;
	check_begin(&c);
	memset(before.root_hash, '0', 64);
	c.failed = (struct failed_versions){&before, 1};
	assert_problem(&c, "has failed here before: no\\x1b[2J address: --retry-failed");
	c.base_differs = true;
	check_judge(&c);
	assert_int_equal(c.problems.count, 2);
	assert_fails(precheck_result(&c.problems, "upgrade", &e), EPERM, e,
		"2 reasons against the upgrade, see above");
	c.spec.retry_failed = true;
	c.base_differs = false;
	assert_fine(&c);
	set(&c.site.choice.default_layer, "n-0+1");
	assert_problem(&c, "the default layer 'n-0+1' has no boot entry");
	check_end(&c);
}

/* Whatever level is shown. */
static void reasons_are_a_part_of_the_error(void **state)
{
	autofree char *path = xasprintf("%s/said", folder);
	autofree char *said = NULL;
	autostrv problems = {0};
	struct err e = {0};

	(void)state;
	strv_add(&problems, "one thing");
	strv_add(&problems, "another thing");
	int out = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int before = dup(STDERR_FILENO);
	assert_true(out >= 0 && before >= 0);
	log_set_level(LOG_LEVEL_QUIET);
	assert_int_equal(dup2(out, STDERR_FILENO), STDERR_FILENO);
	int r = precheck_result(&problems, "upgrade", &e);
	fflush(stderr);
	assert_int_equal(dup2(before, STDERR_FILENO), STDERR_FILENO);
	log_set_level(LOG_LEVEL_NORMAL);
	assert_fails(r, EPERM, e, "2 reasons against the upgrade, see above");
	assert_ok(file_read(path, 4096, &said, NULL, &e), e);
	assert_non_null(strstr(said, "one thing\n"));
	assert_non_null(strstr(said, "another thing\n"));
	close(out);
	close(before);
}

static void fake_program(const char *name, const char *script)
{
	autofree char *path = xasprintf("%s/%s", folder, name);
	struct err e = {0};

	assert_ok(file_replace(path, script, strlen(script), 0755, &e), e);
}

static void assert_machines(const char *want)
{
	autostrv problems = {0};
	struct err e = {0};

	assert_ok(precheck_machines(&problems, &e), e);
	int r = upgrade_check_restart(&e);
	if (!want) {
		assert_int_equal(problems.count, 0);
		assert_ok(r, e);
		return;
	}
	assert_int_equal(problems.count, 1);
	assert_string_equal(problems.items[0], want);
	assert_int_equal(r, -EPERM);
	assert_string_equal(e.msg, want);
}

static void machines_are_those_that_run(void **state)
{
	autofree char *before = xstrdup(getenv("PATH"));

	(void)state;
	assert_int_equal(setenv("PATH", folder, 1), 0);
	assert_machines(NULL);
	fake_program("libvirtd", "#!/bin/sh\n");
	assert_machines(
		"libvirt is here and virsh is not, so nothing says which virtual machines run: "
		"--allow-running-vms does not ask");
	autofree char *daemon = xasprintf("%s/libvirtd", folder);
	assert_int_equal(unlink(daemon), 0);
	/* A client without libvirt. */
	fake_program("virsh", "#!/bin/sh\necho 'error: failed to connect' >&2; exit 1\n");
	assert_machines(NULL);
	fake_program("virtqemud", "#!/bin/sh\n");
	assert_machines("libvirt does not say which virtual machines run (virsh: exit status 1: "
			"error: failed to connect): start it, or --allow-running-vms does not ask");
	/* One runs, one is paused, one is off. */
	fake_program("virsh",
		"#!/bin/sh\ncase $* in\n*--state-running*) echo one ;;\n*--all*) printf 'one\n two\n off\n\n' ;;\n"
		"*) printf 'one\n two\n\n' ;;\nesac\n");
	assert_machines("2 virtual machines are running (one, two): move or stop them, or "
			"--allow-running-vms");
	fake_program("virsh", "#!/bin/sh\necho\n");
	assert_machines(NULL);
	assert_int_equal(setenv("PATH", before, 1), 0);
}

static void one_trial_at_a_time(void **state)
{
	autosite s = {0};
	struct err e = {0};

	(void)state;
	scene_begin(&s);
	set(&s.layer, "n-1+1");
	assert_ok(precheck_no_trial(&s, &e), e);
	set(&s.choice.trial, "n-2+1");
	assert_int_equal(precheck_no_trial(&s, &e), -EBUSY);
	assert_non_null(strstr(e.msg, "'n-2+1' is waiting for its trial"));
	set(&s.layer, "n-2+1");
	s.running = true;
	assert_int_equal(precheck_no_trial(&s, &e), -EBUSY);
	assert_non_null(strstr(e.msg, "'n-2+1' runs on trial"));
}

/* Records like those of /boot: operation, from, to, result. */
static struct transition line(
	const char *operation, const char *from, const char *to, const char *result)
{
	return (struct transition){.operation = (char *)(uintptr_t)operation,
		.from = (char *)(uintptr_t)from,
		.to = (char *)(uintptr_t)to,
		.result = (char *)(uintptr_t)result};
}

static void assert_target(
	struct site *s, const struct history *h, const char *layer, const char *want)
{
	const char *got = NULL;
	struct err e = {0};

	set(&s->layer, layer);
	int r = rollback_target(s, h, &got, &e);
	if (!want) {
		assert_int_equal(r, -ENOENT);
		return;
	}
	assert_ok(r, e);
	assert_string_equal(got, want);
}

static void a_rollback_goes_to_what_ran_before(void **state)
{
	struct transition lines[] = {
		line("upgrade", "n-1+1", "n-2+1", "trial"),
		line("upgrade", "n-1+1", "n-2+1", "blessed"),
		line("upgrade", "n-2+1", "n-3+1", "trial"),
		line("upgrade", "n-2+1", "n-3+1", "blessed"),
		line("rollback", "n-3+1", "n-2+1", "done"),
	};
	struct history h = {lines, 2};
	autosite s = {0};
	const char *got = NULL;
	struct err e = {0};

	(void)state;
	scene_begin(&s);
	scene_layer(&s, "n-1", "n-1+1");
	assert_target(&s, &h, "n-1+1", NULL);
	scene_layer(&s, "n-2", "n-2+1");
	/* The one that was installed is in no "to"; from the oldest one nothing is older. */
	assert_target(&s, &h, "n-2+1", "n-1+1");
	assert_target(&s, &h, "n-1+1", NULL);
	scene_layer(&s, "n-3", "n-3+1");
	h.count = ARRAY_LEN(lines);
	assert_target(&s, &h, "n-3+1", "n-2+1");
	assert_target(&s, &h, "n-2+1", "n-1+1");
	/* Without a history nothing is guessed. */
	h.count = 0;
	set(&s.layer, "n-3+1");
	assert_int_equal(rollback_target(&s, &h, &got, &e), -ENOTUNIQ);
	assert_non_null(strstr(e.msg, "n-1+1, n-2+1"));
	/* A trial is left for the default. */
	set(&s.choice.trial, "n-3+1");
	set(&s.choice.default_layer, "n-1+1");
	assert_target(&s, &h, "n-3+1", "n-1+1");
}

static void a_rollback_needs_a_layer_that_boots(void **state)
{
	autosite s = {0};
	struct err e = {0};

	(void)state;
	scene_begin(&s);
	scene_layer(&s, "n-1", "n-1+1");
	assert_ok(rollback_check(&s, "n-1+1", &e), e);
	scene_add_lv(&s, "n-2+1", LVM_TAG_LAYER);
	assert_fails(rollback_check(&s, "n-2+1", &e), EBADMSG, e,
		"layer 'n-2+1' cannot boot: its base is not there");
	scene_add_lv(&s, "n-2", LVM_TAG_BASE);
	assert_fails(rollback_check(&s, "n-2+1", &e), EBADMSG, e,
		"layer 'n-2+1' cannot boot: it has no boot entry");
	scene_add_entry(&s, "n-2+1");
	set(&s.entries.items[1].missing, "vmlinuz");
	assert_fails(rollback_check(&s, "n-2+1", &e), EBADMSG, e,
		"layer 'n-2+1' cannot boot: there is no vmlinuz");
}

static void a_rollback_tries_what_was_never_found_good(void **state)
{
	struct transition lines[] = {
		line("upgrade", "n-1+1", "n-2+1", "trial"),
		line("rollback", "n-2+1", "n-1+1", "done"),
		line("rollback", "n-1+1", "n-2+1", "recovered"),
		line("upgrade", "n-1+1", "n-2+1", "failed"),
		line("rollback", "n-1+1", "n-2+1", "trial"),
		line("rollback", "n-1+1", "n-2+1", "blessed"),
		line("rollback", "n-2+1", "n-1+1", "undone"),
		line("rollback", "n-1+1", "n-2+1", "recovered"),
	};
	/* By how many lines there are: whether it is a trial to go forward, and back. */
	static const bool forward[] = {false, true, true, true, true, true, false, false, false};
	struct history h = {lines, 0};
	autosite s = {0};

	(void)state;
	scene_begin(&s);
	scene_layer(&s, "n-1", "n-1+1");
	scene_layer(&s, "n-2", "n-2+1");
	set(&s.layer, "n-1+1");
	s.running = true;
	set(&s.choice.default_layer, "n-1+1");
	for (; h.count <= ARRAY_LEN(lines); h.count++) {
		assert_int_equal(rollback_is_trial(&s, &h, "n-2+1"), forward[h.count]);
		assert_false(rollback_is_trial(&s, &h, "n-1+1"));
	}
	/* What runs is there, and without a default that boots there is nothing to come back to. */
	h.count = 1;
	set(&s.layer, "n-2+1");
	assert_false(rollback_is_trial(&s, &h, "n-2+1"));
	set(&s.layer, "n-1+1");
	set(&s.choice.default_layer, "n-9+1");
	assert_false(rollback_is_trial(&s, &h, "n-2+1"));
	free(take_ptr(s.choice.default_layer));
	assert_false(rollback_is_trial(&s, &h, "n-2+1"));
}

static int choose(const struct site *s, const char *to, bool with_var, struct err *e)
{
	const struct rollback_spec spec = {.to = to, .with_var = with_var};
	autofree char *layer = NULL;
	int r = rollback_choose(s, &spec, &layer, e);

	if (r == 0)
		assert_string_equal(layer, to);
	return r;
}

static void var_comes_back_without_another_layer(void **state)
{
	autosite s = {0};
	struct err e = {0};

	(void)state;
	scene_begin(&s);
	scene_layer(&s, "n-1", "n-1+1");
	set(&s.layer, "n-1+1");
	set(&s.choice.default_layer, "n-1+1");
	assert_fails(choose(&s, "n-1+1", false, &e), EALREADY, e,
		"layer 'n-1+1' boots by default already");
	assert_ok(choose(&s, "n-1+1", true, &e), e);
}

static void a_base_tells_of_its_hash_tree(void **state)
{
	static const char *const bad[] = {
		"", "1:2", "1:2:3:4", "1:2:-3", "a:2:3", "1:2:25", "99999999999999999999999:0:0"};
	struct base_verity v = {0};
	struct err e = {0};

	(void)state;
	for (size_t i = 0; i <= ARRAY_LEN(bad); i++) {
		char name[] = "n-1";
		struct lvm_lv lv = {.name = name};

		strv_take(&lv.tags,
			xasprintf(
				LVM_TAG_VERITY "%s", i < ARRAY_LEN(bad) ? bad[i] : "4096:8192:2"));
		int r = base_ref_verity(&lv, &v, &e);
		assert_int_equal(r, i < ARRAY_LEN(bad) ? -EBADMSG : 0);
		strv_fini(&lv.tags);
	}
	assert_int_equal(v.hash_offset, 4096);
	assert_int_equal(v.fec_offset, 8192);
	assert_int_equal(v.fec_roots, 2);
}

/* What may be planned with is what base_make() leaves nothing of to take. */
static void something_of_the_pool_is_left(void **state)
{
	struct pool_room room = {
		.chunk_bytes = 64 * KIB,
		.data_bytes = 1024 * MIB,
		.data_used_bytes = 1024 * MIB - 33 * MIB,
		.metadata_bytes = 16 * MIB,
		.metadata_used_bytes = 15 * MIB,
	};

	(void)state;
	assert_int_equal(base_data_room(&room), MIB - 64 * KIB);
	assert_int_equal(base_metadata_room(&room), 0);
	room.data_used_bytes += 2 * MIB;
	room.metadata_used_bytes -= MIB;
	assert_int_equal(base_data_room(&room), 0);
	assert_int_equal(base_metadata_room(&room), MIB);
	room.data_bytes = 1024 * GIB;
	assert_int_equal(base_data_room(&room),
		room.data_bytes - room.data_used_bytes - 64 * MIB - 64 * KIB);
}

static void a_plan_is_shown(void **state)
{
	autoupgradeplan plan = {.write_bytes = 3 * MIB, .image_bytes = 64 * MIB, .seconds = 7};

	(void)state;
	set(&plan.from, "n-1+1");
	set(&plan.to, "n-2+1");
	set(&plan.base, "n-2");
	set(&plan.new_name, "n");
	set(&plan.new_version, "2");
	set(&plan.origin, "the \033 medium");
	strv_add(&plan.problems, "a machine runs");
	plan.plugins.items = xcalloc(2, sizeof(*plan.plugins.items));
	plan.plugins.count = 2;
	plan.plugins.items[0] = (struct carry_item){
		.action = CARRY_OVER, .name = xstrdup("tools"), .version = xstrdup("1.0")};
	plan.plugins.items[1] = (struct carry_item){.action = CARRY_UNFIT,
		.name = xstrdup("old"),
		.version = xstrdup("2.0"),
		.why = xstrdup("it is old")};
	autofree char *text = upgrade_plan_text(&plan);
	assert_non_null(strstr(text, "Upgrade: ? ? (n-1+1) -> n 2 (n-2+1)\n"));
	assert_non_null(strstr(text, "at most 3.0 MiB of 64.0 MiB to write\n"));
	assert_non_null(strstr(text, "not signed\n"));
	assert_non_null(strstr(text, "Time: up to about 1 min\n"));
	assert_non_null(strstr(text, "In the way of booting it:\n  a machine runs\n"));
	assert_null(strchr(text, '\033'));
	assert_non_null(strstr(text,
		"Plugins that were added on this node:\n  tools 1.0 is carried over\n"
		"  old 2.0 does not fit: it is old\n"));
	json_t *json = upgrade_plan_json(&plan);
	const json_t *plugin = json_array_get(json_object_get(json, "plugins"), 1);
	assert_string_equal(json_string_value(json_object_get(plugin, "action")), "unfit");
	assert_string_equal(json_string_value(json_object_get(plugin, "why")), "it is old");
	assert_int_equal(json_integer_value(json_object_get(json, "write_bytes")), 3 * MIB);
	assert_true(json_is_null(json_object_get(json, "signer")));
	assert_true(json_is_array(json_object_get(json, "problems")));
	assert_true(json_is_null(json_object_get(json_object_get(json, "old_image"), "version")));
	json_decref(json);
	autofree char *first = plan_title("n", "2", "n-2+1"),
		      *third = plan_title("n", "2", "n-2+3");
	assert_string_equal(first, "n 2");
	assert_string_equal(third, "n 2 (3)");
}

/* As a factory reset asks: nothing of a base is written. */
static void a_layer_takes_what_the_old_one_has(void **state)
{
	const struct pool_room room = {
		.chunk_bytes = 1 * MIB, .data_bytes = 10 * GIB, .metadata_bytes = 64 * MIB};
	struct upgrade_plan plan = {0};
	autosite s = {0};

	(void)state;
	scene_begin(&s);
	scene_layer(&s, "n-1", "n-1+1");
	set(&s.layer, "n-1+1");
	struct lvm_lv *lv = &s.lvm.lvs[s.lvm.lv_count - 1];
	lv->size_bytes = 1 * GIB;
	lv->data_percent = 50;
	assert_int_equal(plan_pool(&s, &room, &plan), 512 * MIB + 32 * MIB);
	assert_int_equal(plan.pool_growth_bytes, 544 * MIB);
	assert_int_equal(plan.pool_free_bytes, base_data_room(&room));
	assert_int_equal(plan.metadata_growth_bytes, 544 * 64 + 1 * MIB);
	/* And what is carried over to it. */
	struct carry_item items[] = {{.action = CARRY_OVER, .bytes = 100 * MIB},
		{.action = CARRY_DROPPED, .bytes = 1 * GIB}};
	struct upgrade_plan with = {.plugins = {.items = items, .count = ARRAY_LEN(items)}};
	assert_int_equal(plan_pool(&s, &room, &with), 644 * MIB);
	assert_int_equal(with.pool_growth_bytes, 644 * MIB);
	assert_int_equal(with.metadata_growth_bytes, 644 * 64 + 1 * MIB);
}

static void a_plugin_that_the_pool_has_no_room_for_is_not_begun(void **state)
{
	const struct carry_item it = {.action = CARRY_OVER, .bytes = 100 * MIB};
	struct err e = {0};

	(void)state;
	assert_ok(carry_check_room(&it, 100 * MIB, &e), e);
	assert_int_equal(carry_check_room(&it, 50 * MIB, &e), -ENOSPC);
	assert_string_equal(
		e.msg, "the thin pool has no room: up to 100.0 MiB needed, 50.0 MiB free");
}

static void a_base_begins_as_the_one_it_was_made_like(void **state)
{
	automanifest m = {0};
	autosite s = {0};

	(void)state;
	scene_begin(&s);
	scene_layer(&s, "n-3", "n-3+1");
	scene_layer(&s, "n-2", "n-2+1");
	scene_add_lv(&s, "n-1", LVM_TAG_BASE " " LVM_TAG_NEW);
	set(&s.base, "n-3");
	assert_string_equal(plan_like(&s, &m), "n-3");
	set(&m.previous_name, "n");
	set(&m.previous_version, "2");
	assert_string_equal(plan_like(&s, &m), "n-2");
	set(&m.previous_version, "1");
	assert_string_equal(plan_like(&s, &m), "n-3");
	set(&m.previous_version, "0");
	assert_string_equal(plan_like(&s, &m), "n-3");
}

static void a_base_takes_what_was_planned(void **state)
{
	struct upgrade_plan u = {.pool_growth_bytes = 300 * MIB, .pool_free_bytes = 900 * GIB};

	(void)state;
	/* 100 MiB are the layer's. */
	assert_int_equal(plan_base_limit(&u, 100 * MIB), 224 * MIB);
	u.pool_growth_bytes = 100 * MIB;
	assert_int_equal(plan_base_limit(&u, 100 * MIB), 4 * MIB);
	u.pool_growth_bytes = 300 * MIB;
	u.pool_free_bytes = 310 * MIB;
	assert_int_equal(plan_base_limit(&u, 100 * MIB), 210 * MIB);
	u.pool_free_bytes = 90 * MIB;
	assert_int_equal(plan_base_limit(&u, 100 * MIB), 1);
}

static void time_is_not_promised_too_short(void **state)
{
	struct upgrade_plan plan = {
		.image_bytes = 1000 * MIB, .write_bytes = 150 * MIB, .boot_needed_bytes = 40 * MIB};
	uint64_t seconds = plan_seconds(&plan, 0);

	(void)state;
	assert_int_equal(seconds, 120 + 10 + 10 + 30);
	assert_int_equal(plan_seconds(&plan, 60), seconds);
	/* A machine that is slower than that has shown it. */
	assert_int_equal(plan_seconds(&plan, 100), seconds + 80);
	plan.base_is_there = true;
	plan.write_bytes = 0;
	assert_int_equal(plan_seconds(&plan, 0), 10 + 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions_are_ordered_as_debian_does),
		cmocka_unit_test(a_reset_keeps_what_it_is_told),
		cmocka_unit_test(what_cannot_be_kept_is_refused),
		cmocka_unit_test(packages_are_compared),
		cmocka_unit_test(versions_and_names_are_judged),
		cmocka_unit_test(the_image_says_what_it_can_replace),
		cmocka_unit_test(rooms_are_judged_with_numbers),
		cmocka_unit_test(a_plugin_that_does_not_fit_is_in_the_way),
		cmocka_unit_test(a_plugin_that_the_pool_has_no_room_for_is_not_begun),
		cmocka_unit_test(names_to_drop_are_asked_for_once),
		cmocka_unit_test(all_problems_are_told_at_once),
		cmocka_unit_test(reasons_are_a_part_of_the_error),
		cmocka_unit_test(machines_are_those_that_run),
		cmocka_unit_test(one_trial_at_a_time),
		cmocka_unit_test(a_rollback_goes_to_what_ran_before),
		cmocka_unit_test(a_rollback_needs_a_layer_that_boots),
		cmocka_unit_test(a_rollback_tries_what_was_never_found_good),
		cmocka_unit_test(var_comes_back_without_another_layer),
		cmocka_unit_test(a_base_tells_of_its_hash_tree),
		cmocka_unit_test(something_of_the_pool_is_left),
		cmocka_unit_test(a_plan_is_shown),
		cmocka_unit_test(a_layer_takes_what_the_old_one_has),
		cmocka_unit_test(a_base_begins_as_the_one_it_was_made_like),
		cmocka_unit_test(a_base_takes_what_was_planned),
		cmocka_unit_test(time_is_not_promised_too_short),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
