/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/console.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "base/interrupt.h"
#include "base/io.h"
#include "base/xalloc.h"

#define CHUNK_BYTES  4096
#define UNREAD_MAX   (64 * KIB)
#define TAIL_MAX     (8 * KIB)
#define POLL_MS      200
#define MS_PER_S     1000
#define NS_PER_MS    1000000
#define ESCAPE_KEY   0x01 /* Ctrl-A */
#define ESCAPE_QUITS 'x'

void console_init(struct console *c, int fd, int copy_fd, unsigned timeout_seconds)
{
	*c = (struct console){.fd = fd, .copy_fd = copy_fd};
	console_set_timeout(c, timeout_seconds);
}

void console_set_timeout(struct console *c, unsigned timeout_seconds)
{
	c->has_deadline = timeout_seconds > 0;
	clock_gettime(CLOCK_MONOTONIC, &c->deadline);
	c->deadline.tv_sec += timeout_seconds;
}

void console_fini(struct console *c)
{
	strbuf_fini(&c->unread);
	strbuf_fini(&c->tail);
}

/* Drop all but the last keep bytes. */
static void forget(struct strbuf *b, size_t keep)
{
	if (b->len <= keep)
		return;
	memmove(b->data, b->data + b->len - keep, keep);
	b->len = keep;
	b->data[keep] = '\0';
}

/* How long poll() may wait; -ETIMEDOUT once the deadline has passed. */
static int wait_ms(const struct console *c, struct err *e)
{
	struct timespec now;

	if (!c->has_deadline)
		return POLL_MS;
	clock_gettime(CLOCK_MONOTONIC, &now);
	int64_t left = (int64_t)(c->deadline.tv_sec - now.tv_sec) * MS_PER_S +
		(c->deadline.tv_nsec - now.tv_nsec) / NS_PER_MS;
	if (left <= 0)
		return err_set(e, ETIMEDOUT, "timed out");
	return left < POLL_MS ? (int)left : POLL_MS;
}

/* Wait a moment for events.  Returns what poll() found in p, 0 when nothing came. */
static int wait_for(const struct console *c, struct pollfd *p, nfds_t count, struct err *e)
{
	int r = interrupt_check(e);

	if (r < 0)
		return r;
	r = wait_ms(c, e);
	if (r < 0)
		return r;
	r = poll(p, count, r);
	if (r < 0 && errno != EINTR)
		return err_errno(e, "poll");
	return r < 0 ? 0 : r;
}

/* Read what is there.  Returns its length, 0 for nothing, -EPIPE at the end. */
static int take(struct console *c, char *chunk, size_t room, struct err *e)
{
	ssize_t n = recv(c->fd, chunk, room, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n == 0 || (n < 0 && errno == ECONNRESET)) {
		c->closed = true;
		return err_set(e, EPIPE, "the machine has gone");
	}
	if (n < 0)
		return err_errno(e, "console");

	strbuf_add(&c->tail, chunk, (size_t)n);
	forget(&c->tail, TAIL_MAX);
	if (c->copy_fd >= 0) {
		int r = io_write(c->copy_fd, chunk, (size_t)n, e);

		if (r < 0)
			return err_wrap(e, r, "copying the console");
	}
	return (int)n;
}

/* Whether text is in what is unread; what is read by that is dropped. */
static bool match(struct console *c, const char *text, size_t from)
{
	size_t len = strlen(text);
	size_t start = from > len ? from - len : 0;

	if (c->unread.len == 0)
		return len == 0;
	const char *hit = memmem(c->unread.data + start, c->unread.len - start, text, len);
	if (!hit)
		return false;
	forget(&c->unread, c->unread.len - (size_t)(hit - c->unread.data) - len);
	return true;
}

/* Wait a moment for more, of which the last keep bytes before it stay unread. */
static int read_more(struct console *c, size_t keep, struct err *e)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	char chunk[CHUNK_BYTES];
	int r;

	forget(&c->unread, keep);
	r = wait_for(c, &p, 1, e);
	if (r > 0)
		r = take(c, chunk, sizeof(chunk), e);
	if (r > 0)
		strbuf_add(&c->unread, chunk, (size_t)r);
	return r;
}

int console_expect(struct console *c, const char *text, struct err *e)
{
	size_t searched = 0;

	while (!match(c, text, searched)) {
		/* The start of a match may be among the last bytes. */
		size_t keep = MAX(strlen(text), UNREAD_MAX);

		searched = MIN(c->unread.len, keep);
		int r = read_more(c, keep, e);
		if (r < 0)
			return err_wrap(e, r, "waiting for '%s'", text);
	}
	return 0;
}

int console_read_line(struct console *c, char **line, struct err *e)
{
	for (;;) {
		const char *data = c->unread.len > 0 ? c->unread.data : "";
		const char *end = memchr(data, '\n', c->unread.len);

		/* A line that does not end is no line. */
		if (end || c->unread.len > UNREAD_MAX) {
			size_t len = end ? (size_t)(end - data) : c->unread.len;

			*line = xstrndup(data, len);
			forget(&c->unread, c->unread.len - len - (end ? 1 : 0));
			str_trim(*line);
			return 0;
		}
		int r = read_more(c, c->unread.len, e);
		if (r < 0)
			return err_wrap(e, r, "waiting for the end of a line");
	}
}

int console_wait_end(struct console *c, struct err *e)
{
	int r;

	do
		r = read_more(c, 0, e);
	while (r >= 0);
	return r == -EPIPE ? 0 : err_wrap(e, r, "waiting for the machine to end");
}

