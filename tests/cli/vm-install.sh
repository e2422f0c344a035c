#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Unattended installs of a QEMU that plays the installer; real ones are in tests/vm.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
bedplate=$1
requires command -v python3
requires command -v mtype
requires command -v qemu-img
requires command -v mksquashfs
requires command -v xorriso

mkdir "$work/bin" "$work/tmp"
cat >"$work/bin/qemu-system-x86_64" <<'END'
#!/usr/bin/python3
import os, socket, subprocess, sys
console = socket.socket(fileno=0)
files = [a.split("file=")[1] for a in sys.argv if "file=" in a]
disk = next(f for f in files if "disk" in f)
open(disk, "ab").write(b"x")
console.sendall(b"GRUB\r\n*Install \r\n Install (serial console) \r\n")
got = b""
while not got.endswith(b"\r"):
    got += console.recv(1)
say = "keys %r\r\n" % got
for volume in files:
    if volume.endswith("oemdrv.img"):
        say += subprocess.check_output(["mtype", "-i", volume, "::ks.cfg"], text=True)
        say += subprocess.check_output(["mlabel", "-s", "-i", volume], text=True)
end = os.environ.get("END_OF_INSTALL", "ed node-1 on /dev/vda")
if end == "sleep":
    open(os.environ["STARTED"], "w")
    console.recv(1)
elif end != "gone":
    say += "[1.0] bedplate: installing\r\nbedplate: install%s\r\nRebooting.\r\n" % end
console.sendall(say.encode())
END
chmod +x "$work/bin/qemu-system-x86_64"
export PATH="$work/bin:$PATH" TMPDIR="$work/tmp"

nothing_left() {
	left=$(find "$work/tmp" -mindepth 1; find "$work" -name 'new*')
	[ -z "$left" ] || fail "left behind: $left"
	! pgrep -f "$work/bin/qemu-system-x86_64" >"$work/pids" || fail "QEMU still runs"
}

# iso NAME FILE...: an ISO that has these files.
iso() {
	name=$1
	shift
	mkdir -p "$work/tree/LiveOS"
	(cd "$work/tree" && touch "$@")
	xorriso -as mkisofs -quiet -r -o "$work/$name" "$work/tree" 2>/dev/null
	rm -r "$work/tree"
}
iso medium.iso LiveOS/manifest.json ks.cfg
iso without.iso LiveOS/manifest.json
iso foreign.iso ks.cfg
iso=$work/medium.iso
cat >"$work/ks.cfg" <<'END'
text
rootpw --lock
lang C.UTF-8
keyboard us
timezone Etc/UTC --utc
network --bootproto=dhcp
zerombr
clearpart --all --initlabel
autopart --type=thinp
bootloader
reboot
END

# install OPTION...: into a disk that is not there yet.
install() {
	"$bedplate" vm install -q "$iso" --kickstart="$work/ks.cfg" --disk="$work/new-disk.qcow2" "$@"
}

# The commands, and nothing is made.
expect 0 install --dry-run --size=3G --memory=1G --network=none
grep -qx "qemu-img create -q -f qcow2 $work/new-disk.qcow2 3221225472" "$work/out" ||
	fail "$(cat "$work/out")"
grep -q "media=cdrom,file=$iso .*-no-reboot\|-no-reboot .*media=cdrom,file=$iso " "$work/out" ||
	fail "$(cat "$work/out")"
grep -q "id=disk0,format=qcow2,discard=unmap,file=$work/new-disk.qcow2 " "$work/out" ||
	fail "$(cat "$work/out")"
grep -q "id=disk1,format=raw,readonly=on,file=$work/tmp/.*/oemdrv.img " "$work/out" ||
	fail "$(cat "$work/out")"
nothing_left

# A good end: the console on standard output, the verdict last; the kickstart was on its volume, and
# the menu entry for the serial console was chosen.
expect 0 install --size=3G
[ "$(tail -n 1 "$work/out")" = "installed node-1 on $work/new-disk.qcow2" ] ||
	fail "$(cat "$work/out")"
grep -q 'keys .*x01.x0e.r' "$work/out" || fail "$(cat "$work/out")"
grep -qx 'clearpart --all --initlabel' "$work/out" || fail "$(cat "$work/out")"
grep -q 'OEMDRV' "$work/out" || fail "$(cat "$work/out")"
qemu-img info "$work/new-disk.qcow2" | grep -q 'virtual size: 3 GiB' || fail "size of the disk"

