#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An ISO starts under Secure Boot and lets us in; it checks itself, and finds out when it is damaged.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_root

boot_seconds=900

# boot ISO OPTION...: its console into $work/console as plain text.
boot() {
	iso=$1
	shift
	status=0
	TMPDIR=$work "$bedplate" vm run --cpus=1 --timeout=$boot_seconds --serial="$work/serial" "$@" "$iso" \
		2>"$work/err" || status=$?
	sed 's/\x1b\[[0-9;?!]*[A-Za-z]//g' "$work/serial" | tr -d '\r' >"$work/console"
	[ "$status" -eq 0 ] || fail "vm run: $(tail -n 30 "$work/err")"
}

build --compression=zstd:3
image=$(cat "$work/out")
expect 0 "$bedplate" media iso "$image" -o "$work/good.iso"
expect 0 "$bedplate" media verify "$work/good.iso"
before=$(sha256sum <"$work/good.iso")

# shellcheck disable=SC2016 # for the shell in the machine
boot "$work/good.iso" --secure-boot --expect='login: ' --send='root\n' --expect='assword: ' \
	--send='bedplate-test\n' --expect='# ' \
	--send='dmesg -n 1; echo secure-boot: $(od -An -tu1 -j4 -N1 /sys/firmware/efi/efivars/SecureBoot-*) mark-"one"\n' \
	--expect='mark-one'
grep -q '^secure-boot: 1 mark-one' "$work/console" || fail "no Secure Boot: $(tail "$work/console")"

# By BIOS; the entry below the default one is "Check this medium".
boot "$work/good.iso" --expect='Check this medium' --send='\e[B' --send='\n' \
	--expect='This medium is good'
[ "$(sha256sum <"$work/good.iso")" = "$before" ] || fail "the ISO has changed"

# One byte in the middle of the liveimg.
lba=$(xorriso -indev "$work/good.iso" -find /LiveOS/squashfs.img -exec report_lba -- 2>/dev/null |
	sed -n 's/^File data lba: *[0-9]* , *\([0-9]*\) .*/\1/p')
at=$((lba * 2048 + $(stat -c %s "$image") / 2))
cp "$work/good.iso" "$work/bad.iso"
damage "$work/bad.iso" $at
expect 1 "$bedplate" media verify "$work/bad.iso"
same "$work/out" 'LiveOS/squashfs.img: damaged'
boot "$work/bad.iso" --expect='Check this medium' --send='\e[B' --send='\n' \
	--expect='This medium is damaged: LiveOS/squashfs.img'
