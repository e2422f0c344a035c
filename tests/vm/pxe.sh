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
python3 -u -c '
import functools, http.server, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
print(server.server_port, flush=True)
server.serve_forever()
' "$work/www" >"$work/port" 2>"$work/requests" &
server=$!
qemu=
# Under "set -e" a process that is gone already must not become the test's answer.
trap 'kill $server $qemu 2>/dev/null || :; rm -rf "$work"' EXIT
until [ -s "$work/port" ]; do
	kill -0 "$server" || fail "no HTTP server: $(cat "$work/requests")"
	sleep 0.1
done
url=http://10.0.2.2:$(cat "$work/port")/pxe

expect 0 "$bedplate" media pxe "$image" "$work/www/pxe" --url="$url" \
	--append=console=ttyS0,115200 --kickstart="$source_dir/tests/vm/install-test.ks"
expect 0 "$bedplate" media verify "$work/www/pxe"

make_disk "$work/node.raw" 8G
timeout 2400 qemu-system-x86_64 -machine q35 -accel tcg,thread=multi -cpu max,-erms,-fsrm \
	-smp 2 -m 2G \
	-nodefaults -display none -no-reboot -serial "file:$work/console" \
	-drive "file=$work/node.raw,if=virtio,format=raw" \
	-netdev "user,id=net,tftp=$work/www/pxe,bootfile=boot.ipxe" \
	-device virtio-net-pci,netdev=net,bootindex=1 2>"$work/err" &
qemu=$!
wait "$qemu" || fail "QEMU: $(cat "$work/err")"
grep -aq 'bedplate: installed minimal-test-1 on /dev/vda' "$work/console" ||
	fail "not installed: $(tail -n 40 "$work/console")"
grep -q 'GET /pxe/LiveOS/manifest.json' "$work/requests" || fail "$(cat "$work/requests")"
