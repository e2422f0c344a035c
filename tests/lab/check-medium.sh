#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# bedplate.check as it runs in the initramfs: what it says about a medium that is good, and about all
# that can be wrong with one; each time it restarts the machine.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_uml
LAB_MODULE=$(realpath "$lab/../../dracut/70bedplate")
export LAB_MODULE

new_disk medium 32M
{
	cat <<'END'
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
