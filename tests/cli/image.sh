#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# image inspect, verify, diff and extract on images made by mke2fs and mksquashfs.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
bedplate=$1

requires which mksquashfs
requires which mke2fs
requires which jq
[ "$(id -u)" -eq 0 ] || { echo "skipped: needs root for owners and devices"; exit 77; }

cd "$work"

make_tree() {
	mkdir -p "$1/usr/bin" "$1/usr/lib/modules/6.1.0-9" "$1/usr/lib/modules/6.1.0-10" \
		"$1/usr/lib/bedplate/dpkg" "$1/boot" "$1/etc" "$1/var/lib" "$1/dev"
	ln -s /usr/lib/bedplate/dpkg "$1/var/lib/dpkg"
	ln -s ../usr/lib/os-release "$1/etc/os-release"
	printf 'ID=testos\nVERSION_ID="7"\nPRETTY_NAME="Test OS 7"\n' >"$1/usr/lib/os-release"
	printf 'Package: base-files\nStatus: install ok installed\nVersion: %s\nArchitecture: amd64\n\nPackage: tool\nStatus: install ok installed\nVersion: 1-1\nArchitecture: all\n' "$2" \
		>"$1/usr/lib/bedplate/dpkg/status"
	seq 1 20000 >"$1/usr/bin/tool"
	ln "$1/usr/bin/tool" "$1/usr/bin/tool-again"
	seq 1 9000 >"$1/usr/bin/other"
	chmod 4755 "$1/usr/bin/other"
	printf 'kernel 9' >"$1/boot/vmlinuz-6.1.0-9"
	printf 'kernel 10' >"$1/boot/vmlinuz-6.1.0-10"
	printf 'initramfs 10' >"$1/boot/initrd.img-6.1.0-10"
	mknod "$1/dev/null" c 1 3
	chown 12:34 "$1/etc"
	setfattr -n user.note -v hello "$1/usr/bin/other" || :
	truncate -s 1M "$1/usr/bin/sparse"
	touch -h -d @1600000000 "$1/usr/bin/tool" "$1/etc/os-release" "$1/usr"
}

# live TREE IMAGE: as a live image, ext4 inside.
live() {
	mkdir -p wrap/LiveOS
	rm -f wrap/LiveOS/rootfs.img
	truncate -s 16M wrap/LiveOS/rootfs.img
	mke2fs -q -t ext4 -b 4096 -O ^has_journal -d "$1" wrap/LiveOS/rootfs.img
	if command -v veritysetup >/dev/null; then
		veritysetup format --hash-offset=16777216 --salt=aabb \
			--root-hash-file=roothash wrap/LiveOS/rootfs.img wrap/LiveOS/rootfs.img >/dev/null
	fi
	rm -f "$2"
	mksquashfs wrap "$2" -quiet -no-progress -comp zstd >/dev/null
}

sum() { sha256sum "$1" | cut -d' ' -f1; }

# manifest NAME: beside NAME.squashfs.img, for the rootfs.img last made.
manifest() {
	verity=null
	if [ -f roothash ]; then
		verity="{\"root_hash\":\"$(cat roothash)\",\"data_size\":16777216,\"hash_offset\":16777216,\"salt\":\"aabb\",\"fec_offset\":0,\"fec_roots\":0}"
	fi
	echo "a list" >"$1.files"
	echo "a bill" >"$1.spdx.json"
	cat >"$1.manifest.json" <<END
{"manifest_version":1,"name":"testnode","version":"1.0","arch":"amd64","source_date":1700000000,
"rootfs_type":"squashfs-ext4","kernels":[],"packages":[],"previous":null,"upgrades_from":{"min":"0.8","max":null},"tool":"hand","recipe":null,
"liveimg":{"file":"$1.squashfs.img","size":$(stat -c %s "$1.squashfs.img"),"sha256":"$(sum "$1.squashfs.img")"},
"rootfs":{"file":"LiveOS/rootfs.img","size":$(stat -c %s wrap/LiveOS/rootfs.img),"sha256":"$(sum wrap/LiveOS/rootfs.img)"},
"files":{"file":"$1.files","size":$(stat -c %s "$1.files"),"sha256":"$(sum "$1.files")"},
"sbom":{"file":"$1.spdx.json","size":$(stat -c %s "$1.spdx.json"),"sha256":"$(sum "$1.spdx.json")"},
"verity":$verity}
END
}

sign() {
	openssl cms -sign -binary -in "$1.manifest.json" -signer cert -inkey key -outform DER \
		-md sha256 -out "$1.manifest.json.sig"
}

has() { grep -qF -- "$2" "$1" || fail "$1 lacks '$2': $(cat "$1")"; }
# one_line TEXT: the message on stderr is one line and contains TEXT.
one_line() {
	grep -v '^rootfs\|^liveimg\|^[A-Za-z. -]*\.\.\.$' "$work/err" | grep '^bedplate: ' >"$work/msg" || :
	[ "$(wc -l <"$work/msg")" -eq 1 ] || fail "not one line: $(cat "$work/err")"
	has "$work/msg" "$1"
}

