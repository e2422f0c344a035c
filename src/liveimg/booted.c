/* SPDX-License-Identifier: Apache-2.0 */
#include "liveimg/booted.h"

#include <ctype.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "liveimg/fetch.h"

#define COPY_IN_MEMORY "/run/initramfs/squashed.img"
#define SQUASHFS_MAGIC "hsqs"
#define LOOPS_MAX      16

void booted_fini(struct booted *b)
{
	free(b->image);
	free(b->origin);
	free(b->url);
	free(b->folder);
	*b = (struct booted){0};
}

int cmd_line_read(char **text, struct err *e)
{
	return file_read("/proc/cmdline", CMD_LINE_MAX, text, NULL, e);
}

/* A component of a path from the command line, which must not lead out of the medium. */
static const char *plain(const char *value, const char *otherwise)
{
	if (!value || !*value || str_starts(value, "/") || strstr(value, ".."))
		return otherwise;
	return value;
}

static bool find_on_medium(const char *root, const struct strv *words, struct booted *out)
{
	const char *dir = plain(cmd_line_value(words, "rd.live.dir"), "LiveOS");
	const char *file = plain(cmd_line_value(words, "rd.live.squashimg"), "squashfs.img");
	autofree char *folder = xasprintf("%s" BOOTED_MEDIUM "/%s", root, dir);
	autofree char *path = xasprintf("%s/%s", folder, file);

	if (!file_exists(path))
		return false;
	out->image = take_ptr(path);
	out->folder = take_ptr(folder);
	out->origin = xstrdup("the medium");
	return true;
}

static bool find_in_memory(const char *root, struct booted *out)
{
	autofree char *path = xasprintf("%s" COPY_IN_MEMORY, root);

	if (!file_exists(path))
		return false;
	out->image = take_ptr(path);
	out->origin = xstrdup("the copy in memory that this system runs from");
	return true;
}

/*
 * The download of an initramfs: its file and its mount are gone by now, but the loop device in between
 * still holds the bytes.
 */
static bool find_download(const char *root, struct booted *out)
{
	for (unsigned i = 0; i < LOOPS_MAX; i++) {
		autofree char *path = xasprintf("%s/dev/loop%u", root, i);
		autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
		char magic[sizeof(SQUASHFS_MAGIC) - 1];

		if (fd < 0 || pread(fd, magic, sizeof(magic), 0) != sizeof(magic) ||
			memcmp(magic, SQUASHFS_MAGIC, sizeof(magic)) != 0)
			continue;
		out->image = take_ptr(path);
		return true;
	}
	return false;
}

static bool find_device(const char *root, const char *live, struct booted *out)
{
	struct stat st;

	if (!live || !str_starts(live, "/dev/"))
		return false;
	autofree char *path = xasprintf("%s%s", root, live);
	if (stat(path, &st) < 0)
		return false;
	out->image = take_ptr(path);
	out->origin = xstrdup(live);
	return true;
}

int booted_find(const char *root, const struct strv *cmd_line, struct booted *out, struct err *e)
{
	const char *live = cmd_line_value(cmd_line, "root");

	live = live && str_starts(live, "live:") ? live + strlen("live:") : NULL;
	if (live && fetch_is_remote(live))
		out->url = xstrdup(live);
	if (find_on_medium(root, cmd_line, out))
		return 0;
	if (find_in_memory(root, out) || (out->url && find_download(root, out)) ||
		find_device(root, live, out)) {
		if (out->url) {
			free(out->origin);
			out->origin = fetch_public_name(out->url);
		}
		return 0;
	}
	booted_fini(out);
	return err_set(e, ENOENT,
		"this system was not started from an image: add liveimg --url to the kickstart");
}
