#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# bedplate.check as it runs in the initramfs: what it says about a medium that is good, and about all
# that can be wrong with one; each time it restarts the machine.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_uml
requires which xorriso
LAB_MODULE=$(realpath "$lab/../../dracut/70bedplate")
export LAB_MODULE

new_disk medium 32M
cat >"$work/verdict.sh" <<'END'
mkdir -p /usr/lib/bedplate /run/bedplate /run/bin
cp "$LAB_MODULE/lib.sh" /usr/lib/bedplate/lib.sh
echo 'getarg() { echo "$ROOT"; }' >/lib/dracut-lib.sh
printf '#!/bin/sh\necho "reboot $*"\n' >/run/bin/reboot
chmod 755 /run/bin/reboot

# verdict LINE: the check ends with it and a restart, and leaves nothing mounted.
verdict() {
	# As if somebody had pressed Enter.
	: >/run/bedplate/enter
	ROOT=${ROOT:-live:/dev/ubda} PATH=/run/bin:$PATH sh "$LAB_MODULE/check-medium.sh" >/run/said 2>&1
	grep -qxF "$1" /run/said && [ "$(tail -n 1 /run/said)" = "reboot -f" ] ||
		{ echo "expected: $1"; cat /run/said; exit 1; }
	! mountpoint -q /run/bedplate/medium || exit 1
}
END

{
	cat "$work/verdict.sh"
	cat <<'END'
mke2fs -q -t ext4 /dev/ubda
mount /dev/ubda /mnt
mkdir /mnt/LiveOS
head -c 9M /dev/urandom >/mnt/LiveOS/squashfs.img
echo 'a file' >'/mnt/with blank'
(cd /mnt && find . -type f ! -name SHA256SUMS -printf '%P\n' | sort | tr '\n' '\0' |
	xargs -0 sha256sum >/run/sums && cp /run/sums SHA256SUMS)
umount /mnt
verdict "This medium is good: 2 files are as they were when it was made."

mount /dev/ubda /mnt
printf damaged | dd of=/mnt/LiveOS/squashfs.img bs=1 seek=5000000 conv=notrunc status=none
umount /mnt
verdict "This medium is damaged: LiveOS/squashfs.img is not what it was when it was made."
mount /dev/ubda /mnt
rm /mnt/LiveOS/squashfs.img
umount /mnt
verdict "This medium is damaged: LiveOS/squashfs.img is missing."
for text in '' 'garbage'; do
	mount /dev/ubda /mnt
	printf "$text${text:+\n}" >/mnt/SHA256SUMS
	umount /mnt
	[ -n "$text" ] || verdict "This medium is damaged: SHA256SUMS is empty."
	[ -z "$text" ] || verdict "This medium is damaged: SHA256SUMS has a line that is none."
done
mount /dev/ubda /mnt
rm /mnt/SHA256SUMS
umount /mnt
verdict "This medium is damaged: there is no file SHA256SUMS."
ROOT=live:http://10.0.0.1/x verdict "No medium to check: root=live:http://10.0.0.1/x is none."
END
} | in_guest --disk="$work/medium"

# --- the edges of an ISO that is on a stick; its label is on the stick's partition as well ---
mkdir "$work/iso"
echo 'a file' >"$work/iso/file"
(cd "$work/iso" && sha256sum file >SHA256SUMS)
xorriso -as mkisofs -quiet -o "$work/stick" -V STICK -r -partition_offset 16 \
	-iso_mbr_part_type 0x83 --protective-msdos-label "$work/iso" 2>/dev/null
size=$(stat -c %s "$work/stick")
first=$(xorriso -indev "$work/stick" -find / -type f -exec report_lba -- 2>/dev/null |
	sed -n 's/^File data lba: *[0-9]* , *\([0-9]*\) .*/\1/p' | sort -n | head -n 1)
head=$((first * 2048))
tail=$((size - (first + 2) * 2048))
sum=$({
	head -c 33651 "$work/stick"
	printf '%512s' ''
	head -c $head "$work/stick" | tail -c +34164
	tail -c $tail "$work/stick"
} | sha256sum)
printf '%-512s' "bedplate-edges $size $head $tail ${sum%% *}" |
	dd of="$work/stick" bs=1 seek=33651 conv=notrunc status=none
{
	cat "$work/verdict.sh"
	cat <<'END'
ROOT=live:/dev/ubda1
modprobe -q isofs || :
good="This medium is good: 1 files are as they were when it was made."
damaged="This medium is damaged: its boot sectors are not what they were when it was made."
verdict "$good"
# spoil AT: another byte there, then as it was.
cp /dev/ubda /run/stick
spoil() {
	printf X | dd of=/dev/ubda bs=1 seek="$1" conv=notrunc status=none
	verdict "$damaged"
	cat /run/stick >/dev/ubda
}
spoil 100
spoil 33670
spoil $(($(stat -c %s /run/stick) - 1))
verdict "$good"
head -c 512 /dev/zero | dd of=/dev/ubda bs=1 seek=33651 conv=notrunc status=none
verdict "This medium is damaged: its boot sectors have no checksum."
END
} | in_guest --disk="$work/stick"
