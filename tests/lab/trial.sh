#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# trial-deadline restarts a trial that has not been found good in time, and nothing else.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_uml
LAB_DEADLINE=$(dirname "$(realpath "$LAB_NODECTL")")/trial-deadline
export LAB_DEADLINE

cat >"$work/prepare.sh" <<'END'
mkdir -p /run/bedplate
# boot WORD...: it is started with that command line.
boot() {
	echo "$*" >/run/cmdline
	mountpoint -q /proc/cmdline || mount --bind /run/cmdline /proc/cmdline
	timeout 60 "$LAB_DEADLINE"
}
END

# It ends by itself where there is no trial, and where it is over.
cat "$work/prepare.sh" - >"$work/whole.sh" <<'END'
boot bedplate.layer=n-1+1 bedplate.trial_deadline=1
boot bedplate.layer=n-1+1 bedplate.trial= bedplate.trial_deadline=1
boot bedplate.layer=n-1+1 bedplate.trial=n-1+2 bedplate.trial_deadline=1
boot bedplate.layer=n-1+1 bedplate.trial=n-1+11 bedplate.trial_deadline=1
boot bedplate.layer=n-1+1 bedplate.trial=n-1+1 bedplate.stateless bedplate.trial_deadline=1
echo 0 >/run/bedplate/trial-deadline
boot bedplate.layer=n-1+1 bedplate.trial=n-1+1 bedplate.trial_deadline=1
# It waits for a deadline that is not there yet, and looks whether it was blessed meanwhile.
rm /run/bedplate/trial-deadline
(sleep 2; echo 0 >/run/bedplate/trial-deadline) &
boot bedplate.layer=n-1+1 bedplate.trial=n-1+1
# The clock is not what it waits by.
rm /run/bedplate/trial-deadline
(
	sleep 1
	date -s 2050-02-03
	sleep 2
	date -s 2010-02-03
	echo 0 >/run/bedplate/trial-deadline
) &
boot bedplate.layer=n-1+1 bedplate.trial=n-1+1 bedplate.trial_deadline=100000
# What is /run when it starts is elsewhere after the switch to the real root.
mkdir /tmp/moved
rm /run/bedplate/trial-deadline
(
	sleep 2
	mount --bind /run /tmp/moved
	mount -t tmpfs none /run
	echo 0 >/tmp/moved/bedplate/trial-deadline
) &
boot bedplate.layer=n-1+1 bedplate.trial=n-1+1
END
in_guest <"$work/whole.sh"

# restarts SCRIPT: the guest ends in the middle of it.
restarts() {
	{
		cat "$work/prepare.sh"
		echo "$1"
		echo "echo still here"
	} >"$work/whole.sh"
	guest --timeout=120 <"$work/whole.sh"
	grep -q 'ended without an answer' "$work/err" || fail "$(cat "$work/out" "$work/err")"
	! grep -q 'still here' "$work/out" || fail "not restarted: $1"
}
restarts 'boot bedplate.layer=n-1+1 bedplate.trial=n-1+1 bedplate.trial_deadline=1'
# The last word counts; a deadline below /run goes before it, a damaged one does not count.
restarts 'boot bedplate.trial=n-1+2 bedplate.layer=n-1+1 bedplate.trial=n-1+1 bedplate.trial_deadline=1'
restarts 'echo 1 >/run/bedplate/trial-deadline; boot bedplate.layer=n-1+1 bedplate.trial=n-1+1'
restarts 'echo 1x >/run/bedplate/trial-deadline
	boot bedplate.layer=n-1+1 bedplate.trial=n-1+1 bedplate.trial_deadline=1'
restarts 'date -s 2010-02-03; boot bedplate.layer=n-1+1 bedplate.trial=n-1+1 bedplate.trial_deadline=1'
