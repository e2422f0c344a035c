/* SPDX-License-Identifier: Apache-2.0 */
/* An image from wherever it is: folders, ISOs, sticks, standard input, a server. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cmd.h"
#include "base/log.h"
#include "folder.h"
#include "http-server.h"
#include "image/liveimg.h"
#include "image/sign.h"
#include "liveimg/get.h"
#include "pkg/pkg.h"

static struct http_server server;
static char *image; /* the bytes of node-1.squashfs.img */
static size_t image_len;
static char *manifest;

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

static void run(const char *script)
{
	struct err e = {0};
	autocmd c = {.cwd = folder};

	cmd_add(&c, "sh", "-euc", script, NULL);
	assert_ok(cmd_run(&c, &e), e);
}

static char *manifest_of(const void *data, size_t len)
{
	automanifest m = {
		.name = xstrdup("node"),
		.version = xstrdup("1"),
		.arch = pkg_host_arch(),
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
	return manifest_format(&m);
}

static int set_up(void **state)
{
	struct err e = {0};

	make_folder(state);
	run("mkdir -p tree t/LiveOS build; head -c 3M /dev/urandom >tree/noise\n"
	    "mke2fs -q -t ext4 -O ^has_journal -d tree t/LiveOS/rootfs.img 16M\n"
	    "mksquashfs t build/node-1.squashfs.img -quiet -no-progress -comp zstd\n");
	autofree char *path = in_folder("build/node-1.squashfs.img");
	assert_ok(file_read(path, 64 * MIB, &image, &image_len, &e), e);
	manifest = manifest_of(image, image_len);
	put("build/node-1.manifest.json", manifest, strlen(manifest));
	log_set_level(LOG_LEVEL_QUIET);
	return 0;
}

static int tear_down(void **state)
{
	free(image);
	free(manifest);
	return drop_folder(state);
}

static int start_server(void **state)
{
	(void)state;
	server = (struct http_server){.body = image, .len = image_len, .manifest = manifest};
	http_start(&server);
	return 0;
}

static int stop_server(void **state)
{
	(void)state;
	http_stop(&server);
	run("rm -rf spool");
	return 0;
}

/* What came is the image, and it can be read. */
static void check(const struct liveimg *l)
{
	struct source *s = image_file(l->img);
	autofree char *got = xcalloc(1, image_len);
	struct err e = {0};

	assert_true(s->size_bytes >= image_len);
	assert_ok(source_read_at(s, got, image_len, 0, &e), e);
	assert_memory_equal(got, image, image_len);
	assert_string_equal(l->manifest.name, "node");
	assert_non_null(tree_find(image_tree(l->img), "noise"));
}

static void assert_got_from(const char *where)
{
	autoliveimg l = {0};
	autofree char *spool = in_folder("spool");
	const struct liveimg_from spec = {.where = where, .folder = spool, .to_disk = true};
	struct err e = {0};

	assert_ok(liveimg_get(&spec, &l, NULL, &e), e);
	check(&l);
	assert_string_equal(l.origin, where);
}

/* The caller frees the message. */
static char *refusal(const struct liveimg_from *spec, int code)
{
	struct liveimg l = {0};
	struct err e = {0};
	int r = liveimg_get(spec, &l, NULL, &e);

	if (r != -code)
		fail_msg("%s: %d, %s", spec->where, r, e.msg);
	assert_null(l.img);
	assert_null(l.download);
	return xstrdup(e.msg);
}

#define assert_refused(spec, code, part)                                                           \
	do {                                                                                       \
		autofree char *msg_ = refusal(spec, code);                                         \
		if (!strstr(msg_, part))                                                           \
			fail_msg("'%s' in: %s", part, msg_);                                       \
	} while (0)

static void assert_path_refused(const char *name, int code, const char *part)
{
	autofree char *path = in_folder(name);
	autofree char *spool = in_folder("spool");
	const struct liveimg_from spec = {.where = path, .folder = spool, .to_disk = true};

	assert_refused(&spec, code, part);
}

static void folders_of_builds_and_media(void **state)
{
	static const char *const names[] = {"build", "build/node-1.squashfs.img", "medium",
		"medium/LiveOS", "medium/LiveOS/squashfs.img"};

	(void)state;
	run("mkdir -p medium/LiveOS; cp build/node-1.squashfs.img medium/LiveOS/squashfs.img\n"
	    "cp build/node-1.manifest.json medium/LiveOS/manifest.json\n"
	    "mkdir -p several empty; touch several/a.squashfs.img several/b.squashfs.img\n");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		autofree char *path = in_folder(names[i]);

		assert_got_from(path);
	}
	assert_path_refused("several", EINVAL, "has several images: name one, 'a.squashfs.img' or");
	assert_path_refused("empty", ENOENT, "is neither the folder of a build");
	assert_path_refused("none", ENOENT, "image: there is no '/tmp/");
	assert_path_refused("none:node-1", ENOENT, "image: there is no '/tmp/");
}

