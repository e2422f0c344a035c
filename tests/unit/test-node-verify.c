/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cmd.h"
#include "base/json.h"
#include "boot/entry-manifest.h"
#include "boot/entry.h"
#include "folder.h"
#include "image/manifest.h"
#include "image/sign.h"
#include "node-scene.h"
#include "upgrade/base-view.h"
#include "upgrade/verify.h"

#define OTHER_HASH "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

/* ---- bases ---- */

static void a_base_is_known_by_its_tag_and_an_entry(void **state)
{
	autonodestate s = {0};
	struct base_ref b;
	struct err e = {0};
	char hash[SHA256_HEX_BYTES];

	(void)state;
	scene_healthy(&s);
	scene_add_lv(&s, "node-1.1", LVM_TAG_BASE " bedplate:verity:4096:8192:2");
	scene_add_entry(&s, "node-1.10+1", SCENE_HASH);
	scene_add_entry(&s, "node-1.1+3", OTHER_HASH);
	assert_ok(base_ref_find(&s, "node-1.1", &b, &e), e);
	hex_format(b.root_hash, sizeof(b.root_hash), hash);
	assert_string_equal(hash, OTHER_HASH);
	assert_string_equal(b.name, "node-1.1");
	assert_int_equal(b.verity.hash_offset, 4096);
	assert_int_equal(b.verity.fec_offset, 8192);
	assert_int_equal(b.verity.fec_roots, 2);
	assert_false(b.running);

	/* The running one is what the kernel was told, whatever its entry says by now. */
	scene_set(&s.boot.entries.items[0].cmd_line, "bedplate.roothash=" OTHER_HASH);
	assert_ok(base_ref_find(&s, "node-1.2", &b, &e), e);
	hex_format(b.root_hash, sizeof(b.root_hash), hash);
	assert_string_equal(hash, SCENE_HASH);
	assert_true(b.running);
}

static void bases_that_cannot_be_opened(void **state)
{
	static const struct {
		const char *name, *tags;
		int code;
	} cases[] = {
		{"node-2", LVM_TAG_BASE " bedplate:verity:1:0:0", ENOKEY},
		{"node-3", LVM_TAG_BASE, EBADMSG},
		{"node-3", LVM_TAG_BASE " bedplate:verity:1:0", EBADMSG},
		{"node-3", LVM_TAG_BASE " bedplate:verity:1:0:0:0", EBADMSG},
		{"node-3", LVM_TAG_BASE " bedplate:verity:-1:0:0", EBADMSG},
		{"node-3", LVM_TAG_BASE " bedplate:verity:1:5:99", EBADMSG},
		{"node-3", LVM_TAG_BASE " bedplate:verity:99999999999999999999:0:0", EBADMSG},
		{"node-3", LVM_TAG_LAYER " bedplate:verity:1:0:0", ENOENT},
		{"node-4", LVM_TAG_BASE " bedplate:verity:1:0:0", EBADMSG},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autonodestate s = {0};
		struct base_ref b;
		struct err e = {0};

		scene_healthy(&s);
		scene_add_lv(&s, cases[i].name, cases[i].tags);
		scene_add_entry(&s, "node-3+1", OTHER_HASH);
		scene_add_entry(&s, "node-4+1", "12");
		assert_int_equal(base_ref_find(&s, cases[i].name, &b, &e), -cases[i].code);
	}
}

#define TABLE_START "0 98304 verity 1 253:3 253:3 4096 4096 12288 12289 sha256 "
#define TABLE_FEC   " 9 use_fec_from_device 253:3 fec_blocks 12000 fec_start 12500 fec_roots 2 x"

static void a_second_device_is_like_the_first(void **state)
{
	static const struct {
		const char *table, *corrected, *plain; /* NULL: refused */
		int code;
	} cases[] = {
		{TABLE_START SCENE_HASH " 00" TABLE_FEC "\n",
			TABLE_START SCENE_HASH " 00" TABLE_FEC, TABLE_START SCENE_HASH " 00", 0},
		{TABLE_START SCENE_HASH " -\n", TABLE_START SCENE_HASH " -",
			TABLE_START SCENE_HASH " -", 0},
		{TABLE_START OTHER_HASH " 00\n", NULL, NULL, EKEYREJECTED},
		{TABLE_START "00 00\n", NULL, NULL, EKEYREJECTED},
		{TABLE_START SCENE_HASH "\n", NULL, NULL, EBADMSG},
		{"0 98304 linear 253:3 0\n", NULL, NULL, EBADMSG},
		{"", NULL, NULL, EBADMSG},
	};
	uint8_t hash[SHA256_BYTES];
	struct err e = {0};

	(void)state;
	assert_ok(hex_parse(SCENE_HASH, hash, sizeof(hash), &e), e);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autofree char *a = xstrdup(cases[i].table), *b = xstrdup(cases[i].table);

		assert_int_equal(base_ref_table(a, hash, true, &e), -cases[i].code);
		assert_int_equal(base_ref_table(b, hash, false, &e), -cases[i].code);
		if (cases[i].code == 0) {
			assert_string_equal(a, cases[i].corrected);
			assert_string_equal(b, cases[i].plain);
		}
	}
}

