#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# netroot add, list, default, host, remove, gc and check with small images and ISOs: the tree, and what
# is refused.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
bedplate=$1

for tool in mksquashfs mke2fs xorriso cpio jq zstd debugfs; do
	requires which $tool
done

cd "$work"
export TMPDIR="$work/tmp"
mkdir tmp

has() { grep -qF -- "$2" "$1" || fail "$1 lacks '$2': $(cat "$1")"; }
lacks() { ! grep -qF -- "$2" "$1" || fail "$1 has '$2': $(cat "$1")"; }
gone() {
	for f; do
		[ ! -e "$f" ] || fail "'$f' is still there"
	done
}
one_line() {
	grep '^bedplate: ' "$work/err" | grep -v '^bedplate: warning' >"$work/msg" || :
	[ "$(wc -l <"$work/msg")" -eq 1 ] || fail "not one line: $(cat "$work/err")"
	has "$work/msg" "$1"
}
# What is in a tree, and when it was written.
state() { find "$1" -type f -printf '%P %s %T@\n' -o -printf '%P %y\n' | sort; }
# refuse TEXT COMMAND...: one line, and the tree t as it was.
refuse() {
	text=$1
	shift
	state "$work/t" >before
	expect 1 "$bedplate" netroot "$@"
	one_line "$text"
	state "$work/t" | diff before - >&2 || fail "the tree has changed"
}

# initramfs FILE RELEASE [LEFT_OUT]: what dracut would put into one.
initramfs() {
	rm -rf i
	mkdir -p i/usr/lib/dracut/hooks/cmdline i/usr/sbin "i/usr/lib/modules/$2/kernel/drivers/net"
	: >i/usr/lib/dracut/hooks/cmdline/90-parse-nbdroot.sh
	for f in usr/sbin/nbd-client usr/sbin/dmsquash-live-root usr/sbin/ifup \
		"usr/lib/modules/$2/kernel/nbd.ko.xz" "usr/lib/modules/$2/kernel/loop.ko" \
		"usr/lib/modules/$2/kernel/overlay.ko" "usr/lib/modules/$2/kernel/dm-snapshot.ko" \
		"usr/lib/modules/$2/kernel/drivers/net/virtio_net.ko"; do
		: >"i/$f"
	done
	printf 'kernel/fs/ext4/ext4.ko\nkernel/fs/squashfs/squashfs.ko\nkernel/fs/isofs/isofs.ko\n' \
		>"i/usr/lib/modules/$2/modules.builtin"
	[ -z "${3-}" ] || find i -name "$3*" -delete
	(cd i && find . | sort | cpio -o -H newc --quiet) >"$1"
}

# The kernel of x86 tells its release; the rest of it does not matter here.
kernel() {
	head -c 8192 /dev/zero >"$1"
	printf 'HdrS' | dd of="$1" bs=1 seek=514 conv=notrunc status=none
	printf '\000\020' | dd of="$1" bs=1 seek=526 conv=notrunc status=none
	printf '%s (somebody) #1' "$2" | dd of="$1" bs=1 seek=4608 conv=notrunc status=none
}

# live NAME VERSION: a liveimg with a manifest.
live() {
	rm -rf wrap "$1.squashfs.img"
	mkdir -p wrap/LiveOS
	echo "$2" >tree/etc/version
	truncate -s 8M wrap/LiveOS/rootfs.img
	mke2fs -q -t ext4 -b 4096 -O ^has_journal -d tree wrap/LiveOS/rootfs.img
	mksquashfs wrap "$1.squashfs.img" -quiet -no-progress -comp zstd >/dev/null
	cat >"$1.manifest.json" <<END
{"manifest_version":1,"name":"testnode","version":"$2","arch":"amd64","source_date":1700000000,
"rootfs_type":"squashfs-ext4","kernels":[],"packages":[],"previous":null,"tool":"hand","recipe":null,
"liveimg":{"file":"$1.squashfs.img","size":$(stat -c %s "$1.squashfs.img"),"sha256":"$(sha256sum <"$1.squashfs.img" | cut -d' ' -f1)"},
"rootfs":{"file":"LiveOS/rootfs.img","size":8388608,"sha256":"$(sha256sum <wrap/LiveOS/rootfs.img | cut -d' ' -f1)"},
"files":null,"sbom":null,"verity":null}
END
}

mkdir -p tree/boot tree/etc tree/proc tree/usr/lib/modules/6.1.0-1 tree/usr/lib/bedplate \
	tree/usr/lib/shim tree/usr/lib/grub/x86_64-efi-signed
printf 'append=quiet a="b c"\n' >tree/usr/lib/bedplate/boot.conf
for f in shim/shimx64 shim/mmx64 grub/x86_64-efi-signed/grubnetx64; do
	echo "$f" >tree/usr/lib/$f.efi.signed
