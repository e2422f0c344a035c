#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The same packages make the same bytes: in another folder, at another time, without the cache.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_root

build
mkdir -p "$work/other/cache"
# Downloaded packages are shared; every stage runs again, the initramfs too.
cp -a "$cache/packages" "$work/other/cache/packages"
rm -rf "$work/other/cache/packages/initramfs"
# The recipe stands elsewhere, too.
mkdir -p "$work/other/tests/vm" "$work/other/build"
cp -R "$source_dir/recipes" "$work/other/recipes"
cp "$source_dir/tests/vm/minimal-test.ks" "$work/other/tests/vm"
ln -s "$source_dir/build/deb" "$work/other/build/deb"
umask 027
TZ=Asia/Tokyo "$bedplate" image build "$work/other/tests/vm/minimal-test.ks" \
	--cache="$work/other/cache" -o "$work/other/folder" --json >"$work/result" 2>"$work/err" ||
	fail "second build: $(tail -3 "$work/err")"
is "$(json "$work/result" '[.stages[].cached] | any')" false "a stage was cached"

for file in "$work/image"/*; do
	cmp "$file" "$work/other/folder/$(basename "$file")" || {
		diff "$work/image"/*.files "$work/other/folder"/*.files | head -20
		fail "$(basename "$file") differs"
	}
done
