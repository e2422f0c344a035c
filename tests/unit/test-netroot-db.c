/* SPDX-License-Identifier: Apache-2.0 */
/* The database of a netroot tree and what may stand in it. */
#include <stdio.h>
#include <string.h>

#include "base/xalloc.h"
#include "netroot/db.h"
#include "test.h"

#define ID  "0123456789abcdef"
#define SUM "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

#define FILE_TEXT(size) "{\"sha256\":\"" SUM "\",\"size\":" #size "}"
#define IMAGE_TEXT                                                                                                     \
	"{\"bedplate\":true,\"id\":\"" ID                                                                              \
	"\",\"image\":" FILE_TEXT(3) ",\"initramfs\":" FILE_TEXT(2) ",\"initramfs_unpacked\":9,\"kernel\":" FILE_TEXT( \
		1) ",\"live_params\":\"rd.live.image\",\"params\":\"quiet a=\\\"b c\\\"\",\"release\":null,"           \
		   "\"root\":\"live:CDLABEL=X\",\"root_hash\":\"" SUM "\",\"title\":\"T\"}"
#define ENTRY_TEXT "{\"append\":\"\",\"image\":\"" ID "\",\"label\":\"L\",\"server\":\"[fe80::1]\"}"
#define HOST_TEXT                                                                                  \
	"{\"append\":\"x\",\"config\":" FILE_TEXT(                                                 \
		512) ",\"hostname\":\"n1\",\"id\":\"52:54:00:aa:bb:cc\",\"label\":\"L\"}"
#define DB_TEXT                                                                                    \
	"{\"default\":\"L\",\"entries\":[" ENTRY_TEXT "],\"hosts\":[" HOST_TEXT                    \
	"],\"images\":[" IMAGE_TEXT                                                                \
	"],\"loaders\":{\"pxelinux.0\":" FILE_TEXT(7) "},\"netroot_version\":1}"

static void what_is_written_is_read_again(void **state)
{
	autonetrootdb db = {0}, again = {0};
	struct err e = {0};

	(void)state;
	assert_ok(netroot_db_parse(DB_TEXT, strlen(DB_TEXT), &db, &e), e);
	autofree char *text = netroot_db_format(&db);
	assert_ok(netroot_db_parse(text, strlen(text), &again, &e), e);
	autofree char *text2 = netroot_db_format(&again);
	assert_string_equal(text, text2);
	assert_string_equal(db.images[0].params, "quiet a=\"b c\"");
	assert_string_equal(netroot_db_entry(&db, "L")->server, "[fe80::1]");
	assert_int_equal(netroot_db_host(&db, "52:54:00:aa:bb:cc")->config.size_bytes, 512);
	assert_null(netroot_db_host(&db, "52:54:00:aa:bb:cd"));
	assert_int_equal(db.loaders[0].file.sha256[1], 0x11);
}

/* DB_TEXT with the first `from` replaced is refused. */
static void refused(const char *from, const char *to)
{
	const char *at = strstr(DB_TEXT, from);
	autonetrootdb db = {0};
	struct err e = {0};

	assert_non_null(at);
	autofree char *text = xasprintf(
		"%.*s%s%s", (int)(at - DB_TEXT), DB_TEXT, to, at + strlen(from));
	int r = netroot_db_parse(text, strlen(text), &db, &e);
	if (r != -EBADMSG)
		fail_msg("'%s' for '%s' is %d: %s", to, from, r, e.msg);
	assert_int_equal(db.image_count, 0);
}

