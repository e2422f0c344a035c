#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An installed node that cannot start says why on the serial console and does not hang; without its
# layer it starts all the same.  tests/lab/mount-root.sh goes through everything that can be wrong.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_root

disk=$work/node.raw
layer=minimal-test-1+1
installed_node "$disk"

# Menu entries that differ from the node's own by what the tests need.
cat >"$work/menu.sh" <<'END'
set -eu
# add ID SED-SCRIPT
add() {
	echo "menuentry '$1' --id '$1' {"
	sed -n "/^\t\(linux\|initrd\) /{$2;p}" /boot/*/bedplate.cfg
	echo '}'
}
{
	add stateless 's/\(\tlinux .*\)/\1 bedplate.stateless/'
	add wrong-hash 's/\(roothash=\)\(.*\) /\10000\2 /; s/\(roothash=.\{64\}\)[^ ]*/\1/'
	add missing-layer 's/bedplate.layer=[^ ]*/&2 rd.retry=30/'
} >/boot/grub/custom.cfg
cat /boot/grub/custom.cfg
# One block in the middle of the program that is started first.
file=/run/bedplate/base/usr/lib/systemd/systemd
filefrag -b4096 -v "$file" | sed -n 's/^ *0: *[0-9]*\.\. *[0-9]*: *\([0-9]*\).*/block \1/p'
END
as_disk "$work/menu.sh" "$work/menu.raw"
# The base is written to below dm-verity; then the power goes, as nothing would run any more.
base=/dev/bedplate/${layer%+*}
# damage FIRST-BLOCK COUNT
damage() {
	vm dd if=/dev/urandom of="$base" bs=4096 "count=$2" "seek=$1" oflag=direct conv=fsync
	vm_kill
}

# As much as its error correction mends.
vm_start --network=none --disk="$work/menu.raw" "$disk"
vm_login
vm 'sh /dev/vdb && sync'
block=$(sed -n 's/^block //p' "$work/said")
[ -n "$block" ] || fail "no block of systemd: $(cat "$work/said")"
vm lvchange -q -prw "${base#/dev/}"
damage "$block" 512

# GRUB's environment block, found and overwritten in place as GRUB itself does.
boot_start=$(sfdisk -J "$disk" |
	jq '.partitiontable.partitions[] | select(.name == "bedplate-boot") | .start * 512')
boot_size=$(sfdisk -J "$disk" |
	jq '.partitiontable.partitions[] | select(.name == "bedplate-boot") | .size * 512')
env_at=$(tail -c "+$((boot_start + 1))" "$disk" | head -c "$boot_size" |
	grep -abo '# GRUB Environment Block' | cut -d: -f1 |
	while read -r at; do [ $((at % 4096)) -ne 0 ] || echo $((boot_start + at)); done | tail -n 1)
[ -n "$env_at" ] || fail "no environment block on the boot volume"

# set_default ID
set_default() {
	{
		printf '# GRUB Environment Block\ndefault=%s\n' "$1"
		head -c 1024 /dev/zero | tr '\0' '#'
	} | head -c 1024 | dd of="$disk" bs=512 seek=$((env_at / 512)) conv=notrunc status=none
}

# refused ID TEXT: that entry ends with this explanation, in the emergency path.
refused() {
	set_default "$1"
	vm_start --network=none --snapshot "$disk"
	vm_await "This node cannot start: $2"
	vm_await 'emergency mode'
	vm_kill
}

refused wrong-hash "base 'bedplate/${layer%+*}' does not have the root hash"
refused missing-layer "layer '${layer}2' is missing"

set_default stateless
vm_start --network=none "$disk"
vm_await 'verity-fec: '
vm_login
vm 'findmnt -no FSTYPE /run/bedplate/layer'
is "$(cat "$work/said")" tmpfs "upper half of a stateless node"
vm_all_up

# And more.
damage $((block - 4096)) 8192
refused "$layer" "base 'bedplate/${layer%+*}' is damaged"
