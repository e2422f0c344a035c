#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compare every file of the medium we were booted from with its SHA256SUMS, and the edges of an ISO
# (src/media/edges.h) with their digest, give a verdict, reboot.
# shellcheck source=/dev/null
. /lib/dracut-lib.sh
# shellcheck source=lib.sh
. /usr/lib/bedplate/lib.sh

wait_seconds=60
progress_seconds=5
run=/run/bedplate
medium=$run/medium
field_at=33651 # in an ISO: what says where its edges are
field_bytes=512

say() {
	echo "$*" >$run/message
	tell $run/message
}

# Ends with a reboot: when somebody presses Enter on any console, or after a minute.
finish() {
	umount $medium 2>/dev/null
	say "$*
Press Enter to restart, or wait $wait_seconds seconds."
	for console in $(consoles); do
		(read -r _ <"/dev/$console" && : >$run/enter) 2>/dev/null &
	done
	deadline=$(($(now) + wait_seconds))
	until [ -e $run/enter ] || [ "$(now)" -ge $deadline ]; do
		sleep 1
	done
	reboot -f
	exit 0
}

# The device that the kernel command line says we were booted from.
device_link() {
	root=$(getarg root=)
	root=${root#live:}
	case $root in
	CDLABEL=* | LABEL=*) echo "/dev/disk/by-label/${root#*LABEL=}" ;;
	UUID=*) echo "/dev/disk/by-uuid/${root#UUID=}" ;;
	PARTUUID=*) echo "/dev/disk/by-partuuid/${root#PARTUUID=}" ;;
	PARTLABEL=*) echo "/dev/disk/by-partlabel/${root#PARTLABEL=}" ;;
	/dev/*) echo "$root" ;;
	esac
}

mount_medium() {
	device=$(device_link)
	[ -n "$device" ] || finish "No medium to check: root=$(getarg root=) is none."
	deadline=$(($(now) + wait_seconds))
	until [ -b "$device" ]; do
		[ "$(now)" -lt $deadline ] || finish "This medium cannot be checked: no device $device."
		sleep 1
	done
	mkdir -p $medium
	mount -o ro "$device" $medium 2>$run/output ||
		finish "This medium is damaged: $(tail -n 1 $run/output)"
	[ -f $medium/SHA256SUMS ] || finish "This medium is damaged: there is no file SHA256SUMS."
	cat $medium/SHA256SUMS >$run/sums 2>$run/output ||
		finish "This medium is damaged: $(tail -n 1 $run/output)"
}

is_iso() {
	while read -r _ where type _; do
		[ "$where" != $medium ] || [ "$type" != iso9660 ] || return 0
	done </proc/mounts
	return 1
}

# The disk that a partition is on, or the device itself: a stick that has become an ISO has its label
# on a partition as well.
whole_disk() {
	disk=$(readlink -f "$1")
	sys=$(readlink -f "/sys/class/block/${disk##*/}")
	[ ! -e "$sys/partition" ] || {
		sys=${sys%/*}
		disk=/dev/${sys##*/}
	}
	echo "$disk"
}

# bytes AT COUNT: of the disk
bytes() {
	dd if="$disk" bs=64k iflag=skip_bytes,count_bytes skip="$1" count="$2" 2>/dev/null
}

edges_sum() {
	{
		bytes 0 $field_at
		printf "%${field_bytes}s" ''
		bytes $((field_at + field_bytes)) $(($1 - field_at - field_bytes))
		bytes $(($2 - $3)) "$3"
	} | sha256sum
}

edges_are_damaged() {
	finish "This medium is damaged: its boot sectors are not what they were when it was made."
}

check_edges() {
	disk=$(whole_disk "$device")
	bytes $field_at $field_bytes >$run/field
	read -r magic size head tail sum <$run/field
	[ "$magic" = bedplate-edges ] ||
		finish "This medium is damaged: its boot sectors have no checksum."
	case $size:$head:$tail in
	*[!0-9:]* | :* | *::* | *:) edges_are_damaged ;;
	esac
	edges_sum "$head" "$size" "$tail" >$run/sum
	read -r got _ <$run/sum
	[ "$got" = "$sum" ] || edges_are_damaged
}

# watch PID NAME SIZE: tell how far it has read, until it ends.
watch() {
	ticks=0
	while kill -0 "$1" 2>/dev/null; do
		sleep 1
		ticks=$((ticks + 1))
		[ $((ticks % progress_seconds)) -eq 0 ] || continue
		pos=$(while read -r key value; do
			[ "$key" != pos: ] || echo "$value"
		done <"/proc/$1/fdinfo/3") 2>/dev/null
		[ -z "$pos" ] || [ "$3" -eq 0 ] || say "$2: $((pos * 100 / $3)) %"
	done
}

# check_file SUM NAME
check_file() {
	[ -f "$medium/$2" ] || finish "This medium is damaged: $2 is missing."
	size=$(stat -c %s "$medium/$2")
	say "checking $2 ($((size / 1048576)) MiB)"
	sha256sum "$medium/$2" >$run/sum 2>$run/output &
	watch $! "$2" "$size"
	wait $! || finish "This medium is damaged: $2: $(tail -n 1 $run/output)"
	read -r got _ <$run/sum
	[ "$got" = "$1" ] || finish "This medium is damaged: $2 is not what it was when it was made."
}

mkdir -p $run
say "Checking this medium against its SHA256SUMS."
mount_medium
! is_iso || check_edges
count=0
while read -r sum name; do
	case ${#sum}:$name in
	64:?*) ;;
	*) finish "This medium is damaged: SHA256SUMS has a line that is none." ;;
	esac
	check_file "$sum" "${name#\*}"
	count=$((count + 1))
done <$run/sums
[ $count -gt 0 ] || finish "This medium is damaged: SHA256SUMS is empty."
finish "This medium is good: $count files are as they were when it was made."
