#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# help.sh PROGRAM: each --help is at most 80 columns wide and notices a full disk.
set -eu

program=$1
bad=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# check COMMAND...
check() {
	if ! "$program" "$@" --help >"$work/out" 2>"$work/err" || [ ! -s "$work/out" ]; then
		echo "'$* --help' fails: $(cat "$work/err")"
		bad=1
	fi
	if grep -nE '.{81}' "$work/out"; then
		echo "'$* --help' is wider than 80 columns"
		bad=1
	fi
	if "$program" "$@" --help >/dev/full 2>/dev/null; then
		echo "'$* --help >/dev/full' does not fail"
		bad=1
	fi
}

check
"$program" --dump-options | grep -v -e --  >"$work/commands"
[ -s "$work/commands" ]
while read -r noun verb; do
	check "$noun" ${verb:+"$verb"}
done <"$work/commands"
exit $bad
