#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Plugins that were added to a node, and upgrades of it at rest: which fit, what is in the new layer, what
# the old one still has.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_uml
# shellcheck source=upgrade-lib.sh
. "$lab/upgrade-lib.sh"
bedplate=$1

# --- Two images with dpkg in them.
# lab_image FOLDER VERSION
lab_image() {
	printf '{"name": "lab", "version": "%s", "arch": "amd64", "source_date": 0}\n' "$2" \
		>"$tree/usr/lib/bedplate/image.json"
	make_rootfs "$work/rootfs-$2.img" 96
	make_image "$work/$1" "$2" "$work/rootfs-$2.img"
}
make_tree
add_program dpkg dpkg-deb dpkg-split tar rm diff start-stop-daemon ln mkdir mv touch chmod grep
cp -L /sbin/ldconfig "$tree/usr/sbin/"
db=$tree/usr/lib/bedplate/dpkg
mkdir -p "$db/info" "$db/updates" "$tree/usr/share/factory/var/log" "$tree/usr/share/factory/var/cache"
touch "$db/available"
echo /. >"$db/info/base.list"
printf 'Package: base\nStatus: install ok installed\nMaintainer: x <x@x>\nArchitecture: all\nVersion: 1\nDescription: x\n\n' \
	>"$db/status"
ln -s ../../usr/lib/bedplate/dpkg "$tree/usr/share/factory/var/lib/dpkg"
printf 'adm:x:4:\n' >>"$tree/etc/group"
printf "# From the kickstart's firewall command.\ntable inet kickstart {\n\tchain input {\n\t\ttcp dport 22 accept\n\t}\n}\n" \
	>"$tree/etc/nftables.conf"
echo one >"$tree/etc/vendor.conf"
lab_image one 1
echo two >"$tree/etc/vendor.conf"
echo 'new:x:200:' >>"$tree/etc/group"
lab_image two 2

# --- Plugins.
# deb PLUGIN PACKAGE PATH: with one file; scripts/postinst and more/ are in it.
mkdir "$work/scripts" "$work/more"
deb() {
	rm -rf "$work/pkg"
	mkdir -p "$work/pkg/DEBIAN" "$work/$1/packages" "$work/pkg/$(dirname "$3")"
	cp -r "$work/more/." "$work/pkg"
	echo "$2" >"$work/pkg/$3"
	find "$work/scripts" -type f -exec mv {} "$work/pkg/DEBIAN/" \;
	chmod -R 755 "$work/pkg/DEBIAN"
	printf 'Package: %s\nVersion: 1.0\nArchitecture: all\nMaintainer: x <x@x>\nDescription: x\n%s\n' \
		"$2" "${4:-Section: x}" >"$work/pkg/DEBIAN/control"
	dpkg-deb --root-owner-group -Zgzip -b "$work/pkg" "$work/$1/packages/$2.deb" >/dev/null
}
# plugin NAME BEFORE WRITES [MORE]: for images before that version; the recipe comes from stdin.
plugin() {
	mkdir -p "$work/$1"
	printf '{"name": "%s", "version": "1.0", "vendor": "V", "description": "D",
		"images": [{"name": "lab", "before": "%s"}], "writes": [%s]%s}\n' "$1" "$2" "$3" "${4:-}" \
		>"$work/$1/plugin.json"
	cat >"$work/$1/recipe.ks"
	(cd "$work" && "$bedplate" plugin pack "$1" -q) || fail "plugin $1"
}
cat >"$work/scripts/postinst" <<'END'
#!/bin/sh
set -e
grep -q '^agent:' /etc/passwd || {
	echo agent:x:900:900::/:/bin/sh >>/etc/passwd
	echo agent:x:900: >>/etc/group
	echo 'agent:*:1::::::' >>/etc/shadow
}
mkdir -p /var/lib/agent
echo state >/var/lib/agent/state
END
mkdir -p "$work/more/etc/agent.d"
echo vendor >"$work/more/etc/agent.conf"
echo unwanted >"$work/more/etc/agent.d/unwanted"
deb agent agent usr/share/agent/file
rm -r "$work/more/etc"
plugin agent 9 '"/usr/share/agent/", "/etc/agent.conf", "/etc/agent.d/", "/etc/passwd", "/etc/group", "/etc/shadow"' \
	', "state": ["/var/lib/agent/"], "ports": ["7411:tcp"]' <<'END'
