#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# deb.sh FOLDER: the Debian packages are the same bytes each time, and need what images have.
set -eu

cd "$1"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The second time elsewhere in the file system, in the world, and with other permissions.
scripts/build-deb "$work/one" >/dev/null
mkdir "$work/other"
(
	umask 027
	TZ=Asia/Tokyo TMPDIR=$work/other scripts/build-deb "$work/other/two" >/dev/null
)
for file in "$work"/one/*; do
	cmp "$file" "$work/other/two/${file##*/}"
done

# Nothing changed: nothing is built.
touch -d 2001-01-01 "$work/one/Packages"
scripts/build-deb "$work/one" >"$work/out"
[ ! -s "$work/out" ]
[ "$(stat -c %Y "$work/one/Packages")" -eq 978307200 ] || {
	echo "an unchanged package was built again"
	exit 1
}

# nodectl is in every image, of Debian 13 also when it was built on Debian 12.
needs=$(dpkg-deb -f "$work"/one/nodectl_*.deb Depends | sed 's/ *([^)]*)//g')
known='libarchive13, libblkid1, libc6, libcom-err2, libcrypt1, libcryptsetup12, libcurl4, libext2fs2,
libfdisk1, libjansson4, libmount1, libsquashfs1, libssl3, libzstd1'
[ "$needs" = "$(echo "$known" | tr '\n' ' ' | sed 's/ $//')" ] || {
	echo "nodectl depends on: $needs"
	exit 1
}
grep -q '^Filename: \./nodectl_' "$work/one/Packages"
