# SPDX-License-Identifier: Apache-2.0
# Shared by the tests that build real images.  They take the path of bedplate as their argument.
# shellcheck source=../cli/lib.sh
. "$(dirname "$0")/../cli/lib.sh"

bedplate=$1
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
# Downloads and stages of the image that all these tests share; a clean machine refills it.
cache=${BEDPLATE_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bedplate}/test
export source_dir cache

requires_root() {
	[ "$(id -u)" -eq 0 ] || {
		echo "skipped: building an image needs root"
		exit 77
	}
}

# build OPTION...: the test image into $work/image; fails the test when it cannot be built.
build() {
	"$bedplate" image build "$source_dir/tests/vm/minimal-test.ks" --cache="$cache" \
		-o "$work/image" "$@" >"$work/out" 2>"$work/err" || fail "build: $(tail -3 "$work/err")"
}

# json FILE FILTER: one value out of a JSON file.
json() {
	jq -r "$2" "$1"
}

# is GOT WANT WHAT
is() {
	[ "$1" = "$2" ] || fail "$3 is '$1', expected '$2'"
}
