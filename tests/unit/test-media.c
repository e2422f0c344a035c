/* SPDX-License-Identifier: Apache-2.0 */
/* Menu text, labels, lists of checksums, the compressed initramfs. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "boot/compress.h"
#include "folder.h"
#include "media/media-tree.h"
#include "media/menu.h"
#include "media/sums.h"

static char *params(const char *text)
{
	struct strbuf b = {0};

	menu_add_params(&b, text);
	return strbuf_take(&b);
}

static void params_are_words_of_grub(void **state)
{
	static const struct {
		const char *in, *want;
	} cases[] = {
		{"", ""},
		{"  quiet \t console=ttyS0,115200  ", " quiet console=ttyS0,115200"},
		{"a=$root", " 'a=$root'"},
		{"a;reboot", " 'a;reboot'"},
		{"x='y'", " 'x='\\''y'\\'''"},
		{"dyndbg=\"file a +p\" b", " 'dyndbg=file a +p' b"},
		{"open=\"never closed", " 'open=never closed'"},
		{"a\nb", " a b"},
		{"\"\"", " ''"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autofree char *got = params(cases[i].in);

		assert_string_equal(got, cases[i].want);
	}
}

static const struct menu_image example = {
	.kernel = "/images/pxeboot/vmlinuz",
	.initramfs = "/images/pxeboot/initrd.img",
	.root = "root=live:CDLABEL=NODE",
	.params = "quiet",
	.check = true,
};

static bool has_line(const char *text, const char *line)
{
	autofree char *copy = xstrdup(text);
	char *rest = copy;

	for (char *l; (l = str_next_word(&rest, "\n"));)
		if (str_eq(str_trim(l), line))
			return true;
	return false;
}

static void every_entry_is_there(void **state)
{
	autofree char *text = menu_entries(&example);

	(void)state;
	assert_true(has_line(text, "menuentry 'Install' --id install {"));
	assert_true(has_line(text, "menuentry 'Install (serial console)' --id install-serial {"));
	assert_true(has_line(text, "menuentry 'Upgrade' --id upgrade {"));
	assert_true(has_line(text, "menuentry 'Reinstall' --id reinstall {"));
	assert_true(has_line(text, "menuentry 'Uninstall' --id uninstall {"));
	assert_true(has_line(text, "menuentry 'Live' --id live {"));
	assert_true(has_line(text, "menuentry 'Check this medium' --id check {"));
	assert_true(has_line(
		text, "linux '/images/pxeboot/vmlinuz' quiet root=live:CDLABEL=NODE install"));
	assert_true(has_line(text,
		"linux '/images/pxeboot/vmlinuz' quiet root=live:CDLABEL=NODE install "
		"console=tty0 console=ttyS0,115200"));
	assert_true(has_line(text, "linux '/images/pxeboot/vmlinuz' quiet root=live:CDLABEL=NODE"));
	assert_true(has_line(text,
		"linux '/images/pxeboot/vmlinuz' quiet root=live:CDLABEL=NODE bedplate.check"));
}

static void kickstart_goes_to_installs_only(void **state)
{
	struct menu_image image = example;
	size_t count = 0;

	(void)state;
	image.kickstart = "inst.ks=hd:LABEL=NODE:/ks.cfg";
	image.params = "console=tty0 console=ttyS0,9600";
	image.check = false;
	autofree char *text = menu_entries(&image);
	for (const char *p = text; (p = strstr(p, " inst.ks=hd:LABEL=NODE:/ks.cfg\n")); p++)
		count++;
	assert_int_equal(count, 3); /* both installs and the reinstall; own serial console kept */
	assert_null(strstr(text, "115200"));
	assert_null(strstr(text, "check"));
}

static void head_and_redirect(void **state)
{
	autofree char *head = menu_head("NODE-1", "install", 10);
	autofree char *net = menu_head(NULL, "live", 0);
	autofree char *redirect = menu_redirect("NODE-1", "/boot/grub");

	(void)state;
	assert_true(has_line(head, "search --no-floppy --set=root --label 'NODE-1'"));
	assert_true(has_line(head, "set default='install'"));
	assert_true(has_line(head, "set timeout=10"));
	assert_true(has_line(net, "set timeout=0"));
	assert_null(strstr(net, "search"));
	assert_true(has_line(redirect, "set prefix=($root)/boot/grub"));
}

static void ipxe_script(void **state)
{
	struct menu_image image = example;

	(void)state;
	image.check = false;
	image.kernel = "images/pxeboot/vmlinuz";
	image.kickstart = "inst.ks=http://h/ks.cfg";
	autofree char *text = menu_ipxe(&image, "node 1", "install", 10);
	assert_true(str_starts(text, "#!ipxe\n"));
	assert_true(has_line(text, "choose --default install --timeout 10000 entry || exit"));
	assert_true(has_line(text, "set words install inst.ks=http://h/ks.cfg"));
	assert_true(has_line(text,
		"kernel images/pxeboot/vmlinuz initrd=initrd.img quiet "
		"root=live:CDLABEL=NODE ${words} || goto failed"));
}

static char *label(const char *id, const char *given, size_t max, int want, struct err *e)
{
	const struct media_spec spec = {.label = given};
	autofree char *copy = xstrdup(id);
	const struct media m = {.spec = &spec, .id = copy};
	char *out = NULL;

	assert_int_equal(media_label(&m, max, &out, e), want);
	return out;
}

