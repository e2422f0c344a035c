#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What goes wrong while an upgrade is under way: its source, the pool, /boot and /var fill up or fail,
# nodectl is killed, the clock jumps, the server goes.  One line says so, and the node is as before.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
requires_uml
requires command -v thin_check
# shellcheck disable=SC2034 # of upgrade-lib.sh
lab_storage='part biosboot --fstype=biosboot --size=1
part /boot/efi --fstype=efi --size=64
part /boot --fstype=ext4 --size=96
part pv.01 --size=700 --grow
volgroup bedplate pv.01
logvol none --vgname=bedplate --name=pool00 --thinpool --size=512 --metadatasize=4 --chunksize=64
logvol / --vgname=bedplate --name=root --thin --poolname=pool00 --fstype=ext4 --size=128
logvol /var --vgname=bedplate --name=var --thin --poolname=pool00 --fstype=ext4 --size=64'
# shellcheck source=upgrade-lib.sh
. "$lab/upgrade-lib.sh"

make_tree
mkdir -p "$tree/etc/bedplate"
next_image one 1
dd if=/dev/urandom of="$tree/boot/vmlinuz-6.1-lab" bs=1M count=2 status=none
dd if=/dev/urandom of="$tree/usr/lib/new" bs=1M count=24 status=none
next_image two 2
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/key" -out "$work/ours.pem" -days 30 \
	-subj "/CN=ours" 2>/dev/null
openssl cms -sign -binary -outform DER -in "$work/two/lab-2.manifest.json" -out "$work/ours.sig" \
	-signer "$work/ours.pem" -inkey "$work/key" -md sha256
cp "$lab/leak-counts.py" "$work"

cat >"$work/faults-lib" <<'END'
. "$LAB_WORK/guest-lib"
two=$LAB_WORK/two/lab-2.squashfs.img
# started ARG...: nodectl, in the background.
started() {
	fingerprint >/run/before
	: >/run/progress
	exec 5</run/progress
	"$LAB_NODECTL" "$@" --progress-fd=1 >/run/progress 2>/run/err &
	pid=$!
}
# stopped_at STAGE: it stands still at its beginning.
stopped_at() {
	set +x
	while kill -0 $pid; do
		read -r line <&5 || continue
		case $line in *'"begin","stage":"'"$1"'"'*) break ;; esac
	done
	set -x
	kill -STOP $pid
}
goes_on() {
	kill -CONT $pid
}
# ended TEXT: with one line that says so; then 'unchanged'.
ended() {
	status=0
	wait $pid || status=$?
	cat /run/err
	[ $status -eq 1 ]
	grep -e "^nodectl: .*$1" /run/err
	[ "$(grep -c '^nodectl: ' /run/err)" -eq 1 ]
}
unchanged() {
	fingerprint >/run/after
	sed -i "${except:-}" /run/before /run/after
	diff /run/before /run/after
	with_boot [ ! -e $boot/bedplate/journal.json ]
	env_is default=lab-1+1
}
succeeded() {
	wait $pid || { cat /run/err; return 1; }
	env_is default=lab-1+1 trial=lab-2+1 tries=3
}
pool_state() {
	dmsetup status bedplate-pool00-tpool
}
# as_new: rollback, and nothing of the upgrade is left.
as_new() {
	ok rollback
	gone
}
gone() {
	lvm lvremove -q -y bedplate/lab-2+1 bedplate/lab-2 bedplate/var.lab-1+1
	with_boot rm -r $boot/lab-2+1
}
END

new_disk disk 1G
in_guest --disk="$work/disk" --memory=512 <<'END'
"$LAB_NODECTL" install --kickstart="$LAB_WORK/node.ks" --yes >/run/out 2>&1 || { cat /run/out; exit 1; }
END
cp --sparse=always "$work/disk" "$work/pristine"

