#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
bedplate=$1
requires command -v mksquashfs
requires command -v python3

# An image that no machine could boot, and a QEMU that plays what a booted one would say.
mkdir -p "$work/tree/boot" \
	"$work/tree/usr/lib/bedplate" "$work/tree/usr/lib/modules/6.1" "$work/tmp"
echo kernel >"$work/tree/boot/vmlinuz-6.1"
echo initramfs >"$work/tree/boot/initrd.img-6.1"
printf 'append=mitigations=off\ntimeout=5\n' >"$work/tree/usr/lib/bedplate/boot.conf"
mksquashfs "$work/tree" "$work/a,b.squashfs.img" -quiet -no-progress -all-root >/dev/null
image=$work/a,b.squashfs.img
mkdir "$work/bin"
cat >"$work/bin/qemu-system-x86_64" <<'END'
#!/usr/bin/python3
import os, socket, sys
args = sys.argv[1:]
kernel, initramfs = "firmware", "boots"
if "-kernel" in args:
    kernel = open(args[args.index("-kernel") + 1]).read().strip()
    initramfs = open(args[args.index("-initrd") + 1]).read().strip()
for arg in args:
    if "unit=1" in arg:
        open(arg.split("file=")[1], "a").write("+")
if os.environ.get("QEMU_FAILS"):
    sys.exit("qemu: no such machine")
console = socket.socket(fileno=0)
console.sendall(f"{kernel} {initramfs}\r\nnode login: ".encode())
got = b""
while not got.endswith(b"\n"):
    byte = console.recv(1)
    if not byte:
        sys.exit(0)
    got += byte
console.sendall(b"\r\nhello " + got)
if b"bye" not in got:
    console.recv(1)
END
chmod +x "$work/bin/qemu-system-x86_64"
export PATH="$work/bin:$PATH" TMPDIR="$work/tmp"

nothing_left() {
	[ -z "$(find "$work/tmp" -mindepth 1)" ] || fail "left behind: $(ls "$work/tmp")"
	! pgrep -f "$work/bin/qemu-system-x86_64" >"$work/pids" || fail "QEMU still runs"
}

# The command, with commas of file names doubled and the image's own parameters first.
expect 0 "$bedplate" vm run --dry-run --kvm=off --memory=1G --network=none --append='a b' "$image"
grep -qF "file=$work/a,,b.squashfs.img " "$work/out" || fail "$(cat "$work/out")"
grep -qF -- "-append 'mitigations=off root=live:/dev/vda rd.live.image " "$work/out" ||
	fail "$(cat "$work/out")"
grep -qF -- "console=ttyS0 a b norandmaps module_blacklist=sha256_ssse3'" "$work/out" || fail "$(cat "$work/out")"
grep -qF -- '-accel tcg,thread=multi -cpu max,-erms,-fsrm -smp 2 -m 1024 ' "$work/out" ||
	fail "$(cat "$work/out")"
nothing_left

# Wait, type, wait: the kernel and initramfs are those of the image, the console is copied.
expect 0 "$bedplate" vm run -q --expect='login: ' --send='root\n' --expect='hello root' \
	--serial="$work/serial" "$image"
grep -q '^kernel initramfs' "$work/serial" || fail "$(cat "$work/serial")"
[ ! -s "$work/err" ] || fail "unexpected stderr: $(cat "$work/err")"
nothing_left

# What does not come: status 1, the last lines, and a file with all of them.
expect 1 "$bedplate" vm run -q --expect='password' --timeout=1 "$image"
grep -qx 'node login: ' "$work/err" || fail "no last lines: $(cat "$work/err")"
kept=$(sed -n "s/.*waiting for 'password': timed out; the whole console is in //p" "$work/err")
grep -q '^kernel initramfs' "$kept" || fail "no console in '$kept': $(cat "$work/err")"
rm "$kept"
nothing_left

# The machine ends by itself too early.
expect 1 "$bedplate" vm run -q --expect='login: ' --send='bye\n' --expect='more' \
	--serial="$work/serial" "$image"
grep -q "waiting for 'more': the machine has gone; .*$work/serial" "$work/err" ||
	fail "$(cat "$work/err")"
nothing_left

# QEMU's own words reach the user, and no empty file is kept.
expect 1 env QEMU_FAILS=1 "$bedplate" vm run -q --expect=x "$image"
same "$work/err" "bedplate: qemu-system-x86_64: exit status 1: qemu: no such machine"
nothing_left

# A person, here a pipe: keys go in, Ctrl-A x ends.
printf 'bye\n' | "$bedplate" vm run -q "$image" >"$work/out" 2>"$work/err" || fail "$(cat "$work/err")"
grep -q '^hello bye' "$work/out" || fail "$(cat "$work/out")"
{
	sleep 1
	printf '\001x'
} | "$bedplate" vm run -q "$image" >"$work/out" 2>"$work/err" || fail "$(cat "$work/err")"
nothing_left