done
kernel tree/boot/vmlinuz-6.1.0-1 6.1.0-1
initramfs tree/boot/initrd.img-6.1.0-1 6.1.0-1
live a 1.0
live b 2.0

# --- our image: the tree, and again ---
expect 0 "$bedplate" netroot add --tree=t a.squashfs.img --server 10.0.0.1
id=$(sha256sum <a.squashfs.img | cut -c1-16)
has "$work/out" "testnode-1.0: $id, the default"
has "$work/out" "a client needs about"
cmp t/tftp/"$id"/vmlinuz tree/boot/vmlinuz-6.1.0-1 || fail "another kernel"
zstd -qdc t/tftp/"$id"/initrd.img | cmp - tree/boot/initrd.img-6.1.0-1 || fail "another initramfs"
cmp t/tftp/grubx64.efi tree/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed || fail "another GRUB"
e2fsck -fn t/images/"$id".img >fsck 2>&1 || fail "the file system: $(cat fsck)"
debugfs -R 'cat /LiveOS/squashfs.img' t/images/"$id".img 2>/dev/null | cmp - a.squashfs.img ||
	fail "another image"
uuid=$(blkid -o value -s UUID t/images/"$id".img)
line="quiet a=\"b c\" root=live:UUID=$uuid netroot=nbd:10.0.0.1:$id.img ip=dhcp rd.neednet=1 rd.live.image"
has t/tftp/pxelinux.cfg/default "	APPEND initrd=$id/initrd.img $line"
has t/tftp/pxelinux.cfg/default "DEFAULT testnode-1.0"
has t/tftp/ipxe/default.ipxe "kernel ../$id/vmlinuz initrd=initrd.img $line"
has t/tftp/grub/grub.cfg "linux '/$id/vmlinuz' quiet 'a=b c' root=live:UUID=$uuid netroot=nbd:10.0.0.1:$id.img ip=dhcp"
has t/images/nbd.conf "	exportname = $work/t/images/$id.img"
grep -rl "$work" t >where
same where t/images/nbd.conf
expect 0 "$bedplate" netroot check --tree=t
same "$work/out" good
touch -d 2001-01-01 t/images/"$id".img
state "$work/t" >before
expect 0 "$bedplate" netroot add --tree=t a.squashfs.img
has "$work/out" "was there already"
state "$work/t" | diff before - || fail "the same image again changed the tree"

# The ISO of the same image is the same image; without shim it still is a medium for netroot.
mkdir -p iso/LiveOS
cp a.squashfs.img iso/LiveOS/squashfs.img
cp a.manifest.json iso/LiveOS/manifest.json
xorriso -as mkisofs -quiet -o ours.iso -V OURS -r iso 2>/dev/null
expect 0 "$bedplate" netroot add --tree=t ours.iso
has "$work/out" "testnode-1.0: $id, the default, was there already"

# --- foreign ISOs: three layouts, nested and flat; what their menu says is kept ---
mkdir flat nested
cp -r tree/etc tree/proc flat/
mkdir flat/usr
mksquashfs flat flat.sqfs -quiet -no-progress >/dev/null
mkdir nested/LiveOS
truncate -s 1M nested/LiveOS/ext3fs.img
mksquashfs nested nested.sqfs -quiet -no-progress >/dev/null
gzip -n <tree/boot/initrd.img-6.1.0-1 >gz
# iso NAME KERNEL INITRAMFS SQUASHFS [LABEL]
iso() {
	rm -rf iso
	mkdir -p "iso/$(dirname "$2")" iso/LiveOS iso/isolinux
	cp tree/boot/vmlinuz-6.1.0-1 "iso/$2"
	cp gz "iso/$3"
	cp "$4" iso/LiveOS/squashfs.img
	printf 'label linux\n  kernel vmlinuz\n  append initrd=initrd.img root=live:CDLABEL=X rd.live.image quiet rhgb rd.live.check\n' \
		>iso/isolinux/isolinux.cfg
	xorriso -as mkisofs -quiet -o "$1.iso" -V "${5:-$1}" --modification-date=2026013110203040 -r iso 2>/dev/null
}
iso OLD isolinux/vmlinuz0 isolinux/initrd0.img nested.sqfs
iso PXE images/pxeboot/vmlinuz images/pxeboot/initrd.img flat.sqfs 'WITH BLANKS'
iso KIWI boot/x86_64/loader/linux boot/x86_64/loader/initrd flat.sqfs
for name in OLD PXE KIWI; do
	expect 0 "$bedplate" netroot add --tree=t $name.iso --label $name
	new=$(sha256sum <$name.iso | cut -c1-16)
	cmp t/images/"$new".img $name.iso || fail "another ISO"
	cmp t/tftp/"$new"/initrd.img gz || fail "another initramfs"
