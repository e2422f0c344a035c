#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Thin volumes of a node that is there: room, snapshots, tags, what is removed and what never is,
# metadata that is well and metadata that is not.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_uml

new_disk a 512M
in_guest --disk="$work/a" <<'END'
. "$LAB_LIB"
lvm vgcreate -q -y --addtag bedplate:vg no-de /dev/ubda
lvm lvcreate -q -y -L 200m --poolmetadatasize 4m --chunksize 128k --thin --errorwhenfull y \
	--addtag bedplate:pool -n p-0 no-de
refused 2 'no-de/none' room no-de none

# As device-mapper counts it.
room() {
	"$LAB_DRIVER" room no-de p-0
}
status() {
	dmsetup status no--de-p--0-tpool | awk '{
		split($5, m, "/"); split($6, d, "/")
		print 131072, d[1] * 131072 "/" d[2] * 131072, m[1] * 4096 "/" m[2] * 4096, "error"
	}'
}
room | grep '^131072 0/209715200 '
"$LAB_DRIVER" create no-de p-0 base-1 20000000
dd if=/dev/urandom of=/dev/no-de/base-1 bs=1M count=5 conv=fsync status=none
[ "$(room)" = "$(status)" ]
room | grep '^131072 5242880/209715200 '
lvm lvchange -q -y --errorwhenfull n no-de/p-0
room | grep 'queue$'
lvm lvchange -q -y --errorwhenfull y no-de/p-0

# tags NAME: of a volume, in order, then what it is.
tags() {
	lvm lvs -q --noheadings --separator ' ' -o lv_tags,lv_permissions,lv_skip_activation,lv_active,lv_size \
		--units b --nosuffix "no-de/$1" | sed 's/^ *//; s/  */ /g'
}
[ "$(tags base-1)" = 'bedplate:new writeable active 20971520' ]
refused 22 'cannot be the name' create no-de p-0 -x 1
refused 22 'cannot be the name' remove no-de a/b

# What a base goes through.
seqno() {
	lvm vgs -q --noheadings -o vg_seqno no-de
}
lvm lvchange -q -y -an no-de/base-1
before=$(seqno)
"$LAB_DRIVER" accept no-de base-1 ro bedplate:base bedplate:verity:4096:0:0
[ $(($(seqno) - before)) -eq 1 ]
[ "$(tags base-1)" = 'bedplate:base,bedplate:verity:4096:0:0 read-only skip activation 20971520' ]
[ ! -e /dev/no-de/base-1 ]
refused 71 'already exists' create no-de p-0 base-1 1
refused 71 'already exists' snapshot no-de base-1 base-1 1
refused 71 'none' accept no-de none ro bedplate:base bedplate:x
lvm lvs no-de/base-1

# A snapshot of it: larger, writable, without its tags; its origin stays as it is.
used=$(room)
"$LAB_DRIVER" snapshot no-de base-1 base-2 30000000
[ "$(tags base-2)" = 'bedplate:new writeable active 33554432' ]
[ "$(room | cut -d' ' -f2)" = "$(echo "$used" | cut -d' ' -f2)" ]
lvm lvchange -q -ay -K no-de/base-1
cmp -n 20971520 /dev/no-de/base-1 /dev/no-de/base-2
printf x | dd of=/dev/no-de/base-2 bs=1 seek=300000 conv=fsync,notrunc status=none
[ $(($(room | sed 's/.* \(.*\)\/209715200.*/\1/') - 5242880)) -eq 131072 ]
lvm lvchange -q -an no-de/base-1
"$LAB_DRIVER" snapshot no-de base-1 base-3 1
[ "$(tags base-3)" = 'bedplate:new writeable active 20971520' ]