# Ctrl-C and SIGTERM.
for signal in INT TERM; do
	"$bedplate" vm run -q --expect=never "$image" >"$work/out" 2>"$work/err" &
	pid=$!
	until pgrep -f "$work/bin/qemu-system-x86_64" >"$work/pids"; do
		sleep 0.1
	done
	# A shell without job control starts its children with SIGINT ignored; ours catches it anyway.
	kill -"$signal" "$pid"
	! wait "$pid" || fail "status 0 after SIG$signal"
	grep -q interrupted "$work/err" || fail "$(cat "$work/err")"
	nothing_left
done

# A disk is booted by its firmware, which keeps its variables beside it.
printf 'x' >"$work/d.qcow2"
truncate -s 1M "$work/d.raw" "$work/d.iso"
printf '\125\252' | dd of="$work/d.raw" bs=1 seek=510 conv=notrunc status=none
cp "$work/d.raw" "$work/d.iso"
printf 'CD001' | dd of="$work/d.iso" bs=1 seek=32769 conv=notrunc status=none
expect 0 "$bedplate" vm run -q --expect='firmware boots' "$work/d.qcow2"
for run in "$work/d.qcow2:format=qcow2,discard=unmap,file=$work/d.qcow2" \
	"$work/d.raw:format=raw,discard=unmap,file=$work/d.raw" \
	"$work/d.raw --snapshot:format=raw,discard=unmap,snapshot=on,file=$work/d.raw" \
	"$work/d.iso:format=raw,readonly=on,media=cdrom,file=$work/d.iso"; do
	# shellcheck disable=SC2086 # options and a path without blanks
	expect 0 "$bedplate" vm run --dry-run ${run%%:*}
	grep -qF "${run#*:}" "$work/out" || fail "${run%%:*}: $(cat "$work/out")"
	! grep -q -- -kernel "$work/out" || fail "${run%%:*}: $(cat "$work/out")"
done
expect 0 "$bedplate" vm run --dry-run "$work/d.raw"
! grep -q -- -no-reboot "$work/out" || fail "a disk cannot reboot"
expect 0 "$bedplate" vm run --dry-run "$work/d.iso" --disk "$work/d.raw" --disk "$work/d.qcow2"
grep -q 'id=disk0,format=raw.*id=disk1,format=qcow2' "$work/out" || fail "$(cat "$work/out")"
nothing_left

if [ -e /usr/share/OVMF/OVMF_VARS_4M.ms.fd ]; then
	vars=$work/d.raw.secure-boot-vars.fd
	expect 0 "$bedplate" vm run --dry-run --secure-boot "$work/d.raw"
	grep -qF "file=$vars" "$work/out" || fail "$(cat "$work/out")"
	[ ! -e "$vars" ] || fail "--dry-run made a file"
	expect 0 "$bedplate" vm run -q --expect=boots --secure-boot --snapshot "$work/d.raw"
	[ ! -e "$vars" ] || fail "--snapshot made a file"
	for _ in 1 2; do
		expect 0 "$bedplate" vm run -q --expect=boots --secure-boot "$work/d.raw"
	done
	expect 0 "$bedplate" vm run -q --expect=boots --secure-boot --snapshot "$work/d.raw"
	cmp -n 540672 "$vars" /usr/share/OVMF/OVMF_VARS_4M.ms.fd || fail "not made of the template"
	[ "$(tail -c +540673 "$vars")" = ++ ] || fail "variables are not kept"
	[ ! -e "$work/d.raw.uefi-vars.fd" ] || fail "variables of the other firmware"
	nothing_left
fi

# Wrong use and bad input.
expect 2 "$bedplate" vm run --network=bridge "$image"
expect 2 "$bedplate" vm run --kvm=maybe "$image"
expect 2 "$bedplate" vm run --send='\x' "$image"
for options in "--append=a $work/d.raw" "--append=a $work/d.iso" "--snapshot $work/d.iso" \
	"--snapshot $image" "--secure-boot $image"; do
	# shellcheck disable=SC2086 # as above
	expect 2 "$bedplate" vm run $options
done
expect 1 "$bedplate" vm run --memory=1M "$image"
same "$work/err" "bedplate: 1048576 bytes of memory are too few for a node"
expect 1 "$bedplate" vm run --disk="$work/none" "$image"
expect 1 "$bedplate" vm run --disk="$work/bin" "$image"
same "$work/err" "bedplate: $work/bin is neither a file nor a disk"
expect 1 "$bedplate" vm run "$work/none"
expect 1 "$bedplate" vm run "$work/serial"
expect 1 "$bedplate" vm run --serial="$work/none/console" --expect=x "$image"
same "$work/err" "bedplate: $work/none/console: No such file or directory"
rm "$work/tree/boot/vmlinuz-6.1"
mksquashfs "$work/tree" "$work/none.img" -quiet -no-progress -all-root >/dev/null
expect 1 "$bedplate" vm run "$work/none.img"
nothing_left
