#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A real node from one real image to the next: what its administrator has changed is there afterwards,
# the rest is the new image's, and the plan has named all of it.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_uml
bedplate=$1
# shellcheck source=pair.sh
. "$lab/pair.sh"

build_pair "$lab/pair-1.ks" "$lab/pair-2.ks"
pair_kickstart "$work/node.ks"
new_manifest=$(manifest_of "$new_image")
LAB_NEW=$new_image LAB_SUM=$(jq -r .rootfs.sha256 "$new_manifest")
LAB_SIZE=$(jq -r .rootfs.size "$new_manifest")
export LAB_NEW LAB_SUM LAB_SIZE

cat >"$work/guest-lib" <<'LIB'
root=/run/node
# compose LAYER [rw]: its root on $root, read-only without "rw".
compose() {
	mkdir -p /run/base /run/layer $root
	lvm lvchange -ay -K "bedplate/${1%+*}"
	mount -t ext4 -o ro "/dev/bedplate/${1%+*}" /run/base
	if [ "${2:-}" = rw ]; then
		mount -t ext4 "/dev/bedplate/$1" /run/layer
		mount -t overlay node $root -o lowerdir=/run/base,upperdir=/run/layer/upper \
			-o workdir=/run/layer/work,metacopy=off,index=off,redirect_dir=off,xino=auto
	else
		mount -t ext4 -o ro "/dev/bedplate/$1" /run/layer
		mount -t overlay node $root -o lowerdir=/run/layer/upper:/run/base
	fi
	composed=${1%+*}
}
release() {
	umount $root /run/layer /run/base
	lvm lvchange -an "bedplate/$composed"
}
node() {
	chroot $root "$@"
}
lvm vgchange -ay --sysinit bedplate 2>/dev/null || :
LIB

new_disk disk 12G
in_guest --disk="$work/disk" --memory=1024 --timeout=1500 <<'END_GUEST'
"$LAB_NODECTL" install --kickstart="$LAB_WORK/node.ks" --yes >/run/out 2>&1 || { cat /run/out; exit 1; }
END_GUEST

# The administrator at work, with the node's own programs where it has some.
in_guest --disk="$work/disk" --memory=1024 <<'END_GUEST'
. "$LAB_WORK/guest-lib"
compose pair-1+1 rw
mount --rbind /dev $root/dev
mount -t proc proc $root/proc
cd $root/etc

# The first boot.
rm -f machine-id
node systemd-machine-id-setup
node ssh-keygen -A

echo node7.example.org >hostname
echo '192.0.2.10 storage.example.org storage' >>hosts
sed -i '1i PermitRootLogin prohibit-password' ssh/sshd_config
echo 'server ntp.example.org iburst' >>chrony/chrony.conf
node systemctl disable cron.service
node systemctl enable serial-getty@ttyS5.service
node systemctl mask e2scrub_all.timer
node groupadd --gid 2345 operators
node useradd --uid 2001 --create-home --groups operators,sudo --shell /bin/bash anna
echo 'anna:correct horse' | node chpasswd --crypt-method SHA512
echo 'anna ALL=(ALL) NOPASSWD: /usr/sbin/lvs' >sudoers.d/anna
chmod 440 sudoers.d/anna
mkdir -p NetworkManager/system-connections
printf '[connection]\nid=bond0\ntype=bond\n' >NetworkManager/system-connections/bond0.nmconnection
chmod 600 NetworkManager/system-connections/bond0.nmconnection
echo 'InitiatorName=iqn.2026-11.org.example:node7' >iscsi/initiatorname.iscsi
echo 'storage:/vms /srv/vms nfs noauto 0 0' >>fstab
echo 'vm.swappiness = 5' >sysctl.d/90-node.conf
chmod 600 crontab
node setfacl -m u:anna:r /etc/iscsi/iscsid.conf
rm cron.d/e2scrub_all
sed -i 's/^one$/one of ours/' pair-lines.conf
echo 'of the administrator' >pair-both.conf
echo '30 2 * * * root /usr/local/sbin/backup' >cron.d/backup
echo '* hard nofile 65536' >>security/limits.conf
ln -sfn /run/NetworkManager/resolv.conf resolv.conf
mkdir -p -m 700 ../root/.ssh
echo 'ssh-ed25519 AAAATEST anna' >../root/.ssh/authorized_keys
chmod 600 ../root/.ssh/authorized_keys
printf '#!/bin/sh\necho backup\n' >../usr/local/sbin/backup
chmod 755 ../usr/local/sbin/backup
mkdir -p ../opt/agent/bin
echo 'listen = 192.0.2.7' >../opt/agent/agent.conf
printf '#!/bin/sh\necho agent\n' >../opt/agent/bin/agent
chown 2001:2345 ../opt/agent/bin/agent
chmod 4750 ../opt/agent/bin/agent
echo 'blacklist nouveau' >modprobe.d/local.conf

