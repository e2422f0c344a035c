#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# spdx.sh FOLDER: every source file names its licence in its first lines.
set -eu

cd "$1"
set --
for path in .ci debian dracut man meson.build meson_options.txt Makefile recipes scripts src \
	systemd tests; do
	[ ! -e "$path" ] || set -- "$@" "$path"
done
without=$(find "$@" ! -path '*/corpus/*' ! -path '*/data/*' ! -path '*/golden/*' -type f \
	\( -name '*.[ch]' -o -name '*.sh' -o -name '*.py' -o -name '*.ks' -o -name '*.scd' \
	-o -name '*.conf' -o -name '*.service' -o -name 'meson*' -o -name Makefile -o -perm -100 \) \
	-exec sh -c 'for f; do head -n 4 "$f" | grep -q "SPDX-License-Identifier: Apache-2.0" ||
		echo "$f"; done' sh {} +)
[ -z "$without" ] || {
	echo "no SPDX-License-Identifier: Apache-2.0 in:"
	echo "$without"
	exit 1
}
