/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Talk to the serial console of a machine: wait for a text, type one, or connect a person.
 *
 * The console is a connected stream socket; who is at its other end does not matter here.  What
 * comes from it is hostile: it is copied as it is only to a file or to the person who asked for it.
 */
#pragma once

#include <stdbool.h>
#include <time.h>

#include "base/err.h"
#include "base/str.h"

struct console {
	int fd;      /* the caller's */
	int copy_fd; /* everything that is seen is written here too, also the caller's; -1: nowhere */
	struct timespec deadline;
	bool has_deadline;
	bool closed;          /* the other side has gone */
	struct strbuf unread; /* seen, and not yet part of a match */
	struct strbuf tail;   /* the last that was seen, for messages */
};

/* timeout_seconds counts from here, for all that is done with it; 0: none. */
void console_init(struct console *c, int fd, int copy_fd, unsigned timeout_seconds);
void console_fini(struct console *c);
/* Count anew from here. */
void console_set_timeout(struct console *c, unsigned timeout_seconds);
#define autoconsole auto_with(console_fini) struct console

/*
 * Wait until text appears after what matched before.  -ETIMEDOUT, -EPIPE when the other side has
 * gone, -EINTR.
 */
int console_expect(struct console *c, const char *text, struct err *e) MUST_CHECK;
/* The rest of the line after what matched, without its end.  The caller frees it.  Errors as above. */
int console_read_line(struct console *c, char **line, struct err *e) MUST_CHECK;
/* Wait until the other side has gone, which is 0 here.  Other errors as above. */
int console_wait_end(struct console *c, struct err *e) MUST_CHECK;
/* Type text.  Errors as above. */
int console_send(struct console *c, const char *text, struct err *e) MUST_CHECK;

/*
 * Connect a person: in_fd is typed, what comes goes to out_fd.  A terminal is in raw mode
 * meanwhile.  0 when the other side has gone or the person typed Ctrl-A x.  Ctrl-A Ctrl-A types
 * Ctrl-A.
 */
int console_relay(struct console *c, int in_fd, int out_fd, struct err *e) MUST_CHECK;

/* The last lines that were seen, without control characters, each with its newline. */
char *console_last_lines(const struct console *c, unsigned count) MUST_CHECK;

/* "\n", "\r", "\t", "\e" and "\\" in text become what they stand for.  The caller frees *out. */
int console_unescape(const char *text, char **out, struct err *e) MUST_CHECK;
