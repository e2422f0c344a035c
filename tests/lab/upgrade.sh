#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# nodectl upgrade of a node at rest: refusals that change nothing, a plan, an upgrade, rollback, stage and
# activate, factory reset.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_uml
# shellcheck source=upgrade-lib.sh
. "$lab/upgrade-lib.sh"

# variant FOLDER JQ: the second image with another manifest.
variant() {
	mkdir "$work/$1"
	ln "$work/two/lab-2+x.y.squashfs.img" "$work/$1/image.img"
	jq "$2" "$work/two/lab-2+x.y.manifest.json" >"$work/$1/manifest.json"
}

# package NAME VERSION
package() {
	printf 'Package: %s\nStatus: install ok installed\nArchitecture: amd64\nVersion: %s\n\n' "$1" "$2"
}

make_tree
mkdir -p "$tree/etc/bedplate" "$tree/usr/lib/bedplate/dpkg" "$tree/var/lib"
ln -s ../../usr/lib/bedplate/dpkg "$tree/var/lib/dpkg"
package libfoo 1.2 >"$tree/usr/lib/bedplate/dpkg/status"
echo one >"$tree/etc/vendor.conf"
printf 'a\nb\nc\nd\ne\n' >"$tree/etc/both.conf"
next_image one 1
echo two >"$tree/etc/vendor.conf"
printf 'a\nb\nc\nd\nvendor\n' >"$tree/etc/both.conf"
package libfoo 1.3 >"$tree/usr/lib/bedplate/dpkg/status"
printf 'append=quiet lab.image=2\n' >"$tree/usr/lib/bedplate/boot.conf"
dd if=/dev/urandom of="$tree/boot/vmlinuz-6.1-lab" bs=1M count=2 status=none
next_image two 2+x.y
jq '.packages = [{name: "libfoo", version: "1.3", arch: "amd64"}]' \
	"$work/two/lab-2+x.y.manifest.json" >"$work/manifest" && mv "$work/manifest" "$work/two/lab-2+x.y.manifest.json"
variant downgrade '.version = "0.9"'
variant other '.name = "other"'
variant too-new '.version = "3" | .upgrades_from = {min: "1.1", max: null}'
variant too-old '.version = "3" | .upgrades_from = {min: "0.1", max: "0.9"}'
variant bad-range '.upgrades_from = {min: "../1"}'
variant other-content '.version = "1"'
variant huge '.version = "3" | .kernels[0].kernel_size = 3000000000'
variant foreign '.arch = "arm64"'
variant truncated .
rm "$work/truncated/image.img"
head -c 1000000 "$work/two/lab-2+x.y.squashfs.img" >"$work/truncated/image.img"
variant flipped .
rm "$work/flipped/image.img"
cp "$work/two/lab-2+x.y.squashfs.img" "$work/flipped/image.img"
damage "$work/flipped/image.img" 500000

for name in ours theirs; do
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/$name.key" -out "$work/$name.pem" -days 30 \
		-subj "/CN=$name" 2>/dev/null
	openssl cms -sign -binary -outform DER -in "$work/two/lab-2+x.y.manifest.json" -out "$work/$name.sig" \
		-signer "$work/$name.pem" -inkey "$work/$name.key" -md sha256
done

new_disk disk 8G
in_guest --disk="$work/disk" --memory=768 <<'END'
"$LAB_NODECTL" install --kickstart="$LAB_WORK/node.ks" --yes >/run/out 2>&1 || { cat /run/out; exit 1; }
mkdir /run/layer
mount /dev/bedplate/lab-1+1 /run/layer
cd /run/layer/upper
echo 'hello from the administrator' >etc/motd
printf 'admin\nb\nc\nd\ne\n' >etc/both.conf
mkdir -p usr/lib/bedplate/dpkg root
{
	printf 'Package: libfoo\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.2\n\n'
	printf 'Package: driver\nStatus: install ok installed\nArchitecture: amd64\nVersion: 7\n\n'
} >usr/lib/bedplate/dpkg/status
cd /
umount /run/layer
END