cp machine-id passwd group shadow "$LAB_WORK"
cp fstab "$LAB_WORK/fstab"
cat ssh/ssh_host_* | sha256sum >"$LAB_WORK/host-keys"
cp ../usr/lib/bedplate/dpkg/status "$LAB_WORK/status-1"
cd /
umount $root/proc
umount -l $root/dev
release
END_GUEST

# What is planned is what is done: the same changes, blocks and sizes.
in_guest --disk="$work/disk" --memory=1024 --timeout=1500 <<'END_GUEST'
. "$LAB_WORK/guest-lib"
"$LAB_NODECTL" upgrade "$LAB_NEW" --allow-unsigned --plan --json >"$LAB_WORK/plan" 2>/run/err || {
	cat /run/err "$LAB_WORK/plan"
	exit 1
}
"$LAB_NODECTL" upgrade "$LAB_NEW" --allow-unsigned --yes --json >"$LAB_WORK/run" 2>/run/err || {
	cat /run/err "$LAB_WORK/run"
	exit 1
}
END_GUEST
shared='{changes, write_bytes, pool: .pool.needed, from, to, base, image_bytes}'
jq "$shared" "$work/plan" >"$work/planned"
jq "$shared" "$work/run" | diff "$work/planned" - || fail "the run did something else than it had planned"
jq -e '.result == "trial" and .to == "pair-2+1" and .measured and .lost_packages == []' "$work/run" >/dev/null ||
	fail "the result: $(cat "$work/run")"
# Whether the new image has other account files depends on what is in the archive.
jq -r '.changes[] | "\(.action) \(.path)"' "$work/plan" |
	sed -E 's,^(kept|merged) (/etc/(passwd|group|g?shadow))$,account file \2,' >"$work/changes"
diff - "$work/changes" <<'CHANGES' || fail "the plan is not what was changed"
vendor /etc/.pwd.lock
kept /etc/NetworkManager/system-connections/bond0.nmconnection
kept /etc/NetworkManager/system-connections/wired.nmconnection
kept /etc/chrony/chrony.conf
kept /etc/cron.d/backup
kept /etc/cron.d/e2scrub_all
kept /etc/crontab
kept /etc/fstab
account file /etc/group
vendor /etc/group-
account file /etc/gshadow
vendor /etc/gshadow-
kept /etc/hostname
kept /etc/hosts
kept /etc/iscsi/initiatorname.iscsi
kept /etc/iscsi/iscsid.conf
kept /etc/machine-id
kept /etc/modprobe.d/local.conf
conflict /etc/pair-both.conf
merged /etc/pair-lines.conf
account file /etc/passwd
vendor /etc/passwd-
kept /etc/rc2.d/K01cron
kept /etc/rc2.d/S01cron
kept /etc/rc3.d/K01cron
kept /etc/rc3.d/S01cron
kept /etc/rc4.d/K01cron
kept /etc/rc4.d/S01cron
kept /etc/rc5.d/K01cron
kept /etc/rc5.d/S01cron
kept /etc/resolv.conf
kept /etc/security/limits.conf
account file /etc/shadow
vendor /etc/shadow-
kept /etc/ssh/ssh_host_ecdsa_key
kept /etc/ssh/ssh_host_ecdsa_key.pub
kept /etc/ssh/ssh_host_ed25519_key
kept /etc/ssh/ssh_host_ed25519_key.pub
kept /etc/ssh/ssh_host_rsa_key
kept /etc/ssh/ssh_host_rsa_key.pub
kept /etc/ssh/sshd_config
kept /etc/subgid
vendor /etc/subgid-
kept /etc/subuid
vendor /etc/subuid-
kept /etc/sudoers.d/anna
kept /etc/sysctl.d/90-node.conf
kept /etc/systemd/system/e2scrub_all.timer
kept /etc/systemd/system/getty.target.wants/serial-getty@ttyS5.service
kept /etc/systemd/system/multi-user.target.wants/cron.service
kept /home/anna
kept /opt/agent
kept /root/.ssh/authorized_keys
kept /usr/local/sbin/backup
CHANGES

