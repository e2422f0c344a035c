/* SPDX-License-Identifier: Apache-2.0 */
#include "image/build.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cmd.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "boot/loader.h"
#include "image/configure.h"
#include "image/deliver.h"
#include "image/finish.h"
#include "image/image.h"
#include "image/initramfs.h"
#include "image/liveimg.h"
#include "image/packages.h"
#include "image/recipe.h"
#include "image/rootfs.h"
#include "image/sign.h"
#include "image/stage.h"
#include "sys/chroot.h"

/* One build.  Data flows down: each step fills what the next ones read. */
struct build {
	const struct build_spec *spec;
	struct progress *progress;
	struct stage_cache *cache;
	char *package_cache;           /* folder */
	uint8_t program[SHA256_BYTES]; /* of ourselves: another bedplate may make other bytes */
	struct recipe *recipe;
	struct pkg_request *request;
	char *repository_state;
	int64_t source_date;
	char *version;
	struct image *previous; /* or NULL */
	struct stage packages, configure, rootfs, liveimg;
	bool forced; /* from here on every stage runs */
};

static void build_fini(struct build *b)
{
	stage_fini(&b->packages);
	stage_fini(&b->configure);
	stage_fini(&b->rootfs);
	stage_fini(&b->liveimg);
	image_free(b->previous);
	pkg_request_free(b->request);
	recipe_free(b->recipe);
	stage_cache_close(b->cache);
	free(b->package_cache);
	free(b->repository_state);
	free(b->version);
}
#define autobuild auto_with(build_fini) struct build

void build_result_fini(struct build_result *r)
{
	free(r->name);
	free(r->version);
	free(r->image);
	free(r->manifest);
}

/* Look a stage up and tell why it runs. */
static int begin(struct build *b, struct stage *s, struct err *e)
{
	b->forced |= b->spec->from && str_eq(b->spec->from, s->name);
	int r = stage_begin(s, b->cache, b->forced, e);

	if (r < 0)
		return r;
	log_info("stage %s: %s (%s)", s->name, s->cached ? "cached" : "runs", s->why);
	if (b->spec->on_stage)
		b->spec->on_stage(b->spec->ctx,
			&(struct build_stage_report){
				.name = s->name, .cached = s->cached, .why = s->why});
	return 0;
}

/* The end of a stage that ran: r is how it went. */
static int end(struct stage *s, int r, struct err *e)
{
	if (r == 0)
		r = stage_commit(s, e);
	return r < 0 ? stage_failed(s, r, e) : 0;
}

static char *tree_of(const struct stage *s)
{
	return xasprintf("%s/tree", s->work ? s->work : s->folder);
}

static int make_packages(struct build *b, struct stage *s, struct err *e)
{
	autofree char *tree = tree_of(s);
	int r = file_make_folder(tree, 0755, e);

	progress_begin(b->progress, s->name, 0, "packages");
	if (r == 0)
		r = packages_tree(b->request, b->package_cache, tree, s->log_fd, b->progress, e);
	if (r == 0)
		progress_end(b->progress);
	return r;
}

static int packages_stage(struct build *b, struct err *e)
{
	struct stage *s = &b->packages;
	autofree char *wanted = pkg_request_digest(b->request);

	stage_add(s, "bedplate", b->program);
	stage_add_text(s, "repositories", b->repository_state);
	stage_add_text(s, "package list", wanted);
	int r = begin(b, s, e);
	if (r < 0 || s->cached)
		return r;
	return end(s, make_packages(b, s, e), e);
}

static int copy_tree(const char *from, const char *to, int log_fd, struct err *e)
{
	autocmd c = {.log_fd = log_fd};

	cmd_add(&c, "cp", "-a", "--reflink=auto", "--", from, to, NULL);
	return cmd_run(&c, e);
}

/* An image may do without GRUB for BIOS; what needs it says so. */
static int make_media_loader(const char *tree, int log_fd, struct err *e)
{
	int r = loader_make_media_images(tree, log_fd, e);

	if (r != -ENOENT)
		return r;
	*e = (struct err){0};
	return 0;
}

