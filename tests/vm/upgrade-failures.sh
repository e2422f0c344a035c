#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A node that tries an image which does not do comes back to the old one by itself, says why, and does
# not take that image again unless told to.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_root

disk=$work/node.raw
old=minimal-test-1+1
new=minimal-test-2+1
installed_node "$disk"
cat >"$work/two.ks" <<END
%include $source_dir/tests/vm/minimal-test.ks
image --name=minimal-test --version=2
END
"$bedplate" image build "$work/two.ks" --cache="$cache" --previous="$node_image" -o "$work/two" \
	--compression=zstd:3 >"$work/out" 2>"$work/err" || fail "build: $(tail -3 "$work/err")"
expect 0 "$bedplate" media iso "$(cat "$work/out")" -o "$work/two.iso"

# What goes wrong is on the node before, and carried over; a word on the kernel command line starts it.
cat >"$work/prepare.sh" <<'END'
set -eu
mkdir -p /etc/bedplate/health.d/required /etc/bedplate/hooks.d/on-new-image \
	/etc/systemd/system/sysinit.target.wants
printf 'tries = 1\nhealth_deadline = 1200\n' >/etc/bedplate/upgrade.conf
cat >/etc/bedplate/health.d/required/fault <<'X'
#!/bin/sh
grep -qw test.fault=health /proc/cmdline || exit 0
echo '<1>fault: health' >/dev/kmsg
echo 'not well'
exit 1
X
# A check that fails is repeated until the deadline, which is near then, however slow the machine.
cat >/etc/bedplate/hooks.d/on-new-image/fault <<'X'
#!/bin/sh
grep -qw test.fault=health /proc/cmdline || exit 0
read -r now _ </proc/uptime
echo "health_deadline = $((${now%.*} + 120))" >/etc/bedplate/upgrade.conf
X
chmod 755 /etc/bedplate/health.d/required/fault /etc/bedplate/hooks.d/on-new-image/fault
# What the kernel command line says is hours away, and what this unit says is at once.
cat >/etc/systemd/system/fault.service <<'X'
[Unit]
ConditionKernelCommandLine=test.fault=hang
DefaultDependencies=no
After=local-fs.target
Before=sysinit.target
[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart=sh -c 'echo "<1>fault: hang" >/dev/kmsg; echo 1 >/run/bedplate/trial-deadline; exec sleep infinity'
X
ln -s ../fault.service /etc/systemd/system/sysinit.target.wants/fault.service
END
as_disk "$work/prepare.sh" "$work/prepare.raw"

# runs LAYER: logged in to it, and nothing has failed.
runs() {
	vm_login
	vm 'tr " " "\n" </proc/cmdline | sed -n "s/^bedplate.layer=//p"'
	is "$(cat "$work/said")" "$1" "running layer"
	vm_all_up
}

vm_start --network=none --disk="$work/two.iso" --disk="$work/prepare.raw" "$disk"
runs "$old"
vm sh /dev/vdc
vm nodectl upgrade /dev/vdb -q --stage --yes --allow-unsigned
vm nodectl activate
vm_type 'poweroff\n'
vm_end

boot="$disk?offset=$(sfdisk -J "$disk" |
	jq '.partitiontable.partitions[] | select(.name == "bedplate-boot") | .start * 512')"
debugfs -R "cat /$new/bedplate.cfg" "$boot" >"$work/good.cfg" 2>"$work/err"
grep -q '^	linux .* bedplate.trial=' "$work/good.cfg" || fail "no entry: $(cat "$work/err")"

# tried WORDS: the new layer is booted, with these on its kernel command line.
tried() {
	sed "s|^\(	linux .*\)\( bedplate.trial=\)|\1 $1\2|" "$work/good.cfg" >"$work/bedplate.cfg"
	printf '%s\n' "rm /$new/bedplate.cfg" "write $work/bedplate.cfg /$new/bedplate.cfg" |
		debugfs -w -f - "$boot" >"$work/out" 2>&1
	debugfs -R "cat /$new/bedplate.cfg" "$boot" 2>"$work/err" | cmp - "$work/bedplate.cfg" ||
		fail "the entry: $(cat "$work/out" "$work/err")"
	vm_start --network=none --snapshot --disk="$work/two.iso" "$disk"
	vm_await "bedplate.layer=$new"
}

# goes_back: the old layer is what boots then; not to its end, as all that do not come up are the same to it.
goes_back() {
	vm_await "bedplate.layer=$old"
	vm_kill
}

# came_back WHY: to the old layer, which knows.
came_back() {
	vm_await "bedplate.layer=$old"
	runs "$old"
	vm 'grub-editenv /boot/grub/grubenv list'
	is "$(cat "$work/said")" "default=$old" "boot choice"
	vm nodectl info
	grep -q "^Failed: *layer $new on .*: $1" "$work/said" || fail "info: $(cat "$work/said")"
	vm 'until [ -e /run/bedplate/check.json ]; do sleep 1; done; nodectl motd'
	grep -q "the trial of layer $new failed: $1" "$work/said" || fail "motd: $(cat "$work/said")"
	vm 'nodectl upgrade /dev/vdb --yes --allow-unsigned; [ $? -eq 1 ]'
	grep -q 'minimal-test 2 has failed here before.*--retry-failed' "$work/said" ||
		fail "upgrade: $(cat "$work/said")"
}

# ended: forget what this machine has written.
ended() {
	vm_type 'poweroff\n'
	vm_end
}

tried rdinit=/nonexistent
vm_await 'Kernel panic'
goes_back

# Long enough for the kernel to have said all, which would come in between.
tried 'module_blacklist=virtio_blk rd.retry=30'
vm_await 'This node cannot start: no disk carries a node'
vm_await 'the node returns to the layer before'
goes_back

tried 'test.fault=hang bedplate.trial_deadline=36000'
vm_await 'fault: hang'
vm_await 'has not been found good in time'
came_back 'it did not come up'
ended

tried test.fault=health
vm_await 'fault: health'
came_back 'fault: not well'

# Nothing is wrong with it any more.
vm nodectl upgrade /dev/vdb -q --yes --allow-unsigned --retry-failed
vm_type 'reboot\n'
vm_await 'bedplate.layer=minimal-test-2+'
vm_login
vm_all_up
vm 'grub-editenv /boot/grub/grubenv list; nodectl info'
grep -q '^default=minimal-test-2+' "$work/said" || fail "not blessed: $(cat "$work/said")"
! grep -q '^trial=\|^Failed:' "$work/said" || fail "not blessed: $(cat "$work/said")"
ended
