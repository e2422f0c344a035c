#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Mount the root of an installed node: base through dm-verity, layer, overlay on /sysroot.
# What goes wrong is explained on all consoles and in the journal, then the unit fails, which starts
# the emergency path.  docs/node.md has the names, docs/boot.md the story.
# shellcheck source=/dev/null
. /lib/dracut-lib.sh
# shellcheck source=lib.sh
. /usr/lib/bedplate/lib.sh

wait_seconds=$(getargnum 60 1 3600 rd.retry)
run=/run/bedplate
mapper=bedplate-base
# Below this a layer is full: systemd could not even write its machine-id.
free_min_bytes=1048576
free_min_inodes=16
trial_seconds=30
watchdog_seconds=120

# fail WHAT LINE...: say what is wrong and what can be done, and give up.
fail() {
	{
		echo "This node cannot start: $1."
		shift
		for line; do
			echo "  $line"
		done
	} >$run/why
	tell $run/why
	[ -z "$trial" ] || return_to_layer_before
	exit 1
}

# Whoever started this trial may be far away, and the layer before it is still there.
return_to_layer_before() {
	echo "This was a trial of layer '$trial': the node returns to the layer before it" \
		"in $trial_seconds seconds." >$run/why
	tell $run/why
	sleep $trial_seconds
	reboot -f || reboot -ff
}

# A trial in which systemd or the kernel hangs ends by a watchdog; systemd of the real root reads this.
start_watchdog() {
	[ -c /dev/watchdog0 ] || modprobe softdog || return 0
	mkdir -p /run/systemd/system.conf.d
	printf '[Manager]\nRuntimeWatchdogSec=%s\n' $watchdog_seconds \
		>/run/systemd/system.conf.d/00-bedplate-trial.conf
}

# ran COMMAND...: its output goes to the journal, the last line of it into $said when it fails.
ran() {
	"$@" >$run/output 2>&1 && return 0
	cat $run/output
	said=$(tail -n 1 $run/output)
	return 1
}

other_entry='choose another entry in the boot menu'
stateless_hint="in the boot menu, press e and add bedplate.stateless to the line that starts with linux:
  the node then runs without its layer, and nothing is kept"

# has_tag LIST TAG
has_tag() {
	case ",$1," in
	*",$2,"*) return 0 ;;
	esac
	return 1
}

# What an attempt before this one has left, when somebody left the emergency shell.
clean_up() {
	for path in "$NEWROOT" $run/layer $run/base; do
		! mountpoint -q "$path" || umount "$path"
	done
	[ ! -e /dev/mapper/$mapper ] || veritysetup close $mapper
}

# has_word LIST WORD
has_word() {
	case " $1 " in
	*" $2 "*) return 0 ;;
	esac
	return 1
}

# with_tag TAG: "GROUP NAME TAGS POOL" of all volumes of nodes that have it.
with_tag() {
	while IFS='|' read -r group name group_tags tags in_pool; do
		! has_tag "$group_tags" bedplate:vg || ! has_tag "$tags" "$1" ||
			echo "${group##* } $name $tags $in_pool"
	done <$run/volumes
}

# Look for base and layer, which are in one group.  Sets groups (where they are), seen (layers), and
# of the last group vg, base_tags, pool.
find_volumes() {
	groups='' seen='' in_groups='' has_base=''
	lvm lvs --nohints --readonly --noheadings --separator '|' \
		--options vg_name,lv_name,vg_tags,lv_tags,pool_lv >$run/volumes 2>$run/output
	with_tag bedplate:layer >$run/list
	while read -r group name _; do
		seen="$seen $name"
		[ "$name" != "$layer" ] || in_groups="$in_groups $group"
	done <$run/list
	with_tag bedplate:base >$run/list
	while read -r group name tags in_pool; do
		[ "$name" = "$base" ] || continue
		has_base=yes
		[ -n "$stateless" ] || has_word "$in_groups" "$group" || continue
		groups="$groups $group"
		vg=$group base_tags=$tags pool=$in_pool
	done <$run/list
	[ -n "$groups" ]
}

