#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# spelling.sh FOLDER: no common misspelling in code and text.
set -eu

command -v codespell >/dev/null || {
	echo "skipped: there is no codespell"
	exit 77
}
cd "$1"
set --
for path in README.md HACKING.md Makefile debian docs man recipes scripts src tests; do
	[ ! -e "$path" ] || set -- "$@" "$path"
done
codespell --skip='*/corpus/*,*/data/*,*/golden/*' --ignore-words-list="crypted,fo,iff,nd,want's" "$@"
