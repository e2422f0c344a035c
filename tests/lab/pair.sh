# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Two real images, the second one made with --previous of the first: . "$lab/pair.sh"
: "${work:?}" "${lab:?}"
# Shared with the tests of tests/vm.
pair_cache=${BEDPLATE_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bedplate}/test

# build_image RECIPE FOLDER OPTION...: its path is in $image.
build_image() {
	recipe=$1
	folder=$2
	shift 2
	image=$("$bedplate" image build "$recipe" --cache="$pair_cache" --compression=zstd:3 -o "$folder" \
		"$@" 2>"$work/err") || {
		echo "build of $recipe: $(tail -n 3 "$work/err")" >&2
		exit 1
	}
}

# build_pair RECIPE RECIPE: $old_image and $new_image.
build_pair() {
	build_image "$1" "$work/old"
	old_image=$image
	build_image "$2" "$work/new" --previous="$old_image"
	new_image=$image
}

manifest_of() {
	echo "${1%.squashfs.img}.manifest.json"
}

# pair_kickstart FILE: of a node with the older image, on the guest's first disk.
pair_kickstart() {
	cat >"$1" <<KS
text
lang C.UTF-8
timezone Etc/UTC --utc
rootpw --plaintext bedplate-test
zerombr
ignoredisk --only-use=ubda
clearpart --all --initlabel --drives=ubda
autopart --type=thinp --profile=minimal
bootloader --append="console=ttyS0"
network --bootproto=dhcp --hostname=pair.test
liveimg --url=file://$old_image
reboot
KS
}
