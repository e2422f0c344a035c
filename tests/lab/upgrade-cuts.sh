#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The power fails during an upgrade and its rollbacks: what boots is the old or the new one, whole, and
# nothing else was touched.  In each step by ending the machine; and at LAB_CUTS moments, and each flush
# of the commit, by replaying what reached the disk.  What decides is /boot and LVM's metadata: of moments
# since which only the pool was written to, one in four is recovered from, of the others the pool is checked.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_uml
requires command -v thin_check
requires command -v debugfs
# shellcheck source=image.sh
. "$lab/image.sh"
LAB_REPLAY=$LAB_DRIVER
LAB_CUTS=${LAB_CUTS:-12}
export LAB_REPLAY LAB_CUTS

# next_image FOLDER VERSION: out of $tree.
next_image() {
	echo "{\"name\": \"lab\", \"version\": \"$2\", \"arch\": \"amd64\", \"source_date\": 0}" >"$tree/usr/lib/bedplate/image.json"
	make_rootfs "$work/rootfs-$2.img" 32
	make_image "$work/$1" "$2" "$work/rootfs-$2.img"
	cp "$tree/boot/vmlinuz-6.1-lab" "$work/kernel-$2"
}

make_tree
mkdir -p "$tree/etc/bedplate"
next_image one 1
dd if=/dev/urandom of="$tree/boot/vmlinuz-6.1-lab" bs=1M count=2 status=none
next_image two 2

cat >"$work/node.ks" <<END_KS
text
timezone Etc/UTC --utc
rootpw --lock
zerombr
ignoredisk --only-use=ubda
clearpart --all --initlabel --drives=ubda
part biosboot --fstype=biosboot --size=1
part /boot/efi --fstype=efi --size=64
part /boot --fstype=ext4 --size=128
part pv.01 --size=1024 --grow
volgroup bedplate pv.01
logvol none --vgname=bedplate --name=pool00 --thinpool --size=1024 --metadatasize=8 --chunksize=64
logvol / --vgname=bedplate --name=root --thin --poolname=pool00 --fstype=ext4 --size=256
logvol /var --vgname=bedplate --name=var --thin --poolname=pool00 --fstype=ext4 --size=128
bootloader --append="lab.ks=1"
network --hostname=lab.test
liveimg --url=file://$work/one/lab-1.squashfs.img
reboot
END_KS

