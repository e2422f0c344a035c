# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Shared by the tests that run in user-mode Linux. They take the paths of bedplate, nodectl and the
# driver as arguments.
# shellcheck source=../cli/lib.sh
. "$(dirname "$0")/../cli/lib.sh"

lab=$(cd "$(dirname "$0")" && pwd)
export LAB_NODECTL="${2:-}" LAB_DRIVER="${3:-}" LAB_LIB="$lab/guest-lib.sh"

requires_uml() {
	[ "$(id -u)" -eq 0 ] || {
		echo "skipped: the guest shares the host's files, that needs root"
		exit 77
	}
	if [ ! -x /usr/bin/linux.uml ] || [ ! -d /usr/lib/uml/modules ]; then
		echo "skipped: there is no user-mode Linux here (package user-mode-linux)"
		exit 77
	fi
}

# guest [OPTION]...: run standard input as a script in the guest, see run-uml --help; its output is
# in $work/out, and $guest_status is how it ended.
guest() {
	cat >"$work/guest.sh"
	guest_status=0
	"$lab/run-uml" "$@" "$work" "$work/guest.sh" >"$work/out" 2>"$work/err" || guest_status=$?
}

# in_guest [OPTION]...: the same, and a script that fails at any command fails the test.
in_guest() {
	{
		echo "set -eux"
		cat
	} >"$work/checked.sh"
	guest "$@" <"$work/checked.sh"
	[ "$guest_status" -eq 0 ] ||
		fail "guest exited $guest_status: $(tail -n 40 "$work/out" "$work/err")"
}

# new_disk NAME SIZE: an empty one in $work.
new_disk() {
	rm -f "$work/$1"
	truncate -s "$2" "$work/$1"
}
