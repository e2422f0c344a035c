#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Machines without a disk, and a tree with two images. One boots what is set for its MAC address over PXE and NBD,
# outlives its server, and goes down in order; meanwhile another, known by its UUID, boots the same with UEFI and
# Secure Boot; a third one, that the tree does not know, gets the default.  Then an ISO of somebody else over NBD
# by dracut's own modules, and an image of ours that is fetched whole, whose server may go.
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
	nbdkit --foreground --readonly --ipaddr=127.0.0.1 --port="$port" file dir="$tree/images" \
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
echo second >"$work/second"
expect 0 "$bedplate" image edit "$image" --copy "$work/second:/etc/second" -o "$work/edited"
tree=$work/tree
expect 0 "$bedplate" netroot add --tree="$tree" --label=first "$image"
expect 0 "$bedplate" netroot add --tree="$tree" --label=second "$work/edited"
first=$(json "$tree/netroot.json" '.entries[] | select(.label == "first").image')
second=$(json "$tree/netroot.json" '.entries[] | select(.label == "second").image')
[ "$first" != "$second" ] || fail "both images are $first"
mac=52:54:00:be:d0:01
uuid=01234567-89ab-cdef-0123-456789abcdef
expect 0 "$bedplate" netroot host --tree="$tree" $mac --image=second --hostname=one.test
expect 0 "$bedplate" netroot host --tree="$tree" $uuid --image=second --hostname=two.test
grep -q 'bedplate.netroot=nbd::' "$tree/tftp/pxelinux.cfg/default" ||
	fail "its own module is not used: $(cat "$tree/tftp/pxelinux.cfg/default")"
before=$(sha256sum "$tree"/images/*.img)

# No server: it says so, and does not wait for ever.
vm_verb=netboot
vm_start --tree="$tree" --server=10.0.2.2:1 --append=rd.retry=5
vm_await "This node cannot start: no server gives it '$first.img'"
vm_kill

# The second of two servers is there.
nbd_start
vm_start --tree="$tree" --host=$mac --server="10.0.2.2:1,10.0.2.2:$port"
vm_login
vm_all_up
vm 'uname -n; cat /etc/second; cat /proc/cmdline'
grep -qx one.test "$work/said" || fail "host name: $(cat "$work/said")"
grep -qx second "$work/said" || fail "it has not booted what is set for it: $(cat "$work/said")"
grep -q "bedplate.netroot=nbd:[^ ]*:$second.img" "$work/said" || fail "$(cat "$work/said")"
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

# Shim and GRUB, and what the other has written is its own.
# shellcheck disable=SC2016 # for the shell in the machine
expect 0 "$bedplate" vm netboot -q --tree="$tree" --host=$uuid --server="10.0.2.2:$port" --secure-boot --cpus=1 \
	--serial="$work/other" --timeout=1200 --expect='login: ' --send='root\n' --expect='assword: ' \
	--send='bedplate-test\n' --expect='# ' \
	--send='dmesg -n 1; echo is-"it" $(uname -n) $(cat /etc/second) $(ls /usr/written 2>/dev/null) mark-"two"\n' \
	--expect='mark-two'
sed 's/\x1b\[[0-9;?!]*[A-Za-z]//g' "$work/other" | tr -d '\r' >"$work/console-2"
grep -q 'secureboot: Secure boot enabled' "$work/console-2" || fail "started without Secure Boot"
grep -q 'root is connected to NBD server' "$work/console-2" || fail "root is not that of the network"
grep -q '^is-it two.test second mark-two' "$work/console-2" || fail "$(tail "$work/console-2")"
vm 'cat /usr/bin/* | sha256sum && ls /usr/written'

# Down in order, with the root still there.
vm_type 'poweroff\n'
vm_end
grep -aq 'Power down' "$work/console" || fail "no orderly end: $(tail -n 40 "$work/console")"
! grep -aE 'I/O error|EXT4-fs error|SQUASHFS error|Connection timed out' "$work/console" ||
	fail "errors, see above"

[ "$(sha256sum "$tree"/images/*.img)" = "$before" ] || fail "an image has changed"
nbd_kill

# An ISO as others make it: dracut's own modules.
mkdir -p "$work/iso/LiveOS" "$work/iso/images/pxeboot"
cp "$image" "$work/iso/LiveOS/squashfs.img"
cp "$tree/tftp/$first/vmlinuz" "$tree/tftp/$first/initrd.img" "$work/iso/images/pxeboot"
xorriso -as mkisofs -quiet -r -V FOREIGN -o "$work/foreign.iso" "$work/iso" 2>/dev/null
expect 0 "$bedplate" netroot add --tree="$work/foreign" --append="norandmaps module_blacklist=sha256_ssse3" \
	"$work/foreign.iso"
expect 0 "$bedplate" vm netboot -q --tree="$work/foreign" --cpus=1 --serial="$work/console" --expect='login: ' \
	--timeout=1200
grep -aq 'Command line: .* root=live:CDLABEL=FOREIGN netroot=nbd:10.0.2.2:' "$work/console" ||
	fail "not by dracut's modules: $(grep -a 'Command line' "$work/console")"

serve "$tree"
expect 0 "$bedplate" netroot add --tree="$tree" --label=first --transport=http --server="${server_url#http://}" "$image"
vm_start --tree="$tree" --server="${server_url#http://}"
vm_login
vm_all_up
kill "$server_pid"
wait "$server_pid" || :
server_pid=
vm 'cat /proc/cmdline; echo 3 >/proc/sys/vm/drop_caches; cat /usr/bin/* | sha256sum'
grep -q "root=live:$server_url/images/$first.img" "$work/said" || fail "not fetched: $(cat "$work/said")"
vm_type 'poweroff\n'
vm_end
