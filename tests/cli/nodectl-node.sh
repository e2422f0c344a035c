#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The commands of an installed node on a machine that is none.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
nodectl=$2
[ ! -e /usr/lib/bedplate/image.json ] || {
	echo "skipped: this is a node"
	exit 77
}

for command in "check" "check --json" "check --oneline" "layers" "layers --json" \
	"check --only=mounts" "health" "health --json" "health --wait=5" "bless" "unbless" \
	"unbless --reason=no" "diff" "diff a+1 b+1" "diff --json" "verify" "verify --base --json"; do
	# shellcheck disable=SC2086 # a command and its option
	expect 1 "$nodectl" $command
	[ ! -s "$work/out" ] || fail "$command: $(cat "$work/out")"
	if [ "$(id -u)" -eq 0 ]; then
		same "$work/err" "nodectl: this is not a node: there is no /usr/lib/bedplate/image.json"
	else
		same "$work/err" "nodectl: this needs root"
	fi
done
expect 2 "$nodectl" check --json --oneline
grep -q "'--json' and '--oneline' exclude each other" "$work/err" || fail "$(cat "$work/err")"
expect 2 "$nodectl" layers --oneline
expect 2 "$nodectl" check now
expect 2 "$nodectl" health --wait=100000
expect 2 "$nodectl" bless --reason=yes
expect 2 "$nodectl" diff --packages --content
grep -q "'--packages' and '--content' exclude each other" "$work/err" || fail "$(cat "$work/err")"
expect 2 "$nodectl" diff --packages --files
expect 2 "$nodectl" diff a+1 b+1 c+1
expect 2 "$nodectl" verify a+1
for keep in 0 1001; do
	expect 2 "$nodectl" gc --keep=$keep
	grep -q "'--keep' is from 1 to 1000" "$work/err" || fail "$(cat "$work/err")"
done

# A login goes on, whatever this machine is.
expect 0 "$nodectl" motd
[ ! -s "$work/out" ] || fail "$(cat "$work/out")"

expect 0 "$nodectl" banner
[ "$(head -n 1 "$work/out")" = "Node: $(uname -n)" ] || fail "$(cat "$work/out")"
grep -q '^Addresses: ' "$work/out" || fail "$(cat "$work/out")"
if grep -qE ' (127\.|::1|fe80:)' "$work/out"; then
	fail "$(cat "$work/out")"
fi

# NetworkManager's events restart it only when it would say something else.
mkdir "$work/events"
sed "s|=/etc/issue.d/bedplate.issue|=$work/events/issue|" \
	"$(dirname "$0")/../../debian/dispatcher/50-bedplate-banner" >"$work/events/dispatcher"
ln -s "$(realpath "$nodectl")" "$work/events/nodectl"
cat >"$work/events/systemctl" <<END
#!/bin/sh
[ "\$1" = is-enabled ] || echo "\$@" >>"$work/events/calls"
END
chmod +x "$work/events/nodectl" "$work/events/systemctl"
: >"$work/events/calls"
expect 0 env PATH="$work/events:$PATH" nodectl banner
cp "$work/out" "$work/events/issue"
event() {
	expect 0 env PATH="$work/events:$PATH" sh "$work/events/dispatcher" "$@"
}
for action in up down dhcp4-change dhcp6-change hostname; do
	event eth0 $action
done
[ ! -s "$work/events/calls" ] || fail "$(cat "$work/events/calls")"
sed -i 's/^Addresses:.*/Addresses: none at all/' "$work/events/issue"
event eth0 connectivity-change
[ ! -s "$work/events/calls" ] || fail "$(cat "$work/events/calls")"
event eth0 up
rm "$work/events/issue"
event eth0 dhcp4-change
same "$work/events/calls" "--no-block restart bedplate-banner.service
--no-block restart bedplate-banner.service"
