# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Shared by what bedplate does in the initramfs.  stdout goes to the journal.

# consoles: names below /dev of all consoles of the kernel.
consoles() {
	while read -r console _; do
		[ ! -c "/dev/$console" ] || echo "$console"
	done </proc/consoles
}

# tell FILE: to everybody in front of a console, and to the journal.
tell() {
	cat "$1"
	for console in $(consoles); do
		# A serial line may be held up by its other end.
		timeout 5 sh -c "{ echo; cat '$1'; } >/dev/$console" 2>/dev/null &
	done
	wait
}

# now: seconds since power-on.
now() {
	read -r uptime _ </proc/uptime
	echo "${uptime%.*}"
}
