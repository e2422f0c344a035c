/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/vm-options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "vm/disk.h"

#define LAST_LINES      20
#define EXPECT_STEP     "expect="
#define SEND_STEP       "send="
#define EXPECT_SECONDS  600
#define IS_STDOUT(file) str_eq(file, "-")

int vm_option_accel(const char *when, enum vm_accel *out, struct err *e)
{
	bool works = vm_kvm_ok();

	if (!str_eq(when, "auto") && !str_eq(when, "on") && !str_eq(when, "off")) {
		err_set(e, EINVAL, "bad value '%s' of '--kvm': auto, on or off", when);
		return CLI_WRONG_USE;
	}
	if (str_eq(when, "on") && !works)
		return err_set(e, ENOTSUP, "KVM does not work here");
	*out = works && !str_eq(when, "off") ? VM_ACCEL_KVM : VM_ACCEL_TCG;
	return 0;
}

int vm_option_network(const char *kind, bool *out, struct err *e)
{
	*out = str_eq(kind, "user");
	if (*out || str_eq(kind, "none"))
		return 0;
	err_set(e, EINVAL, "bad value '%s' of '--network': user or none", kind);
	return CLI_WRONG_USE;
}

int vm_option_disks(const struct strv *disks, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < disks->count; i++)
		r = disk_check(disks->items[i], e);
	return r;
}

int vm_option_timeout(uint64_t seconds, struct err *e)
{
	if (seconds <= VM_OPTION_SECONDS_MAX)
		return 0;
	err_set(e, EINVAL, "'--timeout' is more than a week");
	return CLI_WRONG_USE;
}

enum vm_firmware vm_option_firmware(bool uefi, bool secure_boot)
{
	if (secure_boot)
		return VM_FIRMWARE_SECURE_BOOT;
	return uefi ? VM_FIRMWARE_UEFI : VM_FIRMWARE_BIOS;
}

int vm_option_serial(const char *path, struct err *e)
{
	if (!path || str_eq(path, "-"))
		return 0;
	autofree char *folder = file_parent(path);
	bool ok = file_exists(path) ? access(path, W_OK) == 0 : access(folder, W_OK | X_OK) == 0;

	return ok ? 0 : err_errno(e, "%s", path);
}

int vm_open_copy(const char *serial, char **path, struct err *e)
{
	autofree char *name = NULL;
	int fd;

	if (serial && str_eq(serial, "-")) {
		fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
		return fd < 0 ? err_errno(e, "standard output") : fd;
	}
	if (serial) {
		fd = open(serial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		return fd < 0 ? err_errno(e, "%s", serial) : fd;
	}
	name = xasprintf("%s/bedplate-console.XXXXXX", machine_temporary_folder());
	fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "%s", name);
	*path = take_ptr(name);
	return fd;
}

int vm_explain(struct machine *m, const struct console *c, const char *copy, struct err *e)
{
	autofree char *lines = console_last_lines(c, LAST_LINES);
	struct err ended = {0};
	struct err what = *e;

	if (c->closed && machine_wait(m, &ended) < 0)
		what = ended;
	if (!*lines || !copy || str_eq(copy, "-"))
		return err_set(e, what.code, "%s", what.msg);
	fprintf(stderr, "The last lines of the console:\n%s", lines);
	return err_set(e, what.code, "%s; the whole console is in %s", what.msg, copy);
}

int vm_session_check(const struct vm_session *o, struct err *e)
{
	int r = vm_option_timeout(o->timeout_seconds, e);

	if (r == 0)
		r = vm_option_serial(o->serial, e);
	if (r != 0)
		return r;
	for (size_t i = 0; i < o->steps.count; i++) {
		autofree char *text = NULL;
		const char *step = o->steps.items[i];

		if (str_starts(step, SEND_STEP) &&
			console_unescape(step + strlen(SEND_STEP), &text, e) < 0)
			return CLI_WRONG_USE;
	}
	return 0;
}

static int take_step(struct console *c, const char *step, struct err *e)
{
	autofree char *text = NULL;
	int r;

	if (str_starts(step, EXPECT_STEP))
		return console_expect(c, step + strlen(EXPECT_STEP), e);
	r = console_unescape(step + strlen(SEND_STEP), &text, e);
	return r < 0 ? r : console_send(c, text, e);
}

static int take_steps(
	struct console *c, const struct strv *steps, struct progress *p, struct err *e)
{
	progress_begin(p, "boot", steps->count, "steps");
	for (size_t i = 0; i < steps->count; i++) {
		int r = take_step(c, steps->items[i], e);

		if (r == 0)
			r = progress_advance(p, i + 1, e);
		if (r < 0)
			return r;
	}
	progress_end(p);
	return 0;
}

static int expect(struct machine *m, int console_fd, const struct vm_session *o, struct progress *p,
	struct err *e)
{
	uint64_t seconds = o->timeout_seconds ? o->timeout_seconds : EXPECT_SECONDS;
	autofree char *copy = NULL;
	autofd int copy_fd = vm_open_copy(o->serial, &copy, e);
	autoconsole c = {0};

	if (copy_fd < 0)
		return copy_fd;
	console_init(&c, console_fd, copy_fd, (unsigned)seconds);
	int r = take_steps(&c, &o->steps, p, e);
	bool failed = r < 0 && r != -EINTR;
	if (copy && (!failed || c.tail.len == 0))
		unlink(copy);
	return failed ? vm_explain(m, &c, copy ? copy : o->serial, e) : r;
}

static int talk(struct machine *m, int console_fd, const struct vm_session *o, struct err *e)
{
	bool copied = o->serial && !IS_STDOUT(o->serial);
	autofd int copy_fd = copied ? vm_open_copy(o->serial, NULL, e) : -1;
	autoconsole c = {0};

	if (copied && copy_fd < 0)
		return copy_fd;
	if (isatty(STDIN_FILENO))
		log_warning("Ctrl-A x ends the machine");
	console_init(&c, console_fd, copy_fd, (unsigned)o->timeout_seconds);
	int r = console_relay(&c, STDIN_FILENO, STDOUT_FILENO, e);
	if (r < 0 || !c.closed)
		return r;
	return machine_wait(m, e);
}

int vm_session_run(struct machine *m, int console_fd, const struct vm_session *o,
	struct progress *p, struct err *e)
{
	return o->steps.count ? expect(m, console_fd, o, p, e) : talk(m, console_fd, o, e);
}