done
has t/tftp/ipxe/default.ipxe "quiet rhgb root=live:CDLABEL=OLD netroot=nbd:\${next-server}:$(sha256sum <OLD.iso | cut -c1-16).img ip=dhcp rd.neednet=1 rd.live.image rd.live.overlay.nouserconfirmprompt rd.luks=0"
has t/tftp/grub/grub.cfg "root=live:UUID=2026-01-31-10-20-30-40 netroot=nbd:\${net_default_server}:$(sha256sum <PXE.iso | cut -c1-16).img ip=dhcp"
has t/tftp/ipxe/default.ipxe "root=live:CDLABEL=KIWI"
has t/tftp/ipxe/default.ipxe "rd.live.overlay.overlayfs=1"
has t/tftp/pxelinux.cfg/default "# OLD: needs 'netroot add --server'"
expect 0 "$bedplate" netroot list --tree=t --json
[ "$(jq -c '[.default,([.entries[].label]),.hosts]' "$work/out")" = \
	'["testnode-1.0",["KIWI","OLD","PXE","testnode-1.0"],[]]' ] || fail "$(cat "$work/out")"

# --- the server that was set is none any more ---
expect 0 "$bedplate" netroot add --tree=t KIWI.iso --label KIWI --server 10.0.0.9
has t/tftp/pxelinux.cfg/default "netroot=nbd:10.0.0.9:"
expect 0 "$bedplate" netroot add --tree=t KIWI.iso --label KIWI --server=
has t/tftp/pxelinux.cfg/default "# KIWI: needs 'netroot add --server'"

# --- default and hosts ---
expect 0 "$bedplate" netroot default --tree=t OLD
has t/tftp/grub/grub.cfg "set default='e-OLD'"
has t/tftp/pxelinux.cfg/default "DEFAULT +local"
mkdir -p config/etc/ssh
echo key >config/etc/ssh/host_key
uuid2=0123ABCD-0000-1111-2222-333344445555
expect 0 "$bedplate" netroot host --tree=t 52-54-00-AA-BB-CC --image testnode-1.0 --hostname n1 \
	--append 'x=1' --config config
expect 0 "$bedplate" netroot host --tree=t $uuid2 --image KIWI
mac=t/tftp/pxelinux.cfg/01-52-54-00-aa-bb-cc
has $mac "DEFAULT testnode-1.0"
cmp t/tftp/pxelinux.cfg/0123abcd-0000-1111-2222-333344445555 \
	t/tftp/pxelinux.cfg/cdab2301-0000-1111-2222-333344445555 || fail "the swapped UUID"
