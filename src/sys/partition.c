/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/partition.h"

#include <ctype.h>
#include <inttypes.h>
#include <libfdisk.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/cmd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"

#define BUSY_TRIES     50 /* of a tenth of a second: udev opens partitions to look at them */
#define SETTLE_SECONDS 30

typedef struct fdisk_context fdisk_context;
DEFINE_AUTOPTR(fdisk_context, fdisk_unref_context)
typedef struct fdisk_table fdisk_table;
DEFINE_AUTOPTR(fdisk_table, fdisk_unref_table)
typedef struct fdisk_partition fdisk_partition;
DEFINE_AUTOPTR(fdisk_partition, fdisk_unref_partition)
typedef struct fdisk_parttype fdisk_parttype;
DEFINE_AUTOPTR(fdisk_parttype, fdisk_unref_parttype)

/* Questions are answered by refusing. */
static int refuse_to_answer(
	struct fdisk_context *cxt UNUSED, struct fdisk_ask *ask, void *data UNUSED)
{
	int type = fdisk_ask_get_type(ask);

	if (type == FDISK_ASKTYPE_WARN || type == FDISK_ASKTYPE_WARNX)
		log_debug("libfdisk: %s", fdisk_ask_print_get_mesg(ask));
	return type == FDISK_ASKTYPE_WARN || type == FDISK_ASKTYPE_WARNX ||
			type == FDISK_ASKTYPE_INFO
		? 0
		: -EINVAL;
}

static int open_table(const char *path, bool create, fdisk_context **out, struct err *e)
{
	autoptr(fdisk_context) cxt = fdisk_new_context();
	int r;

	if (!cxt)
		return err_set(e, ENOMEM, "libfdisk");
	fdisk_set_ask(cxt, refuse_to_answer, NULL);
	r = fdisk_assign_device(cxt, path, 0);
	if (r < 0)
		return err_set(e, -r, "%s", strerror(-r));
	if (!create && !fdisk_is_labeltype(cxt, FDISK_DISKLABEL_GPT))
		return err_set(e, EINVAL, "there is no GUID partition table on it");
	*out = take_ptr(cxt);
	return 0;
}

static int make_table(fdisk_context *cxt, const char *uuid, struct err *e)
{
	int r;

	/* What else was at the start of the disk would be found by others. */
	fdisk_enable_wipe(cxt, 1);
	r = fdisk_create_disklabel(cxt, "gpt");
	if (r == 0 && uuid)
		r = fdisk_set_disklabel_id_from_string(cxt, uuid);
	return r < 0 ? err_set(e, -r, "making a partition table: %s", strerror(-r)) : 0;
}

static int remove_part(fdisk_context *cxt, unsigned number, struct err *e)
{
	int r = number == 0 ? -EINVAL : fdisk_delete_partition(cxt, number - 1);

	return r < 0 ? err_set(e, EINVAL, "there is no partition %u", number) : 0;
}

/* The type and the place, as a libfdisk partition. */
static int describe_part(
	fdisk_context *cxt, const struct partition *p, fdisk_partition **out, struct err *e)
{
	unsigned long sector = fdisk_get_sector_size(cxt);
	autoptr(fdisk_partition) pa = fdisk_new_partition();
	autoptr(fdisk_parttype) type = fdisk_label_parse_parttype(
		fdisk_get_label(cxt, "gpt"), p->type);

	if (!pa || !type)
		return err_set(e, ENOMEM, "libfdisk");
	if (p->number == 0 || p->size_bytes == 0 || p->start_bytes % sector != 0 ||
		p->size_bytes % sector != 0)
		return err_set(e, EINVAL,
			"partition %u: %" PRIu64 "+%" PRIu64
			" bytes are not whole sectors of %lu bytes",
			p->number, p->start_bytes, p->size_bytes, sector);
	fdisk_partition_set_partno(pa, p->number - 1);
	fdisk_partition_set_start(pa, p->start_bytes / sector);
	fdisk_partition_set_size(pa, p->size_bytes / sector);
	fdisk_partition_size_explicit(pa, 1);
	fdisk_partition_set_type(pa, type);
	if (p->label)
		fdisk_partition_set_name(pa, p->label);
	if (p->uuid[0])
		fdisk_partition_set_uuid(pa, p->uuid);
	*out = take_ptr(pa);
	return 0;
}