static void paths_may_be_relative(void **state)
{
	autofree char *before = getcwd(NULL, 0);

	(void)state;
	assert_int_equal(chdir(folder), 0);
	assert_got_from("build");
	assert_got_from("./build/node-1.squashfs.img");
	assert_int_equal(chdir("build"), 0);
	assert_got_from("node-1.squashfs.img");
	assert_got_from(".");
	assert_int_equal(chdir(before), 0);
}

static void a_mounted_stick(void **state)
{
	autofree char *path = in_folder("stick");
	autofree char *named = in_folder("stick:node-1");

	(void)state;
	run("mkdir -p stick/images/node-1 stick/images/.not stick/grub\n"
	    "cp build/node-1.squashfs.img stick/images/node-1/squashfs.img\n"
	    "cp build/node-1.manifest.json stick/images/node-1/manifest.json\n");
	assert_got_from(path);
	assert_got_from(named);
	assert_path_refused("stick:other", ENOENT, "has no image 'other', it has: node-1");
	assert_path_refused("stick:..", ENOENT, "has no image '..', it has: node-1");
	run("mkdir stick/images/node-0; touch stick/images/node-0/squashfs.img");
	autofree char *want = xasprintf(
		"several images: choose one, as %s:node-0; it has: node-0, node-1", path);
	assert_path_refused("stick", EINVAL, want);
	assert_got_from(named);
}

static void an_iso(void **state)
{
	autofree char *path = in_folder("m.iso");
	struct err e = {0};
	autofree char *bytes = NULL;
	size_t len;

	(void)state;
	run("mkdir -p iso/LiveOS; cp build/node-1.squashfs.img iso/LiveOS/squashfs.img\n"
	    "cp build/node-1.manifest.json iso/LiveOS/manifest.json\n"
	    "xorriso -as mkisofs -quiet -o m.iso -V M -r -partition_offset 16 iso 2>/dev/null\n"
	    "xorriso -as mkisofs -quiet -o other.iso -V M -r tree 2>/dev/null\n");
	assert_got_from(path);
	assert_path_refused("other.iso", ENOENT, "is no medium of 'bedplate media iso'");
	assert_ok(file_read(path, 64 * MIB, &bytes, &len, &e), e);
	char *at = memmem(bytes, len, image, 64);
	assert_non_null(at);
	at[5000] ^= 1;
	put("m.iso", bytes, len);
	assert_path_refused("m.iso", EBADMSG, "m.iso:LiveOS/squashfs.img' is damaged: SHA-256 is ");
	put("m.iso", bytes, (size_t)(at - bytes) + 4096);
	assert_path_refused("m.iso", EBADMSG, "m.iso");
}

/*
 * A stick as an image of one.  In a process of its own, as it changes its mounts; tests/lab/get.sh
 * has the loop devices and the vfat that it needs.
 */
static void a_stick(void **state)
{
	autofree char *path = in_folder("s.img");

	(void)state;
	run("truncate -s 48M data s.img; mkfs.vfat -F 32 -n NODE data >/dev/null\n"
	    "mmd -i data ::images ::images/node-1\n"
	    "mcopy -i data build/node-1.squashfs.img ::images/node-1/squashfs.img\n"
	    "mcopy -i data build/node-1.manifest.json ::images/node-1/manifest.json\n"
	    "truncate -s 56M s.img\n"
	    "printf 'label: gpt\\nstart=2048, size=98304, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7,"
	    " name=bedplate-data\\n' | sfdisk -q s.img\n"
	    "dd if=data of=s.img bs=1M seek=1 conv=notrunc status=none\n");
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		assert_got_from(path);
		assert_path_refused("s.img:node-2", ENOENT, "has no image 'node-2'");
		run("[ -z \"$(ls spool)\" ]; ! losetup -l | grep s.img");
		_exit(0);
	}
	int status = 1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_path_refused("build/node-1.squashfs.img:x", EINVAL, "is no medium");
}

