/* SPDX-License-Identifier: Apache-2.0 */
/* Kickstart and image of an install, from files and from a server. */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/cmd.h"
#include "base/log.h"
#include "folder.h"
#include "http-server.h"
#include "install/kickstart.h"
#include "install/source.h"
#include "liveimg/booted.h"
#include "liveimg/fetch.h"
#include "liveimg/memory.h"
#include "pkg/pkg.h"

#define BODY_BYTES (3 * MIB + 17)

static struct http_server server;
static char *body;

static int set_up(void **state)
{
	body = xcalloc(1, BODY_BYTES);
	for (size_t i = 0; i < BODY_BYTES; i++)
		body[i] = (char)((i * 7) ^ (i >> 9));
	log_set_level(LOG_LEVEL_QUIET);
	return make_folder(state);
}

static int tear_down(void **state)
{
	free(body);
	return drop_folder(state);
}

static int start_server(void **state)
{
	(void)state;
	server = (struct http_server){.body = body, .len = BODY_BYTES};
	http_start(&server);
	return 0;
}

static int stop_server(void **state)
{
	(void)state;
	http_stop(&server);
	return 0;
}

static char *url_of(const char *path)
{
	return xasprintf("http://127.0.0.1:%u%s", server.port, path);
}

static char *in_folder(const char *name)
{
	return xasprintf("%s/%s", folder, name);
}

static void put(const char *name, const void *data, size_t len)
{
	autofree char *path = in_folder(name);
	struct err e = {0};

	assert_ok(file_replace(path, data, len, 0600, &e), e);
}

/* Download path and compare it with the server's body. */
static int download(const char *path, uint64_t size, struct err *e)
{
	autofree char *url = url_of(path);
	autofree char *name = in_folder("download");
	autofree char *got = NULL;
	uint8_t sum[SHA256_BYTES], want[SHA256_BYTES];
	size_t len;
	autofd int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	int r = fetch_file(url, NULL, fd, size, sum, NULL, e);
	if (r < 0)
		return r;
	assert_ok(file_read(name, 2 * BODY_BYTES, &got, &len, e), *e);
	assert_int_equal(len, BODY_BYTES);
	assert_memory_equal(got, body, BODY_BYTES);
	sha256_buffer(body, BODY_BYTES, want);
	assert_memory_equal(sum, want, sizeof(sum));
	return 0;
}

static void a_file_is_downloaded(void **state)
{
	struct err e = {0};

	(void)state;
	assert_ok(download("/file", BODY_BYTES, &e), e);
	assert_ok(download("/moved", BODY_BYTES, &e), e);
}

static void a_broken_download_goes_on_where_it_broke(void **state)
{
	struct err e = {0};

	(void)state;
	assert_ok(download("/flaky", BODY_BYTES, &e), e);
	assert_int_equal(server.requests, 2);
	assert_int_equal(server.ranges, 1);
}

static void a_server_without_ranges_starts_again(void **state)
{
	struct err e = {0};

	(void)state;
	server.ignores_range = true;
	assert_ok(download("/flaky", BODY_BYTES, &e), e);
	assert_int_equal(server.ranges, 1);
}

static void a_busy_server_is_asked_again(void **state)
{
	struct err e = {0};

	(void)state;
	assert_ok(download("/busy", BODY_BYTES, &e), e);
	assert_int_equal(server.requests, 2);
}

static void another_size_is_refused(void **state)
{
	struct err e = {0};

	(void)state;
	assert_int_equal(download("/file", BODY_BYTES - 1, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "is larger than the 3145744 bytes of its manifest"));
	assert_int_equal(download("/file", BODY_BYTES + 1, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "is 3145745 bytes, its manifest has 3145746"));
}

static int text_of(const char *path, size_t max, struct err *e)
{
	autofree char *url = url_of(path);
	autofree char *text = NULL;

	return fetch_text(url, NULL, max, &text, NULL, e);
}

static void what_a_server_may_not_do(void **state)
{
	struct err e = {0};

	(void)state;
	assert_int_equal(text_of("/nothing", MIB, &e), -ENOENT);
	assert_int_equal(text_of("/loop", MIB, &e), -ELOOP);
	assert_int_equal(server.requests, 1 + 6);
	assert_int_equal(text_of("/out", MIB, &e), -EPROTONOSUPPORT);
	assert_int_equal(text_of("/file", MIB, &e), -EFBIG);
	assert_int_equal(text_of("/private", MIB, &e), -EPROTO);
	assert_non_null(strstr(e.msg, "403"));
}