make_tree tree 13
live tree a.squashfs.img

# --- inspect: without a manifest, each kind of image, a folder ---
expect 0 "$bedplate" image inspect a.squashfs.img
for text in 'Name:         testos' 'Version:      7' 'Architecture: amd64' 'Test OS 7' \
	'squashfs-ext4 (zstd' 'Kernel:       6.1.0-10 (9 bytes, initramfs 12 bytes)' \
	'6.1.0-9 (8 bytes, no initramfs)' 'Packages:     2' 'Manifest:     none'; do
	has "$work/out" "$text"
done
expect 0 "$bedplate" image inspect --packages a.squashfs.img
same "$work/out" 'base-files 13 amd64
tool 1-1 all'
mksquashfs tree flat.img -quiet -no-progress -comp xz >/dev/null
expect 0 "$bedplate" image inspect flat.img
has "$work/out" 'squashfs (xz'
has "$work/out" 'Packages:     2'
cp wrap/LiveOS/rootfs.img bare.img
expect 0 "$bedplate" image inspect --json bare.img
has "$work/out" '"kind": "ext4"'
echo "no image at all" >no-image
expect 1 "$bedplate" image inspect no-image
one_line 'not an image: neither squashfs nor ext4'
expect 1 "$bedplate" image inspect nothing.img
one_line "'nothing.img': No such file or directory"
mkdir folder
cp a.squashfs.img folder/
expect 0 "$bedplate" image inspect folder
has "$work/out" 'testos'
cp a.squashfs.img folder/b.squashfs.img
expect 1 "$bedplate" image inspect folder
one_line 'several images'
head -c 10000 a.squashfs.img >cut.img
expect 1 "$bedplate" image inspect cut.img
one_line 'is cut'

# --- verify ---
openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 9 -subj /CN=maker 2>/dev/null
openssl req -x509 -newkey rsa:2048 -nodes -keyout key2 -out cert2 -days 9 -subj /CN=other 2>/dev/null
expect 1 "$bedplate" image verify a.squashfs.img
one_line "'a.manifest.json': No such file"
manifest a
expect 0 "$bedplate" image inspect a.squashfs.img
has "$work/out" 'Upgrades:     version 0.8 and newer'
expect 0 "$bedplate" image inspect --json a.squashfs.img
[ "$(jq -c .upgrades_from "$work/out")" = '{"max":null,"min":"0.8"}' ] || fail "$(cat "$work/out")"
expect 1 "$bedplate" image verify a.squashfs.img
one_line "'a.manifest.json' is not signed"
expect 0 "$bedplate" image verify --unsigned a.squashfs.img
has "$work/out" 'ok  a.squashfs.img: SHA-256'
has "$work/out" 'ok  LiveOS/rootfs.img: SHA-256'
[ ! -f roothash ] || has "$work/out" "root hash $(cat roothash)"
sign a
expect 0 "$bedplate" image verify --trust=cert a.squashfs.img
has "$work/out" 'ok  signature: by /CN=maker'
expect 1 "$bedplate" image verify --trust=cert2 a.squashfs.img
one_line "'a.manifest.json.sig': wrong signature"
expect 1 "$bedplate" image verify a.squashfs.img
one_line 'no certificate is trusted'
mkdir trust
cp cert trust/maker.crt
cp cert2 trust/other.pem
expect 0 "$bedplate" image verify --trust=trust a.squashfs.img
expect 0 "$bedplate" image inspect a.squashfs.img
has "$work/out" 'Name:         testnode'
has "$work/out" 'Signature:    there'

# One byte more or other in each file.
for f in a.files a.spdx.json; do
	cp $f saved
	echo 'x bxxx' >$f
	expect 1 "$bedplate" image verify --trust=cert a.squashfs.img
	one_line "'$f'"
	cp saved $f
done
cp a.manifest.json saved
sed -i 's/"hand"/"hans"/' a.manifest.json
expect 1 "$bedplate" image verify --trust=cert a.squashfs.img
one_line 'wrong signature'
cp saved a.manifest.json

# A changed byte in the image: the message knows the place.
cp a.squashfs.img saved.img
printf '\377\377\377' | dd of=a.squashfs.img bs=1 seek=4000 conv=notrunc status=none
expect 1 "$bedplate" image verify --trust=cert a.squashfs.img
one_line 'a.squashfs.img'
has "$work/msg" 'block '
cp saved.img a.squashfs.img

# The right squashfs around a changed file system: dm-verity names the block.
if [ -f roothash ]; then
	printf 'XYZ' | dd of=wrap/LiveOS/rootfs.img bs=4096 seek=3 conv=notrunc status=none
	rm a.squashfs.img
	mksquashfs wrap a.squashfs.img -quiet -no-progress -comp zstd >/dev/null
	size=$(stat -c %s a.squashfs.img)
	sed "s/\"size\":[0-9]*,\"sha256\":\"$(sum saved.img)\"/\"size\":$size,\"sha256\":\"$(sum a.squashfs.img)\"/" \
		saved >a.manifest.json
	expect 1 "$bedplate" image verify --unsigned a.squashfs.img
	one_line 'LiveOS/rootfs.img'
	has "$work/msg" 'block 3'
	cp saved.img a.squashfs.img
	cp saved a.manifest.json