/* name of a file that is put into standard input. */
static int get_from_input(const char *name, const char *manifest_name, struct err *e)
{
	autofree char *path = in_folder(name);
	autofree char *manifest_path = in_folder(manifest_name);
	autofree char *spool = in_folder("spool");
	const struct liveimg_from spec = {.where = "-",
		.folder = spool,
		.to_disk = true,
		.manifest = *manifest_name ? manifest_path : NULL};
	autoliveimg l = {0};
	autofd int saved = dup(STDIN_FILENO);
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	autostrv left = {0};

	assert_true(saved >= 0 && fd >= 0 && dup2(fd, STDIN_FILENO) >= 0);
	int r = liveimg_get(&spec, &l, NULL, e);
	assert_true(dup2(saved, STDIN_FILENO) >= 0);
	if (r == 0) {
		check(&l);
		assert_string_equal(l.origin, "standard input");
	}
	if (*manifest_name && file_list(spool, &left, NULL) == 0)
		assert_int_equal(left.count, 0);
	return r;
}

static void standard_input(void **state)
{
	static const char name[] = "build/node-1.manifest.json";
	struct err e = {0};

	(void)state;
	assert_ok(get_from_input("build/node-1.squashfs.img", name, &e), e);
	assert_int_equal(get_from_input("build/node-1.squashfs.img", "", &e), -EINVAL);
	assert_non_null(strstr(e.msg, "--manifest"));
	assert_int_equal(get_from_input("build/node-1.squashfs.img", "none", &e), -ENOENT);
	put("cut", image, image_len - 1);
	assert_int_equal(get_from_input("cut", name, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "standard input is cut off: "));
	autofree char *more = xcalloc(1, image_len + 1);
	memcpy(more, image, image_len);
	put("more", more, image_len + 1);
	assert_int_equal(get_from_input("more", name, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "standard input has more than the "));
	more[77] ^= 1;
	put("changed", more, image_len);
	assert_int_equal(get_from_input("changed", name, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "standard input is damaged: SHA-256 is "));
}

static void trust_decides(void **state)
{
	autofree char *path = in_folder("signed");
	autofree char *sig_path = in_folder("signed/node-1.manifest.json");
	autofree char *key = in_folder("key"), *cert = in_folder("trust/cert.pem");
	autofree char *none = in_folder("no-trust"), *trust = in_folder("trust");
	struct liveimg_from spec = {.where = path, .folder = folder, .trust = none};
	struct err e = {0};

	(void)state;
	run("cp -r build signed; mkdir trust\n"
	    "openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out trust/cert.pem -days 2 "
	    "-subj /CN=vendor 2>/dev/null\n");
	autoliveimg plain = {0};
	assert_ok(liveimg_get(&spec, &plain, NULL, &e), e);
	spec.signed_only = true;
	assert_refused(&spec, EKEYREJECTED, "--allow-unsigned");
	spec.trust = trust;
	assert_refused(&spec, EKEYREJECTED, "is not signed, and only signed");
	assert_refused(&spec, EKEYREJECTED, "--allow-unsigned");
	spec.unsigned_ok = true;
	autoliveimg lifted = {0}, lifted_here = {0}, good = {0};
	assert_ok(liveimg_get(&spec, &lifted, NULL, &e), e);
	assert_null(lifted.signer);
	spec.trust = none;
	assert_ok(liveimg_get(&spec, &lifted_here, NULL, &e), e);
	/* For who installs there is no such option. */
	spec = (struct liveimg_from){.where = path, .folder = folder, .trust = trust};
	autofree char *msg = refusal(&spec, EKEYREJECTED);
	assert_null(strstr(msg, "--allow"));
	assert_ok(sign_file(sig_path, key, cert, &e), e);
	spec.signed_only = true;
	assert_ok(liveimg_get(&spec, &good, NULL, &e), e);
	assert_non_null(strstr(good.signer, "vendor"));
	/* A wrong one is never fine. */
	put("signed/node-1.manifest.json.sig", "garbage", 7);
	spec.unsigned_ok = true;
	assert_refused(&spec, EKEYREJECTED, "node-1.manifest.json'.sig");
	/* Without a certificate it is none. */
	autoliveimg not_judged = {0};
	spec.trust = none;
	assert_ok(liveimg_get(&spec, &not_judged, NULL, &e), e);
	assert_null(not_judged.signer);
	spec.unsigned_ok = false;
	assert_refused(&spec, EKEYREJECTED, "nobody is trusted to sign images");
}

