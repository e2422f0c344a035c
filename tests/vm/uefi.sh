#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# From an image onto a disk with UEFI and Secure Boot: installer and node run with it, and the same disk
# boots with UEFI firmware that knows nothing of the install.
# Then it is upgraded from a medium with Upgrade chosen in its menu: tried, found good, and what the
# administrator changed stays.  With BEDPLATE_TEST_ALL=1 two more upgrades follow, which takes as long again:
# with a package that apt installs once the image in it is trusted, and from an ISO on a disk; what is older
# than the image before goes.
# shellcheck disable=SC2016 # what is in single quotes is for the machine's shell
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_root
requires test -e /usr/share/OVMF/OVMF_VARS_4M.ms.fd
boot_seconds=3600

recipe_of() {
	cat >"$work/$1.ks" <<END
%include $source_dir/tests/vm/minimal-test.ks
image --name=minimal-test --version=$1
%packages
apt
openssh-server
%end
%post --erroronfail
echo 'vendor, version $1' >/etc/vendor
%end
END
	recipe=$work/$1.ks
}

# build_next VERSION OPTION...: its path in $image.
build_next() {
	recipe_of "$1"
	shift
	build --compression=zstd:3 --previous="$image" "$@"
	image=$(cat "$work/out")
}

# The installer tells us what it was started by.
cat "$source_dir/tests/vm/install-test.ks" - >"$work/ks.cfg" <<'END'
%pre
for variable in /sys/firmware/efi/efivars/SecureBoot-*; do
	echo "<1>test-secure""boot $(od -An -tu1 -j4 "$variable")" >/dev/kmsg
done
%end
END

disk=$work/node.raw
recipe_of 1
build --compression=zstd:3
image=$(cat "$work/out")
TMPDIR=$work "$bedplate" vm install -q --cpus=1 "$image" --disk="$disk" --size=12G --secure-boot \
	--kickstart="$work/ks.cfg" --network=none --timeout=$boot_seconds --serial="$work/console" \
	>"$work/out" 2>"$work/err" || fail "vm install: $(cat "$work/err")"
is "$(cat "$work/out")" "installed minimal-test-1 on $disk" "verdict"
grep -aq 'test-secureboot *1' "$work/console" || fail "the installer ran without Secure Boot"
[ -s "$disk.secure-boot-vars.fd" ] || fail "no variables beside the disk"

build_next 2
expect 0 "$bedplate" media iso "$image" -o "$work/two.iso"

# What makes this node this one.
configuration='hostname && nmcli -g connection.id,ipv4.addresses connection show kept &&
	cat /etc/passwd /etc/shadow && sha256sum /etc/{hostname,motd,machine-id,ssh/ssh_host_*} &&
	sha256sum /etc/NetworkManager/system-connections/* && cat /var/lib/kept'

# settled VERSION: it runs, nothing failed, it is what boots from now on, and it is the same node.
settled() {
	vm_login
	# What starts says so on the console, between what is asked for.
	vm_all_up
	vm 'until [ -z "$(systemctl list-jobs --no-legend)" ]; do sleep 1; done'
	vm 'tr " " "\n" </proc/cmdline | sed -n "s/^bedplate.layer=//p; /^bedplate.trial_deadline=/p"'
	is "$(sort "$work/said" | tr '\n' ' ')" "bedplate.trial_deadline=7200 minimal-test-$1+1 " \
		"deadline and running layer"
	vm 'grub-editenv /boot/grub/grubenv list'
	is "$(cat "$work/said")" "default=minimal-test-$1+1" "boot choice"
	vm '[ -d /sys/firmware/efi ] && nodectl check'
	grep -q '^Status: OK' "$work/said" || fail "check: $(cat "$work/said")"
	vm 'cat /etc/vendor'
	is "$(cat "$work/said")" "vendor, version $1" "what the image brings"
	vm "$configuration"
	diff "$work/configuration" "$work/said" || fail "the node has changed"
}

# carries VERSION VERSION: these are on the node, and nothing of any other.
carries() {
	vm 'nodectl layers --json'
	is "$(jq -r '.bases[] | .name, .layers[].name' "$work/said" | tr '\n' ' ')" \
		"minimal-test-$1 minimal-test-$1+1 minimal-test-$2 minimal-test-$2+1 " "layers"
	vm 'ls -d /boot/* /boot/*/bedplate.cfg && lvs --noheadings -o lv_name bedplate'
	grep -o 'minimal-test-[0-9]*' "$work/said" | sort -u >"$work/versions"
	is "$(tr '\n' ' ' <"$work/versions")" "minimal-test-$1 minimal-test-$2 " "what is left"
}

