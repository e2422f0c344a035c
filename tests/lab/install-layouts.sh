#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# nodectl install with layouts that exclude those of tests/vm/every-directive.ks and tests/lab/install.sh:
# autopart --nohome with all its volumes, and reqpart --add-boot beside lines.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_uml
# shellcheck source=image.sh
. "$lab/image.sh"

# kickstart NAME: $work/NAME.ks, with the layout from standard input.
kickstart() {
	cat - >"$work/$1.ks" <<END
text
timezone Etc/UTC --utc
rootpw --lock
zerombr
ignoredisk --only-use=ubda
clearpart --all --initlabel --drives=ubda
network --hostname=lab.test
reboot
liveimg --url=file://$image --checksum=$(sum "$image")
$(cat)
END
}

make_tree
make_rootfs "$work/rootfs.img" 64
make_image "$work/image" 1 "$work/rootfs.img"

echo 'autopart --type=thinp --nohome' | kickstart nohome
new_disk wide 64G
in_guest --disk="$work/wide" --memory=768 <<'END'
"$LAB_NODECTL" install --kickstart="$LAB_WORK/nohome.ks" --yes
lvm lvs --noheadings -o lv_name bedplate | tr -d ' ' >/run/volumes
for name in var var_crash var_log var_log_audit var_tmp tmp; do
	grep -x "$name" /run/volumes
done
if grep home /run/volumes; then exit 1; fi
mkdir /run/layer
mount -o ro /dev/bedplate/lab-1+1 /run/layer
fstab=/run/layer/upper/etc/fstab
grep ' /var/tmp ext4 [^ ]*discard' "$fstab"
if grep ' /home ' "$fstab"; then exit 1; fi
umount /run/layer
END

kickstart lines <<'END'
reqpart --add-boot
part pv.01 --size=4000 --grow
volgroup lines pv.01
logvol none --vgname=lines --name=pool --thinpool --size=3000 --grow
logvol / --vgname=lines --name=root --thin --poolname=pool --fstype=ext4 --size=512
logvol /var --vgname=lines --name=var --thin --poolname=pool --fstype=ext4 --size=512
END
new_disk disk 8G
in_guest --disk="$work/disk" --memory=768 <<'END'
"$LAB_NODECTL" install --kickstart="$LAB_WORK/lines.ks" --yes 2>"$LAB_WORK/said"
if grep 'added' "$LAB_WORK/said"; then exit 1; fi
sgdisk -p /dev/ubda >/run/table
for code in EF02 EF00; do
	grep " $code " /run/table
done
mkdir /run/boot /run/var
mount -t ext4 -o ro "$(blkid -o device -t PARTLABEL=bedplate-boot)" /run/boot
[ -s /run/boot/lab-1+1/vmlinuz ]
umount /run/boot
mount -o ro /dev/lines/var /run/var
[ "$(cat /run/var/lib/lab/file)" = new ]
umount /run/var
END
