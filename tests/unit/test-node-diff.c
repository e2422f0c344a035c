/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "folder.h"
#include "upgrade/node-diff.h"
#include "upgrade/overlay.h"

/* ---- trees in memory: content is found by path ---- */

struct scene_file {
	char *path, *data;
	size_t len;
};

struct scene {
	struct scene_file *files;
	size_t count;
};

static int scene_open(
	struct tree *t, const struct tree_entry *en, struct source **out, struct err *e)
{
	const struct scene *s = t->ctx;

	for (size_t i = 0; i < s->count; i++) {
		if (!str_eq(s->files[i].path, en->path))
			continue;
		*out = source_memory(s->files[i].data, s->files[i].len);
		return 0;
	}
	return err_set(e, ENOENT, "no content");
}

static void scene_free(void *ctx)
{
	struct scene *s = ctx;

	for (size_t i = 0; i < s->count; i++) {
		free(s->files[i].path);
		free(s->files[i].data);
	}
	free(s->files);
	free(s);
}

static const struct tree_ops scene_ops = {.open = scene_open, .free = scene_free};

static struct tree *new_scene(void)
{
	struct tree *t = tree_new(&scene_ops, xcalloc(1, sizeof(struct scene)));

	tree_add(t, &(struct tree_entry){.path = xstrdup(""), .mode = S_IFDIR | 0755});
	return t;
}

static struct tree_entry *put(struct tree *t, const char *path, uint32_t mode)
{
	return tree_add(t, &(struct tree_entry){.path = xstrdup(path), .mode = mode});
}

static struct tree_entry *put_dir(struct tree *t, const char *path)
{
	return put(t, path, S_IFDIR | 0755);
}

static struct tree_entry *put_bytes(struct tree *t, const char *path, const void *data, size_t len)
{
	struct scene *s = t->ctx;
	struct tree_entry *en = put(t, path, S_IFREG | 0644);

	s->files = xrealloc(s->files, (s->count + 1) * sizeof(*s->files));
	s->files[s->count++] = (struct scene_file){xstrdup(path), xmemdup(data, len + 1), len};
	en->size_bytes = len;
	return en;
}

static struct tree_entry *put_file(struct tree *t, const char *path, const char *text)
{
	return put_bytes(t, path, text, strlen(text));
}

static void put_link(struct tree *t, const char *path, const char *target)
{
	put(t, path, S_IFLNK | 0777)->target = xstrdup(target);
}

static void put_whiteout(struct tree *t, const char *path)
{
	put(t, path, S_IFCHR);
}

/* In order of their names. */
static void put_xattr(struct tree_entry *en, const char *name, const char *value)
{
	en->xattrs = xrealloc(en->xattrs, (en->xattr_count + 1) * sizeof(*en->xattrs));
	en->xattrs[en->xattr_count++] = (struct xattr){
		xstrdup(name), xmemdup(value, strlen(value) + 1), strlen(value)};
}

static void put_opaque(struct tree *t, const char *path)
{
	put_xattr(put_dir(t, path), "trusted.overlay.opaque", "y");
}

/* Every path of a tree, and the content of its files, a line each. */
static char *listing(struct tree *t)
{
	autostrbuf b = {0};

	for (size_t i = 1; i < t->count; i++) {
		const struct tree_entry *en = &t->entries[i];

		strbuf_printf(&b, "%s%s", en->path, S_ISDIR(en->mode) ? "/" : "");
		if (S_ISREG(en->mode)) {
			autoptr(source) s = NULL;
			char text[64] = "";
			struct err e = {0};

			assert_ok(tree_open(t, en, &s, &e), e);
			assert_ok(source_read_at(s, text, (size_t)s->size_bytes, 0, &e), e);
			strbuf_printf(&b, "=%s", text);
		}
		strbuf_putc(&b, '\n');
	}
	return strbuf_take(&b);
}

static void assert_composed(struct tree *base, struct tree *upper, const char *want)
{
	tree_sort(base);
	tree_sort(upper);
	autoptr(tree) all = overlay_compose(base, upper);
	autofree char *got = listing(all);

	assert_string_equal(got, want);
}

