/* SPDX-License-Identifier: Apache-2.0 */
#include "pkg/groups.h"

#include "base/macro.h"

/* Names are those of the comparable groups of kickstart's own distributions. */
const struct pkg_group pkg_groups[] = {
	{"core", "boots to a login prompt; in every image unless --nocore",
		"dbus init iproute2 kmod libpam-systemd login mount netbase passwd procps "
		"systemd-sysv udev"},
	{"base", "what an administrator expects to find",
		"bash-completion bind9-host bzip2 ca-certificates cpio curl dosfstools e2fsprogs "
		"ethtool file iputils-ping less locales logrotate lsof man-db nano pciutils psmisc "
		"rsync strace sudo tcpdump traceroute usbutils vim-tiny wget xz-utils"},
	{"standard", "remote access and the right time",
		"chrony openssh-server sudo less nano ca-certificates"},
	{"storage", "every kind of disk a root may be on",
		"cryptsetup dosfstools e2fsprogs fdisk gdisk lvm2 mdadm multipath-tools nvme-cli "
		"open-iscsi parted smartmontools thin-provisioning-tools xfsprogs"},
	{"network-server", "NetworkManager and firewall", "ethtool network-manager nftables"},
	{"virtualization-hypervisor", "runs virtual machines",
		"libvirt-clients libvirt-daemon-system qemu-system-x86 qemu-utils"},
	{"virtualization-tools", "looks into virtual machines",
		"libguestfs-tools qemu-utils virtinst"},
	{"guest-agents", "for an image that itself is a virtual machine", "qemu-guest-agent"},
	{"container-management", "runs containers", "podman skopeo buildah"},
};

const size_t pkg_group_count = ARRAY_LEN(pkg_groups);

const struct pkg_group *pkg_group_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(pkg_groups); i++)
		if (str_eq(pkg_groups[i].name, name))
			return &pkg_groups[i];
	return NULL;
}