fi

# --- diff ---
cp -a tree tree2
sed -i 's/Version: 13/Version: 14/; s/Package: tool/Package: newtool/' tree2/usr/lib/bedplate/dpkg/status
mv tree2/usr/bin/other tree2/usr/bin/moved
rm tree2/boot/vmlinuz-6.1.0-9
echo new >tree2/etc/new
chmod 600 tree2/usr/lib/os-release
live tree2 b.squashfs.img
expect 0 "$bedplate" image diff a.squashfs.img b.squashfs.img
for text in '~ base-files 13 -> 14' '- tool 1-1' '+ newtool 1-1' '> /usr/bin/moved (was /usr/bin/other)' \
	'- /boot/vmlinuz-6.1.0-9' '+ /etc/new' '~ /usr/lib/os-release (mode, owner or attributes)' \
	'Packages:           1 added, 1 removed, 1 changed' 'Blocks in place:' 'Unchanged files:'; do
	has "$work/out" "$text"
done
expect 0 "$bedplate" image diff --json a.squashfs.img b.squashfs.img
python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
b = d["blocks"]
assert b["same_place"] + b["moved"] <= b["new"], b
assert {f["path"] for f in d["files"] if f["change"] == "moved"} == {"usr/bin/moved"}, d["files"]
' "$work/out" || fail 'wrong JSON'
expect 0 "$bedplate" image diff --exit-status a.squashfs.img a.squashfs.img
has "$work/out" '(100.0 %), 0 moved, 0 new'
expect 1 "$bedplate" image diff --exit-status --summary a.squashfs.img b.squashfs.img
expect 0 "$bedplate" image diff a.squashfs.img flat.img
has "$work/out" 'Files:              0 added, 1 removed, 0 changed'

# --- extract ---
listing() {
	(cd "$1" && find . -mindepth 1 -path ./lost+found -prune -o \
		\( -type d -printf '%P %M %U %G %T@ %l\n' -o -printf '%P %M %U %G %s %n %T@ %l\n' \) |
		sed 's/\.[0-9]* / /' | sort)
}
expect 0 "$bedplate" image extract a.squashfs.img -o x
rmdir x/lost+found
diff -r --no-dereference -x null tree x || fail 'content differs'
listing tree >want
listing x >got
diff -u want got >&2 || fail 'attributes differ'
getfattr -n user.note x/usr/bin/other >/dev/null 2>&1 || [ -z "$(getfattr -d tree/usr/bin/other)" ] ||
	fail 'attribute lost'
[ "$(stat -c %b x/usr/bin/sparse)" -lt 100 ] || fail 'hole filled'
expect 1 "$bedplate" image extract a.squashfs.img -o x
one_line "'x' is not empty"
expect 0 "$bedplate" image extract a.squashfs.img -o x --force
expect 0 "$bedplate" image extract flat.img /usr/bin -o y
diff -r tree/usr/bin y || fail 'folder differs'
expect 0 "$bedplate" image extract -q a.squashfs.img etc/os-release -o -
diff "$work/out" tree/usr/lib/os-release || fail 'file differs'
expect 0 "$bedplate" image extract a.squashfs.img usr/bin/tool -o file
cmp file tree/usr/bin/tool || fail 'file differs'
expect 1 "$bedplate" image extract a.squashfs.img usr/bin/tool -o file
one_line "'file' is there already"
expect 1 "$bedplate" image extract a.squashfs.img no/where
one_line "no 'no/where' in 'a.squashfs.img'"
expect 0 "$bedplate" image extract -q a.squashfs.img --kernel -o -
[ "$(cat "$work/out")" = 'kernel 10' ] || fail 'wrong kernel'
expect 0 "$bedplate" image extract a.squashfs.img --initramfs
[ "$(cat initrd.img-6.1.0-10)" = 'initramfs 10' ] || fail 'wrong initramfs'
expect 0 "$bedplate" image extract b.squashfs.img --rootfs -o root
cmp root wrap/LiveOS/rootfs.img || fail 'rootfs differs'
expect 2 "$bedplate" image extract a.squashfs.img --rootfs --kernel
expect 1 "$bedplate" image extract flat.img --rootfs
one_line 'it is flat'
"$bedplate" image extract -q a.squashfs.img usr/bin/tool -o - >/dev/full 2>"$work/err" &&
	fail 'a full disk went unnoticed'
# As full a disk as anyone may make: the file is named, and no part of it stays.
(
	trap '' XFSZ
	ulimit -f 1
	exec "$bedplate" image extract -q b.squashfs.img --rootfs -o full
) 2>"$work/err" && fail 'a limit went unnoticed'
one_line "'full': writing at"
[ ! -e full.part ] || fail 'half a file stays'
expect 2 "$bedplate" image verify --progress-fd=x a.squashfs.img
grep -q "'--progress-fd': bad number 'x'" "$work/err" || fail 'the option is not named'
:
