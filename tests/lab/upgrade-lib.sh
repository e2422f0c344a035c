# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# A node out of image "lab 1" and what its upgrades are tested with: . "$lab/upgrade-lib.sh"; scripts in
# the guest: . "$LAB_WORK/guest-lib"
: "${work:?}" "${lab:?}"
# shellcheck source=image.sh
. "$lab/image.sh"

# next_image FOLDER VERSION: out of $tree.
next_image() {
	echo "{\"name\": \"lab\", \"version\": \"$2\", \"arch\": \"amd64\", \"source_date\": 0}" >"$tree/usr/lib/bedplate/image.json"
	make_rootfs "$work/rootfs-$2.img" 64
	make_image "$work/$1" "$2" "$work/rootfs-$2.img"
}

# Of the node; a test may have its own.
: "${lab_storage:=autopart --type=thinp --profile=minimal}"
cat >"$work/node.ks" <<END
text
timezone Etc/UTC --utc
rootpw --lock
zerombr
ignoredisk --only-use=ubda
clearpart --all --initlabel --drives=ubda
$lab_storage
bootloader --append="lab.ks=1"
network --hostname=lab.test
liveimg --url=file://$work/one/lab-1.squashfs.img
reboot
END

# What the scripts in the guest share.
cat >"$work/guest-lib" <<'END'
boot=/run/lab-boot
with_use=,data_percent
mkdir -p $boot /run/lab-layer
# An operation that goes on has it mounted as well, and not read-only.
with_boot() {
	mount -t ext4 /dev/ubda3 $boot
	"$@"
	umount $boot
}
# All that an operation could have changed.
fingerprint() {
	# Whoever looks for volumes has one open now and then.
	lvm lvs --noheadings -o lv_name,lv_tags,lv_size,lv_attr,origin,pool_lv$with_use bedplate |
		sed -E 's/ ([A-Za-z-]{5})o/ \1-/'
	with_boot find $boot -type f ! -name journal.json ! -name history.jsonl -exec sha256sum '{}' +
	ls /dev/mapper | grep -v -e '^bedplate-[^u]' -e '^control$' || :
	dmsetup ls --target verity
	grep /run/bedplate /proc/mounts || :
}
show_history() {
	cat $boot/bedplate/history.jsonl 2>/dev/null || :
}
# undone TEXT: the last line of the history says so.
undone() {
	with_boot tail -n 1 $boot/bedplate/history.jsonl | jq -e --arg why "$1" '.result == "undone" and (.why | test($why))'
}
# refused TEXT ARG...: nodectl fails with one line that says so, and nothing changed.
refused() {
	text=$1
	shift
	fingerprint >/run/before
	with_boot show_history >>/run/before
	status=0
	"$LAB_NODECTL" "$@" >/run/out 2>/run/err || status=$?
	cat /run/out /run/err
	[ $status -eq 1 ]
	grep -e "^nodectl: .*$text" /run/err
	[ "$(grep -c '^nodectl: ' /run/err)" -eq 1 ]
	fingerprint >/run/after
	with_boot show_history >>/run/after
	diff /run/before /run/after
}
ok() {
	"$LAB_NODECTL" "$@" >/run/out 2>/run/err || {
		cat /run/out /run/err
		return 1
	}
	cat /run/out /run/err
}
# interrupted STAGE: a signal then takes everything back.
interrupted() {
	fingerprint >/run/before
	: >/run/progress
	"$LAB_NODECTL" upgrade "$two" --allow-unsigned --yes --progress-fd=1 >/run/progress 2>/run/err &
	pid=$!
	until grep -q "\"begin\",\"stage\":\"$1\"" /run/progress; do sleep 0.05; done
	kill -s TERM $pid
	status=0
	wait $pid || status=$?
	cat /run/err
	[ $status -eq 1 ]
	grep '^nodectl: .*interrupted by SIGTERM' /run/err
	fingerprint >/run/after
	diff /run/before /run/after
	with_boot [ ! -e $boot/bedplate/journal.json ]
	undone 'interrupted by SIGTERM'
}
# found_good LAYER: as its trial would have ended.
found_good() {
	echo '{"schema":1,"time":1,"operation":"upgrade","from":"lab-1+1","to":"'"$1"'","result":"blessed",'\
'"why":null,"who":"system","signer":null,"unsigned":false}' >/run/line
	with_boot sh -c "cat /run/line >>$boot/bedplate/history.jsonl"
}
snapshots_are() {
	lvm lvs --noheadings -o lv_name @bedplate:snapshot | tr -d ' ' | sort >/run/snapshots
	printf '%s\n' "$@" | diff - /run/snapshots
}
env_is() {
	mount -t ext4 /dev/ubda3 $boot
	grub-editenv $boot/grub/grubenv list | sort >/run/env
	umount $boot
	printf '%s\n' "$@" | sort | diff - /run/env
}
lvm vgchange -ay --sysinit bedplate 2>/dev/null || :
END