# Version 1, with what an administrator does.
vm_start --secure-boot --network=none "$disk"
vm_login
vm_all_up
vm 'od -An -tu1 -j4 /sys/firmware/efi/efivars/SecureBoot-*'
grep -q '^ *1$' "$work/said" || fail "the node runs without Secure Boot: $(cat "$work/said")"
vm efibootmgr
grep -qi 'bedplate' "$work/said" || fail "no boot entry: $(cat "$work/said")"
vm 'hostnamectl set-hostname kept.test && echo administrator >/etc/motd && echo kept >/var/lib/kept'
vm 'nmcli connection add type ethernet ifname test0 con-name kept autoconnect no \
	ipv4.method manual ipv4.addresses 192.0.2.7/24'
# On a machine without KVM that has other things to do a trial takes its time.
vm 'mkdir -p /etc/bedplate && echo "health_deadline = 7200" >/etc/bedplate/upgrade.conf'
vm 'sed -i "s/ bedplate.trial=/ bedplate.trial_deadline=7200&/" /boot/minimal-test-1+1/bedplate.cfg'
vm "$configuration"
cp "$work/said" "$work/configuration"
grep -q ssh_host_ed25519_key "$work/configuration" || fail "no host keys: $(cat "$work/said")"
grep -q '^192.0.2.7/24$' "$work/configuration" || fail "no profile: $(cat "$work/said")"
vm_type 'poweroff\n'
vm_end

# Up to the first entry of the menu, and down to the third, once all of it is there.
vm_start --uefi --network=none --disk="$disk" "$work/two.iso"
vm_await 'Check this medium'
vm_type '\020\020\020\020\020\020\016\016\r'
vm_await 'bedplate: upgraded to minimal-test-2, on trial at the next start'
vm_end

if [ -z "${BEDPLATE_TEST_ALL:-}" ]; then
	vm_start --uefi --network=none "$disk"
	settled 2
	carries 1 2
	vm_type 'poweroff\n'
	vm_end
	exit
fi

openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=vendor -days 2 \
	-keyout "$work/key.pem" -out "$work/cert.pem" 2>"$work/err" || fail "$(cat "$work/err")"
build_next 3 --sign-key="$work/key.pem" --sign-cert="$work/cert.pem"
expect 0 "$bedplate" image package "$image" -o "$work/packages"
cp "$work/cert.pem" "$work/packages"
make_disk "$work/packages.raw" 1G
mke2fs -q -t ext4 -d "$work/packages" "$work/packages.raw" || fail "no disk of packages"
build_next 4
expect 0 "$bedplate" media iso "$image" -o "$work/four.iso"

vm_start --uefi --network=none --disk="$work/packages.raw" --disk="$work/four.iso" "$disk"
settled 2
carries 1 2

# A package that nobody here trusts: apt fails, and the node is what it was.
state='nodectl layers && nodectl history && grub-editenv /boot/grub/grubenv list &&
	find /boot | sort && lvs --noheadings -o lv_name,lv_tags,lv_size bedplate'
vm 'mount -o ro /dev/vdb /mnt'
vm "$state"
cp "$work/said" "$work/before"
vm 'apt-get install -y /mnt/*.deb; [ $? -eq 100 ]'
grep -q 'nobody is trusted to sign images' "$work/said" || fail "apt: $(cat "$work/said")"
vm "$state"
diff "$work/before" "$work/said" || fail "the package has changed the node"
vm 'dpkg-query -W -f "\${db:Status-Status}\n" minimal-test-image-update; systemctl is-system-running'
is "$(tr '\n' ' ' <"$work/said")" 'half-configured running ' "state of the package and the system"

vm 'install -D -m 644 -t /etc/bedplate/trust.d /mnt/cert.pem && apt-get install -y /mnt/*.deb'
vm '[ -z "$(ls -A /var/lib/bedplate/carrier)" ] && dpkg --audit && grub-editenv /boot/grub/grubenv list'
grep -q '^trial=minimal-test-3+1$' "$work/said" || fail "no trial: $(cat "$work/said")"
vm_type 'reboot\n'

settled 3
carries 2 3
vm 'dpkg-query -W -f "\${Version} \${db:Status-Status}\n" minimal-test-image-update; dpkg --audit'
is "$(cat "$work/said")" '3 installed' "package of the image"
vm 'nodectl upgrade /dev/vdc --yes --allow-unsigned'
vm_type 'reboot\n'

settled 4
carries 3 4
vm nodectl verify --base
vm nodectl history --json
is "$(jq -r '.transitions[] | "\(.from[13:14])\(.to[13:14]) \(.result) \(.unsigned) \(.signer)"' "$work/said")" \
	'12 trial true null
12 blessed false null
23 trial false vendor
23 blessed false null
34 trial true null
34 blessed false null' "history"
vm_type 'poweroff\n'
vm_end
