/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <sys/mount.h>

#include "merge-cases.h"
#include "merge-scene.h"
#include "sys/chroot.h"
#include "upgrade/merge.h"

struct scene {
	char *path;
	char *old, *upper, *new;
	struct tree *trees[3];
	struct merge_trees merge;
};

static char *in_scene(const struct scene *s, const char *name)
{
	return xasprintf("%s/%s", s->path, name);
}

static void scene_scan(struct scene *s)
{
	struct err e = {0};

	assert_ok(tree_scan(s->old, &s->trees[0], &e), e);
	assert_ok(tree_scan(s->upper, &s->trees[1], &e), e);
	assert_ok(tree_scan(s->new, &s->trees[2], &e), e);
	s->merge = (struct merge_trees){s->trees[0], s->trees[1], s->trees[2]};
}

static void scene_init(struct scene *s)
{
	static unsigned number; /* a test that fails leaves its own behind */

	*s = (struct scene){.path = xasprintf("%s/scene-%u", folder, ++number)};
	s->old = in_scene(s, "old");
	s->upper = in_scene(s, "upper");
	s->new = in_scene(s, "new");
}

static void scene_open(struct scene *s, const char *old, const char *upper, const char *new)
{
	scene_init(s);
	scene_make(s->old, old);
	scene_make(s->upper, upper);
	scene_make(s->new, new);
	scene_scan(s);
}

static void scene_close(struct scene *s)
{
	struct err e = {0};

	for (size_t i = 0; i < ARRAY_LEN(s->trees); i++)
		tree_free(s->trees[i]);
	assert_ok(file_remove_tree(s->path, &e), e);
	free(s->path);
	free(s->old);
	free(s->upper);
	free(s->new);
}

static char *report_text(const struct merge_report *r)
{
	autostrbuf b = {0};

	for (size_t i = 0; i < r->count; i++) {
		const struct merge_change *c = &r->items[i];

		strbuf_printf(
			&b, "%s%s:%s", i > 0 ? " " : "", merge_action_name(c->action), c->path);
		if (c->beside)
			strbuf_printf(&b, ">%s", c->beside);
	}
	return strbuf_take(&b);
}

