/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/site-lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/io.h"
#include "base/log.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "upgrade/health.h"

#define TEXT_MAX 4096
#define WAIT_NS  200000000L

/* Program and verb; what else is on the command line may be a secret. */
static char *command(void)
{
	autofree char *line = NULL;
	size_t len = 0;

	if (file_read("/proc/self/cmdline", 1 * MIB, &line, &len, NULL) < 0 || len == 0)
		return xstrdup("?");
	const char *slash = strrchr(line, '/'), *program = slash ? slash + 1 : line;
	size_t next = strlen(line) + 1;
	const char *verb = next < len && line[next] != '-' ? line + next : "";
	return xasprintf("%.100s%s%.100s", program, *verb ? " " : "", verb);
}

static int busy(int fd, const char *path, struct err *e)
{
	autofree char *text = NULL;

	if (file_read_fd(fd, TEXT_MAX, &text, NULL, NULL) < 0 || !*text)
		return err_set(e, EBUSY, "another operation is in progress (it holds '%s')", path);
	text[strcspn(text, "\n")] = '\0';
	autofree char *shown = str_printable(text);
	return err_set(e, EBUSY, "another operation is in progress: %s", shown);
}

static int make_folder_of(const char *path, struct err *e)
{
	autofree char *folder = xstrndup(path, (size_t)(strrchr(path, '/') - path));

	return file_make_folder(folder, 0755, e);
}

int site_lock(const char *path, struct err *e)
{
	int r = make_folder_of(path, e);

	if (r < 0)
		return r;
	autofd int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(e, "'%s'", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? busy(fd, path, e) : err_errno(e, "'%s'", path);
	autofree char *name = command();
	autofree char *text = xasprintf("'%s', process %d\n", name, (int)getpid());
	if (ftruncate(fd, 0) < 0)
		return err_errno(e, "'%s'", path);
	r = io_pwrite(fd, text, strlen(text), 0, e);
	return r < 0 ? err_wrap(e, r, "'%s'", path) : take_fd(&fd);
}

int site_lock_until(const char *path, uint64_t boot_seconds, struct err *e)
{
	bool said = false;

	for (;;) {
		struct err own = {0};
		int r = site_lock(path, &own);

		if (r >= 0)
			return r;
		if (r != -EBUSY || health_now() >= boot_seconds)
			return err_set(e, -r, "%s", own.msg);
		if (!said)
			log_info("%s: waiting for it", own.msg);
		said = true;
		nanosleep(&(struct timespec){.tv_nsec = WAIT_NS}, NULL);
		r = interrupt_check(e);
		if (r < 0)
			return r;
	}
}

void site_unlock(int fd)
{
	/* Who comes next must not read our name. */
	(void)!ftruncate(fd, 0);
	close(fd);
}
