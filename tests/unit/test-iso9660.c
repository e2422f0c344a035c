/* SPDX-License-Identifier: Apache-2.0 */
/* Files of ISOs as xorriso writes them, and of damaged ones. */
#include <fcntl.h>
#include <string.h>

#include "base/cmd.h"
#include "fmt/iso9660.h"
#include "folder.h"

#define SECTOR   2048
#define BIG_SIZE (3 * MIB + 5)

static void run(const char *script)
{
	struct err e = {0};
	autocmd c = {.cwd = folder};

	cmd_add(&c, "sh", "-euc", script, NULL);
	assert_ok(cmd_run(&c, &e), e);
}

static int set_up(void **state)
{
	make_folder(state);
	run("mkdir -p t/LiveOS t/many; seq 1000000 | head -c 3145733 >t/LiveOS/squashfs.img\n"
	    "echo plain >t/LiveOS/manifest.json; echo sig >t/LiveOS/manifest.json.sig\n"
	    ": >t/LiveOS/empty\n"
	    "long=$(printf 'n%.0s' $(seq 240)); echo long >t/many/$long\n"
	    "for i in $(seq 300); do echo $i >t/many/file-number-$i; done\n"
	    "xorriso -as mkisofs -quiet -o rock.iso -V ROCK -r t 2>/dev/null\n"
	    "xorriso -as mkisofs -quiet -o plain.iso -V PLAIN --norock -full-iso9660-filenames t 2>/dev/null\n"
	    "xorriso -as mkisofs -quiet -o offset.iso -V O -r -partition_offset 16 t 2>/dev/null\n");
	return 0;
}

static struct source *open_iso(const char *name)
{
	autofree char *path = xasprintf("%s/%s", folder, name);
	struct source *iso = NULL;
	struct err e = {0};

	assert_ok(source_open_path(path, &iso, &e), e);
	return iso;
}

static char *text_of(struct source *iso, const char *path)
{
	autoptr(source) s = NULL;
	struct err e = {0};

	assert_ok(iso9660_open(iso, path, &s, &e), e);
	char *text = xcalloc(1, (size_t)s->size_bytes + 1);
	assert_ok(source_read_at(s, text, (size_t)s->size_bytes, 0, &e), e);
	return text;
}

static void files_are_found(void **state)
{
	static const char *const names[] = {"rock.iso", "offset.iso"};
	autofree char *long_path = xasprintf("many/%0240d", 0);

	(void)state;
	memset(long_path + 5, 'n', 240);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		autoptr(source) iso = open_iso(names[i]);
		autofree char *json = text_of(iso, "LiveOS/manifest.json");
		autofree char *sig = text_of(iso, "/LiveOS//manifest.json.sig");
		autofree char *empty = text_of(iso, "LiveOS/empty");
		autofree char *far = text_of(iso, "many/file-number-299");
		autofree char *continued = text_of(iso, long_path);

		assert_true(iso9660_is(iso));
		assert_string_equal(json, "plain\n");
		assert_string_equal(sig, "sig\n");
		assert_string_equal(empty, "");
		assert_string_equal(far, "299\n");
		assert_string_equal(continued, "long\n");
	}
}

static void content_is_whole(void **state)
{
	autoptr(source) iso = open_iso("rock.iso");
	autofree char *text = text_of(iso, "LiveOS/squashfs.img");
	autofree char *path = xasprintf("%s/t/LiveOS/squashfs.img", folder);
	autofree char *want = NULL;
	struct err e = {0};

	(void)state;
	assert_ok(file_read(path, 4 * MIB, &want, NULL, &e), e);
	assert_int_equal(strlen(want), BIG_SIZE);
	assert_string_equal(text, want);
}

static void plain_names_are_in_either_case(void **state)
{
	autoptr(source) iso = open_iso("plain.iso");
	autofree char *a = text_of(iso, "LiveOS/manifest.json");
	autofree char *b = text_of(iso, "LIVEOS/EMPTY");

	(void)state;
	assert_string_equal(a, "plain\n");
	assert_string_equal(b, "");
}

static int refusal(struct source *iso, const char *path, struct err *e)
{
	autoptr(source) s = NULL;

	return iso9660_open(iso, path, &s, e);
}