# One by one, in the root as the new layer's boot would put it together.
in_guest --disk="$work/disk" --memory=1024 <<'END_GUEST'
set +x
. "$LAB_WORK/guest-lib"
compose pair-2+1
cd $root/etc
count=0
# still WHAT COMMAND...: what the administrator has done is there.
still() {
	what=$1
	shift
	"$@" >/run/out 2>&1 || {
		echo "not there any more: $what"
		cat /run/out
		exit 1
	}
	count=$((count + 1))
}
mode_is() {
	[ "$(stat -c %a "$1")" = "$2" ]
}
has_line() {
	grep -qxF -e "$2" "$1"
}
gone() {
	[ ! -e "$1" ] && [ ! -L "$1" ]
}
text_is() {
	printf '%s\n' "$2" | cmp - "$1"
}
still 'host name' text_is hostname node7.example.org
still 'hosts' has_line hosts '192.0.2.10 storage.example.org storage'
still 'sshd_config' has_line ssh/sshd_config 'PermitRootLogin prohibit-password'
still 'chrony.conf' has_line chrony/chrony.conf 'server ntp.example.org iburst'
still 'disabled unit' gone systemd/system/multi-user.target.wants/cron.service
still 'enabled unit' [ -L systemd/system/getty.target.wants/serial-getty@ttyS5.service ]
still 'masked unit' [ "$(readlink systemd/system/e2scrub_all.timer)" = /dev/null ]
still 'user' [ "$(node id -un 2001)" = anna ]
still 'group' [ "$(node getent group operators)" = operators:x:2345:anna ]
still 'member of a group of the image' sh -c 'grep -qE "^sudo:.*[:,]anna$" group'
still 'password' [ "$(grep ^anna: shadow)" = "$(grep ^anna: "$LAB_WORK/shadow")" ]
still 'sudoers' sh -c 'grep -q "^anna ALL" sudoers.d/anna && [ $(stat -c %a sudoers.d/anna) = 440 ]'
still 'connection' mode_is NetworkManager/system-connections/bond0.nmconnection 600
still 'initiator name' has_line iscsi/initiatorname.iscsi 'InitiatorName=iqn.2026-11.org.example:node7'
still 'fstab' cmp fstab "$LAB_WORK/fstab"
still 'sysctl' text_is sysctl.d/90-node.conf 'vm.swappiness = 5'
still 'mode of a file' mode_is crontab 600
still 'ACL' sh -c "chroot $root getfacl -cp /etc/iscsi/iscsid.conf | grep -qx user:anna:r--"
still 'deleted file' gone cron.d/e2scrub_all
still 'lines of both' text_is pair-lines.conf "$(printf 'one of ours\ntwo\nthree\nfour\nfive\nimage = 2')"
still 'conflict' text_is pair-both.conf 'of the administrator'
still 'the other side of it' text_is pair-both.conf.bedplate-new 'of image 2'
still 'cron' has_line cron.d/backup '30 2 * * * root /usr/local/sbin/backup'
still 'limits' has_line security/limits.conf '* hard nofile 65536'
still 'link' [ "$(readlink resolv.conf)" = /run/NetworkManager/resolv.conf ]
still 'key of root' mode_is ../root/.ssh/authorized_keys 600
still 'folder of the key' mode_is ../root/.ssh 700
still 'script' [ "$(node /usr/local/sbin/backup)" = backup ]
still 'program' [ "$(stat -c '%a %u %g' ../opt/agent/bin/agent)" = '4750 2001 2345' ]
still 'its configuration' text_is ../opt/agent/agent.conf 'listen = 192.0.2.7'
still 'blacklist' text_is modprobe.d/local.conf 'blacklist nouveau'
still 'machine id' cmp machine-id "$LAB_WORK/machine-id"
still 'host keys' [ "$(cat ssh/ssh_host_* | sha256sum)" = "$(cat "$LAB_WORK/host-keys")" ]
[ $count -eq 33 ]

echo 'the new image'
text_is pair-vendor.conf 'of image 2'
[ "$(jq -r .version ../usr/lib/bedplate/image.json)" = 2 ]
cmp ../usr/lib/bedplate/dpkg/status /run/base/usr/lib/bedplate/dpkg/status
if cmp -s ../usr/lib/bedplate/dpkg/status "$LAB_WORK/status-1"; then exit 1; fi
# Every package that is planned to be new is new, and there are no others.
versions() {
	awk '/^Package: / { name = $2 } /^Version: / { print name, $2 }' "$1" | sort
}
versions "$LAB_WORK/status-1" >/run/versions-1
versions ../usr/lib/bedplate/dpkg/status >/run/versions-2
jq -r '.packages[] | select(.to) | "\(.name) \(.to)"' "$LAB_WORK/plan" | sort >/run/planned
comm -13 /run/versions-1 /run/versions-2 | diff - /run/planned
[ -s /run/planned ]

echo 'accounts'
for file in passwd group; do
	[ -z "$(cut -d: -f1 $file | sort | uniq -d)" ]
	[ -z "$(cut -d: -f3 $file | sort | uniq -d)" ]
	cut -d: -f1,3 "$LAB_WORK/$file" | sort >/run/accounts-1
	cut -d: -f1,3 $file | sort | comm -23 /run/accounts-1 - | diff - /dev/null
done
for file in shadow gshadow; do
	[ -z "$(cut -d: -f1 $file | sort | uniq -d)" ]
done

echo 'the base'
[ "$(head -c "$LAB_SIZE" /dev/bedplate/pair-2 | sha256sum | cut -d' ' -f1)" = "$LAB_SUM" ]
cd /
release
echo 'all there'
END_GUEST
tail -n 1 "$work/out" | grep -qx 'all there' || fail "the checks did not end: $(tail "$work/out")"
