/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/chroot.h"

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"

#define RESOLV_CONF_MAX_BYTES (64 * KIB)
#define POLICY_PATH           "/usr/sbin/policy-rc.d"
#define MOUNTS_MAX            4

struct chroot {
	char *tree_path;
	int root_fd;
	int mounts[MOUNTS_MAX]; /* descriptors of what we have mounted, in this order */
	size_t mount_count;
	bool has_policy; /* POLICY_PATH is ours */
};

int chroot_enter_namespace(struct err *e)
{
	static bool entered;

	if (entered)
		return 0;
	if (unshare(CLONE_NEWNS) < 0)
		return err_errno(e, "private mount namespace");
	/* Mounts of the host still get in, ours do not get out. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_errno(e, "making mounts private");
	umask(022);
	entered = true;
	return 0;
}

/* The name by which mount(2) takes a descriptor: the tree's own links can not redirect it. */
static char *fd_path(int fd)
{
	return xasprintf("/proc/self/fd/%d", fd);
}

/* Mount on a path of the tree and remember it for chroot_close(). */
static int mount_in_tree(struct chroot *c, const char *source, const char *path, const char *type,
	unsigned long flags, struct err *e)
{
	autofd int target = file_open_in_root(c->root_fd, path, O_PATH, 0, e);

	if (target < 0)
		return target;
	autofree char *name = fd_path(target);
	if (mount(source, name, type, flags, type ? "mode=0755" : NULL) < 0)
		return err_errno(e, "mounting '%s' in '%s'", path, c->tree_path);

	int mounted = file_open_in_root(c->root_fd, path, O_PATH, 0, e);
	if (mounted < 0)
		return mounted;
	c->mounts[c->mount_count++] = mounted;
	return 0;
}

static int mount_dev(struct chroot *c, struct err *e)
{
	static const char *const nodes[] = {"null", "zero", "full", "random", "urandom", "tty"};
	static const char *const links[][2] = {
		{"/proc/self/fd", "fd"},
		{"/proc/self/fd/0", "stdin"},
		{"/proc/self/fd/1", "stdout"},
		{"/proc/self/fd/2", "stderr"},
	};
	int r = file_make_folder_in_root(c->root_fd, "/dev", e);

	if (r == 0)
		r = mount_in_tree(c, "dev", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, e);
	if (r < 0)
		return r;

	int dev = c->mounts[c->mount_count - 1];
	for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
		autofree char *host = xasprintf("/dev/%s", nodes[i]);
		autofd int fd = openat(
			dev, nodes[i], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		autofree char *name = fd_path(fd);

		if (fd < 0 || mount(host, name, NULL, MS_BIND, NULL) < 0)
			return err_errno(e, "device node '%s'", host);
	}
	for (size_t i = 0; i < ARRAY_LEN(links); i++)
		if (symlinkat(links[i][0], dev, links[i][1]) < 0)
			return err_errno(e, "'/dev/%s'", links[i][1]);
	if (mkdirat(dev, "shm", 01777) < 0 || fchmodat(dev, "shm", 01777, 0) < 0)
		return err_errno(e, "'/dev/shm'");
	return 0;
}

static int mount_sys(struct chroot *c, struct err *e)
{
	int r = file_make_folder_in_root(c->root_fd, "/sys", e);

	if (r == 0)
		r = mount_in_tree(c, "/sys", "/sys", NULL, MS_BIND, e);
	if (r < 0)
		return r;
	autofree char *name = fd_path(c->mounts[c->mount_count - 1]);
	if (mount(NULL, name, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) < 0)
		return err_errno(e, "making /sys read-only in '%s'", c->tree_path);
	return 0;
}

/* The host's own, with all that is mounted below. */
static int bind_from_host(struct chroot *c, const char *path, struct err *e)
{
	int r = file_make_folder_in_root(c->root_fd, path, e);

	return r == 0 ? mount_in_tree(c, path, path, NULL, MS_BIND | MS_REC, e) : r;
}

/*
 * A link into /run, as network managers want it, is filled in our /run; a file or nothing at all
 * gets a copy of the host's file bound over it, which a script may write to.
 */
static int give_resolv_conf(struct chroot *c, struct err *e)
{
	static const char path[] = "/etc/resolv.conf", copy[] = "/run/host-resolv.conf";
	char target[512];
	autofree char *text = NULL;
	ssize_t len;

	if (file_read(path, RESOLV_CONF_MAX_BYTES, &text, NULL, NULL) < 0)
		return 0;
	autofd int etc = file_open_in_root(c->root_fd, "/etc", O_PATH | O_DIRECTORY, 0, NULL);
	if (etc < 0)
		return 0;

	len = readlinkat(etc, "resolv.conf", target, sizeof(target) - 1);
	if (len > 0) {
		target[len] = '\0';
		const char *run = target;
		while (*run == '/' || str_starts(run, "../"))
			run += *run == '/' ? 1 : 3;
		if (!str_starts(run, "run/"))
			return 0;
		autofree char *file = xasprintf("/%s", run);
		return file_write_in_root(c->root_fd, file, text, 0644, e);
	}
	autofd int fd = file_open_in_root(c->root_fd, path, O_RDONLY | O_CREAT, 0644, e);
	int r = fd < 0 ? fd : file_write_in_root(c->root_fd, copy, text, 0644, e);
	if (r < 0)
		return r;
	autofd int copy_fd = file_open_in_root(c->root_fd, copy, O_PATH | O_NOFOLLOW, 0, e);
	if (copy_fd < 0)
		return copy_fd;
	autofree char *source = fd_path(copy_fd);
	return mount_in_tree(c, source, path, NULL, MS_BIND, e);
}

/* Exit status 101: the action is forbidden (Debian's invoke-rc.d(8)). */
static int forbid_services(struct chroot *c, struct err *e)
{
	autofd int fd = file_open_in_root(c->root_fd, POLICY_PATH, O_PATH | O_NOFOLLOW, 0, NULL);

	if (fd >= 0)
		return 0;
	c->has_policy = true;
	return file_write_in_root(c->root_fd, POLICY_PATH, "#!/bin/sh\nexit 101\n", 0755, e);
}

static int prepare(struct chroot *c, bool devices, struct err *e)
{
	int r = file_make_folder_in_root(c->root_fd, "/run", e);

	if (r == 0)
		r = file_make_folder_in_root(c->root_fd, "/proc", e);
	if (r == 0)
		r = devices ? bind_from_host(c, "/dev", e) : mount_dev(c, e);
	if (r == 0)
		r = devices ? bind_from_host(c, "/sys", e) : mount_sys(c, e);
	if (r == 0)
		r = mount_in_tree(c, "run", "/run", "tmpfs", MS_NOSUID | MS_NODEV, e);
	if (r == 0)
		r = give_resolv_conf(c, e);
	return r == 0 ? forbid_services(c, e) : r;
}

static int open_chroot(const char *tree_path, bool devices, struct chroot **out, struct err *e)
{
	autoptr(chroot) c = xcalloc(1, sizeof(*c));
	autofree char *absolute = realpath(tree_path, NULL);
	int r;

	c->root_fd = -1;
	if (!absolute)
		return err_errno(e, "'%s'", tree_path);
	c->tree_path = take_ptr(absolute);
	c->root_fd = open(c->tree_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (c->root_fd < 0)
		return err_errno(e, "'%s'", tree_path);
	r = prepare(c, devices, e);
	if (r < 0)
		return r;
	*out = take_ptr(c);
	return 0;
}

int chroot_open(const char *tree_path, struct chroot **out, struct err *e)
{
	return open_chroot(tree_path, false, out, e);
}

int chroot_open_with_devices(const char *tree_path, struct chroot **out, struct err *e)
{
	return open_chroot(tree_path, true, out, e);
}

static void remove_policy(const struct chroot *c)
{
	autofd int fd = file_open_in_root(c->root_fd, "/usr/sbin", O_PATH | O_DIRECTORY, 0, NULL);

	if (fd >= 0)
		unlinkat(fd, "policy-rc.d", 0);
}

void chroot_close(struct chroot *c)
{
	if (!c)
		return;
	while (c->mount_count > 0) {
		int fd = c->mounts[--c->mount_count];
		autofree char *name = fd_path(fd);

		if (umount2(name, MNT_DETACH) < 0)
			log_debug("unmounting in '%s': %m", c->tree_path);
		close(fd);
	}
	if (c->has_policy)
		remove_policy(c);
	if (c->root_fd >= 0)
		close(c->root_fd);
	free(c->tree_path);
	free(c);
}

void chroot_cmd_init_outside(struct cmd *cmd)
{
	cmd_add(cmd, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", NULL);
}

static void set_environment(struct cmd *cmd)
{
	/* Process 1 of a namespace gets no signal that it has no handler for (pid_namespaces(7)). */
	cmd->kill_at_once = true;
	cmd->clean_env = true;
	cmd_env(cmd, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	cmd_env(cmd, "HOME=/root");
	cmd_env(cmd, "TERM=dumb");
	cmd_env(cmd, "DEBIAN_FRONTEND=noninteractive");
	/*
	 * systemctl compares its root with that of process 1, which is in the tree as well here, and
	 * would not notice that there is no systemd to talk to.
	 */
	cmd_env(cmd, "SYSTEMD_OFFLINE=1");
	cmd_env(cmd, "SYSTEMD_IN_CHROOT=1");
}

void chroot_cmd_init(const struct chroot *c, struct cmd *cmd)
{
	cmd_add(cmd, "unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child",
		"--mount-proc", NULL);
	cmd_addf(cmd, "--root=%s", c->tree_path);
	set_environment(cmd);
}

void chroot_cmd_init_guarded(const struct chroot *c, struct cmd *cmd)
{
	/* Before the chroot: the tree need not have the tools. */
	static const char guard[] =
		"set -e; tree=$1; shift; cd /\n"
		"for file in \"$tree/proc/sys\" \"$tree/proc/sysrq-trigger\"; do\n"
		"[ -e \"$file\" ] || continue\n"
		"mount --bind \"$file\" \"$file\"; mount -o remount,bind,ro \"$file\"; done\n"
		"exec setpriv --bounding-set=-sys_module,-sys_time,-sys_boot chroot \"$tree\" \"$@\"";

	cmd_add(cmd, "setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--pid", "--ipc", "--uts",
		"--net", "--fork", "--kill-child", NULL);
	cmd_addf(cmd, "--mount-proc=%s/proc", c->tree_path);
	cmd_add(cmd, "sh", "-c", guard, "sh", c->tree_path, NULL);
	set_environment(cmd);
}
