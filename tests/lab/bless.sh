#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The boots of a trial as nodectl sees them: given up by a health check, noted at the next boot, tried
# again and blessed; a rollback that brings /var back before it is mounted.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_uml
requires command -v thin_check
new_disk disk 384M
new_disk boot 64M

in_guest --disk="$work/disk" --disk="$work/boot" <<'END'
nodectl=$LAB_NODECTL
hash=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
uuid=11111111-2222-3333-4444-555555555555
cd /run
mkdir -p /boot /etc/bedplate /run/bin
rm -rf /etc/bedplate/health.d /etc/bedplate/hooks.d

printf 'label: gpt\nstart=2048, uuid=%s\n' "$uuid" | sfdisk -q /dev/ubdb
mkfs.ext4 -q /dev/ubdb1
vgcreate -qq --addtag bedplate:vg --addtag "bedplate:boot:$uuid" node /dev/ubda
lvcreate -qq -L 200M --poolmetadatasize 4M --thin --errorwhenfull y --addtag bedplate:pool -n pool00 node
thin() {
	name=$1
	shift
	lvcreate -qq -V 24M -T node/pool00 -n "$name" "$@"
}
thin n-1 --addtag bedplate:base --addtag bedplate:verity:4096:0:0
thin n-2 --addtag bedplate:base --addtag bedplate:verity:4096:0:0
thin n-1+1 --addtag bedplate:layer
thin n-2+1 --addtag bedplate:layer
thin var --addtag bedplate:volume --addtag bedplate:mount:/var
mkfs.ext4 -q /dev/node/var

mount /dev/ubdb1 /boot
mkdir -p /boot/grub /boot/bedplate
for layer in n-1+1 n-2+1; do
	mkdir "/boot/$layer"
	echo kernel | tee "/boot/$layer/vmlinuz" >"/boot/$layer/initramfs.img"
	cat >"/boot/$layer/bedplate.cfg" <<CFG
# bedplate 1
# layer: $layer
# title: Node
# release: 6.1
menuentry 'Node' --id '$layer' --unrestricted {
	linux /$layer/vmlinuz bedplate.layer=$layer bedplate.roothash=$hash
	initrd /$layer/initramfs.img
}
CFG
done
# grubenv LINE...
grubenv() {
	{
		echo '# GRUB Environment Block'
		printf '%s\n' "$@"
		head -c 1000 /dev/zero | tr '\0' '#'
	} | head -c 1024 >/run/grubenv
	cp /run/grubenv /boot/grub/grubenv
}
# journal STEP FROM TO VAR
journal() {
	echo '{"schema":1, "operation":"upgrade", "step":"'"$1"'", "from":"'"$2"'", "to":"'"$3"'",
		"base":"'"${3%+*}"'", "new_base":false, "started":1767225600, "var":'"$4"'}' \
		>/boot/bedplate/journal.json
}
# boot LAYER: as GRUB and the kernel leave it, /boot is not mounted.
boot() {
	sync
	umount /boot
	rm -f /run/bedplate/trial-deadline
	echo "bedplate.layer=$1 bedplate.roothash=$hash bedplate.trial=$1" >/run/cmdline
	mountpoint -q /proc/cmdline || mount --bind /run/cmdline /proc/cmdline
	"$nodectl" boot-early -v >/run/early 2>&1 || {
		cat /run/early
		exit 1
	}
	cat /run/early
	! mountpoint -q /boot || exit 1
	mount /dev/ubdb1 /boot
}
# env TEXT: grubenv has this and nothing more.
env_is() {
	got=$(grep -a = /boot/grub/grubenv | tr -d '#' | sort | tr '\n' ' ')
	[ "$got" = "$1 " ] || { echo "grubenv: '$got', expected '$1'"; exit 1; }
}
cat >/run/bin/systemctl <<'SYSTEMCTL'
#!/bin/sh
echo "$*" >>/run/asked
SYSTEMCTL
chmod 755 /run/bin/systemctl
PATH=/run/bin:$PATH
mkdir -p /run/bedplate /etc/bedplate/health.d/required /usr/lib/bedplate
echo '{"name": "n", "version": "2", "arch": "amd64", "source_date": 0}' >/usr/lib/bedplate/image.json
check=/etc/bedplate/health.d/required/lab
printf '#!/bin/sh\necho tried >>/run/tried\necho "no network"\nexit 1\n' >$check
chmod 755 $check
# It counts from the start of the machine, which may be a slow one.
deadline=$(($(cut -d. -f1 /proc/uptime) + 90))
echo "health_deadline = $deadline" >/etc/bedplate/upgrade.conf

