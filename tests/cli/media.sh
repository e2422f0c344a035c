#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# media iso, usb, pxe and verify with a small image: what is on the media, and what is refused.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
bedplate=$1

for tool in mksquashfs mke2fs xorriso mkfs.vfat mcopy sfdisk jq; do
	requires which $tool
done
grub=/usr/lib/grub/i386-pc
requires test -f $grub/boot_hybrid.img

cd "$work"
export TMPDIR="$work/tmp"
mkdir tmp

has() { grep -qF -- "$2" "$1" || fail "$1 lacks '$2': $(cat "$1")"; }
one_line() {
	grep '^bedplate: ' "$work/err" | grep -v '^bedplate: warning' >"$work/msg" || :
	[ "$(wc -l <"$work/msg")" -eq 1 ] || fail "not one line: $(cat "$work/err")"
	has "$work/msg" "$1"
}
nothing_left() {
	[ -z "$(ls -A tmp)" ] || fail "left in TMPDIR: $(ls -A tmp)"
	for f in *.new .bedplate*; do
		[ ! -e "$f" ] || fail "left behind: $f"
	done
}

# The real GRUB for BIOS; nothing here starts what is signed, so any bytes do for that.
make_tree() {
	mkdir -p tree/usr/lib/bedplate/grub tree/usr/lib/grub/i386-pc tree/usr/lib/shim tree/boot \
		tree/usr/lib/grub/x86_64-efi-signed tree/usr/lib/modules/6.1.0-1 tree/etc
	printf 'ID=testos\nVERSION_ID="7"\n' >tree/usr/lib/os-release
	printf 'append=quiet console=ttyS0 a="b c"\n' >tree/usr/lib/bedplate/boot.conf
	cp $grub/boot.img $grub/boot_hybrid.img tree/usr/lib/grub/i386-pc/
	grub-mkimage -O i386-pc-eltorito -p /boot/grub -o tree/usr/lib/bedplate/grub/eltorito.img \
		biosdisk iso9660 normal
	grub-mkimage -O i386-pc -p '(,gpt3)/grub' -o tree/usr/lib/bedplate/grub/usb.img \
		biosdisk part_gpt fat normal
	for f in shim/shimx64 shim/mmx64 grub/x86_64-efi-signed/gcdx64 \
		grub/x86_64-efi-signed/grubnetx64; do
		seq 1 9000 | sed "s|^|$f |" >tree/usr/lib/$f.efi.signed
	done
	echo 'kernel/drivers/block/virtio_blk.ko:' >tree/usr/lib/modules/6.1.0-1/modules.dep
	: >tree/usr/lib/modules/6.1.0-1/modules.builtin
	mkdir -p tree/usr/bin
	echo curl >tree/usr/bin/curl
	seq 1 20000 >tree/boot/vmlinuz-6.1.0-1
	(cd tree/etc && seq 1 9000 >file && echo file | cpio -o -H newc --quiet) \
		>tree/boot/initrd.img-6.1.0-1
}

# live NAME: the tree as NAME.squashfs.img with a manifest.
live() {
	rm -rf wrap "$1.squashfs.img"
	mkdir -p wrap/LiveOS
	truncate -s 16M wrap/LiveOS/rootfs.img
	mke2fs -q -t ext4 -b 4096 -O ^has_journal -d tree wrap/LiveOS/rootfs.img
	mksquashfs wrap "$1.squashfs.img" -quiet -no-progress -comp zstd >/dev/null
	cat >"$1.manifest.json" <<END
{"manifest_version":1,"name":"testnode","version":"1.0","arch":"amd64","source_date":1700000000,
"rootfs_type":"squashfs-ext4","kernels":[],"packages":[],"previous":null,"tool":"hand","recipe":null,
"liveimg":{"file":"$1.squashfs.img","size":$(stat -c %s "$1.squashfs.img"),"sha256":"$(sha256sum <"$1.squashfs.img" | cut -d' ' -f1)"},
"rootfs":{"file":"LiveOS/rootfs.img","size":16777216,"sha256":"$(sha256sum <wrap/LiveOS/rootfs.img | cut -d' ' -f1)"},
"files":null,"sbom":null,"verity":null}
END
}

