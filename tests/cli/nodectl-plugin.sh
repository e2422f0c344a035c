#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# nodectl plugin on a small node in a folder, with dpkg and a shell in it: what is added and comes back, what
# is refused with which line, and that nothing has changed then.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
bedplate=$1
nodectl=$2
for tool in dpkg-deb jq unshare ldd openssl; do
	requires which $tool
done
[ "$(id -u)" -eq 0 ] || { echo "skipped: needs root to run scripts in a tree"; exit 77; }
requires unshare -m sh -c 'mount -t tmpfs none /mnt && cd /mnt && mkdir l u w m &&
	mount -t overlay none -o lowerdir=l,upperdir=u,workdir=w m'
cd "$work"
root=$work/root
arch=$(dpkg --print-architecture)

# --- A node: programs of this machine with their libraries.
# add PROGRAM...: into the node.
add() {
	for program; do
		from=$(PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v "$program") || exit 99
		cp -L "$from" "$root/usr/bin/"
		ldd "$from" 2>/dev/null | grep -o '/[^ ]*' | while read -r lib; do
			mkdir -p "$root/usr$(dirname "${lib#/usr}")"
			cp -nL "$lib" "$root/usr${lib#/usr}" || :
		done
	done
}
db=$root/usr/lib/bedplate/dpkg
mkdir -p "$root/usr/bin" "$root/usr/lib" "$root/usr/lib64" "$root/usr/sbin" "$root/etc/systemd/system" \
	"$root/proc" "$root/sys" "$root/dev" "$root/run" "$root/tmp" "$root/var/lib" "$root/var/tmp" \
	"$root/var/log" "$root/var/cache" "$db/info" "$db/updates"
for dir in bin lib lib64 sbin; do
	ln -s usr/$dir "$root/$dir"
done
add sh dpkg dpkg-deb dpkg-split tar rm diff ldconfig start-stop-daemon cat ln mkdir mv touch chmod sleep
ln -s ../../usr/lib/bedplate/dpkg "$root/var/lib/dpkg"
printf 'Package: base\nStatus: install ok installed\nMaintainer: x <x@x>\nArchitecture: all\nVersion: 1\nDescription: x\n\n' \
	>"$db/status"
echo /. >"$db/info/base.list"
touch "$db/available"
printf 'root:x:0:0::/root:/bin/sh\n' >"$root/etc/passwd"
echo original >"$root/etc/original"
mkdir "$root/etc/there"
echo hidden >"$root/etc/there/file"
echo keep >"$root/var/lib/keep"
ln -s /etc "$root/usr/lib/to-etc"
ln "$root/etc/original" "$root/usr/lib/second-name"
printf '{"name":"node","version":"1.2","arch":"%s","source_date":1700000000}\n' "$arch" \
	>"$root/usr/lib/bedplate/image.json"

# listing: of everything that lasts; --without-database: and that removing a package gives back.
listing() {
	(cd "$root" && find . -path ./run -prune -o -path ./proc -prune -o \
		${1:+-path ./usr/lib/bedplate/dpkg -prune -o} -printf '%p %y %m %U:%G %n %l ' \
		\( -type d -printf '%T@\n' -o -type l -printf '\n' -o -printf '%s %T@\n' \) | LC_ALL=C sort
	find . -type f ! -path './run/*' ${1:+! -path './usr/lib/bedplate/dpkg/*'} -exec sha256sum {} + |
		LC_ALL=C sort -k 2)
}
# unchanged WHAT: the node is as it was at the last "listing >before".
unchanged() {
	listing >after
	diff before after >&2 || fail "$1: the node has changed"
	[ -z "$(find "$root/tmp" "$root/var/tmp" -mindepth 1)" ] || fail "$1: temporary files"
}

# --- Plugins.
# deb PLUGIN PACKAGE VERSION PATH [LINE]: a package with one file; scripts of it lie in scripts/.
mkdir scripts
deb() {
	rm -rf pkg
	mkdir -p pkg/DEBIAN "$1/packages" "pkg/$(dirname "$4")"
	echo "$2 $3" >"pkg/$4"
	find scripts -type f -exec mv {} pkg/DEBIAN/ \;
	chmod -R 755 pkg/DEBIAN
	{
		printf 'Package: %s\nVersion: %s\nArchitecture: all\n' "$2" "$3"
		printf 'Maintainer: Nobody <nobody@example.com>\nDescription: test\n'
		[ -z "${5:-}" ] || echo "$5"
	} >pkg/DEBIAN/control
	dpkg-deb --root-owner-group -Zgzip -b pkg "$1/packages/$2.deb" >/dev/null
}
# plugin NAME WRITES [MORE]: its plugin.json; the recipe comes from stdin.
plugin() {
	mkdir -p "$1"
	cat >"$1/plugin.json" <<END
{"name": "$1", "version": "1.0", "vendor": "V", "description": "D",
"images": [{"name": "node", "from": "1.0", "before": "2.0"}], "writes": [$2]${3:-}}
END
	cat >"$1/recipe.ks"
	expect 0 "$bedplate" plugin pack "$1" -q
}
node() {
	verb=$1
	shift
	"$nodectl" plugin "$verb" --root="$root" "$@"
}

printf '#!/bin/sh\nset -e\necho agent:x:900:900::/:/bin/sh >>/etc/passwd\nmkdir -p /var/lib/one\necho 1 >/var/lib/one/state\n' \
	>scripts/postinst
deb one one 1.0 usr/share/one/file "Depends: base"
plugin one '"/usr/share/one/", "/lib/to-etc/one.conf", "/etc/passwd", "/etc/original", "/etc/there/",
	"/opt/deep/one/"' \
	', "state": ["/var/lib/one/"], "kernel_arguments": {"add": ["console=ttyS0"], "remove": []}' <<'END'
bootloader --append="console=ttyS0"
%packages
one
%end
%pre
echo pre >/etc/one.conf
%end
%post
echo post >>/usr/lib/to-etc/one.conf
rm /etc/original
rm -r /etc/there
mkdir -p /opt/deep/one /etc/there
echo new >/etc/there/new
echo deep >/opt/deep/one/file
echo rubbish >/tmp/rubbish
echo log >/var/log/one.log
%end
END
deb two two 2.0 usr/share/two/file "Depends: one"
plugin two '"/usr/share/two/"' <<'END'
%packages
two
%end
END

# --- Nobody who is trusted: nothing is taken without a word.
listing >before
expect 1 node add one-1.0.plugin
same "$work/err" "nodectl: nobody is trusted to sign plugins: put a certificate into /etc/bedplate/trust.d, or --trust, --sha256 or --allow-unsigned"
expect 1 node add -q one-1.0.plugin --sha256="$(printf '%064d' 0)"
grep -q "^nodectl: 'one-1.0.plugin': " "$work/err" || fail "$(cat "$work/err")"
expect 2 node add -q one-1.0.plugin --sha256=x
for who in vendor other; do
	openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=$who" -days 30 -keyout $who.key -out $who.pem 2>/dev/null
done
expect 0 "$bedplate" plugin pack one -q -o signed.plugin --sign-key=vendor.key --sign-cert=vendor.pem
expect 1 node add -q signed.plugin --trust=other.pem
expect 0 node add -q signed.plugin --trust=vendor.pem --dry-run
tail -n 1 "$work/out" >last
same last "Nothing was changed."
unchanged "a dry run"

# --- Added, and there.
expect 0 node add -q "file://$work/one-1.0.plugin" --sha256="$(sha256sum <one-1.0.plugin | cut -d' ' -f1)"
same "$work/out" "Plugin: one 1.0
Packages to install:
  one 1.0
Note:
  kernel arguments need a restart, and are not set by this: console=ttyS0
bedplate: plugin one 1.0 is there"
same "$root/etc/one.conf" "pre
post"
same "$root/usr/share/one/file" "one 1.0"
same "$root/etc/there/new" "new"
[ ! -e "$root/etc/there/file" ] || fail "a folder that was replaced has its old content"
[ ! -e "$root/etc/original" ] || fail "a file that was removed is there"
[ ! -e "$root/var/log/one.log" ] && [ ! -e "$root/tmp/rubbish" ] || fail "rubbish"
grep -q '^agent:' "$root/etc/passwd" || fail "no user"
grep -qx 'Package: one' "$db/status" || fail "not in the database"
expect 0 node list
same "$work/out" "one 1.0 node D"
[ "$(node list --json | jq -r '.plugins[0] | .origin + " " + .manifest.name')" = "node one" ] || fail "list"
expect 0 node info one
grep -qx 'Origin:       *node' "$work/out" || fail "$(cat "$work/out")"
expect 0 node verify
grep -qx 'ok  one 1.0: .* files' "$work/out" || fail "$(cat "$work/out")"
listing >before
expect 1 node add -q one-1.0.plugin --allow-unsigned
same "$work/err" "nodectl: plugin 'one' 1.0 is on this node already"
expect 1 node remove -q other
same "$work/err" "nodectl: there is no plugin 'other' on this node"
unchanged "a plugin that is there"

# A second one on top; what it needs cannot go.
expect 0 node add -q two-1.0.plugin --allow-unsigned --json
[ "$(jq -r '.result + " " + .plan.packages[0]' "$work/out")" = "added two 2.0" ] || fail "$(cat "$work/out")"
listing >before
expect 1 node remove -q one
grep -q "^nodectl: plugin 'one': dpkg: .*two depends on one" "$work/err" || fail "$(cat "$work/err")"
unchanged "a package that is needed"
expect 0 node remove -q two

# What is wrong with it.
echo changed >"$root/usr/share/one/file"
rm "$root/etc/one.conf"
echo 2 >"$root/var/lib/one/state"
expect 1 node verify one
same "$work/out" "bad one 1.0: '/etc/one.conf' is missing
bad one 1.0: '/usr/share/one/file' has changed"
[ "$(node verify --json | jq '.ok')" = false ] || fail "verify --json"

# --- Removed: what was there is back, and what others have done since stays.
printf 'admin:x:1000:1000::/:/bin/sh\n' >>"$root/etc/passwd"
expect 0 node remove -q one
same "$root/etc/passwd" "root:x:0:0::/root:/bin/sh
admin:x:1000:1000::/:/bin/sh"
same "$root/etc/original" "original"
same "$root/etc/there/file" "hidden"
for path in etc/there/new etc/one.conf usr/share/one opt var/lib/one usr/lib/bedplate/plugins; do
	[ ! -e "$root/$path" ] || fail "/$path is still there"
done
! grep -qx 'Package: one' "$db/status" || fail "still in the database"
expect 0 node list
[ ! -s "$work/out" ] || fail "$(cat "$work/out")"

