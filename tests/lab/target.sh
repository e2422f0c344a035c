#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The new root on real thin volumes and dm-verity: base written and proven, opened, configured, closed
# with nothing left behind, and as it was left when it is opened again.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_uml
export LAB_TARGET="$4"

# A base: the host's shell and what a node's commands need, with a hash tree behind it.
tree=$work/tree
mkdir -p "$tree/bin" "$tree/etc" "$tree/usr/sbin" "$tree/var/log" "$tree/home/old" "$tree/boot" \
	"$tree/usr/share/factory/var/lib/x" "$tree/usr/share/factory/var/log/audit" "$tree/tmp" \
	"$tree/proc" "$tree/sys" "$tree/dev" "$tree/run"
for program in sh cat grep id; do
	program=$(command -v $program)
	cp -L --parents "$program" "$tree"
	ldd "$program" | grep -o '/[^ ]*' | xargs cp -L --parents -t "$tree"
done
cp -L /bin/sh "$tree/bin"
echo "root:x:0:0:root:/root:/bin/sh" >"$tree/etc/passwd"
echo "root:*:1:0:99999:7:::" >"$tree/etc/shadow"
printf 'root:x:0:\nadm:x:4:\n' >"$tree/etc/group"
printf 'root:*::\nadm:*::\n' >"$tree/etc/gshadow"
: >"$tree/etc/resolv.conf"
echo kept >"$tree/home/old/file"
chown 1000:1000 "$tree/home/old"
chmod 0711 "$tree/home"
echo one >"$tree/usr/share/factory/var/lib/x/one"
ln "$tree/usr/share/factory/var/lib/x/one" "$tree/usr/share/factory/var/lib/x/two"
echo log >"$tree/usr/share/factory/var/log/audit/first"
chown 0:4 "$tree/usr/share/factory/var/log"
chmod 2775 "$tree/usr/share/factory/var/log"
dd if=/dev/urandom of="$tree/usr/noise" bs=1M count=5 status=none
mkdir "$work/live" "$work/live/LiveOS"
rootfs=$work/live/LiveOS/rootfs.img
mke2fs -q -t ext4 -b 4096 -O ^has_journal -d "$tree" "$rootfs" 64M
veritysetup format --hash-offset=67108864 "$rootfs" "$rootfs" >"$work/verity"
hash=$(sed -n 's/^Root hash: *\t*//p' "$work/verity")
truncate -s $((68 * 1048576)) "$rootfs"
mksquashfs "$work/live" "$work/image" -quiet -no-progress -comp zstd >/dev/null
cat >"$work/t.ks" <<'END'
network --hostname=lab.test
rootpw --plaintext lab-secret
user --name=new --groups=adm --homedir=/home/new
sshkey --username=new "ssh-ed25519 AAAA lab"
%pre-install --erroronfail
[ -d "$ANA_INSTALL_PATH/boot/efi" ]
[ -f /mnt/sysimage/etc/passwd ]
echo early >"$ANA_INSTALL_PATH/early"
%end
%post --erroronfail
[ -e /dev/ubda ]
grep -q ^proc /proc/mounts
cat /etc/hostname >/var/log/post
id -u >/boot/post
%end
%post --nochroot --erroronfail
cat /mnt/sysimage/etc/hostname >"$ANA_INSTALL_PATH/home/nochroot"
%end
END
export LAB_ARGS="$work/image $hash 67108864 $work/t.ks"

new_disk a 512M
new_disk boot 64M
new_disk efi 64M
in_guest --disk="$work/a" --disk="$work/boot" --disk="$work/efi" <<'END'
mke2fs -q -t ext4 /dev/ubdb
mkfs.vfat /dev/ubdc >/dev/null
lvm vgcreate -y --addtag bedplate:vg node /dev/ubda
lvm lvcreate -y -L 300m --poolmetadatasize 8m --chunksize 128k --type thin-pool --addtag bedplate:pool -n p node
lvm lvcreate -y -V 80m -T node/p -n n-1 --addtag bedplate:base
for volume in n-1+1 var var_log home; do
	lvm lvcreate -y -V 100m -T node/p -n "$volume"
	mke2fs -q -t ext4 "/dev/node/$volume"