static void a_proxy_is_used(void **state)
{
	autofree char *proxy = url_of("");
	autofree char *text = NULL;
	const struct fetch_options o = {.proxy = proxy};
	struct err e = {0};

	(void)state;
	/* It never gets out: the proxy answers itself. */
	assert_ok(fetch_text("http://localhost:9/x", &o, 2 * BODY_BYTES, &text, NULL, &e), e);
	assert_string_equal(server.proxied, "http://localhost:9/x");
}

static void names_of_urls(void **state)
{
	autofree char *public = fetch_public_name("https://user:secret@h:8/a/b.img?token=1");
	autofree char *beside = NULL, *path = NULL, *last = NULL, *none = NULL;
	struct err e = {0};

	(void)state;
	assert_string_equal(public, "https://h:8/a/b.img");
	assert_ok(fetch_sibling("http://u:p@h/a/b.img?x=1", "c d.json", &beside, &e), e);
	assert_string_equal(beside, "http://u:p@h/a/c%20d.json?x=1");
	assert_ok(fetch_file_path("file:///a%20b/c", &path, &e), e);
	assert_string_equal(path, "/a b/c");
	assert_ok(fetch_last_component("http://h/a/b.squashfs.img", &last, &e), e);
	assert_string_equal(last, "b.squashfs.img");
	assert_int_equal(fetch_file_path("gopher://h/x", &none, &e), -EINVAL);
	assert_int_equal(fetch_file_path("file://other/x", &none, &e), -EINVAL);
	assert_false(fetch_is_remote("file:///x"));
}

static void kickstarts_are_found(void **state)
{
	static const struct {
		const char *where, *msg;
	} wrong[] = {
		{"nfs:server:/x",
			"kickstart: bad kickstart 'nfs:server:/x', expected a path, or http, https, "
			"ftp, file, hd or cdrom"},
		{"hd:sda1",
			"kickstart: bad kickstart 'hd:sda1', expected hd:LABEL=NAME:/PATH, "
			"hd:UUID=UUID:/PATH or hd:/dev/NAME:/PATH"},
		{"cdrom:x", "kickstart: bad kickstart 'cdrom:x', expected cdrom:/PATH"},
	};
	autofree char *path = in_folder("a b.ks");
	autofree char *url = xasprintf("file://%s/a%%20b.ks", folder);
	const char *const where[] = {path, url};
	struct err e = {0};

	(void)state;
	put("a b.ks", "text\n", 5);
	for (size_t i = 0; i < ARRAY_LEN(where); i++) {
		autofree char *name = NULL, *text = NULL;
		size_t len;

		assert_ok(source_kickstart(where[i], &name, &text, &len, &e), e);
		assert_string_equal(name, path);
		assert_string_equal(text, "text\n");
	}
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		char *name, *text;
		size_t len;

		assert_fails(source_kickstart(wrong[i].where, &name, &text, &len, &e), EINVAL, e,
			wrong[i].msg);
	}
}

static int load(const char *text, struct install_ks *k, struct err *e)
{
	autofree char *path = in_folder("x.ks");

	put("x.ks", text, strlen(text));
	return install_ks_load(path, -1, k, e);
}

static void errors_and_questions_end_it(void **state)
{
	autoinstallks k = {0}, none = {0};
	struct err e = {0};

	(void)state;
	assert_int_equal(load("text\nnonsense\n", &none, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "x.ks:2: "));
	assert_null(none.doc);
	assert_ok(load("text\ntimezone UTC\nautopart\nclearpart --all\nzerombr\nrootpw --lock\n",
			  &k, &e),
		e);
	/* The end is a person's then, and the source is what this system was started from. */
	assert_ok(install_ks_check_questions(&k, true, &e), e);
	assert_int_equal(install_ks_check_questions(&k, false, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "x.ks leaves 1 question open: source"));
	install_ks_fini(&k);
	/* What asks at the first boot does not keep the installer. */
	assert_ok(load("text\ntimezone UTC\nautopart\nclearpart --all\nzerombr\nrootpw --lock\n"
		       "firstboot --reconfig\n",
			  &k, &e),
		e);
	assert_ok(install_ks_check_questions(&k, true, &e), e);
	install_ks_fini(&k);
	assert_ok(load("text\nliveimg --url=http://h/x\n", &k, &e), e);
	assert_int_equal(install_ks_check_questions(&k, true, &e), -EINVAL);
	assert_non_null(strstr(e.msg,
		"leaves 5 questions open: network, storage, erasing disks, time zone, "
		"administrator"));
}

