#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A base made over another one: bit for bit, for what was said that it takes; and whatever goes wrong
# leaves nothing.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_uml
# shellcheck source=image.sh
. "$lab/image.sh"

make_tree
dd if=/dev/urandom of="$tree/usr/filler" bs=1M count=8 status=none
make_rootfs "$work/1.img" 32
cp "$work/1.img" "$work/2.img"
filler=$(debugfs -R 'blocks /usr/filler' "$work/1.img" 2>/dev/null | awk '{ print $1, $2048 }')
first=${filler% *}
[ "${filler#* }" -eq $((first + 2047)) ] || fail "the file is in pieces: $filler"

# The second one: blocks here and there, the last one of them, a run of zeros that starts in the middle
# of a chunk and one where there was nothing.
overwrite() {
	dd if=/dev/urandom of="$work/2.img" bs=4096 seek="$1" count="$2" conv=notrunc status=none
}
overwrite $((first + 3)) 1
overwrite $((first + 100)) 40
dd if=/dev/zero of="$work/2.img" bs=4096 seek=$((first + 601)) count=700 conv=notrunc status=none
overwrite $((first + 2047)) 1
make_image "$work/image-1" 1 "$work/1.img"
make_image "$work/image-2" 2 "$work/2.img"

# An image whose hash tree is that of another one, in one bit; one whose squashfs is damaged; one that
# is for another root hash. The digests of all three are right.
cp "$work/2.img" "$work/flipped.img"
mkdir "$work/image-flipped"
image=$work/image-flipped/lab-2.squashfs.img
printf '\001' | dd of="$work/flipped.img" bs=1 seek=$(((first + 700) * 4096)) conv=notrunc status=none
pack_image "$work/image-flipped" 2 "$work/flipped.img"
mkdir "$work/image-damaged"
image=$work/image-damaged/lab-2.squashfs.img
cp "$work/image-2/lab-2.squashfs.img" "$image"
frames=$(LC_ALL=C grep -obUaP '\x28\xb5\x2f\xfd' "$image" | cut -d: -f1)
printf xxxx | dd of="$image" bs=1 conv=notrunc status=none \
	seek="$(echo "$frames" | sed -n "$(($(echo "$frames" | wc -l) / 2))p")"
write_manifest "$work/image-damaged" 2 "$work/2.img"
image=$work/image-wrong/lab-2.squashfs.img
mkdir "$work/image-wrong"
sed -i '/^Root hash/s/[0-9a-f]\{64\}/'"$(printf x | sha256sum | cut -d' ' -f1)/" "$work/verity"
pack_image "$work/image-wrong" 2 "$work/2.img"

make_rootfs "$work/3.img" 48
make_image "$work/image-3" 3 "$work/3.img"
make_rootfs "$work/4.img" 28
make_image "$work/image-4" 4 "$work/4.img"


cat >"$work/common.sh" <<'END'
. "$LAB_LIB"
pool() {
	"$LAB_DRIVER" room node pool | cut -d' ' -f2 | cut -d/ -f1
}
# cost VERB BASE LIKE FOLDER LIMIT: "changed chunk" bytes.
cost() {
	verb=$1
	shift
	"$LAB_DRIVER" "$verb" node pool "$1" "$2" "$LAB_WORK/$3"/*.img "$4" >/run/cost || return 1
	sed -n 's/^cost //p' /run/cost
}
# same BASE FILE
same() {
	lvm lvchange -q -ay -K "node/$1"
	cmp -n "$(stat -c %s "$LAB_WORK/$2")" "/dev/node/$1" "$LAB_WORK/$2"
	lvm lvchange -q -an "node/$1"
}
volumes() {
	lvm lvs -q --noheadings --separator ' ' -o lv_name,lv_tags,lv_permissions,lv_skip_activation,lv_active node |
		sed 's/^ *//; s/  */ /g; s/ $//' | grep -v '^pool\|^guest'
}
refuse_make() {
	errno=$1
	words=$2
	shift 2
	volumes_before=$(volumes)
	refused "$errno" "$words" make node pool "$@"
	[ "$(volumes)" = "$volumes_before" ]
	[ ! -e /dev/mapper/bedplate-verify ]
}
END
export LAB_FIRST="$first"

new_disk a 200M
in_guest --disk="$work/a" <<'END'
. "$LAB_WORK/common.sh"
lvm vgcreate -q -y --addtag bedplate:vg node /dev/ubda
lvm lvcreate -q -y -L 128m --poolmetadatasize 4m --chunksize 64k --thin --errorwhenfull y \
	--addtag bedplate:pool -n pool node

# The first one, from nothing.
cost measure lab-1 - image-1 0 >/run/measured
before=$(pool)
cost make lab-1 - image-1 0 >/run/made
cmp /run/measured /run/made
[ $(($(pool) - before)) -eq "$(cut -d' ' -f2 /run/made)" ]
same lab-1 1.img
tags="$(jq -r '"bedplate:base,bedplate:verity:\(.verity.hash_offset):0:0"' "$LAB_WORK"/image-1/*.json)"
[ "$(volumes)" = "lab-1 $tags read-only skip activation" ]