/* Merge into the folder NAME of the scene.  The caller frees both. */
static void run(struct scene *s, const char *name, char **result, char **report)
{
	autofree char *out = in_scene(s, name);
	automergereport r = {0};
	autoptr(tree) t = NULL;
	struct err e = {0};

	scene_make_folder(out);
	int fd = open(out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_ok(merge_layer(&s->merge, fd, &r, NULL, &e), e);
	close(fd);
	assert_ok(tree_scan(out, &t, &e), e);
	*result = scene_text(t);
	*report = report_text(&r);
}

static char *run_report_only(struct scene *s)
{
	automergereport r = {0};
	struct err e = {0};

	assert_ok(merge_layer(&s->merge, -1, &r, NULL, &e), e);
	return report_text(&r);
}

static bool case_ok(const struct merge_case *c)
{
	autofree char *result = NULL;
	autofree char *again = NULL;
	autofree char *report = NULL;
	autofree char *report_again = NULL;
	autofree char *only = NULL;
	struct scene s;

	scene_open(&s, c->old, c->upper, c->new);
	run(&s, "out", &result, &report);
	run(&s, "again", &again, &report_again);
	only = run_report_only(&s);
	scene_close(&s);
	if (!str_eq(result, c->want) || !str_eq(report, c->report))
		print_error("%s:\n got  %s\n want %s\n got  %s\n want %s\n", c->name, result,
			c->want, report, c->report);
	assert_string_equal(again, result);
	assert_string_equal(report_again, report);
	assert_string_equal(only, report);
	return str_eq(result, c->want) && str_eq(report, c->report);
}

static bool can_run(void)
{
	struct err e = {0};

	if (geteuid() != 0 || chroot_enter_namespace(&e) < 0)
		return false;
	autofree char *path = xasprintf("%s/try", folder);
	scene_make_folder(path);
	bool ok = lsetxattr(path, "trusted.overlay.opaque", "y", 1, 0) == 0 &&
		lsetxattr(path, "system.posix_acl_access", acl_bytes, sizeof(acl_bytes) - 1, 0) ==
			0;
	assert_ok(file_remove_tree(path, &e), e);
	return ok;
}

#define SKIP_UNLESS_ROOT                                                                           \
	do {                                                                                       \
		if (!can_run()) {                                                                  \
			print_message("needs root and trusted.* attributes\n");                    \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

static void every_rule(void **state)
{
	unsigned wrong = 0;

	(void)state;
	SKIP_UNLESS_ROOT;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		wrong += !case_ok(&cases[i]);
	assert_int_equal(wrong, 0);
}

static int mount_overlay(const char *lower, const char *upper, const char *work, const char *at)
{
	autofree char *options = xasprintf("lowerdir=%s,upperdir=%s,workdir=%s,metacopy=off,"
					   "index=off,redirect_dir=off,xino=auto",
		lower, upper, work);

	scene_make_folder(upper);
	scene_make_folder(work);
	scene_make_folder(at);
	return mount("overlay", at, "overlay", 0, options);
}

static void the_kernel_reads_it_the_same_way(void **state)
{
	autofree char *ignored = NULL;
	autofree char *report = NULL;
	autofree char *seen = NULL;
	autoptr(tree) t = NULL;
	struct err e = {0};
	struct scene s;

	(void)state;
	SKIP_UNLESS_ROOT;
	scene_open(&s,
		"etc/a=1 etc/b=1~2~3~4~ etc/d/a=1 etc/d/b=1 etc/gone/x=1 etc/t/a=1 opt/p=1|mode=755",
		"etc/a=x etc/b=1~2~3~n~ etc/d/|opaque etc/d/a=y etc/gone! etc/t=file "
		"opt/p=1|uid=3,mode=4755",
		"etc/a=2 etc/b=v~2~3~4~ etc/d/a=1 etc/d/b=1 etc/d/c=1 etc/gone/x=1 etc/gone/new=1 "
		"etc/t/a=1 etc/t/b=1 opt/p=2|mode=755,cap etc/new=1");
	run(&s, "out", &ignored, &report);
	autofree char *out = in_scene(&s, "out");
	autofree char *work = in_scene(&s, "work");
	autofree char *at = in_scene(&s, "mount");
	assert_int_equal(mount_overlay(s.new, out, work, at), 0);
	int r = tree_scan(at, &t, &e);
	if (r == 0)
		seen = scene_text(t);
	tree_free(take_ptr(t));
	assert_int_equal(umount2(at, 0), 0);
	assert_ok(r, e);
	assert_string_equal(seen,
		"etc/a=x etc/a.bedplate-new=2 etc/b=v~2~3~n~ etc/d/a=y etc/d/c=1 etc/gone/new=1 "
		"etc/new=1 etc/t=file opt/p=2|mode=4755,uid=3,cap");
	scene_close(&s);
}

/* Random trees, the node's changed through an overlay of the kernel's. */

static uint32_t draw(uint64_t *seed, uint32_t below)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(*seed >> 33) % below;
}

/* NULL when something on the way is no folder. */
static char *draw_path(const char *root, uint64_t *seed)
{
	char *path = xasprintf("%s/etc", root);
	uint32_t depth = 1 + draw(seed, 3);
	struct stat st;

	for (uint32_t i = 0; i < depth; i++) {
		char *longer = xasprintf("%s/%c", path, (char)('a' + (int)draw(seed, 3)));

		if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
			free(longer);
			free(path);
			return NULL;
		}
		free(path);
		path = longer;
	}
	return path;
}

static void change_something(const char *root, uint64_t *seed)
{
	autofree char *path = draw_path(root, seed);
	uint32_t what = draw(seed, 8), number = draw(seed, 4);
	struct err e = {0};
	struct stat st;
	char text[8];

	if (!path)
		return;
	bool is_there = lstat(path, &st) == 0, is_folder = is_there && S_ISDIR(st.st_mode);
	snprintf(text, sizeof(text), "%u", number);
	if (what == 0 && is_there && !S_ISLNK(st.st_mode)) {
		assert_int_equal(chmod(path, is_folder ? 0700 | number : 0600 | number), 0);
		return;
	}
	if (what == 1 && is_there) {
		assert_int_equal(lchown(path, number, 0), 0);
		return;
	}
	if (is_folder ? what >= 3 : what == 2)
		return;
	if (is_folder)
		assert_ok(file_remove_tree(path, &e), e);
	else
		unlink(path);
	if (what == 3 || (is_folder && number < 2))
		scene_make_folder(path);
	else if (what == 4)
		assert_int_equal(symlink(text, path), 0);
	else if (what > 4)
		scene_make_file(path, text);
}

static void change(const char *root, uint64_t *seed, unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		change_something(root, seed);
}

struct view {
	struct tree *tree;
	const struct tree_entry *en;
};

static bool same_entry(const struct view *x, const struct view *y, bool content_only)
{
	const struct tree_entry *a = x->en, *b = y->en;
	autostrbuf one = {0};
	autostrbuf other = {0};

	if (!a || !b)
		return a == b;
	if (!content_only && (a->mode != b->mode || a->uid != b->uid || a->gid != b->gid))
		return false;
	if ((a->mode & S_IFMT) != (b->mode & S_IFMT))
		return false;
	if (S_ISLNK(a->mode))
		return str_eq(a->target, b->target);
	if (!S_ISREG(a->mode))
		return true;
	strbuf_puts(&one, "");
	strbuf_puts(&other, "");
	scene_add_content(&one, x->tree, a);
	scene_add_content(&other, y->tree, b);
	return str_eq(one.data, other.data);
}

enum { OLD, NODE, NEW, RESULT, VIEWS };

static bool is_folder(const struct tree_entry *en)
{
	return en && S_ISDIR(en->mode);
}

static bool has_folder(const struct tree *t, const char *path)
{
	const char *slash = strrchr(path, '/');
	autofree char *parent = xstrndup(path, slash ? (size_t)(slash - path) : 0);

	return is_folder(tree_find(t, parent));
}

static bool has_children(const struct tree *t, const struct tree_entry *en)
{
	size_t len = strlen(en->path);

	return en + 1 < t->entries + t->count && strncmp(en[1].path, en->path, len) == 0 &&
		en[1].path[len] == '/';
}

/* NULL when all is well at path. */
static const char *what_is_wrong(struct tree *const trees[VIEWS], const char *path)
{
	struct view v[VIEWS];

	for (size_t i = 0; i < VIEWS; i++)
		v[i] = (struct view){trees[i], tree_find(trees[i], path)};
	bool by_node = !same_entry(&v[NODE], &v[OLD], false);
	bool by_vendor = !same_entry(&v[NEW], &v[OLD], false);
	bool result_is_node = same_entry(&v[RESULT], &v[NODE], false);
	bool result_is_new = same_entry(&v[RESULT], &v[NEW], false);
	bool kept_folder = is_folder(v[RESULT].en) && has_children(trees[RESULT], v[RESULT].en);

	if (same_entry(&v[NODE], &v[NEW], false) && !result_is_node)
		return "the same on both sides, and not in the result";
	if (!by_node && !result_is_new && has_folder(trees[RESULT], path) &&
		!(kept_folder && !is_folder(v[NEW].en)))
		return "only the vendor has changed it";
	if (by_node && !by_vendor && !result_is_node &&
		!(!v[NODE].en && kept_folder && result_is_new))
		return "only the node has changed it";
	if (v[NODE].en && !same_entry(&v[NODE], &v[OLD], true) &&
		!same_entry(&v[RESULT], &v[NODE], true))
		return "the node's is lost";
	return NULL;
}

static void check_all_paths(struct tree *const trees[VIEWS], unsigned round)
{
	for (size_t i = 0; i < VIEWS; i++)
		for (size_t k = 0; k < trees[i]->count; k++) {
			const char *path = trees[i]->entries[k].path;
			const char *wrong = strstr(path, ".bedplate-new")
				? NULL
				: what_is_wrong(trees, path);

			if (wrong)
				fail_msg("round %u: '%s': %s", round, path, wrong);
		}
}

static struct tree *scan_overlay(const char *lower, const char *upper, const char *at)
{
	autofree char *work = xasprintf("%s.work", upper);
	struct tree *t = NULL;
	struct err e = {0};

	assert_int_equal(mount_overlay(lower, upper, work, at), 0);
	assert_ok(tree_scan(at, &t, &e), e);
	return t;
}

static void random_round(unsigned round)
{
	uint64_t seed = round, again = round;
	struct tree *trees[VIEWS];
	autofree char *result = NULL;
	autofree char *report = NULL;
	struct err e = {0};
	struct scene s;

	scene_init(&s);
	scene_make(s.old, "etc/");
	scene_make(s.new, "etc/");
	change(s.old, &seed, 40);
	change(s.new, &again, 40);
	change(s.new, &seed, 12);
	autofree char *work = in_scene(&s, "work");
	autofree char *at = in_scene(&s, "mount");
	autofree char *at_result = in_scene(&s, "result");
	autofree char *out = in_scene(&s, "out");
	assert_int_equal(mount_overlay(s.old, s.upper, work, at), 0);
	change(at, &seed, 12);
	assert_ok(tree_scan(at, &trees[NODE], &e), e);
	scene_scan(&s);
	run(&s, "out", &result, &report);
	trees[OLD] = s.trees[0];
	trees[NEW] = s.trees[2];
	trees[RESULT] = scan_overlay(s.new, out, at_result);
	check_all_paths(trees, round);
	tree_free(trees[NODE]);
	tree_free(trees[RESULT]);
	assert_int_equal(umount2(at, 0), 0);
	assert_int_equal(umount2(at_result, 0), 0);
	scene_close(&s);
}

static void random_trees_lose_nothing(void **state)
{
	(void)state;
	SKIP_UNLESS_ROOT;
	for (unsigned round = 1; round <= 150; round++)
		random_round(round);
}

static void stat_in(const struct scene *s, const char *name, struct stat *st)
{
	autofree char *path = in_scene(s, name);

	assert_int_equal(lstat(path, st), 0);
}

static void root_folder_is_merged_too(void **state)
{
	autofree char *result = NULL;
	autofree char *report = NULL;
	struct scene s;
	struct stat st;

	(void)state;
	SKIP_UNLESS_ROOT;
	scene_init(&s);
	scene_make(s.old, "");
	scene_make(s.upper, "");
	scene_make(s.new, "");
	assert_int_equal(chmod(s.new, 0711), 0);
	scene_scan(&s);
	run(&s, "out", &result, &report);
	stat_in(&s, "out", &st);
	assert_int_equal(st.st_mode & 07777, 0711);
	assert_string_equal(report, "");
	scene_close(&s);

	free(take_ptr(result));
	free(take_ptr(report));
	scene_init(&s);
	scene_make(s.old, "");
	scene_make(s.upper, "");
	scene_make(s.new, "");
	assert_int_equal(chmod(s.upper, 0700), 0);
	scene_scan(&s);
	run(&s, "out", &result, &report);
	stat_in(&s, "out", &st);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_string_equal(report, "kept:/");
	scene_close(&s);
}

/* The predecessor took equal size and time for equal. */
static void times_say_nothing_and_are_kept(void **state)
{
	const struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
	const char *const names[] = {"old", "upper", "new"};
	autofree char *result = NULL;
	autofree char *report = NULL;
	struct scene s;
	struct stat st;

	(void)state;
	SKIP_UNLESS_ROOT;
	scene_open(&s, "etc/a=123", "etc/a=124", "etc/a=123");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		autofree char *path = xasprintf("%s/%s/etc/a", s.path, names[i]);
		assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
		tree_free(s.trees[i]);
	}
	scene_scan(&s);
	run(&s, "out", &result, &report);
	assert_string_equal(result, "etc/a=124");
	stat_in(&s, "out/etc/a", &st);
	assert_int_equal(st.st_mtime, 1000000000);
	scene_close(&s);
}

