/* SPDX-License-Identifier: Apache-2.0 */
/* What boot loaders and nbd-server read, and the lines that a vendor's menu gives. */
#include <string.h>

#include "base/xalloc.h"
#include "netroot/generate.h"
#include "netroot/vendor-line.h"
#include "test.h"

#define ID_A "aaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbb"
#define TAIL " rd.live.image rd.luks=0 rd.md=0 rd.dm=0"

static void add_image(struct netroot_db *db, const char *id, const char *params)
{
	struct netroot_image *img = netroot_db_add_image(db);

	memcpy(img->id, id, sizeof(img->id));
	img->title = xstrdup("Title; ${x} '1'");
	img->root = xstrdup("live:CDLABEL=X");
	img->params = xstrdup(params);
	img->live_params = xstrdup("rd.live.image");
}

static void add_entry(struct netroot_db *db, const char *label, const char *id, const char *append,
	const char *server)
{
	struct netroot_entry *en = netroot_db_add_entry(db);

	en->label = xstrdup(label);
	en->image = xstrdup(id);
	en->append = xstrdup(append);
	en->server = xstrdup_or_null(server);
}

static void add_host(struct netroot_db *db, const char *id, const char *label, const char *name,
	const char *append)
{
	struct netroot_host *h = netroot_db_add_host(db);

	memcpy(h->id, id, strlen(id) + 1);
	h->label = xstrdup(label);
	h->hostname = xstrdup_or_null(name);
	h->append = xstrdup(append);
}

static void make_db(struct netroot_db *db)
{
	add_image(db, ID_A, "quiet a=\"b c\"");
	add_image(db, ID_B, "");
	add_entry(db, "one", ID_A, "", "10.0.0.1");
	add_entry(db, "two", ID_B, "more ip=ens3:dhcp", NULL);
	add_host(db, "52:54:00:aa:bb:cc", "two", "n2", "x=1");
	db->default_label = xstrdup("one");
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no '%s' in:\n%s", part, text);
}

static void assert_lacks(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("'%s' is in:\n%s", part, text);
}

static void the_kernel_line(void **state)
{
	autonetrootdb db = {0};

	(void)state;
	make_db(&db);
	autofree char *one = netroot_boot_line(&db, &db.entries[0], NULL, "10.0.0.1");
	autofree char *two = netroot_boot_line(&db, &db.entries[1], NULL, "S");
	autofree char *host = netroot_boot_line(&db, &db.entries[1], &db.hosts[0], "S");
	autofree char *other = netroot_boot_line(&db, &db.entries[0], &db.hosts[0], "10.0.0.1");
	assert_string_equal(one,
		"quiet a=\"b c\" root=live:CDLABEL=X netroot=nbd:10.0.0.1:" ID_A
		".img ip=dhcp rd.neednet=1" TAIL);
	/* An address that somebody has chosen is left alone. */
	assert_string_equal(two,
		"root=live:CDLABEL=X netroot=nbd:S:" ID_B ".img rd.neednet=1" TAIL
		" more ip=ens3:dhcp");
	assert_string_equal(host,
		"root=live:CDLABEL=X netroot=nbd:S:" ID_B ".img rd.neednet=1" TAIL
		" more ip=ens3:dhcp systemd.hostname=n2 x=1");
	assert_string_equal(other, one);
}

static void make_own(struct netroot_image *img)
{
	free(img->root);
	free(img->live_params);
	img->root = xstrdup(NETROOT_VERITY "4096:8192:2");
	img->live_params = xstrdup("");
	img->root_hash = xstrdup("abc");
}

/* Our module needs no file system with a UUID, and PXELINUX no server. */
static void the_line_of_our_own_module(void **state)
{
	autonetrootdb db = {0};

	(void)state;
	make_db(&db);
	make_own(&db.images[1]);
	autofree char *two = netroot_boot_line(&db, &db.entries[1], NULL, "10.0.0.1:99,[::1]");
	assert_string_equal(two,
		"bedplate.netroot=nbd:10.0.0.1:99,[::1]:" ID_B
		".img bedplate.roothash=abc bedplate.verity=4096:8192:2 rd.neednet=1 more "
		"ip=ens3:dhcp");
	autofree char *pxe = generate_pxelinux(&db, &db.hosts[0]);
	autofree char *grub = generate_grub(&db, NULL);
	autofree char *ipxe = generate_ipxe(&db, NULL);
	assert_has(pxe, "DEFAULT two\n");
	assert_has(pxe, " bedplate.netroot=nbd::" ID_B ".img bedplate.roothash=abc ");
	assert_has(grub, " bedplate.netroot=nbd:${net_default_server}:" ID_B ".img bedplate.");
	assert_has(ipxe, " bedplate.netroot=nbd:${next-server}:" ID_B ".img bedplate.");
}

