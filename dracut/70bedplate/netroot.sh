# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2086,SC2154 # variables of mount-root, which reads this
# The image of a diskless node: over NBD, out of the squashfs that was made for transport.
# bedplate.netroot=nbd:SERVER[:PORT][,SERVER[:PORT]]...:EXPORT; without a server it is the one that DHCP names.

netroot_seconds=$(getargnum 180 1 3600 rd.retry)
nbd=/dev/nbd0
server_hint="Is the server running, and can it be reached?  To name others: bedplate.netroot=nbd:SERVER,SERVER:EXPORT"

# What a DHCP server calls next-server, as the programs that dracut may use for the network keep it.
servers_of_dhcp() {
	for file in /run/NetworkManager/devices/* /run/systemd/netif/leases/* /tmp/dhclient.*.dhcpopts; do
		[ ! -f "$file" ] || sed -n 's/^\(next-server\|NEXT_SERVER\|new_next_server\)=//p' "$file"
	done | while read -r server; do
		[ "$server" = 0.0.0.0 ] || echo "$server"
	done
}

# Into $run/netroot: the export, then a server a line.
choose_servers() {
	case $netroot in
	nbd:*:?*) ;;
	*) fail "'bedplate.netroot=$netroot' is not nbd:SERVER:EXPORT" "$other_entry" ;;
	esac
	export_name=${netroot##*:}
	servers=${netroot#nbd:}
	servers=${servers%:*}
	[ -n "$servers" ] || servers=$(servers_of_dhcp)
	[ -n "$servers" ] ||
		fail "there is no server for its root" \
			"The network has not come up, or the DHCP server names no next-server." \
			"Network: $(ip -brief address | tr -s ' \n' ' ;')" \
			"To name a server: bedplate.netroot=nbd:SERVER:$export_name"
	{
		echo "$export_name"
		echo "$servers" | tr , '\n'
	} >$run/netroot
}

# What an attempt before this one has left.  The connection stays.
release_image() {
	[ ! -e $run/loop ] || losetup -d "$(cat $run/loop)" || :
	rm -f $run/loop
	! mountpoint -q $run/image || umount $run/image
}

connect() {
	choose_servers
	modprobe nbd || fail "the kernel module nbd is not in this initramfs" "$other_entry"
	systemctl restart bedplate-nbd.service
	deadline=$(($(now) + netroot_seconds))
	until [ -e /sys/block/nbd0/pid ]; do
		[ "$(now)" -lt $deadline ] ||
			fail "no server gives it '$export_name', after $netroot_seconds seconds" \
				"$(cat $run/netroot.why)" "$server_hint"
		sleep 0.2
	done
}

# Sets device and what open_base needs.
open_image() {
	mkdir -p $run/image
	connect
	title="image '$export_name'"
	whole=$title
	modprobe loop
	ran mount -t squashfs -o ro $nbd $run/image ||
		fail "$title is not one of bedplate: $said" "$other_entry"
	[ -f $run/image/LiveOS/rootfs.img ] ||
		fail "$title is not one of bedplate: it has no LiveOS/rootfs.img" "$other_entry"
	device=$(losetup --read-only --find --show $run/image/LiveOS/rootfs.img) ||
		fail "$title: no loop device"
	echo "$device" >$run/loop
	verity_kind=parameter\ bedplate.verity
	verity=$(getarg bedplate.verity=)
}
