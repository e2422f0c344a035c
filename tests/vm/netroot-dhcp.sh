#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# "netroot serve" in a network of its own, where another server gives out addresses: proxy-DHCP, TFTP and NBD bring a
# machine without a disk to its login.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_root
for tool in nbdkit dnsmasq ip unshare nsenter; do
	which $tool >/dev/null || {
		echo "skipped: there is no $tool"
		exit 77
	}
done
if [ ! -e /usr/lib/PXELINUX/pxelinux.0 ] || [ ! -c /dev/net/tun ] || ! unshare -n true 2>/dev/null; then
	echo "skipped: there is no PXELINUX, /dev/net/tun or network namespace"
	exit 77
fi
pids=
trap '[ -z "$pids" ] || kill $pids 2>/dev/null || :; clean_up' EXIT

# namespace: the process that keeps it is $keeper.
namespace() {
	unshare -n sleep 7200 &
	keeper=$!
	pids="$pids $keeper"
	until [ "$(readlink "/proc/$keeper/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do
		sleep 0.1
	done
	inside $keeper ip link set lo up
}
# inside PID COMMAND...
inside() {
	ns=$1
	shift
	nsenter -t "$ns" -n "$@"
}
# connect PID ADDRESS: eth0 there, on the bridge of the machine.
connect() {
	inside "$machine" ip link add "to$1" type veth peer name eth0 netns "$1"
	inside "$machine" ip link set "to$1" master br0 up
	inside "$1" ip addr add "$2/24" dev eth0
	inside "$1" ip link set eth0 up
}

build --compression=zstd:3
image=$(cat "$work/out")
# The servers go on as somebody else.
chmod 755 "$work"
expect 0 "$bedplate" netroot add --tree="$work/tree" --server=192.0.2.2 \
	--append="console=ttyS0 norandmaps module_blacklist=sha256_ssse3" "$image"

namespace
machine=$keeper
namespace
server=$keeper
namespace
addresses=$keeper
inside "$machine" ip link add br0 type bridge
inside "$machine" ip link set br0 up
inside "$machine" ip tuntap add tap0 mode tap
inside "$machine" ip link set tap0 master br0 up
connect "$addresses" 192.0.2.1
connect "$server" 192.0.2.2

# It knows nothing of a boot.
nsenter -t "$addresses" -n dnsmasq --keep-in-foreground --conf-file=/dev/null --port=0 --interface=eth0 --bind-interfaces \
	--dhcp-range=192.0.2.50,192.0.2.60,1h --dhcp-leasefile="$work/leases" --user=root \
	--log-facility="$work/addresses" &
pids="$pids $!"
nsenter -t "$server" -n "$bedplate" netroot serve --tree="$work/tree" --interface=eth0 --no-http >"$work/served" 2>"$work/err" &
serving=$!
pids="$pids $serving"
await_file serving "$work/served" $serving

nsenter -t "$machine" -n timeout 1200 qemu-system-x86_64 -machine q35 -accel tcg,thread=multi -cpu max,-erms,-fsrm -smp 1 \
	-m 2G -nodefaults -display none -serial "file:$work/console" -device virtio-rng-pci \
	-netdev tap,id=net,ifname=tap0,script=no,downscript=no -device virtio-net-pci,netdev=net,bootindex=0 \
	2>"$work/qemu" &
qemu=$!
pids="$pids $qemu"
await_file 'login: ' "$work/console" $qemu
grep -aq 'root is connected to NBD server 192.0.2.2' "$work/console" || fail "$(tail -n 40 "$work/console")"
grep -q '192\.0\.2\.5[0-9] ' "$work/leases" || fail "no address: $(cat "$work/leases" "$work/addresses")"
# All end with it.
kill $serving
status=0
wait $serving || status=$?
[ $status -eq 0 ] || fail "serve ended with $status: $(cat "$work/err")"