static int download_with(struct liveimg_from spec, struct liveimg *l, struct err *e)
{
	autofree char *url = xasprintf("http://127.0.0.1:%u/node-1.squashfs.img", server.port);
	autofree char *spool = in_folder("spool");

	spec.where = url;
	spec.folder = spool;
	spec.to_disk = true;
	int r = liveimg_get(&spec, l, NULL, e);
	if (r == 0)
		check(l);
	return r;
}

static int download(struct liveimg *l, struct err *e)
{
	return download_with((struct liveimg_from){0}, l, e);
}

/* The one file that is left in the spool folder; NULL: none.  *size may be NULL. */
static char *left_over(uint64_t *size)
{
	autofree char *spool = in_folder("spool");
	autostrv names = {0};
	struct stat st;
	struct err e = {0};

	assert_ok(file_list(spool, &names, &e), e);
	if (names.count == 0)
		return NULL;
	assert_int_equal(names.count, 1);
	char *path = xasprintf("%s/%s", spool, names.items[0]);
	assert_int_equal(stat(path, &st), 0);
	if (size)
		*size = (uint64_t)st.st_size;
	return path;
}

static void a_download_stays_until_it_was_used(void **state)
{
	autoliveimg first = {0}, again = {0};
	struct err e = {0};
	uint64_t size;

	(void)state;
	assert_ok(download(&first, &e), e);
	assert_int_equal(server.image_requests, 1);
	autofree char *path = left_over(&size);
	assert_int_equal(size, image_len);
	assert_string_equal(path, first.download);
	assert_non_null(strstr(path, "/node-1."));
	liveimg_fini(&first);
	assert_ok(download(&again, &e), e);
	assert_int_equal(server.image_requests, 1);
	liveimg_drop_download(&again);
	check(&again);
	assert_null(left_over(NULL));
}

static void an_interrupted_download_goes_on_the_next_time(void **state)
{
	struct liveimg none = {0};
	autoliveimg l = {0};
	struct err e = {0};
	uint64_t size;

	(void)state;
	server.image_breaks = image_len / 2;
	assert_int_equal(download(&none, &e), -EPROTO);
	autofree char *path = left_over(&size);
	assert_non_null(path);
	assert_int_equal(size, image_len / 2);
	server.image_breaks = 0;
	server.ranges = 0;
	assert_ok(download(&l, &e), e);
	assert_int_equal(server.ranges, 1);
	assert_int_equal(server.image_requests, 3);
}

static void a_server_without_ranges_sends_all_of_it(void **state)
{
	struct liveimg none = {0};
	autoliveimg l = {0};
	struct err e = {0};

	(void)state;
	server.ignores_range = true;
	server.image_breaks = image_len / 2;
	assert_int_equal(download(&none, &e), -EPROTO);
	server.image_breaks = 0;
	assert_ok(download(&l, &e), e);
}

/* What is there has the right name and is something else. */
static void a_wrong_beginning_is_thrown_away(void **state)
{
	autoliveimg first = {0}, changed = {0}, longer = {0};
	struct err e = {0};

	(void)state;
	assert_ok(download(&first, &e), e);
	autofree char *path = left_over(NULL);
	liveimg_fini(&first);
	assert_ok(file_replace(path, "something else", 14, 0600, &e), e);
	assert_ok(download(&changed, &e), e);
	liveimg_fini(&changed);
	autofree char *zeros = xcalloc(1, image_len + 1);
	assert_ok(file_replace(path, zeros, image_len + 1, 0600, &e), e);
	assert_ok(download(&longer, &e), e);
	liveimg_fini(&longer);
	/* It is not followed out of the folder. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/tmp/elsewhere", path), 0);
	struct liveimg none = {0};
	assert_int_equal(download(&none, &e), -ELOOP);
}

static void a_wrong_image_leaves_nothing(void **state)
{
	static const char other[] = "another image";
	struct liveimg none = {0};
	struct err e = {0};
	autofree char *changed = xmemdup(image, image_len);

	(void)state;
	server.body = changed;
	changed[image_len / 2] ^= 1;
	assert_int_equal(download(&none, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "is damaged: SHA-256 is "));
	assert_null(left_over(NULL));
	server.len = image_len - 1;
	assert_int_equal(download(&none, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "its manifest has"));
	assert_null(left_over(NULL));
	/* What is left of another image goes when one is asked for. */
	server.body = image;
	server.len = image_len;
	run("mkdir -p spool; echo x >spool/node-0.0123456789abcdef.part");
	autoliveimg l = {0};
	assert_ok(download(&l, &e), e);
	autofree char *path = left_over(NULL);
	assert_non_null(strstr(path, "/node-1."));
	/* The manifest itself is not that of this image. */
	autofree char *wrong = manifest_of(other, sizeof(other));
	liveimg_fini(&l);
	server.manifest = wrong;
	assert_int_equal(download(&none, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "is larger than the 14 bytes of its manifest"));
	assert_null(left_over(NULL));
}