/* ---- overlay ---- */

static void an_overlay_shows_both(void **state)
{
	autoptr(tree) base = new_scene();
	autoptr(tree) upper = new_scene();

	(void)state;
	put_dir(base, "d");
	put_file(base, "d/both", "old");
	put_file(base, "d/old", "o");
	put_dir(upper, "d");
	put_file(upper, "d/both", "new");
	put_file(upper, "d/new", "n");
	assert_composed(base, upper, "d/\nd/both=new\nd/new=n\nd/old=o\n");
}

static void whiteouts_take_away(void **state)
{
	autoptr(tree) base = new_scene();
	autoptr(tree) upper = new_scene();

	(void)state;
	put_dir(base, "a");
	put_dir(base, "a/sub");
	put_file(base, "a/sub/file", "x");
	/* Names that only begin like the folder that is gone. */
	put_file(base, "a-b", "1");
	put_file(base, "a.b", "2");
	put_file(base, "ab", "3");
	put_dir(base, "d");
	put_file(base, "d/one", "4");
	put_file(base, "d/two", "5");
	put_whiteout(upper, "a");
	put_whiteout(upper, "nothing");
	put_dir(upper, "d");
	put_whiteout(upper, "d/one");
	put_xattr(put_file(upper, "d/two", ""), "trusted.overlay.whiteout", "");
	assert_composed(base, upper, "a-b=1\na.b=2\nab=3\nd/\n");
}

static void opaque_folders_hide(void **state)
{
	autoptr(tree) base = new_scene();
	autoptr(tree) upper = new_scene();

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct tree *t = i == 0 ? base : upper;

		put_dir(t, "d/x");
		put_dir(t, "e");
		put_file(t, i == 0 ? "d/x/old" : "d/x/new", "f");
		put_file(t, i == 0 ? "e/old" : "e/new", "f");
	}
	put_dir(base, "d");
	put_file(base, "d/z", "f");
	put_opaque(upper, "d");
	/* "x" only says that there are whiteouts of the other form in it. */
	put_xattr(put_dir(upper, "f"), "trusted.overlay.opaque", "x");
	put_dir(base, "f");
	put_file(base, "f/shows", "f");
	assert_composed(base, upper, "d/\nd/x/\nd/x/new=f\ne/\ne/new=f\ne/old=f\nf/\nf/shows=f\n");
}

static void files_and_folders_replace_each_other(void **state)
{
	autoptr(tree) base = new_scene();
	autoptr(tree) upper = new_scene();

	(void)state;
	put_dir(base, "folder");
	put_file(base, "folder/file", "x");
	put_file(base, "file", "x");
	put_file(upper, "folder", "y");
	put_dir(upper, "file");
	put_file(upper, "file/in", "z");
	assert_composed(base, upper, "file/\nfile/in=z\nfolder=y\n");
}

static void attributes_of_the_overlay_stay_out(void **state)
{
	autoptr(tree) base = new_scene();
	autoptr(tree) upper = new_scene();
	struct tree_entry *en = put_dir(upper, "d");

	(void)state;
	put_xattr(en, "security.selinux", "s");
	put_xattr(en, "trusted.overlay.impure", "y");
	put_xattr(en, "trusted.overlay.overlay.opaque", "y");
	put_xattr(en, "user.note", "n");
	tree_sort(base);
	tree_sort(upper);
	autoptr(tree) all = overlay_compose(base, upper);
	const struct tree_entry *got = tree_find(all, "d");
	assert_int_equal(got->xattr_count, 3);
	assert_string_equal(got->xattrs[0].name, "security.selinux");
	assert_string_equal(got->xattrs[1].name, "trusted.overlay.opaque");
	assert_string_equal(got->xattrs[2].name, "user.note");
}