/* ---- the kept manifest ---- */

static char *key, *cert, *stranger;

static int make_keys(void **state)
{
	static const char script[] =
		"for name in ours theirs; do openssl req -x509 -newkey ec -pkeyopt "
		"ec_paramgen_curve:P-256 -nodes -keyout $name.key -out $name.pem -days 9 "
		"-subj /CN=$name; done";
	autocmd c = {0};
	struct err e = {0};

	make_folder(state);
	c.cwd = folder;
	cmd_add(&c, "sh", "-euc", script, NULL);
	assert_ok(cmd_run(&c, &e), e);
	key = xasprintf("%s/ours.key", folder);
	cert = xasprintf("%s/ours.pem", folder);
	stranger = xasprintf("%s/theirs.pem", folder);
	return 0;
}

static int drop_keys(void **state)
{
	free(key);
	free(cert);
	free(stranger);
	return drop_folder(state);
}

static char *manifest_text(const char *version, const char *hash)
{
	automanifest m = {
		.name = xstrdup("node"),
		.version = xstrdup(version),
		.arch = xstrdup("amd64"),
		.rootfs_type = xstrdup("squashfs-ext4"),
		.liveimg = {xstrdup("node.squashfs.img"), 4096, {0}},
		.rootfs = {xstrdup("LiveOS/rootfs.img"), 16384, {0}},
		.verity = {true, {0}, 8192, 8192, xstrdup(""), 0, 0},
		.tool = xstrdup("test"),
	};
	struct manifest_kernel *k = manifest_add_kernel(&m);
	struct err e = {0};

	k->release = xstrdup("6.1");
	k->kernel_bytes = k->initramfs_bytes = 1;
	assert_ok(hex_parse(hash, m.verity.root_hash, SHA256_BYTES, &e), e);
	return manifest_format(&m);
}

struct manifest_case {
	const char *version, *hash; /* of the manifest */
	bool is_signed, is_changed; /* after it was signed */
	const char *anchor;         /* certificate, NULL: none */
	uint64_t data_bytes;
	enum verify_status status;
	enum verify_signature signature;
	const char *reason; /* what it begins with, or NULL */
};

static void check_case(const struct manifest_case *c)
{
	struct verified_base b = {.name = xstrdup("node-1.2"), .root_hash = SCENE_HASH};
	autobootmanifest m = {.text = manifest_text(c->version, c->hash)};
	autostrv anchors = {0};
	struct err e = {0};

	m.len = strlen(m.text);
	if (c->anchor)
		strv_add(&anchors, c->anchor);
	if (c->is_signed)
		assert_ok(sign_data(m.text, m.len, key, cert, &m.sig, &m.sig_len, &e), e);
	if (c->is_changed)
		m.text[m.len - 1] = ' ';
	verify_manifest(&b, &m, &anchors, c->data_bytes);
	assert_int_equal(b.status, c->status);
	assert_int_equal(b.signature, c->signature);
	if (c->reason && (!b.reason || !str_starts(b.reason, c->reason)))
		fail_msg("expected '%s', got '%s'", c->reason, b.reason ? b.reason : "");
	if (!c->reason)
		assert_null(b.reason);
	if (c->signature == VERIFY_SIGNED)
		assert_string_equal(b.signer, "/CN=ours");
	free(b.name);
	free(b.reason);
	free(b.signer);
}

