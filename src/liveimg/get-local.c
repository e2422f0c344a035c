/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "fmt/iso9660.h"
#include "image/liveimg.h"
#include "liveimg/get-internal.h"
#include "liveimg/stick.h"

#define MEDIUM_FOLDER "LiveOS"
#define MEDIUM_FILE   "squashfs.img"
#define STICK_FOLDER  "images"

int get_local_file(struct get_job *j, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	autofree char *folder = xasprintf(
		"%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
	const struct get_place place = {.folder = folder};
	struct source *s = NULL;

	if (!file_exists(path))
		return err_set(e, ENOENT, "there is no '%s'", path);
	int r = get_manifest_beside(j, &place, slash ? slash + 1 : path, e);
	if (r == -ENOENT) {
		autofree char *quoted = xasprintf("'%s'", path);

		return get_no_manifest(quoted, e);
	}
	if (r == 0)
		r = source_open_path(path, &s, e);
	return r < 0 ? r : get_check_image(j, s, path, e);
}

static int get_iso(struct get_job *j, const char *path, struct err *e)
{
	const struct get_place place = {.iso = j->out->iso, .shown = path, .folder = MEDIUM_FOLDER};
	autofree char *name = xasprintf("%s:" MEDIUM_FOLDER "/" MEDIUM_FILE, path);
	struct source *s = NULL;
	int r = get_manifest_beside(j, &place, MEDIUM_FILE, e);

	if (r == -ENOENT)
		return err_set(e, ENOENT,
			"'%s' is no medium of 'bedplate media iso': it has no " MEDIUM_FOLDER
			"/manifest.json",
			path);
	if (r == 0)
		r = iso9660_open(place.iso, MEDIUM_FOLDER "/" MEDIUM_FILE, &s, e);
	return r < 0 ? r : get_check_image(j, s, name, e);
}

/* The image of a build: *.squashfs.img. */
static int find_build(const char *folder, char **path, struct err *e)
{
	autostrv names = {0};
	const char *found = NULL;
	int r = file_list(folder, &names, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < names.count; i++) {
		if (!str_ends(names.items[i], LIVEIMG_SUFFIX))
			continue;
		if (found)
			return err_set(e, EINVAL, "'%s' has several images: name one, '%s' or '%s'",
				folder, found, names.items[i]);
		found = names.items[i];
	}
	if (!found)
		return err_set(e, ENOENT,
			"'%s' is neither the folder of a build (*" LIVEIMG_SUFFIX
			") nor of a medium (" MEDIUM_FOLDER "/" MEDIUM_FILE ", " STICK_FOLDER
			"/NAME-VERSION)",
			folder);
	*path = xasprintf("%s/%s", folder, found);
	return 0;
}

static int get_stick(
	struct get_job *j, const char *folder, const char *shown, const char *name, struct err *e)
{
	autofree char *image = NULL;
	int r = stick_choose(folder, shown, name, &image, e);

	if (r < 0)
		return r;
	autofree char *path = xasprintf("%s/" MEDIUM_FILE, image);
	return get_local_file(j, path, e);
}

static int get_folder(struct get_job *j, const char *folder, const char *name, struct err *e)
{
	autofree char *medium = xasprintf("%s/" MEDIUM_FOLDER "/" MEDIUM_FILE, folder);
	autofree char *plain = xasprintf("%s/" MEDIUM_FILE, folder);
	autofree char *images = xasprintf("%s/" STICK_FOLDER, folder);
	autofree char *built = NULL;

	if (name || file_exists(images))
		return get_stick(j, folder, folder, name, e);
	if (file_exists(medium))
		return get_local_file(j, medium, e);
	if (file_exists(plain))
		return get_local_file(j, plain, e);
	int r = find_build(folder, &built, e);
	return r < 0 ? r : get_local_file(j, built, e);
}

static int get_mounted(struct get_job *j, const char *path, const char *name, struct err *e)
{
	autofree char *folder = xasprintf("%s/stick", j->spec->folder);
	int r = stick_mount(path, folder, e);

	if (r < 0)
		return r;
	r = get_stick(j, folder, path, name, e);
	stick_unmount(folder);
	return r;
}

static int get_file_or_disk(
	struct get_job *j, const char *path, const char *name, bool is_disk, struct err *e)
{
	autoptr(source) s = NULL;
	int r = source_open_path(path, &s, e);

	if (r < 0)
		return r;
	if (!name && iso9660_is(s)) {
		j->out->iso = take_ptr(s);
		return get_iso(j, path, e);
	}
	if (stick_is(path))
		return get_mounted(j, path, name, e);
	if (name || is_disk)
		return err_set(e, EINVAL, "'%s' is no medium: neither of 'bedplate media usb'%s",
			path, name ? "" : " nor of 'bedplate media iso'");
	return get_local_file(j, path, e);
}

/* name: of an image on a stick, or NULL. */
static int get_path(struct get_job *j, const char *path, const char *name, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno == ENOENT ? err_set(e, ENOENT, "there is no '%s'", path)
				       : err_errno(e, "'%s'", path);
	if (S_ISDIR(st.st_mode))
		return get_folder(j, path, name, e);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(e, EINVAL, "'%s' is neither a file, a folder nor a disk", path);
	return get_file_or_disk(j, path, name, S_ISBLK(st.st_mode), e);
}

int get_local(struct get_job *j, const char *path, struct err *e)
{
	const char *colon = strrchr(path, ':');

	if (!colon || strchr(colon, '/') || file_exists(path))
		return get_path(j, path, NULL, e);
	autofree char *medium = xstrndup(path, (size_t)(colon - path));
	return get_path(j, medium, colon + 1, e);
}
