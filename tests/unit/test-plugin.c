/* SPDX-License-Identifier: Apache-2.0 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folder.h"
#include "plugin/manifest.h"
#include "plugin/pack.h"
#include "plugin/read.h"
#include "plugin/recipe.h"
#include "plugin/words.h"

#define HEAD                                                                                       \
	"\"name\":\"demo\",\"version\":\"1.0\",\"vendor\":\"V\",\"description\":\"D\","            \
	"\"images\":[{\"name\":\"node\"}]"
#define EMPTY_SHA256           "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define RECIPE_FILE(size, sha) "{\"file\":\"recipe.ks\",\"size\":" size ",\"sha256\":\"" sha "\"}"
#define MANIFEST(extra, files) "{\"format\":1," HEAD extra ",\"packages\":[],\"files\":[" files "]}"
#define GOOD_MANIFEST          MANIFEST("", RECIPE_FILE("0", EMPTY_SHA256))

static void a_manifest_is_written_as_it_was_read(void **state)
{
	static const char text[] = MANIFEST(
		",\"writes\":[\"/etc/demo/\"],\"state\":[\"/var/lib/demo/\"],"
		"\"services\":[\"demo.service\"],\"ports\":[\"161:udp\",\"5900-5903:tcp\"],"
		"\"kernel_arguments\":{\"add\":[\"console=ttyS0\"],\"remove\":[\"quiet\"]},"
		"\"kernel_modules\":[{\"name\":\"igb_uio\",\"kernels\":[\"6.12.*\"]}],"
		"\"conflicts\":[\"other\"]",
		RECIPE_FILE("0", EMPTY_SHA256));
	auto_plugin_manifest m = {0};
	auto_plugin_manifest again = {0};
	struct err e = {0};

	(void)state;
	assert_ok(plugin_manifest_parse(text, strlen(text), &m, &e), e);
	assert_string_equal(m.writes.items[0], "/etc/demo/");
	assert_string_equal(m.kernel_remove.items[0], "quiet");
	assert_string_equal(m.modules[0].kernels.items[0], "6.12.*");
	autofree char *first = plugin_manifest_format(&m);
	assert_ok(plugin_manifest_parse(first, strlen(first), &again, &e), e);
	autofree char *second = plugin_manifest_format(&again);
	assert_string_equal(first, second);
}

static void what_is_wrong_in_a_manifest_is_named(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{"", "line 1: '[' or '{' expected near end of file"},
		{"[]", "it is not an object"},
		{"{\"format\":2}", "format 2 is not supported"},
		{"{\"format\":1}", "'name' is missing"},
		{MANIFEST(",\"name\":\"demo\"", ""),
			"line 1: duplicate object key near '\"name\"'"},
		{MANIFEST(",\"sevices\":[]", ""), "'sevices' is not a known key"},
		{MANIFEST(",\"a\\nb\":[]", ""), "'a\\x0ab' is not a known key"},
		{MANIFEST(",\"services\":[\"demo\"]", ""), "'services[0]' has a wrong form"},
		{MANIFEST(",\"services\":{}", ""), "'services' is not a list"},
		{MANIFEST(",\"ports\":[\"1:tcp\",\"1:tcp\"]", ""), "'ports[1]' is there twice"},
		{MANIFEST(",\"ports\":[\"0:tcp\"]", ""), "'ports[0]' has a wrong form"},
		{MANIFEST(",\"ports\":[\"65536:tcp\"]", ""), "'ports[0]' has a wrong form"},
		{MANIFEST(",\"writes\":[\"/\"]", ""), "'writes[0]' has a wrong form"},
		{MANIFEST(",\"writes\":[\"/etc/../usr/\"]", ""), "'writes[0]' has a wrong form"},
		{MANIFEST(",\"writes\":[\"/etc//x\"]", ""), "'writes[0]' has a wrong form"},
		{MANIFEST(",\"state\":[\"/etc/x\"]", ""), "'state[0]' has a wrong form"},
		{MANIFEST(",\"state\":[\"/var/\"]", ""), "'state[0]' has a wrong form"},
		{MANIFEST(",\"conflicts\":[\"demo\"]", ""), "'conflicts' names the plugin itself"},
		{MANIFEST(",\"kernel_arguments\":{\"drop\":[]}", ""),
			"'kernel_arguments.drop' is not a known key"},
		{MANIFEST(",\"kernel_arguments\":[]", ""), "'kernel_arguments' is not an object"},
		{MANIFEST(",\"kernel_modules\":[{\"name\":\"x\"}]", ""),
			"'kernel_modules[0].kernels' names no kernel"},
		{MANIFEST("", ""), "there is no recipe.ks"},
		{MANIFEST("", RECIPE_FILE("-1", EMPTY_SHA256)),
			"'files[0].size' is not a number in range"},
		{MANIFEST("", RECIPE_FILE("4294967297", EMPTY_SHA256)),
			"'files[0].size' is not a number in range"},
		{MANIFEST("", RECIPE_FILE("0", "abc")),
			"'files[0].sha256' is not a SHA-256 digest"},
		{MANIFEST("", RECIPE_FILE("0", EMPTY_SHA256) "," RECIPE_FILE("0", EMPTY_SHA256)),
			"member 'recipe.ks' is there twice"},
		{MANIFEST("", "{\"file\":\"../x\",\"size\":0,\"sha256\":\"" EMPTY_SHA256 "\"}"),
			"'files[0].file' has a wrong form"},
		{MANIFEST("", "{\"file\":\"x\",\"size\":0,\"sha256\":\"" EMPTY_SHA256 "\"}"),
			"'files[0].file' is not a member that a plugin has"},
		{MANIFEST("",
			 RECIPE_FILE("0", EMPTY_SHA256) ",{\"file\":\"packages/Packages\","
							"\"size\":0,\"sha256\":\"" EMPTY_SHA256
							"\"}"),
			"packages/Packages goes with packages, and only with them"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_plugin_manifest m = {0};
		struct err e = {0};

		assert_fails(plugin_manifest_parse(cases[i].text, strlen(cases[i].text), &m, &e),
			EBADMSG, e, cases[i].error);
		assert_null(m.name);
	}
}

static void a_draft_has_comments_and_no_digests(void **state)
{
	static const char good[] = "// first\n{\n\t // \"x\": 1,\n" HEAD "}\n//";
	static const char packed[] = "{" HEAD ",\"files\":[]}";
	static const char bad[] = "// first\n// second\n{ x }\n";
	auto_plugin_manifest m = {0};
	auto_plugin_manifest none = {0};
	struct err e = {0};

	(void)state;
	assert_ok(plugin_draft_parse(good, strlen(good), &m, &e), e);
	assert_string_equal(m.name, "demo");
	assert_fails(plugin_draft_parse(packed, strlen(packed), &none, &e), EBADMSG, e,
		"'files' is not a known key");
	assert_fails(plugin_draft_parse(bad, strlen(bad), &none, &e), EBADMSG, e,
		"line 3: string or '}' expected near 'x'");
}

static void what_a_member_may_be_called(void **state)
{
	static const char *const good[] = {
		"recipe.ks", "packages/a_1.0+b~c_amd64.deb", "tests/a/b"};
	static const char *const bad[] = {"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..",
		"a/../b", "./a", "a/./b", "a b", "a\\b", "a\nb", "a:b"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(plugin_is_member(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(plugin_is_member(bad[i]));
}

static void a_recipe_says_what_is_done(void **state)
{
	static const char text[] = "part / --size=4096\n"
				   "bootloader --append=\"!quiet console=ttyS0\"\n"
				   "repo --name=own --baseurl=file://packages\n"
				   "services --enabled=agent,agent.socket\n"
				   "firewall --port=161:udp,5900-5903:tcp\n"
				   "%pre\ntrue\n%end\n"
				   "%packages\nstrace\ngdb\n%end\n"
				   "%post --interpreter=/bin/bash --erroronfail\nfalse\n%end\n";
	autoptr(plugin_recipe) r = NULL;
	struct err e = {0};

	(void)state;
	assert_ok(plugin_recipe_parse("recipe.ks", text, strlen(text), &r, &e), e);
	assert_int_equal(r->root_size_bytes, 4096 * MIB);
	assert_int_equal(r->kernel_add.count, 1);
	assert_string_equal(r->kernel_add.items[0], "console=ttyS0");
	assert_string_equal(r->kernel_remove.items[0], "quiet");
	assert_string_equal(r->services.items[0], "agent.service");
	assert_string_equal(r->services.items[1], "agent.socket");
	assert_string_equal(r->ports.items[0], "161:udp");
	assert_string_equal(r->ports.items[1], "5900-5903:tcp");
	assert_int_equal(r->packages.count, 2);
	assert_string_equal(r->packages.items[0], "gdb");
	assert_int_equal(r->package_lines[0], 11);
	assert_int_equal(ks_script_count(r->doc), 2);
}

static void what_is_not_in_the_subset_is_an_error_with_its_line(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{"\nrootpw --lock\n", "r:2: 'rootpw' is not for the recipe of a plugin"},
		{"install\n", "r:1: 'install' is not for the recipe of a plugin"},
		{"nonsense\n", "r:1: unknown command 'nonsense'"},
		{"part /var --size=1\n", "r:1: part: a plugin can resize '/' only"},
		{"part /\n", "r:1: part: expected --size=MIB, 1 to 16777216"},
		{"part / --size=0\n", "r:1: part: expected --size=MIB, 1 to 16777216"},
		{"part / --size=1 --grow\n",
			"r:1: part: a plugin's recipe takes / --size=MIB here"},
		{"part / --size=1\npart / --size=2\n",
			"r:2: a partition with the mount point '/' has been defined already"},
		{"bootloader --append=\"a\" --timeout=3\n",
			"r:1: bootloader: a plugin's recipe takes --append=\"[!]ARGUMENT...\" here"},
		{"bootloader --append='a \"b'\n",
			"r:1: bootloader: '\"b' is not a kernel argument"},
		{"bootloader --append=\"a !\"\n", "r:1: bootloader: '!' is not a kernel argument"},
		{"bootloader --append=\" \"\n", "r:1: bootloader: expected --append"},
		{"\nbootloader --append=a\nbootloader --append=b\n",
			"r:3: 'bootloader' repeats line 2; options not given again may keep their "
			"earlier value"},
		{"repo --name=x --baseurl=http://example.com/\n",
			"r:1: repo: a plugin has one repository, its own: "
			"--baseurl=file://packages"},
		{"repo --name=x --baseurl=file:///etc\n",
			"r:1: repo: a plugin has one repository, its own: "
			"--baseurl=file://packages"},
		{"services --disabled=sshd\n",
			"r:1: services: a plugin's recipe takes --enabled=UNIT,... here"},
		{"services --enabled=../x\n", "r:1: services: '../x' is not a unit"},
		{"firewall --disabled\n",
			"r:1: firewall: a plugin's recipe takes --port=PORT:PROTOCOL,... here"},
		{"firewall --port=0:tcp\n", "r:1: firewall: '0:tcp' is not a PORT:tcp or PORT:udp"},
		{"\n%packages --nocore\n%end\n",
			"r:2: %packages: a plugin's recipe takes no options here"},
		{"%packages\na\n-b\n%end\n",
			"r:3: '-b': a plugin's recipe lists packages by their names"},
		{"%packages\n@c\n%end\n",
			"r:2: '@c': a plugin's recipe lists packages by their names"},
		{"%packages\n\nd*\n%end\n",
			"r:3: 'd*': a plugin's recipe lists packages by their names"},
		{"%post --nochroot\ntrue\n%end\n",
			"r:1: %post: a plugin's recipe takes --interpreter or --erroronfail here"},
		{"%addon x\n%end\n", "r:1: '%addon' is not for the recipe of a plugin"},
		{"%onerror\n%end\n", "r:1: '%onerror' is not for the recipe of a plugin"},
		{"%traceback\n%end\n", "r:1: '%traceback' is not for the recipe of a plugin"},
		{"%include /etc/passwd\n", "r:1: %include is not possible here"},
		{"%post\n%include /etc/passwd\n%end\n", "r:2: %include is not possible here"},
		{"%ksappend http://example.com/\n", "r:1: %ksappend is not possible here"},
		{"%post\ntrue\n", "r:2: section %post of line 1 has no %end"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autoptr(plugin_recipe) r = NULL;
		struct err e = {0};

		assert_fails(plugin_recipe_parse("r", cases[i].text, strlen(cases[i].text), &r, &e),
			EINVAL, e, cases[i].error);
		assert_null(r);
	}
}

static void a_recipe_does_what_is_declared(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{"\nservices --enabled=x\n", "r:2: service 'x.service' is not in the manifest"},
		{"firewall --port=1:udp\n", "r:1: port '1:udp' is not in the manifest"},
		{"bootloader --append=b\n", "r:1: kernel argument 'b' is not in the manifest"},
		{"bootloader --append=!a\n",
			"r:1: removed kernel argument 'a' is not in the manifest"},
		{"%packages\n\nx\n%end\n", "r:3: package 'x' is not in packages/"},
	};
	static const char good[] = "bootloader --append=a\nfirewall --port=1:tcp\n";
	static const char text[] = "{" HEAD ",\"ports\":[\"1:tcp\"],"
				   "\"kernel_arguments\":{\"add\":[\"a\"]}}";
	auto_plugin_manifest m = {0};
	autoptr(plugin_recipe) fits = NULL;
	struct err e = {0};

	(void)state;
	assert_ok(plugin_draft_parse(text, strlen(text), &m, &e), e);
	assert_ok(plugin_recipe_parse("r", good, strlen(good), &fits, &e), e);
	assert_ok(plugin_recipe_check("r", fits, &m, &e), e);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autoptr(plugin_recipe) r = NULL;

		assert_ok(
			plugin_recipe_parse("r", cases[i].text, strlen(cases[i].text), &r, &e), e);
		assert_fails(plugin_recipe_check("r", r, &m, &e), EINVAL, e, cases[i].error);
	}
}

/* A tarball as an attacker would make it. */
struct part {
	const char *path, *text;
	unsigned type; /* 0: a regular file */
	const char *link, *hardlink;
};