static int make_configured(struct build *b, struct stage *s, struct err *e)
{
	autofree char *installed = tree_of(&b->packages);
	autofree char *tree = tree_of(s);
	int r;

	const struct configure_params configure = {
		.seed = b->recipe->name, .source_date = b->source_date};
	const struct finish_params finish = {.image_name = b->recipe->name,
		.image_version = b->version,
		.recipe = b->recipe->file,
		.built_with = "bedplate " BEDPLATE_VERSION,
		.source_date = b->source_date};

	progress_begin(b->progress, s->name, 0, "steps");
	r = copy_tree(installed, tree, s->log_fd, e);
	if (r == 0)
		r = configure_tree(b->recipe->doc, tree, &configure, s->log_fd, b->progress, e);
	if (r == 0)
		progress_end(b->progress);
	if (r < 0)
		return r;

	progress_begin(b->progress, "initramfs", 0, "steps");
	r = initramfs_build(tree, b->package_cache, b->source_date, s->log_fd, e);
	if (r == 0)
		r = make_media_loader(tree, s->log_fd, e);
	if (r == 0)
		r = finish_tree(tree, &finish, e);
	if (r == 0)
		progress_end(b->progress);
	return r;
}

static int configure_stage(struct build *b, struct err *e)
{
	struct stage *s = &b->configure;
	autofree char *identity = xasprintf(
		"%s %s %" PRId64, b->recipe->name, b->version, b->source_date);

	stage_add(s, "bedplate", b->program);
	stage_add_text(s, "packages", b->packages.key);
	stage_add_text(s, "kickstart commands", b->recipe->commands);
	stage_add_text(s, "%post scripts", b->recipe->scripts);
	stage_add_text(s, "name, version or date", identity);
	int r = begin(b, s, e);
	if (r < 0 || s->cached)
		return r;
	return end(s, make_configured(b, s, e), e);
}

/* A first image takes the layout of its packages alone, so that a changed %post moves nothing. */
static int rootfs_stage(struct build *b, struct build_result *out, struct err *e)
{
	struct stage *s = &b->rootfs;
	autofree char *installed = tree_of(&b->packages);
	autofree char *tree = tree_of(&b->configure);
	autofree char *size = xasprintf("%" PRIu64, b->recipe->fs_size_bytes);
	uint8_t sum[SHA256_BYTES] = {0};
	int r = b->previous ? sha256_source(image_file(b->previous), sum, e) : 0;

	if (r < 0)
		return err_wrap(e, r, "'%s'", b->spec->previous);
	stage_add(s, "bedplate", b->program);
	stage_add_text(s, "configuration", b->configure.key);
	stage_add(s, "previous image", sum);
	stage_add_text(s, "size of the file system", size);
	stage_add_text(s, "options of the file system", b->recipe->fs_discard ? "discard" : "");
	r = begin(b, s, e);
	if (r < 0 || s->cached)
		return r;

	const struct rootfs_spec spec = {.tree = tree,
		.layout_tree = installed,
		.previous = b->previous,
		.image_name = b->recipe->name,
		.size_bytes = b->recipe->fs_size_bytes,
		.discard = b->recipe->fs_discard,
		.source_date = b->source_date,
		.folder = s->work};
	return end(s, rootfs_make(&spec, &out->kept_blocks, &out->new_blocks, b->progress, e), e);
}

static int liveimg_stage(struct build *b, struct err *e)
{
	struct stage *s = &b->liveimg;
	const struct build_spec *spec = b->spec;
	autofree char *tree = tree_of(&b->configure);
	autofree char *compression = xasprintf(
		"%s %d", squashfs_compressor_name(spec->compressor), spec->level);
	autofree char *earlier = stage_last_folder(b->cache, s->name);

	stage_add(s, "bedplate", b->program);
	stage_add_text(s, "file system", spec->flat ? b->configure.key : b->rootfs.key);
	stage_add_text(s, "compression", compression);
	stage_add_text(s, "recipe", b->recipe->canonical);
	int r = begin(b, s, e);
	if (r < 0 || s->cached)
		return r;

	const struct liveimg_spec live = {.tree = tree,
		.rootfs_folder = spec->flat ? NULL : b->rootfs.folder,
		.recipe = b->recipe,
		.version = b->version,
		.arch = b->request->arch,
		.source_date = b->source_date,
		.compressor = spec->compressor,
		.level = spec->level,
		.earlier_folder = earlier,
		.previous = b->previous,
		.folder = s->work};
	return end(s, liveimg_make(&live, b->progress, e), e);
}

