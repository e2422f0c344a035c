#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A node at rest with everything that operations can leave behind: nodectl opens it, the power fails
# again and again while it mends, and in the end only what belongs there is there.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_uml

new_disk disk 1G
sfdisk -q "$work/disk" <<'END'
label: gpt
size=64M
size=900M
END
LAB_BOOT=$(sfdisk --json "$work/disk" | jq -r '.partitiontable.partitions[0].uuid')
export LAB_BOOT

in_guest --disk="$work/disk" <<'END'
mke2fs -q -t ext4 /dev/ubda1
lvm vgcreate -qq -y --addtag bedplate:vg --addtag "bedplate:boot:$LAB_BOOT" node /dev/ubda2
lvm lvcreate -qq -y -L 200m --poolmetadatasize 8m --type thin-pool --addtag bedplate:pool -n pool node
thin() {
	name=$1
	shift
	tags=
	for tag; do tags="$tags --addtag bedplate:$tag"; done
	# shellcheck disable=SC2086 # one word a tag
	lvm lvcreate -qq -y -V 16m -T node/pool -n "$name" $tags
}
thin n-1 base
thin n-1+1 layer
thin n-1+2 layer              # no entry
thin n-2 new                  # cut off in step base
thin n-3 base                 # no layer
thin n-4+1 layer              # no base
thin n-5 base                 # cut off in step layer
thin n-5+1 new
thin n-1+1.merge new
thin n-6 base                 # cut off in step commit, by the journal
thin n-6+1 layer
thin var.n-1+1 snapshot mount:/var of:n-1+1
thin var.n-1+1.2 snapshot mount:/var of:n-1+1     # the journal's
thin var.n-8+1 snapshot mount:/var of:n-8+1
thin var.n-8+1.10 snapshot mount:/var of:n-8+1    # committed, and the older one was not removed yet
thin var.n-0+1 snapshot mount:/var of:n-0+1
thin n-8 base                 # an entry that cannot be read
thin n-8+1 layer
thin guest
thin n-7+1
mkdir /run/boot
mount /dev/ubda1 /run/boot
cd /run/boot
entry() {
	mkdir -p "$1"
	echo kernel >"$1/vmlinuz"
	echo initramfs >"$1/initramfs.img"
	printf '# bedplate 1\n# layer: %s\n# title: t\n# release: 6\nmenuentry %s {\n\tlinux /%s/vmlinuz a\n}\n' \
		"$1" "$1" "$1" >"$1/bedplate.cfg"
}
entry n-1+1
entry n-4+1
entry n-6+1
entry n-9+1                   # neither layer nor base
entry n-8+1
echo "# bedplate 2" >n-8+1/bedplate.cfg
mkdir n-5+1 n-10+1 grub bedplate
echo kernel >n-5+1/vmlinuz    # cut off in step boot
echo mine >n-10+1/notes
printf '# GRUB Environment Block\ndefault=n-1+1\ntrial=n-9+1\ntries=3\n' >grub/grubenv
head -c $((1024 - $(stat -c %s grub/grubenv))) /dev/zero | tr '\0' '#' >>grub/grubenv
cat >bedplate/journal.json <<'JOURNAL'
{"schema":1,"operation":"upgrade","step":"commit","from":"n-1+1","to":"n-6+1","base":"n-6",
"new_base":true,"var":false,"snapshot":"var.n-1+1.2","started":5}
JOURNAL
cd /
umount /run/boot
END

# Looking changes nothing, and says everything.
in_guest --disk="$work/disk" <<'END'
"$LAB_NODECTL" recover --list --json >"$LAB_WORK/list"
"$LAB_NODECTL" recover --list --json >"$LAB_WORK/list2"
! grep /run/bedplate /proc/mounts
END
cmp "$work/list" "$work/list2" || fail "a look has changed something"
jq -r '.actions[] | "\(.kind) \(.what // "-")"' "$work/list" | sort >"$work/got"
sort >"$work/want" <<'END'
clear-journal -
end-trial n-9+1
remove-entry n-4+1
remove-entry n-6+1
remove-entry n-9+1
remove-folder n-5+1
remove-volume n-1+1.merge
remove-volume n-1+2
remove-volume n-2
remove-volume n-3
remove-volume n-4+1
remove-volume n-5
remove-volume n-5+1
remove-volume n-6
remove-volume n-6+1
remove-volume var.n-0+1
remove-volume var.n-1+1.2
remove-volume var.n-8+1
END
cmp "$work/want" "$work/got" || fail "$(diff "$work/want" "$work/got")"

