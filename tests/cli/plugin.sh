#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# plugin.sh BEDPLATE: template, packing, reading; what is refused, and that nothing is left behind.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
bedplate=$1
requires dpkg-deb --version
cd "$work"

# deb FOLDER NAME VERSION [LINE]: a package with one file.
deb() {
	mkdir -p "tree-$2/DEBIAN" "tree-$2/usr/share/$2" "$1"
	echo "$2" >"tree-$2/usr/share/$2/file"
	{
		printf 'Package: %s\nVersion: %s\nArchitecture: all\n' "$2" "$3"
		printf 'Maintainer: Nobody <nobody@example.com>\nDescription: test\n more\n'
		[ -z "${4:-}" ] || echo "$4"
	} >"tree-$2/DEBIAN/control"
	dpkg-deb --root-owner-group -b "tree-$2" "$1/any-name-$2.deb" >/dev/null
}

# --- The template, as it is.
expect 0 "$bedplate" plugin new demo
expect 0 "$bedplate" plugin pack demo -q
same out "demo-1.0.plugin"
[ ! -s err ] || fail "unexpected: $(cat err)"
expect 0 "$bedplate" plugin info demo-1.0.plugin -q
grep -qx 'Name:         demo' out || fail "no name: $(cat out)"
grep -qx 'Signature:    none' out || fail "no signature: $(cat out)"
expect 1 "$bedplate" plugin new demo
same err "bedplate: 'demo' is not empty"
expect 1 "$bedplate" plugin new Demo other
[ ! -e other ] || fail "a wrong name made a folder"

# --- With packages, a test and everything declared.
deb demo/packages zeta 2:1.0-1 "Depends: alpha"
deb demo/packages alpha 0.9
mkdir demo/tests
printf '#!/bin/sh\n' >demo/tests/smoke
chmod +x demo/tests/smoke
: >demo/.gitignore
cat >demo/plugin.json <<'EOF'
// comment
{
	"name": "demo", "version": "1.1", "vendor": "V", "description": "D",
	"images": [{"name": "node", "from": "1.0", "before": "2.0"}],
	"writes": ["/usr/share/zeta/", "/usr/share/alpha/"],
	"services": ["zeta.service"], "ports": ["161:udp"],
	"kernel_arguments": {"add": ["console=ttyS0"], "remove": ["quiet"]}
}
EOF
cat >demo/recipe.ks <<'EOF'
part / --size=4096
bootloader --append="!quiet console=ttyS0"
services --enabled=zeta
firewall --port=161:udp
%packages
zeta
%end
%post
true
%end
EOF
expect 0 "$bedplate" plugin pack demo -q --json
same out '{
  "plugin": "demo-1.1.plugin"
}'
expect 0 "$bedplate" plugin info demo-1.1.plugin -q
for line in 'Images:       node from 1.0 before 2.0' 'Packages:     alpha 0.9 all' \
	'              zeta 2:1.0-1 all' 'Kernel:       !quiet console=ttyS0' \
	'Services:     zeta.service' 'Ports:        161:udp'; do
	grep -qxF "$line" out || fail "no '$line': $(cat out)"
done
expect 0 "$bedplate" plugin info demo-1.1.plugin -q --json
grep -q '"signature": "none"' out || fail "JSON: $(cat out)"

# Any tar reads it, and the digests of its manifest are right.
mkdir got
tar -C got -xf demo-1.1.plugin
tar -tf demo-1.1.plugin >list
same list 'manifest.json
packages/Packages
packages/alpha_0.9_all.deb
packages/zeta_1.0-1_all.deb
recipe.ks
tests/smoke'
[ -x got/tests/smoke ] || fail "the smoke test cannot be run"
cmp got/packages/zeta_1.0-1_all.deb demo/packages/any-name-zeta.deb
for file in packages/alpha_0.9_all.deb recipe.ks; do
	sum=$(sha256sum "got/$file")
	grep -q "${sum%% *}" got/manifest.json || fail "no digest of $file"
done

# packages/ is a repository for apt.
if command -v apt-get >/dev/null; then
	mkdir -p apt/lists/partial apt/archives/partial
	: >apt/status
	echo "deb [trusted=yes] copy:$work/got/packages ./" >apt/sources
	cat >apt/conf <<EOF
Dir::State::Lists "$work/apt/lists";
Dir::State::status "$work/apt/status";
Dir::Cache "$work/apt";
Dir::Etc::SourceList "$work/apt/sources";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Parts "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
APT::Sandbox::User "root";
EOF
	# A user of its own could not read our folder.
	APT_CONFIG=$work/apt/conf apt-get -q update >apt.log 2>&1 || fail "apt: $(cat apt.log)"
	APT_CONFIG=$work/apt/conf apt-get -q install --simulate zeta >apt.log 2>&1 ||
		fail "apt: $(cat apt.log)"
	grep -q '^Inst zeta' apt.log || fail "apt: $(cat apt.log)"
fi