static int check_spec(const struct build_spec *spec, struct err *e)
{
	int r = sign_check_files(spec->sign_key, spec->sign_cert, e);

	if (r < 0)
		return r;
	if (spec->flat && spec->previous)
		return err_set(
			e, EINVAL, "only an ext4 image can keep the layout of a previous one");
	if (geteuid() != 0)
		return err_set(e, EPERM,
			"building an image needs root: it installs packages into a "
			"folder and runs their scripts there");
	return 0;
}

static int open_previous(struct build *b, struct err *e)
{
	if (!b->spec->previous)
		return 0;
	int r = image_open(b->spec->previous, &b->previous, e);
	if (r < 0)
		return err_wrap(e, r, "previous image");
	if (!image_rootfs(b->previous))
		return err_set(
			e, EINVAL, "previous image '%s' holds no ext4 image", b->spec->previous);
	return 0;
}

/* The date all times are cut to: the environment's, else that of the newest repository. */
static int set_source_date(struct build *b, int64_t repository_date, struct err *e)
{
	const char *text = getenv("SOURCE_DATE_EPOCH");
	char *end_of_number = NULL;

	b->source_date = repository_date;
	if (!text)
		return 0;
	errno = 0;
	intmax_t n = strtoimax(text, &end_of_number, 10);
	if (errno != 0 || end_of_number == text || *end_of_number || n < 0)
		return err_set(
			e, EINVAL, "bad SOURCE_DATE_EPOCH '%s', expected seconds since 1970", text);
	b->source_date = n;
	return 0;
}

static void set_version(struct build *b)
{
	time_t t = (time_t)b->source_date;
	char text[16];
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y%m%d", &tm);
	b->version = xstrdup(b->recipe->version ? b->recipe->version : text);
}

/* Parse the recipe and ask the repositories: all that is needed to know what has changed. */
static int prepare(struct build *b, struct err *e)
{
	autofree char *log = NULL;
	int64_t repository_date = 0;
	int r = stage_cache_log(b->cache, "prepare", &log, e);

	if (r < 0)
		return r;
	autofd int log_fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	if (log_fd < 0)
		return err_errno(e, "'%s'", log);
	r = recipe_load(b->spec->recipe, log_fd, &b->recipe, e);
	if (r == 0)
		r = pkg_request_from_ks(b->recipe->doc, &b->request, e);
	if (r < 0)
		return r;

	progress_begin(b->progress, "repositories", 0, "steps");
	r = pkg_backend(b->request)
		    ->refresh(b->request, b->package_cache, log_fd, &b->repository_state,
			    &repository_date, e);
	if (r < 0)
		return r;
	progress_end(b->progress);
	r = set_source_date(b, repository_date, e);
	if (r == 0)
		set_version(b);
	return r;
}

static int run_stages(struct build *b, struct build_result *out, struct err *e)
{
	int r = packages_stage(b, e);

	if (r == 0)
		r = configure_stage(b, e);
	if (r == 0 && !b->spec->flat)
		r = rootfs_stage(b, out, e);
	if (r == 0)
		r = liveimg_stage(b, e);
	return r;
}

int image_build(
	const struct build_spec *spec, struct build_result *out, struct progress *p, struct err *e)
{
	autobuild b = {.spec = spec,
		.progress = p,
		.packages = {.name = "packages", .log_fd = -1},
		.configure = {.name = "configure", .log_fd = -1},
		.rootfs = {.name = "rootfs", .log_fd = -1},
		.liveimg = {.name = "liveimg", .log_fd = -1}};
	int r = check_spec(spec, e);

	if (r == 0)
		r = chroot_enter_namespace(e);
	if (r == 0)
		r = sha256_file("/proc/self/exe", b.program, e);
	if (r == 0)
		r = open_previous(&b, e);
	if (r == 0)
		r = stage_cache_open(spec->cache, spec->recipe, &b.cache, e);
	if (r == 0)
		r = stage_cache_folder(b.cache, "packages", &b.package_cache, e);
	if (r == 0)
		r = prepare(&b, e);
	if (r == 0)
		r = run_stages(&b, out, e);
	if (r < 0)
		return r;

	const struct deliver_spec deliver = {.from = b.liveimg.folder,
		.output = spec->output,
		.name = b.recipe->name,
		.version = b.version,
		.sign_key = spec->sign_key,
		.sign_cert = spec->sign_cert};
	r = deliver_image(&deliver, out, e);
	return r < 0 ? r : stage_cache_prune(b.cache, e);
}
