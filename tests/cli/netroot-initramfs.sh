#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What mount-root makes of bedplate.netroot= before anything is mounted: servers chosen, mistakes explained.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
module=$(realpath "$(dirname "$0")/../../dracut/70bedplate")
cd "$work"
mkdir bin lib run

# The scripts as they are, but for where they look.
for name in mount-root netroot; do
	sed "s|/lib/dracut-lib.sh|$work/dracut-lib.sh|; s|/usr/lib/bedplate/|$work/lib/|; s|=/run/bedplate|=$work/run|
		s|/run/NetworkManager|$work/nm|g; s|/run/systemd/netif|$work/netif|; s|/tmp/dhclient|$work/dhclient|
		s|/sys/block/nbd0|$work/nbd0|g" "$module/$name.sh" >"lib/$name.sh"
done
# What we use of dracut's, and of lib.sh what does not write to consoles.
cat >dracut-lib.sh <<'END2'
getarg() {
	for word in $CMD_LINE; do
		case $word in "${1%=}="*) echo "${word#*=}" ;; "$1") echo 1 ;; *) continue ;; esac
		return 0
	done
	return 1
}
getargbool() { getarg "$2" >/dev/null || [ "$1" = 1 ]; }
getargnum() { getarg "$4=" || echo "$1"; }
END2
cat >lib/lib.sh <<'END2'
tell() { cat "$1"; }
now() { read -r up _ </proc/uptime; echo "${up%.*}"; }
END2
# In place of nbd-root: it says why there is no connection.
cat >bin/systemctl <<END2
#!/bin/sh
echo "a: no answer" >"$work/run/netroot.why"
END2
printf '#!/bin/sh\n' >bin/modprobe
printf '#!/bin/sh\necho up\n' >bin/ip
chmod 755 bin/*

# refused TEXT PARAMETER...
refused() {
	text=$1
	shift
	rm -f run/netroot
	expect 1 env CMD_LINE="rd.retry=1 $*" NEWROOT="$work/root" PATH="$work/bin:$PATH" sh lib/mount-root.sh
	[ "$(head -n 1 out)" = "This node cannot start: $text." ] || fail "expected '$text': $(cat out)"
}

refused "the kernel command line has no bedplate.roothash=" bedplate.netroot=nbd:a:x.img
for wrong in bad nbd: nbd:a nbd:a: nfs:a:x.img; do
	refused "'bedplate.netroot=$wrong' is not nbd:SERVER:EXPORT" bedplate.netroot=$wrong bedplate.roothash=1
done
refused "there is no server for its root" bedplate.netroot=nbd::x.img bedplate.roothash=1
grep -q 'bedplate.netroot=nbd:SERVER:x.img' out || fail "$(cat out)"

refused "no server gives it 'x.img', after 1 seconds" 'bedplate.netroot=nbd:a:1,[::1]:2,c:x.img' \
	bedplate.roothash=1
grep -q 'a: no answer' out || fail "$(cat out)"
same run/netroot "x.img
a:1
[::1]:2
c"

# One that DHCP names, by each program that may have asked.
while read -r file line; do
	mkdir -p "$(dirname "$file")"
	printf 'x=y\n%s\nz=1\n' "$line" >"$file"
	refused "no server gives it 'x.img', after 1 seconds" bedplate.netroot=nbd::x.img bedplate.roothash=1
	same run/netroot "x.img
192.0.2.9"
	rm "$file"
done <<'END2'
nm/devices/2 next-server=192.0.2.9
netif/leases/2 NEXT_SERVER=192.0.2.9
dhclient.eth0.dhcpopts new_next_server=192.0.2.9
END2
mkdir -p nm/devices
echo next-server=0.0.0.0 >nm/devices/2
refused "there is no server for its root" bedplate.netroot=nbd::x.img bedplate.roothash=1
