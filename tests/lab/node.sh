#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# nodectl on a node made by hand: real volumes, base, layer and overlay, made up files.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_uml
requires command -v veritysetup
requires command -v dmeventd
new_disk disk 1G
LAB_PROFILE=$(realpath "$lab/../../lvm/bedplate-pool.profile")
export LAB_PROFILE

in_guest --disk="$work/disk" <<'END'
nodectl=$LAB_NODECTL
layer=node-1.2+1
cd /run

# "lvm lvmconfig" does not work with an empty configuration.
echo 'activation { }' >"$LVM_SYSTEM_DIR/lvm.conf"
mkdir "$LVM_SYSTEM_DIR/profile"
cp "$LAB_PROFILE" "$LVM_SYSTEM_DIR/profile/"

# expect STATUS COMMAND...: keep its output in /run/out.
expect() {
	want=$1
	shift
	got=0
	"$@" >/run/out 2>/run/err || got=$?
	[ "$got" -eq "$want" ] || {
		echo "'$*' exited $got, expected $want:"
		cat /run/out /run/err
		exit 1
	}
}
# says TEXT: a line of the output is this.
says() {
	shows -xF "$1"
}
# shows OPTION PATTERN: the output matches.
shows() {
	grep -q "$1" -- "$2" /run/out || {
		echo "expected '$2':"
		cat /run/out
		exit 1
	}
}

# Volumes.
vgcreate -qq --addtag bedplate:vg bedplate /dev/ubda
lvcreate -qq --thin --errorwhenfull y -L 128M --poolmetadatasize 4M --addtag bedplate:pool \
	--metadataprofile bedplate-pool -n pool00 bedplate
thin() {
	lvcreate -qq -V "$2" --thinpool pool00 -n "$1" --addtag "$3" ${4:+--addtag "$4"} bedplate
}
thin node-1.2 128M bedplate:base
thin "$layer" 512M bedplate:layer
thin var 200M bedplate:volume bedplate:mount:/var
thin var_log 200M bedplate:volume bedplate:mount:/var/log
mkfs.ext4 -q "/dev/bedplate/$layer"
mkfs.ext4 -q /dev/bedplate/var
mkfs.ext4 -q /dev/bedplate/var_log

# The base: a file system of 64 MiB with its hash tree behind it, and one file that is damaged.
base=/dev/bedplate/node-1.2
mkfs.ext4 -q -b 4096 -O ^has_journal "$base" 64M
mkdir -p /run/bedplate/base /run/bedplate/layer
mount "$base" /run/bedplate/base
yes damaged | head -c 40960 >/run/bedplate/base/file
umount /run/bedplate/base
hash=$(veritysetup format --data-blocks=16384 --hash-offset=67108864 "$base" "$base" |
	sed -n 's/^Root hash:[[:space:]]*//p')
block=$(debugfs -R 'bmap file 3' "$base" 2>/dev/null)
dd if=/dev/zero of="$base" bs=4096 seek="$block" count=1 conv=notrunc,fsync
lvchange -qq -pr bedplate/node-1.2
veritysetup open --hash-offset=67108864 "$base" bedplate-base "$base" "$hash"

mount -o ro /dev/mapper/bedplate-base /run/bedplate/base
mount -o discard "/dev/bedplate/$layer" /run/bedplate/layer
mount -o discard /dev/bedplate/var /var
mkdir -p /var/log
mount -o discard /dev/bedplate/var_log /var/log

# Files.
mkdir -p /usr/lib/bedplate "/boot/$layer" /boot/grub
echo '{"name": "node", "version": "1.2", "arch": "amd64", "source_date": 0}' \
	>/usr/lib/bedplate/image.json
echo "bedplate.layer=$layer bedplate.roothash=$hash" >/run/cmdline
mount --bind /run/cmdline /proc/cmdline
echo '/dev/bedplate/var /var ext4 discard 0 2' >/etc/fstab
echo kernel | tee "/boot/$layer/vmlinuz" >"/boot/$layer/initramfs.img"
cat >"/boot/$layer/bedplate.cfg" <<CFG
# bedplate 1
# layer: $layer
# title: Node 1.2
# release: $(uname -r)
menuentry 'Node 1.2' --id '$layer' --unrestricted {
	linux /$layer/vmlinuz $(cat /run/cmdline)
	initrd /$layer/initramfs.img
}
CFG
{
	printf '# GRUB Environment Block\ndefault=%s\n' "$layer"
	head -c 1000 /dev/zero | tr '\0' '#'
} | head -c 1024 >/boot/grub/grubenv
mkdir -p /run/bin
cat >/run/bin/systemctl <<'SYSTEMCTL'
#!/bin/sh
case $1 in
list-units) cat /run/failed ;;
show) printf 'Id=libvirtd.service\nLoadState=not-found\n' ;;
*) exit 1 ;;
esac
SYSTEMCTL
chmod +x /run/bin/systemctl
echo '[]' >/run/failed
PATH=/run/bin:$PATH

