/* SPDX-License-Identifier: Apache-2.0 */
#include "install/consoles.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/xalloc.h"

#define ACTIVE_PATH  "/sys/class/tty/console/active"
#define CONSOLES_MAX 8
#define PATIENCE_MS  2000

struct consoles {
	int fds[CONSOLES_MAX]; /* -1: left out */
	size_t count;
	FILE *stream;
};

static int write_patiently(int fd, const char *data, size_t len)
{
	while (len > 0) {
		struct pollfd p = {.fd = fd, .events = POLLOUT};
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n < 0 && errno == EAGAIN && poll(&p, 1, PATIENCE_MS) == 0)
			return -ETIMEDOUT;
		data += MAX(n, 0);
		len -= (size_t)MAX(n, 0);
	}
	return 0;
}

static void drop(int *fd)
{
	close_auto(fd);
	*fd = -1;
}

/* Never an error: whoever prints has more important things to do. */
static ssize_t write_all(void *cookie, const char *data, size_t len)
{
	struct consoles *c = cookie;

	for (size_t i = 0; i < c->count; i++)
		if (c->fds[i] >= 0 && write_patiently(c->fds[i], data, len) < 0)
			drop(&c->fds[i]);
	fwrite(data, 1, len, stdout);
	fflush(stdout);
	return (ssize_t)len;
}

static void open_one(struct consoles *c, const char *name)
{
	autofree char *path = xasprintf("/dev/%s", name);

	if (c->count >= CONSOLES_MAX)
		return;
	int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		log_debug("console '%s' cannot be opened", path);
	else
		c->fds[c->count++] = fd;
}

struct consoles *consoles_open(void)
{
	struct consoles *c = xcalloc(1, sizeof(*c));
	autofree char *text = NULL;
	char *rest;

	if (file_read(ACTIVE_PATH, 4 * KIB, &text, NULL, NULL) == 0) {
		rest = text;
		for (const char *name; (name = str_next_word(&rest, " \n"));)
			if (!strchr(name, '/'))
				open_one(c, name);
	}
	c->stream = fopencookie(c, "w", (cookie_io_functions_t){.write = write_all});
	assert(c->stream);
	setvbuf(c->stream, NULL, _IOLBF, 0);
	return c;
}

void consoles_free(struct consoles *c)
{
	if (!c)
		return;
	fclose(c->stream);
	for (size_t i = 0; i < c->count; i++)
		close_auto(&c->fds[i]);
	free(c);
}

FILE *consoles_stream(struct consoles *c)
{
	return c->stream;
}

/* Whether one of them has a line; what was typed does not matter. */
static bool has_line(const struct pollfd *polled, size_t count)
{
	char buf[256];
	bool found = false;

	for (size_t i = 0; i < count; i++)
		if (polled[i].revents & POLLIN && read(polled[i].fd, buf, sizeof(buf)) > 0)
			found = true;
	return found;
}

int consoles_wait_enter(struct consoles *c, struct err *e)
{
	struct pollfd polled[CONSOLES_MAX];
	size_t count = 0;

	for (size_t i = 0; i < c->count; i++) {
		if (c->fds[i] < 0)
			continue;
		tcflush(c->fds[i], TCIFLUSH);
		polled[count++] = (struct pollfd){.fd = c->fds[i], .events = POLLIN};
	}
	if (count == 0)
		return err_set(e, ENOTTY, "there is no console to press Enter on");
	for (;;) {
		int n = poll(polled, count, -1);
		int r = interrupt_check(e);

		if (r < 0)
			return r;
		if (n > 0 && has_line(polled, count))
			return 0;
		/* A line that was hung up reports that for ever. */
		for (size_t i = 0; n > 0 && i < count; i++)
			if (polled[i].revents & (POLLHUP | POLLERR | POLLNVAL))
				polled[i].fd = -1;
	}
}