cp --sparse=always "$work/disk" "$work/pristine"
in_guest --disk="$work/disk" --memory=768 <<'END'
. "$LAB_WORK/guest-lib"
two=$LAB_WORK/two/lab-2+x.y.squashfs.img
refused 'nobody is trusted to sign images' upgrade "$two" --yes
mkdir -p /etc/bedplate/trust.d
cp "$LAB_WORK/ours.pem" /etc/bedplate/trust.d
cp "$LAB_WORK/theirs.sig" "$LAB_WORK/two/lab-2+x.y.manifest.json.sig"
refused 'lab-2+x.y.manifest.json' upgrade "$two" --allow-unsigned --yes
rm "$LAB_WORK/two/lab-2+x.y.manifest.json.sig"
refused 'is not signed' upgrade "$two" --yes
rm /etc/bedplate/trust.d/ours.pem
refused 'add --yes to upgrade' upgrade "$two" --allow-unsigned
refused 'is cut off' upgrade "$LAB_WORK/truncated/image.img" --allow-unsigned --yes
refused 'is damaged' upgrade "$LAB_WORK/flipped/image.img" --allow-unsigned --yes
refused 'version 0.9 is older than 1, which runs: --allow-downgrade' \
	upgrade "$LAB_WORK/downgrade/image.img" --allow-unsigned --yes
refused "is of 'other', this node runs 'lab': --allow-other-name" \
	upgrade "$LAB_WORK/other/image.img" --allow-unsigned --yes
refused 'version 1 runs, and 3 upgrades from 1.1 and newer: upgrade to one of these first, or --allow-inc' \
	upgrade "$LAB_WORK/too-new/image.img" --allow-unsigned --yes
refused 'version 1 runs, and 3 upgrades from 0.1 to 0.9: upgrade' \
	upgrade "$LAB_WORK/too-old/image.img" --allow-unsigned --yes
refused "field 'upgrades_from.min' is not a name" upgrade "$LAB_WORK/bad-range/image.img" --allow-unsigned --yes
refused 'another image that is called lab-1' \
	upgrade "$LAB_WORK/other-content/image.img" --allow-unsigned --yes
refused '/boot: 2.8 GiB needed, .* free' upgrade "$LAB_WORK/huge/image.img" --allow-unsigned --yes
refused 'for arm64' upgrade "$LAB_WORK/foreign/image.img" --allow-unsigned --yes
refused 'nothing is staged' activate
refused 'no layer from before' rollback
refused "no layer 'lab-9+1'" rollback --to=lab-9+1

# Two at once: the first has the lock as long as its image comes in.
mkfifo /run/coming
"$LAB_NODECTL" upgrade - --manifest="$LAB_WORK/two/lab-2+x.y.manifest.json" --allow-unsigned --yes \
	</run/coming >/run/first 2>&1 &
first=$!
exec 5>/run/coming
# It has judged the manifest and waits for the image.
until [ -e /run/bedplate/upgrade/image ]; do sleep 0.1; done
grep 'FLOCK.* '$first' ' /proc/locks
refused 'in progress' upgrade "$two" --allow-unsigned --yes
exec 5>&-
status=0
wait $first || status=$?
[ $status -eq 1 ]

# The plan changes nothing and says all.
fingerprint >/run/before
ok upgrade "$two" --allow-unsigned --plan
grep '^Upgrade: lab 1 (lab-1+1) -> lab 2+x.y (lab-2+x.y+1)$' /run/out
grep 'libfoo 1.2 -> 1.3' /run/out
grep -A1 'not in the new image' /run/out | grep 'driver 7'
grep '/etc/motd' /run/out
grep '/etc/both.conf' /run/out
ok upgrade "$two" --allow-unsigned --plan --json
jq -e '.ok and .result == "planned" and .measured and .to == "lab-2+x.y+1" and .write_bytes < .image_bytes
	and (.changes | length > 0) and .lost_packages == ["driver 7"] and .signer == null' /run/out
fingerprint >/run/after
diff /run/before /run/after

ok upgrade "$LAB_WORK/too-old/image.img" --allow-unsigned --allow-incompatible --plan
grep '^Upgrade: lab 1 (lab-1+1) -> lab 3 (lab-3+1)$' /run/out

ok upgrade "$LAB_WORK/one/lab-1.squashfs.img" --allow-unsigned --yes
grep 'lab 1 runs here already, as layer lab-1+1' /run/out
END

