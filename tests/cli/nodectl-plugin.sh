#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# nodectl plugin on a small node in a folder, with dpkg and a shell in it: what is added and comes back, what
# is refused with which line, and that nothing has changed then.
#
# In memory and in a mount namespace: everything is synced all the time.
if [ "$(id -u)" -eq 0 ] && [ "${TMPDIR:-}" != /mnt ] && unshare -m mount -t tmpfs none /mnt 2>/dev/null; then
	# shellcheck disable=SC2016 # for the other shell
	exec unshare -m sh -c 'mount -t tmpfs none /mnt && TMPDIR=/mnt exec sh "$0" "$@"' "$0" "$@"
fi
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
bedplate=$1
nodectl=$2
self=$(realpath "$0")
for tool in dpkg-deb jq unshare ldd openssl; do
	requires which $tool
done
[ "$(id -u)" -eq 0 ] || { echo "skipped: needs root to run scripts in a tree"; exit 77; }
requires unshare -m sh -c 'mount -t tmpfs none /media && cd /media && mkdir l u w m &&
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
touch "$db/available" "$db/lock" "$db/lock-frontend" "$root/etc/.pwd.lock"
printf 'root:x:0:0::/root:/bin/sh\n' >"$root/etc/passwd"
echo original >"$root/etc/original"
mkdir "$root/etc/there"
echo hidden >"$root/etc/there/file"
echo keep >"$root/var/lib/keep"
ln -s /etc "$root/usr/lib/to-etc"
ln "$root/etc/original" "$root/usr/lib/second-name"
printf '{"name":"node","version":"1.2","arch":"%s","source_date":1700000000}\n' "$arch" \
	>"$root/usr/lib/bedplate/image.json"

