/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Storage domains in volumes that are not active.
 *
 * Only of groups that are to be erased: on a SAN there may be hundreds of volumes that other machines
 * use.  No byte of them changes.
 */
#include <errno.h>
#include <fcntl.h>

#include "base/interrupt.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "storage/inventory-internal.h"
#include "sys/partition.h"

/* Bases, snapshots and what is not complete hold nothing of anybody's. */
static bool is_wanted(const struct inv_lv *lv)
{
	return lv->idle &&
		(!inventory_lv_is_ours(lv) ||
			(inventory_has_tag(&lv->tags, LVM_TAG_VOLUME) &&
				!inventory_has_tag(&lv->tags, LVM_TAG_NEW)));
}

static char *name_of(const struct inv_vg *vg, const struct inv_lv *lv)
{
	return xasprintf("%s/%s", vg->name, lv->name);
}

/*
 * A thin volume comes with its pool, which the kernel refuses in a read-only table, and lvm2 2.03.16
 * builds it as one for whatever is on that list.  Nobody writes to it but through its volumes, and those
 * are only read.
 */
static int activate(const struct inv_vg *vg, const struct inv_lv *only, struct err *e)
{
	autostrbuf list = {0};
	autostrv args = {0};

	strv_add(&args, "lvchange");
	strv_add(&args, "--activate=y");
	strv_add(&args, "--ignoreactivationskip");
	for (size_t i = 0; i < vg->lv_count; i++) {
		const struct inv_lv *lv = &vg->lvs[i];
		autofree char *name = name_of(vg, lv);

		if (only ? lv != only : !is_wanted(lv))
			continue;
		if (!lv->pool)
			strbuf_printf(&list, "%s\"%s\"", list.len > 0 ? "," : "", name);
		strv_take(&args, take_ptr(name));
	}
	if (list.len > 0)
		strv_take(&args,
			xasprintf("--config=" LVM_CONFIG " activation{read_only_volume_list=[%s]}",
				list.data));
	return lvm_run_args(&args, e);
}

/* Also after a signal, and after a command that has failed half-way. */
static void deactivate(const struct strv *names)
{
	autostrv args = {0};
	struct err own = {0};

	strv_add(&args, "lvchange");
	strv_add(&args, "--activate=n");
	strv_add_all(&args, names);
	interrupt_defer();
	partition_settle();
	if (lvm_run_args(&args, &own) < 0)
		log_warning("volumes that were looked into stay active: %s", own.msg);
	interrupt_resume();
}

/* One that fails may have kept others of its command from it; and the words are those of the last. */
static int open_volume(const struct inv_vg *vg, const struct inv_lv *lv, struct err *e)
{
	autofree char *device = xasprintf("/dev/%s/%s", vg->name, lv->name);
	int fd = open(device, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? activate(vg, lv, e) : 0;

	if (fd < 0 && r == 0)
		fd = open(device, O_RDONLY | O_CLOEXEC);
	return r < 0 ? r : fd < 0 ? err_errno(e, "'%s'", device) : fd;
}

/* A volume that has no device in the end stays idle. */
static void search_volume(const struct inv_vg *vg, struct inv_lv *lv)
{
	autofree char *device = xasprintf("/dev/%s/%s", vg->name, lv->name);
	struct err own = {0};
	autofd int fd = open_volume(vg, lv, &own);

	free(take_ptr(lv->unsearched));
	lv->idle = fd < 0;
	if (fd >= 0)
		domain_search_volume(fd, device, lv);
	else if (inventory_lv_is_ours(lv))
		log_warning("%s of the node was not searched for a storage domain: %s", device,
			own.msg);
	else
		lv->unsearched = xasprintf("it cannot be activated: %s", own.msg);
}

static int search_group(struct inv_vg *vg, struct err *e)
{
	autostrv names = {0};
	struct err own = {0};

	for (size_t i = 0; i < vg->lv_count; i++)
		if (is_wanted(&vg->lvs[i]))
			strv_take(&names, name_of(vg, &vg->lvs[i]));
	if (activate(vg, NULL, &own) < 0)
		log_debug("%s", own.msg);
	for (size_t i = 0; i < vg->lv_count && !interrupt_pending(); i++)
		if (is_wanted(&vg->lvs[i])) {
			search_volume(vg, &vg->lvs[i]);
			vg->storage_domain = vg->storage_domain || vg->lvs[i].storage_domain;
		}
	deactivate(&names);
	return interrupt_check(e);
}

static bool has_wanted(const struct inv_vg *vg)
{
	bool wanted = false;

	for (size_t i = 0; i < vg->lv_count; i++) {
		/* LVM would not have made such a name: what is this then? */
		if (!lvm_name_ok(vg->name) || !lvm_name_ok(vg->lvs[i].name))
			return false;
		wanted = wanted || is_wanted(&vg->lvs[i]);
	}
	return wanted;
}

int inventory_search(struct inventory *inv, const struct strv *groups, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < inv->vg_count; i++)
		if (strv_has(groups, inv->vgs[i].name) && has_wanted(&inv->vgs[i]))
			r = search_group(&inv->vgs[i], e);
	return r;
}
