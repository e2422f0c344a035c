#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# plugin-resolve.sh BEDPLATE: what an image lacks, from a small archive made here.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
bedplate=$1
requires which mke2fs
requires which apt-get
requires which dpkg-deb
requires which dpkg-scanpackages
cd "$work"
arch=$(dpkg --print-architecture)

# deb NAME VERSION [FIELD...]
deb() {
	rm -rf tree
	mkdir -p tree/DEBIAN "tree/usr/share/$1" archive
	name=$1 version=$2
	shift 2
	{
		printf 'Package: %s\nVersion: %s\nArchitecture: all\n' "$name" "$version"
		printf 'Maintainer: Nobody <nobody@example.org>\nDescription: for a test\n'
		for field; do
			printf '%s\n' "$field"
		done
	} >tree/DEBIAN/control
	dpkg-deb --root-owner-group -b tree "archive/$name.deb" >/dev/null
}
index() {
	(cd archive && dpkg-scanpackages . >Packages 2>/dev/null)
}

deb libbase 2.0
deb tool 1:1.0-1 "Depends: libbase (>= 1), libtool-own, gone"
deb libtool-own 0.1
deb gone 1
deb newer 1 "Depends: libbase (>= 2)"
deb enemy 1 "Conflicts: libbase"
deb broken 1 "Depends: nowhere"
index
mkdir -p root/usr/lib/bedplate/dpkg root/var/lib
ln -s ../../usr/lib/bedplate/dpkg root/var/lib/dpkg
cat >root/usr/lib/bedplate/dpkg/status <<EOF
Package: libbase
Status: install ok installed
Version: 1.0
Architecture: $arch
Description: in the image

Package: gone
Status: deinstall ok config-files
Version: 1
Architecture: all
EOF
mke2fs -q -t ext4 -d root image.img 4M >mke2fs.log

# resolve STATUS ARGUMENT...
resolve() {
	want=$1
	shift
	expect "$want" "$bedplate" plugin resolve --image=image.img --cache="$work/cache" \
		--repo="file:archive --unsigned" "$@"
}

resolve 0 tool
same out "gone 1 all
libtool-own 0.1 all
tool 1:1.0-1 all"
resolve 0 -v libbase
[ ! -s out ] || fail "$(cat out)"
grep -q "'libbase' is in the image" err || fail "$(cat err)"
resolve 0 --json libtool-own libbase
sum=$(sha256sum archive/libtool-own.deb)
grep -q "\"sha256\": \"${sum%% *}\"" out || fail "$(cat out)"
[ "$(jq -c '[.present, [.packages[].name]]' out)" = '[["libbase"],["libtool-own"]]' ] ||
	fail "$(cat out)"

# What does not fit is explained.
resolve 1 nothing
same err "bedplate: no package 'nothing': neither in the image nor in the repositories"
resolve 1 broken
same err "bedplate: the packages do not fit the image: nothing provides nowhere needed by broken-1.all"
resolve 1 enemy
same err "bedplate: the packages do not fit the image: package enemy-1.all conflicts with libbase provided by libbase-1.0.$arch"
resolve 1 newer
grep -q 'package newer-1.all requires libbase >= 2' err || fail "$(cat err)"

# Who has the cache is waited for: apt would end at its own lock.
flock "$work/cache/lock" sleep 2 &
until ! flock -n "$work/cache/lock" true; do
	sleep 0.1
done
resolve 0 tool
grep -qx "bedplate: warning: another build uses the cache '$work/cache', waiting for it" err || fail "did not wait: $(cat err)"

# What is fetched becomes a plugin.
expect 0 "$bedplate" plugin new demo
resolve 0 --download=demo tool
printf '%s\n' demo/packages/* >list
same list "demo/packages/gone_1_all.deb
demo/packages/libtool-own_0.1_all.deb
demo/packages/tool_1.0-1_all.deb"
cmp demo/packages/tool_1.0-1_all.deb archive/tool.deb
printf '%%packages\ntool\n%%end\n' >demo/recipe.ks
expect 0 "$bedplate" plugin pack -q demo
find demo/packages -name '.*' | grep . && fail "something was left behind"

# A package that is not what the index says.
rm -rf demo/packages/*
printf X >>archive/tool.deb
resolve 1 --download=demo tool
printf '%s\n' demo/packages/* >list
same list 'demo/packages/*'
find demo/packages -name '.*' | grep . && fail "something was left behind"

# Wrong use, and what is not signed.
expect 2 "$bedplate" plugin resolve tool
resolve 1 -- '../x'
same err "bedplate: '../x' is not the name of a package"
expect 1 "$bedplate" plugin resolve --image=image.img --cache="$work/cache" \
	--repo="file:archive" tool
[ -s err ] || fail "an unsigned repository was taken"
expect 1 "$bedplate" plugin resolve --image=image.img --cache="$work/cache" \
	--repo="file:archive --unsinged" tool
grep -q '^bedplate: --repo: ' err || fail "$(cat err)"
mke2fs -q -t ext4 empty.img 4M >mke2fs.log
expect 1 "$bedplate" plugin resolve --image=empty.img --cache="$work/cache" \
	--repo="file:archive --unsigned" tool
same err "bedplate: 'empty.img' has no package database of dpkg"