done
mkdir /run/layer
mount /dev/node/n-1+1 /run/layer
mkdir /run/layer/upper /run/layer/work
umount /run/layer

# shellcheck disable=SC2086
driver() {
	"$LAB_TARGET" "$1" $LAB_ARGS
}
# Nothing is mounted, nothing of ours is mapped, and the base is off again.
assert_closed() {
	! grep -E '/run/lab|/mnt/sys' /proc/mounts || exit 1
	[ ! -e /dev/mapper/bedplate-target ]
	[ ! -e /dev/node/n-1 ]
	[ ! -L /mnt/sysimage ]
}
driver write
driver configure >"$LAB_WORK/uuid"
assert_closed
[ "$(cat "$LAB_WORK/uuid")" = "boot $(blkid -o value -s UUID /dev/ubdb)" ]

LAB_LOOK='
cat etc/hostname early var/log/post boot/post home/nochroot home/old/file var/lib/x/two var/log/audit/first
stat -c "%n %a %u:%g %h" home home/old home/new home/new/.ssh/authorized_keys var/log var/lib/x/one
cut -d: -f1-2 etc/shadow | cut -c1-8
grep -c . etc/fstab
grep -o "\"origin\": \"the lab\"" usr/lib/bedplate/factory.json
grep -r lab-secret var/log etc || echo no secrets'
export LAB_LOOK
driver look >"$LAB_WORK/seen"
assert_closed
driver crash
[ -e /dev/mapper/bedplate-target ]
driver look >"$LAB_WORK/again"
assert_closed
cmp "$LAB_WORK/seen" "$LAB_WORK/again"

# What was changed is in the layer and in the volumes, and nowhere else.
mount -o ro /dev/node/n-1+1 /run/layer
(cd /run/layer/upper && find . -not -type d | sort) >"$LAB_WORK/upper"
umount /run/layer
driver verify

# A bit of the base turns over: verified no more.
lvm lvchange -y -prw node/n-1
lvm lvchange -y -ay -K node/n-1
dd if=/dev/urandom of=/dev/node/n-1 bs=4096 seek=12000 count=1 conv=fsync
lvm lvchange -y -an node/n-1
! driver verify 2>"$LAB_WORK/damaged" || exit 1
assert_closed
! driver prove 2>>"$LAB_WORK/damaged" || exit 1
assert_closed
# One that the mount needs.
lvm lvchange -y -ay -K node/n-1
dd if=/dev/urandom of=/dev/node/n-1 bs=4096 count=1 conv=fsync
lvm lvchange -y -an node/n-1
! driver prove 2>>"$LAB_WORK/damaged" || exit 1
assert_closed
END
cat >"$work/want" <<'END'
lab.test
early
lab.test
0
lab.test
kept
one
log
home 711 0:0 5
home/old 755 1000:1000 2
home/new 700 1000:1000 3
home/new/.ssh/authorized_keys 600 1000:1000 1
var/log 2775 0:4 5
var/lib/x/one 644 0:0 2
root:$y$
new:!
6
"origin": "the lab"
no secrets
END
cmp "$work/want" "$work/seen" || fail "$(diff "$work/want" "$work/seen")"
grep "^target-driver" "$work/damaged" >"$work/said"
same "$work/said" "target-driver: block 12000 (at byte 49152000) of the base does not verify
target-driver: base 'n-1': block 12000 (at byte 49152000) of the base does not verify
target-driver: opening the new root: base 'n-1': block 0 (at byte 0) of the base does not verify"
cat >"$work/want" <<'END'
./early
./etc/fstab
./etc/group
./etc/gshadow
./etc/hostname
./etc/passwd
./etc/shadow
./usr/lib/bedplate/factory.json
END
cmp "$work/want" "$work/upper" || fail "$(diff "$work/want" "$work/upper")"