# It is not overwritten by accident; --yes takes it as it is.
before=$(stat -c %s "$work/new-disk.qcow2")
expect 1 install
same "$work/err" "bedplate: $work/new-disk.qcow2 is there already, and what is on it may be erased: --yes allows that"
expect 0 install --yes --serial="$work/serial"
same "$work/out" "installed node-1 on $work/new-disk.qcow2"
grep -q 'bedplate: installed node-1' "$work/serial" || fail "$(cat "$work/serial")"
[ "$(stat -c %s "$work/new-disk.qcow2")" -eq $((before + 1)) ] || fail "the disk was made anew"
expect 1 env END_OF_INSTALL=gone "$bedplate" vm install -q "$iso" --disk="$work/new-disk.qcow2" --yes
[ -e "$work/new-disk.qcow2" ] || fail "a failed install took a disk that was there away"
rm "$work/new-disk.qcow2"
nothing_left

# What the firmware keeps is gone with a failed install as well, unless it was there before.
if [ -e /usr/share/OVMF/OVMF_VARS_4M.fd ]; then
	vars=$work/disk-old.raw.uefi-vars.fd
	echo old >"$work/disk-old.raw"
	for left in no yes; do
		expect 1 env END_OF_INSTALL=gone "$bedplate" vm install -q "$iso" --yes --uefi \
			--disk="$work/disk-old.raw"
		[ $left = no ] || grep -qx before "$vars" || fail "the variables that were there"
		[ $left = yes ] || [ ! -e "$vars" ] || fail "the variables of a failed install"
		echo before >"$vars"
	done
fi

# An empty file, and a raw disk.
: >"$work/new-disk.raw"
expect 0 "$bedplate" vm install -q "$iso" --disk="$work/new-disk.raw" --size=2G
[ "$(stat -c %s "$work/new-disk.raw")" -eq $(((2 << 30) + 1)) ] || fail "size of the raw disk"
[ "$(stat -c %b "$work/new-disk.raw")" -lt 100 ] || fail "the raw disk is not sparse"
rm "$work/new-disk.raw"

# Bad ends: status 1, the reason, and no disk.
expect 1 env END_OF_INSTALL=' failed: no disk is large enough' sh -c "'$bedplate' vm install -q '$iso' \
	--disk='$work/new-disk.qcow2' --serial='$work/serial'"
grep -qx "bedplate: the install failed: no disk is large enough; the whole console is in $work/serial" \
	"$work/err" || fail "$(cat "$work/err")"
nothing_left
expect 1 env END_OF_INSTALL=gone "$bedplate" vm install -q "$iso" --disk="$work/new-disk.qcow2"
same "$work/err" "bedplate: waiting for 'bedplate: install': the machine has gone"
nothing_left
expect 1 env END_OF_INSTALL=sleep STARTED="$work/started" \
	"$bedplate" vm install -q "$iso" --disk="$work/new-disk.qcow2" --timeout=1
same "$work/err" "bedplate: waiting for 'bedplate: install': timed out"
nothing_left

# Ctrl-C and SIGTERM.
for signal in INT TERM; do
	rm -f "$work/started"
	END_OF_INSTALL=sleep STARTED="$work/started" "$bedplate" vm install -q "$iso" \
		--disk="$work/new-disk.qcow2" >"$work/out" 2>"$work/err" &
	pid=$!
	until [ -e "$work/started" ]; do
		sleep 0.1
	done
	kill -"$signal" "$pid"
	! wait "$pid" || fail "status 0 after SIG$signal"
	grep -q interrupted "$work/err" || fail "$(cat "$work/err")"
	nothing_left
done

# Refused before anything is made.
expect 2 "$bedplate" vm install "$iso"
expect 1 install --size=100M
same "$work/err" "bedplate: a disk of 104857600 bytes is too small for a node"
expect 1 install --memory=1M
nothing_left
expect 1 "$bedplate" vm install "$work/none" --disk="$work/new-disk.qcow2"
expect 2 install --disk=
expect 1 install --disk="$work/none/new.qcow2" --dry-run
same "$work/err" "bedplate: $work/none/new.qcow2: No such file or directory"
mkdir "$work/folder"
for what in "$work/folder" /dev/null; do
	for yes in --yes --dry-run; do
		expect 1 install --disk="$what" $yes
		same "$work/err" "bedplate: $what is neither a file nor a disk"
	done
