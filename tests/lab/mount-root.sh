#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The root of an installed node as the initramfs mounts it, with real LVM and dm-verity, and what it
# says about everything that can be wrong.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_uml
LAB_MODULE=$(realpath "$lab/../../dracut/70bedplate")
export LAB_MODULE

# In the guest: a node "n-1" of 64 MiB and its root hash, and mount-root as it is in the initramfs.
cat >"$work/prepare.sh" <<'END'
mkdir -p /usr/lib/bedplate /lib /run/sysroot
cp "$LAB_MODULE/lib.sh" /usr/lib/bedplate/lib.sh
# What we use of dracut's.
cat >/lib/dracut-lib.sh <<'LIB'
getarg() {
	for word in $CMD_LINE; do
		case $word in "${1%=}="*) value=${word#*=} ;; "$1") value=1 ;; *) continue ;; esac
		echo "$value"
		return 0
	done
	return 1
}
getargbool() { getarg "$2" >/dev/null || [ "$1" = 1 ]; }
getargnum() { getarg "$4=" || echo "$1"; }
LIB
# mount_root PARAMETER...: NEWROOT is /run/sysroot.
mount_root() {
	CMD_LINE="rd.retry=2 $*" NEWROOT=/run/sysroot sh "$LAB_MODULE/mount-root.sh"
}
# What a trial does when it fails: it says so instead.
mkdir -p /run/bin
printf '#!/bin/sh\necho "reboot $*"\n' >/run/bin/reboot
cat >/run/bin/sleep <<'SLEEP'
#!/bin/sh
[ "$1" != 30 ] || exec echo waited
exec /bin/sleep "$@"
SLEEP
printf '#!/bin/sh\necho "modprobe $*"\n' >/run/bin/modprobe
chmod 755 /run/bin/*
PATH=/run/bin:$PATH
# release: close all that a successful one has opened.
release() {
	umount /run/sysroot /run/bedplate/layer /run/bedplate/base
	veritysetup close bedplate-base
	lvm vgchange -q -an >/dev/null
}
# refused TEXT PARAMETER...: it fails with an explanation that begins with TEXT.
refused() {
	text=$1
	shift
	! mount_root "$@" >/run/said 2>&1 || { echo "not refused: $text"; exit 1; }
	case $(grep '^This node cannot start: ' /run/said) in
	"This node cannot start: $text"*) ;;
	*) echo "expected: $text"; cat /run/said; exit 1 ;;
	esac
	umount /run/sysroot /run/bedplate/layer /run/bedplate/base 2>/dev/null || true
	[ ! -e /dev/mapper/bedplate-base ] || veritysetup close bedplate-base
	lvm vgchange -q -an >/dev/null
}
END
cat >"$work/make.sh" <<'END'
mkdir -p /run/tree/usr/lib/systemd /run/tree/etc
head -c 8M /dev/urandom >/run/tree/usr/lib/systemd/systemd
head -c 8M /dev/urandom >/run/tree/other
truncate -s 56M /run/image
mke2fs -q -t ext4 -b 4096 -O ^has_journal -d /run/tree /run/image
debugfs -R 'bmap /usr/lib/systemd/systemd 100' /run/image >"$LAB_WORK/block"
veritysetup format /run/image /run/image --hash-offset=$((56 << 20)) --salt=00 |
	sed -n 's/^Root hash:[[:space:]]*//p' >"$LAB_WORK/hash"
lvm vgcreate -q -y --addtag bedplate:vg node /dev/ubda
lvm lvcreate -q -y -L 160m --poolmetadatasize 4m --type thin-pool --addtag bedplate:pool -n pool00 node
lvm lvcreate -q -y -V 64m -T node/pool00 -n n-1 --addtag bedplate:base \
	--addtag bedplate:verity:$((56 << 20)):0:0
dd if=/run/image of=/dev/node/n-1 bs=1M conv=fsync status=none
lvm lvchange -q -y -pr -ky node/n-1
lvm lvchange -q -y -an node/n-1
lvm lvcreate -q -y -V 32m -T node/pool00 -n n-1+1 --addtag bedplate:layer
mke2fs -q -t ext4 /dev/node/n-1+1
mount /dev/node/n-1+1 /mnt
mkdir /mnt/upper /mnt/work
umount /mnt
lvm lvcreate -q -y -V 200m -T node/pool00 -n var --addtag bedplate:volume --addtag bedplate:mount:/var
lvm vgchange -q -an
END