has $mac "systemd.hostname=n1 x=1"
[ "$(grep -c 'x=1' $mac)" -eq 1 ] || fail "another entry has the host's parameters"
lacks t/tftp/pxelinux.cfg/default systemd.hostname
has t/tftp/grub/hosts/52:54:00:aa:bb:cc.cfg "set default='e-testnode-1.0'"
has t/tftp/ipxe/52-54-00-aa-bb-cc.ipxe "choose --default testnode-1.0"
has t/tftp/ipxe/0123abcd-0000-1111-2222-333344445555.ipxe "choose --default KIWI"
[ -f t/tftp/pxelinux.cfg/0123abcd-0000-1111-2222-333344445555 ] || fail "no file for the UUID"
host_file() { echo t/hosts/52-54-00-aa-bb-cc.*.cpio; }
[ "$(cpio -i --to-stdout --quiet etc/ssh/host_key <"$(host_file)")" = key ] || fail "the host's files"
[ "$(stat -c %a "$(host_file)") $(stat -c %a t/hosts)" = "600 700" ] || fail "modes"
expect 0 "$bedplate" netroot check --tree=t
if which grub-script-check >/dev/null; then
	for f in t/tftp/grub/grub.cfg t/tftp/grub/hosts/*; do
		grub-script-check "$f" || fail "GRUB does not understand $f: $(cat "$f")"
	done
fi
# What is not given stays.
echo key2 >config/etc/ssh/host_key
old=$(host_file)
expect 0 "$bedplate" netroot host --tree=t 52:54:00:aa:bb:cc --image OLD --config config
gone "$old"
[ "$(cpio -i --to-stdout --quiet etc/ssh/host_key <"$(host_file)")" = key2 ] || fail "the host's files"
has t/tftp/ipxe/52-54-00-aa-bb-cc.ipxe "systemd.hostname=n1 x=1"
refuse "'OLD' is what host 52:54:00:aa:bb:cc boots" remove --tree=t OLD
# And what is given empty goes.
old=$(host_file)
expect 0 "$bedplate" netroot host --tree=t 52:54:00:aa:bb:cc --hostname= --append= --config=
gone "$old"
lacks t/tftp/ipxe/52-54-00-aa-bb-cc.ipxe "systemd.hostname"
lacks t/tftp/ipxe/52-54-00-aa-bb-cc.ipxe "x=1"
expect 0 "$bedplate" netroot list --tree=t --json
[ "$(jq -c '.hosts[] | select(.host | startswith("52")) | [.hostname,.append,.config]' "$work/out")" = \
	'[null,"",false]' ] || fail "$(cat "$work/out")"
expect 0 "$bedplate" netroot host --tree=t 52:54:00:aa:bb:cc --config config
old=$(host_file)
chmod 755 t/hosts
expect 0 "$bedplate" netroot host --tree=t 52:54:00:AA:bb:cc --remove
gone $mac "$old"
[ "$(stat -c %a t/hosts)" = 700 ] || fail "the mode of hosts/"
refuse "'OLD' is the default" remove --tree=t OLD
refuse "has no host 52:54:00:aa:bb:cc" host --tree=t 52:54:00:aa:bb:cc --remove
refuse "'--image=LABEL' is missing" host --tree=t 52:54:00:aa:bb:cc --hostname n
refuse "bad host 'ff:ee'" host --tree=t ff:ee --image OLD
refuse "bad host name '-x'" host --tree=t 52:54:00:aa:bb:cc --image OLD --hostname=-x
refuse "has no entry 'none'" host --tree=t 52:54:00:aa:bb:cc --image none
refuse "has no entry 'none'" default --tree=t none
refuse "has no entry 'none'" remove --tree=t none
refuse "the kernel parameters of 'OLD' for host" host --tree=t 52:54:00:aa:bb:cc --image OLD \
	--append "$(printf 'x%.0s' $(seq 1999))"
expect 2 "$bedplate" netroot host --tree=t 52:54:00:aa:bb:cc

# --- a new build under the same label; the old one stays until gc ---
expect 0 "$bedplate" netroot add --tree=t b.squashfs.img --label testnode-1.0
id2=$(sha256sum <b.squashfs.img | cut -c1-16)
has "$work/out" "image $id stays for running clients: 'netroot gc --all' deletes it"
has t/tftp/pxelinux.cfg/default "netroot=nbd:10.0.0.1:$id2.img"
lacks t/tftp/pxelinux.cfg/default "$id.img"
has t/images/nbd.conf "[$id.img]"
# What commands leave that are cut off, and what is somebody else's; it does not stop any command.
left="netroot.json.new images/0123456789abcdef.img.new images/nbd.conf.new tftp/boot.ipxe.new
	tftp/grubx64.efi.new tftp/grub/grub.cfg.new hosts/52-54-00-aa-bb-cc.0123456789abcdef.cpio.new"
mkdir t/tftp/ipxe/mine t/tftp/"$id"/mine
mine="images/mine.txt images/mine.new tftp/mine.efi.new tftp/ipxe/mine/file tftp/$id/mine/file hosts/mine.cpio"
for f in $left $mine; do
	: >t/"$f"
done
expect 0 "$bedplate" netroot gc --tree=t --dry-run
for f in $left; do
	has "$work/out" "$f "
done
lacks "$work/out" mine
lacks "$work/out" "$id.img "
lacks "$work/out" "$id2"
[ -f t/images/0123456789abcdef.img.new ] || fail "a dry run deletes"
expect 0 "$bedplate" netroot gc --tree=t
for f in $left; do
	gone "t/$f"
done
has t/images/nbd.conf "[$id.img]"
expect 0 "$bedplate" netroot check --tree=t
# The image that the label had before goes when it is told to.
expect 0 "$bedplate" netroot gc --tree=t --all --dry-run
has "$work/out" "images/$id.img "
[ -f t/images/"$id".img ] || fail "a dry run deletes"
expect 0 "$bedplate" netroot gc --tree=t --all
gone t/images/"$id".img t/tftp/"$id"/vmlinuz
for f in $mine; do
	[ -e t/"$f" ] || fail "gc has deleted $f, which is not ours"
	rm t/"$f"
done
rm -r t/tftp/ipxe/mine t/tftp/"$id"
lacks t/images/nbd.conf "[$id.img]"
expect 0 "$bedplate" netroot check --tree=t

# --- another place, and damage ---
mv t moved
expect 1 "$bedplate" netroot check --tree=moved
same "$work/out" "images/nbd.conf: not as the database says"
expect 0 "$bedplate" netroot default --tree=moved OLD
expect 0 "$bedplate" netroot check --tree=moved
mv moved t
expect 0 "$bedplate" netroot default --tree=t OLD
cp -r t good
damage t/images/"$id2".img 5000
rm t/tftp/"$id2"/vmlinuz t/tftp/boot.ipxe
expect 1 "$bedplate" netroot check --tree=t --json
jq -r '.wrong[] | .file + " " + .problem' "$work/out" >wrong
same wrong "images/$id2.img damaged
tftp/$id2/vmlinuz missing
tftp/boot.ipxe missing"
# Adding it again completes it: kernel and initramfs always, the bytes of the image when told to.
expect 0 "$bedplate" netroot add --tree=t b.squashfs.img --label testnode-1.0
lacks "$work/out" "was there already"
expect 0 "$bedplate" netroot check --tree=t
damage t/tftp/"$id2"/initrd.img 50
expect 0 "$bedplate" netroot add --tree=t b.squashfs.img --label testnode-1.0
lacks "$work/out" "was there already"
damage t/images/"$id2".img 5000
expect 0 "$bedplate" netroot add --tree=t b.squashfs.img --label testnode-1.0
has "$work/out" "was there already"
expect 0 "$bedplate" netroot add --tree=t b.squashfs.img --label testnode-1.0 --verify
lacks "$work/out" "was there already"
expect 0 "$bedplate" netroot check --tree=t
# A power cut between the database and a boot loader that it has.
cp t/tftp/grubx64.efi t/tftp/grubx64.efi.new
echo old >t/tftp/grubx64.efi
expect 1 "$bedplate" netroot check --tree=t
same "$work/out" "tftp/grubx64.efi: damaged"
cp -r t cut
expect 1 "$bedplate" netroot add --tree=cut b.squashfs.img --append "$(printf 'x%.0s' $(seq 1990))"
cmp cut/tftp/grubx64.efi good/tftp/grubx64.efi || fail "what waited for its name is lost"
rm -r cut
expect 0 "$bedplate" netroot gc --tree=t
[ ! -s "$work/out" ] || fail "gc deletes a boot loader: $(cat "$work/out")"
gone t/tftp/grubx64.efi.new
expect 0 "$bedplate" netroot check --tree=t

# --- links that lead out of the tree ---
mkdir outside
mv t/tftp/pxelinux.cfg outside/
ln -s "$work/outside/pxelinux.cfg" t/tftp/pxelinux.cfg
echo kept >outside/pxelinux.cfg/kept
refuse "'tftp/pxelinux.cfg' is or lies behind a symbolic link" default --tree=t KIWI
[ -e outside/pxelinux.cfg/kept ] || fail "something outside was deleted"
rm t/tftp/pxelinux.cfg
rm -f outside/pxelinux.cfg/kept
mv outside/pxelinux.cfg t/tftp/
echo kept >outside/file
rm t/tftp/boot.ipxe
ln -s "$work/outside/file" t/tftp/boot.ipxe
ln -s "$work/outside/file" t/tftp/boot.ipxe.new
expect 0 "$bedplate" netroot default --tree=t KIWI
same outside/file kept
[ ! -L t/tftp/boot.ipxe ] || fail "the link is still there"
mv t/netroot.json outside/
ln -s "$work/outside/netroot.json" t/netroot.json
refuse "'netroot.json' is or lies behind a symbolic link" default --tree=t OLD
rm t/netroot.json
mv outside/netroot.json t/

# --- damaged databases ---
cp t/netroot.json good.json
break_db() {
	jq "$1" good.json >t/netroot.json
	refuse "$2" default --tree=t KIWI
	expect 1 "$bedplate" netroot list --tree=t
}
break_db '.more = 1' "'netroot.json': the database: 1 object item(s) left unpacked: more"
break_db '.hosts[0].id = "../../x"' "the id of a host is wrong"
break_db '.entries[0].label = "../x"' "the label of an entry is wrong"
break_db '.entries[0].image = "0123456789abcdef"' "the image of an entry is wrong"
break_db '.images[0].id = "../../../x"' "an image's id is wrong"
break_db '.images[0].params = "x\nLABEL y"' "params is wrong"
break_db '.entries[0].server = "a b"' "server is wrong"
break_db '.entries[0] |= del(.append)' "'entries' 1"
break_db '.default = "none"' "default is wrong"
break_db '.default = null' "default is wrong"
break_db '.netroot_version = 2' "version 2 is not known"
break_db '.images = {}' "'images' is not a list"
head -c 100 good.json >t/netroot.json
refuse "'netroot.json': line" default --tree=t KIWI
head -c 9000000 /dev/zero | tr '\0' ' ' >t/netroot.json
refuse "larger than" default --tree=t KIWI
cp good.json t/netroot.json

# --- images that are refused ---
echo text >text
cp text text.iso
refuse "'text.iso' is not an ISO" add --tree=t text.iso
refuse "'text': not an image" add --tree=t text
refuse "'none.iso'" add --tree=t none.iso
refuse "a bare file system" add --tree=t wrap/LiveOS/rootfs.img
xorriso -as mkisofs -quiet -o data.iso -V DATA -r flat 2>/dev/null
refuse "it is not a live ISO" add --tree=t data.iso
iso NOKERNEL other/linux other/initrd flat.sqfs
refuse "there is no kernel on it" add --tree=t NOKERNEL.iso
mksquashfs outside odd.sqfs -quiet -no-progress >/dev/null
iso ODD isolinux/vmlinuz isolinux/initrd.img odd.sqfs
refuse "holds neither LiveOS/rootfs.img" add --tree=t ODD.iso
# dracut takes a squashfs with LiveOS/ for a nested one, and one without proc/ for none.
mkdir flat/LiveOS
mksquashfs flat odd.squashfs.img -quiet -no-progress -noappend >/dev/null
rmdir flat/LiveOS
iso ODD isolinux/vmlinuz isolinux/initrd.img odd.squashfs.img
refuse "holds neither LiveOS/rootfs.img" add --tree=t ODD.iso
mkdir -p noproc/usr noproc/boot
rm odd.squashfs.img
mksquashfs noproc odd.squashfs.img -quiet -no-progress >/dev/null
refuse "dracut does not take it for a root file system" add --tree=t odd.squashfs.img
refuse "65 characters" add --tree=t OLD.iso --label "$(printf 'x%.0s' $(seq 65))"
refuse "bad label 'a b'" add --tree=t OLD.iso --label 'a b'
refuse "bad label '../x'" add --tree=t OLD.iso --label ../x
refuse "bad server 'a b'" add --tree=t OLD.iso --server 'a b'
refuse "kernel parameters with a character" add --tree=t OLD.iso --append 'x=\y'
refuse "a word that begins with '#'" add --tree=t OLD.iso --append 'x #y'
refuse "kernel parameters with a character" add --tree=t OLD.iso --append 'x
LABEL y'
jq '.liveimg.sha256 |= (if startswith("0") then "1" else "0" end) + .[1:]' a.manifest.json >c.manifest.json
cp a.squashfs.img c.squashfs.img
refuse "it is not the image that its manifest describes" add --tree=t c.squashfs.img
head -c -4096 OLD.iso >cut.iso
refuse "it was cut off" add --tree=t cut.iso
initramfs plain 6.1.0-1 nbd-client
gzip -n <plain >gz
iso BAD isolinux/vmlinuz isolinux/initrd.img flat.sqfs
refuse "lacks: dracut's module 'nbd' (packages dracut-network, and nbd-client or nbd)" add --tree=t BAD.iso
initramfs plain 6.1.0-1 overlay.ko
gzip -n <plain >gz
iso BAD isolinux/vmlinuz isolinux/initrd.img flat.sqfs
refuse "lacks: the kernel module 'overlay'" add --tree=t BAD.iso
initramfs plain 6.1.0-1 virtio_net
gzip -n <plain >gz
iso BAD isolinux/vmlinuz isolinux/initrd.img flat.sqfs
refuse "lacks: a driver of a network card" add --tree=t BAD.iso
initramfs plain 6.1.0-1
(cd i && : >usr/lib/dracut/dracut-110-1 && find . | cpio -o -H newc --quiet | gzip -n) >gz
iso BAD isolinux/vmlinuz isolinux/initrd.img nested.sqfs
refuse "its dracut 110 does not know LiveOS/ext3fs.img" add --tree=t BAD.iso
initramfs plain 5.0.0-9
gzip -n <plain >gz
iso BAD isolinux/vmlinuz isolinux/initrd.img flat.sqfs
refuse "the initramfs is for kernel '5.0.0-9', not for '6.1.0-1'" add --tree=t BAD.iso
echo text >gz
iso BAD isolinux/vmlinuz isolinux/initrd.img flat.sqfs
refuse "'BAD.iso': its initramfs" add --tree=t BAD.iso
expect 0 "$bedplate" netroot check --tree=t

# --- other folders, and one command at a time ---
expect 1 "$bedplate" netroot list --tree=none
one_line "there is no tree 'none'"
expect 1 "$bedplate" netroot list --tree=outside
one_line "'outside' is no tree of netroot"
expect 1 "$bedplate" netroot add --tree=outside OLD.iso
one_line "'outside' is not empty"
[ "$(ls outside)" = file ] || fail "something was put into a folder of something else"
expect 1 "$bedplate" netroot add --tree=new text.iso
gone new
# A line that does not fit is known before anything is written; boot loaders stay as they are.
long=$(printf 'x%.0s' $(seq 1990))
expect 1 "$bedplate" netroot add --tree=new a.squashfs.img --append "$long"
one_line "the kernel parameters of 'testnode-1.0' are"
gone new
(
	umask 077
	expect 0 "$bedplate" netroot add --tree=new a.squashfs.img
)
[ "$(stat -c %a new new/images new/tftp/"$id" new/tftp/grub new/hosts | tr '\n' ' ')" = "755 755 755 755 700 " ] ||
	fail "modes: $(stat -c '%a %n' new/*)"
state new >before
echo another >tree/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed
live b 3.0
expect 1 "$bedplate" netroot add --tree=new b.squashfs.img --label testnode-1.0 --append "$long"
state new | diff before - >&2 || fail "a refused image has changed the tree"
rm -r new
# What a power cut in the first write leaves, in the root of a file system.
mkdir -p new/lost+found
: >new/netroot.json.new
expect 0 "$bedplate" netroot add --tree=new OLD.iso
rm -r new
# What a run leaves that was killed is a tree, with nothing in it.
mkdir new
(cd new && jq '.default = null | .entries = [] | .hosts = [] | .images = [] | .loaders = {}' ../good.json \
	>netroot.json && mkdir images && : >images/0123456789abcdef.img.new)
expect 0 "$bedplate" netroot add --tree=new OLD.iso
expect 0 "$bedplate" netroot gc --tree=new
same "$work/out" "images/0123456789abcdef.img.new  0 bytes"
expect 0 "$bedplate" netroot check --tree=new
expect 0 "$bedplate" netroot remove --tree=new OLD
expect 0 "$bedplate" netroot check --tree=new

# An image of ours that was added without its manifest is described anew when its files are written anew.
initramfs tree/boot/initrd.img-6.1.0-1 6.1.0-1
mkdir -p i/usr/lib/bedplate
: >i/usr/lib/bedplate/nbd-root
(cd i && find . | sort | cpio -o -H newc --quiet) >tree/boot/initrd.img-6.1.0-1
live d 4.0
jq '.verity = {root_hash: .rootfs.sha256, data_size: 4096, hash_offset: 4096, salt: "", fec_offset: 0,
	fec_roots: 0}' d.manifest.json >d.verity.json
rm d.manifest.json
form() { jq -r '.images[].root | sub(":.*"; "")' form/netroot.json; }
# repaired TREE [OPTION]...: add it to a copy where the initramfs is missing.
repaired() {
	rm -rf form
	cp -r "$1" form
	rm form/tftp/*/initrd.img
	shift
	expect 0 "$bedplate" netroot add --tree=form d.squashfs.img --label d "$@"
	lacks "$work/out" "was there already"
	expect 0 "$bedplate" netroot check --tree=form
}
expect 0 "$bedplate" netroot add --tree=bare d.squashfs.img --label d
mv d.verity.json d.manifest.json
repaired bare
[ "$(form)" = verity ] || fail "described as $(form)"
cmp form/images/*.img d.squashfs.img || fail "not the form of our own module"
has form/tftp/grub/grub.cfg bedplate.netroot=nbd:
lacks form/tftp/grub/grub.cfg live
expect 0 "$bedplate" netroot add --tree=own d.squashfs.img --label d --server 10.0.0.1,10.0.0.2:10810
# One that is whole stays as it is, and its servers are those that its own form takes.
mv d.manifest.json d.verity.json
expect 0 "$bedplate" netroot add --tree=own d.squashfs.img --label d --server 10.0.0.3,10.0.0.2:10810
has own/tftp/grub/grub.cfg bedplate.netroot=nbd:10.0.0.3,10.0.0.2:10810:
repaired own --server 10.0.0.1
[ "$(form)" = live ] || fail "described as $(form)"
has form/tftp/grub/grub.cfg rd.live.image
expect 0 "$bedplate" netroot add --tree=own d.squashfs.img --label other
rm own/tftp/*/initrd.img
state own >before
expect 1 "$bedplate" netroot add --tree=own d.squashfs.img --label other
one_line "'d' boots by dracut's own modules, which take one server without a port"
state own | diff before - >&2 || fail "a refused image has changed the tree"
mv d.verity.json d.manifest.json
expect 1 "$bedplate" netroot add --tree=bare d.squashfs.img --label d --server 10.0.0.1,10.0.0.2:10810
one_line "'d' boots by dracut's own modules, which take one server without a port"
rm -r bare form own

