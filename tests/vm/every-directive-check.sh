#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs inside a node installed with every-directive.ks: a line "ok NAME" or "bad NAME: why" for each
# directive, and at the end "checked: N ok, N bad".  Status 1 when anything is bad.
# The node speaks what the kickstart says; programs here are asked in English.
export LC_ALL=C
good=0
bad=0

# check NAME COMMAND...: the command's output says why when it fails.
check() {
	name=$1
	shift
	if why=$("$@" 2>&1); then
		good=$((good + 1))
		echo "ok $name"
	else
		bad=$((bad + 1))
		echo "bad $name: $(echo "$why" | tail -n 3 | tr '\n' ' ')"
	fi
}

is() {
	[ "$1" = "$2" ] || {
		echo "got '$1', expected '$2'"
		return 1
	}
}

has_line() {
	grep -qxF -e "$2" "$1" || {
		echo "no line '$2' in $1"
		return 1
	}
}

mounted() {
	is "$(findmnt -n -o SOURCE "$1" | sed 's,/dev/mapper/,,')" "$2"
}

partition() {
	bytes=$(lsblk -b -n -o SIZE "/dev/disk/by-partlabel/$1") || return 1
	is "$((bytes / 1048576))" "$2"
}

profile() {
	file=/etc/NetworkManager/system-connections/$1.nmconnection
	shift
	for line; do
		has_line "$file" "$line" || return 1
	done
	is "$(stat -c '%a %U' "$file")" "600 root"
}

user_field() {
	is "$(getent passwd "$1" | cut -d: -f"$2")" "$3"
}

shadow() {
	getent shadow "$1" | cut -d: -f2
}

check "%pre and %include" is "$(getent group frompre | cut -d: -f3)" 4242
check "%pre-install" has_line /root/every-pre-install pre-install
check "%post" has_line /root/every-post every.test
check "%post --log" has_line /var/log/every-post.log "said in post"
check "%post --nochroot" grep -q . /root/every-nochroot
check "%post --nochroot, /mnt/sysimage" cmp /root/every-nochroot /root/every-sysimage
check "%post --nochroot, /mnt/sysroot" cmp /root/every-nochroot /root/every-sysroot
check "%post that fails" has_line /root/every-failed before
# A %post without --erroronfail does not end the install.
check "%onerror is for an install that fails" test ! -e /root/every-onerror