static void what_is_not_there(void **state)
{
	autoptr(source) iso = open_iso("rock.iso");
	autoptr(source) none = source_memory("CD001", 5);
	struct err e = {0};

	(void)state;
	assert_fails(refusal(iso, "LiveOS/none", &e), ENOENT, e, "there is no 'none'");
	assert_fails(refusal(iso, "none/squashfs.img", &e), ENOENT, e, "there is no folder 'none'");
	assert_fails(refusal(iso, "LiveOS/squashfs.img/x", &e), ENOENT, e,
		"there is no folder 'squashfs.img'");
	assert_fails(refusal(iso, "LiveOS", &e), EISDIR, e, "'LiveOS' is a folder");
	/* Rock Ridge tells cases apart. */
	assert_int_equal(refusal(iso, "liveos/manifest.json", &e), -ENOENT);
	assert_int_equal(refusal(iso, "LiveOS/..", &e), -ENOENT);
	assert_int_equal(refusal(iso, "", &e), -ENOENT);
	assert_false(iso9660_is(none));
	assert_int_equal(refusal(none, "x", &e), -EINVAL);
}

/* The whole of an ISO in memory, to be changed. */
static char *load(const char *name, size_t *len)
{
	autofree char *path = xasprintf("%s/%s", folder, name);
	char *data = NULL;
	struct err e = {0};

	assert_ok(file_read(path, 64 * MIB, &data, len, &e), e);
	return data;
}

static void a_cut_iso_is_refused(void **state)
{
	size_t len;
	autofree char *data = load("rock.iso", &len);
	struct err e = {0};

	(void)state;
	for (size_t n = 0; n < 64 * (size_t)SECTOR; n += 512) {
		autofree char *exact = xmemdup(data, n);
		autoptr(source) iso = source_memory(exact, n);

		assert_true(refusal(iso, "LiveOS/squashfs.img", &e) < 0);
	}
}

static void put32(uint8_t *at, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		at[i] = (uint8_t)(v >> 8 * i);
}

/* One file as two extents, which is what a file of 4 GiB and more looks like. */
static void extents_are_joined(void **state)
{
	size_t len;
	autofree char *data = load("plain.iso", &len);
	char *name = memmem(data, len, "SQUASHFS.IMG;1", 14);
	struct err e = {0};

	(void)state;
	assert_non_null(name);
	uint8_t *first = (uint8_t *)name - 33;
	uint8_t *second = first + first[0];
	uint32_t block = (uint32_t)first[2] | (uint32_t)first[3] << 8 | (uint32_t)first[4] << 16;
	/* It is the last record of its folder, so there is room behind it. */
	assert_int_equal(*second, 0);
	memcpy(second, first, first[0]);
	first[25] |= 0x80;
	put32(first + 10, SECTOR);
	put32(second + 2, block + 1);
	put32(second + 10, BIG_SIZE - SECTOR);
	autoptr(source) iso = source_memory(data, len);
	autofree char *text = text_of(iso, "LiveOS/squashfs.img");
	assert_memory_equal(text, data + (size_t)block * SECTOR, BIG_SIZE);

	memset(second, 0, first[0]);
	assert_fails(refusal(iso, "LiveOS/squashfs.img", &e), EBADMSG, e,
		"the ISO 9660 file system is damaged: a file lacks its last extent");
	first[25] &= 0x7f;
	put32(first + 2, (uint32_t)(len / SECTOR));
	assert_fails(refusal(iso, "LiveOS/squashfs.img", &e), EBADMSG, e,
		"the ISO 9660 file system is damaged: a file lies behind its end, it was cut off");
}

static void the_names_that_a_kernel_finds_it_by(void **state)
{
	autoptr(source) iso = open_iso("rock.iso");
	autoptr(source) none = source_memory("CD001", 5);
	struct iso9660_id id = {0};
	struct err e = {0};

	(void)state;
	run("xorriso -as mkisofs -quiet -o id.iso -V 'A LABEL' --modification-date=2026013110203040 -r t "
	    "2>/dev/null");
	assert_ok(iso9660_identify(iso, &id, &e), e);
	assert_string_equal(id.label, "ROCK");
	assert_int_equal(strlen(id.uuid), 22);
	assert_int_equal(id.size_bytes, iso->size_bytes);
	autoptr(source) dated = open_iso("id.iso");
	assert_ok(iso9660_identify(dated, &id, &e), e);
	assert_string_equal(id.label, "A LABEL");
	assert_string_equal(id.uuid, "2026-01-31-10-20-30-40");
	assert_fails(
		iso9660_identify(none, &id, &e), EINVAL, e, "there is no ISO 9660 file system");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_found),
		cmocka_unit_test(the_names_that_a_kernel_finds_it_by),
		cmocka_unit_test(content_is_whole),
		cmocka_unit_test(plain_names_are_in_either_case),
		cmocka_unit_test(what_is_not_there),
		cmocka_unit_test(a_cut_iso_is_refused),
		cmocka_unit_test(extents_are_joined),
	};

	return cmocka_run_group_tests(tests, set_up, drop_folder);
}
