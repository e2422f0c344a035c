#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
nodectl=$2
node=$work/node

# write PATH TEXT, in the folder that plays the node.
write() {
	mkdir -p "$node/$(dirname "$1")"
	printf '%s\n' "$2" >"$node/$1"
}

# Not a node: said in one line.
mkdir "$node"
expect 1 "$nodectl" info --root="$node"
same "$work/err" "nodectl: this is not a node: there is no /usr/lib/bedplate/image.json"

# Live, with an overlay in memory.
write usr/lib/bedplate/image.json \
	'{"name": "node", "version": "1.2", "arch": "amd64", "source_date": 1767225600}'
write proc/cmdline 'BOOT_IMAGE=/vmlinuz root=live:/dev/vda rd.live.image quiet'
write proc/self/mounts 'rootfs / rootfs rw 0 0
LiveOS_rootfs / overlay rw,relatime 0 0
tmpfs /tmp tmpfs rw 0 0'
write proc/sys/kernel/osrelease 6.12.0-amd64
write proc/uptime '93784.12 1.00'
expect 0 "$nodectl" info --root="$node"
same "$work/out" 'Image:    node 1.2 (amd64)
Date:     2026-01-01T00:00:00Z
Running:  live, changes are lost at power-off
Kernel:   6.12.0-amd64
Uptime:   1 d 2 h 3 min'
expect 0 "$nodectl" info --root="$node" --json
same "$work/out" '{
  "image": {
    "arch": "amd64",
    "name": "node",
    "source_date": 1767225600,
    "version": "1.2"
  },
  "kernel": "6.12.0-amd64",
  "layer": null,
  "root_type": "overlay",
  "running": "live",
  "uptime_seconds": 93784
}'

# Installed.
write proc/cmdline 'bedplate.layer=node-1.2+1 roothash=00'
write proc/uptime '59.00 1.00'
expect 0 "$nodectl" info --root="$node"
grep -qx 'Running:  installed, layer node-1.2+1' "$work/out" || fail "$(cat "$work/out")"
grep -qx 'Uptime:   0 min' "$work/out" || fail "$(cat "$work/out")"

# A damaged file is an error, and nothing of it reaches the terminal.
write usr/lib/bedplate/image.json '{"name": "\u001b[2J", "version": "1", "arch": "amd64"}'
expect 1 "$nodectl" info --root="$node"
same "$work/err" "nodectl: /usr/lib/bedplate/image.json: bad 'name'"
write usr/lib/bedplate/image.json '{"name":'
expect 1 "$nodectl" info --root="$node"
write usr/lib/bedplate/image.json '[]'
expect 1 "$nodectl" info --root="$node"
same "$work/err" "nodectl: /usr/lib/bedplate/image.json: no 'name'"

# A link inside the node's root cannot lead out of it.
ln -sf "$work/secret" "$node/usr/lib/bedplate/image.json"
echo '{"name": "x", "version": "1", "arch": "amd64", "source_date": 0}' >"$work/secret"
expect 1 "$nodectl" info --root="$node"
