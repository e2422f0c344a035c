#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# netroot serve and vm netboot: what they would start, what they refuse, and servers that end together.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
bedplate=$1
nbd_clients=$3
requires which python3 nbdkit nbdinfo pgrep
cd "$work"
# The servers that root starts are somebody else.
chmod 755 .
export TMPDIR="$work"

has() { grep -qF -- "$2" "$1" || fail "$1 lacks '$2': $(cat "$1")"; }
lacks() { ! grep -qF -- "$2" "$1" || fail "$1 has '$2': $(cat "$1")"; }
# refuse STATUS TEXT COMMAND...: with one line.
refuse() {
	status=$1 text=$2
	shift 2
	expect "$status" "$bedplate" "$@"
	has err "$text"
	[ "$(grep -c '^bedplate: ' err)" -eq 1 ] || fail "not one line: $(cat err)"
}

# A tree of two images, of which one is for our own module.
python3 - <<'END2'
import json, os
file = {"size": 3, "sha256": "a" * 64}
def image(id, root, root_hash):
    return {"id": id, "title": "T", "bedplate": True, "image": file, "kernel": file, "initramfs": file,
        "initramfs_unpacked": 9, "release": None, "root": root, "params": "", "live_params": "", "root_hash": root_hash}
def entry(label, id):
    return {"label": label, "image": id, "append": "", "server": None}
db = {"netroot_version": 1, "default": "own", "hosts": [], "loaders": {"pxelinux.0": file},
    "images": [image("0" * 16, "verity:1:2:3", "b" * 64), image("1" * 16, "live:CDLABEL=X", None)],
    "entries": [entry("own", "0" * 16), entry("plain", "1" * 16)]}
for folder in ["images", "tftp", "hosts"]:
    os.makedirs("t/" + folder)
json.dump(db, open("t/netroot.json", "w"))
for id in "0" * 16, "1" * 16:
    open(f"t/images/{id}.img", "w").write("x" * 4096)
open("t/tftp/pxelinux.0", "w").write("pxe")
open("t/hosts/secret", "w").write("secret")
END2
free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# --- what would be started ---
expect 0 "$bedplate" netroot serve --tree=t --listen=127.0.0.1 --print-config
has out "nbdkit --exit-with-parent --readonly --ipaddr 127.0.0.1"
has out " --port 10809 file dir=$work/t/images"
has out " --tftp-root=$work/t/tftp"
has out " --dhcp-range=127.0.0.0,proxy,255.0.0.0"
has out "--pxe-service=tag:!ipxe,X86PC,bedplate,pxelinux.0"
has out "alias.url = (\"/images/\" => \"$work/t/images/\")"
[ -z "$(find . -name 'bedplate-netroot*')" ] || fail "something was written"
expect 0 "$bedplate" netroot serve --tree=t --interface=lo --dhcp=none --nbd=nbd-server --no-tftp --no-http \
	--print-config
has out "	listenaddr = 127.0.0.1"
has out "	exportname = $work/t/images/0000000000000000.img"
has out "nbd-server --dont-fork -C "
lacks out dnsmasq
lacks out lighttpd
expect 0 "$bedplate" netroot serve --tree=t --interface=lo --dhcp=full --range=127.0.0.9,127.0.0.20 --print-config
has out " --dhcp-range=127.0.0.9,127.0.0.20,255.0.0.0,1h"

# --- what is refused ---
refuse 2 "bad value 'x' of '--dhcp': proxy, full or none" netroot serve --tree=t --dhcp=x
refuse 2 "bad value 'x' of '--nbd': nbdkit or nbd-server" netroot serve --tree=t --nbd=x
refuse 2 "'--nbd-port' is not a port" netroot serve --tree=t --nbd-port=65536
refuse 2 "'--http-port' is not a port" netroot serve --tree=t --http-port=0
refuse 1 "'--interface' or '--listen' says in which network" netroot serve --tree=t --print-config
refuse 1 "'--range=FIRST,LAST'" netroot serve --tree=t --interface=lo --dhcp=full --print-config
refuse 1 "bad range '1.2.3.4'" netroot serve --tree=t --interface=lo --dhcp=full --range=1.2.3.4 --print-config
refuse 1 "'--range' is for '--dhcp=full'" netroot serve --tree=t --interface=lo --range=1.2.3.4,1.2.3.5 --print-config
refuse 1 "no IPv4 address 192.0.2.77 on this machine" netroot serve --tree=t --listen=192.0.2.77 --print-config
refuse 1 "no IPv4 address on interface nosuch0" netroot serve --tree=t --interface=nosuch0 --print-config
refuse 1 "there is no tree 'none'" netroot serve --tree=none --dhcp=none --print-config
mkdir closed
cp -r t closed/
chmod 700 closed
[ "$(id -u)" -ne 0 ] || refuse 1 "cannot be entered by the user 'nobody'" netroot serve --tree=closed/t --dhcp=none
python3 -c '
import socket, sys, time
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen()
print(s.getsockname()[1], flush=True)
time.sleep(600)' >taken &
holder=$!
trap 'kill $holder; rm -rf "$work"' EXIT
until [ -s taken ]; do sleep 0.1; done
refuse 1 "TCP port $(cat taken) of 127.0.0.1 is in use by another program" netroot serve --tree=t \
	--listen=127.0.0.1 --dhcp=none --no-tftp --no-http --nbd-port="$(cat taken)"

