#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# scripts.sh FOLDER: shellcheck has nothing to say.
set -eu

command -v shellcheck >/dev/null || {
	echo "skipped: there is no shellcheck"
	exit 77
}
cd "$1"
find .ci dracut health.d scripts src tests -type f -exec sh -c '
	for f; do head -c 20 "$f" | head -n 1 | grep -qE "^#!/bin/(ba)?sh" && echo "$f"; done' sh {} + |
	sort | xargs shellcheck
