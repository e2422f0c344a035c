#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Root of an installed or diskless node, and the check of a live medium: see docs/boot.md.
# shellcheck disable=SC2154 # variables of dracut

check() {
	require_binaries lvm dmsetup veritysetup thin_check e2fsck sha256sum || return 1
	return 255
}

depends() {
	echo dm lvm systemd-initrd
}

installkernel() {
	hostonly='' instmods dm_mod dm-thin-pool dm-verity ext4 overlay isofs vfat
	# Of a diskless node.
	hostonly='' instmods nbd loop squashfs
	# Of a trial boot, before udev of the real root finds more of them.
	hostonly='' instmods softdog i6300esb iTCO_wdt sp5100_tco wdat_wdt
}

install() {
	local unit

	inst_multiple lvm dmsetup veritysetup thin_check e2fsck sha256sum \
		cat dd losetup mkdir modprobe mount mountpoint readlink reboot rm sed sleep stat systemctl tail \
		timeout tr umount
	inst_simple "$moddir/lib.sh" /usr/lib/bedplate/lib.sh
	inst_simple "$moddir/netroot.sh" /usr/lib/bedplate/netroot.sh
	inst_script "$moddir/mount-root.sh" /usr/lib/bedplate/mount-root
	inst_script "$moddir/check-medium.sh" /usr/lib/bedplate/check-medium
	inst_binary /usr/lib/bedplate/trial-deadline
	inst_binary /usr/lib/bedplate/nbd-root
	inst_libdir_file 'libnss_dns.so*' 'libnss_files.so*' 'libresolv.so*'
	for unit in root check trial nbd; do
		unit=bedplate-$unit.service
		inst_simple "$moddir/$unit" "$systemdsystemunitdir/$unit"
	done
	$SYSTEMCTL -q --root "$initdir" add-requires initrd-root-fs.target bedplate-root.service
	$SYSTEMCTL -q --root "$initdir" add-wants initrd.target bedplate-check.service
	$SYSTEMCTL -q --root "$initdir" add-wants sysinit.target bedplate-trial.service
	# Without root= it would take a partition that looks like a root for ours.
	rm -f "$initdir$systemdutildir/system-generators/systemd-gpt-auto-generator"
}
