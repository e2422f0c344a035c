/* SPDX-License-Identifier: Apache-2.0 */
#include "media/fat.h"

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cmd.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/tree.h"
#include "base/xalloc.h"

#define CLUSTER      4096ULL
#define SECTOR_BYTES 512
#define CLUSTER_MAX  64 /* sectors */
#define CLUSTERS_MIN 200000
#define LABEL_BYTES  11
#define ROOM_BYTES   (512 * KIB) /* tables, root folder, and a little more */

/* mtools names a drive by file and offset, and takes the time from SOURCE_DATE_EPOCH. */
static void add_tool(struct cmd *c, const struct fat *f, const char *tool)
{
	cmd_env(c, "SOURCE_DATE_EPOCH=%" PRIi64, f->date);
	cmd_env(c, "TZ=UTC");
	cmd_env(c, "MTOOLS_SKIP_CHECK=1");
	cmd_add(c, tool, "-i", NULL);
	cmd_addf(c, "%s@@%" PRIu64, f->path, f->offset_bytes);
}

static int run_tool(const struct fat *f, const char *tool, const char *path, struct err *e)
{
	autocmd c = {0};

	add_tool(&c, f, tool);
	cmd_addf(&c, "::/%s", path);
	return cmd_run(&c, e);
}

bool fat_exists(const struct fat *f, const char *path)
{
	return run_tool(f, "mdir", path, NULL) == 0;
}

static int put(const struct fat *f, const char *folder, const struct tree_entry *en, struct err *e)
{
	autocmd c = {0};

	if (S_ISDIR(en->mode) && fat_exists(f, en->path))
		return 0;
	if (S_ISDIR(en->mode)) {
		add_tool(&c, f, "mmd");
	} else {
		add_tool(&c, f, "mcopy");
		cmd_add(&c, "-o", NULL);
		cmd_addf(&c, "%s/%s", folder, en->path);
	}
	cmd_addf(&c, "::/%s", en->path);
	int r = cmd_run(&c, e);
	return r < 0 ? err_wrap(e, r, "'%s'", en->path) : 0;
}

static int put_entries(const struct fat *f, const char *folder, const struct tree *t, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < t->count; i++)
		if (*t->entries[i].path)
			r = put(f, folder, &t->entries[i], e);
	return r;
}

int fat_put_tree(const struct fat *f, const char *folder, struct err *e)
{
	autoptr(tree) t = NULL;
	int r = tree_scan(folder, &t, e);

	return r < 0 ? r : put_entries(f, folder, t, e);
}

static int make_file(const char *path, uint64_t size_bytes, struct err *e)
{
	autofd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0 || ftruncate(fd, (off_t)size_bytes) < 0)
		return err_errno(e, "'%s'", path);
	return 0;
}

/* The number of a volume is random elsewhere. */
static uint32_t volume_number(const char *label, int64_t date)
{
	uint8_t sum[SHA256_BYTES];
	autofree char *text = xasprintf("%s %" PRIi64, label, date);

	sha256_buffer(text, strlen(text), sum);
	return (uint32_t)sum[0] << 24 | (uint32_t)sum[1] << 16 | (uint32_t)sum[2] << 8 | sum[3];
}

int fat_make_image(const struct fat *f, const char *label, const char *folder, struct err *e)
{
	uint64_t size = ROOM_BYTES;
	autoptr(tree) t = NULL;
	autocmd c = {0};
	int r = tree_scan(folder, &t, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < t->count; i++)
		size += t->entries[i].size_bytes + CLUSTER;
	size = (size + MIB - 1) / MIB * MIB;
	r = make_file(f->path, size, e);
	if (r < 0)
		return r;
	cmd_env(&c, "SOURCE_DATE_EPOCH=%" PRIi64, f->date);
	cmd_add(&c, "mkfs.vfat", "--invariant", "-n", label, "-i", NULL);
	cmd_addf(&c, "%08" PRIx32, volume_number(label, f->date));
	cmd_add(&c, f->path, NULL);
	r = cmd_run(&c, e);
	return r < 0 ? r : put_entries(f, folder, t, e);
}

/*
 * What makes a FAT one of 32 bits is that it has 65525 clusters or more, and mkfs.vfat chooses their
 * size by that of the whole disk.
 */
static unsigned sectors_per_cluster(uint64_t size_bytes)
{
	unsigned n = 1;

	while (n < CLUSTER_MAX && size_bytes / (2ULL * n * SECTOR_BYTES) >= CLUSTERS_MIN)
		n *= 2;
	return n;
}

