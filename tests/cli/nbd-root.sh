#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# nbd-root with a server and without a kernel: what it hands over, and when.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
nbd_root=$3
requires python3 --version
requires unshare --mount sh -c 'mount -t tmpfs run /run && mount -t tmpfs block /sys/block'
cd "$work"

# A server that offers 'x.img' with 1 MiB, says so without a byte too many and waits then.
cat >serve.py <<'END'
import socket, struct, threading


def reply(kind, data):
    return struct.pack(">QIII", 0x0003E889045565A9, 7, kind, len(data)) + data


def talk(s):
    s.sendall(struct.pack(">QQH", 0x4E42444D41474943, 0x49484156454F5054, 1))
    s.recv(4 + 16 + 4 + 5 + 2, socket.MSG_WAITALL)
    s.sendall(reply(3, struct.pack(">HQH", 0, 1 << 20, 3)) + reply(1, b""))
    while s.recv(1):
        pass


l = socket.create_server(("127.0.0.1", 0))
print(l.getsockname()[1], flush=True)
while True:
    threading.Thread(target=talk, args=[l.accept()[0]], daemon=True).start()
END
mkfifo started
python3 serve.py >started &
server=$!
trap 'kill $server; rm -rf "$work"' EXIT
read -r port <started
printf 'x.img\n127.0.0.1:%s\n' "$port" >settings
: >kmsg

# run_root [SECTORS]: SECTORS: the kernel has the device already.
run_root() {
	# shellcheck disable=SC2016 # that shell's own
	expect 0 unshare --mount sh -euc '
		mount -t tmpfs run /run
		mkdir /run/bedplate
		cp settings /run/bedplate/netroot
		mount -t tmpfs block /sys/block
		[ ! -e /dev/kmsg ] || mount --bind kmsg /dev/kmsg
		if [ -n "$2" ]; then
			mkdir /sys/block/nbd0
			echo 1 >/sys/block/nbd0/pid
			echo "$2" >/sys/block/nbd0/size
		fi
		exec "$1"
	' sh "$nbd_root" "${1:-}"
}

run_root
same out "connect 1048576"
has() { grep -qF -- "$2" "$1" || fail "$1 lacks '$2': $(cat "$1")"; }
[ ! -e /dev/kmsg ] || has kmsg "root is connected to NBD server 127.0.0.1:$port"

# Another run has connected it; its connection may be broken, so a new one is offered, of the same image only.
: >kmsg
run_root 2048
same out "reconfigure 1048576"
[ ! -e /dev/kmsg ] || has kmsg "NBD server 127.0.0.1:$port has the root"