# listing: of everything that lasts, but for the time of the folder in which notes are made.
listing() {
	(cd "$root" && find . -path ./run -prune -o -path ./proc -prune -o \
		-printf '%p %y %m %U:%G %n %l ' \
		\( -path ./usr/lib/bedplate -printf '\n' -o -type d -printf '%T@\n' -o -type l -printf '\n' -o \
		-printf '%s %T@\n' \) | LC_ALL=C sort
	find . -type f ! -path './run/*' -exec sha256sum {} + | LC_ALL=C sort -k 2)
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
for path in var/log/one.log tmp/rubbish; do
	[ ! -e "$root/$path" ] || fail "rubbish: /$path"
done
grep -q '^agent:' "$root/etc/passwd" || fail "no user"
grep -qx 'Package: one' "$db/status" || fail "not in the database"
cmp one-1.0.plugin "$root/usr/lib/bedplate/plugins/one.plugin" || fail "the plugin is not kept for an upgrade"
expect 0 node list
same "$work/out" "one 1.0 node D"
[ "$(node list --json | jq -r '.plugins[0] | .origin + " " + .manifest.name')" = "node one" ] || fail "list"
expect 0 "$nodectl" info --root="$root"
sed -n 2p "$work/out" >line
same line "Added:     plugin one 1.0"
[ "$("$nodectl" info --root="$root" --json | jq -c .added_plugins)" = '[{"name":"one","version":"1.0"}]' ] || fail "info"
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


# Types that changed, what was made again, and what others have in the plugin's folders.
mkdir "$root/etc/was-folder"
echo in >"$root/etc/was-folder/in"
echo flat >"$root/etc/was-file"
ln -s one "$root/etc/was-link"
plugin types '"/etc/was-folder", "/etc/was-folder/", "/etc/was-file", "/etc/was-file/", "/etc/was-link", "/etc/original",
	"/usr/share/types/", "/var/log/types/"' ', "state": ["/var/lib/types/"]' <<'END'
%post
rm -r /etc/was-folder /etc/was-file /etc/original
ln -sf two /etc/was-link
echo file >/etc/was-folder
mkdir -p /etc/was-file /usr/share/types /var/lib/types /var/log/types
echo in >/etc/was-file/in
echo own >/usr/share/types/own
%end
END
expect 0 node add -q types-1.0.plugin --allow-unsigned
echo again >"$root/etc/original"
mkdir "$root/usr/share/types/deep"
echo other >"$root/usr/share/types/deep/other"
echo made >"$root/usr/share/types/made"
echo state >"$root/var/lib/types/state"
echo log >"$root/var/log/types/log"
printf '/.\n/usr\n/usr/share/types/deep/other\n' >"$db/info/base.list"
expect 0 node remove -q types
grep -q "'/etc/original' was removed by the plugin and made again since, and stays" "$work/out" ||
	fail "$(cat "$work/out")"
same "$root/etc/was-folder/in" in
same "$root/etc/was-file" flat
[ "$(readlink "$root/etc/was-link")" = one ] || fail "a link leads elsewhere"
same "$root/etc/original" again
same "$root/usr/share/types/deep/other" other
for path in usr/share/types/own usr/share/types/made var/lib/types var/log/types; do
	[ ! -e "$root/$path" ] || fail "/$path is still there"
done
rm -r "$root/usr/share/types" "$root/etc/was-folder" "$root/etc/was-file" "$root/etc/was-link"
echo /. >"$db/info/base.list"
echo original >"$root/etc/original"

# In its folders another plugin and a package have theirs, and an administrator has a volume on one.
plugin house '"/usr/share/house/", "/var/log/house/", "/var/log/agent/"' ', "state": ["/var/lib/house/"]' <<'END'
%post
mkdir -p /usr/share/house /var/lib/house/own /var/log/house /var/log/agent
%end
END
plugin guest '"/usr/share/house/guest/", "/var/log/house/guest/"' ', "state": ["/var/lib/house/guest/"]' <<'END'
%post
mkdir -p /usr/share/house/guest /var/lib/house/guest /var/log/house/guest
%end
END
expect 0 node add -q house-1.0.plugin --allow-unsigned
expect 0 node add -q guest-1.0.plugin --allow-unsigned
mkdir "$root/var/log/house/apt"
printf '/.\n/var/log/house/apt\n' >"$db/info/base.list"
for path in usr/share/house var/lib/house var/lib/house/own var/log/house; do
	echo own >"$root/$path/own-file"
done
for path in usr/share/house/guest var/lib/house/guest var/log/house/guest var/log/house/apt; do
	echo other >"$root/$path/data"
done
volume=
if [ "${TMPDIR:-}" = /mnt ]; then
	mount -t tmpfs none "$root/var/log/agent"
	volume=var/log/agent
	echo other >"$root/$volume/data"
fi
expect 0 node remove -q house
for path in usr/share/house/guest var/lib/house/guest var/log/house/guest var/log/house/apt $volume; do
	same "$root/$path/data" other
done
[ -z "$(find "$root" -name own-file)" ] || fail "$(find "$root" -name own-file)"
[ -z "$volume" ] || umount "$root/$volume"
expect 0 node remove -q guest
for path in usr/share/house/guest var/lib/house/guest var/log/house/guest; do
	[ ! -e "$root/$path" ] || fail "/$path is still there"
done
rm -rf "$root/usr/share/house" "$root/var/lib/house" "$root/var/log/house" "$root/var/log/agent"
echo /. >"$db/info/base.list"

# --- What is refused: one line, and nothing has changed.
# refuse TEXT PLUGIN [OPTION...]: the beginning of what is said.
refuse() {
	text=$1
	shift
	expect 1 node add -q --allow-unsigned "$@"
	[ "$(wc -l <"$work/err")" = 1 ] || fail "not one line: $(cat "$work/err")"
	grep -qF -- "nodectl: $text" "$work/err" || fail "expected '$text': $(cat "$work/err")"
	unchanged "$text"
}
listing >before
head -c 3000 one-1.0.plugin >cut.plugin
refuse "'cut.plugin': it has" cut.plugin
cp one-1.0.plugin damaged.plugin
damage damaged.plugin $(($(stat -c %s one-1.0.plugin) - 1530))
refuse "'damaged.plugin': member 'recipe.ks' has a wrong checksum" damaged.plugin
refuse "'nothing.plugin': No such file or directory" nothing.plugin
refuse "plugin 'two': dpkg: " two-1.0.plugin

# Of a package: a path that leads out.
if command -v ar >/dev/null; then
	mkdir -p dots/packages parts
	: >parts/file
	tar -C parts -P --transform='s,^file$,../escaped,' -cf parts/data.tar file
	printf 'Package: dots\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x>\nDescription: x\n' >parts/control
	tar -C parts -cf parts/control.tar ./control
	echo 2.0 >parts/debian-binary
	(cd parts && ar -rcU ../dots/packages/dots.deb debian-binary control.tar data.tar)
	printf '%%packages\ndots\n%%end\n' | plugin dots '"/usr/share/dots/"'
	refuse "'dots-1.0.plugin': package 'dots': '../escaped' leads out of the tree" dots-1.0.plugin
fi
deb outside outside 1.0 usr/share/elsewhere
printf '%%packages\noutside\n%%end\n' | plugin outside '"/usr/share/outside/"'
refuse "plugin 'outside': package 'outside' writes '/usr/share/elsewhere', which the plugin does not declare" \
	outside-1.0.plugin
printf '#!/bin/sh\necho x >>/etc/original\n' >scripts/postinst
deb sly sly 1.0 usr/share/sly/file
printf '%%packages\nsly\n%%end\n' | plugin sly '"/usr/share/sly/"'
refuse "plugin 'sly' changes '/etc/original', which it does not declare" sly-1.0.plugin
deb present present 1.0 etc/original
printf '%%packages\npresent\n%%end\n' | plugin present '"/etc/original"'
refuse "plugin 'present': package 'present' brings '/etc/original', which the image has already" present-1.0.plugin
# The kernel is that of the node.
plugin kernel '"/usr/share/kernel/"' <<'END'
%post
while read -r key value; do
	[ "$key" != CapBnd: ] || [ $((0x$value & 1 << 16 | 0x$value & 1 << 25)) = 0 ] || exit 7
done </proc/self/status
read -r value </proc/sys/vm/swappiness
if { echo "$value" >/proc/sys/vm/swappiness; } 2>/dev/null; then exit 8; fi
while read -r name rest; do
	case $name in eth* | en*) exit 9 ;; esac