static void hard_links_are_of_one_side(void **state)
{
	autoptr(tree) base = new_scene();
	autoptr(tree) upper = new_scene();

	(void)state;
	put_file(base, "a", "x")->inode = 12;
	put_file(base, "b", "x")->inode = 12;
	put_file(upper, "c", "x")->inode = 12;
	put_file(upper, "d", "x")->inode = 12;
	tree_sort(base);
	tree_sort(upper);
	autoptr(tree) all = overlay_compose(base, upper);
	assert_int_equal(tree_find(all, "b")->link_of, tree_find(all, "a")->link_of);
	assert_int_equal(tree_find(all, "d")->link_of, tree_find(all, "c")->link_of);
	assert_int_not_equal(tree_find(all, "c")->link_of, tree_find(all, "a")->link_of);
	assert_ptr_equal(overlay_origin(all, tree_find(all, "a")), tree_find(base, "a"));
	assert_ptr_equal(overlay_origin(all, tree_find(all, "d")), tree_find(upper, "d"));
}

/* What the kernel would leave in the upper half on the way from one tree to another. */
static void make_upper(const struct tree *from, const struct tree *to, struct tree *upper)
{
	for (size_t i = 1; i < from->count; i++) {
		const struct tree_entry *en = &from->entries[i];
		autofree char *parent = xstrdup(en->path);
		char *slash = strrchr(parent, '/');

		if (slash)
			*slash = '\0';
		const struct tree_entry *old_parent = slash ? tree_find(from, parent) : NULL;
		const struct tree_entry *new_parent = slash ? tree_find(to, parent) : NULL;
		bool parent_stays = !slash ||
			(new_parent && S_ISDIR(old_parent->mode) && S_ISDIR(new_parent->mode));
		if (parent_stays && !tree_find(to, en->path))
			put_whiteout(upper, en->path);
	}
	for (size_t i = 1; i < to->count; i++) {
		const struct tree_entry *en = &to->entries[i];

		if (S_ISDIR(en->mode))
			put_dir(upper, en->path);
		else
			put_file(upper, en->path, en->path[0] % 2 ? "odd" : "even");
	}
}

static void fill(struct tree *t, const char *prefix, unsigned depth, unsigned *seed)
{
	static const char *const names[] = {"a", "a-", "a.b", "ab", "b"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		autofree char *path = xasprintf("%s%s", prefix, names[i]);
		autofree char *below = xasprintf("%s/", path);

		*seed = *seed * 1103515245 + 12345;
		switch ((*seed >> 16) % 3) {
		case 0:
			break;
		case 1:
			put_file(t, path, path[0] % 2 ? "odd" : "even");
			break;
		default:
			put_dir(t, path);
			if (depth > 0)
				fill(t, below, depth - 1, seed);
		}
	}
}

static void any_change_is_composed_again(void **state)
{
	unsigned seed = 1;

	(void)state;
	for (int i = 0; i < 300; i++) {
		autoptr(tree) base = new_scene();
		autoptr(tree) wanted = new_scene();
		autoptr(tree) upper = new_scene();

		fill(base, "", 2, &seed);
		fill(wanted, "", 2, &seed);
		tree_sort(base);
		tree_sort(wanted);
		make_upper(base, wanted, upper);
		autofree char *want = listing(wanted);
		assert_composed(base, upper, want);
	}
}

/* ---- differences ---- */

static char *diff_text(struct tree *a, struct tree *b, unsigned what, bool content)
{
	autonodediff d = {0};
	autostrbuf out = {0};
	struct err e = {0};

	assert_ok(node_diff(a, b, what, &d, NULL, &e), e);
	assert_ok(node_diff_text(&d, content, &out, &e), e);
	return strbuf_take(&out);
}

/* What upper changes of base. */
static void assert_changes(struct tree *base, struct tree *upper, bool content, const char *want)
{
	tree_sort(base);
	tree_sort(upper);
	autoptr(tree) root = overlay_compose(base, upper);
	autofree char *got = diff_text(base, root, NODE_DIFF_FILES, content);

	assert_string_equal(got, want);
}

