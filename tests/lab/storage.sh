#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A node's storage from the first partition to the last: made, protected, opened, made again, removed,
# with somebody else's data beside it and inside its volume group.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_uml

new_disk a 4G
new_disk b 256M
cp "$lab/small.ks" "$work/ks.cfg"
base_bytes=67108864

# One image: ext4, hash tree, error correction.
mkdir "$work/tree"
echo "from the base" >"$work/tree/hello"
seq 1 200000 >"$work/tree/numbers"
data=41943040
mke2fs -q -F -t ext4 -b 4096 -O ^has_journal -d "$work/tree" "$work/base.img" 40M
truncate -s "$base_bytes" "$work/base.img"
hash_offset=$data
fec_offset=$((data + 8388608))
root=$(veritysetup format "$work/base.img" "$work/base.img" --data-blocks=$((data / 4096)) \
	--hash-offset="$hash_offset" --fec-device="$work/base.img" --fec-offset="$fec_offset" \
	--fec-roots=2 | sed -n 's/^Root hash:[[:space:]]*//p')
wrong=$(printf %s "$root" | tr 0-9a-f 1-9a-f0)
export LAB_ROOT="$root" LAB_WRONG="$wrong" LAB_HASH="$hash_offset" LAB_FEC="$fec_offset"
export LAB_BYTES="$base_bytes"

on_both() {
	in_guest --disk="$work/a" --disk="$work/b"
}

# Whether the volume group of disk a has the property.
value() {
	got=$(jq -cr "$1" "$work/report")
	[ "$got" = "$2" ] || fail "$1 is '$got', expected '$2'"
}

# parts: partitions of disk a as the host sees them.
parts() {
	sfdisk --json "$work/a" | jq -cr '[.partitiontable.partitions[]? | .name] | join(" ")'
}

# probe LABEL TAG: what is on the partition of that name.
probe() {
	offset=$(sfdisk --json "$work/a" | jq -r --arg name "$1" \
		'.partitiontable.partitions[] | select(.name == $name) | .start * 512')
	size=$(sfdisk --json "$work/a" | jq -r --arg name "$1" \
		'.partitiontable.partitions[] | select(.name == $name) | .size * 512')
	blkid -p -o value -s "$2" --offset "$offset" --size "$size" "$work/a"
}

# Somebody else's disk, and what is on ours: a file system and a group that has to go.
on_both <<'END'
lvm vgcreate -y foreign /dev/ubdb
lvm lvcreate -y -L 64m -n data foreign
seq 1 100000 | dd of=/dev/foreign/data conv=fsync 2>/dev/null
mke2fs -q /dev/ubda 100M
lvm vgchange -an foreign
END
foreign=$(sha256sum <"$work/b")

on_both <<'END'
"$LAB_DRIVER" apply install "$LAB_WORK/ks.cfg" "$LAB_BYTES"
dd if="$LAB_WORK/base.img" of=/dev/bedplate/node-1.0 bs=1M conv=fsync 2>/dev/null
"$LAB_DRIVER" protect bedplate node-1.0 "$LAB_HASH" "$LAB_FEC" 2
"$LAB_DRIVER" report >"$LAB_WORK/report"
for fs in node-1.0+1 var var_log; do e2fsck -fn "/dev/bedplate/$fs"; done
dmsetup table bedplate-pool00-tpool | grep error_if_no_space
lvm lvs -q --noheadings -a -o lv_name,lv_size --units m bedplate | grep 'lvol0_pmspare\] *16.00m'
[ "$(blkid -p -o value -s TYPE /dev/bedplate/swap)" = swap ]

# What a file system gives back, the pool has again.  (The guest's disks take discards of less than a
# chunk only, so that none of it gets through to the host.)
mkdir /var-volume
mount -t ext4 -o discard /dev/bedplate/var /var-volume
lvm lvs --noheadings -o data_percent bedplate/var | cut -d. -f1 >"$LAB_WORK/before"
dd if=/dev/urandom of=/var-volume/big bs=1M count=100 conv=fsync 2>/dev/null
lvm lvs --noheadings -o data_percent bedplate/var | cut -d. -f1 >"$LAB_WORK/full"
rm /var-volume/big
sync
lvm lvs --noheadings -o data_percent bedplate/var | cut -d. -f1 >"$LAB_WORK/after"
umount /var-volume
END
[ "$(cat "$work/full")" -ge 39 ] || fail "thin volume: $(cat "$work/full") % used, expected 39"
[ "$(cat "$work/after")" -le 6 ] || fail "thin volume: $(cat "$work/after") % used after discard"

