/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all media have in common: the files that go onto one, gathered in a private folder together
 * with their checksums.
 *
 * The liveimg is not copied: a link to it stands in its place.
 */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "image/image.h"
#include "image/inspect.h"
#include "media/media.h"

#define MEDIA_SUMS   "SHA256SUMS"
#define MEDIA_KS     "ks.cfg"
#define GRUB_DIR     "/usr/lib/bedplate/grub/" /* GRUB for BIOS, in the image */
#define GRUB_BIOS    "/usr/lib/grub/i386-pc/"
#define ELTORITO_IMG "images/eltorito.img"
#define EFI_IMG      "images/efiboot.img"
#define GRUB_CD      "/usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed"
#define GRUB_NET     "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"
/* For dracut's dmsquash-live, behind root=live:... */
#define LIVE_PARAMS "rd.live.image rd.live.overlay.overlayfs=1 rd.live.overlay.nouserconfirmprompt"

struct media_file {
	char *path;   /* on the medium */
	char *source; /* on this machine */
	uint64_t size_bytes;
	uint8_t sha256[SHA256_BYTES];
};

struct media {
	const struct media_spec *spec;
	struct progress *progress;
	struct image *img;
	struct inspect_result info;
	char *id;     /* NAME-VERSION, fit for a file name */
	char *title;  /* "NAME VERSION", for people */
	int64_t date; /* of the image, seconds since 1970 */
	char *params; /* kernel parameters: the image's own, then --append */
	char *folder; /* ours, removed in the end */
	char *tree;   /* in it: the files where they will stand on the medium */
	struct media_file *files;
	size_t count, room;
};

/*
 * Open the image, check that it can be put on a medium and check the kickstart.  The private folder
 * is made in parent; NULL: where large temporary files go.
 */
int media_open(const struct media_spec *spec, const char *parent, struct progress *p,
	struct media **out, struct err *e) MUST_CHECK;
void media_free(struct media *m);
DEFINE_AUTOPTR(media, media_free)

int media_add_text(struct media *m, const char *path, const char *text, struct err *e) MUST_CHECK;
/* -ENOENT with the name of the package that the image lacks. */
int media_add_from_image(struct media *m, const char *path, const char *image_path,
	const char *package, struct err *e) MUST_CHECK;
/* vmlinuz and initrd.img into folder. */
int media_add_kernel(struct media *m, const char *folder, struct err *e) MUST_CHECK;
/* squashfs.img, manifest.json and manifest.json.sig; -EBADMSG: not what the manifest says. */
int media_add_image(struct media *m, const char *folder, struct err *e) MUST_CHECK;
/* Fine without one. */
int media_add_kickstart(struct media *m, const char *path, struct err *e) MUST_CHECK;
/* A file that the caller has written to m->tree. */
int media_add_written(struct media *m, const char *path, struct err *e) MUST_CHECK;
/* shim, GRUB and MokManager into folder; grub is the file's name in the image. */
int media_add_efi(struct media *m, const char *folder, const char *grub, struct err *e) MUST_CHECK;
/* The same, with the GRUB that is not of a network, to EFI/BOOT below a folder of this machine. */
int media_write_efi(struct media *m, const char *folder, struct err *e) MUST_CHECK;
/* A small file of the image, as image_read(); -ENOENT names the package. */
int media_read(struct media *m, const char *image_path, const char *package, size_t max_bytes,
	char **out, size_t *len, struct err *e) MUST_CHECK;

/* Files beside an image that was made from another one, and their names on a medium. */
#define MEDIA_WAY_BACK 3
struct media_sibling {
	const char *suffix, *file;
};
extern const struct media_sibling media_way_back[MEDIA_WAY_BACK];

/* The lines of SHA256SUMS, sorted by path.  The caller frees the text. */
char *media_sums(const struct media *m) MUST_CHECK;

/* The file that a medium is made in until it is complete; one that is there may be anybody's. */
int media_open_new(const char *path, struct err *e) MUST_CHECK;

/* The id of the menu entry that starts by itself. */
const char *media_default_entry(const struct media_spec *spec);
int media_timeout(const struct media_spec *spec);

/*
 * --label, or NAME-VERSION in capitals with '-' for what is not allowed, cut to max bytes.  -EINVAL:
 * a label that a kernel or GRUB would not find again.  The caller frees *out.
 */
int media_label(const struct media *m, size_t max, char **out, struct err *e) MUST_CHECK;