static void every_kind_of_change_is_named(void **state)
{
	static const char *const same[] = {"content", "mode", "owner", "plain", "xattr", "type"};
	autoptr(tree) base = new_scene();
	autoptr(tree) upper = new_scene();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		put_file(base, same[i], "1234");
	put_link(base, "link", "here");
	put_link(upper, "link", "there");
	put_dir(base, "gone");
	put_file(base, "gone/file", "x");
	put_whiteout(upper, "gone");
	put_dir(base, "opaque");
	put_file(base, "opaque/old", "x");
	put_opaque(upper, "opaque");
	put_file(upper, "opaque/new", "x");
	/* It was copied up, and nothing came of it. */
	put_file(upper, "plain", "1234");
	put_file(upper, "content", "123x")->mtime = 5;
	put_file(upper, "mode", "1234")->mode = S_IFREG | 04755;
	put_file(upper, "owner", "1234")->gid = 7;
	put_xattr(put_file(upper, "xattr", "1234"), "security.capability", "c");
	put_dir(upper, "type");
	struct tree_entry *all = put_file(upper, "zz", "x");
	put_xattr(all, "user.both", "b");
	put_xattr(all, "user.new", "n");
	struct tree_entry *was = put_file(base, "zz", "longer");
	was->uid = 9;
	was->mode = S_IFREG | 0600;
	put_xattr(was, "user.both", "a");
	put_xattr(was, "user.old", "o");
	assert_changes(base, upper, false,
		"~ /content (content)\n"
		"- /gone\n"
		"- /gone/file\n"
		"~ /link (content)\n"
		"~ /mode (mode)\n"
		"+ /opaque/new\n"
		"- /opaque/old\n"
		"~ /owner (owner)\n"
		"~ /type (type, mode)\n"
		"~ /xattr (xattr security.capability)\n"
		"~ /zz (content, mode, owner, xattr user.both, xattr user.new, xattr user.old)\n");
}

static void nothing_changed_is_no_text(void **state)
{
	autoptr(tree) base = new_scene();
	autoptr(tree) upper = new_scene();

	(void)state;
	put_file(base, "a", "x");
	assert_changes(base, upper, true, "");
}

static void large_files_are_read_to_the_end(void **state)
{
	size_t len = 600 * KIB;
	autofree char *data = xcalloc(1, len + 1);
	autoptr(tree) base = new_scene();
	autoptr(tree) upper = new_scene();

	(void)state;
	put_bytes(base, "same", data, len);
	put_bytes(upper, "same", data, len);
	put_bytes(base, "end", data, len);
	data[len - 1] = 'x';
	put_bytes(upper, "end", data, len);
	assert_changes(base, upper, false, "~ /end (content)\n");
}

static void content_is_shown_as_a_patch(void **state)
{
	autofree char *large = xcalloc(1, 2 * MIB + 1);
	autoptr(tree) base = new_scene();
	autoptr(tree) upper = new_scene();

	(void)state;
	memset(large, 'x', 2 * MIB);
	put_file(base, "changed", "one\n\ttwo\nthree");
	put_file(upper, "changed", "one\n\t2\x1b[2J\nthree");
	put_bytes(base, "binary", "a\0b", 3);
	put_bytes(upper, "binary", "a\0c", 3);
	put_file(upper, "added", "line\n");
	put_file(base, "deleted", "line\n");
	put_whiteout(upper, "deleted");
	put_file(base, "mode", "x");
	put_file(upper, "mode", "x")->mode = S_IFREG | 0600;
	put_file(upper, "empty", "");
	put_bytes(upper, "large", large, 2 * MIB);
	assert_changes(base, upper, true,
		"+ /added\n"
		"~ /binary (content)\n"
		"~ /changed (content)\n"
		"- /deleted\n"
		"+ /empty\n"
		"+ /large\n"
		"~ /mode (mode)\n"
		"\n"
		"--- /dev/null\n"
		"+++ b/added\n"
		"@@ -0,0 +1 @@\n"
		"+line\n"
		"Binary file /binary differs\n"
		"--- a/changed\n"
		"+++ b/changed\n"
		"@@ -1,3 +1,3 @@\n"
		" one\n"
		"-\ttwo\n"
		"+\t2\\x1b[2J\n"
		" three\n"
		"\\ No newline at end of file\n"
		"--- a/deleted\n"
		"+++ /dev/null\n"
		"@@ -1 +0,0 @@\n"
		"-line\n"
		"Large file /large differs\n");
}

