#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Disks as they are, without udev: tables, contents, uses, groups, storage domains.  Looking changes
# no byte.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_uml
export LAB_INVENTORY="$4"

# value FILTER WANT: of the inventory in $work/found.
value() {
	got=$(jq -cr "$1" "$work/found")
	[ "$got" = "$2" ] || fail "$1 is '$got', expected '$2'"
}

# refused DISK TEXT: installing on it is refused with this.
refused() {
	grep -qxF "$1: $2" "$work/refusals" || fail "'$1: $2' is not in: $(cat "$work/refusals")"
}

new_disk a 512M
new_disk b 512M
new_disk c 512M
new_disk d 512M
new_disk e 512M
new_disk f 512M
sgdisk -n 1:0:+64M -t 1:8300 -c 1:first -n 2:0:+128M -t 2:8e00 "$work/a" >/dev/null
sgdisk -n 1:0:+64M -n 2:0:+64M -n 3:0:+64M -n 4:0:+64M "$work/d" >/dev/null
mke2fs -q -t ext4 -L data "$work/e"
# A file system without its group descriptors: it is known, and cannot be mounted.
mke2fs -q -t ext4 "$work/f"
dd if=/dev/zero of="$work/f" bs=1k seek=2 count=6 conv=notrunc 2>/dev/null
in_guest --disk="$work/a" --disk="$work/b" --disk="$work/c" --disk="$work/d" --disk="$work/e" <<'END'
lvm vgcreate -y spans /dev/ubda2 /dev/ubdb
lvm lvcreate -y -l 4 -n idle spans
lvm vgcreate -y --addtag RHAT_storage_domain block /dev/ubdc
mke2fs -q -t ext4 /dev/ubda1
mke2fs -q -t ext4 /dev/ubdd1
mke2fs -q -t ext3 /dev/ubdd2
mkswap /dev/ubdd3
mkfs.xfs -q /dev/ubdd4 2>/dev/null || mke2fs -q -t ext2 /dev/ubdd4
mkdir /run/m
mount /dev/ubdd2 /run/m
mkdir -p /run/m/images/11111111-2222/dom_md
echo CLASS=Data >/run/m/images/11111111-2222/dom_md/metadata
umount /run/m
END
for disk in a b c d e; do
	sha256sum "$work/$disk"
done >"$work/before"

in_guest --disk="$work/a" --disk="$work/b" --disk="$work/c" --disk="$work/d" --disk="$work/e" \
	--disk="$work/f" <<'END'
lvm vgchange -qq -ay spans
"$LAB_INVENTORY" >"$LAB_WORK/found"
grep -c bedplate-look /proc/self/mountinfo >"$LAB_WORK/mounts" || true
ls /run | grep -c bedplate-look >"$LAB_WORK/folders" || true
for disk in ubda ubdb ubdc ubdd ubde ubdf ubdx; do
	printf 'zerombr\nclearpart --all --drives=%s\nautopart --profile=minimal\n' $disk >/run/ks
	printf '%s: ' $disk
	"$LAB_INVENTORY" /run/ks 2>&1 >/run/layout || true
done >"$LAB_WORK/refusals"
lvm vgchange -qq -an spans
END
for disk in a b c d e; do
	sha256sum "$work/$disk"
done >"$work/after"
same "$work/after" "$(cat "$work/before")"
same "$work/mounts" 0
same "$work/folders" 0

value '[.disks[] | .path]' '["/dev/ubda","/dev/ubdb","/dev/ubdc","/dev/ubdd","/dev/ubde","/dev/ubdf"]'
value '.disks[0] | [.size, .sector, .removable, .read_only, .table, .in_use]' \
	'[536870912,512,false,false,"gpt",null]'
value '.disks[0].parts[0] | [.path, .start, .size, .type, .partlabel, .fstype, .storage_domain]' \
	'["/dev/ubda1",1048576,67108864,"0fc63daf-8483-4772-8e79-3d69d8477de4","first","ext4",false]'
value '.disks[0].parts[1] | [.path, .fstype, .in_use]' '["/dev/ubda2","LVM2_member",null]'
value '.disks[1] | [.table, .whole.fstype]' '[null,"LVM2_member"]'
value '[.disks[3].parts[] | .storage_domain]' '[false,true,false,false]'
value '.disks[3].parts[2].fstype' swap
value '.disks[4].whole | [.fstype, .label]' '["ext4","data"]'
value '[.vgs[] | [.name, .pvs, .storage_domain]] | sort' \
	'[["block",["/dev/ubdc"],true],["spans",["/dev/ubda2","/dev/ubdb"],false]]'
value '.vgs[] | select(.name == "spans") | [.lvs[] | [.name, .size, .in_use]]' '[["idle",16777216,null]]'
value '[.uefi, .memory]' '[false,true]'
refused ubda "/dev/ubda2 belongs to volume group 'spans', which is on /dev/ubdb too, and that is not to be erased"
refused ubdb "/dev/ubdb belongs to volume group 'spans', which is on /dev/ubda2 too, and that is not to be erased"
refused ubdc "/dev/ubdc belongs to volume group 'block', which is or has a storage domain"
refused ubdd "/dev/ubdd2 has a storage domain"
grep -q '^ubdx: /run/ks:2: clearpart: there is no disk .ubdx.; there are: /dev/ubda' "$work/refusals" ||
	fail "unknown disk"
grep -q '^ubdf: /dev/ubdf was not searched for a storage domain: ext4: .*wipefs --all /dev/ubdf$' \
	"$work/refusals" || fail "a damaged file system is not refused: $(cat "$work/refusals")"
grep -q '^ubde: /dev/ubde is too small: needs ' "$work/refusals" || fail "too small"

# In use: mounted, as swap, through LVM, by a device on top of it.
in_guest --disk="$work/a" --disk="$work/b" --disk="$work/c" --disk="$work/d" --disk="$work/e" <<'END'
mkdir -p /run/m
mount /dev/ubda1 /run/m
swapon /dev/ubdd3
lvm vgchange -qq -ay spans
mke2fs -q -t ext4 /dev/spans/idle
mkdir /run/n
mount /dev/spans/idle /run/n
unshare -m sh -c 'mount /dev/ubdd1 /mnt && : >/run/mounted && sleep 1000' &
while [ ! -e /run/mounted ]; do sleep 0.1; done
echo "0 2048 linear /dev/ubde 0" | dmsetup create plain
"$LAB_INVENTORY" >"$LAB_WORK/found"
END
value '.disks[0] | [.in_use, .parts[0].in_use, .parts[1].in_use]' \
	'["/dev/ubda1 is mounted on /run/m","mounted on /run/m","mounted on /run/n"]'
# Its group is active, but nothing is on this disk.
value '.disks[1].in_use' null
value '.disks[3].parts | map(.in_use)' '["held by something",null,"swap",null]'
value '.disks[4].in_use' '/dev/ubde is part of /dev/mapper/plain'
value '.vgs[] | select(.name == "spans") | .lvs[0].in_use' 'mounted on /run/n'
