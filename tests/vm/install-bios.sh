#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# From an ISO onto a disk with a BIOS: the power fails in the middle, the second install succeeds, the
# node is what every directive of the kickstart says, is well, and stays the same node.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_root

here=$source_dir/tests/vm
"$bedplate" image build "$here/every-directive-image.ks" --cache="$cache" \
	--compression=zstd:3 -o "$work/image" >"$work/out" 2>"$work/err" || fail "build: $(tail -3 "$work/err")"
image=$(cat "$work/out")
"$bedplate" media iso "$image" -o "$work/node.iso" >"$work/out" 2>"$work/err" ||
	fail "media iso: $(tail -3 "$work/err")"
# What clearpart has to let go, on the disk that ignoredisk leaves.
disk=$work/node.qcow2
make_disk "$work/before.raw" 12G
printf 'label: dos\nsize=100MiB, type=83\n' | sfdisk -q "$work/before.raw"
mke2fs -q -t ext4 -L before -E offset=1048576 "$work/before.raw" 100M
qemu-img convert -O qcow2 "$work/before.raw" "$disk"
rm "$work/before.raw"

# What the installer says is in $work/console.
install() {
	TMPDIR=$work "$bedplate" vm install -q --cpus=1 "$work/node.iso" --disk="$disk" --yes \
		--kickstart="$here/every-directive.ks" --network=none --timeout=3000 \
		--serial="$work/console" >"$work/out" 2>"$work/err"
}

# The power fails while the base is being written.
: >"$work/console"
install &
vm_pid=$!
await_file 'base ...' "$work/console" "$vm_pid"
sleep 1
kill -KILL "$(qemu_of "$vm_pid")"
! wait "$vm_pid" || fail "status 0 without power"
vm_pid=
! grep -q 'bedplate: installed' "$work/console" || fail "it was too late to cut the power"

install || fail "second install: $(cat "$work/err")"
grep -q 'bedplate: installed every-1 on /dev/vda' "$work/console" || fail "$(tail "$work/console")"
is "$(cat "$work/out")" "installed every-1 on $disk" "verdict"
grep -aq 'reboot: Power down' "$work/console" || fail "no poweroff: $(tail "$work/console")"
left=$(find "$work" -maxdepth 1 -name 'bedplate-vm*')
[ -z "$left" ] || fail "left behind: $left"

# The node: nothing failed, everything healthy, every directive done.
as_disk "$here/every-directive-check.sh" "$work/check.raw"
vm_start --disk="$work/check.raw" "$disk"
vm_login
vm_all_up
vm nodectl check
vm sh /dev/vdb
grep -q '^checked: [0-9]* ok, 0 bad$' "$work/said" || fail "$(cat "$work/said")"
vm 'cat /etc/machine-id /etc/ssh/ssh_host_*_key.pub'
cp "$work/said" "$work/identity"
grep -q '^ssh-' "$work/identity" || fail "no host keys: $(cat "$work/identity")"

# It is the same node after a reboot.
vm_type 'reboot\n'
vm_login
vm 'cat /etc/machine-id /etc/ssh/ssh_host_*_key.pub'
diff "$work/identity" "$work/said" || fail "the node has changed"
vm_type 'poweroff\n'
vm_end
