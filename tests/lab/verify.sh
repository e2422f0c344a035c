#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# nodectl diff and nodectl verify on a node mounted as its initramfs mounts it: each kind of change, an
# older layer that does not run, damage in either base, signatures; and nothing stays open.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_uml
LAB_MODULE=$(realpath "$lab/../../dracut/70bedplate")
export LAB_MODULE

# In the guest: what mount-root wants of dracut, the node's /boot and image.json, checks.
cat >"$work/prepare.sh" <<'END'
nodectl=$LAB_NODECTL
mkdir -p /usr/lib/bedplate /lib /run/sysroot /boot/grub
cp "$LAB_MODULE/lib.sh" /usr/lib/bedplate/lib.sh
cat >/lib/dracut-lib.sh <<'LIB'
getarg() {
	for word in $(cat /run/cmdline); do
		case $word in "${1%=}="*) value=${word#*=} ;; "$1") value=1 ;; *) continue ;; esac
		echo "$value"
		return 0
	done
	return 1
}
getargbool() { getarg "$2" >/dev/null || [ "$1" = 1 ]; }
getargnum() { getarg "$4=" || echo "$1"; }
LIB
echo '{"name": "n", "version": "1.2", "arch": "amd64", "source_date": 0}' >/usr/lib/bedplate/image.json
# entry BASE: the boot entry of its first layer, with the manifest that was signed.
entry() {
	folder="/boot/$1+1"
	mkdir -p "$folder"
	echo kernel | tee "$folder/vmlinuz" >"$folder/initramfs.img"
	cp "$LAB_WORK/$1.manifest" "$folder/manifest.json"
	cp "$LAB_WORK/$1.manifest.sig" "$folder/manifest.json.sig"
	cat >"$folder/bedplate.cfg" <<CFG
# bedplate 1
# layer: $1+1
# title: Node
# release: 6.1
menuentry 'Node' --id '$1+1' --unrestricted {
	linux /$1+1/vmlinuz bedplate.layer=$1+1 bedplate.roothash=$(cat "$LAB_WORK/$1.hash")
	initrd /$1+1/initramfs.img
}
CFG
}
# start BASE [PARAMETER...]
start() {
	echo "bedplate.layer=$1+1 bedplate.roothash=$(cat "$LAB_WORK/$1.hash") rd.retry=2" >/run/cmdline
	[ $# -eq 1 ] || echo "$2" >>/run/cmdline
	mountpoint -q /proc/cmdline || mount --bind /run/cmdline /proc/cmdline
	NEWROOT=/run/sysroot sh "$LAB_MODULE/mount-root.sh"
}
stop() {
	umount /run/sysroot /run/bedplate/layer /run/bedplate/base
	veritysetup close bedplate-base
	lvm vgchange -q -an >/dev/null
}
# expect STATUS COMMAND...: keep its output in /run/out.
expect() {
	want=$1
	shift
	got=0
	"$@" >/run/out 2>/run/err || got=$?
	[ "$got" -eq "$want" ] || {
		echo "'$*' exited $got, expected $want:"
		cat /run/out /run/err
		exit 1
	}
}
# said: the output is exactly standard input, and there was no warning.
said() {
	diff -u - /run/out || exit 1
	if grep -i warning /run/err; then exit 1; fi
}
# says TEXT: a line of the output is this.
says() {
	grep -qxF -e "$1" /run/out || {
		echo "expected '$1':"
		cat /run/out /run/err
		exit 1
	}
}
# What is open, active and mounted.
held() {
	dmsetup ls | sort
	lvs --noheadings -o name,attr,lv_active
	cat /proc/mounts
	ls /run/bedplate
}
END
# run: standard input in a guest with the node's disk, after prepare.sh.
run() {
	cat "$work/prepare.sh" - >"$work/whole.sh"
	in_guest --disk="$work/node" <"$work/whole.sh"
}

package() {
	printf 'Package: %s\nStatus: install ok installed\nVersion: %s\nArchitecture: all\n\n' "$@"
}

# make_base VERSION: image with hash tree, root hash, signed manifest, and where its file "noise" is.
make_base() {
	image=$work/n-$1.img
	data=$((24 << 20))
	mke2fs -q -t ext4 -b 4096 -O ^has_journal -d "$tree" "$image" 24M
	debugfs -R 'bmap /noise 100' "$image" >"$work/n-$1.block" 2>/dev/null
	veritysetup format "$image" "$image" --hash-offset=$data --salt=00 |
		sed -n 's/^Root hash:[[:space:]]*//p' >"$work/n-$1.hash"
	truncate -s %4096 "$image"
	manifest=$work/n-$1.manifest
	jq -n --arg version "$1" --arg hash "$(cat "$work/n-$1.hash")" --argjson data $data '
		("0" * 64) as $none |
		{manifest_version: 1, name: "n", version: $version, arch: "amd64", source_date: 0,
		rootfs_type: "squashfs-ext4", tool: "lab", previous: null, packages: [],
		liveimg: {file: "n.squashfs.img", sha256: $none, size: 1},
		rootfs: {file: "LiveOS/rootfs.img", sha256: $none, size: 1},
		kernels: [{release: "6.1", kernel_size: 1, initramfs_size: 1}],
		verity: {data_size: $data, hash_offset: $data, fec_offset: 0, fec_roots: 0,
			root_hash: $hash, salt: "00"},
		files: null, sbom: null, recipe: null}' >"$manifest"
	openssl cms -sign -binary -outform DER -in "$manifest" -out "$manifest.sig" \
		-signer "$work/ours.pem" -inkey "$work/ours.key"
}

for name in ours theirs; do
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/$name.key" -out "$work/$name.pem" \
		-days 30 -subj "/CN=$name" 2>/dev/null
done
tree=$work/tree
mkdir -p "$tree/usr/lib/systemd" "$tree/usr/lib/bedplate/dpkg" "$tree/usr/share/doc" "$tree/etc/deep"
echo systemd >"$tree/usr/lib/systemd/systemd"
for name in changed mode owner xattr same deleted; do
	printf 'one\ntwo\n' >"$tree/etc/$name"
done
echo old >"$tree/etc/deep/old"
echo vendor >"$tree/usr/share/doc/vendor"
echo vendor >"$tree/usr/share/tool"
head -c 1M /dev/urandom >"$tree/noise"
package a 1 b 1 >"$tree/usr/lib/bedplate/dpkg/status"
make_base 1.1
package a 2 c 1 >"$tree/usr/lib/bedplate/dpkg/status"
echo newer >"$tree/usr/share/tool"
make_base 1.2

new_disk node 384M
run <<'END'
lvm vgcreate -q -y --addtag bedplate:vg node /dev/ubda
lvm lvcreate -q -y -L 256m --poolmetadatasize 4m --type thin-pool --addtag bedplate:pool -n pool00 node
for base in n-1.1 n-1.2; do
	lvm lvcreate -q -y -V 32m -T node/pool00 -n $base --addtag bedplate:base \
		--addtag bedplate:verity:$((24 << 20)):0:0
	dd if="$LAB_WORK/$base.img" of=/dev/node/$base bs=1M conv=fsync status=none
	lvm lvchange -q -y -pr -ky node/$base
	lvm lvcreate -q -y -V 32m -T node/pool00 -n $base+1 --addtag bedplate:layer
	mke2fs -q -t ext4 /dev/node/$base+1
	mount /dev/node/$base+1 /mnt
	# As the root of the image: its attributes show.
	mkdir /mnt/upper /mnt/work
	umount /mnt
done
lvm vgchange -q -an
END

# An old layer, then the one that runs, each changed through its overlay.
run <<'END'
entry n-1.1
entry n-1.2
start n-1.1
cd /run/sysroot
echo mine >etc/mine
rm etc/deleted
cd /
stop
start n-1.2

# Nothing was changed.
expect 0 "$nodectl" diff
said </dev/null
expect 0 "$nodectl" verify
said <<SAID
Base n-1.1: OK
  24.0 MiB verified, root hash $(cat "$LAB_WORK/n-1.1.hash")
  signature not checked: no certificate in /etc/bedplate/trust.d
Base n-1.2 (running): OK
  24.0 MiB verified, root hash $(cat "$LAB_WORK/n-1.2.hash")
  signature not checked: no certificate in /etc/bedplate/trust.d
Layer n-1.2+1: OK
SAID

cd /run/sysroot
echo new >etc/added
printf 'one\n2\n' >etc/changed
chmod 600 etc/mode
chown 7 etc/owner
setfattr -n user.note -v text etc/xattr
# Copied up, and nothing came of it.
touch etc/same
rm etc/deleted
rm -r etc/deep
mkdir etc/deep
echo new >etc/deep/new
rm -r usr/share/doc
chmod 700 usr/share/tool
cat >>usr/lib/bedplate/dpkg/status <<STATUS
Package: d
Status: install ok installed
Version: 1
Architecture: all

STATUS
cd /
[ "$(getfattr --only-values -n trusted.overlay.opaque /run/bedplate/layer/upper/etc/deep)" = y ]
held >/run/before
expect 0 "$nodectl" diff
said <<SAID
+ d:all 1

+ /etc/added
~ /etc/changed (content)
+ /etc/deep/new
- /etc/deep/old
- /etc/deleted
~ /etc/mode (mode)
~ /etc/owner (owner)
~ /etc/xattr (xattr user.note)
~ /usr/lib/bedplate/dpkg/status (content)
- /usr/share/doc
- /usr/share/doc/vendor
~ /usr/share/tool (mode)
SAID
expect 0 "$nodectl" diff --packages
says '+ d:all 1'
expect 0 "$nodectl" diff --files --content
says '--- a/etc/changed'
says '-two'
says '+2'
expect 0 "$nodectl" diff --json
[ "$(jq -r '.old, .new, (.files | length), .packages[0].name' /run/out | tr '\n' ' ')" = \
	'n-1.2 n-1.2+1 12 d ' ]

# Against a layer that does not run: bases and layers of both count.
expect 0 "$nodectl" diff n-1.1+1
said <<SAID
~ a:all 1 -> 2
- b:all 1
+ c:all 1
+ d:all 1

+ /etc/added
~ /etc/changed (content)
+ /etc/deep/new
- /etc/deep/old
- /etc/mine
~ /etc/mode (mode)
~ /etc/owner (owner)
~ /etc/xattr (xattr user.note)
~ /usr/lib/bedplate/dpkg/status (content)
- /usr/share/doc
- /usr/share/doc/vendor
~ /usr/share/tool (content, mode)
SAID
expect 0 "$nodectl" diff --files n-1.2+1 n-1.1+1
says '+ /etc/mine'
says '- /etc/added'
expect 0 "$nodectl" diff n-1.1+1 n-1.1+1
said </dev/null
expect 1 "$nodectl" diff n-1.3+1
grep -F "there is no layer 'n-1.3+1' on this node" /run/err
expect 1 "$nodectl" diff n-1.1
grep -F "'n-1.1' is not the name of a layer" /run/err
held | diff /run/before -

# The layer says what it puts in front of the base.
expect 0 "$nodectl" verify --layer
said <<SAID
Layer n-1.2+1: WARN - it overrides files of the base: 4
  ~ /usr/lib/bedplate/dpkg/status (content)
  - /usr/share/doc
  - /usr/share/doc/vendor
  ~ /usr/share/tool (mode)
SAID
expect 1 "$nodectl" verify --layer --strict

# Signatures.
mkdir -p /etc/bedplate/trust.d
cp "$LAB_WORK/ours.pem" /etc/bedplate/trust.d/
expect 0 "$nodectl" verify --base --strict
said <<SAID
Base n-1.2 (running): OK
  24.0 MiB verified, root hash $(cat "$LAB_WORK/n-1.2.hash")
  signed by /CN=ours
SAID
mv /boot/n-1.1+1/manifest.json /run/manifest
expect 0 "$nodectl" verify
says "  no manifest"
grep '^Base n-1.1: WARN - no boot entry of it has the manifest of its image' /run/out
cp "$LAB_WORK/n-1.2.manifest" /boot/n-1.1+1/manifest.json
expect 1 "$nodectl" verify
grep '^Base n-1.1: FAILED - signature of its manifest: ' /run/out
grep '^Base n-1.2 (running): OK$' /run/out
cp "$LAB_WORK/n-1.2.manifest.sig" /boot/n-1.1+1/manifest.json.sig
expect 1 "$nodectl" verify
says "Base n-1.1: FAILED - the manifest is that of 'n-1.2'"
mv /run/manifest /boot/n-1.1+1/manifest.json
rm /boot/n-1.1+1/manifest.json.sig
expect 0 "$nodectl" verify
says "Base n-1.1: WARN - its image is not signed"
cp "$LAB_WORK/theirs.pem" /etc/bedplate/trust.d/ours.pem
expect 1 "$nodectl" verify --base --json
[ "$(jq -r '.status, .bases[0].name, .bases[0].signature' /run/out | tr '\n' ' ')" = \
	'failed n-1.2 wrong ' ]
rm -r /etc/bedplate/trust.d

# Nothing boots it: then nothing says what it should be.
mv /boot/n-1.1+1 /run/entry
expect 0 "$nodectl" verify
grep "^Base n-1.1: WARN - nothing says the root hash of base 'n-1.1'" /run/out
mv /run/entry /boot/n-1.1+1

# What somebody who was killed has left open.
lvm lvchange -q -ay -K node/n-1.1
veritysetup open --hash-offset=$((24 << 20)) /dev/node/n-1.1 bedplate-read.999999.0 /dev/node/n-1.1 \
	"$(cat "$LAB_WORK/n-1.1.hash")"
expect 0 "$nodectl" verify
[ ! -e /dev/mapper/bedplate-read.999999.0 ]
lvm lvchange -q -an node/n-1.1
held | diff /run/before -

# A stateless boot: what it has changed is in memory, its layer is a volume like any other.
stop
start n-1.2 bedplate.stateless
rm /run/sysroot/etc/changed
expect 0 "$nodectl" diff
said <<SAID
- /etc/changed
SAID
expect 0 "$nodectl" diff --files n-1.2+1
says '- /etc/changed'
says '- /etc/added'
says '+ /etc/deleted'
stop
END

# damage BASE: one bit of its file.
cat >"$work/damaged.sh" <<'END'
damage() {
	lvm lvchange -q -y -prw "node/$1"
	lvm lvchange -q -y -ay -K "node/$1"
	at=$(($(cat "$LAB_WORK/$1.block") * 4096 + 17))
	byte=$(dd if="/dev/node/$1" bs=1 skip=$at count=1 status=none | od -An -tu1)
	printf "\\$(printf %03o $((byte ^ 1)))" |
		dd of="/dev/node/$1" bs=1 seek=$at conv=notrunc,fsync status=none
	lvm lvchange -q -y -an "node/$1"
	lvm lvchange -q -y -pr "node/$1"
}
# says_block BASE WHO: its block is named.
says_block() {
	block=$(cat "$LAB_WORK/$1.block")
	says "Base $2: FAILED - it is damaged: block $block (at byte $((block * 4096))) of the base does not verify"
}
entry n-1.1
entry n-1.2
damage n-1.1
start n-1.2
held >/run/before
expect 1 "$nodectl" verify
says_block n-1.1 n-1.1
says "Base n-1.2 (running): OK"
expect 0 "$nodectl" verify --base
held | diff /run/before -
stop

damage n-1.2
start n-1.2
expect 1 "$nodectl" verify --base
says_block n-1.2 'n-1.2 (running)'
held | diff /run/before -
stop

# Not even the hash tree is there.
lvm lvchange -q -y -prw node/n-1.1
lvm lvchange -q -y -ay -K node/n-1.1
dd if=/dev/zero of=/dev/node/n-1.1 bs=1M seek=24 count=1 conv=notrunc,fsync status=none
lvm lvchange -q -y -an node/n-1.1
lvm lvchange -q -y -pr node/n-1.1
start n-1.2
expect 1 "$nodectl" verify
grep '^Base n-1.1: FAILED - it is damaged: ' /run/out
says_block n-1.2 'n-1.2 (running)'
expect 1 "$nodectl" diff n-1.1+1
grep "base 'n-1.1': " /run/err
held | diff /run/before -
stop
END
run <"$work/damaged.sh"
