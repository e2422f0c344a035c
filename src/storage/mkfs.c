/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/mkfs.h"

#include <errno.h>

#include "base/cmd.h"

static void add_ext(struct cmd *c, const struct mkfs_spec *s)
{
	/*
	 * No inode tables left for the kernel to write after the first mount: they are zeros
	 * already, or are written now.
	 */
	const char *tables = s->reads_as_zeros ? "nodiscard,assume_storage_prezeroed=1"
					       : "lazy_itable_init=0,lazy_journal_init=0";

	cmd_add(c, "-q", "-F", "-t", s->fstype, "-E", tables, NULL);
	if (s->for_grub)
		cmd_add(c, "-O", "^metadata_csum_seed,^orphan_file", NULL);
	if (s->content)
		cmd_add(c, "-d", s->content, NULL);
}

static void add_xfs(struct cmd *c, const struct mkfs_spec *s)
{
	cmd_add(c, "-q", "-f", NULL);
	if (s->reads_as_zeros)
		cmd_add(c, "-K", NULL);
}

static void add_vfat(struct cmd *c, const struct mkfs_spec *s UNUSED)
{
	cmd_add(c, "-F", "32", NULL);
}

static void add_swap(struct cmd *c, const struct mkfs_spec *s UNUSED)
{
	cmd_add(c, "--force", NULL);
}

static const struct type {
	const char *name, *program, *package;
	const char *label_option;
	int label_max;
	void (*add)(struct cmd *c, const struct mkfs_spec *s);
} types[] = {
	{"ext4", "mke2fs", "e2fsprogs", "-L", 16, add_ext},
	{"ext3", "mke2fs", "e2fsprogs", "-L", 16, add_ext},
	{"ext2", "mke2fs", "e2fsprogs", "-L", 16, add_ext},
	{"xfs", "mkfs.xfs", "xfsprogs", "-L", 12, add_xfs},
	{"vfat", "mkfs.vfat", "dosfstools", "-n", 11, add_vfat},
	{"swap", "mkswap", "util-linux", "-L", 15, add_swap},
};

static const struct type *find_type(const char *fstype)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (str_eq(types[i].name, fstype))
			return &types[i];
	return NULL;
}

int mkfs_check(const char *fstype, struct err *e)
{
	const struct type *type = find_type(fstype);

	if (!type)
		return err_set(e, EINVAL,
			"file system '%s': not one of ext4, ext3, ext2, xfs, "
			"vfat, swap",
			fstype);
	if (!cmd_exists(type->program))
		return err_set(e, ENOENT, "file system '%s' needs the program %s (package %s)",
			fstype, type->program, type->package);
	return 0;
}

int mkfs_run(const struct mkfs_spec *spec, struct err *e)
{
	const struct type *type = find_type(spec->fstype);
	autocmd c = {0};
	int r = mkfs_check(spec->fstype, e);

	if (r < 0)
		return r;
	cmd_add(&c, type->program, NULL);
	type->add(&c, spec);
	cmd_add(&c, type->label_option, NULL);
	cmd_addf(&c, "%.*s", type->label_max, spec->label);
	cmd_add(&c, spec->device, NULL);
	r = cmd_run(&c, e);
	return r < 0 ? err_wrap(e, r, "%s on '%s'", spec->fstype, spec->device) : 0;
}
