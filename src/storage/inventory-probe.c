/* SPDX-License-Identifier: Apache-2.0 */
/* Disks as sysfs lists them and as libblkid reads them: both work without udev. */
#include <blkid.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "storage/inventory-internal.h"

#define SYSFS_MAX_BYTES  (64 * KIB)
#define KERNEL_SECTOR    512 /* of sizes in sysfs and in libblkid, whatever the disk has */
#define PARTITIONS_LIMIT 256

DEFINE_AUTOPTR(blkid_struct_probe, blkid_free_probe)

/* A line of /sys/block/NAME/FILE without its end; "" when there is none. */
static char *read_attribute(const char *name, const char *file)
{
	autofree char *path = xasprintf("/sys/block/%s/%s", name, file);
	autofree char *text = NULL;

	if (file_read(path, SYSFS_MAX_BYTES, &text, NULL, NULL) < 0)
		return xstrdup("");
	return xstrdup(str_trim(text));
}

static uint64_t read_number(const char *name, const char *file)
{
	autofree char *text = read_attribute(name, file);
	char *end;

	errno = 0;
	uint64_t n = strtoumax(text, &end, 10);
	return errno || end == text ? 0 : n;
}

/* What sysfs lists beside disks. */
static bool is_other_device(const char *name)
{
	static const char *const prefixes[] = {
		"dm-", "fd", "loop", "md", "mtdblock", "ram", "sr", "zram"};

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (str_starts(name, prefixes[i]) &&
			(isdigit((unsigned char)name[strlen(prefixes[i])]) ||
				str_eq(prefixes[i], "md")))
			return true;
	/* Areas of an eMMC for firmware. */
	return str_starts(name, "mmcblk") && (strstr(name, "boot") || strstr(name, "rpmb"));
}

static char *read_bus(const char *name)
{
	static const struct {
		const char *in_path, *bus;
	} buses[] = {
		{"/usb", "usb"},
		{"/virtio", "virtio"},
		{"/nvme", "nvme"},
		{"/mmc", "mmc"},
		{"/ata", "ata"},
		{"/host", "scsi"},
	};
	autofree char *link = xasprintf("/sys/block/%s", name);
	autofree char *path = realpath(link, NULL);

	for (size_t i = 0; path && i < ARRAY_LEN(buses); i++)
		if (strstr(path, buses[i].in_path))
			return xstrdup(buses[i].bus);
	return NULL;
}

static char *copy_value(blkid_probe pr, const char *name)
{
	const char *value = NULL;

	if (blkid_probe_lookup_value(pr, name, &value, NULL) != 0 || !value || !*value)
		return NULL;
	return xstrdup(value);
}

void probe_content(int fd, uint64_t off, uint64_t len, struct inv_part *part)
{
	autoptr(blkid_struct_probe) pr = blkid_new_probe();

	if (!pr || len > INT64_MAX || off > INT64_MAX ||
		blkid_probe_set_device(pr, fd, (blkid_loff_t)off, (blkid_loff_t)len) != 0)
		return;
	blkid_probe_enable_superblocks(pr, 1);
	blkid_probe_set_superblocks_flags(
		pr, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID);
	int r = blkid_do_safeprobe(pr);
	if (r == 0) {
		part->fstype = copy_value(pr, "TYPE");
		part->label = copy_value(pr, "LABEL");
		part->uuid = copy_value(pr, "UUID");
	}
	/* Signatures of several things: something is there, and nobody can say what. */
	if (r == -2)
		part->fstype = xstrdup("ambiguous");
}

static char *lower(const char *text)
{
	char *copy = text && *text ? xstrdup(text) : NULL;

	for (char *s = copy; s && *s; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s - 'A' + 'a');
	return copy;
}

static void add_part(struct inv_disk *d, int fd, blkid_partition found)
{
	unsigned number = (unsigned)blkid_partition_get_partno(found);
	const char *name = blkid_partition_get_name(found);
	bool digit = isdigit((unsigned char)d->path[strlen(d->path) - 1]);
	struct inv_part part = {
		.path = xasprintf("%s%s%u", d->path, digit ? "p" : "", number),
		.number = number,
		.start_bytes = (uint64_t)blkid_partition_get_start(found) * KERNEL_SECTOR,
		.size_bytes = (uint64_t)blkid_partition_get_size(found) * KERNEL_SECTOR,
		.partuuid = lower(blkid_partition_get_uuid(found)),
		.type_uuid = lower(blkid_partition_get_type_string(found)),
		.partlabel = name && *name ? xstrdup(name) : NULL,
	};

	if (!part.type_uuid)
		part.type_uuid = xasprintf("0x%x", (unsigned)blkid_partition_get_type(found));
	/* Of an extended partition the content is its logical ones. */
	if (!blkid_partition_is_extended(found))
		probe_content(fd, part.start_bytes, part.size_bytes, &part);
	d->parts = xrealloc(d->parts, (d->part_count + 1) * sizeof(*d->parts));
	d->parts[d->part_count++] = part;
}