static void each_wrong_field_is_refused(void **state)
{
	static const char *const pairs[][2] = {
		{"{\"default\"", "{\"more\":1,\"default\""},
		{"{\"default\":\"L\"", "{\"default\":\"none\""},
		{"{\"default\":\"L\"", "{\"default\":null"},
		{"{\"default\":\"L\",", "{"},
		{"\"netroot_version\":1", "\"netroot_version\":2"},
		{"\"netroot_version\":1", "\"netroot_version\":\"1\""},
		{"\"images\":[" IMAGE_TEXT, "\"images\":[" IMAGE_TEXT "," IMAGE_TEXT},
		{"\"images\":[" IMAGE_TEXT "]", "\"images\":{}"},
		{"\"id\":\"" ID, "\"id\":\"../../../../etc/x"},
		{"\"id\":\"" ID, "\"id\":\"0123456789ABCDEF"},
		{"\"image\":\"" ID, "\"image\":\"1123456789abcdef"},
		{"\"label\":\"L\",\"server\"", "\"label\":\"../x\",\"server\""},
		{"\"label\":\"L\",\"server\"", "\"label\":\"\",\"server\""},
		{"\"entries\":[" ENTRY_TEXT, "\"entries\":[" ENTRY_TEXT "," ENTRY_TEXT},
		{"[fe80::1]", "fe80::1"},
		{"[fe80::1]", "a b"},
		{"\"label\":\"L\",\"server\"", "\"label\":\"L\",\"http\":1,\"server\""},
		/* dracut would take an ISO for the root itself. */
		{"\"label\":\"L\",\"server\"", "\"label\":\"L\",\"http\":true,\"server\""},
		{"52:54:00:aa:bb:cc", "../../x"},
		{"52:54:00:aa:bb:cc", "52:54:00:AA:BB:CC"},
		{"\"hostname\":\"n1\"", "\"hostname\":\"n 1\""},
		{"\"hostname\":\"n1\"", "\"hostname\":7"},
		{"\"append\":\"x\"", "\"append\":\"x\\nLABEL y\""},
		{"\"append\":\"x\"", "\"append\":\"x ${y}\""},
		{"\"append\":\"x\"", "\"append\":null"},
		{"quiet a=", "quiet $a="},
		{"live:CDLABEL=X", "live:CDLABEL=X y"},
		{"live:CDLABEL=X", "live:CDLABEL=X\\ny"},
		{"\"title\":\"T\"", "\"title\":\"T\\u0000\""},
		{"\"title\":\"T\"", "\"title\":\"T\\n\""},
		{"\"root_hash\":\"" SUM, "\"root_hash\":\"12"},
		{"live:CDLABEL=X\",\"root_hash\":\"" SUM "\"", "verity:1:2:3\",\"root_hash\":null"},
		{"live:CDLABEL=X", "verity:1:2:3%"},
		{"\"size\":3", "\"size\":-3"},
		{"\"size\":3", "\"size\":\"3\""},
		{"\"initramfs_unpacked\":9", "\"initramfs_unpacked\":-9"},
		{"\"pxelinux.0\"", "\"../x\""},
		{"{\"default\"", "[{\"default\""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		refused(pairs[i][0], pairs[i][1]);
}

/* Each host has files with all entries, so 8 MiB could become tens of GB. */
static void too_much_for_all_hosts_is_refused(void **state)
{
	autonetrootdb db = {0}, again = {0};
	struct err e = {0};

	(void)state;
	assert_ok(netroot_db_parse(DB_TEXT, strlen(DB_TEXT), &db, &e), e);
	while (db.entry_count < 100) {
		struct netroot_entry *en = netroot_db_add_entry(&db);

		en->label = xasprintf("l%zu", db.entry_count);
		en->image = xstrdup(ID);
		en->append = xstrdup("");
	}
	while (db.host_count < 1001) {
		struct netroot_host *h = netroot_db_add_host(&db);

		snprintf(h->id, sizeof(h->id), "52:54:00:00:%02zx:%02zx", db.host_count / 256,
			db.host_count % 256);
		h->label = xstrdup("L");
		h->append = xstrdup("");
	}
	autofree char *text = netroot_db_format(&db);
	assert_int_equal(netroot_db_parse(text, strlen(text), &again, &e), -EBADMSG);
	assert_string_equal(e.msg, "1001 hosts with 100 entries each are more than 100000");
	netroot_db_drop_host(&db, &db.hosts[1000]);
	autofree char *less = netroot_db_format(&db);
	assert_ok(netroot_db_parse(less, strlen(less), &again, &e), e);
}

static void labels(void **state)
{
	static const char *const good[] = {"a", "node-1.0_x", "_", "0.1"};
	static const char *const bad[] = {"", "-a", ".a", "a b", "a/b", "\xc3\xa4", "a\n"};
	autofree char *longest = xasprintf("%064d", 0);
	autofree char *longer = xasprintf("%065d", 0);
	struct err e = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_ok(netroot_label_check(good[i], &e), e);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(netroot_label_check(bad[i], &e), -EINVAL);
	assert_ok(netroot_label_check(longest, &e), e);
	assert_int_equal(netroot_label_check(longer, &e), -EINVAL);
}

static void parameters_and_names(void **state)
{
	static const char *const bad_params[] = {"a'b", "a`b", "a\\b", "$a", "a;b", "a|b", "a\tb",
		"a\nb", "\xc3\xa4", "a && b", "a=\"b", "a{b}", "#a", "a #b", "a=\"b #c\""};
	static const char *const bad_names[] = {"", "-a", "a-", "a..b", "a_b", "a b"};
	static const char *const bad_servers[] = {"", "-a", "a:b", "[", "[x::1]", "a b", "::1",
		"a:0", "a:65536", "a:1x", "a,", ",a", "a,,b", "a:", "1,2,3,4,5,6,7,8,9", "a,b c"};
	struct err e = {0};

	(void)state;
	assert_ok(netroot_params_check("a=\"b c\" d=1,2:3/4@5&6#7 e", &e), e);
	for (size_t i = 0; i < ARRAY_LEN(bad_params); i++)
		assert_int_equal(netroot_params_check(bad_params[i], &e), -EINVAL);
	assert_ok(netroot_hostname_check("n1.example", &e), e);
	for (size_t i = 0; i < ARRAY_LEN(bad_names); i++)
		assert_int_equal(netroot_hostname_check(bad_names[i], &e), -EINVAL);
	assert_ok(netroot_server_check("192.0.2.1", &e), e);
	assert_ok(netroot_server_check("[2001:db8::1]", &e), e);
	assert_ok(netroot_server_check("a:1,[::1]:65535,192.0.2.1", &e), e);
	assert_true(netroot_server_is_plain("[::1]"));
	assert_true(netroot_server_is_plain("a.example"));
	assert_false(netroot_server_is_plain("a:1"));
	assert_false(netroot_server_is_plain("a,b"));
	for (size_t i = 0; i < ARRAY_LEN(bad_servers); i++)
		assert_int_equal(netroot_server_check(bad_servers[i], &e), -EINVAL);
}

static void hosts(void **state)
{
	static const char *const bad[] = {"", "52:54:00:aa:bb", "52:54:00:aa:bb:cc:dd",
		"52:54-00:aa:bb:cc", "5254:00:aa:bb:cc:dd", "52:54:00:aa:bb:cg",
		"0123abcd-0000-1111-2222-33334444555", "../../../../../../../../../../etc/x"};
	char id[NETROOT_HOST_ID_BYTES];
	struct err e = {0};

	(void)state;
	assert_ok(netroot_host_id_parse("52-54-00-AA-bb-CC", id, &e), e);
	assert_string_equal(id, "52:54:00:aa:bb:cc");
	assert_ok(netroot_host_id_parse("0123ABCD-0000-1111-2222-333344445555", id, &e), e);
	assert_string_equal(id, "0123abcd-0000-1111-2222-333344445555");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(netroot_host_id_parse(bad[i], id, &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_again),
		cmocka_unit_test(each_wrong_field_is_refused),
		cmocka_unit_test(too_much_for_all_hosts_is_refused),
		cmocka_unit_test(labels),
		cmocka_unit_test(parameters_and_names),
		cmocka_unit_test(hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