static void urls_can_be_included(void **state)
{
	static const char text[] = "timezone UTC\n";
	autoinstallks k = {0};
	struct err e = {0};

	(void)state;
	server.body = text;
	server.len = strlen(text);
	autofree char *ks = xasprintf("%%include http://127.0.0.1:%u/file\n", server.port);
	assert_ok(load(ks, &k, &e), e);
	assert_non_null(ks_next(k.doc, "timezone", NULL));
	install_ks_fini(&k);

	/* And what stands beside a kickstart that came from there. */
	autofree char *relative = url_of("/file");
	server.body = "%include nothing\n";
	server.len = strlen(server.body);
	assert_int_equal(install_ks_load(relative, -1, &k, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "/nothing: "));
}

/* A manifest of an image of these bytes, as node-1.manifest.json or under the name given. */
static void put_manifest(const char *name, const char *arch, const void *data, size_t len)
{
	automanifest m = {
		.name = xstrdup("node"),
		.version = xstrdup("1"),
		.arch = xstrdup(arch),
		.rootfs_type = xstrdup("squashfs-ext4"),
		.liveimg = {xstrdup("node-1.squashfs.img"), len, {0}},
		.rootfs = {xstrdup("LiveOS/rootfs.img"), 8192, {0}},
		.verity = {true, {0}, 4096, 4096, xstrdup(""), 0, 0},
		.tool = xstrdup("test"),
	};
	struct manifest_kernel *k = manifest_add_kernel(&m);

	k->release = xstrdup("6.1");
	k->kernel_bytes = k->initramfs_bytes = 1;
	sha256_buffer(data, len, m.liveimg.sha256);
	autofree char *text = manifest_format(&m);
	put(name, text, strlen(text));
}

/* The message that liveimg --url=URL OPTIONS ends with. */
static char *refusal(const char *url, const char *options, int code)
{
	autofree char *text = xasprintf("liveimg --url='%s' %s\n", url, options);
	struct liveimg image = {0};
	autoptr(ks_doc) doc = NULL;
	struct err e = {0};

	assert_ok(ks_parse_text("x.ks", text, strlen(text), NULL, &doc, &e), e);
	int r = source_image(doc, folder, &image, NULL, &e);
	if (r != -code)
		fail_msg("%s: %d, %s", text, r, e.msg);
	assert_null(image.img);
	return xstrdup(e.msg);
}

#define assert_refused(url, options, code, part)                                                   \
	do {                                                                                       \
		autofree char *msg_ = refusal(url, options, code);                                 \
		if (!strstr(msg_, part))                                                           \
			fail_msg("'%s' in: %s", part, msg_);                                       \
	} while (0)

static void wrong_images_are_refused(void **state)
{
	static const char good[] = "not a squashfs, but with the right checksum";
	autofree char *path = in_folder("node-1.squashfs.img");
	autofree char *url = xasprintf("file://%s", path);
	autofree char *arch = pkg_host_arch();

	(void)state;
	assert_refused(url, "", ENOENT, "there is no '/tmp/");
	put("node-1.squashfs.img", good, sizeof(good));
	assert_refused(url, "", ENOENT, "has no manifest beside it");
	put_manifest("manifest.json", "z80", good, sizeof(good));
	assert_refused(path, "", EINVAL, "image: the image is for z80, this machine is ");
	/* Its own manifest goes before that of the folder. */
	put_manifest("node-1.manifest.json", arch, good, sizeof(good));
	assert_refused(url, "--checksum=12", EINVAL, "x.ks:1: liveimg: bad --checksum '12'");
	assert_refused(url,
		"--checksum=00000000000000000000000000000000000000000000000000000000000000ff",
		EBADMSG, "x.ks:1: liveimg: --checksum is not that of the image");
	assert_refused(url, "", EBADMSG, "node-1.squashfs.img");
	put("node-1.squashfs.img", good, sizeof(good) - 1);
	assert_refused(url, "", EBADMSG, "is cut off: 43 bytes, its manifest has 44");
	put("node-1.squashfs.img", "Not a squashfs, but with the right checksum", sizeof(good));
	assert_refused(url, "", EBADMSG, "is damaged: SHA-256 is ");
	put("node-1.manifest.json", "{}", 2);
	assert_refused(url, "", EBADMSG, "node-1.manifest.json'");
}