# The source: a stick with a block that cannot be read, from the start or after its digest was right.
new_disk source 128M
in_guest --disk="$work/disk" --disk="$work/source" --memory=512 <<'END'
. "$LAB_WORK/faults-lib"
mke2fs -q -t ext4 -b 4096 /dev/ubdb
mkdir /run/source
mount /dev/ubdb /run/source
cp "$two" "$LAB_WORK/two/lab-2.manifest.json" /run/source
umount /run/source
blocks=$(($(stat -c %s "$two") / 4096))
at=$(($(debugfs -R "bmap /lab-2.squashfs.img $((blocks * 9 / 10))" /dev/ubdb) * 8))
end=$(blockdev --getsz /dev/ubdb)
# source_is TARGET: at that block.
source_is() {
	dmsetup load source <<TABLE
0 $at linear /dev/ubdb 0
$at 8 $1
$((at + 8)) $((end - at - 8)) linear /dev/ubdb $((at + 8))
TABLE
	dmsetup suspend --nolockfs source
	dmsetup resume source
	echo 3 >/proc/sys/vm/drop_caches
}
dmsetup create source --table "0 $end linear /dev/ubdb 0"
mount -o ro /dev/mapper/source /run/source
source_is error
refused 'lab-2.squashfs.img.*Input/output error' upgrade /run/source --allow-unsigned --yes
source_is "linear /dev/ubdb $at"
modprobe dm-flakey
started upgrade /run/source --allow-unsigned --yes
stopped_at base
source_is "flakey /dev/ubdb $at 0 3600"
goes_on
ended 'Input/output error'
unchanged
source_is "linear /dev/ubdb $at"
# It reads, and what it reads is not what its digest was of.
dd if=/dev/ubdb of=/run/block bs=512 skip=$at count=8 status=none
tr '\000-\377' '\001-\377\000' </run/block >/run/other
other=$(losetup -f --show /run/other)
started upgrade /run/source --allow-unsigned --yes
stopped_at base
source_is "linear $other 0"
goes_on
ended "new base 'lab-2'"
unchanged
source_is "linear /dev/ubdb $at"

# The pool: somebody else takes its data, when nothing is written yet and when much is.
lvm lvcreate -q -y -V 600m --thinpool=pool00 -n filler bedplate
used() {
	pool_state | sed 's|.* \([0-9]*\)/8192 .*|\1|'
}
fill() {
	! dd if=/dev/zero of=/dev/bedplate/filler bs=1M oflag=direct 2>/dev/null
	pool_state
}
empty() {
	blkdiscard /dev/bedplate/filler
	sync
	pool_state | grep ' rw '
}
empty
started upgrade /run/source --allow-unsigned --yes
stopped_at base
fill
goes_on
ended "thin pool 'bedplate/pool00' has no room: .* of data are used"
empty
unchanged
undone 'has no room: .* of data are used'

started upgrade /run/source --allow-unsigned --yes
stopped_at merge
fill
goes_on
ended "new layer 'lab-2+1': .*thin pool 'bedplate/pool00' has no room: .* of data are used"
empty
unchanged

modprobe dm-delay
started upgrade /run/source --allow-unsigned --yes
stopped_at base
source_is "delay /dev/ubdb $at 5000"
before=$(used)
goes_on
until [ "$(used)" -gt $((before + 40)) ]; do sleep 0.1; done
fill
ended "new base 'lab-2'.*No space left on device"
empty
unchanged
source_is "linear /dev/ubdb $at"
END

# Metadata of the pool, taken before, and while it writes.
cp --sparse=always "$work/pristine" "$work/disk"
cat >"$work/thins.py" <<'END'
# Thin devices FROM to TO of the pool, each with a block of metadata: thins.py create_thin|delete FROM TO
import fcntl
import struct
import sys

