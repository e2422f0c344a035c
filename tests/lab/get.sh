#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An image out of a stick: the unit test of it again, where there are loop devices and vfat.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_uml
export LAB_GET="$5"

in_guest <<'END'
modprobe loop
modprobe vfat
modprobe nls_cp437 || true
modprobe nls_iso8859-1 || modprobe nls_ascii || true
CMOCKA_MESSAGE_OUTPUT=TAP "$LAB_GET" stick
END
grep -q '^ok 1 - a_stick$' "$work/out" || fail "it did not run: $(cat "$work/out")"
