#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A machine without a disk boots the test image over PXE and NBD, outlives its server, and goes down in order;
# another does so with UEFI and Secure Boot.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_root
for tool in nbdkit python3; do
	which $tool >/dev/null || {
		echo "skipped: there is no $tool"
		exit 77
	}
done
[ -e /usr/lib/PXELINUX/pxelinux.0 ] || {
	echo "skipped: there is no PXELINUX"
	exit 77
}

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
nbd_start() {
	nbdkit --foreground --readonly --ipaddr=127.0.0.1 --port="$port" file dir="$work/tree/images" \
		2>>"$work/nbdkit" &
	server_pid=$!
}
nbd_kill() {
	kill -KILL "$server_pid"
	wait "$server_pid" || :
	server_pid=
}

build --compression=zstd:3
image=$(cat "$work/out")
expect 0 "$bedplate" netroot add --tree="$work/tree" "$image"
grep -q 'bedplate.netroot=nbd::' "$work/tree/tftp/pxelinux.cfg/default" ||
	fail "its own module is not used: $(cat "$work/tree/tftp/pxelinux.cfg/default")"
before=$(sha256sum "$work"/tree/images/*.img)

# No server: it says so, and does not wait for ever.
vm_verb=netboot
vm_start --tree="$work/tree" --server=10.0.2.2:1 --append=rd.retry=5
vm_await 'This node cannot start: no server gives it'
vm_kill

# The second of two servers is there.
nbd_start
vm_start --tree="$work/tree" --server="10.0.2.2:1,10.0.2.2:$port"
vm_login
vm_all_up
vm 'findmnt -no FSTYPE / && findmnt -no SOURCE /run/bedplate/base'
grep -qx overlay "$work/said" || fail "root: $(cat "$work/said")"
grep -qx /dev/mapper/bedplate-base "$work/said" || fail "base: $(cat "$work/said")"
vm 'veritysetup status bedplate-base'
grep -q 'status: *verified' "$work/said" || fail "dm-verity: $(cat "$work/said")"
vm 'touch /usr/written'

# The server goes while it reads, and comes back.
nbd_kill
vm_type 'echo 3 >/proc/sys/vm/drop_caches; cat /usr/bin/* >/dev/null && echo read-"done"\n'
sleep 10
nbd_start
vm_await 'read-done'
vm_await '# '
vm 'dmesg | grep "bedplate: "'
grep -q 'the NBD server of the root is gone, reconnecting' "$work/said" || fail "$(cat "$work/said")"
[ "$(grep -c "root is connected to NBD server 10.0.2.2:$port" "$work/said")" -eq 2 ] ||
	fail "$(cat "$work/said")"

# Down in order, with the root still there.
vm_type 'poweroff\n'
vm_end
grep -aq 'Power down' "$work/console" || fail "no orderly end: $(tail -n 40 "$work/console")"
! grep -aE 'I/O error|EXT4-fs error|SQUASHFS error|Connection timed out' "$work/console" ||
	fail "errors, see above"

# Shim and GRUB, and a server of its own.
expect 0 "$bedplate" vm netboot -q --tree="$work/tree" --secure-boot --cpus=1 --serial="$work/console" \
	--expect='login: ' --timeout=1200
grep -aq 'secureboot: Secure boot enabled' "$work/console" || fail "started without Secure Boot"
grep -aq 'root is connected to NBD server' "$work/console" || fail "root is not that of the network"
[ "$(sha256sum "$work"/tree/images/*.img)" = "$before" ] || fail "the image has changed"
