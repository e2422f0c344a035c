#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Plugins on an installed node that runs: added without a restart, there after one, carried over by an upgrade,
# as they were after a rollback, and gone without a trace.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_root

disk=$work/node.raw
installed_node "$disk"
BEDPLATE_CACHE="$cache" "$source_dir/scripts/build-plugins" "$bedplate" "$node_image" "$work/plugins" \
	debug-tools vendor-agent >"$work/made" 2>"$work/err" || fail "build-plugins: $(tail -n 5 "$work/err")"
mkdir "$work/files"
cp "$work"/plugins/*.plugin "$work/files"
make_disk "$work/plugins.raw" 256M
mke2fs -q -t ext4 -d "$work/files" "$work/plugins.raw" || fail "no disk of plugins"

cat >"$work/two.ks" <<END
%include $source_dir/tests/vm/minimal-test.ks
image --name=minimal-test --version=2 --upgrades-from=1..1.9
%post
echo 'vendor, version 2' >/etc/vendor-2
%end
END
"$bedplate" image build "$work/two.ks" --cache="$cache" --previous="$node_image" -o "$work/www" \
	--compression=zstd:3 >"$work/out" 2>"$work/err" || fail "build: $(tail -3 "$work/err")"
serve "$work/www"
url=$server_url/$(basename "$(cat "$work/out")")

# What an addition changes, and a removal brings back; locks and what LVM and dpkg note for themselves do not count.
state='dpkg-query -W; cat /etc/passwd /etc/group /etc/shadow; find /etc /usr -xdev -not -path "/etc/lvm/*" -not -name "*-old" -not -name .pwd.lock -not -path "*/dpkg/*[lL]ock*" | sort'

vm_start --disk="$work/plugins.raw" "$disk"
vm_login
vm_all_up
vm "{ $state; } >/var/tmp/before"
vm 'mount -o ro /dev/vdb /mnt'
vm nodectl plugin add --allow-unsigned /mnt/vendor-agent-1.0.plugin
grep -q 'vendor-agent.site=example' "$work/said" || fail "the kernel argument is not named: $(cat "$work/said")"
vm nodectl plugin add --allow-unsigned /mnt/debug-tools-1.0.plugin
# ask: what the agent answers.
ask() {
	vm 'systemctl is-active vendor-agent && bash -c "exec 3<>/dev/tcp/127.0.0.1/7411 && head -n 1 <&3"'
	is "$(tail -n 1 "$work/said")" "$1" "answer of the agent"
}
ask 'vendor-agent none 1'
vm 'strace -V && gdb --version'
vm nodectl plugin list --json
is "$(jq -r '[.plugins[].manifest.name] | sort | join(" ")' "$work/said")" 'debug-tools vendor-agent' "plugins"
vm nodectl plugin verify
vm_type 'reboot\n'

vm_login
vm_all_up
ask 'vendor-agent none 2'
vm "nodectl upgrade -q $url --allow-unsigned --plan --json"
is "$(jq -r '[.plugins[] | .name + " " + .action] | join(", ")' "$work/said")" \
	'vendor-agent carried, debug-tools carried' "plan"
vm 'id -u vendor-agent >/var/tmp/uid; nodectl plugin list >/var/tmp/plugins'
vm "nodectl upgrade $url --allow-unsigned --yes"
vm 'nodectl plugin verify'
vm_type 'reboot\n'

vm_login
vm_all_up
vm 'cat /etc/vendor-2; nodectl info'
grep -q 'plugin debug-tools 1.0' "$work/said" || fail "info: $(cat "$work/said")"
ask 'vendor-agent none 3'
vm 'strace -V && gdb --version && nodectl plugin verify && dpkg --audit'
vm 'id -u vendor-agent | diff /var/tmp/uid - && nodectl plugin list | diff /var/tmp/plugins -'
# shellcheck disable=SC2016 # for the machine's shell
vm 'until [ -z "$(systemctl list-jobs --no-legend)" ]; do sleep 1; done'
vm_type 'nodectl rollback --reboot\n'

vm_login
vm_all_up
vm '[ ! -e /etc/vendor-2 ]'
ask 'vendor-agent none 4'
vm 'nodectl plugin list | diff /var/tmp/plugins -'
vm 'nodectl plugin verify && nodectl plugin remove vendor-agent && nodectl plugin remove debug-tools'
vm '! systemctl is-active vendor-agent && ! id vendor-agent && [ ! -e /usr/bin/strace ]'
vm "{ $state; } | diff /var/tmp/before -"
vm_type 'poweroff\n'
vm_end
