/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/shell.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/cmd.h"
#include "base/interrupt.h"
#include "base/io.h"
#include "sys/chroot.h"

#define CHUNK_BYTES 4096

/* The program is in a process group of its own, so it needs a terminal of its own. */
struct terminal {
	int master, slave;
	bool raw;
	struct termios old; /* of ours */
};

static void terminal_fini(struct terminal *t)
{
	if (t->raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &t->old);
	close_auto(&t->master);
	close_auto(&t->slave);
}

static int open_terminal(struct terminal *t, struct err *e)
{
	struct winsize size;
	char name[128];

	t->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (t->master < 0 || grantpt(t->master) < 0 || unlockpt(t->master) < 0 ||
		ptsname_r(t->master, name, sizeof(name)) != 0)
		return err_errno(e, "a terminal for the shell");
	t->slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (t->slave < 0)
		return err_errno(e, "'%s'", name);
	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
		ioctl(t->slave, TIOCSWINSZ, &size);
	return 0;
}

static int make_raw(struct terminal *t, struct err *e)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &t->old) < 0)
		return err_errno(e, "terminal");
	raw = t->old;
	cfmakeraw(&raw);
	t->raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
	return t->raw ? 0 : err_errno(e, "terminal");
}

/* 0: there is no more to come. */
static int pass_on(int from, int to, struct err *e)
{
	char buf[CHUNK_BYTES];
	ssize_t n = read(from, buf, sizeof(buf));

	if (n < 0 && errno == EINTR)
		return 1;
	/* -EIO: nobody has the other side open any more. */
	if (n <= 0)
		return 0;
	int r = io_write(to, buf, (size_t)n, e);
	return r < 0 ? r : 1;
}

static int relay(const struct terminal *t, struct err *e)
{
	struct pollfd fds[2] = {
		{.fd = t->master, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
	int r = 1;

	while (r > 0) {
		if (poll(fds, ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
			return err_errno(e, "terminal");
		r = interrupt_check(e);
		if (r < 0)
			return r;
		r = 1;
		if (fds[0].revents)
			r = pass_on(t->master, STDOUT_FILENO, e);
		if (r > 0 && fds[1].revents && pass_on(STDIN_FILENO, t->master, e) <= 0)
			fds[1].fd = -1;
	}
	return r;
}

static int run_on_terminal(const struct chroot *root, struct err *e)
{
	static const char shell[] = "cd; exec $(command -v bash || echo sh) -i >&0 2>&0";
	auto_with(terminal_fini) struct terminal t = {.master = -1, .slave = -1};
	autocmd c = {0};
	int r = open_terminal(&t, e);

	if (r < 0)
		return r;
	chroot_cmd_init(root, &c);
	cmd_env(&c, "TERM=%s", getenv("TERM") ? getenv("TERM") : "dumb");
	c.stdin_fd = t.slave;
	cmd_add(&c, "setsid", "--ctty", "--wait", "sh", "-c", shell, NULL);
	r = cmd_start(&c, e);
	close_auto(&t.slave);
	t.slave = -1;
	if (r == 0)
		r = make_raw(&t, e);
	if (r == 0)
		r = relay(&t, e);
	return r < 0 ? r : cmd_wait(&c, e);
}

static int run_on_input(const struct chroot *root, struct err *e)
{
	autofd int in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	autocmd c = {.stdin_fd = in, .log_fd = STDERR_FILENO};

	if (in < 0)
		return err_errno(e, "stdin");
	chroot_cmd_init(root, &c);
	cmd_add(&c, "sh", "-e", NULL);
	return cmd_run(&c, e);
}

int tree_shell(const char *tree_path, struct err *e)
{
	autoptr(chroot) root = NULL;
	int r = chroot_open(tree_path, &root, e);

	if (r < 0)
		return r;
	return isatty(STDIN_FILENO) ? run_on_terminal(root, e) : run_on_input(root, e);
}