# Healthy.
expect 0 "$nodectl" check
[ ! -s /run/err ] || { cat /run/err; exit 1; }
[ "$(head -n 1 /run/out)" = "Status: OK" ]
says "  Checking thinpool auto-extend ... OK"
says "  No corruption seen ... OK"
expect 0 "$nodectl" check --oneline
says "  Node Status: OK"
expect 0 "$nodectl" motd
says "  node status: OK"

# Its layers, beside what is not understood and what is not ours.
thin other+1 4M bedplate:layer
thin strange 4M bedplate:layer
thin guest 4M somebody
expect 0 "$nodectl" layers
cat /run/out
shows -G '^node-1.2 (128.0 MiB, [0-9.]* % used)$'
shows -G '^ +- node-1.2+1 (512.0 MiB, [0-9.]* % used, current, default)$'
says "Without a base:"
says "Not named like a layer:"
if grep guest /run/out; then exit 1; fi
expect 0 "$nodectl" layers --json
shows -F '"current": "node-1.2+1"'
expect 0 "$nodectl" info
shows -G '^Storage:   volume group bedplate, '
says "Base:      root hash $hash"
expect 0 "$nodectl" info --json
shows -F '"mount": "/var/log"'
expect 0 "$nodectl" check

# A failed unit is a warning.
echo '[{"unit": "cron.service"}]' >/run/failed
expect 0 "$nodectl" check
says "Status: WARN"
says "  No failed units ... WARN - failed: cron.service"
echo '[]' >/run/failed

# A volume that is not mounted, and one without discard.
umount /var/log
mount -o remount,nodiscard /var
expect 1 "$nodectl" check
says "Status: FAILED"
says "  Volumes are mounted ... FAILED - not mounted: /var/log"
says "  Discard is used ... FAILED - mounted without discard: /var"
expect 0 "$nodectl" motd
says "  node status: DEGRADED"
mount -o remount,discard /var
mount -o discard /dev/bedplate/var_log /var/log

# Boot entries.
mv "/boot/$layer/initramfs.img" /run/kept
expect 1 "$nodectl" check
says "  Valid boot entries ... FAILED - entry '$layer': $layer/initramfs.img is missing"
mv "/boot/$layer" /run/entry
expect 1 "$nodectl" check
says "  Layer boot entries ... FAILED - no boot entry of layer: $layer"
says "  Default boot entry ... FAILED - the default is '$layer', which has no boot entry"
mv /boot /run/no-boot
expect 1 "$nodectl" check
expect 0 "$nodectl" info
mv /run/no-boot /boot
mv /run/entry "/boot/$layer"
mv /run/kept "/boot/$layer/initramfs.img"
expect 0 "$nodectl" check

# The damaged block is met.
expect 1 cat /run/bedplate/base/file
expect 1 "$nodectl" check
says "  No corruption seen ... FAILED - dm-verity has met a block that is not as it was installed"
says "  Root hash of the boot entry ... OK"

# A pool that fills up, and nobody extends it.
lvchange -qq --monitor n bedplate/pool00
lvchange -qq --detachprofile bedplate/pool00
used() {
	lvs --noheadings -o data_percent bedplate/pool00 | tr -d ' ' | cut -d. -f1
}
while [ "$(used)" -lt 80 ]; do
	dd if=/dev/zero bs=1M count=4 oflag=append conv=notrunc,fsync of=/run/bedplate/layer/big
done
expect 1 "$nodectl" check
shows -G '^  Checking available space in thinpool ... FAILED - data of thin pool .pool00. is 8[0-9.]* %'
shows -F '  Checking thinpool auto-extend ... FAILED - thin_pool_autoextend_threshold is 100,'
lvchange -qq --metadataprofile bedplate-pool bedplate/pool00
expect 1 "$nodectl" check
says "  Checking thinpool auto-extend ... FAILED - dmeventd does not watch thin pool 'pool00'"
says "  Checking what a full thinpool does ... OK"
lvchange -qq --errorwhenfull n bedplate/pool00
expect 1 "$nodectl" check
shows -F "  Checking what a full thinpool does ... WARN - with thin pool 'pool00' full,"

# Without the tools it is as unknown, and nothing hangs.
mkdir /run/none
PATH=/run/none expect 1 "$nodectl" check
says "  Initialized VG ... FAILED - asking LVM for its volumes: lvm: No such file or directory"
says "  No failed units ... WARN - systemctl: No such file or directory"
END
