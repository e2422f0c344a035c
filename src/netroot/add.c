/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "boot/compress.h"
#include "image/extract.h"
#include "media/media-tree.h"
#include "netroot/generate.h"
#include "netroot/input.h"
#include "netroot/loaders.h"
#include "netroot/netroot.h"
#include "netroot/store.h"

#define FOREIGN_PARAMS "rd.live.image rd.live.overlay.nouserconfirmprompt"

void netroot_added_fini(struct netroot_added *a)
{
	free(a->label);
	free(a->id);
	free(a->replaced);
}

struct adding {
	const struct netroot_add_spec *spec;
	struct netroot *n;
	struct netroot_input *in;
	struct progress *progress;
	char id[NETROOT_ID_DIGITS + 1];
	bool known; /* the tree has this image */
	bool whole; /* and all its files, as they should be */
};

static int check_spec(const struct netroot_add_spec *spec, struct err *e)
{
	int r = spec->label ? netroot_label_check(spec->label, e) : 0;

	if (r == 0 && spec->append)
		r = netroot_params_check(spec->append, e);
	return r == 0 && spec->server && *spec->server ? netroot_server_check(spec->server, e) : r;
}

static int check_room(const struct adding *a, struct err *e)
{
	const struct netroot_input *in = a->in;
	uint64_t image = in->img ? image_file(in->img)->size_bytes : in->file->size_bytes;
	/* An ext4 file system around it has tables. */
	uint64_t need = image + image / 32 + 8 * MIB + in->kernel->size_bytes +
		in->initramfs->size_bytes;
	struct statvfs st;

	if (fstatvfs(a->n->fd, &st) < 0)
		return err_errno(e, "'%s'", a->n->path);
	uint64_t there = (uint64_t)st.f_bavail * st.f_frsize;
	if (there >= need)
		return 0;
	autofree char *want = str_bytes(need), *have = str_bytes(there);
	return err_set(e, ENOSPC, "no room: %s are needed, and %s are free", want, have);
}

/* An initramfs of ours is stored uncompressed; what another kernel unpacks is not known. */
static int write_part(struct adding *a, enum netroot_part part, int fd, struct err *e)
{
	if (part == NETROOT_PART_IMAGE)
		return netroot_input_write(a->in, fd, a->progress, e);
	if (part == NETROOT_PART_KERNEL)
		return extract_source(a->in->kernel, fd, NULL, e);
	if (a->in->ours)
		return initramfs_compress(a->in->initramfs, INITRAMFS_SMALL, fd, a->progress, e);
	return extract_source(a->in->initramfs, fd, NULL, e);
}

static int import_part(
	struct adding *a, enum netroot_part part, struct netroot_file *out, struct err *e)
{
	autofree char *path = netroot_part_path(part, a->id);
	autofd int fd = store_begin(a->n->fd, path, 0644, e);

	if (fd < 0)
		return fd;
	int r = write_part(a, part, fd, e);
	r = r < 0 ? err_wrap(e, r, "writing '%s'", path) : store_finish(a->n->fd, path, fd, out, e);
	if (r < 0)
		store_abandon(a->n->fd, path);
	return r;
}

/* Words that a boot loader would take for its own are left out, not passed on wrong. */
static char *usable_params(const struct netroot_input *in)
{
	struct err e = {0};

	if (netroot_params_check(in->params, &e) == 0)
		return xstrdup(in->params);
	log_warning("'%s': its kernel parameters are left out: %s", in->path, e.msg);
	return xstrdup("");
}

static void describe(struct adding *a, struct netroot_image *img)
{
	const struct netroot_input *in = a->in;
	char hex[SHA256_HEX_BYTES];

	memcpy(img->id, a->id, sizeof(img->id));
	autofree char *title = str_printable(in->title);
	img->title = xstrndup(title, 255);
	img->ours = in->ours;
	img->unpacked_bytes = in->initramfs_info.unpacked_bytes;
	img->release = xstrdup_or_null(in->release);
	img->root = xstrdup(in->root);
	img->params = usable_params(in);
	img->live_params = xstrdup(in->own ? ""
			: in->img          ? LIVE_PARAMS
			: in->flat         ? FOREIGN_PARAMS " rd.live.overlay.overlayfs=1"
					   : FOREIGN_PARAMS);
	if (!in->manifest.verity.present)
		return;
	hex_format(in->manifest.verity.root_hash, SHA256_BYTES, hex);
	img->root_hash = xstrdup(hex);
}

