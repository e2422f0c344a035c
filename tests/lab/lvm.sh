#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What LVM says, as the program sees it: tags, flags, foreign groups, a missing disk.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_uml

# value FILTER WANT: of the report in $work/report.
value() {
	got=$(jq -cr "$1" "$work/report")
	[ "$got" = "$2" ] || fail "$1 is '$got', expected '$2'"
}

new_disk a 256M
new_disk b 256M
in_guest --disk="$work/a" --disk="$work/b" <<'END'
"$LAB_DRIVER" report >"$LAB_WORK/empty"
lvm vgcreate -y --addtag bedplate:vg --addtag bedplate:boot:1234-ab node /dev/ubda
lvm lvcreate -y -L 100m --poolmetadatasize 8m --type thin-pool --addtag bedplate:pool -n p node
lvm lvcreate -y -V 1g -T node/p -n base-1 --addtag bedplate:base --addtag bedplate:verity:4096:0:0
lvm lvchange -y -pr -ky node/base-1
lvm lvchange -y -an node/base-1
lvm lvcreate -y -kn -s node/base-1 -n copy
lvm lvcreate -y -l 3 -n plain node --addtag foreign
lvm vgcreate -y other /dev/ubdb
lvm lvcreate -y -l 1 -n base-1 other --addtag bedplate:base
"$LAB_DRIVER" report >"$LAB_WORK/report"
END
[ "$(jq -c . "$work/empty")" = '{"lvs":[],"node":null,"pool":null,"vgs":[]}' ] || fail "not empty"
value .node node
value .pool p
value '[.vgs[] | .name] | sort' '["node","other"]'
value '.vgs[] | select(.name == "node") | .tags' '["bedplate:boot:1234-ab","bedplate:vg"]'
value '.vgs[] | select(.name == "node") | .pvs' '["/dev/ubda"]'
value '.vgs[] | select(.name == "node") | .extent' 4194304
value '[.lvs[] | select(.is_pool) | .path, .has_discards, .active, .size]' \
	'["/dev/node/p",true,true,104857600]'
value '.lvs[] | select(.path == "/dev/node/base-1") |
	[.tags, .is_thin, .active, .read_only, .skips_activation, .size, .data_percent < 0]' \
	'[["bedplate:base","bedplate:verity:4096:0:0"],true,false,true,true,1073741824,true]'
value '.lvs[] | select(.path == "/dev/node/copy") | [.origin, .active, .read_only, .data_percent == 0]' \
	'["base-1",true,false,true]'
value '.lvs[] | select(.path == "/dev/node/plain") | [.is_thin, .is_pool, .tags]' \
	'[false,false,["foreign"]]'

# A group that lost a disk is there, and said to be partial.
new_disk c 256M
in_guest --disk="$work/a" --disk="$work/c" <<'END'
lvm vgextend -y node /dev/ubdb
END
in_guest --disk="$work/a" <<'END'
"$LAB_DRIVER" report >"$LAB_WORK/report"
END
value '.vgs | map([.name, .partial, .pvs])' '[["node",true,["/dev/ubda","[unknown]"]]]'
value .pool p