# The trial is not good: tried again until the deadline, given up, restarted.
grubenv default=n-1+1 trial=n-2+1 tries=2
journal trial n-1+1 n-2+1 false
boot n-2+1
env_is 'default=n-1+1 trial=n-2+1 tries=2'
! "$nodectl" boot-health -v 2>/run/said || exit 1
cat /run/said
grep 'this layer is not good, the one before is booted: lab: no network' /run/said
[ "$(wc -l </run/tried)" -gt 1 ]
grep -x -e '--no-block reboot' /run/asked
env_is 'default=n-1+1 trial=n-2+1 tries=0'
[ "$(cat /run/bedplate/trial-deadline)" = $((deadline + 300)) ]

# The layer before: it is known, once, and the journal says so.
boot n-1+1
grep "warning: the trial of layer 'n-2+1' came to nothing: lab: no network" /run/early
env_is 'default=n-1+1'
[ ! -e /boot/bedplate/journal.json ]
[ "$(grep -c '"result": *"failed"' /boot/bedplate/history.jsonl)" -eq 1 ]
"$nodectl" info | grep '^Failed:    layer n-2+1 on .*: lab: no network$'
"$nodectl" boot-health
[ "$(cat /run/bedplate/trial-deadline)" = 0 ]
"$nodectl" bless | grep -x 'Layer n-1+1 is the default already.'
! "$nodectl" unbless 2>/run/said || exit 1
grep "layer 'n-1+1' is not on trial" /run/said

# Once more, and now it is good.
rm $check
echo "health_deadline = $(($(cut -d. -f1 /proc/uptime) + 600))" >/etc/bedplate/upgrade.conf
for event in on-boot on-new-image post-upgrade; do
	mkdir -p -m 755 /etc/bedplate/hooks.d/$event
	printf '#!/bin/sh\necho "$BEDPLATE_EVENT $BEDPLATE_FROM $BEDPLATE_TO" >>/run/hooked\n' \
		>/etc/bedplate/hooks.d/$event/lab
	chmod 755 /etc/bedplate/hooks.d/$event/lab
done
grubenv default=n-1+1 trial=n-2+1 tries=2
journal trial n-1+1 n-2+1 false
boot n-2+1
# Somebody else has the lock when it is about to be blessed.
cat >$check <<'CHECK'
#!/bin/sh
setsid flock /run/bedplate/lock sh -c ': >/run/held; sleep 3' >/dev/null 2>&1 &
until [ -e /run/held ]; do sleep 0.1; done
CHECK
chmod 755 $check
"$nodectl" boot-health -v 2>/run/said || {
	cat /run/said
	exit 1
}
grep 'another operation is in progress.*: waiting for it' /run/said
rm $check
printf '%s\n' 'on-boot  n-2+1' 'on-new-image n-1+1 n-2+1' 'post-upgrade n-1+1 n-2+1' | diff - /run/hooked
env_is 'default=n-2+1'
[ "$(cat /run/bedplate/trial-deadline)" = 0 ]
[ ! -e /boot/bedplate/journal.json ]
tail -n 1 /boot/bedplate/history.jsonl | grep '"result": *"blessed"'
if "$nodectl" info | grep '^Failed:'; then exit 1; fi

# A trial that GRUB gave up without a word.
grubenv default=n-2+1 trial=n-1+1 tries=0
boot n-2+1
env_is 'default=n-2+1'
"$nodectl" info | grep '^Failed:    layer n-1+1 on .*: it did not come up within 3 tries$'

# A rollback with /var.
mount /dev/node/var /mnt
echo old >/mnt/text
umount /mnt
lvcreate -qq -s -kn -pr -n var.n-1+1 --addtag bedplate:snapshot --addtag bedplate:mount:/var \
	--addtag bedplate:of:n-1+1 node/var
mount /dev/node/var /mnt
echo new >/mnt/text
umount /mnt
grubenv default=n-1+1
journal commit n-2+1 n-1+1 true
boot n-1+1
mount /dev/node/var /mnt
[ "$(cat /mnt/text)" = old ]
umount /mnt
[ ! -e /boot/bedplate/journal.json ]
lvs node/var.n-2+1
END