# Before, the disk had an MBR and a file system "before" in its first partition: install-bios.sh.
table() {
	is "$(blkid -p -o value -s PTTYPE /dev/vda)" gpt && is "$(blkid -o device -t LABEL=before)" ""
}
check "clearpart" table
# The volume with the kickstart was a disk as well: /dev/vdb.
on_disk() {
	for name in bios efi boot swap lvm; do
		case $(readlink -f "/dev/disk/by-partlabel/bedplate-$name") in
		/dev/vda[0-9]) ;;
		*)
			echo "bedplate-$name is not on /dev/vda"
			return 1
			;;
		esac
	done
}
check "ignoredisk, part --ondisk" on_disk
fstype() {
	is "$(findmnt -n -o FSTYPE "$1")" "$2"
}
boot_types() {
	fstype /boot ext4 && fstype /boot/efi vfat
}
check "part --fstype" boot_types
check "part biosboot" partition bedplate-bios 1
check "part /boot/efi" partition bedplate-efi 200
check "part /boot" partition bedplate-boot 800
efi_options() {
	findmnt -n -o OPTIONS /boot/efi | grep -q 'fmask=0027'
}
check "part --fsoptions" efi_options
swap_is_on() {
	[ "$(swapon --show=SIZE --bytes --noheadings | wc -l)" -eq 1 ]
}
check "part swap" swap_is_on
check "part swap --size" partition bedplate-swap 128
pv_size() {
	bytes=$(lsblk -b -n -d -o SIZE /dev/disk/by-partlabel/bedplate-lvm) || return 1
	echo "$bytes bytes"
	[ $((bytes / 1048576)) -ge 7000 ] && [ $((bytes / 1048576)) -le 10500 ]
}
check "part --grow --maxsize" pv_size
lv() {
	is "$(lvs --noheadings --nosuffix --units "$3" -o "$2" "every/$1" | tr -d ' ')" "$4"
}
extent() {
	is "$(vgs --noheadings --nosuffix --units k -o vg_extent_size every | tr -d ' ')" 4096.00
}
check "volgroup --pesize" extent
check "logvol --thinpool --chunksize" lv everypool chunk_size k 128.00
check "logvol --metadatasize" lv everypool lv_metadata_size m 64.00
# mib VOLUME: its size.
mib() {
	lvs --noheadings --nosuffix --units m -o lv_size "every/$1" | tr -d ' ' | cut -d. -f1
}
pool_grew() {
	size=$(mib everypool)
	echo "$size MiB"
	[ "$size" -gt 6000 ]
}
check "logvol --thinpool --grow" pool_grew
check "logvol --thin --poolname" lv var pool_lv m everypool
check "logvol --fstype" fstype /var ext4
root_is_overlay() {
	is "$(findmnt -n -o FSTYPE /)" overlay
}
check "logvol /" root_is_overlay
layer_size() {
	lv every-1+1 lv_size m 1000.00
}
check "logvol / --size" layer_size
check "logvol /var" mounted /var every-var
check "logvol --size" lv var lv_size m 600.00
check "logvol /var/log" mounted /var/log every-log
log_options() {
	options=,$(findmnt -n -o OPTIONS /var/log),
	for option in noexec nosuid discard; do
		case $options in
		*,$option,*) ;;
		*)
			echo "no $option in $options"
			return 1
			;;
		esac
	done
}
check "logvol --fsoptions" log_options
check "logvol --maxsize" lv home lv_size m 300.00
# Of what the pool has left for it, which depends on the size of the image.
percent() {
	size=$(mib srv)
	echo "$size MiB"
	mounted /srv every-srv && [ "$size" -gt 0 ] && [ $((size * 100)) -le $(($(mib everypool) * 3)) ]
}
check "logvol --percent" percent
tmp_mode() {
	mounted /tmp every-tmp && is "$(stat -c %a /tmp)" 1777
}
check "logvol /tmp" tmp_mode
factory() {
	is "$(stat -c '%a %h' /var/lib/every/deep /var/lib/every/twin | tr '\n' ' ')" \
		"750 2 644 2 " && has_line /var/lib/every/twin factory && test -d /home/imageuser/kept
}
check "volumes begin as in the image" factory
fstab() {
	! grep -v '^#' /etc/fstab | grep '^/dev/' | grep -v discard
}
check "fstab has discard" fstab

check "bootloader --append" grep -qw every.directive=1 /proc/cmdline
check "bootloader --timeout" grep -rqE 'timeout=.?2' /boot/grub/grub.cfg /boot/grub/user.cfg
check "bootloader --password" grep -q grub.pbkdf2.sha512 /boot/grub/user.cfg
boot_code() {
	[ "$(dd if=/dev/vda bs=1 count=440 2>/dev/null | tr -d '\0' | wc -c)" -gt 100 ]
}
check "bootloader --location, --boot-drive" boot_code

check "lang" has_line /etc/locale.conf LANG=de_DE.UTF-8
locales() {
	locale -a | grep -qx de_DE.utf8 && locale -a | grep -qx fr_FR.utf8
}
check "lang --addsupport" locales
check "keyboard --vckeymap" has_line /etc/default/keyboard 'KEYMAP="de"'
check "keyboard --xlayouts" has_line /etc/default/keyboard 'XKBVARIANT="nodeadkeys"'
check "timezone" is "$(readlink /etc/localtime)" ../usr/share/zoneinfo/Europe/Vienna
check "timezone --utc" test ! -e /etc/adjtime
check "timesource" has_line /etc/chrony/sources.d/kickstart.sources "server 192.0.2.123 iburst"
check "timesource is on again" systemctl -q is-enabled chrony.service
check "selinux" has_line /etc/selinux/config SELINUX=disabled
ruleset() {
	nft list ruleset >/tmp/every-ruleset && grep -q 8443 /tmp/every-ruleset &&
		grep -q every0 /tmp/every-ruleset && grep -qE '\b80\b|http' /tmp/every-ruleset
}
check "firewall" ruleset
check "services --enabled" systemctl -q is-active ssh.service
cron_is_off() {
	is "$(systemctl is-enabled cron.service)" disabled
}
check "services --disabled" cron_is_off
firstboot_is_off() {
	unit=systemd-firstboot.service
	[ ! -e /usr/lib/systemd/system/$unit ] ||
		is "$(readlink /etc/systemd/system/$unit)" /dev/null
}
check "firstboot --disable" firstboot_is_off