# The upgrade: base bit by bit, merged layer, entry, trial; the second one and a full /boot are refused.
in_guest --disk="$work/disk" --memory=768 <<'END'
. "$LAB_WORK/guest-lib"
two=$LAB_WORK/two/lab-2+x.y.squashfs.img
used() {
	lvm lvs --noheadings --nosuffix --units=b -o lv_size,data_percent bedplate/pool00 |
		awk '{ print int($1 * $2 / 100) }'
}
mount -t ext4 /dev/ubda3 $boot
dd if=/dev/zero of=$boot/full bs=1M 2>/dev/null || :
umount $boot
refused '/boot: .* needed, .* free' upgrade "$two" --allow-unsigned --yes
mount -t ext4 /dev/ubda3 $boot
rm $boot/full
umount $boot

interrupted base
interrupted merge

# What an upgrade that was killed while it read the new base back leaves.
manifest=$LAB_WORK/two/lab-2+x.y.manifest.json
lvm lvcreate -y -V 128m --thinpool=pool00 -n lab-2+x.y --addtag=bedplate:new bedplate
dd if="$LAB_WORK/rootfs-2+x.y.img" of=/dev/bedplate/lab-2+x.y bs=1M conv=fsync status=none
veritysetup open /dev/bedplate/lab-2+x.y bedplate-verify /dev/bedplate/lab-2+x.y \
	"$(jq -r .verity.root_hash "$manifest")" --hash-offset="$(jq -r .verity.hash_offset "$manifest")"
ok recover
grep "remove volume 'lab-2+x.y': it was never completed" /run/out
[ ! -e /dev/mapper/bedplate-verify ]

used_before=$(used)
ok upgrade "$two" --allow-unsigned --yes --json
jq -e '.ok and .result == "trial" and .to == "lab-2+x.y+1" and .measured' /run/out
used_after=$(used)
# Less than half of what all of the image is.
[ $((used_after - used_before)) -lt 41943040 ]
env_is default=lab-1+1 trial=lab-2+x.y+1 tries=3
[ -z "$(grep /run/bedplate /proc/mounts)" ]
[ -z "$(lvm lvs --noheadings @bedplate:new)" ]
lvm lvs --noheadings -o lv_name,lv_tags bedplate | grep 'var.lab-1+1 .*bedplate:of:lab-1+1'
lvm lvchange -ay -K bedplate/lab-2+x.y
cmp /dev/bedplate/lab-2+x.y "$LAB_WORK/rootfs-2+x.y.img" -n "$(stat -c %s "$LAB_WORK/rootfs-2+x.y.img")"
lvm lvchange -an bedplate/lab-2+x.y
mount -t ext4 -o ro /dev/bedplate/lab-2+x.y+1 /run/lab-layer
upper=/run/lab-layer/upper
grep 'hello from the administrator' $upper/etc/motd
[ "$(cat $upper/etc/both.conf)" = "$(printf 'admin\nb\nc\nd\nvendor')" ]
[ ! -e $upper/etc/vendor.conf ]
jq -e '.image.version == "2+x.y" and .layer == "lab-2+x.y+1" and .previous_layer == "lab-1+1" and .unsigned
	and .layout' $upper/usr/lib/bedplate/factory.json
umount /run/lab-layer
mount -t ext4 /dev/ubda3 $boot
cmp "$LAB_WORK/tree/boot/vmlinuz-6.1-lab" $boot/lab-2+x.y+1/vmlinuz
cmp "$LAB_WORK/two/lab-2+x.y.manifest.json" $boot/lab-2+x.y+1/manifest.json
grep 'bedplate.layer=lab-2+x.y+1 .*lab.image=2.*lab.ks=1' $boot/lab-2+x.y+1/bedplate.cfg
grep 'lab.image=1' $boot/lab-2+x.y+1/bedplate.cfg && exit 1
jq -e '.step == "trial" and .to == "lab-2+x.y+1" and .new_base' $boot/bedplate/journal.json
tail -n 1 $boot/bedplate/history.jsonl | jq -e '.result == "trial" and .unsigned'
umount $boot

refused 'lab-2+x.y+1. is waiting for its trial' upgrade "$two" --allow-unsigned --yes
refused 'lab-2+x.y+1. is waiting for its trial' factory-reset --yes
refused 'so /var is as it was' rollback --with-var
mkdir /run/fake
printf '#!/bin/sh\necho guest-1\n' >/run/fake/virsh
chmod 755 /run/fake/virsh
(
	PATH=/run/fake:$PATH
	refused '1 virtual machine is running (guest-1): move or stop' rollback --reboot
	refused '1 virtual machine is running (guest-1): move or stop' factory-reset --yes --reboot
	ok rollback --dry-run
)
ok rollback --dry-run
grep '^lab-1+1 would boot next' /run/out
env_is default=lab-1+1 trial=lab-2+x.y+1 tries=3
ok rollback
grep '^bedplate: lab-1+1 boots next' /run/out
env_is default=lab-1+1
END

