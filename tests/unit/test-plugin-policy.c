/* SPDX-License-Identifier: Apache-2.0 */
/* What a plugin may write: by components, with the links of the image followed. */
#include <sys/stat.h>

#include "base/xalloc.h"
#include "plugin/policy.h"
#include "test.h"

static void add(struct tree *t, const char *path, uint32_t mode, const char *target)
{
	tree_add(t,
		&(struct tree_entry){
			.path = xstrdup(path), .mode = mode, .target = xstrdup_or_null(target)});
}

static struct tree *image(void)
{
	static const struct tree_ops no_content;
	struct tree *t = tree_new(&no_content, NULL);

	add(t, "", S_IFDIR | 0755, NULL);
	add(t, "etc", S_IFDIR | 0755, NULL);
	add(t, "etc/round", S_IFLNK | 0777, "/etc/round");
	add(t, "lib", S_IFLNK | 0777, "usr/lib");
	add(t, "opt", S_IFDIR | 0755, NULL);
	add(t, "opt/out", S_IFLNK | 0777, "../../../../etc");
	add(t, "opt/up", S_IFLNK | 0777, "../opt/./out/../usr/lib");
	add(t, "usr", S_IFDIR | 0755, NULL);
	add(t, "usr/lib", S_IFDIR | 0755, NULL);
	tree_sort(t);
	return t;
}

static void assert_real(const struct tree *t, const char *path, bool follow, const char *want)
{
	autofree char *got = plugin_real_path(t, path, follow);

	assert_non_null(got);
	assert_string_equal(got, want);
}

static void links_are_followed_inside_the_tree(void **state)
{
	autoptr(tree) t = image();

	(void)state;
	assert_real(t, "/lib/x/y", false, "usr/lib/x/y");
	assert_real(t, "lib", false, "lib");
	assert_real(t, "/lib/", true, "usr/lib");
	assert_real(t, "/opt/out/passwd", false, "etc/passwd");
	assert_real(t, "/opt/up/z", false, "usr/lib/z");
	assert_real(t, "/nowhere/../etc/x", false, "etc/x");
	assert_real(t, "/../../etc/x", false, "etc/x");
	assert_null(plugin_real_path(t, "/etc/round/x", false));
}

static bool allows(const struct plugin_policy *p, const char *path, uint32_t mode,
	const char *target, bool is_new)
{
	autofree char *copy = xstrdup(path), *to = xstrdup_or_null(target);
	const struct tree_entry en = {.path = copy, .mode = mode, .target = to};

	return plugin_policy_allows(p, &en, is_new);
}

static void components_count(void **state)
{
	auto_plugin_manifest m = {0};
	autoptr(tree) t = image();

	(void)state;
	strv_add(&m.writes, "/lib/vendor/");
	strv_add(&m.writes, "/etc/vendor.conf");
	strv_add(&m.state, "/var/lib/vendor/");
	strv_add(&m.services, "agent.service");
	autoptr(plugin_policy) p = plugin_policy_new(&m, t);
	assert_true(plugin_policy_declares(p, "usr/lib/vendor/a/b"));
	assert_true(plugin_policy_declares(p, "usr/lib/vendor"));
	assert_false(plugin_policy_declares(p, "usr/lib/vendor-evil/a"));
	assert_false(plugin_policy_declares(p, "lib/vendor/a"));
	assert_true(plugin_policy_declares(p, "etc/vendor.conf"));
	assert_false(plugin_policy_declares(p, "etc/vendor.conf/a"));
	assert_false(plugin_policy_declares(p, "etc/vendor.con"));
	assert_true(plugin_policy_declares(p, "var/lib/vendor/x"));

	/* What is in /var is in the copy for new nodes too. */
	assert_true(allows(p, "usr/share/factory/var/lib/vendor/x", S_IFREG, NULL, true));
	assert_false(allows(p, "usr/share/factory/var/lib/other", S_IFREG, NULL, true));
	/* New folders on the way, but no change of those that are there. */
	assert_true(allows(p, "var/lib", S_IFDIR | 0755, NULL, true));
	assert_false(allows(p, "var/lib", S_IFDIR | 0777, NULL, false));
	assert_false(allows(p, "var/lib", S_IFREG, NULL, true));
	assert_true(allows(p, "usr/lib/bedplate/dpkg/status", S_IFREG, NULL, false));
	assert_false(allows(p, "usr/lib/bedplate/dpkg-evil", S_IFREG, NULL, true));
	assert_false(allows(p, "usr/lib/bedplate/boot.conf", S_IFREG, NULL, false));
	assert_false(allows(p, "etc/nftables.conf", S_IFREG, NULL, false));
	assert_false(allows(p, "boot/initrd.img-6.1", S_IFREG, NULL, false));
}

static void declared_units_are_enabled(void **state)
{
	static const char wants[] = "etc/systemd/system/multi-user.target.wants";
	auto_plugin_manifest m = {0};
	autoptr(tree) t = image();

	(void)state;
	strv_add(&m.services, "agent.service");
	autoptr(plugin_policy) p = plugin_policy_new(&m, t);
	assert_true(allows(p, wants, S_IFDIR | 0755, NULL, true));
	assert_true(allows(p, "etc/systemd/system/multi-user.target.wants/agent.service",
		S_IFLNK | 0777, "/usr/lib/systemd/system/agent.service", true));
	assert_true(allows(p, "etc/systemd/system/alias.service", S_IFLNK | 0777,
		"/usr/lib/systemd/system/agent.service", true));
	assert_false(allows(p, "etc/systemd/system/multi-user.target.wants/other.service",
		S_IFLNK | 0777, "/usr/lib/systemd/system/other.service", true));
	assert_false(allows(p, "etc/systemd/system/agent.service", S_IFREG, NULL, true));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(links_are_followed_inside_the_tree),
		cmocka_unit_test(components_count),
		cmocka_unit_test(declared_units_are_enabled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