static int import(struct adding *a, struct netroot_image *img, struct err *e)
{
	autofree char *folder = xasprintf("tftp/%s", a->id);
	int r = check_room(a, e);

	if (r < 0)
		return r;
	r = store_make_folder(a->n->fd, folder, 0755, e);
	if (r == 0)
		r = import_part(a, NETROOT_PART_KERNEL, &img->kernel, e);
	if (r == 0)
		r = import_part(a, NETROOT_PART_INITRAMFS, &img->initramfs, e);
	if (r == 0)
		r = import_part(a, NETROOT_PART_IMAGE, &img->image, e);
	return r;
}

static bool has_size(const struct adding *a, const struct netroot_image *img)
{
	autofree char *path = netroot_part_path(NETROOT_PART_IMAGE, a->id);
	autoptr(source) s = NULL;

	return store_open(a->n->fd, path, &s, NULL) == 0 && s->size_bytes == img->image.size_bytes;
}

/* 1: it is in the tree as it should be; 0: it is not. */
static int has_part(const struct adding *a, enum netroot_part part, const struct netroot_file *want,
	struct err *e)
{
	autofree char *path = netroot_part_path(part, a->id);
	struct err why = {0};
	int r = store_verify(a->n->fd, path, want, &why);

	return r == -EINTR ? err_set(e, EINTR, "%s", why.msg) : r == 0;
}

/* The image may be large, and its bytes are read only when that is wanted. */
static int is_whole(const struct adding *a, const struct netroot_image *img, struct err *e)
{
	int r = has_size(a, img);

	if (r > 0)
		r = has_part(a, NETROOT_PART_KERNEL, &img->kernel, e);
	if (r > 0)
		r = has_part(a, NETROOT_PART_INITRAMFS, &img->initramfs, e);
	return r > 0 && a->spec->verify ? has_part(a, NETROOT_PART_IMAGE, &img->image, e) : r;
}

static int look_at_files(struct adding *a, struct err *e)
{
	int r = a->known ? is_whole(a, netroot_db_image(&a->n->db, a->id), e) : 0;

	a->whole = r > 0;
	return r < 0 ? r : 0;
}

/*
 * In the database only: a line that does not fit is refused before anything is written.  The same image may
 * have had another form, without its manifest: files that are written anew are of the form that is described.
 */
static int provide_image(struct adding *a, struct err *e)
{
	struct netroot_db *db = &a->n->db;
	struct netroot_image *img = netroot_db_image(db, a->id);

	if (a->whole)
		return 0;
	if (!img && db->image_count == NETROOT_IMAGES_MAX)
		return err_set(e, EFBIG, "a tree holds at most %d images", NETROOT_IMAGES_MAX);
	if (img)
		netroot_db_drop_image(db, img);
	describe(a, netroot_db_add_image(db));
	return 0;
}

static int provide_files(struct adding *a, struct netroot_added *out, struct err *e)
{
	if (a->whole)
		return 0;
	out->new_image = out->changed = true;
	return import(a, netroot_db_image(&a->n->db, a->id), e);
}

static int provide_entry(
	struct adding *a, const char *label, struct netroot_added *out, struct err *e)
{
	struct netroot_db *db = &a->n->db;
	struct netroot_entry *en = netroot_db_entry(db, label);

	if (!en && db->entry_count == NETROOT_IMAGES_MAX)
		return err_set(e, EFBIG, "a tree has at most %d entries", NETROOT_IMAGES_MAX);
	if (!en) {
		en = netroot_db_add_entry(db);
		en->label = xstrdup(label);
		en->append = xstrdup("");
	} else if (!str_eq(en->image, a->id)) {
		out->replaced = xstrdup(en->image);
		netroot_set_text(&en->previous, en->image);
	}
	out->changed |= netroot_set_text(&en->image, a->id);
	out->changed |= netroot_set_text(&en->append, a->spec->append);
	out->changed |= netroot_set_optional(&en->server, a->spec->server);
	bool http = a->spec->transport ? str_eq(a->spec->transport, "http") : en->http;
	out->changed |= http != en->http;
	out->http = en->http = http;
	if (!db->default_label)
		db->default_label = xstrdup(label);
	out->is_default = str_eq(db->default_label, label);
	return 0;
}