static int judge(void *ctx, const struct liveimg *l, struct err *e)
{
	uint64_t *bytes = ctx;
	const struct liveimg_from spec = {
		.where = "http://localhost/", .folder = "/nowhere", .to_disk = true};

	assert_string_equal(l->manifest.name, "node");
	assert_null(l->img);
	*bytes = liveimg_download_bytes(&spec, &l->manifest);
	return err_set(e, EPERM, "version 1 is too old");
}

/* Who refuses it by its manifest has it neither downloaded nor lying around. */
static void it_is_judged_before_it_is_fetched(void **state)
{
	uint64_t bytes = 0;
	const struct liveimg_from spec = {.judge = judge, .ctx = &bytes};
	autofree char *spool = in_folder("spool");
	const struct liveimg_from from = {
		.where = "http://localhost/", .folder = spool, .to_disk = true};
	struct liveimg none = {0};
	autoliveimg l = {0};
	struct err e = {0};

	(void)state;
	assert_fails(download_with(spec, &none, &e), EPERM, e, "version 1 is too old");
	assert_int_equal(server.image_requests, 0);
	assert_int_equal(bytes, image_len);
	assert_ok(download(&l, &e), e);
	assert_int_equal(liveimg_download_bytes(&from, &l.manifest), 0);
	liveimg_drop_part(&from, &l.manifest);
	assert_null(left_over(NULL));
}

static void what_a_server_may_not_do(void **state)
{
	autofree char *away = xasprintf("http://127.0.0.1:%u/away.squashfs.img", server.port);
	autofree char *gone = xasprintf("http://127.0.0.1:%u/gone.squashfs.img", server.port);
	autofree char *spool = in_folder("spool");
	struct liveimg_from spec = {.where = away, .folder = spool, .to_disk = true};
	struct liveimg none = {0};
	struct err e = {0};

	(void)state;
	assert_int_equal(liveimg_get(&spec, &none, NULL, &e), -EPROTONOSUPPORT);
	spec.where = gone;
	assert_refused(&spec, ENOENT, "has no manifest beside it");
}

static void a_proxy_is_used(void **state)
{
	autofree char *proxy = xasprintf("http://127.0.0.1:%u", server.port);
	struct liveimg none = {0};
	struct err e = {0};
	const struct liveimg_from spec = {.fetch.proxy = proxy};

	(void)state;
	/* It answers every request with the image, which is too large for a signature. */
	assert_int_equal(download_with(spec, &none, &e), -EFBIG);
	assert_true(str_starts(server.proxied, "http://127.0.0.1:"));
	assert_non_null(strstr(server.proxied, "/node-1.manifest.json.sig"));
}

#define WITH_SERVER(fn) cmocka_unit_test_setup_teardown(fn, start_server, stop_server)

/* With an argument: what needs loop devices and vfat. */
int main(int argc, char **argv UNUSED)
{
	const struct CMUnitTest with_devices[] = {cmocka_unit_test(a_stick)};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(folders_of_builds_and_media),
		cmocka_unit_test(paths_may_be_relative),
		cmocka_unit_test(a_mounted_stick),
		cmocka_unit_test(an_iso),
		cmocka_unit_test(standard_input),
		cmocka_unit_test(trust_decides),
		WITH_SERVER(a_download_stays_until_it_was_used),
		WITH_SERVER(an_interrupted_download_goes_on_the_next_time),
		WITH_SERVER(a_server_without_ranges_sends_all_of_it),
		WITH_SERVER(a_wrong_beginning_is_thrown_away),
		WITH_SERVER(a_wrong_image_leaves_nothing),
		WITH_SERVER(it_is_judged_before_it_is_fetched),
		WITH_SERVER(what_a_server_may_not_do),
		WITH_SERVER(a_proxy_is_used),
	};

	if (argc > 1)
		return cmocka_run_group_tests(with_devices, set_up, tear_down);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
