#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A machine with an empty disk starts over the network: iPXE by TFTP, kernel, image and kickstart by
# HTTP.  It installs itself.
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
timeout 2400 qemu-system-x86_64 -machine q35 -accel tcg,thread=multi -cpu max,-erms,-fsrm \
	-smp 1 -m 2G \
	-nodefaults -display none -no-reboot -serial "file:$work/console" \
	-drive "file=$work/node.raw,if=virtio,format=raw" \
	-netdev "user,id=net,tftp=$work/www/pxe,bootfile=boot.ipxe" \
	-device virtio-net-pci,netdev=net,bootindex=1 2>"$work/err" &
qemu=$!
# Under "set -e" a process that is gone already must not become the test's answer.
trap 'kill $qemu 2>/dev/null || :; clean_up' EXIT
wait "$qemu" || fail "QEMU: $(cat "$work/err")"
grep -aq 'bedplate: installed minimal-test-1 on /dev/vda' "$work/console" ||
	fail "not installed: $(tail -n 40 "$work/console")"
grep -q 'GET /pxe/LiveOS/manifest.json' "$work/requests" || fail "$(cat "$work/requests")"
