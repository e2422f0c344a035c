#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# summary.sh FOLDER: tests/summary.py counts every test, and no failure hides.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$work/failed-builds"

# test_result RESULT STATUS STDOUT: one more line of meson's log.
test_result() {
	printf '{"name": "t", "stdout": "%s", "result": "%s", "duration": 1, "returncode": %s}\n' \
		"$3" "$1" "$2" >>"$work/build.json"
}

# closing STATUS LINE
closing() {
	status=0
	python3 "$summary" "$work" >"$work/out" || status=$?
	if [ "$status" -ne "$1" ] || [ "$(tail -n 1 "$work/out")" != "$2" ]; then
		echo "status $status, expected $1 and '$2':"
		cat "$work/out"
		exit 1
	fi
}

summary=$1/tests/summary.py
closing 1 '0 passed, 0 failed'
test_result OK 0 ''
closing 0 '1 passed, 0 failed'
test_result OK 0 '1..2\nok 1 - a\nok 2 - b\n'
closing 0 '3 passed, 0 failed'
# cmocka's way to skip, which meson takes for a failure.
test_result FAIL 0 '1..2\nok 1 - a\nnot ok 2 # SKIP b\n'
test_result SKIP 77 'skipped: not here\n'
closing 0 '4 passed, 0 failed, 2 skipped'
grep -qx 'skipped in build: t: skipped: not here' "$work/out"
test_result FAIL 1 '1..2\nok 1 - a\nnot ok 2 - b\n'
closing 1 '5 passed, 1 failed, 2 skipped'
# Ended in the middle, and ended badly after its last line.
test_result ERROR -11 '1..2\nok 1 - a\n'
test_result ERROR 1 '1..1\nok 1 - a\n'
test_result TIMEOUT -15 ''
closing 1 '7 passed, 4 failed, 2 skipped'
echo build-asan >"$work/failed-builds"
closing 1 '7 passed, 5 failed, 2 skipped'