static void names_stay_one_line(void **state)
{
	autoptr(tree) base = new_scene();
	autoptr(tree) upper = new_scene();

	(void)state;
	put_file(upper, "a\n- /etc", "x\n");
	assert_changes(base, upper, true,
		"+ /a\\x0a- /etc\n\n--- /dev/null\n+++ b/a\\x0a- /etc\n@@ -0,0 +1 @@\n+x\n");
}

#define STATUS(name, version)                                                                      \
	"Package: " name "\nStatus: install ok installed\nVersion: " version                       \
	"\nArchitecture: amd64\n\n"

static void put_dpkg(struct tree *t, const char *text)
{
	put_dir(t, "usr");
	put_dir(t, "usr/lib");
	put_dir(t, "usr/lib/bedplate");
	put_dir(t, "usr/lib/bedplate/dpkg");
	put_file(t, "usr/lib/bedplate/dpkg/status", text);
}

static void packages_come_first(void **state)
{
	autoptr(tree) base = new_scene();
	autoptr(tree) upper = new_scene();

	(void)state;
	put_dpkg(base, STATUS("bar", "1") STATUS("foo", "1") STATUS("gone", "2"));
	put_dpkg(upper, STATUS("bar", "1.1") STATUS("foo", "1") STATUS("new", "3"));
	tree_sort(base);
	tree_sort(upper);
	autoptr(tree) root = overlay_compose(base, upper);
	static const char packages[] = "~ bar:amd64 1 -> 1.1\n- gone:amd64 2\n+ new:amd64 3\n";
	static const char files[] = "~ /usr/lib/bedplate/dpkg/status (content)\n";
	autofree char *both = xasprintf("%s\n%s", packages, files);
	autofree char *got = diff_text(base, root, NODE_DIFF_FILES | NODE_DIFF_PACKAGES, false);
	autofree char *got_packages = diff_text(base, root, NODE_DIFF_PACKAGES, false);
	autofree char *got_files = diff_text(base, root, NODE_DIFF_FILES, false);
	assert_string_equal(got, both);
	assert_string_equal(got_packages, packages);
	assert_string_equal(got_files, files);
}

static void layers_are_compared_by_what_they_show(void **state)
{
	autoptr(tree) base = new_scene();
	autoptr(tree) next = new_scene();
	autoptr(tree) one = new_scene();
	autoptr(tree) two = new_scene();

	(void)state;
	put_file(base, "a", "1");
	put_file(base, "b", "1");
	put_file(base, "c", "1");
	put_file(next, "a", "2");
	put_file(next, "b", "1");
	put_file(one, "a", "2");
	put_file(one, "c", "9");
	put_whiteout(two, "b");
	struct tree *all[] = {base, next, one, two};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		tree_sort(all[i]);
	autoptr(tree) x = overlay_compose(base, one);
	autoptr(tree) y = overlay_compose(base, two);
	autoptr(tree) z = overlay_compose(next, two);
	autofree char *same_base = diff_text(x, y, NODE_DIFF_FILES, false);
	autofree char *other_base = diff_text(x, z, NODE_DIFF_FILES, false);
	autofree char *itself = diff_text(x, x, NODE_DIFF_FILES, false);
	assert_string_equal(same_base, "~ /a (content)\n- /b\n~ /c (content)\n");
	assert_string_equal(other_base, "- /b\n- /c\n");
	assert_string_equal(itself, "");
}

