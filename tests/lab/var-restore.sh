#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# /var of a rollback is brought back at boot, whenever the power fails.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_uml
requires command -v thin_check

# var: what a boot of the node finds, volumes are active as the initramfs leaves them.
cat >"$work/prepare.sh" <<'END'
boot() {
	lvm vgchange -q -an node >/dev/null
	lvm lvchange -q --yes -ay -K node/var
}
# says TEXT: that is what /var says.
says() {
	mount "/dev/node/$2" /mnt
	got=$(cat /mnt/text)
	umount /mnt
	[ "$got" = "$1" ] || { echo "$2 says '$got', expected '$1'"; exit 1; }
}
tags() {
	lvm lvs --noheadings -o lv_tags,lv_permissions "node/$1" | sed 's/^ *//; s/  */ /g'
}
restore() {
	"$LAB_DRIVER" restore-var n-2+1 n-1+1
}
END
# run [OPTION]...: standard input in a guest with that disk, after prepare.sh.
# shellcheck disable=SC2120 # options of run-uml, sometimes
run() {
	cat "$work/prepare.sh" - >"$work/whole.sh"
	in_guest --disk="$work/node" "$@" <"$work/whole.sh"
}

# n-1+1 was left for n-2+1 with "old" in /var, now "new" is there; then a volume beside /var.
new_disk node 256M
run <<'END'
lvm vgcreate -q -y --addtag bedplate:vg node /dev/ubda
lvm lvcreate -q -y -L 128m --poolmetadatasize 4m --thin --errorwhenfull y --addtag bedplate:pool -n pool00 node
thin() {
	lvm lvcreate -q -y -V 24m -T node/pool00 -n "$1" --addtag bedplate:volume --addtag "bedplate:mount:$2"
	mke2fs -q -t ext4 "/dev/node/$1"
}
text() {
	mount "/dev/node/$1" /mnt
	echo "$2" >/mnt/text
	umount /mnt
}
thin var /var
thin var_log /var/log
text var_log log
text var old
lvm lvcreate -q -y -s -kn -pr -n var.n-1+1 --addtag bedplate:snapshot --addtag bedplate:mount:/var \
	--addtag bedplate:of:n-1+1 node/var
lvm lvcreate -q -y -s -kn -pr -n var_log.n-1+1 --addtag bedplate:snapshot \
	--addtag bedplate:mount:/var/log --addtag bedplate:of:n-1+1 node/var_log
lvm lvchange -q -ky node/var.n-1+1
lvm lvchange -q -an node/var.n-1+1
text var new
lvm vgchange -q -an node
END
cp --sparse=always "$work/node" "$work/pristine"

cat >"$work/verify.sh" <<'END'
says old var
[ "$(tags var)" = 'bedplate:mount:/var,bedplate:volume writeable' ]
[ "$(tags var.n-2+1)" = 'bedplate:mount:/var,bedplate:of:n-2+1,bedplate:snapshot read-only' ]
! lvm lvs node/var.n-1+1 2>/dev/null || exit 1
lvm lvs -a node/var_log.n-1+1
lvm lvchange -q -ay -K node/var.n-2+1
mount -o ro,noload /dev/node/var.n-2+1 /mnt
[ "$(cat /mnt/text)" = new ]
umount /mnt
lvm lvchange -q -an node/var.n-2+1
END

# All in one go, and once more: nothing to do.
{
	cat <<'END'
boot
restore >/run/said 2>&1
cat /run/said
grep -x 'brought back' /run/said
# What is cut off below.
[ "$(grep -c ' lvm lv' /run/said)" -eq 6 ]
[ -e /dev/node/var ]
END
	cat "$work/verify.sh"
	cat <<'END'
restore | grep -x 'nothing to do'
END
	cat "$work/verify.sh"
} | run

# In use: nothing is touched, it is done at the next boot.  Nothing to bring back: it is said.
cp --sparse=always "$work/pristine" "$work/node"
{
	cat <<'END'
boot
mount /dev/node/var /mnt
! restore 2>/run/said || exit 1
grep "'node/var' is in use" /run/said
umount /mnt
says new var
lvm lvs node/var.n-1+1
# Cut off while the snapshot was made.
lvm lvremove -q -y node/var.n-2+1
lvm lvcreate -q -y -s -kn -pr -n var.n-2+1 --addtag bedplate:new node/var
restore | grep -x 'brought back'
END
	cat "$work/verify.sh"
} | run
cp --sparse=always "$work/pristine" "$work/node"
run <<'END'
boot
! "$LAB_DRIVER" restore-var n-2+1 n-9+1 2>/run/said || exit 1
grep "there is no snapshot of /var of layer 'n-9+1' (errno 2)" /run/said
says new var
lvm lvremove -q -y node/var
! restore 2>/run/said || exit 1
grep 'there is no volume for /var (errno 2)' /run/said
END

# The layer that runs, after a trial that came to nothing: the snapshot that was chosen comes back, once.
cp --sparse=always "$work/pristine" "$work/node"
run <<'END'
boot
again() {
	"$LAB_DRIVER" restore-var n-1+1 n-1+1 var.n-1+1
}
# Cut off between keeping what is there and bringing back.
lvm lvcreate -q -y -s -ky -pr -n var.n-1+1.2 --addtag bedplate:snapshot --addtag bedplate:mount:/var \
	--addtag bedplate:of:n-1+1 node/var
again | grep -x 'brought back'
says old var
again | grep -x 'nothing to do'
says old var
lvm lvs node/var.n-1+1.3
! lvm lvs node/var.n-1+1 2>/dev/null || exit 1
END

# What is left of power cuts: each disk by itself, many in one guest.
{
	cat "$work/prepare.sh"
	cat <<'END'
look() {
	printf 'devices { global_filter = ["a|^%s$|", "r|.*|"] }\n' "$1" >"$LVM_SYSTEM_DIR/lvm.conf"
	boot
	restore
END
	cat "$work/verify.sh"
	cat <<'END'
	lvm vgchange -q -an node
}
for disk in /dev/ubd?; do
	look "$disk"
	echo "looked at $disk"
done
END
} >"$work/look.sh"
looked=0
look_at() {
	in_guest "$@" <"$work/look.sh"
	looked=$((looked + $(grep -c '^looked at ' "$work/out")))
}

# Power cuts before and during each command of lvm that changes something; the next boot finishes it.
cuts=0 disks=
for step in 1 2 3 4 5 6; do
	for delay in 0 0.1 0.3; do
		cp --sparse=always "$work/pristine" "$work/cut-$cuts"
		cat "$work/prepare.sh" - >"$work/whole.sh" <<'END'
boot
restore 2>&1 | awk '/ lvm lv/ { print "step " ++n; fflush() } { print; fflush() }'
END
		guest --disk="$work/cut-$cuts" --cut-at="step $step" --cut-after=$delay <"$work/whole.sh"
		grep -qx "step $step" "$work/out" || fail "there is no step $step: $(cat "$work/out")"
		disks="$disks --disk=$work/cut-$cuts"
		cuts=$((cuts + 1))
	done
	[ $((step % 2)) -eq 0 ] || continue
	# shellcheck disable=SC2086 # words by construction
	look_at $disks
	disks=
done
[ $looked -eq $cuts ] || fail "$cuts power cuts, and $looked disks were looked at"
echo "$cuts power cuts"
