# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Small images for tests that install or upgrade: . "$lab/image.sh"
: "${work:?}"

# add_program NAME...: programs of the host and what they need, into $tree.
add_program() {
	for name; do
		program=$(command -v "$name")
		cp -L --parents "$program" "$tree"
		ldd "$program" | grep -o '/[^ ]*' | xargs cp -L --parents -t "$tree"
	done
}

# A tree that is just enough: a shell for %post, GRUB for BIOS, a kernel that nobody starts.
make_tree() {
	tree=$work/tree
	mkdir -p "$tree/usr/bin" "$tree/usr/sbin" "$tree/usr/lib/grub" "$tree/usr/lib64" "$tree/etc" \
		"$tree/boot" "$tree/usr/lib/bedplate" "$tree/usr/lib/modules/6.1-lab" \
		"$tree/usr/share/factory/var/lib/lab" "$tree/var" "$tree/tmp" "$tree/root" \
		"$tree/proc" "$tree/sys" "$tree/dev" "$tree/run" "$tree/home"
	for folder in bin sbin lib lib64; do
		ln -s "usr/$folder" "$tree/$folder"
	done
	add_program sh cat grub-mkimage
	cp -r /usr/lib/grub/i386-pc "$tree/usr/lib/grub"
	echo "root:x:0:0:root:/root:/bin/sh" >"$tree/etc/passwd"
	echo "root:*:1:0:99999:7:::" >"$tree/etc/shadow"
	echo "root:x:0:" >"$tree/etc/group"
	echo "root:*::" >"$tree/etc/gshadow"
	: >"$tree/etc/resolv.conf"
	printf 'append=quiet lab.image=1\n' >"$tree/usr/lib/bedplate/boot.conf"
	echo '{"name": "lab", "version": "1", "arch": "amd64", "source_date": 0}' >"$tree/usr/lib/bedplate/image.json"
	echo new >"$tree/usr/share/factory/var/lib/lab/file"
	dd if=/dev/urandom of="$tree/boot/vmlinuz-6.1-lab" bs=1M count=2 status=none
	yes initramfs | head -c 4000000 >"$work/init"
	(cd "$work" && echo init | cpio -o -H newc --quiet) >"$tree/boot/initrd.img-6.1-lab"
}

sum() {
	sha256sum <"$1" | cut -d' ' -f1
}

# make_rootfs FILE MIB: a file system out of $tree, with room for its hash tree.
make_rootfs() {
	rm -f "$1"
	truncate -s "$2M" "$1"
	mke2fs -q -t ext4 -b 4096 -O ^has_journal -d "$tree" "$1"
}

# make_image FOLDER VERSION ROOTFS: the image of a file system with its manifest, as bedplate image build
# would leave them in FOLDER; its path is in $image. ROOTFS gets its hash tree.
make_image() {
	mkdir -p "$1" "$work/live/LiveOS"
	image=$1/lab-$2.squashfs.img
	data=$(stat -c %s "$3")
	veritysetup format --hash-offset="$data" "$3" "$3" >"$work/verity"
	truncate -s %4096 "$3"
	pack_image "$@"
}

# pack_image FOLDER VERSION ROOTFS: the same without another hash tree.
pack_image() {
	rm -f "$image"
	ln -f "$3" "$work/live/LiveOS/rootfs.img"
	mksquashfs "$work/live" "$image" -quiet -no-progress -comp zstd -Xcompression-level 1 >/dev/null
	write_manifest "$@"
}

write_manifest() {
	jq -n --arg sum "$(sum "$image")" --argjson size "$(stat -c %s "$image")" \
		--arg rootfs_sum "$(sum "$3")" --argjson rootfs_size "$(stat -c %s "$3")" \
		--argjson initramfs_size "$(stat -c %s "$tree/boot/initrd.img-6.1-lab")" \
		--arg hash "$(sed -n 's/^Root hash:[ \t]*//p' "$work/verity")" \
		--arg salt "$(sed -n 's/^Salt:[ \t]*//p' "$work/verity")" \
		--arg version "$2" --argjson data "$data" '
		{manifest_version: 1, name: "lab", version: $version, arch: "amd64", source_date: 0,
		rootfs_type: "squashfs-ext4", tool: "lab", previous: null, packages: [],
		liveimg: {file: "lab-\($version).squashfs.img", sha256: $sum, size: $size},
		rootfs: {file: "LiveOS/rootfs.img", sha256: $rootfs_sum, size: $rootfs_size},
		kernels: [{release: "6.1-lab", kernel_size: 2097152, initramfs_size: $initramfs_size}],
		verity: {data_size: $data, hash_offset: $data, fec_offset: 0, fec_roots: 0,
			root_hash: $hash, salt: $salt},
		files: null, sbom: null, recipe: null}' >"$1/lab-$2.manifest.json"
}