new_disk node 256M
# run: standard input in a guest with that disk, after prepare.sh.
run() {
	cat "$work/prepare.sh" - >"$work/whole.sh"
	in_guest --disk="$work/node" "$@" <"$work/whole.sh"
}

run <"$work/make.sh"
HASH=$(cat "$work/hash")
LAB_ARGS="bedplate.layer=n-1+1 bedplate.roothash=$HASH"
export LAB_ARGS
cp --sparse=always "$work/node" "$work/pristine"

# All is well: what is where, what is written is kept, volumes are active, stateless keeps nothing.
run <<'END'
mount_root $LAB_ARGS
for at in sysroot bedplate/base bedplate/layer; do mountpoint -q "/run/$at"; done
[ -e /dev/mapper/bedplate-base ] && [ -e /dev/node/var ]
[ "$(stat -c %s /run/sysroot/other)" = 8388608 ]
grep ' /run/bedplate/base ext4 ro,' /proc/mounts
grep ' /run/bedplate/layer ext4 rw,.*discard' /proc/mounts
echo kept >/run/sysroot/etc/kept
# Somebody left the emergency shell: the same again.
mount_root $LAB_ARGS
release
mount_root bedplate.stateless $LAB_ARGS
[ ! -e /run/sysroot/etc/kept ] && [ ! -e /dev/node/n-1+1 ] && [ ! -e /dev/node/var ]
echo lost >/run/sysroot/etc/lost
release
mount_root $LAB_ARGS
[ "$(cat /run/sysroot/etc/kept)" = kept ] && [ ! -e /run/sysroot/etc/lost ]
release
END