static void each_loader_gets_its_server(void **state)
{
	autonetrootdb db = {0};

	(void)state;
	make_db(&db);
	autofree char *grub = generate_grub(&db, NULL);
	autofree char *ipxe = generate_ipxe(&db, &db.hosts[0]);
	autofree char *pxe = generate_pxelinux(&db, NULL);
	autofree char *pxe_host = generate_pxelinux(&db, &db.hosts[0]);

	/* With a letter in front: GRUB takes "2024" for the 2025th entry. */
	assert_has(grub, "set default='e-one'");
	assert_has(grub, "--id 'e-two' {");
	assert_has(grub,
		"linux '/" ID_A "/vmlinuz' quiet 'a=b c' root=live:CDLABEL=X "
		"netroot=nbd:10.0.0.1:" ID_A ".img ip=dhcp");
	assert_has(grub, " netroot=nbd:${net_default_server}:" ID_B ".img rd.neednet=1");
	assert_has(grub,
		"-a -s \"$prefix/hosts/$net_default_mac.cfg\" ]; then\n"
		"\tconfigfile \"$prefix/hosts/$net_default_mac.cfg\"");
	assert_lacks(grub, " -f ");
	assert_lacks(grub, "smbios");
	assert_lacks(grub, "${x}");
	assert_has(ipxe, "choose --default two ");
	assert_has(ipxe, "netroot=nbd:${next-server}:" ID_B ".img");
	assert_has(ipxe, "netroot=nbd:10.0.0.1:" ID_A ".img");
	assert_lacks(ipxe, "${x}");
	assert_has(pxe, "DEFAULT one\n");
	assert_has(pxe, "ONERROR +local\n");
	assert_has(pxe,
		"LABEL one\n\tMENU LABEL one (Title_ __x_ _1_)\n\tKERNEL " ID_A
		"/vmlinuz\n\tAPPEND initrd=" ID_A "/initrd.img quiet a=\"b c\" ");
	assert_lacks(pxe, ID_B);
	assert_has(pxe_host, "DEFAULT +local\n");
}

static void hosts_have_files_of_their_own(void **state)
{
	autonetrootdb db = {0};
	autogenerated g = {0};

	(void)state;
	make_db(&db);
	add_host(&db, "0123abcd-0000-1111-2222-333344445555", "one", NULL, "");
	netroot_generate(&db, "/srv/a\\b", &g);
	assert_true(strv_has(&g.paths, "tftp/pxelinux.cfg/01-52-54-00-aa-bb-cc"));
	assert_true(strv_has(&g.paths, "tftp/grub/hosts/52:54:00:aa:bb:cc.cfg"));
	assert_true(strv_has(&g.paths, "tftp/ipxe/52-54-00-aa-bb-cc.ipxe"));
	assert_true(strv_has(&g.paths, "tftp/pxelinux.cfg/0123abcd-0000-1111-2222-333344445555"));
	/* As a firmware sends it that has the UUID in memory. */
	assert_true(strv_has(&g.paths, "tftp/pxelinux.cfg/cdab2301-0000-1111-2222-333344445555"));
	assert_int_equal(g.paths.count, 5 + 2 * 3 + 1);
	assert_has(g.texts.items[0],
		"[" ID_A ".img]\n\texportname = /srv/a\\\\b/images/" ID_A ".img\n");
	const char *uuid = strstr(g.texts.items[2], "-s \"$prefix/hosts/$uuid.cfg\"");
	assert_has(g.texts.items[2], "smbios --type 1 --get-uuid 8 --set uuid");
	assert_lacks(g.texts.items[2], " -f ");
	/* What is told by both goes by its UUID, in each of the boot loaders. */
	assert_non_null(uuid);
	assert_non_null(strstr(uuid, "$net_default_mac"));
	assert_has(g.texts.items[3], "ipxe/${uuid}.ipxe || chain --autofree ipxe/${netX/mac");
	for (size_t i = 1; i < g.texts.count; i++)
		assert_lacks(g.texts.items[i], "/srv");
}

