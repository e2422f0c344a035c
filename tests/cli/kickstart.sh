#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
bedplate=$1

cat >"$work/good.ks" <<'KS'
# an unattended install
text
lang en_US.UTF-8
keyboard us
timezone --utc Etc/UTC
liveimg --url=file:///run/install/node.squashfs.img --checksum=0000000000000000000000000000000000000000000000000000000000000000
zerombr
clearpart --all --drives=sda
autopart --type=thinp
rootpw --lock
poweroff
KS

# A good file: nothing is said and all questions are answered.
expect 0 "$bedplate" kickstart check "$work/good.ks"
[ ! -s "$work/out" ] || fail "unexpected stdout"
[ ! -s "$work/err" ] || fail "unexpected stderr"
expect 0 "$bedplate" kickstart check --strict --unattended "$work/good.ks"
[ "$(grep -c '^\[x\] ' "$work/out")" -eq 11 ] || fail "not 11 answered questions"

# The canonical text, from a file and from standard input; it is a fixed point.
expect 0 "$bedplate" kickstart dump "$work/good.ks"
head -1 "$work/out" >"$work/first"
same "$work/first" "keyboard 'us'"
cp "$work/out" "$work/canonical.ks"
expect 0 "$bedplate" kickstart dump - <"$work/canonical.ks"
same "$work/out" "$(cat "$work/canonical.ks")"

# The unattended example answers everything.
recipes=$(dirname "$0")/../../recipes
expect 0 "$bedplate" kickstart check --unattended "$recipes/install.ks"
[ "$(grep -c '^\[x\] ' "$work/out")" -eq 11 ] || fail "install.ks leaves a question open"

# Our profiles of autopart.
echo 'autopart --type=thinp --profile=minimal' >"$work/profile.ks"
expect 0 "$bedplate" kickstart dump "$work/profile.ks"
same "$work/out" "autopart --type=thinp --profile=minimal"
echo 'autopart --profile=tiny' >"$work/profile.ks"
expect 1 "$bedplate" kickstart check "$work/profile.ks"
same "$work/err" "$work/profile.ks:1: autopart: --profile: 'tiny' is not one of minimal|node"

# Every error is named, with its place.
cat >"$work/bad.ks" <<'KS'
text
frob
skipx
part / --size=many
KS
expect 1 "$bedplate" kickstart check "$work/bad.ks"
same "$work/err" "$work/bad.ks:2: unknown command 'frob'
$work/bad.ks:3: warning: 'skipx' is valid kickstart, but nothing here acts on it
$work/bad.ks:4: part: --size: 'many' is not a whole number"
expect 1 "$bedplate" kickstart dump "$work/bad.ks"
[ ! -s "$work/out" ] || fail "a file with errors was printed"
same "$work/err" "$work/bad.ks:2: unknown command 'frob'
$work/bad.ks:4: part: --size: 'many' is not a whole number"

# A warning passes, but not with --strict.  Several files: the worst one decides.
echo skipx >"$work/warn.ks"
expect 0 "$bedplate" kickstart check "$work/warn.ks"
expect 1 "$bedplate" kickstart check --strict "$work/warn.ks"
expect 1 "$bedplate" kickstart check "$work/good.ks" "$work/bad.ks"

# An open question.
expect 1 "$bedplate" kickstart check --unattended "$work/warn.ks"
grep -q '^\[ \] storage: ' "$work/out" || fail "storage is not an open question"

# JSON, of the problems and of the model.
expect 1 "$bedplate" kickstart check --json --unattended "$work/bad.ks"
python3 - "$work/out" <<'PY'
import json, sys
[entry] = json.load(open(sys.argv[1]))
assert entry["ok"] is False
assert [p["line"] for p in entry["problems"]] == [2, 3, 4]
assert [p["level"] for p in entry["problems"]] == ["error", "warning", "error"]
assert any(not q["answered"] for q in entry["questions"])
PY
expect 0 "$bedplate" kickstart dump --json "$work/good.ks"
python3 - "$work/out" <<'PY'
import json, sys
model = json.load(open(sys.argv[1]))
clear = [c for c in model["commands"] if c["command"] == "clearpart"][0]
assert clear["options"] == {"all": True, "drives": ["sda"]}, clear
assert clear["line"] == 8
assert model["packages"] is None
PY

# What is wrong in a hostile file cannot play with the terminal, and is named in JSON, too.
printf '\033[31mfrob\377\n' >"$work/hostile.ks"
expect 1 "$bedplate" kickstart check "$work/hostile.ks"
grep -qaF 'unknown command '"'"'\x1b[31mfrob' "$work/err" || fail "a terminal's commands are printed"
expect 1 "$bedplate" kickstart dump "$work/hostile.ks"
grep -qaF '\x1b[31mfrob' "$work/err" || fail "a terminal's commands are printed by dump"
expect 1 "$bedplate" kickstart check --json "$work/hostile.ks"
grep -qF 'mfrob\uFFFD' "$work/out" || fail "the problem is not named in JSON"

# Of very many problems the first are shown, and that there are others.
yes frob | head -1000 >"$work/many.ks"
expect 1 "$bedplate" kickstart check "$work/many.ks"
[ "$(wc -l <"$work/err")" -eq 1000 ] || fail "not 1000 errors"
yes frob | head -1000 >>"$work/many.ks"
expect 1 "$bedplate" kickstart check "$work/many.ks"
[ "$(wc -l <"$work/err")" -eq 1001 ] || fail "not 1000 errors and a line on the rest"
[ "$(tail -1 "$work/err")" = \
	"$work/many.ks: there are more, only the first 1000 errors and warnings are shown" ] ||
	fail "the rest is not mentioned"
expect 1 "$bedplate" kickstart check --json "$work/many.ks"
grep -q '"more": true' "$work/out" || fail "the rest is not mentioned in JSON"

# Lines without a device, such as one for the host name, are not the same device twice.
printf 'network --bootproto=dhcp\nnetwork --hostname=a\n' >"$work/net.ks"
expect 0 "$bedplate" kickstart check --strict "$work/net.ks"

# A second %packages section decides on the flags of the first, and is known to do so.
printf '%%packages --excludedocs --nocore\na\n%%end\n%%packages --nocore\nb\n%%end\n' >"$work/two.ks"
expect 0 "$bedplate" kickstart check "$work/two.ks"
same "$work/err" "$work/two.ks:4: warning: %packages without --excludedocs undoes that of line 1"

# No such file, wrong use, full disk.
expect 1 "$bedplate" kickstart check "$work/none.ks"
grep -q 'No such file' "$work/err" || fail "the missing file is not named"
expect 2 "$bedplate" kickstart dump
if [ -w /dev/full ]; then
	got=0
	"$bedplate" kickstart dump "$work/good.ks" >/dev/full 2>/dev/null || got=$?
	[ "$got" -eq 1 ] || fail "a full disk was not noticed"
fi
