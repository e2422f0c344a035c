#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# nodectl install on a disk, with a small image of its own: refusals that write nothing, an install, a
# power cut and the install after it, reinstall and uninstall.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_uml
# shellcheck source=image.sh
. "$lab/image.sh"

# kickstart NAME LINE...: $work/NAME.ks
kickstart() {
	name=$1
	shift
	cat >"$work/$name.ks" <<END
text
timezone Etc/UTC --utc
rootpw --lock
zerombr
ignoredisk --only-use=ubda
clearpart --all --initlabel --drives=ubda
autopart --type=thinp --profile=minimal
bootloader --append="lab.ks=1"
network --hostname=lab.test
reboot
END
	printf '%s\n' "$@" >>"$work/$name.ks"
}

make_tree
make_rootfs "$work/rootfs.img" 64
make_image "$work/image" 1+x.y "$work/rootfs.img"
good="liveimg --url=file://$image --checksum=$(sum "$image")"
kickstart good "$good" '%pre' 'echo "%post" >/tmp/from-pre' 'echo "cat /etc/hostname >/var/seen" >>/tmp/from-pre' \
	'echo "%end" >>/tmp/from-pre' '%end' '%include /tmp/from-pre' '%post --nochroot' \
	"echo nochroot >$work/nochroot" '%end'
kickstart sum "liveimg --url=file://$image --checksum=$(printf x | sha256sum | cut -d' ' -f1)"
kickstart open "$good"
sed -i '/^autopart\|^timezone/d' "$work/open.ks"
kickstart wrong "$good" "autopart --nonsense"
kickstart damaged "liveimg --url=$work/damaged/lab-1+x.y.squashfs.img"
mkdir "$work/damaged"
cp "$work/image/"* "$work/damaged"
damage "$work/damaged/lab-1+x.y.squashfs.img" 100000
kickstart small "$good" "%onerror" "echo called-before >$work/onerror-before" "%end"
sed -i 's/ubda/ubdb/' "$work/small.ks"
kickstart halt "$good"
sed -i 's/^reboot$/halt/' "$work/halt.ks"
kickstart error "$good" "%post --erroronfail" "exit 3" "%end" "%onerror" \
	"echo it-was-called >$work/onerror" "%end"

# Nothing of this writes: refusals, a dry run, an install without --yes.
new_disk disk 8G
new_disk small 1G
printf 'what was here before' | dd of="$work/disk" bs=1 seek=5000000 conv=notrunc status=none
# Of what is in it: reading all of its holes would take a minute.
disk_sum() {
	tar --create --sparse --mtime=@0 --file=- -C "$work" disk | sha256sum
}
before=$(disk_sum)
in_guest --disk="$work/disk" --disk="$work/small" --memory=768 <<'END'
refused() {
	status=0
	"$LAB_NODECTL" install --kickstart="$LAB_WORK/$1.ks" --yes 2>"$LAB_WORK/$1.err" || status=$?
	[ $status -eq 1 ]
	grep -e "$2" "$LAB_WORK/$1.err"
}
refused sum 'liveimg: --checksum is not that of the image'
refused damaged 'damaged/lab-1+x.y.squashfs.img. is damaged: SHA-256 is'
refused open 'leaves 2 questions open: storage, time zone'
grep 'open question: time zone: add timezone ZONE' "$LAB_WORK/open.err"
refused wrong 'wrong.ks:12: '
refused small ' needs .*, has .*, .* more'
[ "$(cat "$LAB_WORK/onerror-before")" = called-before ]
refused missing "missing.ks': No such file"

# With a trust anchor the image has to be signed by it.
mkdir -p /etc/bedplate/trust.d
cd /run
for name in ours theirs; do
	openssl req -x509 -newkey rsa:2048 -nodes -keyout $name.key -out $name.pem -days 30 \
		-subj "/CN=$name" 2>/dev/null
done
cp ours.pem /etc/bedplate/trust.d/
refused good 'is not signed, and only signed images may be installed here'
manifest=$LAB_WORK/image/lab-1+x.y.manifest.json
sign() {
	openssl cms -sign -binary -outform DER -in "$manifest" -out "$manifest.sig" \
		-signer "$1.pem" -inkey "$1.key" -md sha256
}
sign theirs
refused good 'lab-1+x.y.manifest.json'
sign ours
"$LAB_NODECTL" install --kickstart="$LAB_WORK/good.ks" --dry-run >"$LAB_WORK/dry"
grep 'signed by .*ours' "$LAB_WORK/dry"
grep -x 'Nothing was written.' "$LAB_WORK/dry"
refused_without_yes=0
"$LAB_NODECTL" install --kickstart="$LAB_WORK/good.ks" --json >"$LAB_WORK/json" 2>/run/err ||
	refused_without_yes=$?