static void a_host_of_its_own_goes_before_a_swapped_uuid(void **state)
{
	autonetrootdb db = {0};
	autogenerated g = {0};
	size_t count = 0;

	(void)state;
	make_db(&db);
	add_host(&db, "01234567-89ab-cdef-2222-333344445555", "one", NULL, "");
	add_host(&db, "67452301-ab89-efcd-2222-333344445555", "two", NULL, "y=2");
	netroot_generate(&db, "/srv", &g);
	for (size_t i = 0; i < g.paths.count; i++)
		count += str_eq(
			g.paths.items[i], "tftp/pxelinux.cfg/67452301-ab89-efcd-2222-333344445555");
	assert_int_equal(count, 1);
	assert_int_equal(g.paths.count, 5 + 3 * 3);
}

static void a_line_that_does_not_fit(void **state)
{
	/* With the rest it has 2042 bytes on the host's line, and boot loaders add theirs. */
	autofree char *words = xasprintf("%01830d", 0);
	autonetrootdb db = {0};
	struct err e = {0};

	(void)state;
	make_db(&db);
	assert_ok(netroot_lines_check(&db, &e), e);
	free(db.hosts[0].append);
	db.hosts[0].append = xstrdup(words);
	assert_int_equal(netroot_lines_check(&db, &e), -E2BIG);
	assert_has(e.msg, "the kernel parameters of 'two' for host 52:54:00:aa:bb:cc are 20");
}

/* Before a change is written: a database with it could not be read any more. */
static void more_than_fits_for_all_hosts(void **state)
{
	autonetrootdb db = {0};
	struct err e = {0};

	(void)state;
	make_db(&db);
	while (db.entry_count < 100)
		add_entry(&db, "more", ID_A, "", NULL);
	while (db.host_count < 1000)
		add_host(&db, "52:54:00:aa:bb:cc", "two", NULL, "");
	assert_ok(netroot_lines_check(&db, &e), e);
	add_host(&db, "52:54:00:aa:bb:cc", "two", NULL, "");
	assert_int_equal(netroot_lines_check(&db, &e), -EFBIG);
	assert_has(e.msg, "1001 hosts with files of 100 entries each are too much");
}

static void lines_of_vendors(void **state)
{
	static const struct {
		const char *menu, *want;
	} cases[] = {
		{"default vesamenu.c32\nlabel linux\n  kernel vmlinuz0\n"
		 "  append initrd=initrd0.img root=live:CDLABEL=X rootfstype=auto ro rd.live.image quiet  rhgb\n",
			"rootfstype=auto ro quiet rhgb"},
		{"menuentry 'Start' {\n\tlinux /images/pxeboot/vmlinuz root=live:CDLABEL=X  "
		 "rd.live.image quiet \"a=b c\" rd.live.check\n}\n",
			"quiet a=\"b c\""},
		{"menuentry 'Start' {\n\t$linux ($root)/boot/x86_64/loader/linux ${extra} "
		 "root=live:CDLABEL=X rd.live.overlay.overlayfs=1 console=ttyS0\n}\n",
			"console=ttyS0"},
		{"label memtest\n kernel memtest\nlabel local\n localboot 0\n", NULL},
		{"", NULL},
		{"append root=live:X a;b c`d e\n", "e"},
		{"linux /vmlinuz root=live:X a b#c # d e\n", "a b#c"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autofree char *got = vendor_line_parse(cases[i].menu);

		if (!cases[i].want)
			assert_null(got);
		else
			assert_string_equal(got, cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernel_line),
		cmocka_unit_test(the_line_of_our_own_module),
		cmocka_unit_test(each_loader_gets_its_server),
		cmocka_unit_test(hosts_have_files_of_their_own),
		cmocka_unit_test(a_host_of_its_own_goes_before_a_swapped_uuid),
		cmocka_unit_test(a_line_that_does_not_fit),
		cmocka_unit_test(more_than_fits_for_all_hosts),
		cmocka_unit_test(lines_of_vendors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
