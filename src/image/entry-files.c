/* SPDX-License-Identifier: Apache-2.0 */
#include "image/entry-files.h"

#include <errno.h>
#include <fcntl.h>

#include "base/file.h"
#include "image/image.h"

int entry_files_write(
	const struct tree *t, int root_fd, int boot_fd, struct boot_entry *entry, struct err *e)
{
	const struct tree_entry *kernel, *initramfs;
	autofd int kernel_fd = -1, initramfs_fd = -1;
	autofree char *release = NULL;
	int r = image_boot_entries(t, &kernel, &initramfs, &release, e);

	if (r < 0)
		return r;
	if (!initramfs)
		return err_set(e, ENOENT, "the image has no initramfs of kernel %s", release);
	kernel_fd = file_open_in_root(root_fd, kernel->path, O_RDONLY, 0, e);
	if (kernel_fd < 0)
		return kernel_fd;
	initramfs_fd = file_open_in_root(root_fd, initramfs->path, O_RDONLY, 0, e);
	if (initramfs_fd < 0)
		return initramfs_fd;
	free(entry->release);
	entry->release = take_ptr(release);
	return boot_entry_write(boot_fd, entry, kernel_fd, initramfs_fd, e);
}