/* A server of TLS with a certificate that nobody has signed; its port, as text. */
static char *start_tls(struct cmd *c)
{
	autofree char *text = NULL;
	autofree char *log = in_folder("tls.log");
	autocmd make = {.cwd = folder};
	struct err e = {0};
	const char *at = NULL;

	cmd_add(&make, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout",
		"key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=127.0.0.1", NULL);
	assert_ok(cmd_run(&make, &e), e);
	c->cwd = folder;
	c->log_fd = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	cmd_add(c, "openssl", "s_server", "-accept", "127.0.0.1:0", "-key", "key.pem", "-cert",
		"cert.pem", "-WWW", NULL);
	assert_ok(cmd_start(c, &e), e);
	while (!at || !strchr(at, '\n')) {
		usleep(10000);
		free(take_ptr(text));
		assert_ok(file_read(log, BODY_BYTES, &text, NULL, &e), e);
		at = strstr(text, "ACCEPT 127.0.0.1:");
	}
	close(c->log_fd);
	at += strlen("ACCEPT 127.0.0.1:");
	return xstrndup(at, strcspn(at, "\n"));
}

static void certificates_are_checked_unless_the_line_says_otherwise(void **state)
{
	autocmd server_cmd = {0};

	(void)state;
	if (!cmd_exists("openssl"))
		skip();
	autofree char *port = start_tls(&server_cmd);
	autofree char *url = xasprintf("https://127.0.0.1:%s/none.squashfs.img", port);
	autofree char *checked = refusal(url, "", EKEYREJECTED);
	autofree char *unchecked = refusal(url, "--noverifyssl", EBADMSG);
	cmd_stop(&server_cmd);
	assert_non_null(strstr(checked, "certificate"));
	/* What the server says instead of the file. */
	assert_non_null(strstr(unchecked, "not a manifest"));
}

static void too_little_memory_is_said(void **state)
{
	struct err e = {0};

	(void)state;
	assert_ok(memory_check(MIB, "the test", &e), e);
	assert_int_equal(memory_check(1ULL << 60, "the test", &e), -ENOMEM);
	assert_non_null(strstr(e.msg, "the test needs 1099511627776 MiB of memory, "));
}

static void the_booted_image_is_found(void **state)
{
	autofree char *live = in_folder("run/initramfs/live/images/node-1");
	autofree char *dev = in_folder("dev");
	autofree char *memory = in_folder("run/initramfs/squashed.img");
	autostrv words = {0};
	autobooted b = {0};
	struct err e = {0};

	(void)state;
	cmd_line_split("root=live:http://h/x.squashfs.img rd.live.dir=images/node-1", &words);
	assert_int_equal(booted_find(folder, &words, &b, &e), -ENOENT);
	assert_ok(file_make_folder(live, 0700, &e), e);
	assert_ok(file_make_folder(dev, 0700, &e), e);
	put("dev/loop0", "\x53\xef, an ext4", 11);
	assert_int_equal(booted_find(folder, &words, &b, &e), -ENOENT);
	put("dev/loop1", "hsqs and more", 13);
	assert_ok(booted_find(folder, &words, &b, &e), e);
	assert_true(str_ends(b.image, "/dev/loop1"));
	assert_string_equal(b.url, "http://h/x.squashfs.img");
	booted_fini(&b);
	put("run/initramfs/squashed.img", "", 0);
	assert_ok(booted_find(folder, &words, &b, &e), e);
	assert_string_equal(b.image, memory);
	booted_fini(&b);
	put("run/initramfs/live/images/node-1/squashfs.img", "", 0);
	assert_ok(booted_find(folder, &words, &b, &e), e);
	assert_string_equal(b.folder, live);
}

#define WITH_SERVER(fn) cmocka_unit_test_setup_teardown(fn, start_server, stop_server)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(a_file_is_downloaded),
		WITH_SERVER(a_broken_download_goes_on_where_it_broke),
		WITH_SERVER(a_server_without_ranges_starts_again),
		WITH_SERVER(a_busy_server_is_asked_again),
		WITH_SERVER(another_size_is_refused),
		WITH_SERVER(what_a_server_may_not_do),
		WITH_SERVER(a_proxy_is_used),
		cmocka_unit_test(names_of_urls),
		cmocka_unit_test(kickstarts_are_found),
		cmocka_unit_test(errors_and_questions_end_it),
		WITH_SERVER(urls_can_be_included),
		cmocka_unit_test(wrong_images_are_refused),
		cmocka_unit_test(certificates_are_checked_unless_the_line_says_otherwise),
		cmocka_unit_test(too_little_memory_is_said),
		cmocka_unit_test(the_booted_image_is_found),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
