# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# For scripts in the guest: . "$LAB_LIB"

# refused ERRNO TEXT ARG...: the driver has to fail with that.
refused() {
	want=$1
	text=$2
	shift 2
	status=0
	"$LAB_DRIVER" "$@" 2>/run/refused || status=$?
	cat /run/refused
	[ $status -eq 1 ]
	grep -F -e "$text" /run/refused
	grep -e "(errno $want)\$" /run/refused
}
