/* SPDX-License-Identifier: Apache-2.0 */
/* autopart: the volumes of a profile. */
#include <errno.h>

#include "storage/layout-internal.h"

/*
 * What the pool leaves of the group is for growing it, and its metadata, later.  A minimal node
 * is for small disks: it leaves less, and keeps room for a next layer that is nearly empty.
 */
static const struct profile {
	const char *name;
	unsigned pool_percent;
	uint64_t layer_bytes, next_layer_bytes, var_bytes;
	bool var_only;
} profiles[] = {
	{"node", 80, 4 * GIB, 4 * GIB, 5 * GIB, false},
	{"minimal", 95, 2 * GIB, 512 * MIB, 2 * GIB, true},
};

static const char *const further[] = {
	"/home", "/tmp", "/var/crash", "/var/log", "/var/log/audit", "/var/tmp"};

static int check_options(const struct ks_cmd *c, struct err *e)
{
	static const char *const refused[] = {"encrypted", "noboot", "hibernation"};
	const char *type = ks_str(c, "type"), *fstype = ks_str(c, "fstype");

	if (type && !str_eq(type, "thinp"))
		return plan_refuse(c, e, EINVAL,
			"--type=%s is not supported: a node's volumes are thin, use --type=thinp",
			type);
	if (fstype && !str_eq(fstype, "ext4") && !str_eq(fstype, "xfs"))
		return plan_refuse(
			c, e, EINVAL, "--fstype=%.40s is not supported: use ext4 or xfs", fstype);
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		if (ks_flag(c, refused[i]))
			return plan_refuse(c, e, EINVAL, "--%s is not supported by this installer",
				refused[i]);
	return 0;
}

static const struct profile *find_profile(const struct ks_cmd *c)
{
	const char *name = ks_str(c, "profile");

	for (size_t i = 0; name && i < ARRAY_LEN(profiles); i++)
		if (str_eq(name, profiles[i].name))
			return &profiles[i];
	return &profiles[0];
}

int plan_read_autopart(struct plan *p, const struct ks_cmd *c, struct err *e)
{
	const struct profile *profile = find_profile(c);
	const char *fstype = ks_str(c, "fstype") ? ks_str(c, "fstype") : "ext4";
	struct want *w = &p->want;
	int r = check_options(c, e);

	if (r < 0)
		return r;
	w->automatic = true;
	w->cmd = w->pool_cmd = c;
	w->vg = "bedplate";
	w->pool = "pool00";
	w->extent_bytes = LAYOUT_EXTENT_BYTES;
	w->pool_size.percent = profile->pool_percent;
	w->next_layer_bytes = profile->next_layer_bytes;

	want_add_volume(w,
		&(struct want_volume){.cmd = c,
			.mount = "/",
			.fstype = "ext4",
			.size.bytes = profile->layer_bytes});
	want_add_volume(w,
		&(struct want_volume){.cmd = c,
			.mount = "/var",
			.fstype = fstype,
			.size = {.bytes = profile->var_bytes, .grow = true}});
	for (size_t i = 0; !profile->var_only && i < ARRAY_LEN(further); i++) {
		if (str_eq(further[i], "/home") && ks_flag(c, "nohome"))
			continue;
		want_add_volume(w,
			&(struct want_volume){.cmd = c,
				.mount = further[i],
				.fstype = fstype,
				.size.bytes = want_recommended(p->inv, further[i])});
	}
	return 0;
}
