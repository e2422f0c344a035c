/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "node/motd.h"
#include "nodectl/commands.h"

#define RESULT_MAX_BYTES   (1 * MIB)
#define CMD_LINE_MAX_BYTES (64 * KIB)

/* NULL when there is none.  A time in the future is as good as none. */
static char *read_result(int64_t *age_seconds)
{
	autofd int fd = open(NODE_RESULT_PATH, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = NULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 ||
		file_read_fd(fd, RESULT_MAX_BYTES, &text, NULL, NULL) < 0)
		return NULL;
	*age_seconds = time(NULL) - st.st_mtime;
	return text;
}

static bool is_installed(void)
{
	autofree char *cmd_line = NULL;

	if (file_read("/proc/cmdline", CMD_LINE_MAX_BYTES, &cmd_line, NULL, NULL) < 0)
		return false;
	autofree char *layer = node_kernel_param(cmd_line, BOOT_LAYER_PARAM);
	return layer != NULL;
}

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	int64_t age_seconds = 0;

	(void)parsed;
	(void)args;
	(void)p;
	(void)e;
	/* Whatever is wrong here, a login goes on. */
	if (!is_installed())
		return 0;
	autofree char *result = read_result(&age_seconds);
	autofree char *text = node_motd_text(result, age_seconds);
	fputs(text, stdout);
	return 0;
}

const struct cli_command cmd_motd = {
	.name = "motd",
	.args = "",
	.summary = "Show the status of this node at login",
	.run = run,
};