# Staged and activated; forward and back; factory reset.
in_guest --disk="$work/disk" --memory=768 <<'END'
. "$LAB_WORK/guest-lib"
mkdir -p /etc/bedplate/trust.d
cp "$LAB_WORK/ours.pem" /etc/bedplate/trust.d
cp "$LAB_WORK/ours.sig" "$LAB_WORK/two/lab-2+x.y.manifest.json.sig"
ok upgrade "$LAB_WORK/two/lab-2+x.y.squashfs.img" --stage --yes --json
jq -e '.result == "staged" and .base_is_there and (.signer | test("ours"))' /run/out
env_is default=lab-1+1
staged=$(jq -r .to /run/out)
# What is changed after that is in it all the same.
mkdir -p /run/node-layer
mount -t ext4 /dev/bedplate/lab-1+1 /run/node-layer
echo 'after it was staged' >/run/node-layer/upper/etc/later
rm /run/node-layer/upper/etc/motd
umount /run/node-layer
ok activate --json
jq -e --arg staged "$staged" '.ok and .layer == $staged and .result == "trial"
	and (.changes | map(.path) | contains(["/etc/later"]))' /run/out
mount -t ext4 -o ro "/dev/bedplate/$staged" /run/lab-layer
grep 'after it was staged' /run/lab-layer/upper/etc/later
[ ! -e /run/lab-layer/upper/etc/motd ]
jq -e --arg staged "$staged" '.image.version == "2+x.y" and .layer == $staged and (.signer | test("ours"))' \
	/run/lab-layer/upper/usr/lib/bedplate/factory.json
umount /run/lab-layer
[ -z "$(lvm lvs --noheadings @bedplate:new)" ]
mount -t ext4 /dev/bedplate/lab-1+1 /run/node-layer
echo 'hello from the administrator' >/run/node-layer/upper/etc/motd
umount /run/node-layer
# The snapshot of the first upgrade went once there was the next one.
snapshots_are var.lab-1+1.2
env_is default=lab-1+1 trial="$staged" tries=3
mount -t ext4 /dev/ubda3 $boot
tail -n 1 $boot/bedplate/history.jsonl | jq -e '.result == "trial" and (.unsigned | not) and (.signer | test("ours"))'
umount $boot
ok rollback
# Never found good, it is tried again instead of booted for good.
refused "'$staged' was never found good, so it is tried first" rollback --to="$staged" --with-var
ok rollback --to="$staged"
grep "^bedplate: $staged boots next, on trial, as it was never found good" /run/out
env_is default=lab-1+1 trial="$staged" tries=3
with_boot jq -e '.operation == "rollback" and .step == "trial" and (.var | not)' $boot/bedplate/journal.json
ok rollback --json
jq -e '.result == "done" and .layer == "lab-1+1"' /run/out
env_is default=lab-1+1
with_boot tail -n 2 $boot/bedplate/history.jsonl | jq -rs 'map("\(.operation) \(.result)") | join(" ")' |
	grep -x 'rollback trial rollback done'
found_good "$staged"
ok rollback --to="$staged"
env_is default="$staged"
# /var is kept on the way back, so there is a way forward with it.
snapshots_are var.lab-1+1.4
refused "no /var as it was when '$staged' was left" rollback --to="$staged" --with-var
ok rollback
env_is default=lab-1+1
snapshots_are var.lab-1+1.4 "var.$staged"
ok rollback --to="$staged" --with-var --dry-run

ok factory-reset --keep=/etc/motd,network --yes --json
jq -e '.ok and .result == "trial" and .layer == "lab-1+2"' /run/out
snapshots_are var.lab-1+1.5 "var.$staged"
env_is default=lab-1+1 trial=lab-1+2 tries=3
mount -t ext4 -o ro /dev/bedplate/lab-1+2 /run/lab-layer
upper=/run/lab-layer/upper
[ -s $upper/etc/motd ]
[ -s $upper/etc/fstab ]
[ -s $upper/etc/hostname ]
[ ! -e $upper/etc/both.conf ]
jq -e '.layer == "lab-1+2" and .image.version == "1"' $upper/usr/lib/bedplate/factory.json
umount /run/lab-layer
with_boot cmp "$LAB_WORK/one/lab-1.manifest.json" "$boot/lab-1+2/manifest.json"
ok rollback
END

