/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The firstboot command.  initial-setup is asked where an image has it, otherwise
 * systemd-firstboot(1).  Not through "ConditionFirstBoot": such a boot would also enable by preset what
 * the kickstart has disabled (machine-id(5)).
 */
#include <unistd.h>

#include "base/cmd.h"
#include "base/log.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "image/intree.h"
#include "install/configure-part.h"

#define UNITS        "/usr/lib/systemd/system/"
#define LOCAL        "/etc/systemd/system/"
#define SYSTEMD_UNIT "systemd-firstboot.service"
#define PENDING_PATH "/etc/bedplate/firstboot"

static const char drop_in[] =
	"# From the kickstart: once, at the next boot.\n"
	"[Unit]\n"
	"ConditionFirstBoot=\n"
	"ConditionPathExists=" PENDING_PATH "\n"
	"[Service]\n"
	"ExecStart=\n"
	"ExecStart=systemd-firstboot --prompt-locale --prompt-keymap --prompt-timezone "
	"--prompt-hostname --prompt-root-password%s\n"
	"ExecStartPost=/bin/rm -f " PENDING_PATH "\n";

/* Also those that it asks nothing: what is set already is left out of the questions. */
static int enable_systemd(int root_fd, bool again, struct err *e)
{
	autofree char *text = xasprintf(drop_in, again ? " --force" : "");
	int r = intree_remove(root_fd, LOCAL SYSTEMD_UNIT, e);

	if (r == 0)
		r = intree_write(root_fd, LOCAL SYSTEMD_UNIT ".d/50-kickstart.conf", text, 0644, e);
	if (r == 0)
		r = intree_write(root_fd, PENDING_PATH, "", 0644, e);
	if (r == 0)
		r = intree_link(
			root_fd, UNITS SYSTEMD_UNIT, LOCAL "sysinit.target.wants/" SYSTEMD_UNIT, e);
	return r;
}

static int enable_initial_setup(int root_fd, const char *unit, bool again, struct err *e)
{
	autofree char *target = xasprintf(UNITS "%s", unit);
	autofree char *mask = xasprintf(LOCAL "%s", unit);
	autofree char *wants = xasprintf(LOCAL "multi-user.target.wants/%s", unit);
	int r = intree_remove(root_fd, mask, e);

	if (r == 0)
		r = intree_link(root_fd, target, wants, e);
	if (r == 0 && again)
		r = intree_write(root_fd, "/etc/reconfigSys", "", 0644, e);
	return r;
}

static int disable(int root_fd, const char *unit, struct err *e)
{
	autofree char *mask = xasprintf(LOCAL "%s", unit);

	return intree_link(root_fd, "/dev/null", mask, e);
}

int firstboot_configure(int root_fd, const struct ks_doc *doc, struct err *e)
{
	static const char *const units[] = {"initial-setup.service", SYSTEMD_UNIT};
	const struct ks_cmd *cmd = ks_next(doc, "firstboot", NULL);

	if (!cmd)
		return 0;
	bool again = ks_given(cmd, "reconfig"), off = !again && ks_given(cmd, "disable");
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		autofree char *path = xasprintf(UNITS "%s", units[i]);
		int r;

		if (!intree_has(root_fd, path))
			continue;
		if (off)
			r = disable(root_fd, units[i], e);
		else if (str_eq(units[i], SYSTEMD_UNIT))
			r = enable_systemd(root_fd, again, e);
		else
			r = enable_initial_setup(root_fd, units[i], again, e);
		return r < 0 ? err_wrap(e, r, "%s:%u", ks_file(cmd), ks_line(cmd)) : 0;
	}
	if (!off)
		log_warning("%s:%u: this image has neither initial-setup nor systemd-firstboot, "
			    "firstboot does nothing",
			ks_file(cmd), ks_line(cmd));
	return 0;
}
