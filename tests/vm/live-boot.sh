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

# between A B: the lines of the console from the line A to the line B, without these.
between() {
	sed -n "/^$1\$/,/^$2\$/{/^$1\$/d;/^$2\$/d;p}" "$work/console"
}

build
image=$(cat "$work/out")
manifest=${image%.squashfs.img}.manifest.json
before=$(sha256sum <"$image")

# The marks are quoted in the middle, so that the typed command is no match.
boot --expect='login: ' --send='root\n' --expect='assword: ' --send='bedplate-test\n' \
	--expect='# ' \
	--send='dmesg -n 1; systemctl is-system-running --wait; echo mark-"one"\n' \
	--expect='mark-one' \
	--send='systemctl --failed --no-legend --plain; echo mark-"two"\n' --expect='mark-two' \
	--send='nodectl info; echo mark-"three"\n' --expect='mark-three' \
	--send='nodectl info --json; touch /usr/written && echo mark-"four"\n' --expect='mark-four'

between mark-one mark-two | grep -v '# systemctl' >"$work/failed" || true
[ ! -s "$work/failed" ] || fail "failed units: $(cat "$work/failed")"
between mark-two mark-three >"$work/info"
name="$(json "$manifest" .name) $(json "$manifest" .version)"
grep -qF "Image:    $name (amd64)" "$work/info" || fail "nodectl info: $(cat "$work/info")"
grep -q '^Running:  live, changes are lost' "$work/info" || fail "nodectl info: $(cat "$work/info")"

# What was written is not in the image, and nothing of the run is left.
[ "$(sha256sum <"$image")" = "$before" ] || fail "the image has changed"
[ -z "$(find "$work" -name 'bedplate-*')" ] || fail "left behind: $(find "$work" -name 'bedplate-*')"

# The same image with UEFI firmware.
boot --uefi --memory=1G --expect='EFI stub' --expect='login: '
