/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "cli/commands.h"
#include "image/boot.h"
#include "sys/console.h"

#define EXPECT_STEP     "expect="
#define SEND_STEP       "send="
#define EXPECT_SECONDS  600
#define SECONDS_MAX     (7ULL * 24 * 60 * 60)
#define LAST_LINES      20
#define IS_STDOUT(file) str_eq(file, "-")

struct options {
	uint64_t memory_bytes, cpus, timeout_seconds;
	struct strv disks, steps;
	const char *serial, *append, *network, *kvm;
	bool uefi, dry_run;
};

static const struct options defaults = {
	.memory_bytes = 2 * GIB,
	.cpus = 2,
	.network = "user",
	.kvm = "auto",
};

static const struct cli_opt opts[] = {
	{0, "uefi", NULL, "start with UEFI firmware instead of a BIOS", OPT_FLAG,
		offsetof(struct options, uefi)},
	{'m', "memory", "SIZE", "memory (default: 2G)", OPT_SIZE,
		offsetof(struct options, memory_bytes)},
	{0, "cpus", "N", "processors (default: 2)", OPT_NUMBER, offsetof(struct options, cpus)},
	{0, "disk", "FILE", "one more disk, writable; may be repeated", OPT_LIST,
		offsetof(struct options, disks)},
	{0, "network", "KIND", "user or none (default: user)", OPT_STRING,
		offsetof(struct options, network)},
	{0, "append", "ARGS", "more kernel parameters", OPT_STRING,
		offsetof(struct options, append)},
	{0, "kvm", "WHEN", "auto, on or off (default: auto)", OPT_STRING,
		offsetof(struct options, kvm)},
	{0, "serial", "FILE", "copy the serial console to FILE, - for standard output", OPT_STRING,
		offsetof(struct options, serial)},
	{0, "expect", "TEXT", "wait until TEXT is on the console; may be repeated", OPT_STEPS,
		offsetof(struct options, steps)},
	{0, "send", "TEXT", "type TEXT, with \\n for the Enter key; may be repeated", OPT_STEPS,
		offsetof(struct options, steps)},
	{0, "timeout", "S", "fail after S seconds (default with --expect: 600)", OPT_NUMBER,
		offsetof(struct options, timeout_seconds)},
	{0, "dry-run", NULL, "print the QEMU command, start nothing", OPT_FLAG,
		offsetof(struct options, dry_run)},
};

static int choose_accel(const char *when, enum vm_accel *out, struct err *e)
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

/* 0 or CLI_WRONG_USE.  What is typed late is checked before the machine starts. */
static int check_use(const struct options *o, struct err *e)
{
	if (!str_eq(o->network, "user") && !str_eq(o->network, "none")) {
		err_set(e, EINVAL, "bad value '%s' of '--network': user or none", o->network);
		return CLI_WRONG_USE;
	}
	if (o->timeout_seconds > SECONDS_MAX) {
		err_set(e, EINVAL, "'--timeout' is more than a week");
		return CLI_WRONG_USE;
	}
	for (size_t i = 0; i < o->steps.count; i++) {
		autofree char *text = NULL;
		const char *step = o->steps.items[i];

		if (str_starts(step, SEND_STEP) &&
			console_unescape(step + strlen(SEND_STEP), &text, e) < 0)
			return CLI_WRONG_USE;
	}
	return 0;
}

