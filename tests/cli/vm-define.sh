#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
bedplate=$1
requires command -v virt-xml-validate

# A name and a path that want escaping.
disk="$work/a'b<&>\"c.qcow2"
printf x >"$disk"
cd "$work"

# The description is valid, and what it says is what was asked for.
expect 0 "$bedplate" vm define "a'b<&>\"c.qcow2" --name="<n>&'\"" --memory=1G --cpus=3 --print
cp "$work/out" "$work/one.xml"
expect 0 virt-xml-validate "$work/one.xml" domain
# xpath FILE EXPRESSION WANT
xpath() {
	got=$(xmllint --xpath "string($2)" "$1")
	[ "$got" = "$3" ] || fail "$2 is '$got', expected '$3'"
}
xpath "$work/one.xml" /domain/name "<n>&'\""
xpath "$work/one.xml" //disk/source/@file "$(realpath "$disk")"
xpath "$work/one.xml" //disk/driver/@type qcow2
xpath "$work/one.xml" /domain/memory 1073741824
xpath "$work/one.xml" /domain/vcpu 3
xpath "$work/one.xml" //loader ""

# Which network there is depends on whose libvirt it is.
for uri in qemu:///session:user qemu:///system:network 'qemu+unix:///session?socket=/x:user'; do
	expect 0 "$bedplate" vm define "$disk" --name=n --print --connect="${uri%:*}"
	cp "$work/out" "$work/two.xml"
	xpath "$work/two.xml" //interface/@type "${uri##*:}"
done

if [ -e /usr/share/OVMF/OVMF_VARS_4M.ms.fd ]; then
	for kind in uefi secure-boot; do
		expect 0 "$bedplate" vm define "$disk" --name=n --print --$kind
		cp "$work/out" "$work/three.xml"
		expect 0 virt-xml-validate "$work/three.xml" domain
		xpath "$work/three.xml" //nvram "$(realpath "$disk").$kind-vars.fd"
	done
	xpath "$work/three.xml" //loader/@secure yes
	xpath "$work/three.xml" //smm/@state on
	[ ! -e "$disk.uefi-vars.fd" ] || fail "--print made a file"
fi

# A link is the disk by that name: of the format that it says, with the variables beside it.
ln -s "$work/one.xml" "$work/link.qcow2"
expect 0 "$bedplate" vm define link.qcow2 --name=n --print
cp "$work/out" "$work/four.xml"
xpath "$work/four.xml" //disk/driver/@type qcow2
xpath "$work/four.xml" //disk/source/@file "$(realpath "$work")/link.qcow2"
if [ -e /usr/share/OVMF/OVMF_VARS_4M.ms.fd ]; then
	expect 0 "$bedplate" vm define link.qcow2 --name=link --uefi --connect=test:///default
	expect 0 "$bedplate" vm define ./link.qcow2 --name=link --uefi --print
	cp "$work/out" "$work/four.xml"
	nvram=$(xmllint --xpath 'string(//nvram)' "$work/four.xml")
	[ -e "$nvram" ] || fail "no variables in '$nvram'"
fi
if [ -b /dev/loop0 ]; then
	ln -s /dev/loop0 "$work/block.qcow2"
	expect 0 "$bedplate" vm define "$work/block.qcow2" --name=n --print
	cp "$work/out" "$work/five.xml"
	expect 0 virt-xml-validate "$work/five.xml" domain
	xpath "$work/five.xml" //disk/@type block
	xpath "$work/five.xml" //disk/source/@dev "$(realpath "$work")/block.qcow2"
fi

# libvirt takes it.
expect 0 "$bedplate" vm define "$disk" --name="<n>&'\"" --connect=test:///default
[ ! -s "$work/out" ] || fail "$(cat "$work/out")"
[ ! -s "$work/err" ] || fail "$(cat "$work/err")"
if [ -e /usr/share/OVMF/OVMF_VARS_4M.ms.fd ]; then
	expect 0 "$bedplate" vm define "$disk" --name=n --secure-boot --connect=test:///default
	cmp "$disk.secure-boot-vars.fd" /usr/share/OVMF/OVMF_VARS_4M.ms.fd
fi

# Refusals are one line each.
expect 1 "$bedplate" vm define "$disk" --name=test --connect=test:///default
same "$work/err" "bedplate: test:///default has a machine 'test' already"
if [ -e /usr/share/OVMF/OVMF_VARS_4M.ms.fd ]; then
	rm -f "$disk.uefi-vars.fd"
	expect 1 "$bedplate" vm define "$disk" --name=test --uefi --connect=test:///default
	[ ! -e "$disk.uefi-vars.fd" ] || fail "variables of a machine that is none"
fi
expect 1 "$bedplate" vm define "$disk" --name=n --connect="qemu+unix:///system?socket=$work/none"
[ "$(wc -l <"$work/err")" -eq 1 ] || fail "$(cat "$work/err")"
grep -q "^bedplate: qemu+unix:///system?socket=$work/none: .*No such file" "$work/err" ||
	fail "$(cat "$work/err")"
expect 1 "$bedplate" vm define "$disk" --name=n --connect=nonsense:///
[ "$(wc -l <"$work/err")" -eq 1 ] || fail "$(cat "$work/err")"
expect 1 "$bedplate" vm define "$disk" --name=n --memory=18446744073709551615 --print
same "$work/err" "bedplate: 18446744073709551615 bytes of memory are more than a machine can have"
expect 1 "$bedplate" vm define "$disk" --name=a/b --print
expect 1 "$bedplate" vm define "$disk" --name="$(printf 'a\nb')" --print
expect 1 "$bedplate" vm define "$work/none" --name=n --print
expect 1 "$bedplate" vm define "$work/one.xml" --name=n --print
same "$work/err" "bedplate: $work/one.xml: is no disk with a partition table"
truncate -s 1M "$work/medium"
printf 'CD001' | dd of="$work/medium" bs=1 seek=32769 conv=notrunc status=none
expect 1 "$bedplate" vm define "$work/medium" --name=n --print
same "$work/err" "bedplate: $work/medium is an ISO: a disk is needed"
expect 2 "$bedplate" vm define "$disk"
