/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run another program.  Arguments are always a vector; there is no shell.
 *
 * The child gets /dev/null as stdin, LC_ALL=C.UTF-8 and a process group of its own.  Our descriptors
 * stay out of it because every one is opened close-on-exec.  The last line of its stderr becomes
 * part of the error message.  A signal to us (base/interrupt.h) or a timeout ends the whole group:
 * SIGTERM first unless kill_at_once, SIGKILL five seconds later.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"

struct cmd {
	struct strv argv;
	struct strv env; /* "NAME=value", on top of our own environment */
	bool clean_env;  /* start from env alone */
	const char *cwd; /* NULL: ours */
	int stdin_fd;    /* 0: /dev/null.  Stays the caller's */
	int log_fd;      /* > 0: stdout (unless captured) and stderr are written here too */
	unsigned timeout_seconds; /* 0: none */
	bool kill_at_once;        /* SIGTERM would not be heard */
	int status;               /* wait status, valid once the child has ended */
	/* Called for each line of output when set; the line is without its newline. */
	void (*on_line)(void *ctx, const char *line);
	void *on_line_ctx;
	pid_t pid; /* of a program that cmd_start() started and that was not waited for, or 0 */
};

/*
 * Usage: autocmd c = {0}; cmd_add(&c, "lvs", vg, NULL); r = cmd_run(&c, e);
 * A program that was started and still runs is ended.
 */
void cmd_fini(struct cmd *c);
#define autocmd auto_with(cmd_fini) struct cmd

void cmd_add(struct cmd *c, ...) __attribute__((sentinel));      /* strings, then NULL */
void cmd_addf(struct cmd *c, const char *fmt, ...) PRINTF(2, 3); /* one argument */
void cmd_env(struct cmd *c, const char *fmt, ...) PRINTF(2, 3);  /* one variable */

/*
 * 0 when the program exits with 0.  -EPROTO when it ends any other way, -ENOENT when there is no
 * such program, -ETIMEDOUT, -EINTR when a signal to us ended it.
 */
int cmd_run(struct cmd *c, struct err *e) MUST_CHECK;

/* Same, and return its stdout (at most 16 MiB) as a string the caller frees. */
int cmd_output(struct cmd *c, char **out, struct err *e) MUST_CHECK;

/*
 * Start a program that runs beside us.  Its stdout and stderr go to log_fd, or nowhere; on_line is
 * not called.  -ENOENT as above.
 */
int cmd_start(struct cmd *c, struct err *e) MUST_CHECK;
/* Wait for its end, for at most timeout_seconds.  Results as of cmd_run(). */
int cmd_wait(struct cmd *c, struct err *e) MUST_CHECK;
/* Whether it has ended by itself, so that cmd_wait() returns at once. */
bool cmd_ended(const struct cmd *c);
/* End it the way a signal to us would, and wait.  Fine when nothing was started. */
void cmd_stop(struct cmd *c);

/* The vector as a shell would take it, for logs.  The caller frees it. */
char *cmd_quoted(const struct cmd *c) MUST_CHECK;

/* Whether a program of this name is in PATH. */
bool cmd_exists(const char *program);