# --- the whole image over HTTP ---
refuse "'OLD.iso' cannot be fetched over HTTP" add --tree=t OLD.iso --transport=http
expect 1 "$bedplate" netroot add --tree=whole d.squashfs.img --transport=http
one_line "'d.squashfs.img': its initramfs cannot boot over the network, it lacks: dracut's module 'livenet'"
gone whole
mkdir i/usr/bin
: >i/usr/bin/curl
: >i/usr/lib/dracut/hooks/cmdline/29-parse-livenet.sh
(cd i && find . | sort | cpio -o -H newc --quiet) >tree/boot/initrd.img-6.1.0-1
live d 5.0
jq '.verity = {root_hash: .rootfs.sha256, data_size: 4096, hash_offset: 4096, salt: "", fec_offset: 0,
	fec_roots: 0}' d.manifest.json >d.verity.json
mv d.verity.json d.manifest.json
expect 2 "$bedplate" netroot add --tree=whole d.squashfs.img --transport=tftp
expect 0 "$bedplate" netroot add --tree=whole d.squashfs.img --label d --json
jq -e '.transport == "nbd"' "$work/out" >"$work/verdict"
less=$(jq .client_memory_bytes "$work/out")
expect 0 "$bedplate" netroot add --tree=whole d.squashfs.img --label d --transport=http --json
jq -e --argjson less "$less" '.transport == "http" and .client_memory_bytes >= $less' "$work/out" >"$work/verdict"
id=$(jq -r .image "$work/out")
line="quiet a=\"b c\" root=live:http://\${next-server}/images/$id.img ip=dhcp rd.neednet=1 rd.live.image"
has whole/tftp/ipxe/default.ipxe "kernel ../$id/vmlinuz initrd=initrd.img $line"
has whole/tftp/grub/grub.cfg " root=live:http://\${net_default_server}/images/$id.img ip=dhcp"
has whole/tftp/pxelinux.cfg/default "# d: needs 'netroot add --server'"
expect 0 "$bedplate" netroot list --tree=whole
has "$work/out" " over http  "
expect 1 "$bedplate" netroot add --tree=whole d.squashfs.img --label d --server 10.0.0.1,10.0.0.2
one_line "'d' is fetched over HTTP from one server, and not from '10.0.0.1,10.0.0.2'"
expect 0 "$bedplate" netroot add --tree=whole d.squashfs.img --label d --server 10.0.0.1:8080
has whole/tftp/pxelinux.cfg/default "root=live:http://10.0.0.1:8080/images/$id.img"
expect 0 "$bedplate" netroot check --tree=whole
expect 1 "$bedplate" vm netboot --tree=whole --dry-run
one_line "the image is fetched over HTTP: --server=ADDRESS[:PORT]"
expect 0 "$bedplate" vm netboot --tree=whole --dry-run --server=10.0.2.2:8080
expect 0 "$bedplate" netroot add --tree=whole d.squashfs.img --label d --transport=nbd
has whole/tftp/pxelinux.cfg/default "bedplate.netroot=nbd:10.0.0.1:8080:$id.img"
rm -r whole