firewall --port=7411:tcp
%packages
agent
%end
END
deb tools tools usr/share/tools/file 'Depends: agent'
plugin tools 9 '"/usr/share/tools/"' <<'END'
%packages
tools
%end
END
plugin old 2 '"/usr/share/old/", "/etc/old.conf"' <<'END'
%post
mkdir /usr/share/old
echo old >/usr/share/old/file
echo old >/etc/old.conf
%end
END
plugin picky 9 '"/etc/picky.conf"' <<'END'
%post --erroronfail
grep -q two /etc/vendor.conf && exit 3
echo picky >/etc/picky.conf
%end
END

cat >>"$work/guest-lib" <<'END'
# root_of LAYER BASE: mount the root of a layer on /run/root.
root_of() {
	mkdir -p /run/base /run/upper /run/root
	lvm lvchange -ay -K "bedplate/$2"
	mount -t ext4 -o ro "/dev/bedplate/$2" /run/base
	mount -t ext4 "/dev/bedplate/$1" /run/upper
	mount -t overlay -o lowerdir=/run/base,upperdir=/run/upper/upper,workdir=/run/upper/work node /run/root
	mount -t tmpfs none /run/root/run
	mkdir -p /run/the-var
	[ -e /run/the-var/lib ] || cp -a /run/base/usr/share/factory/var/. /run/the-var/
	mount --bind /run/the-var /run/root/var
	the_base=$2
}
leave_root() {
	umount /run/root/var /run/root/run /run/root /run/upper /run/base
	lvm lvchange -an "bedplate/$the_base"
}
plugin() {
	verb=$1
	shift
	ok plugin "$verb" --root=/run/root "$@"
}
plugins_are() {
	plugin list --json
	jq -r '[.plugins[].manifest.name] | sort | join(" ")' /run/out | grep -x "$1"
}
END

new_disk disk 8G
in_guest --disk="$work/disk" --memory=768 <<'END'
"$LAB_NODECTL" install --kickstart="$LAB_WORK/node.ks" --yes >/run/out 2>&1 || { cat /run/out; exit 1; }
. "$LAB_WORK/guest-lib"
root_of lab-1+1 lab-1
for name in agent tools old; do
	plugin add --allow-unsigned "$LAB_WORK/$name-1.0.plugin"
done
# What an administrator does after that.
echo admin >>/run/root/etc/agent.conf
rm /run/root/etc/agent.d/unwanted
echo 'admin:x:1000:1000::/:/bin/sh' >>/run/root/etc/passwd
sed -i 's/dport 22 accept/dport 2222 accept/' /run/root/etc/nftables.conf
leave_root
END

in_guest --disk="$work/disk" --memory=768 <<'END'
. "$LAB_WORK/guest-lib"
two=$LAB_WORK/two/lab-2.squashfs.img
refused "plugin 'old' of this node does not fit the new image: it is for 'lab' before 2, not for 2: --drop-plugin=old leaves it out" \
	upgrade "$two" --allow-unsigned --yes
refused "there is no plugin 'nothing' that was added on this node" \
	upgrade "$two" --allow-unsigned --yes --drop-plugin=old --drop-plugin=nothing
fingerprint >/run/before
ok upgrade "$two" --allow-unsigned --plan --drop-plugin=old
grep -A3 '^Plugins that were added on this node:$' /run/out | grep '^  old 1.0 is left out$'
ok upgrade "$two" --allow-unsigned --plan --drop-plugin=old --json
jq -e '[.plugins[] | "\(.name) \(.action)"] == ["agent carried", "tools carried", "old dropped"] and
	.lost_packages == [] and
	(.changes | map(.path) | contains(["/etc/agent.conf"]) and all(test("plugins|share|old|agent.d") | not))' /run/out
fingerprint >/run/after
diff /run/before /run/after

# One that fails when it is there: all is taken back.
root_of lab-1+1 lab-1
plugin add --allow-unsigned "$LAB_WORK/picky-1.0.plugin"
leave_root
fingerprint >/run/before
"$LAB_NODECTL" upgrade "$two" --allow-unsigned --yes --drop-plugin=old >/run/out 2>/run/err && exit 1
cat /run/err
grep "^nodectl: .*plugin 'picky' does not go into the new layer: .*: --drop-plugin=picky leaves it out" /run/err
fingerprint >/run/after
diff /run/before /run/after