root_password() {
	is "$(shadow root | cut -d '$' -f 2,3)" "6\$everydirective"
}
check "rootpw --iscrypted" root_password
check "rootpw --allow-ssh" has_line /etc/ssh/sshd_config.d/01-permitrootlogin.conf "PermitRootLogin yes"
check "group --gid" is "$(getent group every | cut -d: -f3)" 4000
check "group that was there" is "$(getent group imagegroup | cut -d: -f3)" 3333
check "user --uid" user_field every 3 4001
check "user --gid" user_field every 4 4000
check "user --gecos" user_field every 5 "Every Directive"
check "user --homedir" user_field every 6 /home/every
check "user --shell" user_field every 7 /bin/bash
user_groups() {
	for group in sudo users; do
		id -nG every | grep -qw $group || return 1
	done
}
check "user --groups" user_groups
user_password() {
	is "$(shadow every | cut -d '$' -f 2)" y
}
check "user --password" user_password
user_lock() {
	is "$(shadow locked | cut -c1)" !
}
check "user --lock" user_lock
changed_user() {
	user_field imageuser 3 3001 && user_field imageuser 5 "From the kickstart" &&
		user_field imageuser 7 /bin/bash && id -nG imageuser | grep -qw every
}
check "user that was there" changed_user
home() {
	is "$(stat -c '%a %U:%g' /home/every)" "700 every:4000"
}
check "user has a home" home
key() {
	is "$(stat -c '%a %U' /home/every/.ssh/authorized_keys)" "600 every" &&
		grep -q 'every@test$' /home/every/.ssh/authorized_keys
}
check "sshkey" key

check "network --hostname" is "$(cat /proc/sys/kernel/hostname)" every.test
profile_of_link() {
	grep -l 'type=ethernet' /etc/NetworkManager/system-connections/*.nmconnection | while read -r file; do
		grep -q '^autoconnect=false' "$file" || echo "$file"
	done | grep -q .
}
check "network --device=link" profile_of_link
online() {
	nmcli -t -f TYPE,STATE device | grep -qx 'ethernet:connected'
}
check "network --bootproto=dhcp" online
check "network static" profile ever0 "address1=192.0.2.10/24,192.0.2.1" "dns=192.0.2.53;" "mtu=1400" \
	"dns=2001:db8::53;" "address1=2001:db8::10/64,2001:db8::1" "autoconnect=false" \
	"dns-search=a.test;b.test;"
check "network --vlanid" profile vlan7 "type=vlan" "id=7" "parent=ever1" "method=disabled"
check "network --bondslaves" profile bond0 "type=bond" "mode=active-backup" "miimon=100" "never-default=true"
check "network, ports of a bond" profile bond0-ever3 "master=bond0" "slave-type=bond"
check "network --bridgeslaves" profile br0 "type=bridge" "stp=false" "ignore-auto-dns=true"
check "network, ports of a bridge" profile br0-ever4 "master=br0" "slave-type=bridge"
check "network by address" profile 52-54-00-aa-bb-cc "mac-address=52:54:00:aa:bb:cc" "method=disabled"
check "network replaces the image's" test ! -e \
	/etc/NetworkManager/system-connections/imagedev.nmconnection

record() {
	grep -q '"layer": "every-1+1"' /usr/lib/bedplate/factory.json
}
check "factory record" record
no_secrets() {
	file=/var/log/bedplate/install.ks
	is "$(stat -c '%a %U' $file)" "600 root" && grep -q '^rootpw .*REMOVED' $file || return 1
	! grep -E 'every-plain|every-grub|everydirective' $file /var/log/bedplate/install.log
}
check "no passwords in the logs" no_secrets

echo "checked: $good ok, $bad bad"
[ "$bad" -eq 0 ]