static void labels(void **state)
{
	struct err e = {0};
	autofree char *own = label("node-ng_4.5~rc1", NULL, 32, 0, &e);
	autofree char *cut = label("minimal-test-1", NULL, 11, 0, &e);
	autofree char *given = label("node", "MY_NODE-1", 11, 0, &e);

	(void)state;
	assert_string_equal(own, "NODE-NG_4-5-RC1");
	assert_string_equal(cut, "MINIMAL-TES");
	assert_string_equal(given, "MY_NODE-1");
	assert_null(label("node", "my node", 32, -EINVAL, &e));
	assert_string_equal(
		e.msg, "bad label 'my node': 1 to 32 of A-Z, 0-9, '_' and '-' are possible here");
	assert_null(label("node", "TWELVE-CHARS", 11, -EINVAL, &e));
	assert_null(label("node", "", 11, -EINVAL, &e));
	assert_null(label("node", "A\nB", 11, -EINVAL, &e));
}

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void sums_come_back(void **state)
{
	const char *text = HEX_A "  b c\n" HEX_B " *a\n";
	struct err e = {0};
	autosums s = {0};

	(void)state;
	assert_ok(sums_parse(text, strlen(text), &s, &e), e);
	assert_int_equal(s.count, 2);
	assert_non_null(sums_find(&s, "b c"));
	assert_null(sums_find(&s, "b"));
	autofree char *again = sums_format(&s);
	assert_string_equal(again, HEX_B "  a\n" HEX_A "  b c\n");
}

static void bad_sums_are_refused(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"", "it is no list of checksums"},
		{HEX_A "  a", "it is no list of checksums"},
		{HEX_A "  a\n\n", "line 2 is no checksum"},
		{HEX_A " a\n", "line 1 is no checksum"},
		{HEX_A "  \n", "line 1 is no checksum"},
		{"g" HEX_A "  a\n", "line 1 is no checksum"},
		{HEX_A "  a\n" HEX_B "  a\n", "'a' is in it twice"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = {0};
		autosums s = {0};

		assert_fails(sums_parse(cases[i].text, strlen(cases[i].text), &s, &e), EBADMSG, e,
			cases[i].want);
	}
}

/* One file of a cpio archive in the "newc" format. */
static void add_cpio(struct strbuf *b, const char *name, const char *data, size_t len)
{
	strbuf_printf(b, "070701%048d%08zx%032d%08zx%08d%s", 0, len, 0, strlen(name) + 1, 0, name);
	strbuf_putc(b, '\0');
	while (b->len % 4)
		strbuf_putc(b, '\0');
	strbuf_add(b, data, len);
	while (b->len % 4)
		strbuf_putc(b, '\0');
}

static char *compressed(const struct strbuf *in, size_t *len)
{
	autofree char *path = xasprintf("%s/out", folder);
	autoptr(source) s = source_memory(in->data, in->len);
	struct err e = {0};
	char *out = NULL;

	unlink(path);
	autofd int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_ok(initramfs_compress(s, INITRAMFS_SMALL, fd, NULL, &e), e);
	assert_ok(file_read(path, 64 * MIB, &out, len, &e), e);
	return out;
}

static void cpio_is_compressed(void **state)
{
	size_t len = 0, again_len = 0;
	autofree char *data = xcalloc(1, 3 * MIB);
	autofree char *back = xcalloc(1, 4 * MIB);
	autostrbuf in = {0};

	(void)state;
	for (size_t i = 0; i < 3 * MIB; i++)
		data[i] = (char)(i * i >> 7);
	add_cpio(&in, "etc/file", data, 3 * MIB);
	add_cpio(&in, "TRAILER!!!", "", 0);
	strbuf_add(&in, back, 512);
	autofree char *out = compressed(&in, &len);
	autofree char *again = compressed(&in, &again_len);
	assert_memory_equal(out, "\x28\xb5\x2f\xfd", 4);
	assert_int_equal(len, again_len);
	assert_memory_equal(out, again, len);
	assert_int_equal(ZSTD_decompress(back, 4 * MIB, out, len), in.len);
	assert_memory_equal(back, in.data, in.len);
}

static void what_is_not_cpio_is_copied(void **state)
{
	static const char gzip[] = "\x1f\x8b\x08 and so on, compressed already";
	autostrbuf early = {0}, plain = {0}, cut = {0};
	struct strbuf *const all[] = {&early, &plain, &cut};

	(void)state;
	add_cpio(&early, "kernel/x86/microcode/x.bin", "12345", 5);
	add_cpio(&early, "TRAILER!!!", "", 0);
	strbuf_add(&early, gzip, sizeof(gzip));
	strbuf_add(&plain, gzip, sizeof(gzip));
	strbuf_puts(&cut, "070701 but no header");
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		size_t len = 0;
		autofree char *out = compressed(all[i], &len);

		assert_int_equal(len, all[i]->len);
		assert_memory_equal(out, all[i]->data, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(params_are_words_of_grub),
		cmocka_unit_test(every_entry_is_there),
		cmocka_unit_test(kickstart_goes_to_installs_only),
		cmocka_unit_test(head_and_redirect),
		cmocka_unit_test(ipxe_script),
		cmocka_unit_test(labels),
		cmocka_unit_test(sums_come_back),
		cmocka_unit_test(bad_sums_are_refused),
		cmocka_unit_test(cpio_is_compressed),
		cmocka_unit_test(what_is_not_cpio_is_copied),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
