/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cmd.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "base/interrupt.h"
#include "base/io.h"
#include "base/log.h"
#include "base/xalloc.h"

#define OUTPUT_MAX_BYTES (16 * MIB)
#define LINE_MAX_BYTES   4096
#define GRACE_SECONDS    5
#define POLL_MS          200

/* One pipe from the child. */
struct stream {
	int fd;
	struct strbuf *capture;    /* NULL: not kept */
	char line[LINE_MAX_BYTES]; /* the line in progress, cut when too long */
	size_t line_len;
	char last[LINE_MAX_BYTES]; /* the last line that was not blank */
};

struct run {
	struct cmd *c;
	pid_t pid;
	struct stream out, err;
	struct timespec deadline; /* of the timeout, or of the grace period once stopping */
	bool has_deadline;
	int stop_code; /* why the child is being ended: EINTR, ETIMEDOUT, EFBIG; 0 = it is not */
	bool killed;
};

void cmd_add(struct cmd *c, ...)
{
	va_list ap;

	va_start(ap, c);
	for (const char *arg; (arg = va_arg(ap, const char *));)
		strv_add(&c->argv, arg);
	va_end(ap);
}

void cmd_addf(struct cmd *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strv_take(&c->argv, xvasprintf(fmt, ap));
	va_end(ap);
}

void cmd_env(struct cmd *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strv_take(&c->env, xvasprintf(fmt, ap));
	va_end(ap);
}

static void set_deadline(struct run *r, unsigned seconds)
{
	clock_gettime(CLOCK_MONOTONIC, &r->deadline);
	r->deadline.tv_sec += seconds;
	r->has_deadline = seconds > 0;
}

static bool deadline_passed(const struct run *r)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return r->has_deadline &&
		(now.tv_sec > r->deadline.tv_sec ||
			(now.tv_sec == r->deadline.tv_sec && now.tv_nsec >= r->deadline.tv_nsec));
}

static void stop(struct run *r, int code)
{
	r->stop_code = code;
	r->killed = r->c->kill_at_once;
	kill(-r->pid, r->killed ? SIGKILL : SIGTERM);
	set_deadline(r, GRACE_SECONDS);
}

/* Start ending the child when it has to, and make sure that it does end. */
static void watch(struct run *r)
{
	if (!r->stop_code && interrupt_pending())
		stop(r, EINTR);
	else if (!r->stop_code && deadline_passed(r))
		stop(r, ETIMEDOUT);
	else if (r->stop_code && !r->killed && deadline_passed(r)) {
		kill(-r->pid, SIGKILL);
		r->killed = true;
	}
}

static void end_line(struct run *r, struct stream *s)
{
	s->line[s->line_len] = '\0';
	s->line_len = 0;
	if (s->line[0] != '\0')
		memcpy(s->last, s->line, sizeof(s->last));
	if (r->c->on_line)
		r->c->on_line(r->c->on_line_ctx, s->line);
}

static void take_text(struct run *r, struct stream *s, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n')
			end_line(r, s);
		else if (text[i] != '\r' && s->line_len < sizeof(s->line) - 1)
			s->line[s->line_len++] = text[i];
	}
}

/* Append what the stream has ready; at end of file its descriptor becomes -1. */
static int drain(struct run *r, struct stream *s, struct err *e)
{
	char chunk[16384];
	ssize_t n = read(s->fd, chunk, sizeof(chunk));

	if (n < 0)
		return errno == EINTR ? 0 : err_errno(e, "reading from child");
	if (n == 0) {
		if (s->line_len > 0)
			end_line(r, s);
		close(take_fd(&s->fd));
		return 0;
	}
	take_text(r, s, chunk, (size_t)n);
	if (!s->capture)
		return r->c->log_fd > 0 ? io_write(r->c->log_fd, chunk, (size_t)n, e) : 0;
	if (s->capture->len + (size_t)n <= OUTPUT_MAX_BYTES)
		strbuf_add(s->capture, chunk, (size_t)n);
	else if (!r->stop_code)
		stop(r, EFBIG);
	return 0;
}