/* dracut takes a file for the root itself unless it is a squashfs. */
static int check_http(const struct adding *a, struct err *e)
{
	if (!netroot_image_is_own(netroot_db_image(&a->n->db, a->id)))
		return err_set(e, ENOTSUP,
			"'%s' cannot be fetched over HTTP: only images that bedplate has built with "
			"dm-verity can",
			a->in->path);
	return initramfs_judge_http(&a->in->initramfs_info, e) < 0
		? err_wrap(e, -ENOTSUP, "'%s'", a->in->path)
		: 0;
}

/* Of all entries of the image, as it may have another form than before. */
static int check_entries(const struct adding *a, struct err *e)
{
	const struct netroot_db *db = &a->n->db;
	int r = 0;

	for (size_t i = 0; r == 0 && i < db->entry_count; i++) {
		const struct netroot_entry *en = &db->entries[i];

		if (!str_eq(en->image, a->id))
			continue;
		r = netroot_entry_check_server(db, en, e);
		if (r == 0 && en->http)
			r = check_http(a, e);
	}
	return r;
}

static void report(const struct adding *a, const char *label, struct netroot_added *out)
{
	const struct netroot_db *db = &a->n->db;
	const struct netroot_image *img = netroot_db_image(db, a->id);

	out->label = xstrdup(label);
	out->id = xstrdup(a->id);
	out->image_bytes = img->image.size_bytes;
	out->kernel_bytes = img->kernel.size_bytes;
	out->initramfs_bytes = img->initramfs.size_bytes;
	out->memory_bytes = netroot_client_memory(img, out->http);
	out->has_uefi = loaders_has(db, "grubx64.efi");
	out->has_bios = loaders_has(db, "pxelinux.0");
}

static int change(struct adding *a, const char *label, struct netroot_added *out, struct err *e)
{
	int r = look_at_files(a, e);

	if (r == 0)
		r = provide_image(a, e);
	if (r == 0)
		r = provide_entry(a, label, out, e);
	if (r == 0)
		r = check_entries(a, e);
	if (r == 0)
		r = netroot_lines_check(&a->n->db, e);
	if (r == 0)
		r = provide_files(a, out, e);
	if (r == 0)
		r = loaders_provide(a->n, a->in, out->is_default, e);
	if (r < 0)
		return err_wrap(e, r, "'%s'", a->n->path);
	r = netroot_save(a->n, e);
	if (r == 0)
		report(a, label, out);
	return r;
}

int netroot_add(const struct netroot_add_spec *spec, struct netroot_added *out, struct progress *p,
	struct err *e)
{
	autonetrootinput in = {0};
	autoptr(netroot) n = NULL;
	struct adding a = {.spec = spec, .in = &in, .progress = p};
	char hex[SHA256_HEX_BYTES];
	int r = check_spec(spec, e);

	if (r == 0)
		r = netroot_input_open(spec->image, &in, p, e);
	if (r < 0)
		return r;
	const char *label = spec->label ? spec->label : in.label;
	r = netroot_label_check(label, e);
	if (r < 0)
		return r;
	r = netroot_open(spec->tree, NETROOT_CREATE, &n, e);
	if (r < 0)
		return r;
	a.n = n;
	hex_format(in.sha256, SHA256_BYTES, hex);
	memcpy(a.id, hex, NETROOT_ID_DIGITS);
	a.known = netroot_db_image(&n->db, a.id) != NULL;
	/* Those of a run that was cut off are not to be taken back with those of this one. */
	r = loaders_complete(n, e);
	if (r == 0)
		r = change(&a, label, out, e);
	/* Once the database has it, a failure leaves what the next run completes. */
	if (r < 0 && !n->saved) {
		if (!a.known)
			(void)!netroot_drop_files(n, a.id, NULL);
		loaders_abandon(n);
	}
	if (r < 0)
		netroot_drop_new(n);
	return r;
}
