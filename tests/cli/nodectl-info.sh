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
write proc/self/mountinfo '1 1 0:1 / / rw - rootfs rootfs rw
30 1 0:20 / / rw,relatime shared:1 - overlay LiveOS_rootfs rw
31 30 0:21 / /tmp rw shared:2 - tmpfs tmpfs rw'
write proc/sys/kernel/osrelease 6.12.0-amd64
write proc/uptime '93784.12 1.00'
expect 0 "$nodectl" info --root="$node"
same "$work/out" 'Image:     node 1.2 (amd64)
Date:      2026-01-01T00:00:00Z
Running:   live, changes are lost at power-off
Kernel:    6.12.0-amd64
Uptime:    1 d 2 h 3 min'
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
  "schema": 1,
  "uptime_seconds": 93784
}'

# Installed.
hash=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
write proc/cmdline "bedplate.layer=node-1.2+1 bedplate.roothash=$hash"
write proc/uptime '59.00 1.00'
write usr/lib/bedplate/factory.json \
	'{"installed": "2026-01-01T01:00:00Z", "image": {"origin": "http://192.0.2.1/node"}}'
write "boot/node-1.2+1/vmlinuz" kernel
write "boot/node-1.2+1/initramfs.img" initramfs
write "boot/node-1.2+1/bedplate.cfg" "# bedplate 1
# layer: node-1.2+1
# title: Node 1.2
# release: 6.12.0-amd64
menuentry 'Node 1.2' --id 'node-1.2+1' --unrestricted {
	linux /node-1.2+1/vmlinuz bedplate.layer=node-1.2+1 bedplate.roothash=$hash
	initrd /node-1.2+1/initramfs.img
}"
mkdir "$node/boot/grub"
{
	printf '# GRUB Environment Block\ndefault=node-1.2+1\n'
	head -c 1000 /dev/zero | tr '\0' '#'
} | head -c 1024 >"$node/boot/grub/grubenv"
expect 0 "$nodectl" info --root="$node"
same "$work/out" "Image:     node 1.2 (amd64)
Date:      2026-01-01T00:00:00Z
Running:   installed, layer node-1.2+1
Kernel:    6.12.0-amd64
Uptime:    0 min
Installed: 2026-01-01T01:00:00Z from http://192.0.2.1/node
Base:      root hash $hash
Boot:      default node-1.2+1
  node-1.2+1: Node 1.2 (6.12.0-amd64)
    bedplate.layer=node-1.2+1 bedplate.roothash=$hash
Storage:   no volume group of this node"
rm "$node/boot/node-1.2+1/initramfs.img"
expect 0 "$nodectl" info --root="$node" --json
grep -q '"missing": "node-1.2+1/initramfs.img"' "$work/out" || fail "$(cat "$work/out")"

# A trial, an image that failed, what is staged: as docs/upgrade.md has them on /boot.
{
	printf '# GRUB Environment Block\ndefault=node-1.2+1\ntrial=node-1.3+1\ntries=2\n'
	head -c 1000 /dev/zero | tr '\0' '#'
} | head -c 1024 >"$node/boot/grub/grubenv"
write boot/bedplate/journal.json '{"schema":1, "operation":"upgrade", "step":"staged",
	"from":"node-1.2+1", "to":"node-1.4+1", "base":"node-1.4", "new_base":true,
	"started":1767225600, "var":false}'
write boot/bedplate/failed.json '{"schema":1, "versions":[{"name":"node", "version":"1.1",
	"layer":"node-1.1+1", "time":1767225600, "why":"network: no address",
	"root_hash":"'$hash'"}]}'
expect 0 "$nodectl" info --root="$node"
grep -qx "Trial:     layer node-1.3+1, 2 tries left" "$work/out" || fail "$(cat "$work/out" "$work/err")"
grep -qx "Staged:    layer node-1.4+1, for 'nodectl activate'" "$work/out" || fail "$(cat "$work/out")"
grep -qx "Failed:    layer node-1.1+1 on 2026-01-01T00:00:00Z: network: no address" "$work/out" ||
	fail "$(cat "$work/out")"
# Damaged, they are as not there.
write boot/bedplate/journal.json '{'
write boot/bedplate/failed.json '[]'
expect 0 "$nodectl" info --root="$node"
! grep -E '^(Staged|Failed):' "$work/out" || fail "$(cat "$work/out")"

# Parts that are not there, or damaged, are said and nothing more.
rm -r "${node:?}/boot"
write usr/lib/bedplate/factory.json '{'
expect 0 "$nodectl" info --root="$node"
grep -q '^Boot:      .*No such file or directory' "$work/out" || fail "$(cat "$work/out")"
same "$work/err" "nodectl: warning: /usr/lib/bedplate/factory.json is damaged"

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
