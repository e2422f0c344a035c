#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# symbols.sh FOLDER: no two libraries of this build folder define the same name.  The linker takes the
# first that it meets and says nothing.
set -eu

twice=$(find "$1/src" -name '*.a' -exec nm -A --defined-only {} + |
	sed -n 's,^\([^:]*\):[^ ]* [BDRT] \(.*\)$,\2 \1,p' | sort -u |
	awk '{ where[$1] = where[$1] " " $2; n[$1]++ }
		END { for (s in n) if (n[s] > 1) print s ":" where[s] }')
[ -z "$twice" ] || {
	echo "$twice"
	exit 1
}