# The guest goes on for a moment after the line, so what comes next is cut where it happens to be.
for text in "nodectl: end the trial" "nodectl: remove volume" "nodectl: remove volume"; do
	guest --disk="$work/disk" --cut-at="$text" <<'END'
"$LAB_NODECTL" recover -v 2>&1
sleep 60
END
	[ "$guest_status" -eq 137 ] || fail "cut at '$text': $guest_status $(tail "$work/out" "$work/err")"
done

in_guest --disk="$work/disk" <<'END'
"$LAB_NODECTL" recover
"$LAB_NODECTL" recover --list >"$LAB_WORK/nothing"
"$LAB_NODECTL" history --json >"$LAB_WORK/history"
lvm lvs --noheadings -o lv_name node | tr -d ' ' | sort >"$LAB_WORK/volumes"
mkdir /run/boot
mount -o ro /dev/ubda1 /run/boot
e2fsck -fn /dev/ubda1 >/dev/null
(cd /run/boot && find . -not -name lost+found -not -type d | sort) >"$LAB_WORK/files"
strings -n 3 /run/boot/grub/grubenv | grep = >"$LAB_WORK/grubenv"
umount /run/boot

# Somebody else is at work.
flock /run/bedplate/lock sleep 30 &
until ! flock -n /run/bedplate/lock true; do sleep 0.1; done
! "$LAB_NODECTL" recover 2>"$LAB_WORK/busy"
END
same "$work/nothing" "There is nothing to do."
same "$work/volumes" "guest
n-1
n-1+1
n-7+1
n-8
n-8+1
pool
var.n-1+1
var.n-8+1.10"
same "$work/files" "./bedplate/history.jsonl
./grub/grubenv
./n-1+1/bedplate.cfg
./n-1+1/initramfs.img
./n-1+1/vmlinuz
./n-10+1/notes
./n-8+1/bedplate.cfg
./n-8+1/initramfs.img
./n-8+1/vmlinuz"
same "$work/grubenv" "default=n-1+1"
same "$work/busy" "nodectl: another operation is in progress (it holds '/run/bedplate/lock')"
got=$(jq -r '.transitions[-1] | "\(.operation) \(.from) \(.to) \(.result)"' "$work/history")
[ "$got" = "upgrade n-1+1 n-6+1 recovered" ] || fail "$got"

# The pool has made the last volume, and the power failed before LVM noted that: what is removed then is
# gone from both.
in_guest --disk="$work/disk" <<'END'
. "$LAB_LIB"
for name in n-2 n-3; do
	lvm lvcreate -q -y -V 4m --thinpool=pool -n $name --addtag=bedplate:new node
done
not_noted node n-3
"$LAB_NODECTL" recover
pool_agrees node pool
# A default that is gone: another one takes its place, and the history says so.
mkdir -p /run/boot
mount /dev/ubda1 /run/boot
printf '# GRUB Environment Block\ndefault=n-77+1\n' >/run/boot/grub/grubenv
head -c $((1024 - $(stat -c %s /run/boot/grub/grubenv))) /dev/zero | tr '\0' '#' >>/run/boot/grub/grubenv
umount /run/boot
"$LAB_NODECTL" recover
"$LAB_NODECTL" history --limit=1 --json >"$LAB_WORK/history"
END
got=$(jq -r '.transitions[-1] | "\(.operation) \(.from) \(.to) \(.result): \(.why)"' "$work/history")
[ "$got" = "rollback n-77+1 n-1+1 recovered: the default cannot be booted" ] || fail "$got"
