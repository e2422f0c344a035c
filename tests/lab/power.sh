#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The power fails while a layout is carried out; the same install afterwards has to succeed, new or
# again, and what is not ours is still there.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_uml

new_disk a 4G
new_disk b 64M
cp "$lab/small.ks" "$work/ks.cfg"
seq 1 100000 | head -c 524288 >"$work/b.content"
dd if="$work/b.content" of="$work/b" conv=notrunc 2>/dev/null
foreign=$(sha256sum <"$work/b")

# cut MODE LINE SECONDS: the power fails that long after the line of output.
cut_during() {
	guest --disk="$work/a" --disk="$work/b" --cut-at="$2" --cut-after="$3" <<END
"$LAB_DRIVER" apply $1 "$work/ks.cfg" 67108864
echo ended
sleep 60
END
	[ "$guest_status" -eq 137 ] || fail "$1, $2 + $3 s: $guest_status $(tail "$work/out" "$work/err")"
	echo "cut $1 $3 s after '$2', at: $(tail -n 1 "$work/out")"
}

# whole MODE: a run to the end, and what it made is in order.
whole() {
	in_guest --disk="$work/a" --disk="$work/b" <<END
"$LAB_DRIVER" apply $1 "$work/ks.cfg" 67108864
for fs in node-1.0+1 var var_log; do e2fsck -fn "/dev/bedplate/\$fs"; done
e2fsck -fn /dev/ubda3
blkid -p /dev/ubda2 | grep -q FAT32
"$LAB_DRIVER" report >"$work/report"
END
	got=$(jq -cr '[.node, (.vgs | length), ([.lvs[].path | .[14:]] | sort | join(" "))] | join(" ")' \
		"$work/report")
	[ "$got" = "bedplate 1 $2" ] || fail "after the power cuts: $got"
	[ "$(sha256sum <"$work/b")" = "$foreign" ] || fail "the foreign disk was written to"
}

stage='{"event":"begin","stage":"'
moments=$(awk 'BEGIN { srand(); for (i = 0; i < 5; i++) printf "%.2f ", rand() * 3 }')
cut_during install "${stage}partitions" 0
for moment in $moments; do
	cut_during install "${stage}partitions" "$moment"
done
cut_during install "${stage}file systems" 0.2
whole install 'node-1.0 node-1.0+1 pool00 swap var var_log'

# Again, with a volume in the group that is not ours.
in_guest --disk="$work/a" --disk="$work/b" <<'END'
lvm lvcreate -y -L 32m -n guest bedplate
dd if="$LAB_WORK/b.content" of=/dev/bedplate/guest conv=fsync 2>/dev/null
END
for moment in 0.05 $moments; do
	cut_during reinstall "${stage}volumes" "$moment"
done
whole reinstall 'guest node-1.0 node-1.0+1 pool00 swap var var_log'
in_guest --disk="$work/a" --disk="$work/b" <<'END'
lvm lvchange -ay bedplate/guest
cmp -n 524288 "$LAB_WORK/b.content" /dev/bedplate/guest
END