want='bedplate-bios bedplate-efi bedplate-boot bedplate-data bedplate-lvm'
[ "$(parts)" = "$want" ] || fail "partitions: $(parts)"
sgdisk -v "$work/a" | grep -q 'No problems found' || fail "sgdisk: $(sgdisk -v "$work/a")"
[ "$(probe bedplate-efi TYPE)" = vfat ] || fail "no FAT"
[ "$(probe bedplate-efi VERSION)" = FAT32 ] || fail "not FAT32"
[ "$(probe bedplate-boot TYPE)" = ext4 ] || fail "no ext4 for /boot"
[ "$(probe bedplate-lvm TYPE)" = LVM2_member ] || fail "no physical volume"
blkid -p "$work/a" | grep -q 'PTTYPE="gpt"' || fail "the old file system is still found"
boot=$(sfdisk --json "$work/a" | jq -r '.partitiontable.partitions[] |
	select(.name == "bedplate-boot") | .start * 512')
dd if="$work/a" of="$work/boot.img" bs=1M skip=$((boot / 1048576)) count=256 2>/dev/null
dumpe2fs -h "$work/boot.img" 2>/dev/null >"$work/features"
! grep -q 'metadata_csum_seed\|orphan_file' "$work/features" || fail "GRUB cannot read /boot"
uuid=$(sfdisk --json "$work/a" | jq -r '.partitiontable.partitions[] |
	select(.name == "bedplate-boot") | .uuid' | tr A-F a-f)

value .node bedplate
value .pool pool00
value '.vgs[] | select(.name == "bedplate") | .tags | map(select(startswith("bedplate:boot:")))' \
	"[\"bedplate:boot:$uuid\"]"
value '.vgs[] | select(.name == "bedplate") | .tags | length' 4
value '[.lvs[] | select(.is_pool) | .has_discards, .tags]' '[true,["bedplate:pool"]]'
value '[.lvs[] | select(.tags | contains(["bedplate:base"])) |
	.path, .read_only, .skips_activation, .active, (.tags | sort)[1], .size]' \
	"[\"/dev/bedplate/node-1.0\",true,true,false,\"bedplate:verity:$hash_offset:$fec_offset:2\",$base_bytes]"
value '[.lvs[] | select(.tags | contains(["bedplate:layer"])) | .path]' '["/dev/bedplate/node-1.0+1"]'
value '[.lvs[] | select(.tags | contains(["bedplate:volume"])) | .tags - ["bedplate:volume"] | .[]] |
	sort' '["bedplate:mount:/var","bedplate:mount:/var/log","bedplate:mount:swap"]'

# The stack of a running node; a wrong hash; a damaged block.  (The guest's kernel lacks error
# correction: the first open is one without.)
on_both <<'END'
lvm vgchange -ay bedplate
"$LAB_DRIVER" open bedplate node-1.0 "$LAB_HASH" "$LAB_FEC" 2 "$LAB_ROOT" bedplate-base
mkdir /base /layer /root-fs
mount -t ext4 -o ro /dev/mapper/bedplate-base /base
mount -t ext4 /dev/bedplate/node-1.0+1 /layer
mount -t overlay -o lowerdir=/base,upperdir=/layer/upper,workdir=/layer/work lab /root-fs
[ "$(cat /root-fs/hello)" = "from the base" ]
cmp /root-fs/numbers "$LAB_WORK/tree/numbers"
echo changed >/root-fs/hello
[ "$(cat /layer/upper/hello)" = changed ]
[ "$(stat -c %a /root-fs)" = 755 ]
umount /root-fs /layer /base
"$LAB_DRIVER" close bedplate node-1.0 bedplate-base
"$LAB_DRIVER" close bedplate node-1.0 bedplate-base
[ ! -e /dev/mapper/bedplate-base ]
[ ! -e /dev/bedplate/node-1.0 ]

status=0
"$LAB_DRIVER" open bedplate node-1.0 "$LAB_HASH" "$LAB_FEC" 2 "$LAB_WRONG" bedplate-base 2>/tmp/e ||
	status=$?
cat /tmp/e
[ "$status" -eq 1 ]
# EKEYREJECTED
grep -q 'the root hash is not that of its hash tree (errno 129)' /tmp/e
[ ! -e /dev/mapper/bedplate-base ]
[ ! -e /dev/bedplate/node-1.0 ]

lvm lvchange -y -prw bedplate/node-1.0
lvm lvchange -y -ay -K bedplate/node-1.0
block=$(debugfs -R 'blocks /numbers' /dev/bedplate/node-1.0 2>/dev/null | cut -d' ' -f1)
dd if=/dev/urandom of=/dev/bedplate/node-1.0 bs=4096 seek="$block" count=1 conv=fsync 2>/dev/null
lvm lvchange -y -an bedplate/node-1.0
lvm lvchange -y -pr bedplate/node-1.0
"$LAB_DRIVER" open bedplate node-1.0 "$LAB_HASH" 0 0 "$LAB_ROOT" bedplate-base
mount -t ext4 -o ro /dev/mapper/bedplate-base /base
[ "$(cat /base/hello)" = "from the base" ]
! cat /base/numbers >/dev/null 2>/tmp/e || exit 1
grep -q 'Input/output error' /tmp/e
umount /base
"$LAB_DRIVER" close bedplate node-1.0 bedplate-base
END

# Again: partitions, group, /boot and what is not ours stay.
on_both <<'END'
lvm lvcreate -y -L 64m -n guest bedplate
seq 5 200000 | dd of=/dev/bedplate/guest bs=1M count=1 iflag=fullblock conv=fsync 2>/dev/null
mount -t ext4 /dev/ubda3 /mnt
echo kept >/mnt/entry
umount /mnt
"$LAB_DRIVER" apply reinstall "$LAB_WORK/ks.cfg" "$LAB_BYTES"
seq 5 200000 | head -c 1048576 | cmp -n 1048576 /dev/bedplate/guest
mount -t ext4 /dev/ubda3 /mnt
[ "$(cat /mnt/entry)" = kept ]
umount /mnt
mount -t ext4 /dev/bedplate/node-1.0+1 /mnt
[ ! -e /mnt/upper/hello ]
umount /mnt
"$LAB_DRIVER" report >"$LAB_WORK/report"
END
[ "$(parts)" = "$want" ] || fail "partitions after the second install: $(parts)"
value '[.lvs[] | select(.path | startswith("/dev/bedplate/")) | .path[14:]] | sort | join(" ")' \
	'guest node-1.0 node-1.0+1 pool00 swap var var_log'
value '.vgs[] | select(.name == "bedplate") | .tags | length' 4

# Removal with a foreign volume in the group: that one and the group stay.
whole=$(sha256sum <"$work/a")
on_both <<'END'
"$LAB_DRIVER" remove dry >"$LAB_WORK/dry"
END
[ "$(sha256sum <"$work/a")" = "$whole" ] || fail "a dry run wrote to the disk"
grep -qx 'removed: partition /dev/ubda3 (bedplate-boot)' "$work/dry" || fail "$(cat "$work/dry")"
! grep -q guest "$work/dry" || fail "the foreign volume is on the list"
on_both <<'END'
"$LAB_DRIVER" remove wet
lvm vgchange -ay bedplate
seq 5 200000 | head -c 1048576 | cmp -n 1048576 /dev/bedplate/guest
"$LAB_DRIVER" report >"$LAB_WORK/report"
! "$LAB_DRIVER" remove wet
END
[ "$(parts)" = 'bedplate-data bedplate-lvm' ] || fail "partitions after removal: $(parts)"
value .node null
value '[.lvs[] | select(.path | startswith("/dev/bedplate/")) | .path]' '["/dev/bedplate/guest"]'
value '.vgs[] | select(.name == "bedplate") | .tags' '[]'

# Without: the group and its partition go as well, others' partitions stay as they are.
on_both <<'END'
lvm vgremove -y -ff bedplate
"$LAB_DRIVER" apply install "$LAB_WORK/ks.cfg" "$LAB_BYTES"
echo mine | dd of=/dev/ubda4 bs=4096 seek=1000 conv=fsync 2>/dev/null
END
start=$(sfdisk --json "$work/a" | jq -r '.partitiontable.partitions[] |
	select(.name == "bedplate-data") | .start')
data_part() {
	dd if="$work/a" bs=1M skip=$((start / 2048)) count=100 2>/dev/null | sha256sum
}
before=$(data_part)
on_both <<'END'
"$LAB_DRIVER" remove wet
"$LAB_DRIVER" report >"$LAB_WORK/report"
END
[ "$(parts)" = bedplate-data ] || fail "partitions after all was removed: $(parts)"
[ "$(data_part)" = "$before" ] || fail "a foreign partition was written to"
value '[.vgs[] | .name]' '["foreign"]'
[ "$(sha256sum <"$work/b")" = "$foreign" ] || fail "the foreign disk was written to"