cat >"$work/guest-lib" <<'END'
old=lab-1+1
new=lab-2+1
nodectl=$LAB_NODECTL
export LVM_SUPPRESS_FD_WARNINGS=1
mkdir -p /run/see /run/mnt
# only DEVICE: LVM and blkid see no other disk.
only() {
	printf 'devices { global_filter = ["a|^%s|", "r|.*|"] }\n' "$1" \
		>"$LVM_SYSTEM_DIR/lvm.conf"
	for disk in /dev/ubd?; do
		partx -d "$disk" 2>/dev/null || :
	done
}
# quiet COMMAND...: its output only if it fails.
quiet() {
	"$@" >/run/out 2>&1 || {
		cat /run/out
		return 1
	}
}
# as_disk DEVICE: as /dev/loop0, with its partitions.
as_disk() {
	losetup -P --direct-io=on /dev/loop0 "$1"
}
boot_files() {
	(cd "$1" && sha256sum "$2/bedplate.cfg" "$2/vmlinuz" "$2/initramfs.img")
}
volumes() {
	lvm lvs --noheadings -o lv_name,lv_tags bedplate | sed 's/^ *//; s/ *$//; s/  */ /g' | sort
}
# choice FILE: the default and the layer that is booted, of a grubenv.
choice() {
	trial=$(sed -n 's/^trial=//p' "$1")
	[ "$(sed -n 's/^tries=//p' "$1")" = 3 ] || trial=
	default=$(sed -n 's/^default=//p' "$1")
	echo "$default ${trial:-$default}"
}
wrong() {
	set +x
	echo "WRONG, $moment: $*"
	cat /run/mended /run/journal 2>/dev/null || :
	volumes || :
	exit 1
}
# as_grub: what GRUB reads, which knows nothing of a journal, nor of bitmaps (-c).
as_grub() {
	rm -rf /run/see/*
	debugfs -c -R 'dump /grub/grubenv /run/see/grubenv' /dev/loop0p3 2>/dev/null
	[ "$(stat -c %s /run/see/grubenv)" = 1024 ] || wrong "GRUB reads no grubenv"
	[ "$(head -n 1 /run/see/grubenv)" = '# GRUB Environment Block' ] || wrong "grubenv is damaged"
	state=$(choice /run/see/grubenv)
	boots=${state#* }
	mkdir -p "/run/see/$boots"
	for name in bedplate.cfg vmlinuz initramfs.img; do
		echo "dump /$boots/$name /run/see/$boots/$name"
	done >/run/see/commands
	debugfs -c -f /run/see/commands /dev/loop0p3 >/dev/null 2>&1
	boot_files /run/see "$boots" >/run/see/sums 2>/run/mended || wrong "GRUB cannot read what it boots"
	diff /run/see/sums "$LAB_WORK/sums-$boots" || wrong "GRUB reads another entry of $boots"
}
# activate [-K] VOLUME...: as LVM does by itself, or as the initramfs and nodectl make it.
activate() {
	lvm lvchange -q -ay "$@" >/run/out 2>&1 ||
		lvm lvchange -q -ay "$@" --config \
			'global{thin_check_options=["-q","--ignore-non-fatal-errors"]}' >/run/out 2>&1 ||
		wrong "$* cannot be used: $(cat /run/out)"
}
# activate_boot: what the initramfs does, which knows nothing of volumes that are not complete.
activate_boot() {
	# shellcheck disable=SC2046 # words
	activate -K "bedplate/${boots%+*}" "bedplate/$boots" $(lvm lvs --noheadings \
		-o vg_name,lv_name --separator=/ -S "tags=bedplate:volume" bedplate)
}
# allowed PHASE: grubenv is as before or as after, and never goes back.
allowed() {
	case $1 in
	upgrade | try) before="$old $old" after="$old $new" ;;
	stage) before="$old $old" after= ;;
	off) before="$old $new" after="$old $old" ;;
	to) before="$old $old" after="$new $new" ;;
	back) before="$new $new" after="$old $old" ;;
	esac
	case $state in
	"$before") passed=0 ;;
	"$after") passed=1 ;;
	*) wrong "grubenv says '$state', expected '$before' or '$after'" ;;
	esac
}
# mend: by hand, or at a boot.
mend() {
	if [ "$1" = recover ]; then
		"$nodectl" recover >/run/mended 2>&1 || wrong "recover failed"
		return
	fi
	activate_boot
	param=
	[ "${state% *}" = "$boots" ] || param=bedplate.trial=$boots
	echo "bedplate.layer=$boots $param" >/run/cmdline
	"$nodectl" boot-early -v >/run/mended 2>&1 || wrong "boot-early failed"
	if grep -v 'warning: mended: ' /run/mended | grep -e warning -e failed; then wrong "boot-early warns"; fi
	echo >/run/cmdline
}
# one_base BASE: it is the image, read by whoever opens it.
one_base() {
	image=$LAB_WORK/rootfs-${1#lab-}.img
	lvm lvchange -q -ay -K "bedplate/$1" || wrong "base $1"
	cmp -n "$(stat -c %s "$image")" "$image" "/dev/bedplate/$1" || wrong "base $1 is not the image"
}
# one_layer LAYER: its entry and its volume are whole.
one_layer() {
	boot_files /run/mnt "$1" | diff - "$LAB_WORK/sums-$1" || wrong "the boot entry of $1"
	umount /run/mnt
	mount -t ext4 -o ro "/dev/bedplate/$1" /run/mnt || wrong "layer $1"
	grep -q 'hello from the administrator' /run/mnt/upper/etc/motd || wrong "file of layer $1"
	jq -e --arg layer "$1" '.layer == $layer' /run/mnt/upper/usr/lib/bedplate/factory.json >/dev/null ||
		wrong "layer $1 is not whole"
	umount /run/mnt
	mount -t ext4 -o ro /dev/loop0p3 /run/mnt
}
# inspect PHASE: after it was mended.
inspect() {
	volumes >/run/volumes
	layers="$old $new"
	[ "$1 $passed" != 'upgrade 0' ] || layers=$old
	# That it is staged may not have reached the disk.
	staged=
	if [ "$1" = stage ] && cmp -s "$LAB_WORK/volumes-upgrade-0" /run/volumes; then
		layers=$old
	elif [ "$1" = stage ]; then
		staged=yes
	fi
	# The snapshot of /var that a rollback takes may stay when it was cut off.
	case $1 in
	to | back) cmp -s "$LAB_WORK/volumes-$1-1" /run/volumes ;;
	try) cmp -s "$LAB_WORK/volumes-to-1" /run/volumes ;;
	stage) [ -z "$staged" ] ;;
	*) false ;;
	esac || diff "$LAB_WORK/volumes-$1-$passed" /run/volumes || wrong "volumes"
	activate bedplate
	mount -t ext4 -o ro /dev/loop0p3 /run/mnt || wrong "/boot"
	cp /run/mnt/bedplate/journal.json /run/journal 2>/dev/null || rm -f /run/journal
	[ "$(choice /run/mnt/grub/grubenv)" = "$state" ] || wrong "mending changed what boots"
	diff -r "$LAB_WORK/foreign" /run/mnt/lab-9+1 || wrong "foreign folder"
	folders=$(cd /run/mnt && echo lab-[12]*)
	[ "$folders" = "$layers" ] || wrong "boot folders: $folders"
	for layer in $layers; do
		one_layer "$layer"
	done
	umount /run/mnt
	cmp -n 1048576 /dev/bedplate/guest "$LAB_WORK/foreign/file" || wrong "foreign volume"
	mount -t ext4 -o ro /dev/bedplate/var /run/mnt || wrong "/var"
	cmp /run/mnt/kept "$LAB_WORK/foreign/file" || wrong "a file of /var"
	umount /run/mnt
}
# thorough: bases, file systems, and nothing is left to mend.
thorough() {
	for layer in $layers; do
		one_base "${layer%+*}"
	done
	for device in /dev/loop0p3 /dev/bedplate/var "/dev/bedplate/$boots"; do
		quiet e2fsck -fn "$device" || wrong "file system of $device"
	done
	"$nodectl" recover | grep -qx 'There is nothing to do.' || wrong "once more there is something to do"
}
# again PHASE: the same upgrade, to the end.
again() {
	case $1 in
	upgrade | stage) ;;
	*) return 0 ;;
	esac
	[ $passed -eq 0 ] || quiet "$nodectl" rollback || wrong "rollback"
	if [ -n "$staged" ]; then
		quiet "$nodectl" activate || wrong "activate"
	else
		quiet "$nodectl" upgrade "$LAB_WORK/two/lab-2.squashfs.img" --allow-unsigned --yes ||
			wrong "second try"
	fi
	mount -t ext4 -o ro /dev/loop0p3 /run/mnt
	case $(choice /run/mnt/grub/grubenv) in
	"$old lab-2+"?) ;;
	*) wrong "the second try is not what boots" ;;
	esac
	umount /run/mnt
	tries=$((tries + 1))
}
# glance DEVICE PHASE: what boots, and that the pool can be used.
glance() {
	as_disk "$1"
	as_grub
	allowed "$2"
	losetup -d /dev/loop0
	# shellcheck disable=SC2046 # words
	set -- "$1" $(cat "$LAB_WORK/pool-metadata")
	dmsetup create --readonly metadata --table "0 $3 linear $1 $2"
	thin_check -q --ignore-non-fatal-errors /dev/mapper/metadata || wrong "metadata of the pool"
	dmsetup remove --retry metadata
}
# look DEVICE PHASE HOW DEPTH: one disk after a cut.
look() {
	as_disk "$1"
	as_grub
	allowed "$2"
	mend "$3"
	inspect "$2"
	[ "$4" = quick ] || thorough
	[ "$4" != again ] || again "$2"
	lvm vgchange -q -an bedplate >/dev/null 2>&1 || wrong "volumes are in use"
	losetup -d /dev/loop0
}
prepare_looks() {
	tries=0
	mkdir -p /boot
	echo >/run/cmdline
	mount --bind /run/cmdline /proc/cmdline
}
END

new_disk disk 2G
mkdir "$work/foreign"
head -c 1048576 /dev/urandom >"$work/foreign/file"
in_guest --disk="$work/disk" --memory=768 <<'END'
"$LAB_NODECTL" install --kickstart="$LAB_WORK/node.ks" --yes >/run/out 2>&1 || { cat /run/out; exit 1; }
. "$LAB_WORK/guest-lib"
lvm vgchange -q -ay --sysinit bedplate
mount /dev/bedplate/$old /run/mnt
echo 'hello from the administrator' >/run/mnt/upper/etc/motd
umount /run/mnt
mount /dev/bedplate/var /run/mnt
cp "$LAB_WORK/foreign/file" /run/mnt/kept
umount /run/mnt
lvm lvcreate -q -y -L 4m -n guest bedplate
dd if="$LAB_WORK/foreign/file" of=/dev/bedplate/guest conv=fsync 2>/dev/null
mount -t ext4 /dev/ubda3 /run/mnt
cp -r "$LAB_WORK/foreign" /run/mnt/lab-9+1
umount /run/mnt
lvm vgchange -q -an bedplate
END

# All of it, recorded.
cp --sparse=always "$work/disk" "$work/recorded"
cp --sparse=always "$work/disk" "$work/replayed"
new_disk log 2G
in_guest --disk="$work/recorded" --disk="$work/log" --memory=768 <<'END'
. "$LAB_WORK/guest-lib"
only /dev/loop0
modprobe dm-log-writes
dmsetup create recorded --table "0 $(blockdev --getsz /dev/ubda) log-writes /dev/ubda /dev/ubdb"
mark() {
	sync
	dmsetup message recorded 0 mark "$1"
}
# phase NAME ARG...: what nodectl does, and the volumes before and after it.
phase() {
	mark "$1"
	volumes >"$LAB_WORK/volumes-$1-0"
	name=$1
	shift
	quiet "$nodectl" "$@"
	volumes >"$LAB_WORK/volumes-$name-1"
}
as_disk /dev/mapper/recorded
phase upgrade upgrade "$LAB_WORK/two/lab-2.squashfs.img" --allow-unsigned --yes
phase off rollback
# As its trial would have ended: it boots for good then.
mount -t ext4 /dev/loop0p3 /run/mnt
found_good="$(tail -n 1 /run/mnt/bedplate/history.jsonl |
	jq -c --arg old $old --arg new $new '.operation = "upgrade" | .from = $old | .to = $new | .result = "blessed"')"
echo "$found_good" >>/run/mnt/bedplate/history.jsonl
umount /run/mnt
phase to rollback --to=$new
phase back rollback
mark end
mount -t ext4 -o ro /dev/loop0p3 /run/mnt
for layer in $old $new; do
	boot_files /run/mnt $layer >"$LAB_WORK/sums-$layer"
	cmp "$LAB_WORK/kernel-$(expr $layer : 'lab-\(.\)')" /run/mnt/$layer/vmlinuz
done
umount /run/mnt
# place NAME: first sector and sectors on the disk of a volume that is in one piece.
place() {
	dmsetup table "bedplate-$1" >/run/table
	read -r _ sectors type _ at </run/table
	[ "$type $(wc -l </run/table)" = 'linear 1' ]
	echo "$((at + $(cat /sys/class/block/loop0p4/start))) $sectors"
}
place pool00_tdata >"$LAB_WORK/pool-data"
place pool00_tmeta >"$LAB_WORK/pool-metadata"
lvm vgchange -q -an bedplate
losetup -d /dev/loop0
dmsetup remove --retry recorded
# shellcheck disable=SC2046 # words
"$LAB_REPLAY" points /dev/ubdb "$LAB_CUTS" $(cat "$LAB_WORK/pool-data" "$LAB_WORK/pool-metadata") \
	>"$LAB_WORK/points"
END
grep -q '^[0-9]* upgrade commit ' "$work/points" || fail "no commit was recorded: $(cat "$work/points")"
grep -q '^[0-9]* upgrade flush ' "$work/points" || fail "no flush was recorded: $(cat "$work/points")"

# Real ones: nodectl is stopped in the step, and the machine ends.
cat >"$work/step.sh" <<'END'
. "$LAB_WORK/guest-lib"
# until_step OPERATION STEP ARG...: what the journal of that run of nodectl says.
until_step() {
	operation=$1 step=$2
	shift 2
	"$nodectl" "$@" >/run/out 2>&1 &
	pid=$!
	journal=/proc/$pid/root/run/bedplate/site/boot/bedplate/journal.json
	while kill -0 $pid 2>/dev/null; do
		{ text=$(cat "$journal"); } 2>/dev/null || continue
		case $text in
		*'"operation": "'$operation'"'*'"step": "'$step'"'*) break ;;
		esac
	done
	kill -STOP $pid 2>/dev/null || :
	echo "at $operation $step"
	sleep 60
}
set -e
upgrade="upgrade $LAB_WORK/two/lab-2.squashfs.img --allow-unsigned --yes"
case $step in
staged) until_step upgrade staged $upgrade --stage ;;
activate)
	quiet "$nodectl" $upgrade --stage
	until_step upgrade layer activate
	;;
rollback)
	quiet "$nodectl" $upgrade
	quiet "$nodectl" rollback
	until_step rollback commit rollback --to=$new
	;;
*) until_step upgrade $step $upgrade ;;
esac
END
disks=
grep -v '^var\.' "$work/volumes-upgrade-1" >"$work/volumes-stage-0"
cp "$work/volumes-to-0" "$work/volumes-try-0"
cp "$work/volumes-to-1" "$work/volumes-try-1"
for step in base layer boot staged activate commit trial rollback; do
	cp --sparse=always "$work/disk" "$work/cut-$step"
	disks="$disks --disk=$work/cut-$step"
	{
		echo "step=$step"
		cat "$work/step.sh"
	} >"$work/cut.sh"
	guest --disk="$work/cut-$step" --memory=768 --cut-at="at " <"$work/cut.sh"
	[ "$guest_status" -eq 137 ] || fail "cut in $step: $guest_status $(tail "$work/out" "$work/err")"
done
# shellcheck disable=SC2086 # words by construction
in_guest $disks --memory=768 <<'END'
set +x
. "$LAB_WORK/guest-lib"
prepare_looks
only /dev/loop0
disk=/dev/ubda
for step in base layer boot staged activate commit trial rollback; do
	phase=upgrade how=recover depth=thorough
	moment="machine ended in $step"
	case $step in
	base | trial) depth=again ;;
	layer | commit) how=boot ;;
	staged | activate) phase=stage depth=again ;;
	rollback) phase=try ;;
	esac
	look $disk $phase $how $depth
	echo "$(cut -d' ' -f1 /proc/uptime) $moment: $boots, $how, $depth"
	disk=/dev/ubd$(echo "${disk#/dev/ubd}" | tr a-g b-h)
done
END
grep 'machine ended' "$work/out"

new_disk cow 1G
in_guest --disk="$work/replayed" --disk="$work/log" --disk="$work/cow" --memory=768 --timeout=3000 <<'END'
set +x
. "$LAB_WORK/guest-lib"
only /dev/loop0
modprobe dm-snapshot
prepare_looks
at=0 tried=0 seen=0 olds=0 news=0 last_phase= last_passed=0
while read -r to phase why written <&5; do
	moment="after write $to ($phase, $why)"
	"$LAB_REPLAY" apply /dev/ubdb /dev/ubda $at $to
	at=$to
	how=recover depth=quick
	[ $((tried % 2)) -eq 0 ] || how=boot
	[ $((tried % 8)) -ne 3 ] || depth=thorough
	[ $((tried % 16)) -ne 6 ] || depth=again
	if [ $written != more ] && [ $((seen % 4)) -ne 3 ]; then
		how=none depth=glance
		glance /dev/ubda $phase
		seen=$((seen + 1))
	else
		[ $written = more ] || seen=$((seen + 1))
		dmsetup create cut --table \
			"0 $(blockdev --getsz /dev/ubda) snapshot /dev/ubda /dev/ubdc N 16"
		look /dev/mapper/cut $phase $how $depth
		dmsetup remove --retry cut
		tried=$((tried + 1))
	fi
	if [ "$phase" = "$last_phase" ] && [ $passed -lt $last_passed ]; then
		wrong "what boots has changed back"
	fi
	last_phase=$phase last_passed=$passed
	case $boots in
	"$old") olds=$((olds + 1)) ;;
	*) news=$((news + 1)) ;;
	esac
	echo "$(cut -d' ' -f1 /proc/uptime) $moment: $boots, $how, $depth"
done 5<"$LAB_WORK/points"
echo "replayed: $(wc -l <"$LAB_WORK/points") cuts, $olds boot the old layer, $news the new one;" \
	"recovered from $tried, $tries second tries" | tee "$LAB_WORK/summary"
END
cat "$work/summary"
