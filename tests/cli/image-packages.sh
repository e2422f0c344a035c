#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What becomes of repo, url and %packages, against a small archive made here: no network is needed.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
bedplate=$1
requires test "$(id -u)" = 0
requires command -v mmdebstrap
requires command -v apt-get
requires command -v dpkg-deb
requires command -v dpkg-scanpackages
requires command -v gpg
arch=$(dpkg --print-architecture)
archive=$work/archive
key=$work/key.gpg

# package NAME [FIELD...]: one more package in the archive's pool.
package() {
	root=$work/package
	rm -rf "$root"
	mkdir -p "$root/DEBIAN" "$root/usr/share/doc/$1"
	name=$1
	shift
	{
		printf 'Package: %s\nVersion: 1\nArchitecture: all\n' "$name"
		printf 'Maintainer: Nobody <nobody@example.org>\nDescription: for a test\n'
		for field; do
			printf '%s\n' "$field"
		done
	} >"$root/DEBIAN/control"
	dpkg-deb --root-owner-group -b "$root" "$archive/pool/$name.deb" >/dev/null
}

# publish SUITE: its Packages and Release files, signed with our key.
publish() {
	dists=$archive/dists/$1
	mkdir -p "$dists/main/binary-$arch"
	(cd "$archive" && dpkg-scanpackages pool) >"$dists/main/binary-$arch/Packages" 2>/dev/null
	file=main/binary-$arch/Packages
	{
		printf 'Origin: Test\nLabel: Test\nSuite: %s\nCodename: %s\n' "$1" "$1"
		printf 'Date: Thu, 01 Jan 2026 00:00:00 UTC\n'
		printf 'Architectures: %s\nComponents: main\nSHA256:\n' "$arch"
		printf ' %s %s %s\n' "$(sha256sum "$dists/$file" | cut -d ' ' -f 1)" \
			"$(stat -c %s "$dists/$file")" "$file"
	} >"$dists/Release"
	rm -f "$dists/InRelease"
	gpg --batch --quiet --clearsign -o "$dists/InRelease" "$dists/Release"
}

# Else gpg leaves one behind for each key.
stop_agent() {
	[ -z "${GNUPGHOME:-}" ] || gpgconf --kill gpg-agent
}

# new_key FILE: a throwaway key that signs from now on.
new_key() {
	stop_agent
	export GNUPGHOME="$1.home"
	mkdir -m 700 "$GNUPGHOME"
	gpg --batch --quiet --passphrase '' \
		--quick-generate-key test@example.org rsa3072 sign never 2>/dev/null
	gpg --batch --quiet --export >"$1"
}

# recipe REPO-LINE PACKAGES...: a kickstart beside the archive.
recipe() {
	{
		printf 'image --name=test --version=1\n%s\n' "$1"
		shift
		printf '%%packages --nocore\n'
		for item; do
			printf '%s\n' "$item"
		done
		printf '%%end\n'
	} >"$work/test.ks"
}

# refused PATTERN: the build ends with this one line.
refused() {
	expect 1 "$bedplate" image build -q "$work/test.ks" --cache="$work/cache" -o "$work/out-dir"
	[ "$(wc -l <"$work/err")" -eq 1 ] || fail "not one line: $(cat "$work/err")"
	grep -Eq "$1" "$work/err" || fail "'$(cat "$work/err")' does not match '$1'"
	! grep -F "$work/cache" /proc/self/mountinfo || fail "something is still mounted"
}

unset GNUPGHOME
trap 'stop_agent; rm -rf "$work"' EXIT
mkdir -p "$archive/pool"
package alpha
package beta 'Depends: alpha'
package beta-doc 'Provides: manual'
package alpha-doc 'Provides: manual'
package base-thing 'Essential: yes'
new_key "$key"
publish stable
signed="url --url=file:archive --suite=stable --signedby=$key"

# Names, globs and groups that are not there; file: counts from the kickstart's folder.
recipe "$signed" alpha gamma
refused "test\.ks:5: no package matches 'gamma'"
recipe "$signed" 'gam*'
refused "test\.ks:4: no package matches 'gam\*'"
recipe "$signed" '@games'
refused "test\.ks:4: no group matches '@games'"
recipe "$signed" manual
refused "test\.ks:4: 'manual' is virtual, name one that provides it: .*beta-doc"
recipe "$signed" -base-thing
refused "test\.ks:4: 'base-thing' is essential and can not be left out"

# What is excluded is not installed behind the kickstart's back.
recipe "$signed" beta -alpha
refused "'alpha' is excluded in %packages, but needed: beta : Depends: alpha|alpha"