# The command line does not fit what is there.
run <<'END'
hash=${LAB_ARGS##*=}
refused "layer 'n-1+2' is missing" bedplate.layer=n-1+2 bedplate.roothash=$hash
grep -q '^  Layers that are there: n-1+1\.$' /run/said
refused "base 'n-2' is missing" bedplate.layer=n-2+1 bedplate.roothash=$hash
refused "the kernel command line has no bedplate.roothash=" bedplate.layer=n-1+1
refused "base 'node/n-1' does not have the root hash of the kernel command line" \
	bedplate.layer=n-1+1 bedplate.roothash="$(echo "$hash" | tr 0-9a-f 1-9a-f0)"
grep -q "^  Expected: $(echo "$hash" | tr 0-9a-f 1-9a-f0)$" /run/said
END
# A trial that cannot start restarts the node, which returns to the layer before; others do not.
run <<'END'
hash=${LAB_ARGS##*=}
watchdog=/run/systemd/system.conf.d/00-bedplate-trial.conf
refused "base 'n-2' is missing" bedplate.layer=n-2+1 bedplate.roothash=$hash bedplate.trial=n-2+1
[ "$(tail -n 3 /run/said)" = "This was a trial of layer 'n-2+1': the node returns to the layer before it in 30 seconds.
waited
reboot -f" ]
refused "the kernel command line has no bedplate.roothash=" bedplate.layer=n-2+1 bedplate.trial=n-2+1
[ "$(tail -n 1 /run/said)" = "reboot -f" ]
for trial in '' bedplate.trial= bedplate.trial=n-1+1 'bedplate.trial=n-2+1 bedplate.stateless'; do
	refused "base 'n-2' is missing" bedplate.layer=n-2+1 bedplate.roothash=$hash $trial
	! grep -E '^(reboot|This was)' /run/said || exit 1
done
mount_root $LAB_ARGS
[ ! -e "$watchdog" ]
release
mount_root bedplate.trial=n-1+1 $LAB_ARGS >/run/said
grep -x "modprobe softdog" /run/said
grep -x "RuntimeWatchdogSec=120" "$watchdog"
release
END
# No disk of a node; then two of them with the same base.
new_disk empty 64M
cat "$work/prepare.sh" - >"$work/whole.sh" <<'END'
refused "no disk carries a node, after waiting for 2 seconds" $LAB_ARGS
END
in_guest --disk="$work/empty" <"$work/whole.sh"
new_disk second 128M
run --disk="$work/second" <<'END'
lvm vgcreate -q -y --addtag bedplate:vg other /dev/ubdb
lvm lvcreate -q -y -L 64m -n n-1 --addtag bedplate:base other
mount_root $LAB_ARGS
release
lvm lvcreate -q -y -L 4m -n n-1+1 --addtag bedplate:layer other
refused "the node is there more than once, in the volume groups node other" $LAB_ARGS
END

# damaged TEXT SCRIPT: what SCRIPT does to the node is refused with TEXT.
damaged() {
	cp --sparse=always "$work/pristine" "$work/node"
	{
		echo "lvm vgchange -q -ay -K >/dev/null"
		echo "$2"
		echo "lvm vgchange -q -an >/dev/null"
		echo "refused \"$1\" \$LAB_ARGS"
		# Without the layer it still starts.
		case $1 in
		layer* | thin* | "the file system of layer"*)
			echo "mount_root bedplate.stateless \$LAB_ARGS" ;;
		esac
	} | run
}
writable='lvm lvchange -q -y -an node/n-1; lvm lvchange -q -y -prw node/n-1; lvm lvchange -q -y -ay -K node/n-1'

damaged "the file system of layer 'node/n-1+1' is damaged: " \
	'dd if=/dev/zero of=/dev/node/n-1+1 bs=1M count=32 status=none conv=fsync'
damaged "'node/n-1+1' is no layer: it lacks the folder upper or work" \
	'mount /dev/node/n-1+1 /mnt; rmdir /mnt/work; umount /mnt'
damaged "layer 'node/n-1+1' is full: " \
	'mount /dev/node/n-1+1 /mnt; dd if=/dev/zero of=/mnt/upper/file bs=64k status=none || true; umount /mnt'
damaged "thin pool 'node/pool00' is full or has failed: all " \
	'lvm lvchange -q --errorwhenfull y node/pool00
	dd if=/dev/urandom of=/dev/node/var bs=1M status=none oflag=direct || true'
damaged "base 'node/n-1' does not have the root hash of the kernel command line" \
	"$writable; dd if=/dev/urandom of=/dev/node/n-1 bs=4k count=1 status=none conv=fsync"
damaged "base 'node/n-1' is damaged: " \
	"$writable; dd if=/dev/urandom of=/dev/node/n-1 bs=4k count=1 seek=$(cat "$work/block") \
		status=none conv=fsync"
damaged "base 'node/n-1' cannot be opened through dm-verity: " \
	"$writable; dd if=/dev/zero of=/dev/node/n-1 bs=1M count=1 seek=56 status=none conv=fsync"
damaged "base 'node/n-1' has no tag bedplate:verity:" \
	"lvm lvchange -q -y --deltag bedplate:verity:$((56 << 20)):0:0 node/n-1"
damaged "layer 'n-1+1' is missing" "lvm lvremove -q -y node/n-1+1"
# shellcheck disable=SC2016 # of the guest
metadata='at=$(dmsetup table node-pool00_tmeta | cut -d" " -f5)'
damaged "base 'node/n-1' cannot be activated: " \
	"$metadata; lvm vgchange -q -an
	dd if=/dev/zero of=/dev/ubda bs=4k seek=\$((at / 8 + 1)) count=200 conv=notrunc,fsync status=none"

# Blocks that nothing uses, as a power cut leaves them while somebody gives up a snapshot of the metadata.
cp --sparse=always "$work/pristine" "$work/node"
cp "$lab/leak-counts.py" "$work"
run <<END
lvm vgchange -q -ay -K
$metadata
dmsetup message node-pool00-tpool 0 reserve_metadata_snap
lvm vgchange -q -an
python3 "$work/leak-counts.py" /dev/ubda "\$at"
! lvm lvchange -ay node/pool00 || exit 1
mount_root \$LAB_ARGS >/run/said
release
END