ok upgrade "$two" --allow-unsigned --yes --drop-plugin=old --drop-plugin=picky --json
jq -e '.ok and .to == "lab-2+1"' /run/out
env_is default=lab-1+1 trial=lab-2+1 tries=3
[ -z "$(grep /run/bedplate /proc/mounts)" ]
END

# check LAYER BASE NAMES: that layer is whole, with these.
cat >>"$work/guest-lib" <<'END'
check() {
	root_of "$1" "$2"
	plugins_are "$3"
	"$LAB_NODECTL" plugin verify --root=/run/root >/run/out && exit 1
	cat >/run/wanted <<'WANTED'
bad agent 1.0: '/etc/agent.conf' has changed
bad agent 1.0: '/etc/agent.d/unwanted' is missing
ok  tools 1.0: 2 files
WANTED
	diff /run/wanted /run/out
	grep -qx 'Package: tools' /run/root/usr/lib/bedplate/dpkg/status
	grep -qx agent /run/root/usr/share/agent/file
	[ "$(cat /run/root/etc/agent.conf)" = "$(printf 'vendor\nadmin')" ]
	[ ! -e /run/root/etc/agent.d/unwanted ]
	[ "$(grep -c '^agent:x:900' /run/root/etc/passwd)" -eq 1 ]
	grep '^admin:' /run/root/etc/passwd
	[ "$(grep -c 'dport.* 7411 ' /run/root/etc/nftables.conf)" -eq 1 ]
	grep 'dport 2222 accept' /run/root/etc/nftables.conf
	ls -a /run/upper
	leave_root
}
END
in_guest --disk="$work/disk" --memory=768 <<'END'
. "$LAB_WORK/guest-lib"
# The state in /var is that of the node, from before.
mkdir -p /run/the-var
root_of lab-1+1 lab-1
mkdir -p /run/the-var/lib/agent
echo state >/run/the-var/lib/agent/state
leave_root
check lab-2+1 lab-2 'agent tools'
root_of lab-2+1 lab-2
for path in usr/share/old etc/old.conf etc/picky.conf; do
	[ ! -e "/run/root/$path" ]
done
[ "$(ls -A /run/upper | sort | tr '\n' ' ')" = 'lost+found upper work ' ]
leave_root
root_of lab-1+1 lab-1
plugins_are 'agent old picky tools'
grep old /run/root/etc/old.conf
leave_root
ok rollback
env_is default=lab-1+1

# Removed from the new one: what it had before, without a trace.
cp -a /run/the-var /run/saved-var
root_of lab-2+1 lab-2
plugin remove tools
plugin remove agent
for path in usr/share/agent usr/share/tools etc/agent.d usr/lib/bedplate/plugins var/lib/agent; do
	[ ! -e "/run/root/$path" ]
done
for file in passwd group shadow; do
	grep '^agent:' "/run/root/etc/$file" && exit 1
done
grep '^admin:' /run/root/etc/passwd
grep '^new:' /run/root/etc/group
grep 7411 /run/root/etc/nftables.conf && exit 1
grep 2222 /run/root/etc/nftables.conf
leave_root
END

# Staged without some of them; what is activated is without them as well.
in_guest --disk="$work/disk" --memory=768 <<'END'
. "$LAB_WORK/guest-lib"
two=$LAB_WORK/two/lab-2.squashfs.img
ok upgrade "$two" --allow-unsigned --stage --yes --drop-plugin=old --drop-plugin=picky --json
staged=$(jq -r .to /run/out)
root_of lab-1+1 lab-1
plugin remove tools
leave_root
ok activate
root_of "$staged" lab-2
plugins_are agent
leave_root
ok rollback
ok upgrade "$two" --allow-unsigned --stage --yes --drop-plugin=old --drop-plugin=picky --json
root_of lab-1+1 lab-1
plugin remove old
plugin add --allow-unsigned "$LAB_WORK/old-1.0.plugin"
plugin add --allow-unsigned "$LAB_WORK/tools-1.0.plugin"
leave_root
refused "there is no plugin 'tolos' that was added on this node" activate --drop-plugin=tolos
ok activate --drop-plugin=tools
root_of "$(jq -r .to /run/out 2>/dev/null || lvm lvs --noheadings -o lv_name bedplate | tr -d ' ' | grep '^lab-2+' | sort | tail -n 1)" lab-2
plugins_are agent
leave_root
END