DM_TARGET_MSG = 0xC138FD0E
NAME = b"bedplate-pool00-tpool"
with open("/dev/mapper/control", "r+b", buffering=0) as control:
    for number in range(int(sys.argv[2]), int(sys.argv[3])):
        text = f"{sys.argv[1]} {number}".encode() + bytes(1)
        size = 312 + 8 + len(text)
        head = struct.pack("=10IQ", 4, 0, 0, size, 312, 0, 0, 0, 0, 0, 0)
        data = bytearray(head + NAME.ljust(264, bytes(1)) + bytes(8) + text)
        try:
            fcntl.ioctl(control, DM_TARGET_MSG, data)
        except OSError as e:
            sys.exit(f"{number}: {e}")
END
in_guest --disk="$work/disk" --memory=512 <<'END'
. "$LAB_WORK/faults-lib"
python3 "$LAB_WORK/thins.py" create_thin 1000 1640
pool_state
refused 'metadata of thin pool bedplate/pool00: .* needed, .* free: lvextend --poolmetadatasize' \
	upgrade "$two" --allow-unsigned --yes
python3 "$LAB_WORK/thins.py" delete 1000 1640
pool_state
started upgrade "$two" --allow-unsigned --yes
stopped_at base
python3 "$LAB_WORK/thins.py" create_thin 1000 1850
pool_state
goes_on
ended "thin pool 'bedplate/pool00' has no room: .* of metadata are used"
pool_state | grep ' rw '
python3 "$LAB_WORK/thins.py" delete 1000 1850
unchanged
END

# Used up, which makes the pool read-only: what had been begun goes once there is room again.
in_guest --disk="$work/disk" --memory=512 <<'END'
. "$LAB_LIB"
. "$LAB_WORK/faults-lib"
started upgrade "$two" --allow-unsigned --yes
stopped_at base
python3 "$LAB_WORK/thins.py" create_thin 1000 2100 2>/run/full && exit 1
pool_state | grep ' ro '
goes_on
status=0
wait $pid || status=$?
cat /run/err
[ $status -eq 1 ]
tail -n 1 /run/err | grep "thin pool 'bedplate/pool00' cannot be written to: its metadata needs repair"
env_is default=lab-1+1
"$LAB_NODECTL" upgrade "$two" --allow-unsigned --yes 2>/run/err && exit 1
cat /run/err
grep 'thin pool bedplate/pool00 is read-only' /run/err
"$LAB_NODECTL" factory-reset --yes 2>/run/err && exit 1
cat /run/err
grep 'thin pool bedplate/pool00 is read-only' /run/err
lvm vgchange -an bedplate
lvm lvextend -q --poolmetadatasize +4m bedplate/pool00
lvm vgchange -ay --sysinit bedplate
python3 "$LAB_WORK/thins.py" delete 1000 "$(cut -d: -f1 /run/full)"
ok recover
except='s/ twi-a-tzM- / twi-a-tz-- /'
unchanged
pool_agrees bedplate pool00
END

# A pool that takes no more writes keeps nobody from going back.
in_guest --disk="$work/disk" --memory=512 <<'END'
. "$LAB_WORK/faults-lib"
ok upgrade "$two" --allow-unsigned --yes
ok rollback
found_good lab-2+1
python3 "$LAB_WORK/thins.py" create_thin 1000 4000 2>/run/full && exit 1
pool_state | grep ' ro '
ok rollback --to=lab-2+1
grep 'warning: no way back to /var as it is now: ' /run/err
env_is default=lab-2+1
ok rollback
env_is default=lab-1+1

# Nor does a full /boot.
mount -t ext4 /dev/ubda3 $boot
dd if=/dev/zero of=$boot/full bs=64k 2>/dev/null || :
dd if=/dev/zero of=$boot/full oflag=append conv=notrunc bs=1k 2>/dev/null || :
umount $boot
ok rollback --to=lab-2+1
grep 'warning: no journal: .*No space left on device' /run/err
env_is default=lab-2+1
ok rollback
env_is default=lab-1+1
with_boot [ ! -e $boot/bedplate/journal.json ]
END