static struct source *tarball(const struct part *parts, size_t count, char *room, size_t max)
{
	struct archive *a = archive_write_new();
	size_t used = 0;

	archive_write_set_format_ustar(a);
	archive_write_set_bytes_per_block(a, 512);
	archive_write_set_bytes_in_last_block(a, 1);
	assert_int_equal(archive_write_open_memory(a, room, max, &used), ARCHIVE_OK);
	for (size_t i = 0; i < count; i++) {
		struct archive_entry *en = archive_entry_new();
		size_t len = parts[i].text ? strlen(parts[i].text) : 0;

		archive_entry_set_pathname(en, parts[i].path);
		archive_entry_set_mode(en, (parts[i].type ? parts[i].type : S_IFREG) | 0644);
		archive_entry_set_size(en, (la_int64_t)len);
		if (parts[i].link)
			archive_entry_set_symlink(en, parts[i].link);
		if (parts[i].hardlink)
			archive_entry_set_hardlink(en, parts[i].hardlink);
		assert_int_equal(archive_write_header(a, en), ARCHIVE_OK);
		assert_int_equal(archive_write_data(a, parts[i].text, len), len);
		archive_entry_free(en);
	}
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
	return source_memory(room, used);
}

#define ROOM 65536

static int read_parts(const struct part *parts, size_t count, size_t cut, struct err *e)
{
	const struct plugin_demand demand = {0};
	autofree char *room = xcalloc(1, ROOM);
	autoptr(source) whole = tarball(parts, count, room, ROOM);
	autoptr(source) file = source_slice(whole, 0, whole->size_bytes - cut);
	auto_plugin p = {0};

	return plugin_read(file, &demand, NULL, &p, e);
}