wait_for_volumes() {
	deadline=$(($(now) + wait_seconds))
	until find_volumes; do
		if [ "$(now)" -ge $deadline ]; then
			cat $run/output
			fail "$(what_is_missing)" \
				"Layers that are there:${seen:- none}." \
				"Is every disk there?  Otherwise $other_entry."
		fi
		sleep 0.5
	done
	[ "$groups" = " $vg" ] ||
		fail "the node is there more than once, in the volume groups$groups" \
			"Remove all but one of the disks they are on."
}

what_is_missing() {
	if [ -z "$seen$has_base" ]; then
		echo "no disk carries a node, after waiting for $wait_seconds seconds"
	elif [ -z "$has_base" ]; then
		echo "base '$base' is missing"
	else
		echo "layer '$layer' is missing"
	fi
}

# The only pool that is active in the initramfs is ours.
check_pool() {
	ran dmsetup status --target thin-pool || fail "thin pool '$vg/$pool' does not answer: $said"
	read -r _ _ _ _ _ metadata data _ mode _ <$run/output
	full=
	[ "${data%/*}" != "${data#*/}" ] || full="all $data blocks of data are used"
	[ "${metadata%/*}" != "${metadata#*/}" ] || full="all $metadata blocks of metadata are used"
	[ -n "$full" ] || [ "$mode" = rw ] || full="its state is '$mode'"
	[ -z "$full" ] ||
		fail "thin pool '$vg/$pool' is full or has failed: $full" \
			"Layer '$layer' cannot be written to.  To make room: lvextend (the volume group has" \
			"free space), or lvremove (a volume that is not needed)." \
			"Or $stateless_hint."
}

# Blocks that nothing uses are no reason not to start: an orderly poweroff may leave one.  thin_check calls them
# an error all the same, and LVM would refuse the pool.
thin_check='global{thin_check_options=["-q","--ignore-non-fatal-errors"]}'

# The volumes of /etc/fstab are activated along: one command, and nobody has to wait for them later.
activate() {
	set -- "$vg/$base"
	if [ -z "$stateless" ]; then
		set -- "$@" "$vg/$layer"
		with_tag bedplate:volume >$run/list
		while read -r group name _; do
			[ "$group" != "$vg" ] || set -- "$@" "$vg/$name"
		done <$run/list
	fi
	ran lvm lvchange --nohints --ignoremonitoring --yes -ay -K --config "$thin_check" "$@" || :
	[ -e "/dev/$vg/$base" ] ||
		fail "base '$vg/$base' cannot be activated: $said" "Is every disk there?"
	[ -z "$stateless" ] || return 0
	[ -e "/dev/$vg/$layer" ] ||
		fail "layer '$vg/$layer' cannot be activated: $said" \
			"To start without it, $stateless_hint."
	check_pool
}

