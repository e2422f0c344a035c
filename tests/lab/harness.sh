#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The lab itself: status, output, disks, power cuts, timeouts.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_uml

new_disk disk 64M
guest --disk="$work/disk" <<'END'
echo "on $(uname -m)"
printf mark | dd of=/dev/ubda bs=4 seek=1000 conv=fsync 2>/dev/null
: >"$LAB_WORK/seen"
: >/usr/not-on-the-host
exit 7
END
[ "$guest_status" -eq 7 ] || fail "status $guest_status: $(cat "$work/err")"
same "$work/out" "on x86_64"
[ -e "$work/seen" ] || fail "the work folder is not shared"
[ ! -e /usr/not-on-the-host ] || fail "the guest wrote to the host"
[ "$(dd if="$work/disk" bs=4 skip=1000 count=1 2>/dev/null)" = mark ] || fail "disk not written"

guest --disk="$work/disk" --cut-at=now <<'END'
printf kept | dd of=/dev/ubda bs=4 seek=1000 conv=fsync 2>/dev/null
echo now
sleep 5
printf lost | dd of=/dev/ubda bs=4 seek=1000 conv=fsync 2>/dev/null
END
[ "$guest_status" -eq 137 ] || fail "cut: status $guest_status"
[ "$(dd if="$work/disk" bs=4 skip=1000 count=1 2>/dev/null)" = kept ] || fail "cut at a wrong moment"

guest --cut-after=0.5 <<'END'
sleep 60
END
[ "$guest_status" -eq 137 ] || fail "cut after a while: status $guest_status"

guest --timeout=6 <<'END'
sleep 60
END
[ "$guest_status" -eq 124 ] || fail "timeout: status $guest_status"
