#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds that cannot succeed: one clear line, status 1, nothing left but the log and the cache.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_root
build

# refused KICKSTART-LINES PATTERN: the test recipe with these lines added fails and says this.
refused() {
	{
		echo "%include $source_dir/tests/vm/minimal-test.ks"
		printf '%s\n' "$1"
	} >"$work/bad.ks"
	expect 1 "$bedplate" image build -q "$work/bad.ks" --cache="$cache" -o "$work/none"
	is "$(wc -l <"$work/err")" 1 "number of lines on stderr ($(cat "$work/err"))"
	grep -Eq "$2" "$work/err" || fail "'$(cat "$work/err")' does not match '$2'"
	nothing_left
}

nothing_left() {
	! find "$work/none" -mindepth 1 2>/dev/null | grep . || fail "output of a failed build"
	! find "$cache/stages" -name '*.work' | grep . || fail "half a stage in the cache"
	! grep -F "$cache" /proc/self/mountinfo || fail "something is still mounted"
}

refused '%packages
no-such-package-anywhere
%end' "bad\.ks:[0-9]+: .*no-such-package-anywhere"
refused '%post --erroronfail
echo reason >&2
exit 3
%end' "bad\.ks:[0-9]+: .*(3|reason).*log: "
refused 'repo --name=gone --baseurl=http://127.0.0.1:9/debian --suite=trixie' "127\.0\.0\.1:9"
refused 'part / --size=20' "(too small|MiB|bytes)"
refused 'frobnicate' "bad\.ks:2: unknown command"

# full OPTION-OF-TMPFS FOLDER COMMAND...: the command with a small disk on the folder; status 99 when
# more than a log and the cache is left there.
full() {
	mkdir -p "$2"
	# shellcheck disable=SC2016 # expanded by the inner shell
	unshare --mount sh -c 'mount -t tmpfs -o "$1" none "$2" && shift 2 && "$@"; status=$?
		if find "$0" -type f ! -path "*/logs/*" ! -path "*/packages/*" ! -name lock | grep .
		then exit 99; fi; exit $status' "$2" "$@"
}
# The disk of the cache, and that of the output.
expect 1 full size=90M "$work/small" "$bedplate" image build -q \
	"$source_dir/tests/vm/minimal-test.ks" --cache="$work/small" -o "$work/none"
grep -Eiq 'disk full|no space left' "$work/err" || fail "full cache: $(cat "$work/err")"
expect 1 full size=20M "$work/small" "$bedplate" image build -q \
	"$source_dir/tests/vm/minimal-test.ks" --cache="$cache" -o "$work/small"
grep -Eiq 'no space left' "$work/err" || fail "full output: $(cat "$work/err")"
nothing_left

# A signal at any moment.
cat >"$work/slow.ks" <<EOF
%include $source_dir/tests/vm/minimal-test.ks
image --name=slow --version=1
%post
sleep 1000
%end
EOF
for signal in INT TERM; do
	"$bedplate" image build -q "$work/slow.ks" --cache="$cache" -o "$work/none" 2>"$work/err" &
	pid=$!
	# Wait until its script runs.
	for _ in $(seq 300); do
		pgrep -f 'sleep 1000' >/dev/null && break
		sleep 0.2
	done
	began=$(date +%s)
	kill -s "$signal" "$pid"
	status=0
	wait "$pid" || status=$?
	[ $(($(date +%s) - began)) -le 4 ] || fail "SIG$signal took too long"
	is "$status" 1 "status after SIG$signal"
	grep -q "interrupted" "$work/err" || fail "SIG$signal: $(cat "$work/err")"
	! pgrep -f 'sleep 1000' >/dev/null || fail "the script outlives SIG$signal"
	nothing_left
done

# The next run goes on at the stage that failed.
sed -i 's/sleep 1000/true/' "$work/slow.ks"
"$bedplate" image build "$work/slow.ks" --cache="$cache" -o "$work/slow" --json >"$work/result" \
	2>"$work/err" || fail "after a signal: $(tail -3 "$work/err")"
is "$(json "$work/result" '.stages[] | select(.name == "packages").cached')" true "packages cached"
