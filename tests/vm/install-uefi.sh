#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# From an image onto a disk with UEFI and Secure Boot: installer and node run with it, and the same
# disk boots with UEFI firmware that knows nothing of the install.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_root
requires test -e /usr/share/OVMF/OVMF_VARS_4M.ms.fd

# The installer tells us what it was started by.
cat "$source_dir/tests/vm/install-test.ks" - >"$work/ks.cfg" <<'END'
%pre
for variable in /sys/firmware/efi/efivars/SecureBoot-*; do
	echo "<1>test-secure""boot $(od -An -tu1 -j4 "$variable")" >/dev/kmsg
done
%end
END

build --compression=zstd:3
image=$(cat "$work/out")
disk=$work/node.qcow2
TMPDIR=$work "$bedplate" vm install -q "$image" --disk="$disk" --size=8G --secure-boot \
	--kickstart="$work/ks.cfg" --network=none --timeout=3000 --serial="$work/console" \
	>"$work/out" 2>"$work/err" || fail "vm install: $(cat "$work/err")"
is "$(cat "$work/out")" "installed minimal-test-1 on $disk" "verdict"
grep -aq 'test-secureboot *1' "$work/console" || fail "the installer ran without Secure Boot"
[ -s "$disk.secure-boot-vars.fd" ] || fail "no variables beside the disk"

secure_boot='od -An -tu1 -j4 /sys/firmware/efi/efivars/SecureBoot-*'
vm_start --secure-boot --network=none "$disk"
vm_login
vm "$secure_boot"
grep -q '^ *1$' "$work/said" || fail "the node runs without Secure Boot: $(cat "$work/said")"
vm efibootmgr
grep -qi 'bedplate' "$work/said" || fail "no boot entry: $(cat "$work/said")"
vm nodectl check
vm 'cat /etc/machine-id'
cp "$work/said" "$work/identity"
vm_type 'poweroff\n'
vm_end

vm_start --uefi --network=none "$disk"
vm_login
vm 'cat /etc/machine-id'
diff "$work/identity" "$work/said" || fail "the node has changed"
vm '[ -d /sys/firmware/efi ]'
vm_all_up
vm_type 'poweroff\n'
vm_end