# Of a file system that is in use; then read-only.
"$LAB_DRIVER" create no-de p-0 var 20000000
"$LAB_DRIVER" accept no-de var rw bedplate:volume bedplate:mount:/var
[ "$(tags var)" = 'bedplate:mount:/var,bedplate:volume writeable active 20971520' ]
mke2fs -q -t ext4 /dev/no-de/var
mount -t ext4 /dev/no-de/var /mnt
echo before >/mnt/file
"$LAB_DRIVER" snapshot no-de var var.base-1+1 0
[ "$(tags var.base-1+1)" = 'bedplate:new writeable active 20971520' ]
"$LAB_DRIVER" accept no-de var.base-1+1 ro bedplate:snapshot bedplate:mount:/var
[ "$(tags var.base-1+1)" = 'bedplate:mount:/var,bedplate:snapshot read-only skip activation 20971520' ]
echo after >/mnt/file
mkdir /run/snapshot
lvm lvchange -q -ay -K no-de/var.base-1+1
mount -t ext4 -o ro,noload /dev/no-de/var.base-1+1 /run/snapshot
[ "$(cat /run/snapshot/file)" = before ]

# In use: it stays.  Not ours: it stays.
refused 16 "'no-de/var' is in use" remove no-de var
refused 16 "'no-de/var.base-1+1' is in use" remove no-de var.base-1+1
umount /mnt /run/snapshot
exec 9</dev/no-de/var
refused 16 "'no-de/var' is in use" remove no-de var
exec 9<&-
lvm lvcreate -q -y -L 8m -n plain no-de
lvm lvcreate -q -y -V 8m -T no-de/p-0 -n guest --addtag guest:new
lvm lvcreate -q -y -s no-de/base-1 -n base-4
for name in plain guest base-4 p-0; do
	refused 1 "'no-de/$name' has no tag of this node" remove no-de $name
	lvm lvs no-de/$name
done
# Only what is not complete.
for name in base-1 base-3 var none; do
	"$LAB_DRIVER" drop no-de $name
done
lvm lvs no-de/base-1 no-de/var
if lvm lvs no-de/base-3 2>/dev/null; then exit 1; fi
for name in base-1 base-2 var var.base-1+1 none; do
	"$LAB_DRIVER" remove no-de $name
	if lvm lvs no-de/$name 2>/dev/null; then exit 1; fi
done
[ "$(lvm lvs -q --noheadings -o lv_name no-de | sort | xargs)" = 'base-4 guest p-0 plain' ]

# Metadata: well, also with a snapshot of it that somebody has, and nothing of ours stays.
held() {
	dmsetup status no--de-p--0-tpool | cut -d' ' -f7
}
"$LAB_DRIVER" verify no-de p-0
[ "$(held)" = - ]
dmsetup message no--de-p--0-tpool 0 reserve_metadata_snap
"$LAB_DRIVER" verify no-de p-0
[ "$(held)" != - ]
dmsetup create bedplate-pool-check --readonly --table "0 8 linear /dev/mapper/no--de-p--0_tmeta 0"
"$LAB_DRIVER" verify no-de p-0
[ ! -e /dev/mapper/bedplate-pool-check ]
refused 2 'no-de/none' verify no-de none

# While it changes all the time.
(
	while [ ! -e /run/enough ]; do
		lvm lvcreate -q -y -V 4m -T no-de/p-0 -n busy
		dd if=/dev/urandom of=/dev/no-de/busy bs=64k oflag=sync status=none || :
		lvm lvremove -q -y no-de/busy
	done
) >/dev/null 2>&1 &
for _ in 1 2 3 4 5; do
	"$LAB_DRIVER" verify no-de p-0
done
touch /run/enough
wait

# Damaged: the blocks behind the superblock, while the kernel has its own idea of them.
dd if=/dev/urandom of=/dev/mapper/no--de-p--0_tmeta bs=4096 seek=1 count=200 conv=fsync,notrunc \
	status=none
refused 74 'its metadata is damaged' verify no-de p-0
[ ! -e /dev/mapper/bedplate-pool-check ]
END
