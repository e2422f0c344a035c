#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A real image out of real packages, and what foreign tools say of it.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_root

openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/key.pem" -out "$work/cert.pem" \
	-subj "/CN=bedplate test" -days 2 2>/dev/null
build --sign-key="$work/key.pem" --sign-cert="$work/cert.pem"
image=$(cat "$work/out")
manifest=${image%.squashfs.img}.manifest.json
[ -f "$manifest" ] || fail "no manifest beside '$image'"

# Nothing but what belongs to the image is in the folder.
is "$(find "$work/image" -type f | wc -l)" 5 "number of files"

# Foreign tools accept it.
unsquashfs -l "$image" | grep -qx 'squashfs-root/LiveOS/rootfs.img' || fail "unsquashfs -l"
"$bedplate" image extract "$image" --rootfs -o "$work/rootfs.img"
e2fsck -fn "$work/rootfs.img" >"$work/fsck" 2>&1 || fail "e2fsck: $(cat "$work/fsck")"
dumpe2fs -h "$work/rootfs.img" 2>/dev/null >"$work/dump"
grep -q '^Block size: *4096$' "$work/dump" || fail "block size"
! grep -q has_journal "$work/dump" || fail "the image has a journal"
if [ -e /dev/loop-control ]; then
	mkdir "$work/a" "$work/b"
	unshare --mount sh -c "mount -o loop,ro '$image' '$work/a' &&
		mount -o loop,ro '$work/a/LiveOS/rootfs.img' '$work/b' &&
		test -x '$work/b/usr/bin/nodectl'" || fail "the kernel does not mount it"
fi

# The manifest tells the truth.
is "$(json "$manifest" .liveimg.sha256)" "$(sha256sum <"$image" | cut -d' ' -f1)" "sha256"
is "$(json "$manifest" .rootfs.sha256)" "$(sha256sum <"$work/rootfs.img" | cut -d' ' -f1)" \
	"sha256 of rootfs.img"
veritysetup verify "$work/rootfs.img" "$work/rootfs.img" \
	"$(json "$manifest" .verity.root_hash)" \
	--hash-offset="$(json "$manifest" .verity.hash_offset)" || fail "veritysetup verify"
expect 0 "$bedplate" image verify --trust="$work/cert.pem" "$image"

# A changed byte anywhere is found.
cp "$image" "$work/image/copy"
size=$(stat -c %s "$image")
printf '\377' | dd of="$image" bs=1 seek=$((size / 2)) conv=notrunc status=none
expect 1 "$bedplate" image verify --trust="$work/cert.pem" "$image"
mv "$work/image/copy" "$image"

# The tree is as docs/image-tree.md says.
"$bedplate" image extract "$image" -o "$work/tree" >/dev/null
is "$(readlink "$work/tree/var/lib/dpkg")" ../../usr/lib/bedplate/dpkg "link of the package database"
dpkg --root="$work/tree" --audit >"$work/audit" 2>&1 || fail "dpkg --audit: $(cat "$work/audit")"
[ ! -s "$work/audit" ] || fail "dpkg --audit: $(cat "$work/audit")"
! find "$work/tree/usr/lib/modules" -name '*.ko.*' | grep . || fail "compressed kernel modules"
! find "$work/tree/etc/ssh" -name 'ssh_host_*' 2>/dev/null | grep . || fail "host keys in the image"
[ -d "$work/tree/usr/share/factory/var" ] || fail "no factory copy of /var"

# The initramfs: uncompressed in the tree, small enough there and compressed.
initramfs=$(find "$work/tree/boot" -name 'initrd.img-*')
is "$(head -c 6 "$initramfs")" 070701 "magic number of the initramfs"
[ "$(stat -c %s "$initramfs")" -le $((200 << 20)) ] || fail "initramfs over 200 MiB"
[ "$(zstd -q -T0 -10 -c "$initramfs" | wc -c)" -le $((60 << 20)) ] ||
	fail "compressed initramfs over 60 MiB"
cpio -t --quiet <"$initramfs" >"$work/initramfs"
for module in dm-verity dm-thin-pool squashfs overlay virtio_blk nvme softdog i6300esb wdat_wdt; do
	grep -q "/$module\.ko$" "$work/initramfs" || grep -q "/$module\.ko$" \
		"$work/tree/usr/lib/modules/"*/modules.builtin || fail "no $module in the initramfs"
done