# --- serving, until one of them ends, or we are told to ---
# start_serving: its process id is in $server.
start_serving() {
	: >served
	"$bedplate" netroot serve --tree=t --listen=127.0.0.1 --dhcp=none --no-tftp --no-http \
		--nbd-port="$nbd_port" >served 2>said &
	server=$!
	until grep -q serving served; do
		kill -0 $server || fail "$(cat said)"
		sleep 0.1
	done
}
# child: the NBD server of it.
child() { pgrep -P $server nbdkit; }
nbd_port=$(free_port)
start_serving
until size=$(nbdinfo --size "nbd://127.0.0.1:$nbd_port/0000000000000000.img" 2>nbd); do
	kill -0 $server || fail "$(cat said)"
	sleep 0.1
done
[ "$size" -eq 4096 ] || fail "the size is $size"
# A storm of clients.
head -c 16M /dev/urandom >t/images/load.img
expect 0 "$nbd_clients" "nbd://127.0.0.1:$nbd_port/load.img" t/images/load.img 256
cat out
! nbdinfo --size "nbd://127.0.0.1:$nbd_port/../hosts/secret" >nbd 2>&1 || fail "a host's files: $(cat nbd)"
kill "$(child)"
status=0
wait $server || status=$?
[ $status -eq 1 ] || fail "status $status"
has said "bedplate: serving ends: nbdkit has ended"
start_serving
nbd=$(child)
kill $server
status=0
wait $server || status=$?
[ $status -eq 0 ] || fail "status $status: $(cat said)"
! kill -0 "$nbd" 2>gone || fail "nbdkit has outlived it"
[ -z "$(find . -name 'bedplate-netroot*')" ] || fail "something is left"

# --- vm netboot ---
expect 0 "$bedplate" vm netboot --tree=t --dry-run
has out "nbdkit --exit-with-parent --readonly --ipaddr 127.0.0.1 --port "
has out "-netdev user,id=net,tftp="
has out ",bootfile=pxelinux.0 -device virtio-net-pci,netdev=net,bootindex=0"
lacks out " -no-reboot"
expect 0 "$bedplate" vm netboot --tree=t --dry-run --server=10.0.2.2:1,10.0.2.2:2
lacks out nbdkit
expect 0 "$bedplate" netroot host --tree=t 52:54:00:aa:00:01 --image=plain
expect 0 "$bedplate" vm netboot --tree=t --host=52-54-00-AA-00-01 --dry-run
has out ",bootindex=0,mac=52:54:00:aa:00:01"
has out " --port 10809 "
expect 0 "$bedplate" netroot host --tree=t 11111111-2222-3333-4444-555555555555 --image=own
expect 0 "$bedplate" vm netboot --tree=t --host=11111111-2222-3333-4444-555555555555 --dry-run
has out " -uuid 11111111-2222-3333-4444-555555555555"
refuse 1 "'t' has no host 52:54:00:aa:00:02: 'netroot host' makes one" vm netboot --tree=t \
	--host=52:54:00:aa:00:02 --dry-run
refuse 1 "bad host 'x'" vm netboot --tree=t --host=x --dry-run
refuse 2 "'--image' and '--host' both say what is booted" vm netboot --tree=t --image=own --host=x
refuse 1 "'t' has no entry 'x'" vm netboot --tree=t --image=x --dry-run
refuse 1 "'t' has no shim and GRUB for UEFI" vm netboot --tree=t --uefi --dry-run
refuse 1 "'plain' boots by dracut's own modules, which take one server without a port" vm netboot --tree=t \
	--image=plain --server=10.0.2.2:1 --dry-run
refuse 1 "bad server 'a b'" vm netboot --tree=t --server='a b' --dry-run
refuse 1 "kernel parameters with a character" vm netboot --tree=t --append='a;b' --dry-run
[ -z "$(find . -name 'bedplate-vm*')" ] || fail "something was written"