static int read_table(struct inv_disk *d, int fd, struct err *e)
{
	autoptr(blkid_struct_probe) pr = blkid_new_probe();

	if (!pr || blkid_probe_set_device(pr, fd, 0, 0) != 0)
		return err_set(e, EIO, "%s cannot be read", d->path);
	blkid_probe_enable_superblocks(pr, 0);
	blkid_probe_enable_partitions(pr, 1);
	blkid_probe_set_partitions_flags(pr, BLKID_PARTS_ENTRY_DETAILS);
	errno = 0;
	blkid_partlist list = blkid_probe_get_partitions(pr);
	if (!list && errno == EIO)
		return err_set(e, EIO, "%s cannot be read", d->path);
	blkid_parttable table = list ? blkid_partlist_get_table(list) : NULL;
	const char *type = table ? blkid_parttable_get_type(table) : NULL;
	/* The boot record of a GPT whose headers are damaged: nobody knows what was there. */
	if (!type || str_eq(type, "PMBR"))
		return 0;
	d->table = xstrdup(type);
	int count = blkid_partlist_numof_partitions(list);
	for (int i = 0; i < MIN(count, PARTITIONS_LIMIT); i++) {
		blkid_partition found = blkid_partlist_get_partition(list, i);

		/* Slices of a BSD or Solaris partition are its content. */
		if (blkid_partition_get_table(found) == table || blkid_partition_is_logical(found))
			add_part(d, fd, found);
	}
	return 0;
}

/* "root=live:CDLABEL=NAME": the medium this system was started from, also when it is unmounted. */
static bool is_started_from(const char *label)
{
	static const char *const words[] = {"root=live:CDLABEL=", "root=live:LABEL="};
	autofree char *text = NULL;

	if (!label || file_read("/proc/cmdline", SYSFS_MAX_BYTES, &text, NULL, NULL) < 0)
		return false;
	char *rest = text;
	for (char *word; (word = str_next_word(&rest, " \n"));)
		for (size_t i = 0; i < ARRAY_LEN(words); i++)
			if (str_starts(word, words[i]) && str_eq(word + strlen(words[i]), label))
				return true;
	return false;
}

static void find_live_label(struct inv_disk *d, int fd)
{
	autofree char *label = NULL;
	struct inv_part whole = {0};

	probe_content(fd, 0, d->size_bytes, &whole);
	label = whole.label;
	d->live_medium = is_started_from(label);
	for (size_t i = 0; i < d->part_count; i++)
		d->live_medium = d->live_medium || is_started_from(d->parts[i].label);
	if (d->table) {
		free(whole.fstype);
		free(whole.uuid);
		return;
	}
	d->whole.fstype = whole.fstype;
	d->whole.uuid = whole.uuid;
	d->whole.label = take_ptr(label);
}

int probe_disk(const char *sys_name, struct inv_disk *out, struct err *e)
{
	autofree char *model = read_attribute(sys_name, "device/model");
	uint64_t size = read_number(sys_name, "size");
	autofree char *name = xstrdup(sys_name);

	if (is_other_device(sys_name) || size == 0 || size > UINT64_MAX / KERNEL_SECTOR ||
		read_number(sys_name, "hidden") == 1)
		return 0;
	for (char *s = name; *s; s++)
		if (*s == '!')
			*s = '/'; /* "cciss!c0d0" */
	autofree char *path = xasprintf("/dev/%s", name);
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && (errno == ENOMEDIUM || errno == ENOENT || errno == ENXIO)) {
		log_debug("%s: no medium", path);
		return 0;
	}
	if (fd < 0)
		return err_errno(e, "opening %s", path);
	*out = (struct inv_disk){
		.path = take_ptr(path),
		.name = take_ptr(name),
		.model = *model ? take_ptr(model) : NULL,
		.bus = read_bus(sys_name),
		.size_bytes = size * KERNEL_SECTOR,
		.sector_bytes = (unsigned)read_number(sys_name, "queue/logical_block_size"),
		.removable = read_number(sys_name, "removable") == 1,
		.read_only = read_number(sys_name, "ro") == 1,
	};
	if (out->sector_bytes < KERNEL_SECTOR)
		out->sector_bytes = KERNEL_SECTOR;
	out->whole.path = xstrdup(out->path);
	out->whole.size_bytes = out->size_bytes;
	int r = read_table(out, fd, e);
	if (r < 0)
		return r;
	find_live_label(out, fd);
	return 1;
}