exec 9<t
flock -x 9
refuse "another command works on this tree" default --tree=t OLD
expect 0 "$bedplate" netroot list --tree=t
exec 9<&-

# --- no room: refused before anything is written, and in the middle ---
if unshare -m true 2>/dev/null; then
	cat >full.sh <<'END'
set -u
try() {
	mount -t tmpfs -o "$1" tmpfs full
	"$2" netroot add --tree=full/t big.iso 2>&1 | grep '^bedplate: ' | grep -v warning
	[ -z "$(ls -A full)" ] || { find full; exit 8; }
	umount full
}
try size=4M "$1"
# Room for the folders, kernel and initramfs, but not for the image.
try size=90M,nr_inodes=13 "$1"
# It ends at each file in turn: nothing stays, or a tree that commands take.
n=12
while [ $n -lt 60 ]; do
	n=$((n + 1))
	mount -t tmpfs -o size=90M,nr_inodes=$n tmpfs full
	if "$1" netroot add --tree=full/t a.squashfs.img >/dev/null 2>&1; then
		echo "done with $n"
		n=60
	elif [ -n "$(ls -A full)" ]; then
		echo "a tree with $n"
		mount -o remount,nr_inodes=0 full
		"$1" netroot add --tree=full/t a.squashfs.img >/dev/null || exit 9
		"$1" netroot check --tree=full/t || exit 10
	fi
	umount full
done
for f in /usr/share /usr/lib/PXELINUX /usr/lib/syslinux; do
	[ ! -d $f ] || mount -t tmpfs tmpfs $f
done
mkdir /usr/share/syslinux
echo pxe >/usr/share/syslinux/pxelinux.0
echo ld >/usr/share/syslinux/ldlinux.c32
"$1" netroot add --tree=p OLD.iso
exit 7
END
	mkdir full
	initramfs plain 6.1.0-1
	gzip -n <plain >gz
	head -c 3000000 /dev/urandom >flat/noise
	rm flat.sqfs
	mksquashfs flat flat.sqfs -quiet -no-progress >/dev/null
	iso big isolinux/vmlinuz isolinux/initrd.img flat.sqfs
	expect 7 unshare -m sh full.sh "$bedplate"
	has "$work/out" "bedplate: 'full/t': no room: "
	has "$work/out" "bedplate: 'full/t': creating 'images/"
	has "$work/out" "a tree with "
	has "$work/out" "done with "
	same p/tftp/pxelinux.0 pxe
	same p/tftp/ldlinux.c32 ld
	expect 0 "$bedplate" netroot check --tree=p
fi
