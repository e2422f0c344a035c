#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What nodectl install refuses before it looks at a disk.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
nodectl=$2

# Wrong use, with or without root.
expect 2 "$nodectl" install --yes
same "$work/err" "nodectl: option '--kickstart' is missing
Try 'nodectl install --help'."
expect 2 "$nodectl" reinstall
expect 2 "$nodectl" uninstall --kickstart=x
expect 2 "$nodectl" install --kickstart=x y

if [ "$(id -u)" -ne 0 ]; then
	expect 1 "$nodectl" install --kickstart=x --dry-run
	same "$work/err" "nodectl: install needs root"
	expect 1 "$nodectl" uninstall --yes
	same "$work/err" "nodectl: uninstall needs root"
	exit 0
fi

# install OPTION...: in a /run of its own, so that tests do not meet.
install() {
	unshare --mount sh -c 'mount -t tmpfs run /run && exec "$@"' sh "$nodectl" install "$@"
}
requires unshare --mount mount -t tmpfs run /run

expect 1 install --dry-run --kickstart="$work/none.ks"
same "$work/err" "nodectl: kickstart: '$work/none.ks': No such file or directory"
expect 1 install --dry-run --kickstart=hd:LABEL=x
grep -q "^nodectl: kickstart: bad kickstart 'hd:LABEL=x', expected hd:LABEL=NAME:/PATH" "$work/err" ||
	fail "$(cat "$work/err")"
expect 1 install --dry-run --kickstart=nfs:server:/x
expect 1 install --dry-run --kickstart=http://127.0.0.1:0/x
expect 1 install --dry-run --kickstart="http://user:secret@127.0.0.1:0/x"
! grep -q secret "$work/err" || fail "a password is shown: $(cat "$work/err")"

# Errors name their line, the last one stands on the last line.
cat >"$work/a.ks" <<'END'
text
nonsense
autopart --nothing
END
expect 1 install --dry-run --kickstart="$work/a.ks"
same "$work/err" "nodectl: warning: $work/a.ks:3: error: autopart: unknown option '--nothing'
nodectl: $work/a.ks:2: unknown command 'nonsense' (and 1 more, see above)"

# All open questions, none guessed.  %pre runs first and may write what is included.
cat >"$work/b.ks" <<END
%include $work/included
%pre
echo liveimg --url=file://$work/none.img >$work/included
%end
END
expect 1 install --dry-run --json --kickstart="$work/b.ks"
tail -n 1 "$work/err" >"$work/last"
same "$work/last" "nodectl: $work/b.ks leaves 5 questions open: storage, erasing disks, time zone, \
administrator, language and keyboard"

# The image is looked for before any disk is.
cat >>"$work/b.ks" <<'END'
autopart --type=thinp
zerombr
clearpart --all
timezone UTC
rootpw --lock
lang C.UTF-8
keyboard us
END
expect 1 install --dry-run --json --kickstart="$work/b.ks"
same "$work/out" "{\"error\":\"image: there is no '$work/none.img'\",\"event\":\"result\",\"mode\":\"install\",\"ok\":false}"
: >"$work/none.img"
expect 1 install --dry-run --kickstart="$work/b.ks"
tail -n 1 "$work/err" | grep -q "'$work/none.img' has no manifest beside it" || fail "$(cat "$work/err")"
