/* SPDX-License-Identifier: Apache-2.0 */
#include "media/gpt.h"

#include <errno.h>
#include <libfdisk/libfdisk.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

static void free_context(struct fdisk_context **cxt)
{
	fdisk_unref_context(*cxt);
}

static void free_partition(struct fdisk_partition **pa)
{
	fdisk_unref_partition(*pa);
}

static bool matches(struct fdisk_partition *pa, const char *type, const char *label)
{
	struct fdisk_parttype *t = fdisk_partition_get_type(pa);
	const char *guid = t ? fdisk_parttype_get_string(t) : NULL;
	const char *name = fdisk_partition_get_name(pa);

	if (!fdisk_partition_has_start(pa) || !fdisk_partition_has_size(pa))
		return false;
	if (type && (!guid || strcasecmp(guid, type) != 0))
		return false;
	return name && str_eq(name, label);
}

int gpt_find(
	const char *path, const char *type, const char *label, struct gpt_part *out, struct err *e)
{
	auto_with(free_context) struct fdisk_context *cxt = fdisk_new_context();

	if (!cxt)
		return err_set(e, ENOMEM, "out of memory");
	fdisk_disable_dialogs(cxt, 1);
	int r = fdisk_assign_device(cxt, path, 1);
	if (r < 0)
		return err_set(
			e, -r, "'%s': no partition table can be read: %s", path, strerror(-r));
	*out = (struct gpt_part){0};
	if (!fdisk_is_label(cxt, GPT))
		return 0;
	for (size_t i = 0; i < fdisk_get_npartitions(cxt); i++) {
		auto_with(free_partition) struct fdisk_partition *pa = NULL;
		uint64_t sector = fdisk_get_sector_size(cxt);

		if (fdisk_get_partition(cxt, i, &pa) != 0 || !matches(pa, type, label))
			continue;
		*out = (struct gpt_part){.start_bytes = fdisk_partition_get_start(pa) * sector,
			.size_bytes = fdisk_partition_get_size(pa) * sector};
		break;
	}
	return 0;
}
