#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# image package: what is in the Debian package, that it is the same each time, and what dpkg makes of
# it on a node whose nodectl fails and then succeeds.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
bedplate=$1
for tool in dpkg-deb mksquashfs mke2fs openssl; do
	requires which $tool
done
cd "$work"

has() { grep -qF -- "$2" "$1" || fail "$1 lacks '$2': $(cat "$1")"; }
lacks() { ! grep -qF -- "$2" "$1" || fail "$1 has '$2': $(cat "$1")"; }
arch=$(dpkg --print-architecture)
deb=node-image-update_1.0_$arch.deb
at=var/lib/bedplate/carrier/node-1.0

mkdir -p tree build wrap/LiveOS
head -c 700000 /dev/urandom >tree/noise
truncate -s 4M wrap/LiveOS/rootfs.img
mke2fs -q -t ext4 -O ^has_journal -d tree wrap/LiveOS/rootfs.img
mksquashfs wrap build/node-1.0.squashfs.img -quiet -no-progress -comp zstd >/dev/null

# manifest NAME VERSION: of the image in build.
manifest() {
	image=build/node-1.0.squashfs.img
	cat >build/node-1.0.manifest.json <<END
{"manifest_version":1,"name":"$1","version":"$2","arch":"$arch","source_date":1767225600,
"rootfs_type":"squashfs-ext4","kernels":[],"packages":[],"previous":null,"tool":"hand","recipe":null,
"liveimg":{"file":"node-1.0.squashfs.img","size":$(stat -c %s $image),
"sha256":"$(sha256sum <$image | cut -d' ' -f1)"},
"rootfs":null,"files":null,"sbom":null,"verity":null}
END
}

# --- What is in it ---
manifest node 1.0
expect 0 "$bedplate" image package build -o debs
same "$work/out" "debs/$deb"
has "$work/err" "is not signed: nodes will not install the package without --allow-unsigned"
[ "$(ls -A debs)" = "$deb" ] || fail "not only the package: $(ls -A debs)"
dpkg-deb --info "debs/$deb" >info
for line in "Package: node-image-update" "Version: 1.0" "Architecture: $arch" "Depends: nodectl"; do
	has info " $line"
done
dpkg-deb --contents "debs/$deb" | awk '{ print $1, $2, $6 }' >contents
cat >expected <<END
drwxr-xr-x root/root ./
drwxr-xr-x root/root ./var/
drwxr-xr-x root/root ./var/lib/
drwxr-xr-x root/root ./var/lib/bedplate/
drwxr-xr-x root/root ./var/lib/bedplate/carrier/
-rw-r--r-- root/root ./$at.squashfs.img
-rw-r--r-- root/root ./$at.manifest.json
END
diff -u expected contents >&2 || fail "other files"
dpkg-deb -x "debs/$deb" x
cmp x/$at.squashfs.img build/node-1.0.squashfs.img || fail "another image"
cmp x/$at.manifest.json build/node-1.0.manifest.json || fail "another manifest"
dpkg-deb -e "debs/$deb" control
sh -n control/postinst || fail "postinst is no script"
[ "$(ar t "debs/$deb" | tr '\n' ' ')" = "debian-binary control.tar data.tar " ] ||
	fail "other members: $(ar t "debs/$deb")"