make_tree
live a
printf 'text\nrootpw --lock\n' >good.ks

# --- ISO: what is on it, twice the same bytes, nothing else left ---
expect 0 "$bedplate" media iso a.squashfs.img -o a.iso
same "$work/out" a.iso
cp -r a.squashfs.img a.manifest.json tmp/
mkdir again
mv tmp/* again/
touch -d 2001-01-01 again/a.squashfs.img
(
	umask 077
	TZ=Asia/Tokyo expect 0 "$bedplate" media iso again -o again.iso
)
cmp a.iso again.iso || fail "the same input gave another ISO"
nothing_left
xorriso -indev a.iso -report_el_torito plain -pvd_info >listing 2>/dev/null
has listing "Volume Id    : TESTNODE-1-0"
grep -q 'El Torito boot img :   1  BIOS' listing || fail "no BIOS: $(cat listing)"
grep -q 'El Torito boot img :   2  UEFI' listing || fail "no UEFI: $(cat listing)"
sfdisk --json a.iso >table
[ "$(jq -r '.partitiontable.label' table)" = gpt ] || fail "no GPT"
jq -r '.partitiontable.partitions[].type' table | grep -q C12A7328-F81F-11D2-BA4B-00A0C93EC93B ||
	fail "no EFI system partition"
xorriso -osirrox on -indev a.iso -extract / x >/dev/null 2>&1
chmod -R u+w x
(cd x && sha256sum --quiet -c SHA256SUMS) || fail "wrong checksums"
(cd x && find . -type f ! -name SHA256SUMS | sed 's|^\./||' | sort) >there
sed 's/^[0-9a-f]*  //' x/SHA256SUMS | sort | diff -u - there >&2 || fail "not all files are listed"
cmp x/LiveOS/squashfs.img a.squashfs.img || fail "another image"
cmp x/LiveOS/manifest.json a.manifest.json || fail "another manifest"
zstd -dc x/images/pxeboot/initrd.img | cmp - tree/boot/initrd.img-6.1.0-1 || fail "another initramfs"
cmp x/images/pxeboot/vmlinuz tree/boot/vmlinuz-6.1.0-1 || fail "another kernel"
cmp x/EFI/BOOT/BOOTX64.EFI tree/usr/lib/shim/shimx64.efi.signed || fail "another shim"
mtype -i x/images/efiboot.img ::/EFI/BOOT/grubx64.efi |
	cmp - tree/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed || fail "another GRUB"
mtype -i x/images/efiboot.img ::/boot/grub/grub.cfg >redirect
has redirect "search --no-floppy --set=root --label 'TESTNODE-1-0'"
for id in install install-serial upgrade reinstall uninstall live check; do
	has x/boot/grub/grub.cfg " --id $id {"
done
has x/boot/grub/grub.cfg "linux '/images/pxeboot/vmlinuz' quiet console=ttyS0 'a=b c' root=live:CDLABEL=TESTNODE-1-0 rd.live.image rd.live.overlay.overlayfs=1 rd.live.overlay.nouserconfirmprompt install"
has x/boot/grub/grub.cfg "set default='live'"
! grep -q inst.ks x/boot/grub/grub.cfg || fail "a kickstart from nowhere"
has x/.treeinfo "kernel = images/pxeboot/vmlinuz"

# --- with a kickstart, a label and parameters ---
expect 0 "$bedplate" media iso again -o k.iso --kickstart good.ks --label MY_NODE --append 'foo "b=c d"'
xorriso -osirrox on -indev k.iso -extract /boot/grub/grub.cfg grub.cfg -extract /ks.cfg ks.cfg \
	>/dev/null 2>&1
cmp ks.cfg good.ks || fail "another kickstart"
has grub.cfg "set default='install'"
has grub.cfg "foo 'b=c d' root=live:CDLABEL=MY_NODE"
has grub.cfg "install inst.ks=hd:LABEL=MY_NODE:/ks.cfg"

# --- verify ---
expect 0 "$bedplate" media verify k.iso
same "$work/out" good
expect 0 "$bedplate" media verify --json x
[ "$(jq -c . "$work/out")" = '{"error":null,"ok":true,"wrong":[]}' ] || fail "$(cat "$work/out")"
# A byte in each file, found where it lies by its content's place on the ISO.
xorriso -indev a.iso -find / -type f -exec report_lba -- 2>/dev/null |
	sed -n "s/^File data lba: *[0-9]* , *\([0-9]*\) , *[0-9]* , *\([0-9]*\) , '\/\(.*\)'$/\1 \2 \3/p" >places
[ "$(wc -l <places)" -eq 14 ] || fail "places: $(cat places)"
while read -r lba size name; do
	[ "$name" != SHA256SUMS ] || continue
	cp a.iso bad.iso
	damage bad.iso $((lba * 2048 + size / 2))
	expect 1 "$bedplate" media verify bad.iso
	same "$work/out" "$name: damaged"
	one_line "'bad.iso': '$name' is damaged"
done <places
# Boot code, partition table, volume descriptor, the field that holds the digest, EFI system partition.
esp=$(jq '.partitiontable.partitions[] | select(.type | startswith("C12A")) | .start' table)
for at in 100 600 $((16 * 2048 + 41)) $((16 * 2048 + 883 + 20)) $((esp * 512 + 100)) \
	$(($(stat -c %s a.iso) - 500)); do
	cp a.iso bad.iso
	damage bad.iso "$at"
	expect 1 "$bedplate" media verify bad.iso
	same "$work/out" 'boot sectors: damaged'
	one_line "'bad.iso': 'boot sectors' is damaged"
done
cp a.iso bad.iso
printf '%512s' '' | dd of=bad.iso bs=1 seek=$((16 * 2048 + 883)) conv=notrunc status=none
expect 1 "$bedplate" media verify bad.iso
same "$work/out" 'boot sectors: missing'
head -c 500000 a.iso >bad.iso
expect 1 "$bedplate" media verify bad.iso
one_line "'bad.iso'"
expect 1 "$bedplate" media verify a.squashfs.img
one_line "'a.squashfs.img'"
echo more >x/additional
rm x/.discinfo
expect 1 "$bedplate" media verify x
same "$work/out" 'additional: not in SHA256SUMS
.discinfo: missing'

mkfifo fifo
: >empty
for what in fifo empty good.ks /dev/null; do
	expect 1 timeout 60 "$bedplate" media verify $what
	same "$work/err" "bedplate: '$what' is neither an ISO nor a folder"
done

# --- refusals leave nothing behind, and an old ISO as it was ---
refuse() {
	text=$1
	shift
	before=$(sha256sum <a.iso)
	expect 1 "$bedplate" media "$@"
	one_line "$text"
	[ "$(sha256sum <a.iso)" = "$before" ] || fail "a.iso has changed"
	nothing_left
}
printf 'nonsense\n' >bad.ks
refuse "bad.ks:1:" iso a.squashfs.img -o a.iso --kickstart bad.ks
refuse "'none.ks': No such file" iso a.squashfs.img -o a.iso --kickstart none.ks
printf '%%include other.ks\n' >include.ks
: >other.ks
refuse "include.ks:1: 'other.ks' will not be on the medium" iso a.squashfs.img -o a.iso \
	--kickstart include.ks
refuse "bad label 'my node'" iso a.squashfs.img -o a.iso --label 'my node'
echo mine >mine.iso.new
expect 1 "$bedplate" media iso a.squashfs.img -o mine.iso
one_line "'mine.iso.new' is in the way"
same mine.iso.new mine
rm mine.iso.new
refuse "'a.squashfs.img' is the image itself" iso a.squashfs.img -o a.squashfs.img
refuse "'tmp' is not a regular file" iso a.squashfs.img -o tmp
refuse "No such file or directory" iso a.squashfs.img -o no/where.iso
refuse "is a bare file system" iso wrap/LiveOS/rootfs.img -o a.iso
expect 2 "$bedplate" media iso a.squashfs.img
for part in grub/i386-pc/boot_hybrid.img:grub-pc-bin bedplate/grub/eltorito.img:grub-pc-bin \
	shim/shimx64.efi.signed:shim-signed \
	grub/x86_64-efi-signed/gcdx64.efi.signed:grub-efi-amd64-signed; do
	mv "tree/usr/lib/${part%:*}" part
	live b
	refuse "the package '${part#*:}' is not in the image" iso b.squashfs.img -o a.iso
	mv part "tree/usr/lib/${part%:*}"
done
mv tree/boot/initrd.img-6.1.0-1 part
live b
refuse "no initramfs for kernel '6.1.0-1'" iso b.squashfs.img -o a.iso
mv part tree/boot/initrd.img-6.1.0-1
cp a.squashfs.img c.squashfs.img
jq '.liveimg.sha256 |= (if startswith("0") then "1" else "0" end) + .[1:]' a.manifest.json >c.manifest.json
refuse "is not the image that its manifest describes" iso c.squashfs.img -o a.iso

# --- stick ---
expect 0 "$bedplate" media usb a.squashfs.img s.img --size=192M --dry-run
has "$work/out" "'s.img' is made: 192.0 MiB"
has "$work/err" "kernel 6.1.0-1 has no driver for USB storage"
echo 'kernel/drivers/usb/storage/usb-storage.ko' >tree/usr/lib/modules/6.1.0-1/modules.builtin
live u
expect 0 "$bedplate" media usb u.squashfs.img s.img --dry-run
! grep -q 'USB storage' "$work/err" || fail "warned of a driver that is there: $(cat "$work/err")"
[ ! -e s.img ] || fail "a dry run wrote"
echo mine >s.img.new
expect 1 "$bedplate" media usb a.squashfs.img s.img --size=192M
one_line "'s.img.new' is in the way"
same s.img.new mine
rm s.img.new
expect 0 "$bedplate" media usb a.squashfs.img s.img --size=192M --kickstart good.ks
[ "$(stat -c %s s.img)" -eq $((192 * 1024 * 1024)) ] || fail "another size"
sfdisk --json s.img >table
[ "$(jq -c '[.partitiontable.partitions[].name]' table)" = \
	'["bedplate-bios","bedplate-efi","bedplate-data"]' ] || fail "table: $(cat table)"
data=s.img@@$(($(jq '.partitiontable.partitions[2].start' table) * 512))
efi=s.img@@$(($(jq '.partitiontable.partitions[1].start' table) * 512))
has_same() { mtype -i "$data" "::/$1" | cmp - "$2" || fail "another $1 on the stick"; }
has_same images/testnode-1.0/squashfs.img a.squashfs.img
has_same images/testnode-1.0/manifest.json a.manifest.json
has_same images/testnode-1.0/ks.cfg good.ks
mtype -i "$efi" ::/boot/grub/grub.cfg >redirect
has redirect "search --no-floppy --set=root --label 'BEDPLATE'"
mtype -i "$data" ::/images/testnode-1.0/menu.cfg >menu
has menu "root=live:LABEL=BEDPLATE rd.live.dir=images/testnode-1.0 "
has menu "install inst.ks=hd:LABEL=BEDPLATE:/images/testnode-1.0/ks.cfg"
mtype -i "$data" ::/grub/menu.cfg >menu
has menu "set default='install'"
has menu "source /images/testnode-1.0/menu.cfg"
check_stick() {
	rm -rf stick
	mkdir stick
	mcopy -s -n -i "$data" '::/*' stick/
	expect 0 "$bedplate" media verify stick
	expect 1 "$bedplate" media verify s.img
	has err "'s.img' is a stick: mount its data partition"
	head -c 440 s.img | tail -c 350 | tr -d '\0' | grep -q GRUB || fail "no GRUB in the first sector"
}
check_stick
nothing_left

# A second image beside the first, then the first one again.
cp a.squashfs.img second.img
expect 0 "$bedplate" media usb second.img s.img
has "$work/out" "keep 'images/testnode-1.0'"
mtype -i "$data" ::/grub/menu.cfg >menu
has menu "set default='testos-7>live'"
has menu "submenu 'testnode-1.0'"
check_stick
[ -f stick/images/testnode-1.0/ks.cfg ] || fail "the first image's kickstart is gone"
expect 0 "$bedplate" media usb a.squashfs.img s.img
has "$work/out" "then remove 'images/testnode-1.0'"
check_stick
[ "$(cd stick/images && echo *)" = 'testnode-1.0.2 testos-7' ] || fail "images: $(ls stick/images)"

# What an update that was cut off has left is in no menu, and makes room.
mmd -i "$data" ::/images/cut-2.0 ::/images/cut-2.0.2
head -c 100M /dev/zero >part
mcopy -i "$data" part ::/images/cut-2.0/squashfs.img
for name in files spdx.json undo; do
	mcopy -i "$data" good.ks "::/images/cut-2.0/$name"
done
expect 0 "$bedplate" media usb a.squashfs.img s.img --dry-run
has "$work/out" "  remove 'images/cut-2.0': it is not complete"
has "$work/out" "  keep 'images/testos-7'"
mdir -i "$data" -b ::/images | grep -q cut-2.0 || fail "a dry run wrote"
expect 0 "$bedplate" media usb a.squashfs.img s.img
check_stick
[ "$(cd stick/images && echo *)" = 'testnode-1.0 testos-7' ] || fail "images: $(ls stick/images)"
mtype -i "$data" ::/grub/menu.cfg >menu
! grep -q cut-2.0 menu || fail "in the menu: $(cat menu)"

# What a person has put there stays, also where it looks nearly like ours, and is in no way of a new image.
mmd -i "$data" ::/images/photos '::/images/[t]estos-7' ::/images/x ::/images/x/LiveOS ::/images/hidden
echo mine >photo
mcopy -i "$data" photo ::/images/photos/vmlinuz
mcopy -i "$data" photo ::/images/photos/photo
mcopy -i "$data" photo ::/images/x/LiveOS/squashfs.img
mcopy -i "$data" photo ::/images/hidden/photo
mattrib -i "$data" +h ::/images/hidden/photo
expect 0 "$bedplate" media usb second.img s.img
has "$work/out" "  keep 'images/photos': it is not of an image"
for f in photos/vmlinuz photos/photo x/LiveOS/squashfs.img hidden/photo; do
	has_same images/$f photo
done
mdir -i "$data" -b ::/images >list
has list '[t]estos-7/'
mtype -i "$data" ::/grub/menu.cfg >menu
! grep -q photos menu || fail "in the menu: $(cat menu)"
mdeltree -i "$data" ::/images/photos '::/images/\[t]estos-7' ::/images/x ::/images/hidden

# Refused, and not a byte changed.
refuse_usb() {
	text=$1
	target=$2
	shift 2
	before=$(sha256sum <"$target")
	expect 1 "$bedplate" media usb "$@"
	one_line "$text"
	[ "$(sha256sum <"$target")" = "$before" ] || fail "'$target' has changed"
	nothing_left
}
refuse_usb "a stick with the label 'BEDPLATE' already" s.img a.squashfs.img s.img --label OTHER
cp s.img taken.img
mmd -i "taken.img@@${data#*@@}" ::/images/TESTNODE-1.0.2
mcopy -i "taken.img@@${data#*@@}" photo ::/images/TESTNODE-1.0.2/photo
refuse_usb "'images/testnode-1.0.2' on 'taken.img' has files that are not of an image: rename or remove it" \
	taken.img a.squashfs.img taken.img
rm taken.img
refuse_usb "keeps its size" s.img a.squashfs.img s.img --size=300M
truncate -s 200M foreign
echo important | dd of=foreign conv=notrunc status=none
refuse_usb "all that is on 'foreign' would be lost" foreign a.squashfs.img foreign
truncate -s 50M small
refuse_usb "'small' is too small" small a.squashfs.img small --yes
refuse "'tmp' is neither a disk nor a file" usb a.squashfs.img tmp --yes
refuse "'no/where.img': No such file or directory" usb a.squashfs.img no/where.img --dry-run
refuse "the name of the disk or file to write is empty" usb a.squashfs.img ''
refuse "not a regular file" usb fifo s.img
# FAT32 ends at 2 TiB.
expect 0 "$bedplate" media usb a.squashfs.img large.img --size=3T --dry-run
has "$work/out" ', 2.0 TiB data (FAT32, '
expect 0 "$bedplate" media usb a.squashfs.img foreign --yes --label STICK-1
sfdisk --json foreign | jq -e '.partitiontable.partitions | length == 3' >/dev/null ||
	fail "no stick from a foreign file"

# --- PXE ---
expect 0 "$bedplate" media pxe a.squashfs.img net --url http://10.0.0.1/node/ --kickstart good.ks
expect 0 "$bedplate" media verify net
cmp net/LiveOS/squashfs.img a.squashfs.img || fail "another image"
[ ! -L net/LiveOS/squashfs.img ] || fail "only a link"
has net/boot.ipxe "root=live:http://10.0.0.1/node/LiveOS/squashfs.img ip=dhcp"
has net/boot.ipxe "set words install inst.ks=http://10.0.0.1/node/ks.cfg"
has net/grub/grub.cfg "inst.ks=http://10.0.0.1/node/ks.cfg"
has net/pxelinux.cfg/default "DEFAULT install"
has net/pxelinux.cfg/default "KERNEL images/pxeboot/vmlinuz"
has net/pxelinux.cfg/default 'APPEND initrd=images/pxeboot/initrd.img quiet console=ttyS0 a="b c" root=live:http://10.0.0.1/node/LiveOS/squashfs.img ip=dhcp rd.live.image rd.live.overlay.overlayfs=1 rd.live.overlay.nouserconfirmprompt install inst.ks=http://10.0.0.1/node/ks.cfg'
cmp net/grubx64.efi tree/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed || fail "another GRUB"
expect 0 "$bedplate" media pxe a.squashfs.img net
# shellcheck disable=SC2016
has net/boot.ipxe 'root=live:http://${next-server}/LiveOS/squashfs.img'
[ ! -e net/ks.cfg ] || fail "the old folder's kickstart"
[ ! -e net/pxelinux.cfg ] || fail "PXELINUX cannot know the server"
# What is an operator to GRUB is none in a URL.
expect 0 "$bedplate" media pxe a.squashfs.img net --url 'http://10.0.0.1/a&(b)/'
has net/grub/grub.cfg "'root=live:http://10.0.0.1/a&(b)/LiveOS/squashfs.img'"
grub-script-check net/grub/grub.cfg || fail "GRUB does not understand its menu"
mv tree/usr/bin/curl part
live b
refuse "the package 'curl' is not in the image" pxe b.squashfs.img net3
[ ! -e net3 ] || fail "a folder from nothing"
mkdir kept
refuse "none.img" pxe none.img kept/a/b/net
[ -z "$(ls kept)" ] || fail "folders from nothing"
mkdir foreign.d
echo mine >foreign.d/file
refuse "'foreign.d' is not empty" pxe a.squashfs.img foreign.d
same foreign.d/file mine
refuse "bad URL 'gopher://x'" pxe a.squashfs.img net2 --url gopher://x
[ ! -e net2 ] || fail "a folder from nothing"
nothing_left