[ $refused_without_yes -eq 1 ]
grep 'nothing was written; add --yes' /run/err
jq -se '.[0].event == "plan" and .[0].layer == "lab-1+x.y+1" and .[0].layout.volume_group.new
	and .[1].event == "result" and (.[1].ok | not)' "$LAB_WORK/json"
# The signature stays: a node keeps it.
[ -z "$(grep /run/bedplate /proc/mounts)" ]
END
[ "$(disk_sum)" = "$before" ] || fail "a refusal has written to the disk"

# The power goes while the base is written, and in each step up to the boot entry.
for stage in base "boot loader" verify "boot entry"; do
	guest --disk="$work/disk" --memory=768 --cut-at="{\"event\":\"begin\",\"stage\":\"$stage" <<'END'
"$LAB_NODECTL" install --kickstart="$LAB_WORK/good.ks" --yes --json --progress-fd=1 2>&1
END
	[ "$guest_status" -eq 137 ] || fail "no cut in '$stage': $(tail -n 5 "$work/out")"
done

# The install after it succeeds, and the disk is what it should be.
in_guest --disk="$work/disk" --memory=768 <<'END'
"$LAB_NODECTL" install --kickstart="$LAB_WORK/good.ks" --yes >"$LAB_WORK/installed" 2>&1 || {
	cat "$LAB_WORK/installed"
	exit 1
}
grep -x 'bedplate: installed lab-1+x.y on /dev/ubda' "$LAB_WORK/installed"
[ -z "$(grep -e /run/bedplate -e /mnt/sysimage /proc/mounts)" ]
[ ! -e /dev/mapper/bedplate-verify ]
[ -s "$LAB_WORK/nochroot" ]
sgdisk -p /dev/ubda | grep bedplate-lvm
mkdir /run/boot /run/var /run/layer
mount -t ext4 -o ro /dev/ubda3 /run/boot
cmp "$LAB_WORK/tree/boot/vmlinuz-6.1-lab" /run/boot/lab-1+x.y+1/vmlinuz
zstd -dc /run/boot/lab-1+x.y+1/initramfs.img | cmp - "$LAB_WORK/tree/boot/initrd.img-6.1-lab"
for suffix in json json.sig; do
	cmp "$LAB_WORK/image/lab-1+x.y.manifest.$suffix" "/run/boot/lab-1+x.y+1/manifest.$suffix"
done
grep 'bedplate.layer=lab-1+x.y+1 bedplate.roothash=[0-9a-f]\{64\} .*lab.image=1 .*lab.ks=1' \
	/run/boot/lab-1+x.y+1/bedplate.cfg
grep -a '^default=lab-1+x.y+1$' /run/boot/grub/grubenv
umount /run/boot
mount -o ro /dev/bedplate/var /run/var
[ "$(cat /run/var/seen)" = lab.test ]
[ "$(cat /run/var/lib/lab/file)" = new ]
grep -x 'bedplate: installed lab-1+x.y on /dev/ubda' /run/bedplate/install/install.log
grep 'THIS IS ERASED' /run/var/log/bedplate/install.log
grep '^rootpw --lock' /run/var/log/bedplate/install.ks
umount /run/var
mount -o ro /dev/bedplate/lab-1+x.y+1 /run/layer
jq -e '.image.name == "lab" and .layer == "lab-1+x.y+1"' /run/layer/upper/usr/lib/bedplate/factory.json
umount /run/layer
END

