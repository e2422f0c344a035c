/* SPDX-License-Identifier: Apache-2.0 */
/* Names that LVM takes, and device-mapper too. */
#include <errno.h>

#include "base/xalloc.h"
#include "storage/layout-internal.h"
#include "storage/lvm.h"

/* Device-mapper's name of a volume is GROUP-VOLUME, each dash in them doubled, up to this. */
#define DM_NAME_MAX 127
/* lvm makes devices of its own beside a pool: GROUP-pool_tdata, GROUP-pool-tpool. */
#define SUFFIX_ROOM 6
/* A layer's number may get that long. */
#define LAYER_SUFFIX "+99999"

static size_t dm_length(const char *name)
{
	size_t len = 0;

	for (; *name; name++)
		len += *name == '-' ? 2 : 1;
	return len;
}

static int check_volume_name(const struct plan *p, const char *name, struct err *e)
{
	const struct inv_vg *old = p->old_vg;

	if (!lvm_name_ok(name))
		return err_set(e, EINVAL,
			"'%.130s' cannot be the name of a volume: lvm takes letters, digits and "
			"'+_.-', not a dash first, and keeps some words for itself",
			name);
	if (dm_length(p->out->vg) + 1 + dm_length(name) + SUFFIX_ROOM > DM_NAME_MAX)
		return err_set(e, EINVAL, "'%s/%s' is too long for lvm by %zu", p->out->vg, name,
			dm_length(p->out->vg) + 1 + dm_length(name) + SUFFIX_ROOM - DM_NAME_MAX);
	for (size_t i = 0; old && i < old->lv_count; i++) {
		autofree char *path = xasprintf("%s/%s", old->name, old->lvs[i].name);

		if (str_eq(old->lvs[i].name, name) && !strv_has(&p->out->remove_lvs, path))
			return err_set(
				e, EBUSY, "there is a volume '%s' that is not of the node", path);
	}
	return 0;
}

static int check_unique(const struct strv *names, struct err *e)
{
	for (size_t i = 0; i < names->count; i++)
		for (size_t j = 0; j < i; j++)
			if (str_eq(names->items[i], names->items[j]))
				return err_set(e, EINVAL, "two volumes would have the name '%s'",
					names->items[i]);
	return 0;
}

int plan_check_names(const struct plan *p, struct err *e)
{
	const struct layout *l = p->out;
	autostrv names = {0};
	int r = 0;

	if (!lvm_name_ok(l->vg))
		return err_set(e, EINVAL,
			"'%.130s' cannot be the name of a volume group: lvm takes letters, digits "
			"and '+_.-', not a dash first, and keeps some words for itself",
			l->vg);
	strv_take(&names, xasprintf("%s-%s", p->params->name, p->params->version));
	strv_take(&names, xasprintf("%s" LAYER_SUFFIX, names.items[0]));
	strv_add(&names, l->pool);
	for (size_t i = 0; i < l->volume_count; i++)
		if (l->volumes[i].name)
			strv_add(&names, l->volumes[i].name);
	for (size_t i = 0; r == 0 && i < names.count; i++)
		r = check_volume_name(p, names.items[i], e);
	return r == 0 ? check_unique(&names, e) : r;
}