int fat_format(const struct fat *f, const char *label, uint64_t size_bytes, struct err *e)
{
	autocmd c = {0};

	cmd_env(&c, "SOURCE_DATE_EPOCH=%" PRIi64, f->date);
	/* -I: the file system lies inside of what has a partition table. */
	cmd_add(&c, "mkfs.vfat", "--invariant", "--mbr=no", "-I", "-F", "32", "-n", label, "-i",
		NULL);
	cmd_addf(&c, "%08" PRIx32, volume_number(label, f->date));
	cmd_add(&c, "-s", NULL);
	cmd_addf(&c, "%u", sectors_per_cluster(size_bytes));
	cmd_addf(&c, "--offset=%" PRIu64, f->offset_bytes / SECTOR_BYTES);
	cmd_add(&c, f->path, NULL);
	cmd_addf(&c, "%llu", size_bytes / KIB);
	return cmd_run(&c, e);
}

/* Offsets: Microsoft, FAT32 File System Specification, "Boot Sector and BPB". */
int fat_label(const struct fat *f, char **out, struct err *e)
{
	uint8_t sector[SECTOR_BYTES];
	autoptr(source) s = NULL;
	int r = source_open_path(f->path, &s, e);

	if (r == 0)
		r = source_read_at(s, sector, sizeof(sector), f->offset_bytes, e);
	if (r < 0)
		return r;
	if (sector[510] != 0x55 || sector[511] != 0xaa || memcmp(sector + 82, "FAT32   ", 8) != 0)
		return err_set(e, EINVAL, "'%s': no FAT32 file system", f->path);
	*out = xstrndup((const char *)sector + 71, LABEL_BYTES);
	str_trim(*out);
	return 0;
}

/* The digits of "8 351 744". */
static uint64_t parse_grouped(const char *text, const char *end)
{
	uint64_t n = 0;

	for (; text < end; text++)
		if (isdigit((unsigned char)*text))
			n = n * 10 + (uint64_t)(*text - '0');
	return n;
}

/* The last line of mdir: "                 8 351 744 bytes free". */
int fat_free_bytes(const struct fat *f, uint64_t *out, struct err *e)
{
	autofree char *text = NULL;
	autocmd c = {0};

	add_tool(&c, f, "mdir");
	cmd_add(&c, "::/", NULL);
	int r = cmd_output(&c, &text, e);
	if (r < 0)
		return r;
	const char *end = strstr(text, " bytes free");
	const char *line = end;
	while (line && line > text && line[-1] != '\n')
		line--;
	if (!end)
		return err_set(e, EPROTO, "mdir does not say how much is free");
	*out = parse_grouped(line, end);
	return 0;
}

/* The last line but one of a list of all: "        4 files             155 894 bytes". */
int fat_folder_bytes(const struct fat *f, const char *path, uint64_t *out, struct err *e)
{
	autofree char *text = NULL;
	const char *number = NULL;
	autocmd c = {0};

	add_tool(&c, f, "mdir");
	cmd_add(&c, "-/", "-a", NULL);
	cmd_addf(&c, "::/%s", path);
	int r = cmd_output(&c, &text, e);
	if (r < 0)
		return r;
	for (const char *p = text; (p = strstr(p, " file")); p++)
		number = p;
	const char *end = number ? strstr(number, " bytes") : NULL;
	if (!end)
		return err_set(e, EPROTO, "mdir does not say how large '%s' is", path);
	*out = parse_grouped(number, end);
	return 0;
}

int fat_read(const struct fat *f, const char *path, char **out, struct err *e)
{
	autocmd c = {0};

	add_tool(&c, f, "mtype");
	cmd_addf(&c, "::/%s", path);
	return cmd_output(&c, out, e);
}

int fat_put_file(const struct fat *f, const char *from, const char *path, struct err *e)
{
	autocmd c = {0};

	add_tool(&c, f, "mcopy");
	cmd_add(&c, "-o", from, NULL);
	cmd_addf(&c, "::/%s", path);
	int r = cmd_run(&c, e);
	return r < 0 ? err_wrap(e, r, "'%s'", path) : 0;
}

int fat_rename(const struct fat *f, const char *from, const char *to, struct err *e)
{
	autocmd c = {0};

	add_tool(&c, f, "mren");
	cmd_addf(&c, "::/%s", from);
	cmd_addf(&c, "::/%s", to);
	return cmd_run(&c, e);
}

int fat_remove(const struct fat *f, const char *path, struct err *e)
{
	return run_tool(f, "mdeltree", path, e);
}

/* mdir -b names a file "::/images/name" and a folder "::/images/name/". */
int fat_list(const struct fat *f, const char *path, struct strv *out, struct err *e)
{
	autofree char *text = NULL;
	autocmd c = {0};

	add_tool(&c, f, "mdir");
	cmd_add(&c, "-a", "-b", NULL);
	cmd_addf(&c, "::/%s", path);
	int r = cmd_output(&c, &text, e);
	if (r < 0)
		return r;
	char *rest = text;
	for (char *line; (line = str_next_word(&rest, "\r\n"));) {
		size_t len = strlen(line);

		while (len > 1 && line[len - 2] != '/')
			len--;
		if (len > 1)
			strv_add(out, line + len - 1);
	}
	return 0;
}
