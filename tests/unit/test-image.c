/* SPDX-License-Identifier: Apache-2.0 */
/* Manifest, list of files, package database, signatures, and extraction of hostile trees. */
#include "ext4-scene.h"
#include "image/extract.h"
#include "image/files.h"
#include "image/image.h"
#include "image/manifest.h"
#include "image/package-db.h"
#include "image/sign.h"

#define TEST_NAME(fn) cmocka_unit_test_setup_teardown(fn, scene_setup, scene_teardown)

static void fill(struct manifest *m)
{
	struct manifest_kernel *k = manifest_add_kernel(m);
	struct manifest_package *b = manifest_add_package(m), *a;

	m->name = xstrdup("node");
	m->version = xstrdup("1.2~rc1");
	m->arch = xstrdup("amd64");
	m->source_date = 1700000000;
	m->rootfs_type = xstrdup("squashfs-ext4");
	m->liveimg = (struct manifest_file){xstrdup("node-1.squashfs.img"), 5000000000, {1, 2}};
	m->rootfs = (struct manifest_file){xstrdup("LiveOS/rootfs.img"), 9000000000, {3}};
	m->verity = (struct manifest_verity){true, {4}, 4096, 8192, xstrdup("aabb"), 12288, 2};
	k->release = xstrdup("6.12.0-1");
	k->kernel_bytes = 11;
	b->name = xstrdup("b");
	b->version = xstrdup("2:1-1");
	b->arch = xstrdup("all");
	a = manifest_add_package(m);
	a->name = xstrdup("a");
	a->version = xstrdup("1");
	a->arch = xstrdup("amd64");
	a->origin = xstrdup("Debian");
	m->upgrades_from_min = xstrdup("1.0");
	m->upgrades_from_max = xstrdup("1.1");
	m->tool = xstrdup("bedplate 0.1.0");
	manifest_sort(m);
}

static void manifest_comes_back(void **state)
{
	automanifest m = {0};
	automanifest again = {0};
	struct err e = {0};

	(void)state;
	fill(&m);
	autofree char *text = manifest_format(&m);
	assert_ok(manifest_parse(text, strlen(text), &again, &e), e);
	autofree char *second = manifest_format(&again);
	assert_string_equal(text, second);
	assert_string_equal(again.packages[0].name, "a");
	assert_int_equal(again.rootfs.size_bytes, 9000000000);
	assert_int_equal(again.verity.fec_roots, 2);
	assert_null(again.sbom.file);
	assert_string_equal(again.upgrades_from_min, "1.0");
	assert_string_equal(again.upgrades_from_max, "1.1");
	assert_true(str_ends(text, "\n}\n"));
}

