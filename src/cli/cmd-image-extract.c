/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "cli/commands.h"
#include "image/extract.h"
#include "image/image.h"

struct options {
	const char *output;
	bool force, rootfs, kernel, initramfs;
};

static const struct cli_opt opts[] = {
	{'o', "output", "DEST",
		"where to: a folder, or the name of a file for a single one, or - for standard output",
		OPT_STRING, offsetof(struct options, output)},
	{0, "force", NULL, "write into a folder that is not empty, and over files", OPT_FLAG,
		offsetof(struct options, force)},
	{0, "rootfs", NULL, "the file system image itself", OPT_FLAG,
		offsetof(struct options, rootfs)},
	{0, "kernel", NULL, "the newest kernel", OPT_FLAG, offsetof(struct options, kernel)},
	{0, "initramfs", NULL, "the initramfs of the newest kernel", OPT_FLAG,
		offsetof(struct options, initramfs)},
};

/* A single file, from a source to DEST. */
static int write_source(
	struct source *s, const char *dest, bool force, struct progress *p, struct err *e)
{
	autofree char *tmp = NULL;
	autofd int fd = -1;
	int r;

	if (str_eq(dest, "-"))
		return extract_stream(s, STDOUT_FILENO, p, e);
	if (!force && faccessat(AT_FDCWD, dest, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(e, EEXIST, "'%s' is there already", dest);
	/* Half a file never has the final name. */
	tmp = xasprintf("%s.part", dest);
	unlink(tmp);
	fd = open(tmp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_errno(e, "creating '%s'", tmp);
	r = extract_source(s, fd, p, e);
	if (r < 0)
		r = err_wrap(e, r, "'%s'", dest);
	if (r == 0 && rename(tmp, dest) < 0)
		r = err_errno(e, "creating '%s'", dest);
	if (r < 0)
		unlink(tmp);
	return r;
}

static int write_entry(struct tree *t, const struct tree_entry *en, const struct options *o,
	struct progress *p, struct err *e)
{
	autoptr(source) s = NULL;
	int r = tree_open(t, en, &s, e);

	return r < 0 ? r
		     : write_source(s, o->output ? o->output : tree_entry_name(en), o->force, p, e);
}

static int extract_boot(
	struct image *img, const struct options *o, struct progress *p, struct err *e)
{
	const struct tree_entry *kernel = NULL, *initramfs = NULL;
	struct tree *t = image_tree(img);
	autofree char *release = NULL;
	int r = image_boot_entries(t, &kernel, &initramfs, &release, e);

	if (r < 0)
		return r;
	if (o->initramfs && !initramfs)
		return err_set(e, ENOENT, "no initramfs for kernel '%s' in the image", release);
	return write_entry(t, o->kernel ? kernel : initramfs, o, p, e);
}

static int extract_rootfs(
	struct image *img, const struct options *o, struct progress *p, struct err *e)
{
	struct source *s = image_rootfs(img);

	if (!s)
		return err_set(
			e, ENOENT, "'%s' holds no file system image: it is flat", image_path(img));
	return write_source(s, o->output ? o->output : "rootfs.img", o->force, p, e);
}

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void warn_lost(const struct extract_result *r)
{
	if (r->lost_owners > 0)
		log_warning("%" PRIu64 " files belong to others than in the image: not root",
			r->lost_owners);
	if (r->lost_devices > 0)
		log_warning("%" PRIu64 " devices were left out: not root", r->lost_devices);
	if (r->lost_xattrs > 0)
		log_warning(
			"%" PRIu64 " attributes were left out: not possible here", r->lost_xattrs);
}

static char *default_folder(const struct image *img)
{
	autofree char *stem = image_sibling(img, "");
	const char *slash = strrchr(stem, '/');

	return xasprintf("%s.tree", slash ? slash + 1 : stem);
}

static int extract_path(struct image *img, const char *path, const struct options *o,
	struct progress *p, struct err *e)
{
	struct tree *t = image_tree(img);
	const struct tree_entry *en = image_resolve(t, path);
	struct extract_result result = {0};
	autofree char *stem = default_folder(img);
	const char *dest = o->output;

	if (!en)
		return err_set(e, ENOENT, "no '%s' in '%s'", path, image_path(img));
	if (S_ISREG(en->mode) && dest && !is_folder(dest))
		return write_entry(t, en, o, p, e);
	if (dest && str_eq(dest, "-"))
		return err_set(
			e, EINVAL, "'%s' is not a file: it cannot go to standard output", path);
	if (!dest)
		dest = S_ISDIR(en->mode) ? stem : ".";
	const struct extract_spec spec = {
		.tree = t, .path = en->path, .dest = dest, .force = o->force};
	int r = extract_tree(&spec, &result, p, e);
	if (r == 0)
		warn_lost(&result);
	return r;
}

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	int special = o->rootfs + o->kernel + o->initramfs;
	autoptr(image) img = NULL;

	if (special > 1 || (special == 1 && args[1])) {
		err_set(e, EINVAL,
			"only one of PATH, '--rootfs', '--kernel' and '--initramfs' can be given");
		return CLI_WRONG_USE;
	}
	int r = image_open(args[0], &img, e);
	if (r < 0)
		return r;
	if (o->rootfs)
		return extract_rootfs(img, o, p, e);
	if (special == 1)
		return extract_boot(img, o, p, e);
	return extract_path(img, args[1] ? args[1] : "", o, p, e);
}

const struct cli_command cmd_image_extract = {
	.name = "image extract",
	.args = "FILE [PATH]",
	.summary = "Write the files of an image, or one of them, to disk",
	.details = "Without PATH the whole tree is written, into NAME-VERSION.tree unless -o says\n"
		   "where.  A folder's content goes into DEST, which must be empty; a file gets\n"
		   "its own name.  As root, owners and devices are kept.  Nothing is ever written\n"
		   "outside of DEST.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.min_args = 1,
	.max_args = 2,
	.has_progress = true,
	.run = run,
};
