#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Storage domains in volumes that are not active: those of groups that are to be erased are looked into,
# those of others are not; no byte changes, nothing stays active, also not after a signal.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_uml
export LAB_INVENTORY="$4" LAB_KS="$lab/small.ks"

# refused LABEL TEXT: installing is refused with this.
refused() {
	grep -qxF "$1: $2" "$work/refusals" || fail "'$1: $2' is not in: $(cat "$work/refusals")"
}

# digest DISK...: of the part that something is on.
digest() {
	for disk; do
		head -c 600M "$work/$disk" | sha256sum
	done
}

for disk in a b c d; do
	new_disk $disk 4G
done
in_guest --disk="$work/a" --disk="$work/b" --disk="$work/c" --disk="$work/d" <<'END'
mkdir /run/m
# domain VOLUME: a file system that has a storage domain below a folder.
domain() {
	mke2fs -q -t ext4 "/dev/$1"
	mount "/dev/$1" /run/m
	mkdir -p /run/m/exports/11111111-2222/dom_md
	echo CLASS=Data >/run/m/exports/11111111-2222/dom_md/metadata
	umount /run/m
}
lvm vgcreate -qy plain /dev/ubda
lvm lvcreate -qy -L 64m -n first plain
mke2fs -q -t ext4 /dev/plain/first
lvm lvcreate -qy -L 64m -n second plain
domain plain/second
lvm vgcreate -qy thin /dev/ubdb
lvm lvcreate -qy -L 200m --poolmetadatasize 4m -T thin/pool
lvm lvcreate -qy -V 100m -T thin/pool -n data
domain thin/data
lvm lvchange -qy --setactivationskip y thin/data
lvm vgcreate -qy harmless /dev/ubdc
lvm lvcreate -qy -L 200m --poolmetadatasize 4m -T harmless/pool
lvm lvcreate -qy -V 100m -T harmless/pool -n used
mke2fs -q -t ext4 /dev/harmless/used
lvm lvcreate -qy -L 64m -n nothing harmless
lvm vgcreate -qy broken /dev/ubdd
lvm lvcreate -qy -L 200m --poolmetadatasize 4m -T broken/pool
lvm lvcreate -qy -V 100m -T broken/pool -n lost
lvm lvcreate -qy -L 64m -n good broken
lvm vgchange -qq -an plain thin harmless broken
start=$(lvm lvs -a --noheadings -o seg_pe_ranges 'broken/pool_tmeta' | sed 's/.*:\([0-9]*\)-.*/\1/')
# Not with zeros, which is how a new pool begins.
head -c 4M /dev/zero | tr '\0' '\377' | dd of=/dev/ubdd bs=1M seek=$((start * 4 + 1)) conv=fsync
END
digest a b c d >"$work/before"
in_guest --disk="$work/a" --disk="$work/b" --disk="$work/c" --disk="$work/d" <<'END'
mkdir /run/bin
cat >/run/bin/lvm <<'LVM'
#!/bin/sh
echo "$*" >>/run/calls
/sbin/lvm "$@"
status=$?
case $*:$(cat /run/stop) in
lvchange*--activate=y*:now) kill -TERM $PPID ;;
esac
exit $status
LVM
chmod +x /run/bin/lvm
PATH=/run/bin:$PATH
# try LABEL DISK: what becomes of it, and what is still active then; what LVM was asked for is in
# calls-LABEL.
try() {
	: >/run/calls
	sed "s/ubda/$2/" "$LAB_KS" >/run/ks
	printf '%s: ' "$1"
	"$LAB_INVENTORY" /run/ks 2>&1 >/run/layout || true
	[ ! -s /run/layout ] || echo 'planned'
	dmsetup ls | grep -v '^No devices' || true
	sed -n 's/^lvchange.*--activate=y --ignoreactivationskip \([^-]*\) --.*/y \1/p
		s/^lvchange.*--activate=n \([^-]*\) --.*/n \1/p' /run/calls >"$LAB_WORK/calls-$1"
	sed -n 's/.*\(read_only_volume_list=.*\)}$/\1/p' /run/calls >>"$LAB_WORK/calls-$1"
}
echo >/run/stop
{
	for disk in ubda ubdb ubdc ubdd; do
		try $disk $disk
	done
	echo now >/run/stop
	try stopped ubda
} >"$LAB_WORK/refusals"
END
digest a b c d >"$work/after"
same "$work/after" "$(cat "$work/before")"
refused ubda "/dev/ubda belongs to volume group 'plain', which is or has a storage domain"
refused ubdb "/dev/ubdb belongs to volume group 'thin', which is or has a storage domain"
refused ubdc planned
grep -q "^ubdd: /dev/broken/lost was not searched for a storage domain: it cannot be activated: .*; if \
nothing of volume group 'broken' is needed: wipefs --all /dev/ubdd\$" "$work/refusals" ||
	fail "a broken pool is not refused: $(cat "$work/refusals")"
refused stopped "interrupted by SIGTERM"
[ "$(wc -l <"$work/refusals")" -eq 5 ] || fail "something stays active: $(cat "$work/refusals")"
same "$work/calls-ubda" 'y plain/first plain/second
n plain/first plain/second
read_only_volume_list=["plain/first","plain/second"]'
same "$work/calls-ubdb" 'y thin/data
n thin/data'
same "$work/calls-stopped" "$(cat "$work/calls-ubda")"

# Two paths to one disk: LVM knows the group of one of them.
cp --sparse=always "$work/b" "$work/copy"
in_guest --disk="$work/b" --disk="$work/copy" <<'END'
for disk in ubda ubdb; do
	sed "s/ubda/$disk/" "$LAB_KS" >/run/ks
	printf '%s: ' $disk
	"$LAB_INVENTORY" /run/ks 2>&1 >/run/layout || true
	[ ! -s /run/layout ] || echo planned
done >"$LAB_WORK/refusals"
END
same='have the same LVM physical volume: they are one disk, or a disk and its copy; if nothing on them is needed'
refused ubda "/dev/ubda and /dev/ubdb $same: wipefs --all /dev/ubda"
refused ubdb "/dev/ubdb and /dev/ubda $same: wipefs --all /dev/ubdb"
