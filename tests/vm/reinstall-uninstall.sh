#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# On a live system with UEFI: a dry run changes no byte; install, reinstall and uninstall leave foreign
# partitions, volumes, disks and boot entries alone.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_root
requires test -e /usr/share/OVMF/OVMF_VARS_4M.fd

build --compression=zstd:3
image=$(cat "$work/out")
"$bedplate" media iso -q "$image" -o "$work/live.iso" 2>"$work/err" || fail "$(cat "$work/err")"
node=$work/node.raw other=$work/other.raw
make_disk "$node" 9G
make_disk "$other" 300M
# Foreign: the first partition of the node's disk, and all of the other disk.
sfdisk -q "$node" <<'END'
label: gpt
size=64MiB, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, name=foreign
END
sed 's/^clearpart.*/clearpart --linux --drives=vda/' \
	"$source_dir/tests/vm/install-test.ks" >"$work/ks.cfg"
as_disk "$work/ks.cfg" "$work/ks.raw"

# What the disks hold: QEMU has given the host all that the machine has written.
fingerprint() {
	vm sync
	sha256sum "$node" "$other"
}

# Of what was said: what was typed and what LVM adds may be in it.
found() {
	grep -E '^[0-9a-f]{64}  /dev/|^Boot[0-9A-F]{4}' "$work/said" ||
		fail "no digest and no boot entry: $(cat -A "$work/vm.text")" >&2
}

# What is not the node's.
foreign() {
	vm 'sha256sum /dev/disk/by-partlabel/foreign /dev/other/data; efibootmgr | grep Foreign'
	found
	if [ "${1:-}" = volume ]; then
		vm 'lvchange -K -ay bedplate/foreign && sha256sum /dev/bedplate/foreign'
		found
	fi
}

# Without a kickstart on it, the medium boots live.
vm_start --uefi --network=none --disk="$node" --disk="$other" --disk="$work/ks.raw" "$work/live.iso"
vm_login
vm 'mkfs.vfat /dev/disk/by-partlabel/foreign && vgcreate -qq other /dev/vdb &&
	lvcreate -qq -Zn -L 32M -n data other && mkfs.ext4 -q /dev/other/data'
# shellcheck disable=SC1003 # a backslash for the firmware
vm 'efibootmgr -q -c -d /dev/vda -p 1 -L Foreign -l "\EFI\foreign.efi"'
vm 'cp /dev/vdc /root/ks.cfg'
foreign >"$work/foreign"

fingerprint >"$work/before"
vm nodectl install --kickstart=/root/ks.cfg --dry-run
grep -q vda "$work/said" || fail "no plan: $(cat "$work/said")"
fingerprint >"$work/after"
diff "$work/before" "$work/after" || fail "the dry run of an install has changed a disk"

vm nodectl install --kickstart=/root/ks.cfg --yes
grep -q 'bedplate: installed minimal-test-1 on /dev/vda' "$work/said" || fail "$(cat "$work/said")"
foreign | diff "$work/foreign" - || fail "the install has changed what is foreign"
vm 'efibootmgr | grep -i bedplate'

# A volume of somebody else in the node's own group.
vm 'lvcreate -qq -Zn -L 32M -n foreign bedplate && mkfs.ext4 -q /dev/bedplate/foreign'
foreign volume >"$work/foreign"
fingerprint >"$work/before"
vm nodectl reinstall --kickstart=/root/ks.cfg --dry-run
vm nodectl uninstall --dry-run
fingerprint >"$work/after"
diff "$work/before" "$work/after" || fail "a dry run has changed a disk"

vm nodectl reinstall --kickstart=/root/ks.cfg --yes
foreign volume | diff "$work/foreign" - || fail "the reinstall has changed what is foreign"
vm 'lvs --noheadings -o lv_tags bedplate | grep -c bedplate:base'
is "$(tail -n 1 "$work/said")" 1 "number of bases after the reinstall"

vm nodectl uninstall --yes
foreign volume | diff "$work/foreign" - || fail "the uninstall has changed what is foreign"
vm '! lvs --noheadings -o lv_tags | grep -E "bedplate:(base|layer|volume)"'
vm '! efibootmgr | grep -i bedplate'
vm '! lsblk -n -o PARTLABEL /dev/vda | grep -E "bedplate-(bios|efi|boot)"'
vm_type 'poweroff\n'
vm_end
