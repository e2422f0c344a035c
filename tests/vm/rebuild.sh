#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a second build does again, and what it leaves where it was.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_root

# Nothing changed: nothing runs, and the delivered file is not even touched.
build
image=$(cat "$work/out")
touch -d '2001-01-01' "$image"
build --explain
is "$(grep -c ' cached: nothing changed$' "$work/out")" 4 "number of cached stages"
is "$(stat -c %Y "$image")" 978307200 "time of the image"

# One %post more: packages stay, and the report names what changed.
cat >"$work/changed.ks" <<EOF
%include $source_dir/tests/vm/minimal-test.ks
image --name=changed --version=2
part / --fstype=ext4 --fsoptions=discard
%post
: "$work" is not cached when this runs again
echo changed >/etc/changed
%end
EOF
"$bedplate" image build "$work/changed.ks" --cache="$cache" -o "$work/new" --previous="$image" \
	--json >"$work/result" 2>"$work/err" || fail "rebuild: $(tail -3 "$work/err")"
is "$(json "$work/result" '.stages[] | select(.name == "packages").cached')" true "packages cached"
is "$(json "$work/result" '.stages[] | select(.name == "configure").cached')" false "configure cached"

# The new image keeps the layout of the old one.
"$bedplate" image diff --json "$image" "$work/new/changed-2.squashfs.img" >"$work/diff"
json "$work/diff" '.blocks | .unchanged_file_blocks, .kept_file_blocks' | {
	read -r unchanged
	read -r kept
	[ "$unchanged" -gt 10000 ] || fail "only $unchanged blocks are unchanged"
	[ $((kept * 100)) -ge $((unchanged * 95)) ] || fail "$kept of $unchanged blocks kept"
}
"$bedplate" image extract "$work/new/changed-2.squashfs.img" /etc/changed -o - >"$work/text"
same "$work/text" changed
is "$(json "$work/new/changed-2.manifest.json" .name)" changed "name in the manifest"

# What of part / is not a size is in the superblock.
"$bedplate" image extract --rootfs "$work/new/changed-2.squashfs.img" -o "$work/rootfs.img"
dumpe2fs -h "$work/rootfs.img" 2>/dev/null | grep -q '^Default mount options:.* discard' ||
	fail "part / --fsoptions=discard is lost"