done </proc/net/dev
%end
END
expect 0 node add -q --allow-unsigned --dry-run kernel-1.0.plugin
printf '#!/bin/sh\nexit 1\n' >scripts/postinst
deb fails fails 1.0 usr/share/fails/file
printf '%%packages\nfails\n%%end\n' | plugin fails '"/usr/share/fails/"'
refuse "plugin 'fails': dpkg: " fails-1.0.plugin
plugin post '"/usr/share/post/"' <<'END'
%post
mkdir /usr/share/post
echo x >/usr/share/post/file
rm -r /etc/there
exit 3
%end
END
refuse "plugin 'post': " post-1.0.plugin
plugin wrong '"/usr/share/wrong/"' </dev/null
for change in 's/"node"/"other"/' 's/"1.0", "before"/"1.3", "before"/'; do
	sed -i.good "$change" wrong/plugin.json
	rm -f wrong/*.good wrong-1.0.plugin
	expect 0 "$bedplate" plugin pack wrong -q
	refuse "plugin 'wrong' 1.0: it is " wrong-1.0.plugin
done

# Another plugin is there: the same file, and one that excludes it.
expect 0 node add -q one-1.0.plugin --allow-unsigned
listing >before
deb same same 1.0 usr/share/one/file
printf '%%packages\nsame\n%%end\n' | plugin same '"/usr/share/one/"'
refuse "plugins 'one' and 'same' both write '/usr/share/one/file'" same-1.0.plugin
plugin again '"/etc/one.conf"' <<'END'
%post
echo more >>/etc/one.conf
%end
END
refuse "plugins 'one' and 'again' both write '/etc/one.conf'" again-1.0.plugin
plugin enemy '"/usr/share/enemy/"' ', "conflicts": ["one"]' </dev/null
refuse "plugins 'enemy' and 'one' exclude each other" enemy-1.0.plugin
expect 0 node remove -q one
listing >before

# Somebody else is at work.
mkdir -p "$root/run/bedplate"
flock "$root/run/bedplate/lock" "$nodectl" plugin add -q --root="$root" --allow-unsigned one-1.0.plugin 2>"$work/err" &&
	fail "a second operation at the same time"
grep -q "another operation is in progress" "$work/err" || fail "$(cat "$work/err")"
unchanged "locked"

# Who watches for a change that was cut off never takes the lock from those at work: here of this machine, with
# this root as its own.
cat >watch.sh <<'END'
set -eu
mount -t proc none proc
echo bedplate.layer=node-1.2+1 >run/cmdline
mount --bind run/cmdline proc/cmdline
watch() {
	chroot . /usr/bin/nodectl plugin recover
}
exec 9>run/bedplate/lock
flock 9
watch
mkdir -p usr/lib/bedplate/plugins/.undo
touch usr/lib/bedplate/plugins/.undo/list.json
watch &
sleep 1
kill -0 $!
rm -r usr/lib/bedplate/plugins
wait $!
flock -u 9
# Nobody is at work: it takes care of it itself.
mkdir -p usr/lib/bedplate/plugins/.undo
touch usr/lib/bedplate/plugins/.undo/list.json
watch 2>run/said
grep -q "cannot be taken back" run/said
rm -r usr/lib/bedplate/plugins
END
add "$nodectl"
rm -rf "$root/usr/lib/bedplate/plugins"
(cd "$root" && timeout 60 unshare -m sh "$work/watch.sh") >"$work/out" 2>&1 || fail "watching: $(tail "$work/out")"
rm -r "$root/run/cmdline" "$root/run/said" "$root/usr/bin/nodectl"
listing >before

# A layer that waits for its trial would not have it, and has the same /var.
mkdir -p "$root/boot/grub"
{
	printf '# GRUB Environment Block\ndefault=node-1.2+1\ntrial=node-1.3+1\ntries=1\n'
	printf '%01024d' 0 | tr 0 '#'
} | head -c 1024 >"$root/boot/grub/grubenv"
echo 'bedplate.layer=node-1.2+1' >"$root/proc/cmdline"
listing >before
refuse "layer 'node-1.3+1' is waiting for its trial and would not have this: restart into it, or 'nodectl rollback' to call it off" \
	one-1.0.plugin
expect 1 node remove -q one
grep -q "is waiting for its trial" "$work/err" || fail "$(cat "$work/err")"
unchanged "a trial"
rm -r "${root:?}/boot" "$root/proc/cmdline"
listing >before

# --- Killed, at one moment or another: as before, or all of it.
plugin slow '"/usr/share/slow/", "/etc/original", "/etc/there/"' <<'END'
%post
mkdir /usr/share/slow
i=0
while [ $i -lt 60 ]; do
	i=$((i + 1))
	echo $i >/usr/share/slow/$i
done
rm -r /etc/there
echo slow >/etc/original
%end
END
# With /proc: what is traced lives in there.
if command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null; then
	for at in 5 20 60 130 150; do
		strace -qq -o /dev/null -e trace=renameat -e inject=renameat:signal=SIGKILL:when=$at \
			"$nodectl" plugin add -q --root="$root" --allow-unsigned slow-1.0.plugin >/dev/null 2>&1 || :
		expect 0 node list
		if grep -q '^slow ' "$work/out"; then
			expect 0 node verify -q slow
			expect 0 node remove -q slow
			listing >before
		else
			unchanged "killed at $at"
		fi
	done
fi
"$nodectl" plugin add -q --root="$root" --allow-unsigned slow-1.0.plugin &
kill -9 $!
wait $! 2>/dev/null || :
expect 0 node list
expect 0 node add -q slow-1.0.plugin --allow-unsigned
expect 0 node verify
expect 0 node remove -q slow

# --- As on a real node: root is an overlay, its layer and /var are volumes, and the layer is small.
cat >mounted.sh <<'END'
set -eu
cd "$1"
mkdir layer mounted var
mount -t tmpfs -o size=4M none layer
mkdir layer/upper layer/work
cp -a root/var/. var/
mount -t overlay none -o lowerdir=root,upperdir=layer/upper,workdir=layer/work mounted
mkdir -p mounted/run/bedplate/layer
mount --bind layer mounted/run/bedplate/layer
mount --bind var mounted/var
mount -t tmpfs none var/log
mkdir -p mounted/etc
shift
"$@"
END
state() {
	(cd mounted && find . -path ./run -prune -o -path ./var/log -prune -o -type f -print0 | LC_ALL=C sort -z |
		xargs -0 sha256sum && find . -path ./run -prune -o -printf '%p %y %m %l\n' | LC_ALL=C sort)
}
on_volumes() {
	nodectl="$nodectl plugin"
	state >before
	$nodectl add -q --root=mounted --allow-unsigned one-1.0.plugin >/dev/null
	[ "$(cat mounted/etc/one.conf)" = "pre
post" ]
	[ "$(cat mounted/var/lib/one/state)" = 1 ]
	[ -e layer/upper/usr/share/one/file ]
	[ ! -e layer/.plugin-stage ]
	[ ! -e mounted/etc/original ]
	$nodectl verify -q --root=mounted
	$nodectl remove -q --root=mounted one
	[ ! -e mounted/var/lib/one ]
	state >after
	# dpkg writes its database anew.
	sed -i '/usr.lib.bedplate.dpkg/d' before after
	diff before after
	# Full: no room in the copy already, where the script says something, or for the change.
	state >before
	for size in 400 1200 2000 3000 3600; do
		head -c "$((size * 1024))" /dev/zero >layer/ballast || :
		if $nodectl add -q --root=mounted --allow-unsigned large-1.0.plugin 2>err; then
			$nodectl remove -q --root=mounted large
			continue
		fi
		[ "$(wc -l <err)" = 1 ]
		touch full
		state >after
		diff before after
	done
	[ -e full ]
}
plugin large '"/usr/share/large/"' <<'END'
%post
mkdir /usr/share/large
i=0
while [ $i -lt 12 ]; do
	i=$((i + 1))
	cat /usr/bin/touch >/usr/share/large/$i
done || exit 1
%end
END
{
	sed -n '/^state() {/,/^}/p;/^on_volumes() {/,/^}/p' "$self"
	printf 'set -eux\nexport LC_ALL=C.UTF-8\nnodectl=%s\non_volumes\n' "$nodectl"
} >on-volumes.sh
unshare -m sh mounted.sh "$work" sh on-volumes.sh >"$work/out" 2>&1 || {
	cat err >&2 || :
	fail "on volumes: $(tail -n 20 "$work/out")"
}
