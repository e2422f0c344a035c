#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The test image boots live, lets us in, and is well.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_root

# After so many seconds a boot has failed, also on a slow machine without KVM.
boot_seconds=900

# boot OPTION...: boot the image, its console into $work/console as plain text.
boot() {
	status=0
	TMPDIR=$work "$bedplate" vm run --timeout=$boot_seconds --serial="$work/serial" "$@" \
		"$image" 2>"$work/err" || status=$?
	sed 's/\x1b\[[0-9;?!]*[A-Za-z]//g' "$work/serial" | tr -d '\r' >"$work/console"
	[ "$status" -eq 0 ] || fail "vm run: $(tail -n 30 "$work/err")"
}

build --compression=zstd:3
image=$(cat "$work/out")
manifest=${image%.squashfs.img}.manifest.json
before=$(sha256sum <"$image")

# The marks are quoted in the middle, so that the typed command is no match.
boot --expect='login: ' --send='root\n' --expect='assword: ' --send='bedplate-test\n' \
	--expect='# ' \
	--send='dmesg -n 1; systemctl is-system-running --wait; echo mark-"one"\n' \
	--expect='mark-one' \
	--send='systemctl --failed --no-legend | sed "s/^/unit-""failed: /"; echo mark-"two"\n' \
	--expect='mark-two' \
	--send='nodectl info; echo mark-"three"\n' --expect='mark-three' \
	--send='nodectl info --json; touch /usr/written && echo mark-"four"\n' --expect='mark-four'

! grep '^unit-failed: ' "$work/console" || fail "failed units, see above"
name="$(json "$manifest" .name) $(json "$manifest" .version)"
grep -qxF "Image:     $name (amd64)" "$work/console" || fail "nodectl info: $(tail "$work/console")"
grep -q '^Running:   live, changes are lost' "$work/console" ||
	fail "nodectl info: $(tail "$work/console")"

# What was written is not in the image, and nothing of the run is left.
[ "$(sha256sum <"$image")" = "$before" ] || fail "the image has changed"
left=$(find "$work" -mindepth 1 -name 'bedplate-*')
[ -z "$left" ] || fail "left behind: $left"

# The same image with UEFI firmware.
boot --uefi --expect='EFI stub' --expect='login: '
