#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# In a machine that checks a plugin: what has failed, then its smoke tests.  The report goes to a disk,
# again after each step; src/certify/guest.h has its form.
dir=/run/bedplate-plugin-check
report=$dir/report
tail_bytes=4096
units_max=32

save() {
	dd "if=$report" "of=$disk" bs=64k conv=fsync 2>/dev/null
}
say() {
	echo "plugin-check: $*" >>/dev/console
}
# output: what is in $dir/output, or the end of it.
output() {
	tail -c $tail_bytes $dir/output >$dir/tail
	echo "output $(wc -c <$dir/tail)"
	cat $dir/tail
	echo
}
units() {
	systemctl list-units --failed --plain --no-legend --no-pager | head -n $units_max |
		while read -r unit _; do
			systemctl status --no-pager --full --lines=20 -- "$unit" >$dir/output 2>&1
			echo "unit $unit"
			output
		done
}

disk=
for block in /sys/block/*; do
	[ "$(cat "$block/serial" 2>/dev/null)" != disk0 ] || disk=/dev/${block##*/}
done
if [ -z "$disk" ]; then
	say "there is no disk for the report"
	systemctl poweroff --force --force
fi

systemctl is-system-running --wait >$dir/state 2>&1
{
	echo 'bedplate-plugin-check 1'
	echo "state $(head -n 1 $dir/state)"
	units
} >$report
save
say "$(head -n 1 $dir/state)"

cd $dir/tests || exit
for test in *; do
	if [ ! -f "$test" ] || [ ! -x "$test" ]; then
		continue
	fi
	echo "begin $test" >>$report
	save
	status=0
	"./$test" >$dir/output 2>&1 </dev/null || status=$?
	{
		output
		echo "end $status"
	} >>$report
	save
	result=ok
	[ $status -eq 0 ] || result="failed $status"
	say "$test $result"
done
{
	units
	echo 'done'
} >>$report
save
say 'done'
# Nothing here is worth a shutdown in order.
systemctl poweroff --force --force