# --- The same bytes each time; the signature belongs to it ---
mkdir again
cp build/* again/
touch -d 2001-01-01 again/*
(
	umask 077
	TZ=Asia/Tokyo expect 0 "$bedplate" image package -q again/node-1.0.squashfs.img -o debs2
)
cmp "debs/$deb" "debs2/$deb" || fail "the same image gave another package"
head -c 500 /dev/urandom >build/node-1.0.manifest.json.sig
expect 0 "$bedplate" image package build -o debs
lacks "$work/err" "not signed"
dpkg-deb --contents "debs/$deb" >contents
has contents "./$at.manifest.json.sig"
rm build/node-1.0.manifest.json.sig

# --- Names and versions that Debian would not take, and --version ---
# named NAME VERSION EXPECTED [OPTION]...: the file's name, and dpkg reads it.
named() {
	manifest "$1" "$2"
	file=$3
	shift 3
	rm -rf debs3
	expect 0 "$bedplate" image package build -o debs3 -q "$@"
	same "$work/out" "debs3/${file}_$arch.deb"
	dpkg-deb --info "debs3/${file}_$arch.deb" >info || fail "dpkg does not take it"
}
named My_Node 2026_11:2 my-node-image-update_2026+11+2
named node v3 node-image-update_0+v3
named node 1.0- node-image-update_1.0-0
named node 1.0 node-image-update_3~rc1 --version=2:3~rc1 --allow-unsigned
has info " Version: 2:3~rc1"
dpkg-deb -e debs3/*.deb control3
has control3/postinst "nodectl upgrade --allow-unsigned --yes"
lacks control/postinst "--allow-unsigned"
for wrong in v1 1_0 1.0- ''; do
	expect 1 "$bedplate" image package build -o debs4 --version="$wrong"
	has "$work/err" "bad version '$wrong'"
done
[ ! -e debs4 ] || fail "left something"

# --- What is no image, or not this one ---
manifest node 1.0
damage build/node-1.0.squashfs.img 300000
expect 1 "$bedplate" image package build -o debs5 --allow-unsigned
has "$work/err" "is not the image of its manifest: it is damaged"
[ -z "$(ls -A debs5)" ] || fail "left something: $(ls -A debs5)"
rm build/node-1.0.manifest.json
expect 1 "$bedplate" image package build
has "$work/err" "has no manifest beside it"

# --- On a node: dpkg with a nodectl that fails, then succeeds ---
if [ "$(id -u)" -ne 0 ]; then
	echo "skipped: dpkg --root needs root"
	exit 77
fi
node=$work/node
mkdir -p "$node/var/lib/dpkg/info" "$node/var/lib/dpkg/updates" "$node/bin" "$node/usr/bin"
for program in sh rm; do
	program=$(command -v $program)
	cp -L --parents "$program" "$node"
	ldd "$program" | grep -o '/[^ ]*' | xargs cp -L --parents -t "$node"
done
cp -L /bin/sh "$node/bin/sh"
cat >"$node/usr/bin/nodectl" <<'END'
#!/bin/sh
echo "nodectl $*" >>/calls
[ -e "$3" ] || exit 9
[ ! -e /fails ] || { echo "nodectl: not enough room" >&2; exit 1; }
END
chmod 755 "$node/usr/bin/nodectl"
# As an image has it, and what the package depends on.
cat >"$node/var/lib/dpkg/status" <<END
Package: node-image-update
Status: install ok installed
Maintainer: x
Architecture: $arch
Version: 0.9
Description: x

Package: nodectl
Status: install ok installed
Maintainer: x
Architecture: $arch
Version: 1
Description: x

END
for package in node-image-update nodectl; do
	echo /. >"$node/var/lib/dpkg/info/$package.list"
done
status_of() { dpkg-query --admindir="$node/var/lib/dpkg" -W -f '${Version} ${db:Status-Status}' "$1"; }
: >"$node/fails"
export DEBIAN_FRONTEND=noninteractive
expect 1 dpkg --root="$node" --log=/dev/null -i "debs2/$deb"
has "$work/err" "not enough room"
[ "$(status_of node-image-update)" = "1.0 half-configured" ] || fail "is $(status_of node-image-update)"
[ -e "$node/$at.squashfs.img" ] || fail "the image is gone, so that nothing can be tried again"
rm "$node/fails"
expect 0 dpkg --root="$node" --log=/dev/null --configure -a
[ "$(status_of node-image-update)" = "1.0 installed" ] || fail "is $(status_of node-image-update)"
[ -z "$(ls -A "$node/var/lib/bedplate/carrier")" ] ||
	fail "left on /var: $(ls -A "$node/var/lib/bedplate/carrier")"
same "$node/calls" "nodectl upgrade --yes /$at.squashfs.img
nodectl upgrade --yes /$at.squashfs.img"
# Once more there is nothing to do, and it can be removed.
expect 0 dpkg --root="$node" --log=/dev/null --purge node-image-update
[ "$(wc -l <"$node/calls")" -eq 2 ] || fail "upgraded when it was removed"
[ ! -e "$node/var/lib/bedplate/carrier" ] || fail "its folder stays"
