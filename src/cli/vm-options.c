/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/vm-options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/cli.h"
#include "base/xalloc.h"

#define LAST_LINES 20

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