static int drain_both(struct run *r, struct err *e)
{
	while (r->out.fd >= 0 || r->err.fd >= 0) {
		struct pollfd p[] = {
			{.fd = r->out.fd, .events = POLLIN}, {.fd = r->err.fd, .events = POLLIN}};
		int n = poll(p, ARRAY_LEN(p), POLL_MS);

		if (n < 0 && errno != EINTR)
			return err_errno(e, "poll");
		watch(r);
		/* Something that left the group may hold the pipe open for ever. */
		if (r->killed && n == 0)
			return 0;
		if (n <= 0)
			continue;

		int result = p[0].revents ? drain(r, &r->out, e) : 0;
		if (result == 0 && p[1].revents)
			result = drain(r, &r->err, e);
		if (result < 0)
			return result;
	}
	return 0;
}

static bool is_set(const struct strv *env, const char *variable)
{
	size_t name_len = strcspn(variable, "=") + 1;

	for (size_t i = 0; i < env->count; i++)
		if (strncmp(env->items[i], variable, name_len) == 0)
			return true;
	return false;
}

static void build_env(const struct cmd *c, struct strv *out)
{
	strv_add_all(out, &c->env);
	if (!is_set(out, "LC_ALL="))
		strv_add(out, "LC_ALL=C.UTF-8");
	for (char **v = environ; !c->clean_env && *v; v++)
		if (!is_set(out, *v))
			strv_add(out, *v);
}

/* The child handles signals the usual way again, in a group of its own. */
static void set_attributes(posix_spawnattr_t *attr)
{
	sigset_t defaults;

	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	posix_spawnattr_init(attr);
	posix_spawnattr_setsigdefault(attr, &defaults);
	posix_spawnattr_setpgroup(attr, 0);
	posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
}

static int spawn(struct cmd *c, int out_fd, int err_fd, pid_t *out, struct err *e)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	autostrv env = {0};
	int r;

	build_env(c, &env);
	set_attributes(&attr);
	/* These only fail for lack of memory, which the library treats as fatal. */
	posix_spawn_file_actions_init(&fa);
	if (c->stdin_fd > 0)
		posix_spawn_file_actions_adddup2(&fa, c->stdin_fd, 0);
	else
		posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&fa, out_fd, 1);
	posix_spawn_file_actions_adddup2(&fa, err_fd, 2);
	if (c->cwd)
		posix_spawn_file_actions_addchdir_np(&fa, c->cwd);

	r = posix_spawnp(out, c->argv.items[0], &fa, &attr, c->argv.items, env.items);
	posix_spawn_file_actions_destroy(&fa);
	posix_spawnattr_destroy(&attr);
	if (r != 0)
		return err_set(e, r, "%s: %s", c->argv.items[0], strerror(r));
	return 0;
}

static int check_status(const struct run *r, struct err *e)
{
	const struct cmd *c = r->c;
	const char *program = c->argv.items[0];
	const char *said = r->err.last;
	const char *sep = said[0] ? ": " : "";

	if (r->stop_code == EINTR)
		return interrupt_check(e);
	if (r->stop_code == ETIMEDOUT)
		return err_set(e, ETIMEDOUT, "%s: no end after %u s%s%s", program,
			c->timeout_seconds, sep, said);
	if (r->stop_code == EFBIG)
		return err_set(
			e, EFBIG, "%s: wrote more than %llu bytes", program, OUTPUT_MAX_BYTES);
	if (WIFSIGNALED(c->status))
		return err_set(e, EPROTO, "%s: killed by signal %d%s%s", program,
			WTERMSIG(c->status), sep, said);
	if (WEXITSTATUS(c->status) != 0)
		return err_set(e, EPROTO, "%s: exit status %d%s%s", program, WEXITSTATUS(c->status),
			sep, said);
	return 0;
}

/* Wait for the end of a child whose pipes are closed but which may still run. */
static int reap(struct run *r, struct err *e)
{
	static const struct timespec nap = {.tv_nsec = 20000000L};

	for (;;) {
		pid_t pid = waitpid(r->pid, &r->c->status, WNOHANG);

		if (pid == r->pid)
			return 0;
		if (pid < 0 && errno != EINTR)
			return err_errno(e, "waiting for %s", r->c->argv.items[0]);
		watch(r);
		nanosleep(&nap, NULL);
	}
}

