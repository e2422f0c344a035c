#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# plugin check with a QEMU that carries out on this machine what a guest would: each check that fails, what the
# report says then, and that nothing is left behind.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
bedplate=$1

# --- Wrong use, whoever asks.
expect 2 "$bedplate" plugin check x.plugin
same "$work/err" "bedplate: '--image' is missing
Try 'bedplate plugin check --help'."
expect 2 "$bedplate" plugin check x.plugin --image=x --timeout=0
grep -qF "'--timeout' is 0" "$work/err" || fail "$(cat "$work/err")"
expect 2 "$bedplate" plugin check x.plugin --image=x --timeout=604801
grep -qF "'--timeout' is more than a week" "$work/err" || fail "$(cat "$work/err")"
expect 1 "$bedplate" plugin check x.plugin --image=x --memory=1M
grep -qF "1048576 bytes of memory are too few" "$work/err" || fail "$(cat "$work/err")"
expect 2 "$bedplate" plugin check
expect 2 "$bedplate" plugin check a b --image=x

for tool in mksquashfs mke2fs openssl jq unshare cpio python3; do
	requires command -v $tool
done
[ "$(id -u)" -eq 0 ] || {
	expect 1 "$bedplate" plugin check x.plugin --image=x
	same "$work/err" "bedplate: checking a plugin needs root"
	echo "skipped: the rest needs root"
	exit 77
}
requires unshare -m true
cd "$work"
mkdir tmp bin
export TMPDIR="$work/tmp"

# --- An image that no machine could boot.
mkdir -p tree/dev tree/proc tree/run tree/sys tree/tmp tree/root tree/var/tmp tree/boot tree/etc tree/usr/lib/bedplate tree/usr/lib/modules/6.1 tree/usr/share/factory tree/var/lib \
	image wrap/LiveOS
echo kernel >tree/boot/vmlinuz-6.1
echo initramfs >tree/boot/initrd.img-6.1
printf 'append=quiet\n' >tree/usr/lib/bedplate/boot.conf
: >tree/etc/resolv.conf
: >tree/etc/machine-id
chmod 444 tree/etc/machine-id
cp -al tree/var tree/usr/share/factory/var
find tree -exec touch -h -d @1600000000 {} +
truncate -s 8M wrap/LiveOS/rootfs.img
mke2fs -q -t ext4 -b 4096 -O ^has_journal -d tree wrap/LiveOS/rootfs.img
image=image/node-1.squashfs.img
mksquashfs wrap $image -quiet -no-progress -comp zstd >/dev/null
cat >image/node-1.manifest.json <<END
{"manifest_version":1,"name":"node","version":"1","arch":"amd64","source_date":1700000000,
"rootfs_type":"squashfs-ext4","kernels":[],"packages":[],"previous":null,"tool":"hand","recipe":null,
"liveimg":{"file":"node-1.squashfs.img","size":$(stat -c %s $image),"sha256":"$(sha256sum <$image | cut -d' ' -f1)"},
"rootfs":null,"files":null,"sbom":null,"verity":null}
END

# --- A machine.  $GUEST: what becomes of it; what it was given is in $work/guest.
cat >bin/qemu-system-x86_64 <<'END'
#!/usr/bin/python3
import os, re, socket, subprocess, sys
args = sys.argv[1:]
work = os.environ["WORK"]
console = socket.socket(fileno=0)
console.sendall(b"starting\r\n")
if os.environ["GUEST"] == "dead":
    console.sendall(b"Kernel panic - not syncing\r\n")
    sys.exit(0)
with open(args[args.index("-initrd") + 1], "rb") as f:
    assert f.read(10) == b"initramfs\n"
    f.seek(12)
    archive = f.read()
disk = [re.search("file=(.*)", a)[1] for a in args if "id=disk1," in a][0]
subprocess.run(["rm", "-rf", work + "/guest"], check=True)
os.mkdir(work + "/guest")
subprocess.run(["cpio", "-id", "--quiet"], input=archive, cwd=work + "/guest", check=True)
subprocess.run(["unshare", "-m", "sh", "-eu", work + "/boot", disk], check=True,
               stdin=subprocess.DEVNULL)
