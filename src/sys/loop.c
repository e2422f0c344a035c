/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/xalloc.h"

#define TRIES 16 /* another process may take the free device first */

int loop_open(int fd, uint64_t off, uint64_t len, char **device, struct err *e)
{
	const struct loop_config config = {
		.fd = (uint32_t)fd,
		.info = {.lo_offset = off,
			.lo_sizelimit = len,
			.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR},
	};
	autofd int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

	if (control < 0)
		return err_errno(e, "'/dev/loop-control'");
	for (int i = 0; i < TRIES; i++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);

		if (number < 0)
			return err_errno(e, "no free loop device");
		autofree char *path = xasprintf("/dev/loop%d", number);
		autofd int loop = open(path, O_RDONLY | O_CLOEXEC);
		if (loop < 0)
			return err_errno(e, "'%s'", path);
		if (ioctl(loop, LOOP_CONFIGURE, &config) == 0) {
			*device = take_ptr(path);
			return take_fd(&loop);
		}
		if (errno != EBUSY)
			return err_errno(e, "'%s'", path);
	}
	return err_set(e, EBUSY, "no free loop device");
}