# Over it: what was measured is what it takes, to the byte, and what it may take.
before=$(pool)
cost measure lab-2 lab-1 image-2 0 >/run/measured
[ "$(volumes)" = "lab-1 $tags read-only skip activation" ]
[ "$(pool)" -eq "$before" ]
read -r changed chunks </run/measured
[ "$changed" -ge $(((1 + 40 + 700 + 1) * 4096)) ]
[ "$chunks" -lt "$(cut -d' ' -f2 /run/made)" ]
refuse_make 28 "it takes more of thin pool 'node/pool'" lab-2 lab-1 "$LAB_WORK"/image-2/*.img $((chunks - 1))
[ "$(pool)" -eq "$before" ]
[ "$(cost make lab-2 lab-1 image-2 "$chunks")" = "$changed $chunks" ]
[ $(($(pool) - before)) -eq "$chunks" ]
same lab-2 2.img
same lab-1 1.img
volumes | grep -x "lab-2 $tags read-only skip activation"
refuse_make 71 "already exists" lab-2 lab-1 "$LAB_WORK"/image-2/*.img 0
refuse_make 2 "there is no base 'lab-9'" lab-8 lab-9 "$LAB_WORK"/image-2/*.img 0

# Larger, and smaller.
cost make lab-3 lab-2 image-3 0
same lab-3 3.img
cost make lab-4 lab-3 image-4 0
same lab-4 4.img
for name in lab-2 lab-3 lab-4; do "$LAB_DRIVER" remove node $name; done

# An image that is not what it says.
refuse_make 74 'does not verify' lab-2 lab-1 "$LAB_WORK"/image-flipped/*.img 0
refuse_make 74 'the root hash is not that of its hash tree' lab-2 lab-1 "$LAB_WORK"/image-wrong/*.img 0
refuse_make 74 'compressed data is damaged' lab-2 lab-1 "$LAB_WORK"/image-damaged/*.img 0
[ "$(volumes)" = "lab-1 $tags read-only skip activation" ]

# Interrupted: it cleans up after itself.
"$LAB_DRIVER" make node pool lab-2 lab-1 "$LAB_WORK"/image-2/*.img 0 >/run/out 2>/run/err &
pid=$!
until grep -q '"stage":"base"' /run/out; do sleep 0.05; done
kill -INT $pid
status=0
wait $pid || status=$?
cat /run/err
[ $status -eq 1 ]
grep '(errno 4)' /run/err
[ "$(volumes)" = "lab-1 $tags read-only skip activation" ]

# The one it is made over has rotted.
lvm lvchange -q -y -prw node/lab-1
lvm lvchange -q -ay -K node/lab-1
dd if=/dev/urandom of=/dev/node/lab-1 bs=4096 seek=$((LAB_FIRST + 1500)) count=3 conv=fsync,notrunc \
	status=none
lvm lvchange -q -an node/lab-1
lvm lvchange -q -y -pr node/lab-1
cost make lab-2 lab-1 image-2 0
same lab-2 2.img
"$LAB_DRIVER" remove node lab-2

# The pool is nearly full: others can still write.
lvm lvcreate -q -y -V 200m -T node/pool -n guest
free=$(($(lvm lvs -q --noheadings --units b --nosuffix -o lv_size node/pool) - $(pool)))
count=$((free / 1048576 - 14))
dd if=/dev/zero of=/dev/node/guest bs=1M count=$count conv=fsync status=none
refuse_make 28 "thin pool 'node/pool' has no room" lab-2 - "$LAB_WORK"/image-2/*.img 0
refuse_make 28 "thin pool 'node/pool' has no room" lab-3 lab-1 "$LAB_WORK"/image-3/*.img 0
dd if=/dev/zero of=/dev/node/guest bs=1M seek=$count count=8 conv=fsync status=none
refuse_make 28 "thin pool 'node/pool' has no room" lab-3 lab-1 "$LAB_WORK"/image-3/*.img 0
"$LAB_DRIVER" room node pool | grep ' error$'
lvm lvremove -q -y node/guest
END

# The power goes while it is written, and while it is read back.
for moment in 'base 0.1' 'verify 0'; do
	stage=${moment% *}
	guest --disk="$work/a" --cut-at="{\"event\":\"begin\",\"stage\":\"$stage" \
		--cut-after="${moment#* }" <<'END'
"$LAB_DRIVER" make node pool lab-2 lab-1 "$LAB_WORK"/image-2/*.img 0 2>&1
sleep 10
END
	[ "$guest_status" -eq 137 ] || fail "no cut in '$stage': $(tail -n 5 "$work/out")"
	in_guest --disk="$work/a" <<'END'
. "$LAB_WORK/common.sh"
lvm vgchange -q -ay node
volumes
[ "$(volumes | grep -c .)" -eq 2 ]
volumes | grep -x 'lab-2 bedplate:new .*'
"$LAB_DRIVER" remove node lab-2
"$LAB_DRIVER" verify node pool
cost make lab-2 lab-1 image-2 0
same lab-2 2.img
"$LAB_DRIVER" remove node lab-2
END
done