/* Send what can be sent now and drop it from b. */
static int send_some(struct console *c, struct strbuf *b, struct err *e)
{
	ssize_t n = send(c->fd, b->data, b->len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) {
		c->closed = true;
		return err_set(e, EPIPE, "the machine has gone");
	}
	if (n < 0)
		return err_errno(e, "console");
	forget(b, b->len - (size_t)n);
	return 0;
}

int console_send(struct console *c, const char *text, struct err *e)
{
	autostrbuf pending = {0};

	strbuf_puts(&pending, text);
	while (pending.len > 0) {
		struct pollfd p = {.fd = c->fd, .events = POLLOUT};
		int r = wait_for(c, &p, 1, e);

		if (r > 0)
			r = send_some(c, &pending, e);
		if (r < 0)
			return err_wrap(e, r, "typing at the console");
	}
	return 0;
}

/* What a person typed, on its way to the machine. */
struct keys {
	int fd; /* -1: at its end */
	bool escaped, quit;
	struct strbuf pending;
};

static void type_key(struct keys *k, char key)
{
	if (k->escaped && key == ESCAPE_QUITS)
		k->quit = true;
	else if (k->escaped || key != ESCAPE_KEY)
		strbuf_putc(&k->pending, key);
	k->escaped = !k->escaped && key == ESCAPE_KEY;
}

static int read_keys(struct keys *k, struct err *e)
{
	char chunk[256];
	ssize_t n = read(k->fd, chunk, sizeof(chunk));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : err_errno(e, "reading keys");
	if (n == 0)
		k->fd = -1;
	for (ssize_t i = 0; i < n && !k->quit; i++)
		type_key(k, chunk[i]);
	return 0;
}

/* One round: machine to person, person to machine. */
static int relay_once(struct console *c, struct keys *k, int out_fd, struct err *e)
{
	char chunk[CHUNK_BYTES];
	bool pending = k->pending.len > 0;
	struct pollfd p[] = {
		{.fd = c->fd, .events = (short)(POLLIN | (pending ? POLLOUT : 0))},
		{.fd = pending ? -1 : k->fd, .events = POLLIN},
	};
	int r = wait_for(c, p, ARRAY_LEN(p), e);

	if (r > 0 && (p[0].revents & (POLLIN | POLLHUP | POLLERR))) {
		r = take(c, chunk, sizeof(chunk), e);
		if (r > 0)
			r = io_write(out_fd, chunk, (size_t)r, e);
	}
	if (r >= 0 && (p[0].revents & POLLOUT))
		r = send_some(c, &k->pending, e);
	if (r >= 0 && p[1].revents)
		r = read_keys(k, e);
	return r;
}

int console_relay(struct console *c, int in_fd, int out_fd, struct err *e)
{
	struct termios before;
	bool is_terminal = tcgetattr(in_fd, &before) == 0;
	struct keys k = {.fd = in_fd};
	int r = 0;

	if (is_terminal) {
		struct termios raw = before;

		cfmakeraw(&raw);
		tcsetattr(in_fd, TCSADRAIN, &raw);
	}
	while (r >= 0 && !k.quit)
		r = relay_once(c, &k, out_fd, e);
	if (is_terminal)
		tcsetattr(in_fd, TCSADRAIN, &before);
	strbuf_fini(&k.pending);
	return r == -EPIPE || r > 0 ? 0 : r;
}

/* Past an escape sequence that starts at p[0]: ECMA-48, 5.4, the control sequences. */
static size_t skip_escape(const char *p, size_t len)
{
	size_t i = 1;

	if (len < 2 || p[1] != '[')
		return MIN(len, 2);
	for (i = 2; i < len && (p[i] < '@' || p[i] > '~'); i++)
		;
	return MIN(i + 1, len);
}

char *console_last_lines(const struct console *c, unsigned count)
{
	autostrbuf text = {0};
	size_t i = 0;

	while (i < c->tail.len) {
		unsigned char byte = (unsigned char)c->tail.data[i];

		if (byte == '\e') {
			i += skip_escape(c->tail.data + i, c->tail.len - i);
			continue;
		}
		if (byte == '\n' || byte == '\t' || (byte >= ' ' && byte < 0x7f))
			strbuf_putc(&text, (char)byte);
		i++;
	}
	while (text.len > 0 && text.data[text.len - 1] == '\n')
		text.data[--text.len] = '\0';
	if (text.len == 0)
		return strbuf_take(&text);
	strbuf_putc(&text, '\n');

	size_t start = text.len - 1;
	for (unsigned lines = 0; start > 0; start--)
		if (text.data[start - 1] == '\n' && ++lines == count)
			break;
	forget(&text, text.len - start);
	return strbuf_take(&text);
}

int console_unescape(const char *text, char **out, struct err *e)
{
	static const char names[] = "nrte\\", bytes[] = "\n\r\t\e\\";
	autostrbuf b = {0};

	for (const char *p = text; *p; p++) {
		if (*p != '\\') {
			strbuf_putc(&b, *p);
			continue;
		}
		const char *name = p[1] ? strchr(names, p[1]) : NULL;
		if (!name)
			return err_set(e, EINVAL, "bad escape '\\%.1s' in '%s'", p + 1, text);
		strbuf_putc(&b, bytes[name - names]);
		p++;
	}
	*out = strbuf_take(&b);
	return 0;
}