static void keep_uuid(fdisk_context *cxt, struct partition *p)
{
	autoptr(fdisk_partition) made = NULL;
	const char *uuid = NULL;

	if (fdisk_get_partition(cxt, p->number - 1, &made) == 0)
		uuid = fdisk_partition_get_uuid(made);
	for (size_t i = 0; uuid && i < sizeof(p->uuid) - 1 && uuid[i]; i++)
		p->uuid[i] = (char)tolower((unsigned char)uuid[i]);
}

static int add_part(fdisk_context *cxt, struct partition *p, struct err *e)
{
	autoptr(fdisk_partition) pa = NULL;
	int r = describe_part(cxt, p, &pa, e);

	if (r < 0)
		return r;
	if (fdisk_add_partition(cxt, pa, NULL) < 0)
		return err_set(e, EINVAL, "no room for partition %u, %" PRIu64 " bytes at %" PRIu64,
			p->number, p->size_bytes, p->start_bytes);
	keep_uuid(cxt, p);
	return 0;
}

/* Tell the kernel.  old: what it knew; NULL: it is to look at everything again. */
static int tell_kernel(fdisk_context *cxt, fdisk_table *old)
{
	static const struct timespec nap = {.tv_nsec = 100000000L};
	int r = 0;

	for (unsigned i = 0; i < BUSY_TRIES; i++) {
		r = old ? fdisk_reread_changes(cxt, old) : fdisk_reread_partition_table(cxt);
		if (r != -EBUSY)
			break;
		nanosleep(&nap, NULL);
	}
	return r;
}

static int write_table(fdisk_context *cxt, fdisk_table *old, struct err *e)
{
	struct stat st;
	int r = fdisk_write_disklabel(cxt);

	if (r < 0)
		return err_set(e, -r, "writing the partition table: %s", strerror(-r));
	if (fsync(fdisk_get_devfd(cxt)) < 0 || fstat(fdisk_get_devfd(cxt), &st) < 0)
		return err_errno(e, "writing the partition table");
	if (!S_ISBLK(st.st_mode))
		return 0;
	r = tell_kernel(cxt, old);
	return r < 0 ? err_set(e, -r, "the kernel does not take the new partition table: %s",
			       strerror(-r))
		     : 0;
}

static int change(fdisk_context *cxt, struct partition_change *c, struct err *e)
{
	int r = c->create ? make_table(cxt, c->disk_uuid, e) : 0;

	for (size_t i = 0; r == 0 && i < c->remove_count; i++)
		r = remove_part(cxt, c->remove[i], e);
	for (size_t i = 0; r == 0 && i < c->add_count; i++)
		r = add_part(cxt, &c->add[i], e);
	return r;
}

int partition_write(const char *path, struct partition_change *c, struct err *e)
{
	autoptr(fdisk_context) cxt = NULL;
	autoptr(fdisk_table) old = NULL;
	int r = open_table(path, c->create, &cxt, e);

	if (r == 0 && !c->create && fdisk_get_partitions(cxt, &old) < 0)
		r = err_set(e, ENOMEM, "libfdisk");
	if (r == 0)
		r = change(cxt, c, e);
	if (r == 0)
		r = write_table(cxt, old, e);
	if (r < 0)
		return err_wrap(e, r, "'%s'", path);
	partition_settle();
	return 0;
}

char *partition_path(const char *disk, unsigned number)
{
	size_t len = strlen(disk);
	bool digit = len > 0 && isdigit((unsigned char)disk[len - 1]);

	return xasprintf("%s%s%u", disk, digit ? "p" : "", number);
}

void partition_settle(void)
{
	struct err e = {0};
	autocmd c = {0};

	if (!file_exists("/run/udev/control"))
		return;
	cmd_add(&c, "udevadm", "settle", NULL);
	cmd_addf(&c, "--timeout=%d", SETTLE_SECONDS);
	if (cmd_run(&c, &e) < 0)
		log_debug("%s", e.msg);
}