# What one archive may give: delta is in no other one.
mkdir "$work/flat"
package delta
package epsilon 'Depends: delta'
mv "$archive/pool/delta.deb" "$archive/pool/epsilon.deb" "$work/flat"
(cd "$work/flat" && dpkg-scanpackages .) >"$work/flat/Packages" 2>/dev/null
flat='repo --name=flat --baseurl=file:flat --unsigned'
recipe "$flat --includepkgs=eps*,zeta" epsilon
refused "epsilon : Depends: delta|delta"
recipe "$flat --excludepkgs=delta" epsilon
refused "epsilon : Depends: delta|delta"
recipe "$signed
$flat --excludepkgs=delta" epsilon
refused "test\.ks:3: .* would also hit that of .*test\.ks:2"
recipe "repo --name=s --baseurl=file:archive --suite=stable --signedby=$key --excludepkgs=alp*
$flat" beta
refused "beta : Depends: alpha|alpha"

# A folder that is not there, an archive that is not there, a port that nobody listens on.
recipe 'url --url=file:nothing --suite=stable' alpha
refused "test\.ks:2: no folder '.*nothing'"
mkdir "$work/empty"
recipe "url --url=file:empty --suite=stable --signedby=$key" alpha
refused "test\.ks:2: archive 'file:$work/empty"
recipe "url --url=http://127.0.0.1:9/debian --suite=stable --signedby=$key" alpha
refused "test\.ks:2: archive 'http://127\.0\.0\.1:9/debian stable.*' unreachable: "

# A signature by another key, and then one that does not fit what was signed.
new_key "$work/other.gpg"
recipe "url --url=file:archive --suite=stable --signedby=$work/other.gpg" alpha
refused "test\.ks:2: bad signature: file:$archive stable .*InRelease"
sed -i 's/^Label: Test/Label: Best/' "$archive/dists/stable/InRelease"
recipe "$signed" alpha
refused "test\.ks:2: bad signature: file:$archive stable .*InRelease"

# No signature at all is refused, unless the line says that this is meant.
cp "$archive"/pool/*.deb "$work/empty"
(cd "$work/empty" && dpkg-scanpackages .) >"$work/empty/Packages" 2>/dev/null
recipe "repo --name=flat --baseurl=file:empty --signedby=$key" gamma
refused "test\.ks:2: archive 'file:$work/empty .*' is not signed"
recipe 'repo --name=flat --baseurl=file:empty --unsigned' gamma
refused "test\.ks:[0-9]+: no package matches 'gamma'"

# An archive behind TLS that knows its clients, and whose certificate only our own authority signed.
command -v openssl >/dev/null && command -v python3 >/dev/null || exit 0
certificate() {
	openssl req -newkey rsa:2048 -noenc -subj "/CN=$1" -keyout "$work/$1.key" \
		-out "$work/$1.csr" 2>/dev/null
	printf 'subjectAltName=IP:127.0.0.1\n' >"$work/san"
	openssl x509 -req -in "$work/$1.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -days 2 \
		-extfile "$work/san" -out "$work/$1.pem" 2>/dev/null
}
openssl req -x509 -newkey rsa:2048 -noenc -subj /CN=authority -days 2 \
	-keyout "$work/ca.key" -out "$work/ca.pem" 2>/dev/null
certificate server
certificate client
cat >"$work/serve.py" <<'END'
import http.server, os, ssl, sys
work, archive = sys.argv[1:]
class Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *args):
        super().__init__(*args, directory=archive)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(work + "/server.pem", work + "/server.key")
context.load_verify_locations(work + "/ca.pem")
context.verify_mode = ssl.CERT_REQUIRED
server.socket = context.wrap_socket(server.socket, server_side=True)
with open(work + "/port.new", "w") as f:
    print(server.server_address[1], file=f)
os.rename(work + "/port.new", work + "/port")
server.serve_forever()
END
python3 "$work/serve.py" "$work" "$archive" 2>/dev/null &
server=$!
trap 'kill $server; stop_agent; rm -rf "$work"' EXIT
tries=0
while [ ! -e "$work/port" ]; do
	tries=$((tries + 1))
	[ "$tries" -le 100 ] || fail "the server does not start"
	sleep 0.1
done
new_key "$key.tls"
publish stable
served="url --url=https://127.0.0.1:$(cat "$work/port") --suite=stable --signedby=$key.tls"
recipe "$served --sslcacert=ca.pem --sslclientcert=client.pem --sslclientkey=client.key" gamma
refused "test\.ks:4: no package matches 'gamma'"
recipe "$served --sslclientcert=client.pem --sslclientkey=client.key" gamma
refused "test\.ks:2: archive 'https://127.* unreachable: .*certificate"
recipe "$served --sslcacert=ca.pem" gamma
refused "test\.ks:2: archive 'https://127.* unreachable: "
