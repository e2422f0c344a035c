# SPDX-License-Identifier: Apache-2.0
# Shared by the tests that build real images.  They take the path of bedplate as their argument.
# shellcheck source=../cli/lib.sh
. "$(dirname "$0")/../cli/lib.sh"

bedplate=$1
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
# Downloads and stages of the image that all these tests share; a clean machine refills it.
cache=${BEDPLATE_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bedplate}/test
export source_dir cache

requires_root() {
	[ "$(id -u)" -eq 0 ] || {
		echo "skipped: building an image needs root"
		exit 77
	}
}

# build OPTION...: the test image, or that of $recipe, into $work/image; fails the test when it cannot
# be built.
build() {
	"$bedplate" image build "${recipe:-$source_dir/tests/vm/minimal-test.ks}" --cache="$cache" \
		-o "$work/image" "$@" >"$work/out" 2>"$work/err" || fail "build: $(tail -3 "$work/err")"
}

# installed_node DISK: a raw disk with that image installed by tests/vm/install-test.ks.
# Installing takes minutes: it is done once for the same image, and kept beside the image cache.
installed_node() {
	node_folder=$cache/installed
	build --compression=zstd:3
	node_image=$(cat "$work/out")
	node_ks=$source_dir/tests/vm/install-test.ks
	node_kept=$node_folder/$(cat "${node_image%.squashfs.img}.manifest.json" "$node_ks" |
		sha256sum | cut -c1-32).raw
	mkdir -p "$node_folder"
	(
		flock 9
		[ ! -e "$node_kept" ] || exit 0
		find "$node_folder" -name '*.raw*' -delete
		make_disk "$node_kept.new" 12G
		TMPDIR=$work "$bedplate" vm install -q --cpus=1 "$node_image" --disk="$node_kept.new" --yes \
			--kickstart="$node_ks" --network=none --timeout=3000 \
			--serial="$work/console" >"$work/out" 2>"$work/err" ||
			fail "install: $(cat "$work/err")"
		# As its kickstart says; without it the verdict comes five minutes later.
		grep -aq 'reboot: Restarting system' "$work/console" ||
			fail "no reboot: $(tail "$work/console")"
		mv "$node_kept.new" "$node_kept"
	) 9>"$node_folder.lock" || exit 1
	cp --sparse=always "$node_kept" "$1"
}

# json FILE FILTER: one value out of a JSON file.
json() {
	jq -r "$2" "$1"
}

# is GOT WANT WHAT
is() {
	[ "$1" = "$2" ] || fail "$3 is '$1', expected '$2'"
}

# serve FOLDER: over http; machines find it at $server_url, what was asked for is in $work/requests.
serve() {
	python3 -u -c '
import functools, http.server, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
print(server.server_port, flush=True)
server.serve_forever()
' "$1" >"$work/port" 2>"$work/requests" &
	server_pid=$!
	until [ -s "$work/port" ]; do
		kill -0 "$server_pid" || fail "no HTTP server: $(cat "$work/requests")"
		sleep 0.1
	done
	# shellcheck disable=SC2034 # for the tests
	server_url=http://10.0.2.2:$(cat "$work/port")
}

# Machines that a test talks to while it does other things.  One processor each: two tests run at a time, and
# without KVM a processor that waits for a second one which does not run is lost.

# After so many seconds a boot has failed, also on a busy machine without KVM.
boot_seconds=1200
vm_pid=
server_pid=
# A test that fails leaves no machine and no server behind.
clean_up() {
	[ -z "$vm_pid" ] || vm_kill 2>/dev/null
	[ -z "$server_pid" ] || kill "$server_pid" || :
	rm -rf "$work"
}
trap clean_up EXIT

# vm_start OPTION... WHAT: "vm run", or "vm $vm_verb", in the background.  What it says is in $work/console from here on.
vm_start() {
	rm -f "$work/keys"
	mkfifo "$work/keys"
	: >"$work/console"
	TMPDIR=$work "$bedplate" vm "${vm_verb:-run}" --cpus=1 --serial="$work/console" "$@" <"$work/keys" >"$work/vm.out" \
		2>"$work/vm.err" &
	vm_pid=$!
	exec 9>"$work/keys"
	vm_seen=0
}