# A disk that is somebody's is refused; the node is reinstalled over itself; %onerror; uninstall.
in_guest --disk="$work/disk" --memory=768 <<'END'
mkdir /run/boot
mount -t ext4 -o ro /dev/ubda3 /run/boot
if "$LAB_NODECTL" install --kickstart="$LAB_WORK/good.ks" --yes 2>/run/err; then exit 1; fi
grep '/dev/ubda' /run/err
END
in_guest --disk="$work/disk" --memory=768 <<'END'
lvm vgchange -ay --sysinit bedplate
lvm lvcreate -y -L 64m -n foreign bedplate
printf kept | dd of=/dev/bedplate/foreign conv=fsync status=none
if "$LAB_NODECTL" reinstall --kickstart="$LAB_WORK/error.ks" --yes 2>/run/err; then exit 1; fi
cat /run/err
grep 'error.ks:12: %post script failed' /run/err
[ "$(cat "$LAB_WORK/onerror")" = it-was-called ]
[ -z "$(grep -e /run/bedplate -e /mnt/sysimage /proc/mounts)" ]

# As the unit does it: the kernel command line asks, the end is that of the kickstart.
mkdir /run/bin
printf '#!/bin/sh\necho "$*" >/run/systemctl\n' >/run/bin/systemctl
chmod +x /run/bin/systemctl
ask() {
	echo "root=live:/dev/sr0 $*" >/run/cmdline
	mount --bind /run/cmdline /proc/cmdline
	status=0
	PATH=/run/bin:$PATH "$LAB_NODECTL" boot-install >"$LAB_WORK/asked" 2>&1 || status=$?
	umount /proc/cmdline
}
ask rescue install "inst.ks=$LAB_WORK/good.ks"
[ $status -eq 0 ]
[ ! -s "$LAB_WORK/asked" ]
ask upgrade
[ $status -eq 1 ]
tail -n 1 "$LAB_WORK/asked" | grep '^bedplate: upgrade failed: image: this system was not started from an image'
ask install
[ $status -eq 1 ]
tail -n 1 "$LAB_WORK/asked" | grep '^bedplate: install failed: kickstart: there is no ks.cfg on the medium'
ask storage_init=/dev/none "rootpw=\$6\$x\$y"
[ $status -eq 1 ]
grep -x 'bedplate: install failed: kernel argument storage_init=/dev/none: no such disk' \
	"$LAB_WORK/asked"
ask reinstall "inst.ks=$LAB_WORK/good.ks"
[ $status -eq 0 ] || cat "$LAB_WORK/asked"
[ $status -eq 0 ]
tail -n 1 "$LAB_WORK/asked" | grep -x 'bedplate: installed lab-1+x.y on /dev/ubda'
[ "$(cat /run/systemctl)" = "--no-block reboot" ]
[ "$(head -c 4 /dev/bedplate/foreign)" = kept ]

# A medium with this very image has nothing to upgrade, and wants the machine to restart all the same.
mkdir -p /run/initramfs/live/LiveOS
ln -s "$LAB_WORK/image/lab-1+x.y.squashfs.img" /run/initramfs/live/LiveOS/squashfs.img
ln -s "$LAB_WORK/image/lab-1+x.y.manifest.json" /run/initramfs/live/LiveOS/manifest.json
rm /run/systemctl
ask upgrade "inst.ks=$LAB_WORK/good.ks"
[ $status -eq 0 ] || cat "$LAB_WORK/asked"
[ $status -eq 0 ]
tail -n 1 "$LAB_WORK/asked" | grep -x 'bedplate: lab-1+x.y is on this node already'
grep "good.ks' is not read" "$LAB_WORK/asked"
[ "$(cat /run/systemctl)" = "--no-block reboot" ]
rm -r /run/initramfs

"$LAB_NODECTL" uninstall --dry-run >/run/out
grep '^Remove: volume /dev/bedplate/lab-1+x.y+1$' /run/out
if "$LAB_NODECTL" uninstall 2>/run/err; then exit 1; fi
grep 'nothing was written; add --yes to uninstall' /run/err
boot_code() { head -c 440 /dev/ubda | tr -d '\0' | wc -c; }
[ "$(boot_code)" -gt 0 ]
rm /run/systemctl
ask uninstall "inst.ks=$LAB_WORK/halt.ks"
[ $status -eq 0 ]
[ "$(cat /run/systemctl)" = "--no-block halt" ]
[ "$(boot_code)" -eq 0 ]
tail -n 1 "$LAB_WORK/asked" | grep -x 'bedplate: uninstalled'
[ "$(head -c 4 /dev/bedplate/foreign)" = kept ]
if lvm lvs bedplate/lab-1+x.y 2>/dev/null; then exit 1; fi
if "$LAB_NODECTL" uninstall --yes 2>/run/err; then exit 1; fi
grep 'there is no node here' /run/err
END