static void a_good_tarball_is_read(void **state)
{
	static const struct part parts[] = {
		{.path = "manifest.json", .text = GOOD_MANIFEST}, {.path = "recipe.ks"}};
	struct err e = {0};

	(void)state;
	assert_ok(read_parts(parts, ARRAY_LEN(parts), 0, &e), e);
}

static void a_tarball_of_anything_else_is_refused(void **state)
{
	static const struct {
		struct part parts[4];
		const char *error;
	} cases[] = {
		{{{.path = "recipe.ks"}}, "not a plugin: it does not begin with manifest.json"},
		{{{.path = "manifest.json", .text = "{}"}}, "manifest.json: 'format' is missing"},
		{{{.path = "manifest.json", .text = GOOD_MANIFEST}, {.path = "../recipe.ks"}},
			"member '../recipe.ks': a plugin has no such path"},
		{{{.path = "manifest.json", .text = GOOD_MANIFEST}, {.path = "/recipe.ks"}},
			"member '/recipe.ks': a plugin has no such path"},
		{{{.path = "manifest.json", .text = GOOD_MANIFEST},
			 {.path = "recipe.ks", .type = S_IFLNK, .link = "/etc/passwd"}},
			"member 'recipe.ks' is not a regular file"},
		{{{.path = "manifest.json", .text = GOOD_MANIFEST},
			 {.path = "recipe.ks", .hardlink = "manifest.json"}},
			"member 'recipe.ks' is not a regular file"},
		{{{.path = "manifest.json", .text = GOOD_MANIFEST},
			 {.path = "recipe.ks", .type = S_IFCHR}},
			"member 'recipe.ks' is not a regular file"},
		{{{.path = "manifest.json", .text = GOOD_MANIFEST},
			 {.path = "recipe.ks", .type = S_IFBLK}},
			"member 'recipe.ks' is not a regular file"},
		{{{.path = "manifest.json", .text = GOOD_MANIFEST},
			 {.path = "recipe.ks", .type = S_IFIFO}},
			"member 'recipe.ks' is not a regular file"},
		{{{.path = "manifest.json", .text = GOOD_MANIFEST},
			 {.path = "tests", .type = S_IFDIR}},
			"member 'tests/': a plugin has no such path"},
		{{{.path = "manifest.json", .text = GOOD_MANIFEST}, {.path = "tests/x"}},
			"member 'tests/x' stands where 'recipe.ks' should be"},
		{{{.path = "manifest.json", .text = MANIFEST("", RECIPE_FILE("1", EMPTY_SHA256))},
			 {.path = "recipe.ks", .text = "#"}},
			"member 'recipe.ks' has a wrong checksum"},
		{{{.path = "manifest.json", .text = MANIFEST("", RECIPE_FILE("1", EMPTY_SHA256))},
			 {.path = "recipe.ks", .text = "##"}},
			"member 'recipe.ks' has 2 bytes, not 1"},
		{{{.path = "manifest.json",
			  .text = MANIFEST("", RECIPE_FILE("4294967296", EMPTY_SHA256))},
			 {.path = "recipe.ks", .text = "#"}},
			"it has 3072 bytes and should have 4294969856: it was cut off"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = {0};
		size_t count = 0;

		while (count < ARRAY_LEN(cases[i].parts) && cases[i].parts[count].path)
			count++;
		assert_fails(read_parts(cases[i].parts, count, 0, &e), EBADMSG, e, cases[i].error);
	}
}

static void a_tarball_with_more_or_less_is_refused(void **state)
{
	static const struct part twice[] = {{.path = "manifest.json", .text = GOOD_MANIFEST},
		{.path = "recipe.ks"}, {.path = "recipe.ks"}};
	static const struct part none[] = {{.path = "manifest.json", .text = GOOD_MANIFEST}};
	struct err e = {0};

	(void)state;
	assert_int_equal(read_parts(twice, 3, 0, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "and should have"));
	assert_int_equal(read_parts(none, 1, 0, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "it was cut off"));
	/* Cut at each place, in the end, in a header, in the manifest. */
	for (size_t cut = 1; cut < 2560; cut += 97)
		assert_int_equal(read_parts(twice, 2, cut, &e), -EBADMSG);
}

static void a_demanded_digest_comes_before_everything(void **state)
{
	static const uint8_t zero[SHA256_BYTES];
	static const char garbage[] = "no tarball at all";
	const struct plugin_demand demand = {.sha256 = zero};
	autoptr(source) file = source_memory(garbage, sizeof(garbage));
	auto_plugin p = {0};
	struct err e = {0};

	(void)state;
	assert_fails(plugin_read(file, &demand, NULL, &p, &e), EKEYREJECTED, e,
		"its SHA-256 digest is not the one demanded");
}

static void a_demanded_signature_comes_before_the_manifest(void **state)
{
	static const struct part parts[] = {{.path = "manifest.json", .text = "no manifest"}};
	static char trusted[] = "/etc/hostname";
	char *items[] = {trusted, NULL};
	const struct plugin_demand demand = {.trust = {.items = items, .count = 1}};
	autofree char *room = xcalloc(1, ROOM);
	autoptr(source) file = tarball(parts, 1, room, ROOM);
	auto_plugin p = {0};
	struct err e = {0};

	(void)state;
	assert_fails(plugin_read(file, &demand, NULL, &p, &e), EKEYREJECTED, e, "it is not signed");
}

static void the_template_can_be_packed(void **state)
{
	autofree char *path = xasprintf("%s/new", folder);
	autofree char *copy = xasprintf("%s/copy", folder);
	const struct plugin_pack_spec spec = {.folder = path, .output = folder};
	const struct plugin_pack_spec again = {.folder = path, .output = copy};
	const struct plugin_demand demand = {0};
	autofree char *made = NULL, *other = NULL;
	auto_plugin p = {0};
	struct err e = {0};
	uint8_t sum[2][SHA256_BYTES];

	(void)state;
	assert_ok(plugin_new("demo", path, &e), e);
	assert_ok(plugin_pack(&spec, NULL, &made, &e), e);
	assert_true(str_ends(made, "/demo-1.0.plugin"));
	assert_ok(plugin_read_path(made, &demand, NULL, &p, &e), e);
	assert_string_equal(p.manifest.name, "demo");
	assert_ok(plugin_pack(&again, NULL, &other, &e), e);
	assert_ok(sha256_file(made, sum[0], &e), e);
	assert_ok(sha256_file(other, sum[1], &e), e);
	assert_memory_equal(sum[0], sum[1], SHA256_BYTES);
	assert_int_equal(plugin_new("demo", path, &e), -EEXIST);
	assert_int_equal(plugin_new("../demo", copy, &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_manifest_is_written_as_it_was_read),
		cmocka_unit_test(what_is_wrong_in_a_manifest_is_named),
		cmocka_unit_test(a_draft_has_comments_and_no_digests),
		cmocka_unit_test(what_a_member_may_be_called),
		cmocka_unit_test(a_recipe_says_what_is_done),
		cmocka_unit_test(what_is_not_in_the_subset_is_an_error_with_its_line),
		cmocka_unit_test(a_recipe_does_what_is_declared),
		cmocka_unit_test(a_good_tarball_is_read),
		cmocka_unit_test(a_tarball_of_anything_else_is_refused),
		cmocka_unit_test(a_tarball_with_more_or_less_is_refused),
		cmocka_unit_test(a_demanded_digest_comes_before_everything),
		cmocka_unit_test(a_demanded_signature_comes_before_the_manifest),
		cmocka_unit_test(the_template_can_be_packed),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