END
cat >boot <<'END'
# The services by hand: copy to /run, run from there.
mkdir "$WORK/guest/run" "$WORK/guest/null"
grep -q '^ExecStart=cp -R /bedplate-plugin-check/. /run/$' "$WORK/guest/etc/systemd/system/initrd.target.wants/"*
cp -R "$WORK/guest/bedplate-plugin-check/." "$WORK/guest/run/"
disk=$(realpath "$1")
mount --bind "$WORK/guest/run" /run
mount -t tmpfs none /sys
mkdir -p /sys/block/vda /sys/block/vdb
echo image >/sys/block/vda/serial
echo disk0 >/sys/block/vdb/serial
touch "$WORK/guest/null/null"
mount --bind /dev/null "$WORK/guest/null/null"
touch "$WORK/guest/null/console"
ln -s "$disk" "$WORK/guest/null/vdb"
mount --rbind "$WORK/guest/null" /dev
PATH=$WORK/guest-bin:$PATH
command=$(sed -n 's/^ExecStart=//p' /run/systemd/system/multi-user.target.wants/*)
$command
cat /dev/console >"$WORK/said"
END
mkdir guest-bin
cat >guest-bin/systemctl <<'END'
#!/bin/sh
case $* in
is-system-running*) echo "${STATE:-running}"; [ -z "${STATE:-}" ] ;;
list-units*) [ -z "${UNITS:-}" ] || printf '%s loaded failed failed x\n' $UNITS ;;
status*) echo "why: $*"; exit 3 ;;
poweroff*) ;;
*) echo "what? $*" >&2; exit 1 ;;
esac
END
chmod +x bin/* guest-bin/*
export PATH="$work/bin:$PATH" WORK="$work" GUEST=

# --- Plugins.
# plugin NAME [MORE]: with what lies in NAME/tests.
plugin() {
	mkdir -p "$1"
	cat >"$1/plugin.json" <<END
{"name": "$1", "version": "1.0", "vendor": "V", "description": "D", "images": [{"name": "node"}],
"kernel_arguments": {"add": ["a=b"]}${2:-}}
END
	echo 'bootloader --append="a=b"' >"$1/recipe.ks"
	expect 0 "$bedplate" plugin pack "$1" -q
}
# has TEXT: the report, in $work/out, has this line.
has() {
	grep -qxF -- "$1" "$work/out" || fail "no '$1' in: $(cat "$work/out" "$work/err")"
}
check() {
	expect "$1" "$bedplate" plugin check -q "$2-1.0.plugin" --image=$image "$3" "$4"
	[ -z "$(ls -A tmp)" ] || fail "temporary files: $(ls -A tmp)"
}

# Tests are run by name, whatever their mode; others and folders are there for them.
mkdir -p good/tests/lib
cat >good/tests/20-two <<'END'
#!/bin/sh
. lib/names
cat data
echo "$one $0"
[ ! -t 0 ] && ! read -r x
END
printf '#!/bin/sh\necho first\n' >good/tests/10-one
echo 'one=1' >good/tests/lib/names
printf '#!/bin/sh\nexit 1\n' >good/tests/lib/30-none
echo 'some data' >good/tests/data
chmod 755 good/tests/data good/tests/lib/30-none
plugin good
check 0 good --timeout=60 --json
cp out report.json
jq -e '.passed and (.checks | map(.result) | unique == ["passed"]) and .console == null' <out >judged || fail "no: $(jq . <"$work/out")"
[ "$(jq -r '.plugin.sha256' out)" = "$(sha256sum <good-1.0.plugin | cut -d' ' -f1)" ] || fail "$(cat out)"
[ "$(jq -r '.image.sha256' out)" = "$(sha256sum <$image | cut -d' ' -f1)" ] || fail "$(cat out)"
[ "$(jq -r '.result.version' out)" = 1+good ] || fail "$(cat out)"
jq -r '.tests[] | .name + " " + .result + " " + (.status | tostring) + " " + .output' out >tests
same tests '10-one passed 0 first

20-two passed 0 some data
1 ./20-two
'
same said 'plugin-check: running
plugin-check: 10-one ok
plugin-check: 20-two ok
plugin-check: done'
# Twice the same; into a file.
check 0 good --json --output=again.json
[ ! -s out ] || fail "$(cat out)"
cmp report.json again.json || fail "not the same report"
check 0 good --keep=kept -v
has '  test 10-one: passed'
has '    first'
has 'Verdict:     passed'
expect 0 "$bedplate" plugin verify -q kept/node-1+good.squashfs.img
grep -q starting kept/console.log || fail "no console"

# A smoke test that fails: all others run, and the report says which.
mkdir -p bad/tests
printf '#!/bin/sh\necho "reason"; printf %%09000d 0; echo; echo last; exit 7\n' >bad/tests/10-fails
printf '#!/bin/sh\nprintf "a\\033[1m\\0\\n"\n' >bad/tests/20-works
printf '#!/bin/sh\nkill -SEGV $$\n' >bad/tests/30-dies
plugin bad
check 1 bad --timeout=60 -v
grep -qx "bedplate: check 'tests' failed: 10-fails 30-dies" err || fail "$(cat err)"
has '  test 10-fails: failed with status 7'
has '    last'
! grep -q reason out || fail "more than the end: $(grep reason out)"
has '  test 20-works: passed'
has '    a\x1b[1m?'
has '  test 30-dies: failed with status 139'
has 'units        passed'
has 'Verdict:     failed'

# Units that have failed, and the tests run all the same.
export STATE=degraded UNITS="a.service b.service"
check 1 good --timeout=60 --json
grep -qx "bedplate: check 'units' failed: a.service b.service" err || fail "$(cat err)"
jq -e '.passed == false and (.checks[5].result == "passed") and (.failed_units[1].output |
	startswith("why: status")) and (.failed_units | length == 2)' <out >judged || fail "no: $(jq . <"$work/out")"
export STATE=maintenance UNITS=
check 1 good --timeout=60 -v
has "boot         failed: the system is 'maintenance', not 'running'"
has 'tests        not run'
unset STATE UNITS

# A test that does not end is named.
mkdir -p slow/tests
printf '#!/bin/sh\necho begun; exec sleep 1000\n' >slow/tests/10-hangs
plugin slow
check 1 slow --timeout=8 -v
grep -q "^boot         failed: during the smoke test '10-hangs': .*timed out" out || fail "$(cat out)"
has '  test 10-hangs: failed, it did not end'
has '    starting'

# A machine that dies before it has said a word.
GUEST=dead check 1 good --timeout=60 -v
has 'boot         failed: the system did not start: the machine ended without a verdict'
has '    Kernel panic - not syncing'
has 'verify       passed'

# No tests are no failure, and the report does not hide it.
plugin none
check 0 none --timeout=60 --json
jq -e '.passed and .tests == []' <out >judged || fail "no: $(jq . <"$work/out")"

# What fails earlier: the plugin, its signature, the image.
head -c 3000 good-1.0.plugin >cut-1.0.plugin
check 1 cut --timeout=60 -v
grep -q '^plugin       failed: ' out || fail "$(cat out)"
has 'apply        not run'
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=v -days 9 2>ssl
check 1 good --trust=cert.pem -v
has 'plugin       failed: it is not signed'
sed 's/"node"/"other"/' good/plugin.json >x && mv x good/plugin.json
expect 0 "$bedplate" plugin pack good -q
check 1 good --timeout=60 -v
grep -q "^apply        failed: .*good.*" out || fail "$(cat out)"
has 'Verdict:     failed'
expect 1 "$bedplate" plugin check -q good-1.0.plugin --image=nowhere.squashfs.img
grep -q '^apply        failed: .*nowhere' out || fail "$(cat out)"

# Ctrl-C: no report, no machine.
"$bedplate" plugin check -q slow-1.0.plugin --image=$image >out 2>err &
pid=$!
until grep -q 10-hangs guest/run/bedplate-plugin-check/report 2>/dev/null; do
	kill -0 $pid || fail "it ended: $(cat out err)"
	sleep 0.1
done
kill -TERM $pid
! wait $pid || fail "status 0 after SIGTERM"
grep -q interrupted err || fail "$(cat err)"
[ ! -s out ] || fail "$(cat out)"
[ -z "$(ls -A tmp)" ] || fail "temporary files: $(ls -A tmp)"
