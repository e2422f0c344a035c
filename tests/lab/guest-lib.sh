# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# For scripts in the guest: . "$LAB_LIB"

# refused ERRNO TEXT ARG...: the driver has to fail with that.
refused() {
	want=$1
	text=$2
	shift 2
	status=0
	"$LAB_DRIVER" "$@" 2>/run/refused || status=$?
	cat /run/refused
	[ $status -eq 1 ]
	grep -F -e "$text" /run/refused
	grep -e "(errno $want)\$" /run/refused
}

# not_noted VG NAME: the pool has made this volume, and the power failed before LVM noted that.
not_noted() {
	lvm vgchange -q -an "$1"
	lvm vgcfgbackup -q -f /run/noted "$1"
	awk -v name="$2" '{ print } /type = "thin-pool"/ { pool = 1 } pool && /transaction_id/ {
		print "message1 {\ncreate = \"" name "\"\n}"
		pool = 0
	}' /run/noted >/run/not-noted
	lvm vgcfgrestore -q --force -f /run/not-noted "$1"
}

# pool_agrees VG POOL: it has the volumes that LVM knows, and no others.
pool_agrees() {
	lvm lvs --noheadings -o thin_id "$1" | tr -d ' ' | grep . | sort >/run/known
	lvm lvchange -q -ay "$1/$2"
	dmsetup message "$1-$2-tpool" 0 reserve_metadata_snap
	thin_dump -m "/dev/mapper/$1-$2_tmeta" | sed -n 's/.*<device dev_id="\([0-9]*\)".*/\1/p' |
		sort >/run/made
	dmsetup message "$1-$2-tpool" 0 release_metadata_snap
	diff /run/known /run/made
}