/* A good manifest with one key set to something else. */
static void wrong_manifests_are_refused(void **state)
{
	static const struct {
		const char *from, *to, *msg;
	} cases[] = {
		{"\"manifest_version\": 1", "\"manifest_version\": 2",
			"manifest version 2 is not supported"},
		{"\"name\": \"node\"", "\"name\": \"../node\"", "field 'name' is not a name"},
		{"\"name\": \"node\"", "\"name\": 7", "field 'name' is not a string"},
		{"\"arch\": \"amd64\",\n  \"files\"", "\"files\"", "field 'arch' is missing"},
		{"\"file\": \"node-1.squashfs.img\"", "\"file\": \"a/b\"",
			"field 'liveimg' does not name a plain file"},
		{"\"size\": 5000000000", "\"size\": -1",
			"field 'liveimg.size' is not a number in range"},
		{"\"size\": 5000000000", "\"size\": 1.5",
			"field 'liveimg.size' is not a number in range"},
		{"\"kernels\": [", "\"kernels\": {}, \"x\": [", "field 'kernels' is not a list"},
		{"\"verity\": {", "\"verity\": [], \"x\": {", "field 'verity' is not an object"},
		{"\"hash_offset\": 8192", "\"hash_offset\": 1",
			"field 'verity.hash_offset' is within the data"},
		{"\"sha256\": \"0102", "\"sha256\": \"01",
			"field 'liveimg.sha256' is not a SHA-256 digest"},
		{"\"upgrades_from\": {", "\"upgrades_from\": \"1\", \"x\": {",
			"field 'upgrades_from' is not an object"},
		{"\"min\": \"1.0\"", "\"min\": null", "field 'upgrades_from.min' is missing"},
		{"\"min\": \"1.0\"", "\"min\": \"1 0\"", "field 'upgrades_from.min' is not a name"},
		{"\"max\": \"1.1\"", "\"max\": 1.1", "field 'upgrades_from.max' is not a string"},
		{"\"max\": \"1.1\"", "\"max\": \"1.0~1\"",
			"field 'upgrades_from.max' is older than 'min'"},
	};
	automanifest m = {0};

	(void)state;
	fill(&m);
	autofree char *text = manifest_format(&m);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		automanifest out = {0};
		struct err e = {0};
		const char *at = strstr(text, cases[i].from);

		assert_non_null(at);
		autofree char *bad = xasprintf("%.*s%s%s", (int)(at - text), text, cases[i].to,
			at + strlen(cases[i].from));
		assert_fails(manifest_parse(bad, strlen(bad), &out, &e), EBADMSG, e, cases[i].msg);
		assert_null(out.name);
	}
	struct err e = {0};
	automanifest out = {0};
	assert_int_equal(manifest_parse("[]", 2, &out, &e), -EBADMSG);
	assert_int_equal(manifest_parse("{\"a\":1,\"a\":2}", 13, &out, &e), -EBADMSG);
}

static void files_come_back(void **state)
{
	const struct scene *s = *state;
	autofree char *odd = scene_path(s, "t/odd \n\\name"), *hard = scene_path(s, "t/z");
	autofree char *link_path = scene_path(s, "t/link");
	uint8_t first[SHA256_BYTES], second[SHA256_BYTES];
	autoptr(files) f = NULL;
	autoptr(files) g = NULL;
	struct err e = {0};
	size_t len;

	scene_folder(s, "t");
	scene_file(s, "t/odd \n\\name", 5000, 1);
	assert_int_equal(link(odd, hard), 0);
	assert_int_equal(symlink("a b\\", link_path), 0);
	autoptr(tree) t = scene_scan(s, "t");
	assert_ok(files_compute(t, &f, NULL, &e), e);
	autofree char *text = files_format(f, &len);
	assert_non_null(strstr(text, "\n/odd\\x20\\x0a\\x5cname f 644 "));
	assert_non_null(strstr(text, " link=/odd\\x20\\x0a\\x5cname\n"));
	assert_non_null(strstr(text, " target=a\\x20b\\x5c\n"));
	autofree char *copy = xstrdup(text);
	assert_ok(files_parse(copy, len, &g, &e), e);
	autofree char *again = files_format(g, &len);
	assert_string_equal(text, again);
	assert_non_null(files_find(g, "z"));

	/* The digest knows everything but times. */
	files_digest(f, first);
	g->entries[1].mtime++;
	files_digest(g, second);
	assert_memory_equal(first, second, sizeof(first));
	g->entries[1].mode ^= 1;
	files_digest(g, second);
	assert_memory_not_equal(first, second, sizeof(first));
}