static void a_name_too_long_for_one_beside(void **state)
{
	autofree char *result = NULL;
	autofree char *report = NULL;
	char name[251] = {0};
	struct scene s;

	(void)state;
	SKIP_UNLESS_ROOT;
	memset(name, 'n', sizeof(name) - 1);
	autofree char *old = xasprintf("etc/%s=1", name);
	autofree char *upper = xasprintf("etc/%s=2", name);
	autofree char *new = xasprintf("etc/%s=3", name);
	autofree char *want = xasprintf("conflict:/etc/%s", name);
	scene_open(&s, old, upper, new);
	run(&s, "out", &result, &report);
	assert_string_equal(result, upper);
	assert_string_equal(report, want);
	scene_close(&s);
}

static void a_full_disk_is_named(void **state)
{
	automergereport report = {0};
	struct err e = {0};
	struct scene s;

	(void)state;
	SKIP_UNLESS_ROOT;
	scene_open(&s, "etc/", "etc/a=%1000000:x", "etc/");
	autofree char *out = in_scene(&s, "out");
	scene_make_folder(out);
	assert_int_equal(mount("tmpfs", out, "tmpfs", 0, "size=64k"), 0);
	int fd = open(out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	int r = merge_layer(&s.merge, fd, &report, NULL, &e);
	close(fd);
	assert_int_equal(umount2(out, 0), 0);
	assert_int_equal(r, -ENOSPC);
	assert_true(str_starts(e.msg, "merging: writing the layer: '/etc/a': writing at "));
	assert_true(str_ends(e.msg, ": No space left on device"));
	assert_int_equal(report.count, 0);
	scene_close(&s);
}

struct asked {
	uint64_t last, allowed;
};

static int count_bytes(void *ctx, uint64_t bytes, struct err *e)
{
	struct asked *a = ctx;

	if (bytes > a->allowed)
		return err_set(e, ENOSPC, "the pool is full");
	a->last = bytes;
	return 0;
}

/* A conflict is two files. */
static void it_is_asked_before_it_writes(void **state)
{
	struct asked asked = {.allowed = 6};
	automergereport report = {0}, more = {0};
	struct err e = {0};
	struct scene s;

	(void)state;
	SKIP_UNLESS_ROOT;
	scene_open(&s, "etc/a=1", "etc/a=22 etc/b=333", "etc/a=4");
	s.merge.grow = count_bytes;
	s.merge.ctx = &asked;
	autofree char *out = in_scene(&s, "out"), *full = in_scene(&s, "full");
	scene_make_folder(out);
	scene_make_folder(full);
	int fd = open(out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_ok(merge_layer(&s.merge, fd, &report, NULL, &e), e);
	assert_int_equal(asked.last, 6);
	close(fd);
	asked.allowed = 5;
	fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_fails(merge_layer(&s.merge, fd, &more, NULL, &e), ENOSPC, e,
		"merging: writing the layer: '/etc/b': the pool is full");
	autofree char *left = xasprintf("%s/etc/b", full);
	assert_false(file_exists(left));
	close(fd);
	scene_close(&s);
}

struct steps {
	uint64_t last, largest;
};

static int measure_step(void *ctx, uint64_t bytes, struct err *e UNUSED)
{
	struct steps *s = ctx;

	s->largest = MAX(s->largest, bytes - s->last);
	s->last = bytes;
	return 0;
}

/* One file may be what fills the pool, and a hole takes nothing of it. */
static void it_is_asked_within_a_file(void **state)
{
	struct steps steps = {0};
	automergereport report = {0};
	struct err e = {0};
	struct stat st;
	struct scene s;

	(void)state;
	SKIP_UNLESS_ROOT;
	scene_init(&s);
	scene_make(s.old, "etc/");
	scene_make(s.upper, "opt/a=%5000000:x");
	scene_make(s.new, "etc/");
	autofree char *file = in_scene(&s, "upper/opt/a"), *out = in_scene(&s, "out");
	assert_int_equal(truncate(file, 1 << 30), 0);
	scene_scan(&s);
	s.merge.grow = measure_step;
	s.merge.ctx = &steps;
	scene_make_folder(out);
	int fd = open(out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_ok(merge_layer(&s.merge, fd, &report, NULL, &e), e);
	close(fd);
	assert_true(steps.largest <= 1 << 20);
	assert_true(steps.last >= 5000000 && steps.last < 6000000);
	autofree char *copy = in_scene(&s, "out/opt/a");
	assert_int_equal(stat(copy, &st), 0);
	assert_int_equal(st.st_size, 1 << 30);
	assert_true(st.st_blocks < 6000000 / 512);
	scene_close(&s);
}

/* Trees that no file system gives, but an image may. */

static int no_content(
	struct tree *t, const struct tree_entry *en, struct source **out, struct err *e)
{
	(void)t;
	(void)en;
	(void)out;
	return err_set(e, EIO, "damaged");
}

static const struct tree_ops made_up = {.open = no_content};

static struct tree *make_up(const char *const *paths)
{
	struct tree *t = tree_new(&made_up, NULL);

	for (; *paths; paths++) {
		bool folder_like = !(*paths)[0] || str_ends(*paths, "etc");

		tree_add(t,
			&(struct tree_entry){.path = xstrdup(*paths),
				.mode = folder_like ? S_IFDIR | 0755 : S_IFREG | 0644,
				.size_bytes = 5});
	}
	return t;
}

static void impossible_trees_are_refused(void **state)
{
	static const struct {
		const char *paths[4];
		const char *want;
	} bad[] = {
		{{NULL}, "merging: new image: has no root folder"},
		{{"", "etc/a"}, "merging: new image: '/etc/a' cannot be there"},
		{{"", "etc", "etc/.."}, "merging: new image: '/etc/..' cannot be there"},
		{{"", "etc", "etc//a"}, "merging: new image: '/etc//a' cannot be there"},
		{{"", "a", "a/b"}, "merging: new image: '/a/b' cannot be there"},
		{{"", "a", "a"}, "merging: new image: '/a' cannot be there"},
		{{"", "b", "a"}, "merging: new image: '/a' cannot be there"},
		{{"", "/a"}, "merging: new image: '//a' cannot be there"},
		{{"", "a\n"}, NULL},
	};
	static const char *const usual[] = {"", "etc", NULL};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		autoptr(tree) old = make_up(usual);
		autoptr(tree) upper = make_up(usual);
		autoptr(tree) new = make_up(bad[i].paths);
		const struct merge_trees trees = {.old_base = old, .upper = upper, .new_base = new};
		automergereport report = {0};
		struct err e = {0};
		int r = merge_layer(&trees, -1, &report, NULL, &e);

		if (!bad[i].want)
			assert_ok(r, e);
		else
			assert_fails(r, EBADMSG, e, bad[i].want);
	}
}

static void a_damaged_file_ends_it(void **state)
{
	static const char *const paths[] = {"", "etc", "etc/a", NULL};
	autoptr(tree) old = make_up(paths);
	autoptr(tree) upper = make_up(paths);
	autoptr(tree) new = make_up(paths);
	const struct merge_trees trees = {.old_base = old, .upper = upper, .new_base = new};
	automergereport report = {0};
	struct err e = {0};

	(void)state;
	assert_fails(merge_layer(&trees, -1, &report, NULL, &e), EBADMSG, e,
		"merging: '/etc/a': damaged");
}

static void report_is_plain_text(void **state)
{
	struct merge_change changes[] = {
		{MERGE_CONFLICT, (char[]){"/etc/a\n\x1b[1mb"}, (char[]){"changed on both sides"},
			(char[]){"/etc/a.bedplate-new"}},
		{MERGE_OWNER, (char[]){"/usr/bin/x"}, NULL, NULL},
		{MERGE_KEPT, (char[]){"/etc/\xff"}, NULL, NULL},
	};
	const struct merge_report r = {changes, ARRAY_LEN(changes)};
	autofree char *text = merge_report_text(&r);
	json_t *j = merge_report_json(&r);
	autofree char *json = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);

	(void)state;
	json_decref(j);
	assert_string_equal(text,
		"conflict  /etc/a\\x0a\\x1b[1mb: changed on both sides; the new image's: "
		"/etc/a.bedplate-new\n"
		"kept      /etc/\xff\n");
	assert_string_equal(json,
		"[{\"action\":\"conflict\",\"beside\":\"/etc/a.bedplate-new\","
		"\"path\":\"/etc/a\\n\\u001B[1mb\",\"why\":\"changed on both sides\"},"
		"{\"action\":\"owner\",\"beside\":null,\"path\":\"/usr/bin/x\",\"why\":null},"
		"{\"action\":\"kept\",\"beside\":null,\"path\":\"/etc/?\",\"why\":null}]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_rule),
		cmocka_unit_test(the_kernel_reads_it_the_same_way),
		cmocka_unit_test(random_trees_lose_nothing),
		cmocka_unit_test(root_folder_is_merged_too),
		cmocka_unit_test(times_say_nothing_and_are_kept),
		cmocka_unit_test(a_name_too_long_for_one_beside),
		cmocka_unit_test(a_full_disk_is_named),
		cmocka_unit_test(it_is_asked_before_it_writes),
		cmocka_unit_test(it_is_asked_within_a_file),
		cmocka_unit_test(impossible_trees_are_refused),
		cmocka_unit_test(a_damaged_file_ends_it),
		cmocka_unit_test(report_is_plain_text),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