# Hooks: one before an operation that fails stops it before anything is changed, also what is staged.
in_guest --disk="$work/disk" --memory=768 <<'END'
. "$LAB_WORK/guest-lib"
two=$LAB_WORK/two/lab-2+x.y.squashfs.img
hooks=/etc/bedplate/hooks.d
mkdir -p /etc/bedplate/trust.d
cp "$LAB_WORK/ours.pem" /etc/bedplate/trust.d
# hook EVENT STATUS
hook() {
	mkdir -p -m 755 $hooks/$1
	cat >$hooks/$1/10-lab <<'HOOK'
#!/bin/sh
echo "$BEDPLATE_EVENT $BEDPLATE_FROM $BEDPLATE_TO" >>/run/hooked
echo 'not now'
HOOK
	echo "exit $2" >>$hooks/$1/10-lab
	chmod 755 $hooks/$1/10-lab
	: >/run/hooked
}
rm -rf $hooks
mkdir -p -m 755 $hooks
hook pre-upgrade 0
ok upgrade "$two" --stage --yes --json
staged=$(jq -r .to /run/out)
grep -x "pre-upgrade lab-1+1 $staged" /run/hooked
hook pre-upgrade 1
refused 'pre-upgrade hook .*not now' upgrade "$two" --yes
refused 'pre-upgrade hook .*not now' activate
hook pre-rollback 1
refused 'pre-rollback hook .*not now' rollback --to=lab-1+2
grep -x 'pre-rollback lab-1+1 lab-1+2' /run/hooked
hook pre-upgrade 0
hook post-rollback 0
ok activate
grep -x "pre-upgrade lab-1+1 $staged" /run/hooked
env_is default=lab-1+1 trial="$staged" tries=3
refused 'pre-rollback hook .*not now' rollback
hook pre-rollback 0
ok rollback
env_is default=lab-1+1
grep -x "pre-rollback $staged lab-1+1" /run/hooked
grep -x "post-rollback $staged lab-1+1" /run/hooked
END

# What is staged goes from LVM and from the pool, also after a power cut.
in_guest --disk="$work/disk" --memory=768 <<'END'
. "$LAB_LIB"
. "$LAB_WORK/guest-lib"
mkdir -p /etc/bedplate/trust.d
cp "$LAB_WORK/ours.pem" /etc/bedplate/trust.d
ok upgrade "$LAB_WORK/two/lab-2+x.y.squashfs.img" --stage --yes --json
staged=$(jq -r .to /run/out)
refused "layer '$staged' is staged: 'nodectl activate' makes it boot" rollback --to="$staged"
not_noted bedplate "$staged"
# As the initramfs does: LVM writes nothing then.
lvm lvchange --nohints --ignoremonitoring --yes -ay -K bedplate/lab-1 bedplate/lab-1+1
ok rollback --to=lab-1+2
lvm lvs "bedplate/$staged" && exit 1
with_boot tail -n 2 $boot/bedplate/history.jsonl | jq -rs 'map("\(.to) \(.result)") | join(" ")' |
	grep -x "$staged dropped lab-1+2 trial"
pool_agrees bedplate pool00
env_is default=lab-1+1 trial=lab-1+2 tries=3
ok rollback
END

# A pool that is full.
cp --sparse=always "$work/pristine" "$work/disk"
in_guest --disk="$work/disk" --memory=768 <<'END'
. "$LAB_WORK/guest-lib"
lvm lvchange -Zn bedplate/pool00
lvm lvcreate -y -V 7g --thinpool=pool00 -n filler bedplate
# A block in each chunk takes all of the chunk.
lvm lvs --noheadings --nosuffix --units=b -o lv_size,data_percent,chunk_size bedplate/pool00 |
	python3 -c '
import os
size, used, chunk = (float(word) for word in input().split())
fd = os.open("/dev/bedplate/filler", os.O_WRONLY)
for n in range(int((size * (100 - used) / 100 - (30 << 20)) / chunk)):
    os.pwrite(fd, b"x" * 4096, n * int(chunk))
os.fsync(fd)'
refused 'thin pool bedplate/pool00: .* needed, .* free' \
	upgrade "$LAB_WORK/two/lab-2+x.y.squashfs.img" --allow-unsigned --yes
refused 'thin pool bedplate/pool00: .* needed, .* free' factory-reset --yes
END
