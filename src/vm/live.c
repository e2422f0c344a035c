/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/live.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/xalloc.h"

/* Where the kernel takes an archive that is not packed for one. */
#define ARCHIVE_ALIGN  4
#define KERNEL_FILE    "vmlinuz"
#define INITRAMFS_FILE "initramfs.img"
#define LIVE_CMD_LINE                                                                              \
	"root=live:" VM_FIRST_DISK " rd.live.image rd.live.overlay.overlayfs=1"                    \
	" rd.live.overlay.nouserconfirmprompt " VM_CONSOLE_PARAM
#define BARE_CMD_LINE "root=" VM_FIRST_DISK " rw " VM_CONSOLE_PARAM

static int find_boot_files(struct image *img, struct err *e)
{
	const struct tree_entry *kernel, *initramfs;
	autofree char *release = NULL;
	int r = image_boot_entries(image_tree(img), &kernel, &initramfs, &release, e);

	if (r == 0 && !initramfs)
		return err_set(e, ENOENT, "no initramfs of kernel %s", release);
	return r;
}

static int extract(struct image *img, struct machine *m, struct err *e)
{
	autofd int kernel_fd = machine_create_file(m, KERNEL_FILE, e);
	if (kernel_fd < 0)
		return kernel_fd;
	autofd int initramfs_fd = machine_create_file(m, INITRAMFS_FILE, e);
	if (initramfs_fd < 0)
		return initramfs_fd;

	return image_boot_files(img, kernel_fd, initramfs_fd, e);
}

/* The image's own parameters first: the last root= and the last console= count. */
static int make_cmd_line(struct image *img, const char *more, char **out, struct err *e)
{
	const char *how = image_kind(img) == IMAGE_EXT4 ? BARE_CMD_LINE : LIVE_CMD_LINE;
	autofree char *words = NULL;
	int r = image_kernel_params(img, &words, e);

	if (r < 0)
		return r;
	*out = xasprintf(
		"%s%s%s%s%s", words, *words ? " " : "", how, more ? " " : "", more ? more : "");
	return 0;
}

static int prepare(struct machine *m, struct image *img, const char *append, struct err *e)
{
	const struct vm_disk disk = {
		.path = image_path(img),
		.serial = "image",
		.use = image_kind(img) == IMAGE_EXT4 ? VM_DISK_SCRATCH : VM_DISK_READ_ONLY,
	};
	autofree char *kernel = machine_file(m, KERNEL_FILE);
	autofree char *initramfs = machine_file(m, INITRAMFS_FILE);
	autofree char *cmd_line = NULL;
	int r = make_cmd_line(img, append, &cmd_line, e);

	if (r < 0)
		return r;
	const struct vm_spec spec = {
		.kernel = kernel,
		.initramfs = initramfs,
		.cmd_line = cmd_line,
		.disks = &disk,
		.disk_count = 1,
		.ends_at_reset = true,
	};
	return machine_prepare(m, &spec, e);
}

int live_new(struct image *img, const struct machine_params *params, const char *append,
	struct machine **out, struct err *e)
{
	autoptr(machine) m = NULL;
	int r = find_boot_files(img, e);

	if (r < 0)
		return err_wrap(e, r, "%s", image_path(img));
	r = machine_new(params, &m, e);
	if (r < 0)
		return r;
	r = prepare(m, img, append, e);
	if (r < 0)
		return r;
	if (!params->dry_run) {
		r = extract(img, m, e);
		if (r < 0)
			return err_wrap(e, r, "taking the kernel out of %s", image_path(img));
	}
	*out = take_ptr(m);
	return 0;
}

int live_add_initramfs(struct machine *m, const void *archive, size_t len, struct err *e)
{
	autofree char *path = machine_file(m, INITRAMFS_FILE);
	autofd int fd = open(path, O_WRONLY | O_CLOEXEC);
	struct stat st;
	uint64_t at;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, "%s", path);
	at = ((uint64_t)st.st_size + ARCHIVE_ALIGN - 1) / ARCHIVE_ALIGN * ARCHIVE_ALIGN;
	r = io_pwrite(fd, archive, len, at, e);
	return r < 0 ? err_wrap(e, r, "%s", path) : 0;
}