static void manifests_are_held_against_bases(void **state)
{
	const struct manifest_case cases[] = {
		{"1.2", SCENE_HASH, true, false, cert, 8192, VERIFY_OK, VERIFY_SIGNED, NULL},
		{"1.2", SCENE_HASH, true, false, cert, 0, VERIFY_OK, VERIFY_SIGNED, NULL},
		{"1.2", SCENE_HASH, true, false, NULL, 8192, VERIFY_OK, VERIFY_UNCHECKED, NULL},
		{"1.2", SCENE_HASH, false, false, NULL, 8192, VERIFY_OK, VERIFY_UNSIGNED, NULL},
		{"1.2", SCENE_HASH, false, false, cert, 8192, VERIFY_WARN, VERIFY_UNSIGNED,
			"its image is not signed"},
		{"1.2", SCENE_HASH, true, true, cert, 8192, VERIFY_FAILED, VERIFY_WRONG,
			"signature of its manifest: "},
		{"1.2", SCENE_HASH, true, false, stranger, 8192, VERIFY_FAILED, VERIFY_WRONG,
			"signature of its manifest: "},
		{"1.2", OTHER_HASH, true, false, cert, 8192, VERIFY_FAILED, VERIFY_SIGNED,
			"its root hash is not that of the manifest"},
		{"1.2", OTHER_HASH, false, false, cert, 8192, VERIFY_FAILED, VERIFY_UNSIGNED,
			"its root hash is not that of the manifest"},
		{"1.3", SCENE_HASH, true, false, cert, 8192, VERIFY_FAILED, VERIFY_SIGNED,
			"the manifest is that of 'node-1.3'"},
		{"1.2", SCENE_HASH, true, false, cert, 4096, VERIFY_FAILED, VERIFY_SIGNED,
			"dm-verity covers 4096 bytes of it, 8192 by the manifest"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		check_case(&cases[i]);
}

static void no_manifest_at_all(void **state)
{
	struct verified_base b = {.name = xstrdup("node-1.2"), .root_hash = SCENE_HASH};
	autobootmanifest m = {.text = xstrdup("{}"), .len = 2};
	const struct strv anchors = {0};

	(void)state;
	verify_manifest(&b, &m, &anchors, 0);
	assert_int_equal(b.status, VERIFY_FAILED);
	assert_true(str_starts(b.reason, "manifest: "));
	free(b.name);
	free(b.reason);
}

/* ---- what is said ---- */

static void text_and_json(void **state)
{
	struct verified_base bases[] = {
		{.name = (char[]){"node-1.1"},
			.status = VERIFY_FAILED,
			.reason = (char[]){"it is damaged: block 3"},
			.root_hash = OTHER_HASH,
			.signature = VERIFY_NO_MANIFEST},
		{.name = (char[]){"node-1.2"},
			.running = true,
			.bytes = 64 * MIB,
			.root_hash = SCENE_HASH,
			.signature = VERIFY_SIGNED,
			.signer = (char[]){"/CN=ours"}},
	};
	struct overridden_file files[] = {
		{DIFF_CHANGED, (char[]){"/usr/bin/x\n"}, (char[]){"content, mode"}},
		{DIFF_REMOVED, (char[]){"/usr/bin/y"}, (char[]){""}},
	};
	struct verify_result v = {.status = VERIFY_FAILED,
		.bases = bases,
		.base_count = 2,
		.layer = (char[]){"node-1.2+1"},
		.files = files,
		.file_count = 2};
	autostrbuf text = {0};

	(void)state;
	verify_text(&v, &text);
	assert_string_equal(text.data,
		"Base node-1.1: FAILED - it is damaged: block 3\n"
		"  no manifest\n"
		"Base node-1.2 (running): OK\n"
		"  64.0 MiB verified, root hash " SCENE_HASH "\n"
		"  signed by /CN=ours\n"
		"Layer node-1.2+1: WARN - it overrides files of the base: 2\n"
		"  ~ /usr/bin/x\\x0a (content, mode)\n"
		"  - /usr/bin/y\n");
	json_t *j = verify_json(&v);
	autofree char *got = json_dumps(j, JSON_SORT_KEYS | JSON_COMPACT);
	json_decref(j);
	assert_string_equal(got,
		"{\"bases\":["
		"{\"name\":\"node-1.1\",\"reason\":\"it is damaged: block 3\","
		"\"root_hash\":\"" OTHER_HASH "\",\"running\":false,\"signature\":\"no-manifest\","
		"\"signer\":null,\"status\":\"failed\",\"verified_size\":0},"
		"{\"name\":\"node-1.2\",\"reason\":null,"
		"\"root_hash\":\"" SCENE_HASH "\",\"running\":true,\"signature\":\"signed\","
		"\"signer\":\"/CN=ours\",\"status\":\"ok\",\"verified_size\":67108864}],"
		"\"layer\":{\"name\":\"node-1.2+1\",\"overridden\":["
		"{\"change\":\"changed\",\"path\":\"/usr/bin/x\\n\",\"what\":\"content, mode\"},"
		"{\"change\":\"removed\",\"path\":\"/usr/bin/y\",\"what\":null}],"
		"\"status\":\"warn\"},\"schema\":1,\"status\":\"failed\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_base_is_known_by_its_tag_and_an_entry),
		cmocka_unit_test(bases_that_cannot_be_opened),
		cmocka_unit_test(a_second_device_is_like_the_first),
		cmocka_unit_test(manifests_are_held_against_bases),
		cmocka_unit_test(no_manifest_at_all),
		cmocka_unit_test(text_and_json),
	};

	return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
