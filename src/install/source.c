/* SPDX-License-Identifier: Apache-2.0 */
#include "install/source.h"

#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/xalloc.h"
#include "liveimg/booted.h"
#include "liveimg/fetch.h"
#include "liveimg/volume.h"

#define KICKSTART_MAX (16 * MIB)
#define MEDIUM_FILE   "/ks.cfg"
#define OEM_LABEL     "LABEL=OEMDRV"
#define MOUNT_FOLDER  "/run/bedplate/install/volume"

struct found {
	char *name, *text;
	size_t len;
};

static int read_path(const char *path, struct found *f, struct err *e)
{
	int r = file_read(path, KICKSTART_MAX, &f->text, &f->len, e);

	if (r == 0)
		f->name = xstrdup(path);
	return r;
}

static int read_volume(const char *device, const char *path, struct found *f, struct err *e)
{
	int r = volume_read(device, path, MOUNT_FOLDER, KICKSTART_MAX, &f->text, &f->len, e);

	if (r == 0)
		f->name = xasprintf("%s:%s", device, path);
	return r;
}

/* What follows "hd:": a volume, ':' and a path; a label may hold anything but a colon. */
static int read_hd(const char *where, struct found *f, struct err *e)
{
	const char *colon = strchr(where, ':');
	autofree char *device = NULL;

	if (!colon || colon == where || colon[1] != '/')
		return err_set(e, EINVAL,
			"bad kickstart 'hd:%.200s', expected hd:LABEL=NAME:/PATH, "
			"hd:UUID=UUID:/PATH or hd:/dev/NAME:/PATH",
			where);
	autofree char *what = xstrndup(where, (size_t)(colon - where));
	int r = volume_find(what, &device, e);
	return r < 0 ? r : read_volume(device, colon + 1, f, e);
}

/* The first drive whose disc has the file. */
static int read_disc(const char *path, struct found *f, struct err *e)
{
	autostrv drives = {0};
	int r = err_set(e, ENODEV, "this machine has no optical drive");

	if (path[0] && path[0] != '/')
		return err_set(
			e, EINVAL, "bad kickstart 'cdrom:%.200s', expected cdrom:/PATH", path);
	volume_discs(&drives);
	for (size_t i = 0; i < drives.count; i++) {
		r = read_volume(drives.items[i], path[0] ? path : MEDIUM_FILE, f, e);
		if (r == 0)
			break;
	}
	return r;
}

static int read_medium(struct found *f, struct err *e)
{
	autofree char *device = NULL;
	int r = read_path(BOOTED_MEDIUM MEDIUM_FILE, f, e);

	if (r != -ENOENT && r != -ENOTDIR)
		return r;
	if (volume_look(OEM_LABEL, &device, e) == 0)
		r = read_volume(device, MEDIUM_FILE, f, e);
	if (device && r != -ENOENT)
		return r;
	return err_set(e, ENOENT,
		"there is no ks.cfg on the medium, and none on a volume with the label OEMDRV: "
		"say where it is with inst.ks=");
}

static int read_remote(const char *url, struct found *f, struct err *e)
{
	int r = fetch_text(url, NULL, KICKSTART_MAX, &f->text, &f->len, e);

	if (r == 0)
		f->name = fetch_public_name(url);
	return r;
}

static int read_file_url(const char *url, struct found *f, struct err *e)
{
	autofree char *path = NULL;
	int r = fetch_file_path(url, &path, e);

	return r < 0 ? r : read_path(path, f, e);
}

static int read_any(const char *where, struct found *f, struct err *e)
{
	if (str_eq(where, "medium"))
		return read_medium(f, e);
	if (fetch_is_remote(where))
		return read_remote(where, f, e);
	if (str_starts(where, "hd:"))
		return read_hd(where + strlen("hd:"), f, e);
	if (str_starts(where, "cdrom:"))
		return read_disc(where + strlen("cdrom:"), f, e);
	if (str_starts(where, "file:"))
		return read_file_url(where, f, e);
	if (strstr(where, "://") || str_starts(where, "nfs:"))
		return err_set(e, EINVAL,
			"bad kickstart '%.200s', expected a path, or http, https, ftp, file, hd or "
			"cdrom",
			where);
	return read_path(where, f, e);
}

int source_kickstart(const char *where, char **name, char **text, size_t *len, struct err *e)
{
	struct found f = {0};
	int r = read_any(where, &f, e);

	if (r < 0)
		return err_wrap(e, r, "kickstart");
	*name = f.name;
	*text = f.text;
	*len = f.len;
	return 0;
}

int source_image(const struct ks_doc *doc, const char *folder, struct liveimg *out,
	struct progress *p, struct err *e)
{
	const struct ks_cmd *c = ks_next(doc, "liveimg", NULL);
	struct liveimg_from spec = {.folder = folder};
	uint8_t wanted[SHA256_BYTES];

	if (!c)
		return liveimg_get(&spec, out, p, e);
	const char *sum = ks_str(c, "checksum");
	autofree char *from = xasprintf("%s:%u: liveimg: --checksum", ks_file(c), ks_line(c));
	if (sum && *sum) {
		if (hex_parse(sum, wanted, sizeof(wanted), NULL) < 0)
			return err_set(e, EINVAL,
				"%s:%u: liveimg: bad --checksum '%.80s', expected SHA-256 as 64 "
				"hexadecimal digits",
				ks_file(c), ks_line(c), sum);
		spec.sha256 = wanted;
		spec.sha256_from = from;
	}
	spec.where = ks_str(c, "url");
	spec.fetch.proxy = ks_str(c, "proxy");
	spec.fetch.insecure = ks_flag(c, "noverifyssl");
	return liveimg_get(&spec, out, p, e);
}