done

# Nothing is installed over what it is installed from, by whatever name.
mkdir "$work/image"
mksquashfs "$work/bin" "$work/image/a.squashfs.img" -quiet -no-progress -all-root >/dev/null
ln -s "$iso" "$work/link"
cat "$iso" "$work/ks.cfg" "$work/image/a.squashfs.img" >"$work/before"
for what in "$iso:$work/link" "$iso:$work/ks.cfg" "$work/image:$work/image/a.squashfs.img"; do
	expect 1 "$bedplate" vm install -q "${what%:*}" --kickstart="$work/ks.cfg" --disk="${what#*:}" --yes
	same "$work/err" "bedplate: ${what#*:} is what the node is installed from"
done
cat "$iso" "$work/ks.cfg" "$work/image/a.squashfs.img" | cmp - "$work/before"

# The size of a disk that is there is its own.
echo old >"$work/old.raw"
expect 1 install --disk="$work/old.raw" --yes --size=64G
same "$work/err" "bedplate: $work/old.raw is there already and keeps its size"

# A disk that somebody holds: one of the loop devices that nobody takes by itself.
mkfifo "$work/hold"
if [ "$(id -u)" -eq 0 ] && mknod "$work/loop" b 7 251 && head -c 1 "$work/loop" >/dev/null 2>&1; then
	python3 -c 'import os, sys
os.open(sys.argv[1], os.O_RDWR | os.O_EXCL)
open(sys.argv[2], "w")
sys.stdin.read()' "$work/loop" "$work/held" <"$work/hold" &
	exec 8>"$work/hold"
	until [ -e "$work/held" ]; do
		kill -0 $! || fail "nobody holds $work/loop"
		sleep 0.1
	done
	expect 1 install --disk="$work/loop" --yes
	same "$work/err" "bedplate: $work/loop or a part of it is mounted or in use"
	exec 8>&-
	wait
	expect 0 install --disk="$work/loop" --yes --dry-run
fi
nothing_left

# What is no image is refused before a medium is made of it, also by a dry run.
expect 1 "$bedplate" vm install "$work/ks.cfg" --kickstart="$work/ks.cfg" --dry-run \
	--disk="$work/new-disk.qcow2"
[ "$(wc -l <"$work/err")" -eq 1 ] || fail "$(cat "$work/err")"
grep -q "^bedplate: '$work/ks.cfg': " "$work/err" || fail "$(cat "$work/err")"
expect 1 "$bedplate" vm install "$work/folder" --kickstart="$work/ks.cfg" --dry-run \
	--disk="$work/new-disk.qcow2"
same "$work/err" "bedplate: no image in '$work/folder': no file *.squashfs.img"
: >"$work/disk.qcow2"
expect 1 "$bedplate" vm install "$work/disk.qcow2" --disk="$work/new-disk.qcow2"
same "$work/err" "bedplate: $work/disk.qcow2 is a disk: an image or an ISO is needed"
expect 1 "$bedplate" vm install "$work/ks.cfg" --disk="$work/new-disk.qcow2"
same "$work/err" "bedplate: $work/ks.cfg has no kickstart on it, give one with --kickstart"
expect 1 "$bedplate" vm install "$work/without.iso" --disk="$work/new-disk.qcow2"
same "$work/err" "bedplate: $work/without.iso has no kickstart on it, give one with --kickstart"
expect 1 "$bedplate" vm install "$work/foreign.iso" --disk="$work/new-disk.qcow2"
same "$work/err" "bedplate: $work/foreign.iso is an ISO, but not one that 'bedplate media iso' has made"
expect 1 install --serial="$work/none/console"
same "$work/err" "bedplate: $work/none/console: No such file or directory"
sed -i 's/^autopart.*/autopart --type=nonsense/' "$work/ks.cfg"
expect 1 install
grep -q "^bedplate: $work/ks.cfg:9: " "$work/err" || fail "$(cat "$work/err")"
sed -i '/^autopart/d; /^rootpw/d' "$work/ks.cfg"
expect 1 install
grep -q "^bedplate: $work/ks.cfg leaves [0-9]* questions open, the first: " "$work/err" ||
	fail "$(cat "$work/err")"
[ "$(wc -l <"$work/err")" -eq 1 ] || fail "$(cat "$work/err")"
nothing_left