static void json_has_it_all(void **state)
{
	autoptr(tree) base = new_scene();
	autoptr(tree) upper = new_scene();
	autonodediff d = {0};
	struct err e = {0};
	json_t *out = NULL;

	(void)state;
	put_file(base, "f", "1\n");
	put_xattr(put_file(upper, "f", "2\n"), "user.x", "y");
	put_link(upper, "l", "f");
	tree_sort(base);
	tree_sort(upper);
	autoptr(tree) root = overlay_compose(base, upper);
	assert_ok(node_diff(base, root, NODE_DIFF_FILES, &d, NULL, &e), e);
	assert_ok(node_diff_json(&d, NODE_DIFF_FILES, true, &out, &e), e);
	autofree char *got = json_dumps(out, JSON_SORT_KEYS | JSON_COMPACT);
	json_decref(out);
	assert_string_equal(got,
		"{\"files\":["
		"{\"change\":\"changed\",\"content\":true,"
		"\"diff\":\"--- a/f\\n+++ b/f\\n@@ -1 +1 @@\\n-1\\n+2\\n\","
		"\"mode\":false,"
		"\"new\":{\"gid\":0,\"mode\":420,\"size\":2,\"target\":null,\"type\":\"file\",\"uid\":0},"
		"\"old\":{\"gid\":0,\"mode\":420,\"size\":2,\"target\":null,\"type\":\"file\",\"uid\":0},"
		"\"owner\":false,\"path\":\"/f\",\"type\":false,\"xattrs\":[\"user.x\"]},"
		"{\"change\":\"added\",\"content\":false,\"diff\":null,\"mode\":false,"
		"\"new\":{\"gid\":0,\"mode\":511,\"size\":0,\"target\":\"f\",\"type\":\"link\",\"uid\":0},"
		"\"old\":null,\"owner\":false,\"path\":\"/l\",\"type\":false,\"xattrs\":[]}]}");
}

/* Trees as they are found on disk. */
static void folders_are_compared(void **state)
{
	autofree char *a = xasprintf("%s/a", folder);
	autofree char *b = xasprintf("%s/b", folder);
	autofree char *file = xasprintf("%s/b/file", folder);
	autoptr(tree) base = NULL;
	autoptr(tree) upper = NULL;
	struct err e = {0};

	(void)state;
	assert_ok(file_make_folder(a, 0755, &e), e);
	assert_ok(file_make_folder(b, 0755, &e), e);
	assert_ok(file_replace(file, "x\n", 2, 0644, &e), e);
	assert_ok(tree_scan(a, &base, &e), e);
	assert_ok(tree_scan(b, &upper, &e), e);
	assert_changes(
		base, upper, true, "+ /file\n\n--- /dev/null\n+++ b/file\n@@ -0,0 +1 @@\n+x\n");
	/* It went away after it was listed. */
	assert_int_equal(unlink(file), 0);
	autoptr(tree) root = overlay_compose(base, upper);
	autonodediff d = {0};
	autostrbuf out = {0};
	assert_ok(node_diff(base, root, NODE_DIFF_FILES, &d, NULL, &e), e);
	assert_ok(node_diff_text(&d, true, &out, &e), e);
	assert_string_equal(out.data, "+ /file\n\nFile /file was removed meanwhile\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_overlay_shows_both),
		cmocka_unit_test(whiteouts_take_away),
		cmocka_unit_test(opaque_folders_hide),
		cmocka_unit_test(files_and_folders_replace_each_other),
		cmocka_unit_test(attributes_of_the_overlay_stay_out),
		cmocka_unit_test(hard_links_are_of_one_side),
		cmocka_unit_test(any_change_is_composed_again),
		cmocka_unit_test(every_kind_of_change_is_named),
		cmocka_unit_test(nothing_changed_is_no_text),
		cmocka_unit_test(large_files_are_read_to_the_end),
		cmocka_unit_test(content_is_shown_as_a_patch),
		cmocka_unit_test(names_stay_one_line),
		cmocka_unit_test(packages_come_first),
		cmocka_unit_test(layers_are_compared_by_what_they_show),
		cmocka_unit_test(json_has_it_all),
		cmocka_unit_test(folders_are_compared),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
