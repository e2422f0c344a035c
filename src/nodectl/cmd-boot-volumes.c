/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>

#include "base/file.h"
#include "base/log.h"
#include "hotadd/hotadd.h"
#include "node/state.h"
#include "nodectl/commands.h"
#include "nodectl/plugin-site.h"
#include "upgrade/factory-add.h"
#include "upgrade/site-lock.h"
#include "upgrade/site.h"

#define CMD_LINE_MAX_BYTES (64 * KIB)

/* A change of plugins that was cut off, before anything of it is used. */
static void take_back(int root_fd)
{
	const struct hotadd_site site = {.root = "/",
		.root_fd = root_fd,
		.live = file_exists(PLUGIN_SITE_SYSTEMD),
		.boots = true};
	autofree char *what = NULL;
	struct err e = {0};
	int lock_fd = site_lock(SITE_LOCK_PATH, &e);

	/* Somebody who called this by hand while one goes on. */
	if (lock_fd < 0) {
		log_warning("changes of plugins are not looked for: %s", e.msg);
		return;
	}
	if (hotadd_recover(&site, &what, &e) < 0)
		log_error("%s", e.msg);
	else if (what)
		printf("taken back: %s, which was cut off\n", what);
	site_unlock(lock_fd);
}

static int run(UNUSED const void *parsed, UNUSED char *const args[], UNUSED struct progress *p,
	struct err *e)
{
	autofree char *cmd_line = NULL;
	autostrv added = {0};
	int r = file_read("/proc/cmdline", CMD_LINE_MAX_BYTES, &cmd_line, NULL, e);

	if (r < 0)
		return r;
	autofree char *layer = node_kernel_param(cmd_line, BOOT_LAYER_PARAM);
	if (!layer)
		return 0;
	autofd int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return err_errno(e, "'/'");
	take_back(root_fd);
	r = factory_add(root_fd, layer, &added, e);
	for (size_t i = 0; i < added.count; i++) {
		autofree char *path = str_printable(added.items[i]);

		printf("added %s\n", path);
	}
	return r;
}

const struct cli_command cmd_boot_volumes = {
	.name = "boot-volumes",
	.args = "",
	.summary = "Add what a new image has in /var",
	.details = "Run at boot.  What /usr/share/factory/var of the image has, and /var has\n"
		   "not, is copied, once for each layer.  Nothing that is there is changed,\n"
		   "and what was deleted stays deleted.  Before that, a change of plugins\n"
		   "that was cut off is taken back.\n",
	.run = run,
};
