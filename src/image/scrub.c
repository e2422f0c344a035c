/* SPDX-License-Identifier: Apache-2.0 */
#include "image/scrub.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/macro.h"
#include "image/intree.h"

enum how {
	THIS,  /* the file or folder itself */
	MATCH, /* what is in the folder and matches the glob */
	FILES, /* all files under it; folders stay, as packages and tmpfiles.d(5) want them */
};

static const struct {
	enum how how;
	const char *path, *glob;
} rubbish[] = {
	/* Of a moment: backups, locks, logs, caches. */
	{THIS, "/etc/.pwd.lock", NULL},
	{MATCH, "/etc", "passwd-"},
	{MATCH, "/etc", "shadow-"},
	{MATCH, "/etc", "group-"},
	{MATCH, "/etc", "gshadow-"},
	{MATCH, "/etc", "subuid-"},
	{MATCH, "/etc", "subgid-"},
	{MATCH, "/var/lib/dpkg", "*-old"},
	{MATCH, "/var/lib/dpkg", "lock*"},
	{THIS, "/var/lib/dpkg/triggers/Lock", NULL},
	{MATCH, "/usr/lib/bedplate/debconf", "*-old"},
	{THIS, "/usr/lib/bedplate/debconf/tmp.ci", NULL},
	{MATCH, "/var/backups", "*"},
	{FILES, "/var/cache", NULL},
	{FILES, "/var/log", NULL},
	{MATCH, "/var/lib/apt/lists", "*"},
	{MATCH, "/var/lib/apt", "periodic"},
	{MATCH, "/tmp", "*"},
	{MATCH, "/var/tmp", "*"},
	{MATCH, "/run", "*"},
	{MATCH, "/dev", "*"},
	{THIS, "/root/.bash_history", NULL},
	{THIS, "/root/.lesshst", NULL},
	{THIS, "/root/.viminfo", NULL},
	{THIS, "/root/.wget-hsts", NULL},
	/* They would write a boot menu of GRUB's own in the place of the node's. */
	{THIS, "/etc/kernel/postinst.d/zz-update-grub", NULL},
	{THIS, "/etc/kernel/postrm.d/zz-update-grub", NULL},
	/* Of a node: names, keys and seeds. */
	{MATCH, "/etc/ssh", "ssh_host_*_key*"},
	{THIS, "/var/lib/systemd/random-seed", NULL},
	{THIS, "/var/lib/systemd/credential.secret", NULL},
	{THIS, "/var/lib/dbus/machine-id", NULL},
	{THIS, "/var/lib/NetworkManager/secret_key", NULL},
	{THIS, "/var/lib/NetworkManager/seen-bssids", NULL},
	{THIS, "/var/lib/NetworkManager/timestamps", NULL},
	{MATCH, "/var/lib/NetworkManager", "*.lease"},
	{THIS, "/etc/nvme/hostnqn", NULL},
	{THIS, "/etc/nvme/hostid", NULL},
	{THIS, "/etc/hostid", NULL},
};

static int remove_one(int root_fd, enum how how, const char *path, const char *glob, struct err *e)
{
	if (how == THIS)
		return intree_remove(root_fd, path, e);
	if (how == MATCH)
		return intree_remove_matching(root_fd, path, glob, e);
	return intree_remove_files(root_fd, path, e);
}

/*
 * An empty machine-id is filled in at boot, and such a boot is not a "first boot" that would enable
 * all services again that the kickstart has disabled (machine-id(5)).
 */
static int forget_identity(int root_fd, struct err *e)
{
	int r = intree_write(root_fd, "/etc/machine-id", "", 0444, e);

	/* open-iscsi makes the name itself when it finds this. */
	if (r == 0 && intree_has(root_fd, "/etc/iscsi/initiatorname.iscsi"))
		r = intree_write(
			root_fd, "/etc/iscsi/initiatorname.iscsi", "GenerateName=yes\n", 0600, e);
	return r;
}

int scrub_tree(int root_fd, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(rubbish); i++) {
		int r = remove_one(root_fd, rubbish[i].how, rubbish[i].path, rubbish[i].glob, e);
		if (r < 0)
			return err_wrap(e, r, "cleaning the tree");
	}
	return forget_identity(root_fd, e);
}
