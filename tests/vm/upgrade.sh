#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A node upgrades itself over http to a signed image, tries it, finds it good and keeps it; goes back,
# and forward again.  What the administrator changed is there on both sides.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_root

disk=$work/node.raw
old=minimal-test-1+1
installed_node "$disk"
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=vendor -days 2 \
	-keyout "$work/key.pem" -out "$work/cert.pem" 2>"$work/err" || fail "$(cat "$work/err")"
cat >"$work/two.ks" <<END
%include $source_dir/tests/vm/minimal-test.ks
image --name=minimal-test --version=2 --upgrades-from=1..1.9
%post
echo 'vendor, version 2' >/etc/vendor-2
mkdir -p /usr/share/factory/var/lib/vendor-2
echo 2 >/usr/share/factory/var/lib/vendor-2/file
%end
END
"$bedplate" image build "$work/two.ks" --cache="$cache" --previous="$node_image" -o "$work/www" \
	--compression=zstd:3 --sign-key="$work/key.pem" --sign-cert="$work/cert.pem" >"$work/out" \
	2>"$work/err" || fail "build: $(tail -3 "$work/err")"
serve "$work/www"
url=$server_url/$(basename "$(cat "$work/out")")
as_disk "$work/cert.pem" "$work/cert.raw"

vm_start --disk="$work/cert.raw" "$disk"
vm_login
vm 'mkdir -p /etc/bedplate/trust.d && sed "/^$/d" /dev/vdb >/etc/bedplate/trust.d/vendor.pem'
vm 'echo "tries = 2" >/etc/bedplate/upgrade.conf; echo administrator >/etc/motd; echo kept >/var/lib/kept'
vm "nodectl upgrade $url --plan"
grep -q 'minimal-test-2+1' "$work/said" || fail "plan: $(cat "$work/said")"
vm "nodectl upgrade $url --yes"
vm 'nodectl layers; nodectl info; grub-editenv /boot/grub/grubenv list'
grep -q '^trial=minimal-test-2+1$' "$work/said" || fail "no trial: $(cat "$work/said")"
vm_type 'reboot\n'

# settled LAYER: it runs, nothing failed, and it is what boots from now on.
settled() {
	vm_login
	vm 'tr " " "\n" </proc/cmdline | sed -n "s/^bedplate.layer=//p"'
	is "$(cat "$work/said")" "$1" "running layer"
	vm_all_up
	# shellcheck disable=SC2016 # for the machine's shell
	vm 'until [ -z "$(systemctl list-jobs --no-legend)" ]; do sleep 1; done; grub-editenv /boot/grub/grubenv list'
	is "$(cat "$work/said")" "default=$1" "boot choice"
	vm 'nodectl check; cat /etc/motd /var/lib/kept'
	is "$(tail -n 2 "$work/said" | tr '\n' ' ')" 'administrator kept ' "what was changed"
}

settled minimal-test-2+1
vm 'cat /etc/vendor-2 /var/lib/vendor-2/file; nodectl verify --base; nodectl history'
grep -q blessed "$work/said" || fail "history: $(cat "$work/said")"
vm 'echo later >/var/lib/later'
# The shell may be gone before it could say how that ended.
vm_type 'nodectl rollback --with-var --reboot\n'

settled "$old"
vm '[ ! -e /etc/vendor-2 ] && [ ! -e /var/lib/later ]'
vm_type 'nodectl rollback --to minimal-test-2+1 --reboot\n'

settled minimal-test-2+1
vm_type 'poweroff\n'
vm_end