static void wrong_lists_are_refused(void **state)
{
#define TOP  "bedplate-files 1\n/ d 755 0:0 - 0 -\n"
#define HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	static const char *const cases[] = {
		TOP "/b d 755 0:0 - 0 -\n/a d 755 0:0 - 0 -\n", /* not in order */
		TOP "/a d 755 0:0 - 0 -\n/a d 755 0:0 - 0 -\n", /* twice */
		TOP "/a f 755 0:0 5 0 -\n",                     /* no digest */
		TOP "/a f 10000 0:0 5 0 " HASH "\n",            /* mode */
		TOP "/a f 789 0:0 5 0 " HASH "\n",
		TOP "/a f 644 0:4294967296 5 0 " HASH "\n", /* owner */
		TOP "/a f 644 0:0 18446744073709551616 0 " HASH "\n",
		TOP "/a f 644 0:0 5 0 " HASH " link=/b\n",        /* to nowhere */
		TOP "/a f 644 0:0 5 0 " HASH " link=/a\n",        /* to itself */
		TOP "/a f 644 0:0 5 0 " HASH " xattr.user.a=1\n", /* half a byte */
		TOP "/a f 644 0:0 5 0 " HASH " xattr.b=11 xattr.a=11\n",
		TOP "/a f 644 0:0 5 0 " HASH " what=1\n",
		TOP "/l l 777 0:0 - 0 -\n",     /* no target */
		TOP "/\\x00 d 755 0:0 - 0 -\n", /* NUL in a name */
		TOP "/a x 755 0:0 - 0 -\n",     /* type */
		TOP "/a d 755 0:0 - 0\n",       /* too few */
		TOP "\n",
		"bedplate-files 2\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autofree char *text = xstrdup(cases[i]);
		autoptr(files) f = NULL;
		struct err e = {0};

		if (files_parse(text, strlen(text), &f, &e) != -EBADMSG)
			fail_msg("accepted: %s", cases[i]);
	}
}

static void packages_are_read(void **state)
{
	automanifest m = {0};
	struct err e = {0};

	(void)state;
	assert_ok(packages_parse(
			  "Package: zed\nStatus: install ok installed\nVersion: 1:2-3\n"
			  "Architecture: amd64\nSource: src (4)\nDescription: x\n Version: no\n\n"
			  "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\n"
			  "Package: abc\nVersion: 7\n",
			  &m, &e),
		e);
	manifest_sort(&m);
	assert_int_equal(m.package_count, 2);
	assert_string_equal(m.packages[0].name, "abc");
	assert_string_equal(m.packages[0].source, "abc");
	assert_string_equal(m.packages[1].version, "1:2-3");
	assert_string_equal(m.packages[1].source, "src");
	assert_string_equal(m.packages[1].source_version, "4");
	assert_fails(packages_parse("Package: a\n", &m, &e), EBADMSG, e,
		"package database: a paragraph without a version");
}

static const struct tree_ops memory_ops;

static struct tree_entry *add(struct tree *t, const char *path, uint32_t mode, const char *target)
{
	return tree_add(t,
		&(struct tree_entry){.path = xstrdup(path),
			.mode = mode,
			.target = target ? xstrdup(target) : NULL});
}

static void links_are_followed_in_the_tree(void **state)
{
	autoptr(tree) t = tree_new(&memory_ops, NULL);

	(void)state;
	add(t, "", S_IFDIR | 0755, NULL);
	add(t, "etc", S_IFDIR | 0755, NULL);
	add(t, "etc/up", S_IFLNK | 0777, "../../../usr/./x");
	add(t, "loop", S_IFLNK | 0777, "loop");
	add(t, "usr", S_IFDIR | 0755, NULL);
	add(t, "usr/x", S_IFDIR | 0755, NULL);
	add(t, "usr/x/file", S_IFREG | 0644, NULL);
	add(t, "var", S_IFLNK | 0777, "/etc");
	tree_sort(t);
	assert_string_equal(image_resolve(t, "/var/up/file")->path, "usr/x/file");
	assert_string_equal(image_resolve(t, "var/../usr/x/")->path, "usr/x");
	assert_string_equal(image_resolve(t, "")->path, "");
	assert_null(image_resolve(t, "loop"));
	assert_null(image_resolve(t, "usr/y"));
}

static int extract(struct tree *t, const char *dest, bool force, struct err *e)
{
	const struct extract_spec spec = {.tree = t, .dest = dest, .force = force};
	struct extract_result result = {0};

	return extract_tree(&spec, &result, NULL, e);
}

