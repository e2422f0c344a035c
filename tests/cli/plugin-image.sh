#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# plugin apply, list, verify and remove on a small image with a shell and dpkg in it: what comes out, what
# is refused with which line, and that nothing is left behind then.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
bedplate=$1
for tool in dpkg-deb mksquashfs mke2fs openssl jq unshare ldd; do
	requires which $tool
done
[ "$(id -u)" -eq 0 ] || { echo "skipped: needs root to run scripts in a tree"; exit 77; }
cd "$work"
mkdir tmp
export TMPDIR="$work/tmp"
arch=$(dpkg --print-architecture)

# --- An image: programs of this machine with their libraries.
# add PROGRAM...: into tree.
add() {
	for program; do
		from=$(PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v "$program") || exit 99
		cp -L "$from" tree/usr/bin/
		ldd "$from" 2>/dev/null | grep -o '/[^ ]*' | while read -r lib; do
			mkdir -p "tree/usr$(dirname "${lib#/usr}")"
			cp -nL "$lib" "tree/usr${lib#/usr}" || :
		done
	done
}
mkdir -p tree/usr/bin tree/usr/lib tree/usr/lib64 tree/usr/sbin tree/etc tree/root tree/proc tree/sys \
	tree/dev tree/run tree/tmp tree/var/lib tree/var/tmp tree/usr/lib/bedplate/dpkg/info \
	tree/usr/lib/bedplate/dpkg/updates
for dir in bin lib lib64 sbin; do
	ln -s usr/$dir tree/$dir
done
add sh dpkg dpkg-deb dpkg-split tar rm diff ldconfig start-stop-daemon cat ln mkdir mv mknod touch chmod
ln -s ../../usr/lib/bedplate/dpkg tree/var/lib/dpkg
printf 'Package: base\nStatus: install ok installed\nMaintainer: x <x@x>\nVersion: 1\nArchitecture: all\nDescription: x\n\n' \
	>tree/usr/lib/bedplate/dpkg/status
echo /. >tree/usr/lib/bedplate/dpkg/info/base.list
touch tree/usr/lib/bedplate/dpkg/available
echo original >tree/etc/original
echo 'root:x:0:0::/root:/bin/sh' >tree/etc/passwd
: >tree/etc/resolv.conf
: >tree/etc/machine-id
chmod 444 tree/etc/machine-id
ln -s /etc tree/usr/lib/to-etc
printf 'append=quiet splash\n' >tree/usr/lib/bedplate/boot.conf
seq 1 200000 >tree/usr/lib/ballast
head -c 3000000 /dev/urandom >tree/usr/lib/noise
mkdir -p tree/usr/share/factory
cp -al tree/var tree/usr/share/factory/var
find tree -exec touch -h -d @1600000000 {} +

mkdir -p image wrap/LiveOS
truncate -s 64M wrap/LiveOS/rootfs.img
mke2fs -q -t ext4 -b 4096 -O ^has_journal -d tree wrap/LiveOS/rootfs.img
image=image/node-1.2.squashfs.img
mksquashfs wrap $image -quiet -no-progress -comp zstd >/dev/null
cat >image/node-1.2.manifest.json <<END
{"manifest_version":1,"name":"node","version":"1.2","arch":"$arch","source_date":1700000000,
"rootfs_type":"squashfs-ext4","kernels":[],"packages":[],"previous":null,"tool":"hand","recipe":null,
"liveimg":{"file":"node-1.2.squashfs.img","size":$(stat -c %s $image),
"sha256":"$(sha256sum <$image | cut -d' ' -f1)"},
"rootfs":null,"files":null,"sbom":null,"verity":null}
END

# --- Plugins.
# deb PLUGIN PACKAGE VERSION PATH [LINE]: a package with one file.
deb() {
	rm -rf pkg
	mkdir -p pkg/DEBIAN "$1/packages" "pkg/$(dirname "$4")"
	echo "$2 $3" >"pkg/$4"
	{
		printf 'Package: %s\nVersion: %s\nArchitecture: all\n' "$2" "$3"
		printf 'Maintainer: Nobody <nobody@example.com>\nDescription: test\n'
		[ -z "${5:-}" ] || echo "$5"
	} >pkg/DEBIAN/control
	dpkg-deb --root-owner-group -b pkg "$1/packages/$2.deb" >/dev/null
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

deb one one 1.0 usr/share/one/file "Depends: base"
plugin one '"/usr/share/one/", "/lib/to-etc/one.conf"' \
	', "kernel_arguments": {"add": ["console=ttyS0"], "remove": ["quiet"]}' <<'END'
bootloader --append="!quiet console=ttyS0"
%packages
one
%end
%pre
echo pre >/etc/one.conf
%end
%post
echo post >>/usr/lib/to-etc/one.conf
echo rubbish >/tmp/rubbish
%end
END
deb two two 2.0 usr/share/two/file "Depends: one, dep"
deb two dep 3 usr/share/two/dep
plugin two '"/usr/share/two/"' <<'END'
%packages
two
%end
END

# --- One plugin.
expect 0 "$bedplate" plugin apply $image one-1.0.plugin -o applied -q
new=applied/node-1.2+one.squashfs.img
ls -A applied >list
same list 'node-1.2+one.files
node-1.2+one.manifest.json
node-1.2+one.spdx.json
node-1.2+one.squashfs.img
node-1.2+one.undo'
[ -z "$(ls -A tmp)" ] || fail "temporary files: $(ls -A tmp)"
manifest=applied/node-1.2+one.manifest.json
[ "$(jq -r '.made_from[] | .name + " " + .version' $manifest)" = "node 1.2" ] || fail "made_from"
[ "$(jq -r '.made_from[0].sha256' $manifest)" = "$(sha256sum <$image | cut -d' ' -f1)" ] || fail "sha256"
[ "$(jq -r '.plugins[] | .name + " " + .version' $manifest)" = "one 1.0" ] || fail "plugins"
[ "$(jq -r .edited $manifest)" = false ] || fail "edited"
expect 0 "$bedplate" image extract -q $new -o got
same got/etc/one.conf "pre
post"
same got/usr/share/one/file "one 1.0"
same got/usr/lib/bedplate/boot.conf "append=splash console=ttyS0"
[ ! -e got/tmp/rubbish ] || fail "a script's rubbish stays"
[ "$(stat -c %Y got/usr/lib/ballast)" = 1600000000 ] || fail "a file that nobody touched has a new time"
grep -q '"plugins"' got/usr/lib/bedplate/image.json || fail "image.json: $(cat got/usr/lib/bedplate/image.json)"
expect 0 "$bedplate" image verify -q --unsigned $new
expect 0 "$bedplate" plugin verify -q $new
grep -qx 'ok  one 1.0: .* files' "$work/out" || fail "verify: $(cat "$work/out")"
expect 0 "$bedplate" plugin list -q $new
same "$work/out" "one 1.0 D"
expect 0 "$bedplate" plugin list -q $image
[ ! -s "$work/out" ] || fail "a plugin in the image without one"

# The same again gives the same.
expect 0 "$bedplate" plugin apply $image one-1.0.plugin -o again -q
diff -r applied again || fail "not reproducible"

# --- And back.
expect 0 "$bedplate" plugin remove -q $new one -o back
diff -r image back || fail "not the original"
expect 1 "$bedplate" plugin remove -q $new other -o nothing
same "$work/err" "bedplate: no plugin 'other' in '$new'"
[ ! -e nothing ] || fail "a folder was made"

# --- Several at once; one of them can go when the others are there.
expect 0 "$bedplate" plugin apply $image one-1.0.plugin two-1.0.plugin -o both -q
both=both/node-1.2+one.two.squashfs.img
[ "$(jq -r '[.plugins[].name] | join(" ")' both/node-1.2+one.two.manifest.json)" = "one two" ] || fail "plugins"
expect 0 "$bedplate" plugin verify -q $both
expect 1 "$bedplate" plugin remove -q $both two -o less
same "$work/err" "bedplate: plugin 'one' 1.0 came with 'two' or after it and has to be applied again: give its file with --plugin"
[ ! -e less ] || fail "a folder was made"
expect 0 "$bedplate" plugin remove -q $both two -o less --plugin=one-1.0.plugin
diff -r applied less || fail "not as if it had been alone"

# --- One after the other: the way back goes step by step.
expect 0 "$bedplate" plugin apply $new two-1.0.plugin -o after -q
expect 0 "$bedplate" plugin verify -q after/node-1.2+one.two.squashfs.img
expect 0 "$bedplate" image diff -q $new after/node-1.2+one.two.squashfs.img --json
[ "$(jq '.blocks | .unchanged_file_blocks == .kept_file_blocks' "$work/out")" = true ] || fail "blocks moved"
[ "$(jq -r '[.made_from[].version] | join(" ")' after/*.manifest.json)" = "1.2 1.2+one" ] || fail "chain"
expect 0 "$bedplate" plugin remove -q after/node-1.2+one.two.squashfs.img two -o step
diff -r applied step || fail "not the image before"
expect 1 "$bedplate" plugin apply $new one-1.0.plugin -o bad -q
same "$work/err" "bedplate: plugin 'one' 1.0 is in the image already"

# --- Signed: both are checked, and the original comes back with its signature.
for who in vendor other; do
	openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=$who" -days 30 -keyout $who.key -out $who.pem 2>/dev/null
done
cp -r image signed
openssl cms -sign -binary -outform DER -in signed/node-1.2.manifest.json -signer vendor.pem -inkey vendor.key \
	-out signed/node-1.2.manifest.json.sig
expect 0 "$bedplate" plugin pack one -q -o one-signed.plugin --sign-key=vendor.key --sign-cert=vendor.pem
expect 1 "$bedplate" plugin apply $image one-signed.plugin -o bad -q --trust=vendor.pem
grep -q "is not signed" "$work/err" || fail "$(cat "$work/err")"
expect 1 "$bedplate" plugin apply signed one-1.0.plugin -o bad -q --trust=vendor.pem
same "$work/err" "bedplate: 'one-1.0.plugin': it is not signed"
expect 1 "$bedplate" plugin apply signed one-signed.plugin -o bad -q --trust=other.pem
expect 0 "$bedplate" plugin apply signed one-signed.plugin -o trusted -q --trust=vendor.pem \
	--sign-key=vendor.key --sign-cert=vendor.pem
expect 0 "$bedplate" image verify -q --trust=vendor.pem trusted
expect 0 "$bedplate" plugin remove -q trusted one -o back-signed --trust=vendor.pem
diff -r signed back-signed || fail "not the signed original"

# --- What is refused: one line, and nothing is left.
# refuse TEXT PLUGIN...: the beginning of what is said.
refuse() {
	text=$1
	shift
	expect 1 "$bedplate" plugin apply $image "$@" -o bad -q
	[ "$(wc -l <"$work/err")" = 1 ] || fail "not one line: $(cat "$work/err")"
	grep -qF -- "bedplate: $text" "$work/err" || fail "expected '$text': $(cat "$work/err")"
	[ ! -e bad ] || fail "something was written: $(ls -A bad)"
	[ -z "$(ls -A tmp)" ] || fail "temporary files: $(ls -A tmp)"
}
head -c 3000 one-1.0.plugin >cut.plugin
refuse "'cut.plugin': it has" cut.plugin
cp one-1.0.plugin damaged.plugin
damage damaged.plugin $(($(stat -c %s one-1.0.plugin) - 1530))
refuse "'damaged.plugin': member 'recipe.ks' has a wrong checksum" damaged.plugin

# What a package holds.
# hostile NAME TAR-OPTION...: a package with this content; what pack makes of it is not said.
hostile() {
	name=$1
	shift
	rm -rf "$name" parts
	mkdir -p "$name/packages" parts
	tar -C content "$@" -cf parts/data.tar
	printf 'Package: %s\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x>\nDescription: x\n' "$name" >parts/control
	tar -C parts -cf parts/control.tar ./control
	echo 2.0 >parts/debian-binary
	(cd parts && ar -rcU "../$name/packages/$name.deb" debian-binary control.tar data.tar)
	printf '%%packages\n%s\n%%end\n' "$name" | plugin "$name" "\"/usr/share/$name/\""
}
if command -v ar >/dev/null; then
	mkdir -p content/usr/share
	: >content/file
	hostile dots -P --transform='s,^file$,../escaped,' file
	refuse "'dots-1.0.plugin': package 'dots': '../escaped' leads out of the tree" dots-1.0.plugin
	hostile absolute -P --transform='s,^file$,/etc/absolute,' file
	refuse "'absolute-1.0.plugin': package 'absolute': '/etc/absolute' leads out of the tree" absolute-1.0.plugin
	mkdir -p content/usr/share/links
	ln -s /etc content/usr/share/links/way
	: >content/below
	hostile links --transform='s,^below$,./usr/share/links/way/passwd,S' ./usr/share/links below
	refuse "'links-1.0.plugin': package 'links': 'usr/share/links/way/passwd' lies below a link" links-1.0.plugin
	mkdir -p content/usr/share/hard content/etc
	: >content/etc/target
	ln content/etc/target content/usr/share/hard/name
	hostile hard ./etc/target ./usr/share/hard
	refuse "plugin 'hard': package 'hard' writes '/etc/target', which the plugin does not declare" hard-1.0.plugin
	mkdir -p content/usr/share/nodes
	mknod content/usr/share/nodes/disk b 8 0
	hostile nodes ./usr/share/nodes
	refuse "'nodes-1.0.plugin': package 'nodes': './usr/share/nodes/disk' is a device" nodes-1.0.plugin
fi

# Outside of what is declared: a package, one it depends on, by way of a link of the image, a script.
deb outside outside 1 etc/outside
printf '%%packages\noutside\n%%end\n' | plugin outside '"/usr/share/outside/"'
refuse "plugin 'outside': package 'outside' writes '/etc/outside', which the plugin does not declare" \
	outside-1.0.plugin
deb brings brings 1 usr/share/brings/file "Depends: helper"
deb brings helper 1 usr/bin/helper
printf '%%packages\nbrings\n%%end\n' | plugin brings '"/usr/share/brings/"'
refuse "plugin 'brings': package 'helper' writes '/usr/bin/helper', which the plugin does not declare" \
	brings-1.0.plugin
deb sneaky sneaky 1 usr/lib/to-etc/sneaky
printf '%%packages\nsneaky\n%%end\n' | plugin sneaky '"/usr/lib/sneaky/"'
refuse "plugin 'sneaky': package 'sneaky' writes '/etc/sneaky', which" sneaky-1.0.plugin
# A name that begins like a declared folder is not in it.
deb similar similar 1 usr/share/similar-evil/file
printf '%%packages\nsimilar\n%%end\n' | plugin similar '"/usr/share/similar/"'
refuse "plugin 'similar': package 'similar' writes '/usr/share/similar-evil/file', which" similar-1.0.plugin
printf '%%post\necho x >>/etc/original\n%%end\n' | plugin script '"/usr/share/script/"'
refuse "plugin 'script' changes '/etc/original', which it does not declare" script-1.0.plugin
printf '%%post\nrm /etc/original\n%%end\n' | plugin removes '"/usr/share/removes/"'
refuse "plugin 'removes' removes '/etc/original', which it does not declare" removes-1.0.plugin
printf '%%post\nmkdir /opt\nln -s /etc /opt/x\necho x >/opt/x/new\n%%end\n' | plugin moved '"/opt/x/"'
refuse "plugin 'moved' writes '/etc/new', which it does not declare" moved-1.0.plugin
printf '%%post\nmv /etc/original /etc/o; echo changed8 >/etc/o; touch -d @1600000000 /etc/o; mv /etc/o /etc/original\n%%end\n' |
	plugin timed '"/usr/share/timed/"'
refuse "plugin 'timed' changes '/etc/original', which it does not declare" timed-1.0.plugin
printf '%%post\nmkdir /usr/share/node; mknod /usr/share/node/x c 1 3\n%%end\n' | plugin node '"/usr/share/node/"'
refuse "plugin 'node'" node-1.0.plugin

# Versions, names, other plugins.
printf '%%post\n:\n%%end\n' | plugin newer '"/x"'
sed -i 's/"before": "2.0"/"before": "1.1"/' newer/plugin.json
expect 0 "$bedplate" plugin pack newer -q
refuse "plugin 'newer' 1.0: it is for 'node' from 1.0 before 1.1, not for 1.2" newer-1.0.plugin
sed -i 's/"name": "node"/"name": "nodes"/' newer/plugin.json
expect 0 "$bedplate" plugin pack newer -q
refuse "plugin 'newer' 1.0: it is not for image 'node'" newer-1.0.plugin
deb same same 1 usr/share/one/file
printf '%%packages\nsame\n%%end\n' | plugin same '"/usr/share/one/"'
refuse "plugins 'one' and 'same' both bring '/usr/share/one/file'" one-1.0.plugin same-1.0.plugin
printf '%%post\necho 1 >/usr/share/shared\n%%end\n' | plugin first '"/usr/share/shared"'
printf '%%post\necho 2 >/usr/share/shared\n%%end\n' | plugin second '"/usr/share/shared"'
refuse "plugins 'first' and 'second' both write '/usr/share/shared'" first-1.0.plugin second-1.0.plugin
# Two users are no conflict; taking away what another one has changed is.
for name in ann bob; do
	printf '%%post\necho %s:x:1:1::/:/bin/sh >>/etc/passwd\n%%end\n' $name | plugin $name '"/etc/passwd"'
done
expect 0 "$bedplate" plugin apply -q $image ann-1.0.plugin bob-1.0.plugin -o users
expect 0 "$bedplate" plugin verify -q users/*.squashfs.img
expect 0 "$bedplate" image extract -q users/*.squashfs.img /etc/passwd -o passwd
same passwd 'root:x:0:0::/root:/bin/sh
ann:x:1:1::/:/bin/sh
bob:x:1:1::/:/bin/sh'
rm -r users
printf '%%post\nrm /etc/passwd\n%%end\n' | plugin rid '"/etc/passwd"'
refuse "plugins 'ann' and 'rid' both write '/etc/passwd'" ann-1.0.plugin rid-1.0.plugin
printf '%%post\n:\n%%end\n' | plugin enemy '"/x"' ', "conflicts": ["one"]'
refuse "plugins 'enemy' and 'one' exclude each other" one-1.0.plugin enemy-1.0.plugin
deb lacking lacking 1 usr/share/lacking/file "Depends: nowhere"
printf '%%packages\nlacking\n%%end\n' | plugin lacking '"/usr/share/lacking/"'
refuse "plugin 'lacking': the packages do not fit the image:" lacking-1.0.plugin
deb replace base 2 usr/share/replace/file
printf '%%packages\nbase\n%%end\n' | plugin replace '"/usr/share/replace/"'
refuse "plugin 'replace': it brings package 'base' 2, the image has 1: a plugin does not replace packages" \
	replace-1.0.plugin

# A script and a package that fail.
printf '%%post\necho no such luck >&2\nexit 3\n%%end\n' | plugin fails '"/x"'
refuse "plugin 'fails': recipe.ks:1: %post script failed: " fails-1.0.plugin
rm -rf pkg
mkdir -p pkg/DEBIAN broken/packages
printf 'Package: broken\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x>\nDescription: x\n' >pkg/DEBIAN/control
printf '#!/bin/sh\nexit 1\n' >pkg/DEBIAN/postinst
chmod 755 pkg/DEBIAN/postinst
dpkg-deb --root-owner-group -b pkg broken/packages/broken.deb >/dev/null
printf '%%packages\nbroken\n%%end\n' | plugin broken '"/x"'
refuse "plugin 'broken': dpkg: installed broken package post-installation script" broken-1.0.plugin

# The image: damaged, not there, without a manifest.
cp -r image bad-image
damage bad-image/node-1.2.squashfs.img 5000
expect 1 "$bedplate" plugin apply bad-image one-1.0.plugin -o bad -q
grep -q "damaged" "$work/err" || fail "$(cat "$work/err")"
cp $image bad-image/
rm bad-image/*.json
expect 1 "$bedplate" plugin apply bad-image one-1.0.plugin -o bad -q
grep -q "has no manifest beside it" "$work/err" || fail "$(cat "$work/err")"
expect 2 "$bedplate" plugin apply $image one-1.0.plugin

# A full disk: where the work is done, and where the image goes.
mkdir small
if unshare -m sh -c 'mount -t tmpfs -o size=8M none small' 2>/dev/null; then
	got=0
	unshare -m sh -c "mount -t tmpfs -o size=8M none small && TMPDIR=$work/small exec $bedplate \
		plugin apply $image one-1.0.plugin -o bad -q" 2>err || got=$?
	[ $got = 1 ] || fail "a full disk: status $got"
	[ "$(wc -l <err)" = 1 ] || fail "a full disk: $(cat err)"
	grep -q "No space left" err || fail "a full disk: $(cat err)"
	[ ! -e bad ] || fail "something was written"
	got=0
	unshare -m sh -c "mount -t tmpfs -o size=2M none small && $bedplate plugin apply $image \
		one-1.0.plugin -o small -q; s=\$?; ls -A small >left; exit \$s" 2>err || got=$?
	[ $got = 1 ] || fail "a full disk: status $got"
	grep -q "No space left" err || fail "a full disk: $(cat err)"
	[ ! -s left ] || fail "something is left: $(cat left)"
fi

# --- verify finds what is wrong.
cp -r applied wrong
dd if=/dev/zero of=wrong/node-1.2+one.undo bs=1 seek=100 count=4 conv=notrunc 2>/dev/null
expect 1 "$bedplate" plugin verify -q wrong
grep -q "'wrong/node-1.2+one.undo' is damaged, or not that of the image" "$work/err" || fail "$(cat "$work/err")"
expect 1 "$bedplate" plugin remove -q wrong one -o bad
[ ! -e bad ] || fail "something was written"
[ -z "$(ls -A tmp)" ] || fail "temporary files: $(ls -A tmp)"

# --- Changes of one's own.
printf 'copied\n' >copied
printf '#!/bin/sh\necho run >/etc/run\n' >my-script
expect 0 "$bedplate" image edit -q $image --packages=two/packages/dep.deb --copy=copied:/etc/ --run=my-script -o edited
expect 0 "$bedplate" image extract -q edited/node-1.2+edit.squashfs.img -o got-edited
same got-edited/etc/copied copied
same got-edited/etc/run run
same got-edited/usr/share/two/dep "dep 3"
[ "$(jq -r .edited edited/node-1.2+edit.manifest.json)" = true ] || fail "not marked as edited"
grep -q '"edited": true' got-edited/usr/lib/bedplate/image.json || fail "not marked as edited in the image"
expect 0 "$bedplate" plugin apply -q edited one-1.0.plugin -o edited-one
[ "$(jq -r .edited edited-one/node-1.2+edit.one.manifest.json)" = true ] || fail "no longer marked as edited"
expect 0 "$bedplate" plugin verify -q edited-one
expect 0 "$bedplate" plugin remove -q edited-one one -o edited-back
diff -r edited edited-back || fail "not the edited image"
expect 0 "$bedplate" image edit -q $new --run=my-script --version=1.3 -o edited-later
expect 1 "$bedplate" plugin remove -q edited-later one -o bad
same "$work/err" "bedplate: the image was edited since: what was edited would be lost"
echo 'echo shell >/etc/by-shell' | "$bedplate" image edit -q $image --shell -o by-shell >"$work/out" 2>"$work/err" ||
	fail "shell: $(cat "$work/err")"
expect 0 "$bedplate" image extract -q by-shell/node-1.2+edit.squashfs.img /etc/by-shell -o -
same "$work/out" shell
! echo false | "$bedplate" image edit -q $image --shell -o bad 2>"$work/err" || fail "a shell that failed"
printf 'exit 4\n' >my-script
expect 1 "$bedplate" image edit -q $image --run=my-script -o bad
[ "$(wc -l <"$work/err")" = 1 ] || fail "not one line: $(cat "$work/err")"
expect 1 "$bedplate" image edit -q $image --copy=missing:/etc/ -o bad
expect 1 "$bedplate" image edit -q $image --copy=copied:../etc/x -o bad
expect 2 "$bedplate" image edit -q $image -o bad
[ ! -e bad ] || fail "something was written"
[ -z "$(ls -A tmp)" ] || fail "temporary files: $(ls -A tmp)"