open_base() {
	value=${base_tags##*bedplate:verity:}
	value=${value%%,*}
	hash_offset=${value%%:*}
	fec_roots=${value##*:}
	fec_offset=${value#*:}
	fec_offset=${fec_offset%%:*}
	device=/dev/$vg/$base
	case "$hash_offset$fec_offset$fec_roots" in
	'' | *[!0-9]*)
		fail "base '$vg/$base' has no tag bedplate:verity:HASH-OFFSET:FEC-OFFSET:FEC-ROOTS" \
			"$other_entry" ;;
	esac

	set -- --hash-offset="$hash_offset"
	[ "$fec_offset" = 0 ] ||
		set -- "$@" --fec-device="$device" --fec-offset="$fec_offset" --fec-roots="$fec_roots"
	ran veritysetup open "$device" $mapper "$device" "$hash" "$@" ||
		fail "base '$vg/$base' cannot be opened through dm-verity: $said" \
			"The base or its hash tree is damaged; $other_entry."
	ran dd if=/dev/mapper/$mapper of=/dev/null bs=4096 count=1 ||
		fail "base '$vg/$base' does not have the root hash of the kernel command line" \
			"Expected: $hash" \
			"The menu entry is of another image, or the base is damaged; $other_entry."
}

damaged() {
	fail "base '$vg/$base' is damaged: $1" \
		"dm-verity refuses blocks that are not those of the image; see dmesg." \
		"$other_entry; reinstall, or write this base again."
}

mount_base() {
	ran mount -t ext4 -o ro /dev/mapper/$mapper $run/base || damaged "$said"
}

mount_layer() {
	if [ -n "$stateless" ]; then
		ran mount -t tmpfs -o mode=0755 bedplate-stateless $run/layer ||
			fail "no tmpfs for the upper half of root: $said"
		mkdir $run/layer/upper $run/layer/work
		return
	fi
	device=/dev/$vg/$layer
	e2fsck -p "$device" >$run/output 2>&1
	status=$?
	cat $run/output
	[ $status -lt 4 ] ||
		fail "the file system of layer '$vg/$layer' is damaged: $(tail -n 1 $run/output)" \
			"To repair it: e2fsck -f $device." \
			"To start without it, $stateless_hint."
	ran mount -t ext4 -o discard "$device" $run/layer ||
		fail "layer '$vg/$layer' cannot be mounted: $said" "To start without it, $stateless_hint."
	[ -d $run/layer/upper/../work ] ||
		fail "'$vg/$layer' is no layer: it lacks the folder upper or work" "$other_entry"
	# What "nodectl plugin" was trying when the power went is of no use, and may have filled it.
	ran rm -rf $run/layer/.plugin-stage || echo "$run/layer/.plugin-stage stays: $said"
	check_room
}

check_room() {
	# shellcheck disable=SC2046
	set -- $(stat -f -c '%f %S %d' $run/layer)
	[ $(($1 * $2)) -lt $free_min_bytes ] || [ "$3" -lt $free_min_inodes ] || return 0
	fail "layer '$vg/$layer' is full: $(($1 * $2 / 1024)) KiB and $3 inodes are free" \
		"It is mounted on $run/layer; remove what is not needed below $run/layer/upper." \
		"Or $stateless_hint."
}

mount_root() {
	options=metacopy=off,index=off,redirect_dir=off,xino=auto
	ran mount -t overlay -o \
		lowerdir=$run/base,upperdir=$run/layer/upper,workdir=$run/layer/work,$options \
		bedplate "$NEWROOT" || fail "layer '$vg/$layer' over base '$vg/$base': $said" "$other_entry"
	# Damage here would show as a kernel panic without a word of why.
	for file in "$NEWROOT"/usr/lib/systemd/systemd "$NEWROOT"/usr/lib/*/systemd/lib*.so \
		"$NEWROOT"/usr/lib/*/libc.so.6 "$NEWROOT"/usr/lib/*/ld-linux*; do
		[ -e "$file" ] || continue
		ran dd if="$file" of=/dev/null bs=1M || damaged "$said"
	done
}

NEWROOT=${NEWROOT:-/sysroot}
mkdir -p $run/base $run/layer
layer=$(getarg bedplate.layer=)
base=${layer%+*}
hash=$(getarg bedplate.roothash=)
stateless=
! getargbool 0 bedplate.stateless || stateless=yes
# The menu may name a trial and boot something else, and who adds that word is there.
trial=$(getarg bedplate.trial=)
[ "$trial" = "$layer" ] && [ -z "$stateless" ] || trial=
[ -n "$hash" ] || fail "the kernel command line has no bedplate.roothash=" "$other_entry"

clean_up
wait_for_volumes
activate
open_base
mount_base
mount_layer
mount_root
[ -z "$trial" ] || start_watchdog
rm -f $run/why $run/output $run/volumes $run/list
echo "root is layer '$vg/$layer'${stateless:+ (not used: stateless)} over base '$vg/$base'"
