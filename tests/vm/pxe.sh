#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Machines with an empty disk start over the network.  With a BIOS: iPXE by TFTP, kernel, image and
# kickstart by HTTP; it installs itself.  With UEFI and Secure Boot: shim and GRUB by TFTP, and from there
# the same way, as far as to the image.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_root

build --compression=zstd:3
image=$(cat "$work/out")

# The server comes first: the folder names its port.
mkdir "$work/www"
serve "$work/www"
url=$server_url/pxe

expect 0 "$bedplate" media pxe "$image" "$work/www/pxe" --url="$url" \
	--append=console=ttyS0,115200 --kickstart="$source_dir/tests/vm/install-test.ks"
expect 0 "$bedplate" media verify "$work/www/pxe"

make_disk "$work/node.raw" 8G
# start BOOT-FILE OPTION...: a machine in the background, $qemu.
start() {
	bootfile=$1
	shift
	timeout 2400 qemu-system-x86_64 -accel tcg,thread=multi -cpu max,-erms,-fsrm -smp 1 -m 2G \
		-nodefaults -display none -no-reboot -serial "file:$work/console" \
		-drive "file=$work/node.raw,if=virtio,format=raw" \
		-netdev "user,id=net,tftp=$work/www/pxe,bootfile=$bootfile" "$@" 2>"$work/err" &
	qemu=$!
	# Under "set -e" a process that is gone already must not become the test's answer.
	trap 'kill $qemu 2>/dev/null || :; clean_up' EXIT
}

start boot.ipxe -machine q35 -device virtio-net-pci,netdev=net,bootindex=1
wait "$qemu" || fail "QEMU: $(cat "$work/err")"
grep -aq 'bedplate: installed minimal-test-1 on /dev/vda' "$work/console" ||
	fail "not installed: $(tail -n 40 "$work/console")"
grep -q 'GET /pxe/LiveOS/manifest.json' "$work/requests" || fail "$(cat "$work/requests")"

# The firmware's own PXE: the iPXE in QEMU's option ROM does not tell shim how long a file is.
cp /usr/share/OVMF/OVMF_VARS_4M.ms.fd "$work/vars.fd"
: >"$work/requests"
start BOOTX64.EFI -machine q35,smm=on -global driver=cfi.pflash01,property=secure,value=on \
	-global ICH9-LPC.disable_s3=1 \
	-drive if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.secboot.fd \
	-drive "if=pflash,unit=1,format=raw,file=$work/vars.fd" \
	-device virtio-net-pci,netdev=net,bootindex=1,romfile= -device virtio-rng-pci
until grep -aq 'GET /pxe/LiveOS/squashfs.img' "$work/requests"; do
	kill -0 "$qemu" || fail "UEFI: $(cat "$work/err") $(tail -n 20 "$work/console")"
	sleep 1
done
grep -aq 'secureboot: Secure boot enabled' "$work/console" || fail "started without Secure Boot"
