#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Plugins with real packages in a real image, and in an ISO of it: what changes, and the way back.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_root
cd "$work"
mkdir tmp
export TMPDIR="$work/tmp"
repo="http://deb.debian.org/debian --suite=trixie"

build
image=$(cat "$work/out")

# plugin NAME WRITES [MORE]: of the package NAME; the recipe comes from stdin.
plugin() {
	"$bedplate" plugin new "$1" -q
	"$bedplate" plugin resolve -q --image "$image" --cache="$cache" --download "$1" --repo "$repo" "$1" >"$1.needs"
	cat >"$1/plugin.json" <<END
{"name": "$1", "version": "1.0", "vendor": "V", "description": "D",
"images": [{"name": "minimal-test", "from": "1"}], "writes": [$2]${3:-}}
END
	cat >"$1/recipe.ks"
	expect 0 "$bedplate" plugin pack "$1" -q
}
plugin tree '"/usr/bin/tree", "/usr/share/doc/tree/", "/usr/share/man/"' <<'END'
%packages
tree
%end
END
plugin strace '"/usr/", "/etc/strace.conf"' \
	', "kernel_arguments": {"add": ["console=ttyS0"]}' <<'END'
bootloader --append="console=ttyS0"
%packages
strace
%end
%post
strace -V >/dev/null
systemctl --version >/dev/null
echo made-by-strace >/etc/strace.conf
%end
END

expect 0 "$bedplate" plugin apply -q "$image" tree-1.0.plugin -o one
one=$(cat "$work/out")
is "$(basename "$one")" minimal-test-1+tree.squashfs.img "image"
expect 0 "$bedplate" image verify -q --unsigned "$one"
expect 0 "$bedplate" plugin verify -q "$one"
expect 0 "$bedplate" plugin apply -q "$image" tree-1.0.plugin -o again
diff -r one again || fail "not reproducible"

# Nothing moved, and only what belongs to the package changed.
"$bedplate" image diff -q --json "$image" "$one" >diff.json
is "$(json diff.json '.blocks | .unchanged_file_blocks - .kept_file_blocks')" 0 "moved blocks"
json diff.json '.packages[] | .name' | sort >packages
same packages "minimal-test-image-update
tree"
json diff.json '.files[].path' | grep -v -e '^usr/lib/bedplate/' -e '^usr/share/doc/tree' >paths || :
same paths usr/bin/tree

# The way back, by cmp.
expect 0 "$bedplate" plugin remove -q "$one" tree -o back
for file in back/*; do
	cmp "$file" "$(dirname "$image")/$(basename "$file")" || fail "not the original"
done
is "$(find back -name 'minimal-test-1.*' | wc -l)" 4 "number of files"

# Two, of which one goes.
expect 0 "$bedplate" plugin apply -q "$image" tree-1.0.plugin strace-1.0.plugin -o two
two=$(cat "$work/out")
expect 0 "$bedplate" plugin verify -q "$two"
expect 0 "$bedplate" plugin remove -q "$two" strace --plugin=tree-1.0.plugin -o less
diff -r one less || fail "not as if it had been alone"
expect 0 "$bedplate" image extract -q "$two" /usr/lib/bedplate/boot.conf -o -
grep -q '^append=.*console=ttyS0' "$work/out" || fail "boot.conf: $(cat "$work/out")"

# An ISO gives an ISO, with the kickstart of the first.
echo 'text' >ks.cfg
expect 0 "$bedplate" media iso -q "$image" -o first.iso --kickstart=ks.cfg --append="quiet net.ifnames=0"
expect 0 "$bedplate" plugin apply -q first.iso tree-1.0.plugin -o tree.iso
expect 0 "$bedplate" media verify -q tree.iso
expect 0 "$bedplate" plugin list -q tree.iso
same "$work/out" "tree 1.0 D"
expect 0 "$bedplate" plugin verify -q tree.iso
expect 0 "$bedplate" plugin remove -q tree.iso tree -o back.iso
cmp first.iso back.iso || fail "not the first ISO"
[ -z "$(ls -A tmp)" ] || fail "temporary files: $(ls -A tmp)"