static int check(const struct options *o, struct boot_params *params, struct err *e)
{
	int r = check_use(o, e);

	if (r != 0)
		return r;
	for (size_t i = 0; i < o->disks.count; i++)
		if (access(o->disks.items[i], R_OK | W_OK) < 0)
			return err_errno(e, "%s", o->disks.items[i]);

	*params = (struct boot_params){
		.memory_bytes = o->memory_bytes,
		.cpus = o->cpus,
		.uefi = o->uefi,
		.network = str_eq(o->network, "user"),
		.disks = &o->disks,
		.append = o->append,
		.dry_run = o->dry_run,
	};
	return choose_accel(o->kvm, &params->accel, e);
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

/* The copy of the console: what the user asked for, or a file that only a failure leaves behind. */
static int open_copy(const struct options *o, char **path, struct err *e)
{
	autofree char *name = NULL;
	int fd;

	if (o->serial && IS_STDOUT(o->serial)) {
		fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
		return fd < 0 ? err_errno(e, "standard output") : fd;
	}
	if (o->serial) {
		fd = open(o->serial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		return fd < 0 ? err_errno(e, "%s", o->serial) : fd;
	}
	name = xasprintf("%s/bedplate-console.XXXXXX", boot_temporary_folder());
	fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "%s", name);
	*path = take_ptr(name);
	return fd;
}

/* Make one error of what happened on the console and how QEMU ended. */
static int explain(struct boot *b, const struct console *c, const char *copy, struct err *e)
{
	autofree char *lines = console_last_lines(c, LAST_LINES);
	struct err ended = {0};
	struct err what = *e;

	if (c->closed && boot_wait(b, &ended) < 0)
		what = ended;
	if (!*lines)
		return err_set(e, what.code, "%s", what.msg);
	fprintf(stderr, "The last lines of the console:\n%s", lines);
	return err_set(e, what.code, "%s; the whole console is in %s", what.msg, copy);
}

static int expect(
	struct boot *b, int console_fd, const struct options *o, struct progress *p, struct err *e)
{
	uint64_t seconds = o->timeout_seconds ? o->timeout_seconds : EXPECT_SECONDS;
	autofree char *copy = NULL;
	autofd int copy_fd = open_copy(o, &copy, e);
	autoconsole c = {0};

	if (copy_fd < 0)
		return copy_fd;
	console_init(&c, console_fd, copy_fd, (unsigned)seconds);
	int r = take_steps(&c, &o->steps, p, e);
	bool failed = r < 0 && r != -EINTR;
	if (copy && (!failed || c.tail.len == 0))
		unlink(copy);
	return failed ? explain(b, &c, copy ? copy : o->serial, e) : r;
}

static int talk(struct boot *b, int console_fd, const struct options *o, struct err *e)
{
	bool copied = o->serial && !IS_STDOUT(o->serial);
	autofd int copy_fd = copied ? open_copy(o, NULL, e) : -1;
	autoconsole c = {0};

	if (copied && copy_fd < 0)
		return copy_fd;
	if (isatty(STDIN_FILENO))
		log_warning("Ctrl-A x ends the machine");
	console_init(&c, console_fd, copy_fd, (unsigned)o->timeout_seconds);
	int r = console_relay(&c, STDIN_FILENO, STDOUT_FILENO, e);
	if (r < 0 || !c.closed)
		return r;
	return boot_wait(b, e);
}

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	struct boot_params params;
	autoptr(image) img = NULL;
	autoptr(boot) b = NULL;
	int r;

	r = check(o, &params, e);
	if (r != 0)
		return r;
	r = image_open(args[0], &img, e);
	if (r < 0)
		return r;
	r = boot_new(img, &params, &b, e);
	if (r < 0)
		return r;
	if (o->dry_run) {
		autofree char *command = boot_command(b);

		puts(command);
		return 0;
	}
	r = boot_start(b, e);
	if (r < 0)
		return r;
	return o->steps.count ? expect(b, r, o, p, e) : talk(b, r, o, e);
}

const struct cli_command cmd_vm_run = {
	.name = "vm run",
	.args = "IMAGE",
	.summary = "Boot an image live in a virtual machine",
	.details = "The console is connected to this terminal, Ctrl-A x ends the machine.  With\n"
		   "--expect and --send the steps are taken in their order instead, and the\n"
		   "machine ends after the last.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.defaults = &defaults,
	.opts_size = sizeof(defaults),
	.min_args = 1,
	.max_args = 1,
	.has_progress = true,
	.run = run,
};