cp --sparse=always "$work/pristine" "$work/disk"
in_guest --disk="$work/disk" --memory=512 <<'END'
. "$LAB_WORK/faults-lib"
# /boot fills up after it was found large enough.
started upgrade "$two" --allow-unsigned --yes
stopped_at merge
mount -t ext4 /dev/ubda3 $boot
dd if=/dev/zero of=$boot/full bs=1M 2>/dev/null || :
# Room for the journal.
truncate -s -65536 $boot/full
umount $boot
goes_on
ended "boot volume: kernel and initramfs of layer 'lab-2+1' need more than .*, .* free"
with_boot rm $boot/full
unchanged

# Killed in each step: what boots is the same, and recover takes all else away.
except='/history.jsonl$/d'
for stage in base verify merge layer 'boot entry'; do
	started upgrade "$two" --allow-unsigned --yes
	stopped_at "$stage"
	kill -KILL $pid
	wait $pid || :
	env_is default=lab-1+1
	ok recover
	with_boot tail -n 1 $boot/bedplate/history.jsonl | jq -e '.result == "recovered"'
	unchanged
done
# While /boot was frozen: the next operation thaws it, or what writes to it would hang.
mount -t ext4 /dev/ubda3 $boot
fsfreeze --freeze $boot
umount $boot
ok recover
with_boot touch $boot/thawed
with_boot rm $boot/thawed
# In the commit the next upgrade does it.
mkdir /run/bin
printf '#!/bin/sh\nkill -KILL $PPID\n' >/run/bin/thin_check
chmod 755 /run/bin/thin_check
PATH=/run/bin:$PATH
started upgrade "$two" --allow-unsigned --yes
wait $pid || :
PATH=${PATH#/run/bin:}
env_is default=lab-1+1
[ -e /dev/mapper/bedplate-pool-check ]
ok upgrade "$two" --allow-unsigned --yes
env_is default=lab-1+1 trial=lab-2+1 tries=3
[ ! -e /dev/mapper/bedplate-pool-check ]
END

# A node that runs: its server goes and comes, its /var is full before and during a download.
cp --sparse=always "$work/pristine" "$work/disk"
cat >"$work/server.py" <<'END'
# server.py FOLDER LOG [gone|waits]: what it does in the middle of an image
import http.server
import os
import sys
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = os.path.join(sys.argv[1], os.path.basename(self.path))
        if not os.path.exists(path):
            return self.send_error(404)
        with open(path, "rb") as file:
            data = file.read()
        start = int(self.headers.get("Range", "bytes=0-")[6:].split("-")[0])
        self.send_response(206 if "Range" in self.headers else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        half = len(data) // 2 if path.endswith(".img") and sys.argv[3:] else start
        self.wfile.write(data[start:half])
        if sys.argv[3:] == ["gone"] and half != start:
            self.wfile.flush()
            os._exit(0)
        while half != start and not os.path.exists("/run/go"):
            time.sleep(0.1)
        try:
            self.wfile.write(data[half:])
        except ConnectionError:
            pass

    def log_message(self, *args):
        with open(sys.argv[2], "a") as log:
            print(self.path, self.headers.get("Range"), file=log)


server = http.server.HTTPServer(("127.0.0.1", 8000), Handler)
open("/run/serves", "x").close()
server.serve_forever()
END
in_guest --disk="$work/disk" --memory=512 <<'END'
. "$LAB_WORK/faults-lib"
lvm lvchange -q -ay -K bedplate/lab-1
verity=$(jq -r '"\(.root_hash) --hash-offset=\(.hash_offset)"' <<JSON
$(jq .verity "$LAB_WORK/one/lab-1.manifest.json")
JSON
)
veritysetup open /dev/bedplate/lab-1 bedplate-base /dev/bedplate/lab-1 $verity
mount -t ext4 /dev/ubda3 /boot
mount /dev/bedplate/var /var
echo "bedplate.layer=lab-1+1 bedplate.roothash=${verity%% *}" >/run/cmdline
mount --bind /run/cmdline /proc/cmdline
ip link set lo up
fsfreeze --freeze /boot
ok recover
touch /boot/thawed
rm /boot/thawed
# Downloads take room of /var.
with_use=
url=http://127.0.0.1:8000/lab-2.squashfs.img
serve() {
	python3 "$LAB_WORK/server.py" "$LAB_WORK/two" /run/log "$@" &
	server=$!
	until [ -e /run/serves ]; do sleep 0.1; done
	rm /run/serves
}
parts() {
	find /var/lib/bedplate/download -name '*.part' -size +8M
}
full_var() {
	! dd if=/dev/zero of=/var/full bs=64k 2>/dev/null
}
serve gone
started upgrade $url --allow-unsigned --yes
status=0
wait $pid || status=$?
cat /run/err
[ $status -eq 1 ]
grep -v '; trying again in ' /run/err >/run/last
grep '^nodectl: image: http://127.0.0.1:8000/lab-2.squashfs.img: ' /run/last
[ "$(grep -c '^nodectl: ' /run/last)" -eq 1 ]
unchanged
[ -n "$(parts)" ]
serve
full_var
refused '/var, for the download: .* needed, .* free: remove files' upgrade $url --allow-unsigned --yes
rm /var/full
# What is refused by its manifest is not asked for, and what was there of it goes.
: >/run/log
mkdir "$LAB_WORK/two/hold"
mv "$LAB_WORK/two/lab-2.manifest.json" "$LAB_WORK/two/hold"
jq '.upgrades_from = {min: "7", max: null}' "$LAB_WORK/two/hold/lab-2.manifest.json" \
	>"$LAB_WORK/two/lab-2.manifest.json"
refused 'upgrades from 7 and newer' upgrade $url --allow-unsigned --yes
if grep squashfs /run/log; then exit 1; fi
[ -z "$(parts)" ]
mv "$LAB_WORK/two/hold/lab-2.manifest.json" "$LAB_WORK/two"
kill $server
wait $server || :
serve waits
started upgrade $url --allow-unsigned --yes
until [ -n "$(parts)" ]; do sleep 0.1; done
full_var
touch /run/go
ended "no room for the rest of the image in '/var/lib/bedplate/download/lab-2.*part'"
unchanged
rm /var/full
: >/run/log
ok upgrade $url --allow-unsigned --yes
grep 'lab-2.squashfs.img bytes=[1-9]' /run/log
[ -z "$(parts)" ]
env_is default=lab-1+1 trial=lab-2+1 tries=3
as_new
# With an image at hand nothing of it is needed.
full_var
ok upgrade "$two" --allow-unsigned --yes
env_is default=lab-1+1 trial=lab-2+1 tries=3
as_new
rm /var/full

# The running system stays as it is, and the new layer is as large as this one has become.
live() {
	find /etc /var -xdev -path /var/lib/bedplate -prune -o \
		-printf '%p %y %m %U %G %s %T@ %l\n' | sort
	findmnt -rn -o TARGET,SOURCE,OPTIONS,PROPAGATION
}
size_of() {
	lvm lvs --noheadings -o lv_size --units=b "bedplate/$1"
}
before=$(size_of lab-1+1)
lvm lvextend -q -L +32m bedplate/lab-1+1
[ "$(size_of lab-1+1)" != "$before" ]
live >/run/live-before
ok upgrade "$two" --allow-unsigned --yes
live | diff /run/live-before -
[ "$(size_of lab-2+1)" = "$(size_of lab-1+1)" ]
as_new

# An image of another name is one like any other: listed, gone back from, removed.
mkdir "$LAB_WORK/other"
ln "$two" "$LAB_WORK/other/image.img"
jq '.name = "my-other.one"' "$LAB_WORK/two/lab-2.manifest.json" >"$LAB_WORK/other/manifest.json"
other=my-other.one-2+1
fingerprint >/run/before
ok upgrade "$LAB_WORK/other/image.img" --allow-unsigned --allow-other-name --yes
env_is default=lab-1+1 trial=$other tries=3
mkdir -p /usr/lib/bedplate
echo '{"name": "lab", "version": "1", "arch": "amd64", "source_date": 0}' >/usr/lib/bedplate/image.json
ok layers
grep -e "$other" /run/out
grep -e 'lab-1+1.*current' /run/out
rm /usr/lib/bedplate/image.json
ok rollback
ok recover
grep 'nothing to do' /run/out
ok gc --keep=1
lvm lvremove -q -y bedplate/var.lab-1+1
unchanged

# Virtual machines: the restart would end them, so what boots next stays; a staged layer ends nothing.
mkdir -p /run/fake
printf '#!/bin/sh\necho guest-1\n' >/run/fake/virsh
chmod 755 /run/fake/virsh
(
	PATH=/run/fake:$PATH
	refused '1 virtual machine is running (guest-1): move or stop' upgrade "$two" --allow-unsigned --yes
	ok upgrade "$two" --allow-unsigned --stage --yes
	grep guest-1 /run/out
	refused '1 virtual machine is running (guest-1): move or stop' activate
	ok activate --allow-running-vms
)
env_is default=lab-1+1 trial=lab-2+1 tries=3
as_new
ok upgrade "$two" --allow-unsigned --stage --yes
ok activate
as_new

# The clock: certificates end, nothing else asks it.
mkdir -p /etc/bedplate/trust.d
cp "$LAB_WORK/ours.pem" /etc/bedplate/trust.d
cp "$LAB_WORK/ours.sig" "$LAB_WORK/two/lab-2.manifest.json.sig"
today=$(date +%s)
date -s 2010-02-03
refused 'not yet valid: the clock of this machine says 2010-02-03' upgrade "$two" --yes
date -s 2050-02-03
refused 'has expired: the clock of this machine says 2050-02-03' upgrade "$two" --yes
date -s "@$today"
ok upgrade "$two" --stage --yes
date -s 2010-02-03
ok activate
env_is default=lab-1+1 trial=lab-2+1 tries=3
ok history
ok rollback
tail -n 3 /boot/bedplate/history.jsonl | jq -rs 'map(.result) | join(" ")' | grep -x 'staged trial done'
gone
for now in 2050-02-03 2010-02-03; do
	date -s "@$today"
	started upgrade "$two" --yes
	stopped_at merge
	date -s $now
	goes_on
	succeeded
	as_new
done
END

# The power failed while somebody gave up a snapshot of the metadata: counts that are too high are let pass, damage is not.
cp --sparse=always "$work/pristine" "$work/disk"
in_guest --disk="$work/disk" --memory=512 <<'END'
. "$LAB_WORK/faults-lib"
disk=$(lvm pvs --noheadings -o pv_name | tr -d ' ')
at=$(dmsetup table bedplate-pool00_tmeta | cut -d' ' -f5)
dmsetup message bedplate-pool00-tpool 0 reserve_metadata_snap
lvm vgchange -q -an bedplate
python3 "$LAB_WORK/leak-counts.py" "$disk" "$at"
echo 3 >/proc/sys/vm/drop_caches
! lvm lvchange -ay bedplate/pool00 || exit 1
ok upgrade "$two" --allow-unsigned --yes
env_is default=lab-1+1 trial=lab-2+1 tries=3
ok rollback
lvm vgchange -q -an bedplate
dd if=/dev/zero of="$disk" bs=4k seek=$((at / 8 + 1)) count=200 conv=notrunc,fsync status=none
echo 3 >/proc/sys/vm/drop_caches
refused 'Check of pool bedplate/pool00 failed' recover
END
