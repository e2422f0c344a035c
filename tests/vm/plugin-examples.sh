#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The plugins to start from: each is made for the test image, goes in, is what it says, and goes out again.
# One of them is checked in a machine, with its smoke test and with one that fails.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_root
cd "$work"
mkdir tmp
export TMPDIR="$work/tmp" BEDPLATE_CACHE="$cache"

build --compression=zstd:3
image=$(cat "$work/out")
"$source_dir/scripts/build-plugins" "$bedplate" "$image" plugins >made 2>err || fail "build-plugins: $(tail -n 5 err)"
same made "$work/plugins/collectd-1.0.plugin
$work/plugins/debug-tools-1.0.plugin
$work/plugins/vendor-agent-1.0.plugin"
[ -z "$(find "$source_dir/recipes" -name '*.deb')" ] || fail "packages in recipes/"

# The agent that we compile ourselves is the same each time.
"$source_dir/recipes/plugins/vendor-agent/.package/build" again
cmp again/*.deb plugins/vendor-agent/packages/*.deb || fail "the package of the agent is not reproducible"

# All three, and none again.
expect 0 "$bedplate" plugin apply -q "$image" plugins/collectd-1.0.plugin plugins/debug-tools-1.0.plugin \
	plugins/vendor-agent-1.0.plugin -o all
all=$(cat "$work/out")
is "$(basename "$all")" minimal-test-1+collectd.debug-tools.vendor-agent.squashfs.img "image"
expect 0 "$bedplate" image verify -q --unsigned "$all"
expect 0 "$bedplate" plugin verify -q "$all"
expect 0 "$bedplate" image extract -q "$all" /usr/lib/bedplate/boot.conf -o -
grep -q '^append=.*vendor-agent.site=example' "$work/out" || fail "boot.conf: $(cat "$work/out")"
expect 0 "$bedplate" plugin remove -q "$all" collectd --plugin=plugins/debug-tools-1.0.plugin \
	--plugin=plugins/vendor-agent-1.0.plugin -o two
expect 0 "$bedplate" plugin verify -q "$(cat "$work/out")"
expect 0 "$bedplate" plugin apply -q "$image" plugins/debug-tools-1.0.plugin plugins/vendor-agent-1.0.plugin -o same
diff -r two same || fail "not as if collectd had not been there"
expect 0 "$bedplate" plugin apply -q "$image" plugins/collectd-1.0.plugin -o one
expect 0 "$bedplate" plugin remove -q "$(cat "$work/out")" collectd -o back
cmp "$(cat "$work/out")" "$image" || fail "not the image from before"
rm -r all two same one back

# Two smoke tests in a machine, of which one fails: the report says which, and has what both said.
cp -R plugins/vendor-agent wrong
printf '#!/bin/sh\necho this one is not well\nexit 3\n' >wrong/tests/20-wrong
expect 0 "$bedplate" plugin pack -q wrong -o wrong.plugin
expect 1 "$bedplate" plugin check -q wrong.plugin --image="$image" --timeout="$boot_seconds" --json -o report.json \
	--keep=kept
grep -qx "bedplate: check 'tests' failed: 20-wrong" "$work/err" || fail "$(cat "$work/err" report.json)"
json report.json '.checks[] | .name + " " + .result' >results
same results 'plugin passed
apply passed
verify passed
boot passed
units passed
tests failed'
json report.json '.tests[] | .name + " " + .result + " " + (.status | tostring)' >results
same results '10-answer passed 0
20-wrong failed 3'
is "$(json report.json '.tests[1].output')" 'this one is not well' "output"
is "$(json report.json '.result.root_hash')" "$(json kept/*.manifest.json '.verity.root_hash')" "root hash"
is "$(json report.json '.plugin.sha256')" "$(sha256sum <wrong.plugin | cut -d' ' -f1)" "digest"
grep -aq 'plugin-check: 20-wrong failed 3' kept/console.log || fail "console: $(tail kept/console.log)"

# The plugin as it is.
expect 0 "$bedplate" plugin check -q plugins/vendor-agent-1.0.plugin --image="$image" --timeout="$boot_seconds" \
	-o report.txt
grep -qx 'Verdict:     passed' report.txt || fail "$(cat report.txt)"
grep -qx '    site example, start 2' report.txt || fail "$(cat report.txt)"
[ -z "$(ls -A tmp)" ] || fail "temporary files: $(ls -A tmp)"
