#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# scripts.sh FOLDER: shellcheck has nothing to say; what dracut is told of drivers goes together.
set -eu

command -v shellcheck >/dev/null || {
	echo "skipped: there is no shellcheck"
	exit 77
}
cd "$1"
find .ci dracut health.d recipes scripts src tests -type f -exec sh -c '
	for f; do head -c 20 "$f" | head -n 1 | grep -qE "^#!/bin/(ba)?sh" && echo "$f"; done' sh {} + |
	sort | xargs shellcheck

# What 70bedplate asks for is not left out by a pattern of 50-bedplate.conf, which has the last word.
left_out=$(sed -n "s/^[[:space:]]*hostonly='' instmods //p" dracut/70bedplate/module-setup.sh | tr ' ' '\n' | tr - _ |
	grep -xE "$(sed -n 's/^omit_drivers+=" \(.*\) "$/\1/p' dracut/50-bedplate.conf | tr -s ' \n' '|' | sed 's/|$//')" || :)
[ -z "$left_out" ] || {
	echo "omit_drivers of dracut/50-bedplate.conf leaves out $left_out"
	exit 1
}