/* A folder in the image where the destination has a link that leads out. */
static void links_in_the_destination_are_not_followed(void **state)
{
	const struct scene *s = *state;
	autofree char *dest = scene_path(s, "dest"), *trap = scene_path(s, "dest/etc");
	autofree char *outside = scene_path(s, "outside"), *leak = scene_path(s, "outside/new");
	autoptr(tree) t = tree_new(&memory_ops, NULL);
	struct err e = {0};

	add(t, "", S_IFDIR | 0755, NULL);
	add(t, "etc", S_IFDIR | 0755, NULL);
	add(t, "etc/new", S_IFIFO | 0644, NULL);
	tree_sort(t);
	scene_folder(s, "dest");
	scene_folder(s, "outside");
	assert_int_equal(symlink(outside, trap), 0);
	assert_int_equal(extract(t, dest, false, &e), -ENOTEMPTY);
	assert_true(extract(t, dest, true, &e) < 0);
	assert_false(file_exists(leak));
}

/* A file below what the same image made a link: no real reader gives that, but who knows. */
static void links_in_the_image_are_not_followed(void **state)
{
	const struct scene *s = *state;
	autofree char *dest = scene_path(s, "dest"), *outside = scene_path(s, "outside");
	autofree char *leak = scene_path(s, "outside/new");
	autoptr(tree) t = tree_new(&memory_ops, NULL);
	struct err e = {0};

	scene_folder(s, "outside");
	add(t, "", S_IFDIR | 0755, NULL);
	add(t, "etc", S_IFLNK | 0777, outside);
	add(t, "etc/new", S_IFIFO | 0644, NULL);
	tree_sort(t);
	assert_fails(extract(t, dest, false, &e), EBADMSG, e, "'/etc/new' lies in no folder");
	assert_false(file_exists(leak));
}

static void signatures_are_checked(void **state)
{
	const struct scene *s = *state;
	autofree char *key = scene_path(s, "key"), *cert = scene_path(s, "cert");
	autofree char *other = scene_path(s, "other"), *sig = NULL, *signer = NULL;
	autostrv trust = {0};
	autostrv wrong = {0};
	struct err e = {0};
	size_t len;
	autocmd c = {0};

	cmd_add(&c, "sh", "-euc",
		"openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 9 "
		"-subj /CN=maker; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
		"-nodes -keyout otherkey -out other -days 9 -subj /CN=other",
		NULL);
	c.cwd = s->root;
	assert_ok(cmd_run(&c, &e), e);
	assert_ok(sign_data("text", 4, key, cert, &sig, &len, &e), e);
	strv_add(&trust, other);
	strv_add(&trust, cert);
	strv_add(&wrong, other);
	assert_ok(sign_verify("text", 4, sig, len, &trust, &signer, &e), e);
	assert_string_equal(signer, "/CN=maker");
	assert_int_equal(sign_verify("texu", 4, sig, len, &trust, NULL, &e), -EKEYREJECTED);
	assert_int_equal(sign_verify("text", 4, sig, len, &wrong, NULL, &e), -EKEYREJECTED);
	assert_int_equal(sign_verify("text", 4, sig, len - 9, &trust, NULL, &e), -EKEYREJECTED);
	assert_int_equal(sign_verify("text", 4, "junk", 4, &trust, NULL, &e), -EKEYREJECTED);
	autofree char *none = NULL;
	assert_int_equal(sign_data("text", 4, key, other, &none, &len, &e), -EINVAL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_NAME(manifest_comes_back),
		TEST_NAME(wrong_manifests_are_refused),
		TEST_NAME(files_come_back),
		TEST_NAME(wrong_lists_are_refused),
		TEST_NAME(packages_are_read),
		TEST_NAME(links_are_followed_in_the_tree),
		TEST_NAME(links_in_the_destination_are_not_followed),
		TEST_NAME(links_in_the_image_are_not_followed),
		TEST_NAME(signatures_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
