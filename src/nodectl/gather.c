/* SPDX-License-Identifier: Apache-2.0 */
#include "nodectl/gather.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int nodectl_gather_installed(unsigned look, struct node_state *out, struct err *e)
{
	autofd int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (root_fd < 0)
		return err_errno(e, "/");
	if (geteuid() != 0)
		return err_set(e, EPERM, "this needs root");
	r = node_state_gather(root_fd, look, out, e);
	if (r < 0)
		return r;
	if (out->running == NODE_LIVE)
		return err_set(e, ENODEV, "this is a live system, not an installed node");
	if (out->running != NODE_INSTALLED)
		return err_set(e, ENODEV,
			"this is not an installed node: the kernel command line has no " BOOT_LAYER_PARAM);
	return 0;
}