# --- The same folder gives the same bytes, wherever and whenever.
cp -r demo again
touch -d 2001-01-01 again/recipe.ks again/packages/*
expect 0 "$bedplate" plugin pack again -o again.plugin -q
cmp again.plugin demo-1.1.plugin || fail "not reproducible"

# --- Signed.
if command -v openssl >/dev/null; then
	for who in vendor other; do
		openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=$who" -days 30 \
			-keyout "$who.key" -out "$who.pem" 2>/dev/null
	done
	expect 0 "$bedplate" plugin pack demo -q -o signed.plugin --sign-key=vendor.key \
		--sign-cert=vendor.pem
	expect 0 "$bedplate" plugin info -q signed.plugin --trust=vendor.pem
	grep -q '^Signature:    verified$' out || fail "not verified: $(cat out)"
	expect 0 "$bedplate" plugin info -q signed.plugin
	grep -q '^Signature:    not checked$' out || fail "not checked: $(cat out)"
	expect 1 "$bedplate" plugin info -q signed.plugin --trust=other.pem
	grep -q "^bedplate: 'signed.plugin': wrong signature" err || fail "$(cat err)"
	expect 1 "$bedplate" plugin info -q demo-1.1.plugin --trust=vendor.pem
	same err "bedplate: 'demo-1.1.plugin': it is not signed"
	tar -C got -xf signed.plugin
	openssl cms -verify -binary -inform DER -in got/manifest.json.sig \
		-content got/manifest.json -CAfile vendor.pem -purpose any -out /dev/null 2>err ||
		fail "openssl: $(cat err)"
fi
expect 2 "$bedplate" plugin pack demo --sign-key=x
expect 2 "$bedplate" plugin info demo-1.1.plugin --sha256=12
sum=$(sha256sum demo-1.1.plugin)
expect 0 "$bedplate" plugin info -q demo-1.1.plugin --sha256="${sum%% *}"
sum=$(sha256sum demo-1.0.plugin)
expect 1 "$bedplate" plugin info -q demo-1.1.plugin --sha256="${sum%% *}"
same err "bedplate: 'demo-1.1.plugin': its SHA-256 digest is not the one demanded"

# --- A damaged one: each byte of a member counts, and so does the end.
size=$(wc -c <demo-1.1.plugin)
head -c $((size - 1)) demo-1.1.plugin >cut.plugin
expect 1 "$bedplate" plugin info -q cut.plugin
grep -q "'cut.plugin': it has .* bytes and should have .*: it was cut off" err || fail "$(cat err)"
head -c 2000 demo-1.1.plugin >cut.plugin
expect 1 "$bedplate" plugin info -q cut.plugin
cp demo-1.1.plugin bad.plugin
damage bad.plugin $((size - 2560))
expect 1 "$bedplate" plugin info -q bad.plugin
grep -q "'bad.plugin': member 'recipe.ks' has a wrong checksum" err || fail "$(cat err)"
echo >>demo-1.1.plugin
expect 1 "$bedplate" plugin info -q demo-1.1.plugin
grep -q "it has .* bytes and should have" err || fail "$(cat err)"

# --- What stands in the way of the new file stays.
ln -s precious out.plugin.part
expect 1 "$bedplate" plugin pack demo -q -o out.plugin
[ -L out.plugin.part ] || fail "a link was removed"
[ ! -e precious ] || fail "a link was followed"
[ ! -e out.plugin ] || fail "a plugin was written"

# --- What pack refuses: one line that names the file, and nothing is written.
# refuse MESSAGE: pack folder bad.
refuse() {
	expect 1 "$bedplate" plugin pack bad -q -o bad.out
	same err "bedplate: $1"
	if [ -e bad.out ] || [ -e bad.out.part ]; then
		fail "something was written"
	fi
}
fresh() {
	rm -rf bad
	cp -r demo bad
}
fresh
: >bad/notes.txt
refuse "'bad/notes.txt': it does not belong into a plugin, which is made from plugin.json, recipe.ks, packages/*.deb and tests/"
fresh
ln -s /etc/passwd bad/tests/link
refuse "'bad/tests/link': it is not a regular file"
fresh
echo 'rootpw --lock' >>bad/recipe.ks
refuse "bad/recipe.ks:11: 'rootpw' is not for the recipe of a plugin"
fresh
sed -i 's/^zeta$/strace/' bad/recipe.ks
refuse "bad/recipe.ks:6: package 'strace' is not in packages/"
fresh
sed -i 's/161:udp"\]/162:udp"]/' bad/plugin.json
refuse "bad/recipe.ks:4: port '161:udp' is not in the manifest"
fresh
sed -i 's/"vendor"/"vendro"/' bad/plugin.json
refuse "'bad/plugin.json': 'vendro' is not a known key"
fresh
echo junk >bad/packages/alpha.deb
expect 1 "$bedplate" plugin pack bad -q -o bad.out
grep -q "^bedplate: 'bad/packages/alpha.deb': not a Debian package" err || fail "$(cat err)"
fresh
cp bad/packages/any-name-alpha.deb bad/packages/second.deb
refuse "'bad/packages/': package 'alpha' is there twice"
fresh
rm bad/recipe.ks
refuse "'bad/recipe.ks': No such file or directory"