# vm_await TEXT [SECONDS]: until it is on the console, after what was awaited before.
vm_await() {
	vm_deadline=$(($(date +%s) + ${2:-$boot_seconds}))
	until vm_hit=$(tail -c "+$((vm_seen + 1))" "$work/console" | grep -aobF -- "$1" | head -n 1) &&
		[ -n "$vm_hit" ]; do
		kill -0 "$vm_pid" 2>/dev/null || vm_fail "the machine ended before '$1'"
		[ "$(date +%s)" -lt "$vm_deadline" ] || vm_fail "no '$1'"
		sleep 0.5
	done
	vm_seen=$((vm_seen + ${vm_hit%%:*} + ${#1}))
}

vm_fail() {
	fail "$*: $(cat "$work/vm.err") console: $(tail -n 40 "$work/console")"
}

# vm_type TEXT: as printf's format.
vm_type() {
	# shellcheck disable=SC2059 # that is what it is
	printf "$1" >&9
}

# vm_login: with the password of the test images.
vm_login() {
	vm_await 'login: '
	vm_type 'root\n'
	vm_await 'assword: '
	vm_type 'bedplate-test\n'
	vm_await '# '
	vm dmesg -n 1
}

# vm COMMAND...: in the shell that is logged in; fails the test when it fails.  What it printed is in
# $work/said.
vm() {
	vm_from=$vm_seen
	# The marks are quoted in the middle: what is typed is no match.  A tab would complete a name.
	printf '%s\n' "echo 'vm-'begin; $*; echo 'vm-'status \$? 'vm-'end" | tr '\t' ' ' >&9
	vm_await ' vm-end'
	tail -c "+$((vm_from + 1))" "$work/console" | head -c $((vm_seen - vm_from)) | tr -d '\r' |
		sed 's/\x1b\[[0-9;?!]*[A-Za-z]//g' >"$work/vm.text"
	sed -n '/vm-begin$/,/vm-status [0-9]/p' "$work/vm.text" | sed '1d;$d' >"$work/said"
	grep -q 'vm-status 0 ' "$work/vm.text" || fail "in the machine: '$*': $(cat "$work/vm.text")"
}

# vm_all_up: the system has started, and nothing has failed; else what has.
vm_all_up() {
	vm 'systemctl is-system-running --wait || { systemctl status --no-pager -n 30 --state=failed; false; }'
}

# as_disk FILE DISK: a text file as a disk that a shell or a kickstart can be read from.
as_disk() {
	cp "$1" "$2"
	left=$(($(stat -c %s "$2") % 512))
	[ $left -eq 0 ] || head -c $((512 - left)) /dev/zero | tr '\0' '\n' >>"$2"
}

# make_disk FILE SIZE: raw, sparse.
make_disk() {
	rm -f "$1"
	truncate -s "$2" "$1"
}

# await_file TEXT FILE PID: until the process PID has written this to the file.
await_file() {
	deadline=$(($(date +%s) + boot_seconds))
	until grep -aqF -- "$1" "$2" 2>/dev/null; do
		kill -0 "$3" 2>/dev/null || fail "it ended before '$1': $(tail -n 40 "$2")"
		[ "$(date +%s)" -lt "$deadline" ] || fail "no '$1': $(tail -n 40 "$2")"
		sleep 0.2
	done
}

# vm_end: it has been told to go, or goes by itself.
vm_end() {
	vm_status=0
	wait "$vm_pid" || vm_status=$?
	exec 9>&-
	vm_pid=
	[ "$vm_status" -eq 0 ] || vm_fail "vm run: status $vm_status"
}

# vm_kill: the power goes.
vm_kill() {
	exec 9>&-
	kill -KILL "$(qemu_of "$vm_pid")" || :
	wait "$vm_pid" || :
	vm_pid=
}

# qemu_of PID: the QEMU that this bedplate, or the function around it, has started.
qemu_of() {
	pgrep -P "$1" qemu-system || pgrep -P "$(pgrep -d, -P "$1")" qemu-system
}