static int run(struct cmd *c, struct strbuf *capture, struct err *e)
{
	autofree struct run *r = xcalloc(1, sizeof(*r));
	autofree char *quoted = cmd_quoted(c);
	int out_pipe[2], err_pipe[2];
	int result;

	log_debug("run: %s", quoted);
	if (pipe2(out_pipe, O_CLOEXEC) < 0)
		return err_errno(e, "pipe");
	autofd int out_rd = out_pipe[0];
	autofd int out_wr = out_pipe[1];

	if (pipe2(err_pipe, O_CLOEXEC) < 0)
		return err_errno(e, "pipe");
	autofd int err_rd = err_pipe[0];
	autofd int err_wr = err_pipe[1];

	*r = (struct run){.c = c, .out = {.fd = out_rd, .capture = capture}, .err.fd = err_rd};
	result = spawn(c, out_wr, err_wr, &r->pid, e);
	if (result < 0)
		return result;
	close(take_fd(&out_wr));
	close(take_fd(&err_wr));
	set_deadline(r, c->timeout_seconds);

	result = drain_both(r, e);
	out_rd = r->out.fd;
	err_rd = r->err.fd;
	if (result < 0)
		kill(-r->pid, SIGKILL);
	int waited = reap(r, result < 0 ? NULL : e);
	if (result < 0)
		return err_wrap(e, result, "%s", c->argv.items[0]);
	return waited < 0 ? waited : check_status(r, e);
}

int cmd_run(struct cmd *c, struct err *e)
{
	return run(c, NULL, e);
}

int cmd_output(struct cmd *c, char **out, struct err *e)
{
	autostrbuf b = {0};
	int r = run(c, &b, e);

	if (r < 0)
		return r;
	*out = strbuf_take(&b);
	return 0;
}

int cmd_start(struct cmd *c, struct err *e)
{
	autofree char *quoted = cmd_quoted(c);
	autofd int null_fd = -1;
	int log_fd = c->log_fd;

	log_debug("start: %s", quoted);
	if (log_fd <= 0) {
		null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
		if (null_fd < 0)
			return err_errno(e, "/dev/null");
		log_fd = null_fd;
	}
	return spawn(c, log_fd, log_fd, &c->pid, e);
}

int cmd_wait(struct cmd *c, struct err *e)
{
	autofree struct run *r = xcalloc(1, sizeof(*r));

	assert(c->pid > 0);
	*r = (struct run){.c = c, .pid = c->pid};
	set_deadline(r, c->timeout_seconds);
	int result = reap(r, e);
	c->pid = 0;
	return result < 0 ? result : check_status(r, e);
}

bool cmd_ended(const struct cmd *c)
{
	siginfo_t info = {0};

	assert(c->pid > 0);
	return waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
		info.si_pid == c->pid;
}

void cmd_stop(struct cmd *c)
{
	autofree struct run *r = xcalloc(1, sizeof(*r));

	if (c->pid <= 0)
		return;
	*r = (struct run){.c = c, .pid = c->pid};
	stop(r, EINTR);
	if (reap(r, NULL) < 0)
		log_debug("%s was waited for elsewhere", c->argv.items[0]);
	c->pid = 0;
}

void cmd_fini(struct cmd *c)
{
	cmd_stop(c);
	strv_fini(&c->argv);
	strv_fini(&c->env);
}

static void add_quoted(struct strbuf *b, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "-_=+.,:/@%";

	if (*word && word[strspn(word, plain)] == '\0') {
		strbuf_puts(b, word);
		return;
	}
	strbuf_putc(b, '\'');
	for (; *word; word++) {
		if (*word == '\'')
			strbuf_puts(b, "'\\''");
		else
			strbuf_putc(b, *word);
	}
	strbuf_putc(b, '\'');
}

char *cmd_quoted(const struct cmd *c)
{
	autostrbuf b = {0};

	for (size_t i = 0; i < c->argv.count; i++) {
		if (i > 0)
			strbuf_putc(&b, ' ');
		add_quoted(&b, c->argv.items[i]);
	}
	return strbuf_take(&b);
}

bool cmd_exists(const char *program)
{
	const char *path = getenv("PATH");
	autofree char *copy = xstrdup(path ? path : "/usr/sbin:/usr/bin:/sbin:/bin");
	char *rest = copy;

	for (char *folder; (folder = str_next_word(&rest, ":"));) {
		autofree char *file = xasprintf("%s/%s", folder, program);

		if (access(file, X_OK) == 0)
			return true;
	}
	return false;
}
