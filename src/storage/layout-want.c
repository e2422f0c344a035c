/* SPDX-License-Identifier: Apache-2.0 */
/* What the storage commands of a kickstart ask for, before anything is known of disks. */
#include <errno.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "ks/ks.h"
#include "storage/layout-internal.h"

#define EXTENT_MIN_BYTES (128 * KIB)
#define EXTENT_MAX_BYTES GIB
#define CHUNK_MIN_BYTES  (64 * KIB)
#define CHUNK_MAX_BYTES  GIB
#define MOUNT_MAX        200

void want_add_part(struct want *w, const struct want_part *part)
{
	if (w->part_count == w->part_room) {
		w->part_room = w->part_room ? 2 * w->part_room : 8;
		w->parts = xrealloc(w->parts, w->part_room * sizeof(*w->parts));
	}
	w->parts[w->part_count++] = *part;
}

void want_add_volume(struct want *w, const struct want_volume *volume)
{
	if (w->volume_count == w->volume_room) {
		w->volume_room = w->volume_room ? 2 * w->volume_room : 8;
		w->volumes = xrealloc(w->volumes, w->volume_room * sizeof(*w->volumes));
	}
	w->volumes[w->volume_count++] = *volume;
}

/* As the installer that the language comes from sizes swap without hibernation. */
static uint64_t recommended_swap(uint64_t memory)
{
	if (memory < 2 * GIB)
		return plan_round_up(MAX(2 * memory, 1), MIB);
	if (memory < 8 * GIB)
		return plan_round_up(memory, MIB);
	if (memory < 64 * GIB)
		return plan_round_up(memory / 2, MIB);
	return 4 * GIB;
}

uint64_t want_recommended(const struct inventory *inv, const char *mount)
{
	static const struct {
		const char *mount;
		uint64_t bytes;
	} sizes[] = {
		{"biosboot", MIB},
		{"/boot/efi", 512 * MIB},
		{"/boot", GIB},
		{"/", 4 * GIB},
		{"/home", GIB},
		{"/tmp", GIB},
		{"/var", 5 * GIB},
		{"/var/crash", 10 * GIB},
		{"/var/log", 8 * GIB},
		{"/var/log/audit", 2 * GIB},
		{"/var/tmp", 10 * GIB},
	};

	if (str_eq(mount, "swap"))
		return recommended_swap(inv->memory_bytes);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		if (str_eq(mount, sizes[i].mount))
			return sizes[i].bytes;
	return GIB;
}

/* What would need something that is there already, or that a node does not have. */
static int refuse_options(
	const struct ks_cmd *c, const char *const *options, size_t count, struct err *e)
{
	for (size_t i = 0; i < count; i++)
		if (ks_flag(c, options[i]))
			return plan_refuse(c, e, EINVAL, "--%s is not supported by this installer",
				options[i]);
	return 0;
}

static void warn_ignored(const struct ks_cmd *c, const char *const *options, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (ks_given(c, options[i]))
			log_warning("%s:%u: %s: --%s is ignored", ks_file(c), ks_line(c),
				ks_name(c), options[i]);
}

static int read_size(
	const struct plan *p, const struct ks_cmd *c, struct want_size *out, struct err *e)
{
	struct want_size s = {.grow = ks_flag(c, "grow")};
	int r = plan_bytes(c, "size", MIB, &s.bytes, e);

	if (r == 0)
		r = plan_bytes(c, "maxsize", MIB, &s.max_bytes, e);
	if (r < 0)
		return r;
	if (s.bytes == 0 && ks_flag(c, "recommended"))
		s.bytes = want_recommended(p->inv, ks_args(c)->items[0]);
	if (s.max_bytes > 0 && s.max_bytes < s.bytes)
		return plan_refuse(c, e, EINVAL, "--maxsize is less than --size");
	*out = s;
	return 0;
}

/* Mount points become tags of volumes and words of fstab. */
static int check_mount(const struct ks_cmd *c, const char *mount, struct err *e)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_.+-";
	static const char *const system[] = {"/bin", "/dev", "/etc", "/lib", "/lib32", "/lib64",
		"/proc", "/run", "/sbin", "/sys", "/usr"};

	if (mount[0] != '/' || strlen(mount) > MOUNT_MAX || mount[strspn(mount, allowed)])
		return plan_refuse(c, e, EINVAL,
			"'%.80s' is not a mount point: '/' and then letters, digits and '/_.+-', "
			"at most %d",
			mount, MOUNT_MAX);
	for (size_t i = 0; i < ARRAY_LEN(system); i++)
		if (str_eq(mount, system[i]))
			return plan_refuse(c, e, EINVAL, "%s is part of the image", mount);
	return 0;
}

static int check_fsoptions(const struct ks_cmd *c, struct err *e)
{
	const char *text = ks_str(c, "fsoptions");

	for (const char *s = text; s && *s; s++)
		if (*s <= ' ' || *s > '~' || *s == '\\' || *s == '#')
			return plan_refuse(c, e, EINVAL,
				"--fsoptions has a character that fstab "
				"does not allow");
	if (text && strstr(text, "nodiscard"))
		return plan_refuse(c, e, EINVAL,
			"--fsoptions=nodiscard is not supported: the thin pool would fill up");
	return 0;
}

/* One of the choices (up to NULL); the first unless --fstype is given. */
static int choose_fstype(
	const struct ks_cmd *c, const char *const *choices, const char **out, struct err *e)
{
	const char *text = ks_str(c, "fstype");

	for (size_t i = 0; choices[i]; i++) {
		if (!text || str_eq(text, choices[i])) {
			*out = choices[i];
			return 0;
		}
	}
	return plan_refuse(c, e, EINVAL, "--fstype=%.40s is not supported for %s: use %s", text,
		ks_args(c)->items[0], choices[0]);
}

static const char *const boot_types[] = {"ext4", NULL};
static const char *const data_types[] = {"ext4", "xfs", NULL};
static const char *const efi_types[] = {"vfat", "efi", NULL};
static const char *const swap_types[] = {"swap", NULL};

static int read_role(const struct ks_cmd *c, struct want_part *w, struct err *e)
{
	const char *arg = ks_args(c)->items[0];
	int r;

	if (str_starts(arg, "pv.")) {
		w->role = LAYOUT_PV;
		w->pv = arg;
		return 0;
	}
	if (str_eq(arg, "biosboot")) {
		w->role = LAYOUT_BIOS;
		return 0;
	}
	w->mount = arg;
	w->fsoptions = ks_str(c, "fsoptions");
	if (str_eq(arg, "swap")) {
		w->role = LAYOUT_SWAP;
		return choose_fstype(c, swap_types, &w->fstype, e);
	}
	if (str_eq(arg, "/boot")) {
		w->role = LAYOUT_BOOT;
		return choose_fstype(c, boot_types, &w->fstype, e);
	}
	if (str_eq(arg, "/boot/efi")) {
		w->role = LAYOUT_EFI;
		r = choose_fstype(c, efi_types, &w->fstype, e);
		w->fstype = efi_types[0];
		return r;
	}
	if (str_eq(arg, "/") || str_eq(arg, "/var"))
		return plan_refuse(c, e, EINVAL,
			"%s of a node is a thin volume: logvol %s --thin --poolname=POOL", arg,
			arg);
	w->role = LAYOUT_DATA;
	r = check_mount(c, arg, e);
	return r == 0 ? choose_fstype(c, data_types, &w->fstype, e) : r;
}

static bool same_place(const char *a, const char *b)
{
	return a && b && str_eq(a, b) && !str_eq(a, "swap");
}

/* No two of a mount point, of a name, of what a boot drive has once. */
static int check_part_is_new(const struct want *w, const struct want_part *part, struct err *e)
{
	for (size_t i = 0; i < w->part_count; i++) {
		const struct want_part *other = &w->parts[i];

		if (same_place(other->mount, part->mount) || same_place(other->pv, part->pv) ||
			(other->role == LAYOUT_BIOS && part->role == LAYOUT_BIOS))
			return plan_refuse(part->cmd, e, EINVAL, "%s is there already, in line %u",
				ks_args(part->cmd)->items[0], ks_line(other->cmd));
	}
	return 0;
}

static int read_part(struct plan *p, const struct ks_cmd *c, struct err *e)
{
	static const char *const refused[] = {
		"onpart", "onbiosdisk", "noformat", "resize", "encrypted", "hibernation"};
	static const char *const ignored[] = {"label", "fsprofile", "mkfsoptions"};
	struct want_part w = {.cmd = c, .disk = ks_str(c, "ondisk")};
	int r = refuse_options(c, refused, ARRAY_LEN(refused), e);

	if (r == 0)
		r = read_role(c, &w, e);
	if (r == 0)
		r = check_fsoptions(c, e);
	if (r == 0)
		r = read_size(p, c, &w.size, e);
	if (r == 0)
		r = check_part_is_new(&p->want, &w, e);
	if (r < 0)
		return r;
	if (w.size.bytes == 0 && w.role <= LAYOUT_BOOT)
		w.size.bytes = want_recommended(p->inv, ks_args(c)->items[0]);
	if (w.size.bytes == 0 && !w.size.grow)
		return plan_refuse(c, e, EINVAL, "no size: add --size, --grow or --recommended");
	w.size.bytes = MAX(w.size.bytes, LAYOUT_ALIGN);
	warn_ignored(c, ignored, ARRAY_LEN(ignored));
	want_add_part(&p->want, &w);
	return 0;
}

static const struct want_part *find_pv(const struct want *w, const char *pv)
{
	for (size_t i = 0; i < w->part_count; i++)
		if (w->parts[i].pv && str_eq(w->parts[i].pv, pv))
			return &w->parts[i];
	return NULL;
}

/* Each pv.NN in the group, and the group of nothing else. */
static int check_members(const struct want *w, const struct ks_cmd *c, struct err *e)
{
	const struct strv *args = ks_args(c);

	for (size_t i = 1; i < args->count; i++)
		if (!find_pv(w, args->items[i]))
			return plan_refuse(
				c, e, EINVAL, "there is no part '%.80s'", args->items[i]);
	for (size_t i = 0; i < w->part_count; i++)
		if (w->parts[i].pv && !strv_has(args, w->parts[i].pv))
			return plan_refuse(w->parts[i].cmd, e, EINVAL, "no volgroup has '%.80s'",
				w->parts[i].pv);
	return 0;
}

static int read_group(struct plan *p, const struct ks_cmd *c, struct err *e)
{
	static const char *const refused[] = {"noformat", "useexisting"};
	struct want *w = &p->want;
	int64_t percent;
	int r = refuse_options(c, refused, ARRAY_LEN(refused), e);

	if (r < 0)
		return r;
	w->cmd = c;
	w->vg = ks_args(c)->items[0];
	w->extent_bytes = LAYOUT_EXTENT_BYTES;
	if (ks_given(c, "pesize"))
		r = plan_bytes(c, "pesize", KIB, &w->extent_bytes, e);
	if (r == 0)
		r = plan_bytes(c, "reserved-space", MIB, &w->reserved_bytes, e);
	if (r < 0)
		return r;
	if (w->extent_bytes < EXTENT_MIN_BYTES || w->extent_bytes > EXTENT_MAX_BYTES ||
		(w->extent_bytes & (w->extent_bytes - 1)) != 0)
		return plan_refuse(c, e, EINVAL,
			"--pesize must be a power of two between %llu and %llu",
			EXTENT_MIN_BYTES / KIB, EXTENT_MAX_BYTES / KIB);
	if (ks_int(c, "reserved-percent", &percent))
		w->reserved_percent = (unsigned)percent;
	if (ks_next(p->doc, "volgroup", c))
		return plan_refuse(ks_next(p->doc, "volgroup", c), e, EINVAL,
			"a node has one volume group, and that is '%.80s'", w->vg);
	return check_members(w, c, e);
}

static int read_pool(struct plan *p, const struct ks_cmd *c, struct err *e)
{
	struct want *w = &p->want;
	int64_t percent;
	int r;

	if (w->pool)
		return plan_refuse(
			c, e, EINVAL, "a node has one thin pool, and that is '%.80s'", w->pool);
	w->pool = ks_str(c, "name");
	w->pool_cmd = c;
	r = read_size(p, c, &w->pool_size, e);
	if (r == 0)
		r = plan_bytes(c, "metadatasize", MIB, &w->metadata_bytes, e);
	if (r == 0)
		r = plan_bytes(c, "chunksize", KIB, &w->chunk_bytes, e);
	if (r < 0)
		return r;
	if (w->metadata_bytes > LAYOUT_METADATA_MAX)
		return plan_refuse(c, e, EINVAL, "--metadatasize must be at most %llu",
			LAYOUT_METADATA_MAX / MIB);
	if (w->chunk_bytes % CHUNK_MIN_BYTES != 0 || w->chunk_bytes > CHUNK_MAX_BYTES)
		return plan_refuse(c, e, EINVAL,
			"--chunksize must be a multiple of %llu, up to %llu", CHUNK_MIN_BYTES / KIB,
			CHUNK_MAX_BYTES / KIB);
	if (ks_int(c, "percent", &percent))
		w->pool_size.percent = (unsigned)percent;
	return 0;
}

static int check_volume_is_new(
	const struct want *w, const struct want_volume *volume, struct err *e)
{
	for (size_t i = 0; i < w->part_count; i++)
		if (same_place(w->parts[i].mount, volume->mount))
			return plan_refuse(volume->cmd, e, EINVAL,
				"%s is there already, in line %u", volume->mount,
				ks_line(w->parts[i].cmd));
	for (size_t i = 0; i < w->volume_count; i++)
		if (str_eq(w->volumes[i].mount, volume->mount))
			return plan_refuse(volume->cmd, e, EINVAL,
				"%s is there already, in line %u", volume->mount,
				ks_line(w->volumes[i].cmd));
	return 0;
}

/* Where it is mounted, and what of that a volume can be. */
static int read_volume_mount(const struct ks_cmd *c, struct want_volume *v, struct err *e)
{
	int r;

	v->mount = ks_args(c)->items[0];
	v->fsoptions = ks_str(c, "fsoptions");
	if (str_eq(v->mount, "swap"))
		return choose_fstype(c, swap_types, &v->fstype, e);
	r = check_mount(c, v->mount, e);
	if (r < 0)
		return r;
	if (str_eq(v->mount, "/boot") || str_starts(v->mount, "/boot/"))
		return plan_refuse(
			c, e, EINVAL, "%s must be a partition: part %s", v->mount, v->mount);
	return choose_fstype(c, str_eq(v->mount, "/") ? boot_types : data_types, &v->fstype, e);
}

static int read_volume(struct plan *p, const struct ks_cmd *c, struct err *e)
{
	struct want_volume v = {.cmd = c, .name = ks_str(c, "name")};
	int64_t percent;
	int r;

	if (!ks_flag(c, "thin"))
		return plan_refuse(
			c, e, EINVAL, "a node's volumes are thin: add --thin --poolname=POOL");
	r = read_volume_mount(c, &v, e);
	if (r == 0)
		r = check_fsoptions(c, e);
	if (r == 0)
		r = read_size(p, c, &v.size, e);
	if (r == 0)
		r = check_volume_is_new(&p->want, &v, e);
	if (r < 0)
		return r;
	if (ks_int(c, "percent", &percent))
		v.size.percent = (unsigned)percent;
	if (str_eq(v.mount, "/"))
		v.name = NULL; /* the layer is called after the image */
	want_add_volume(&p->want, &v);
	return 0;
}

static int read_logvols(struct plan *p, struct err *e)
{
	static const char *const refused[] = {
		"noformat", "useexisting", "resize", "encrypted", "hibernation", "cachesize"};
	static const char *const ignored[] = {"label", "fsprofile", "mkfsoptions", "profile"};
	int r = 0;

	for (const struct ks_cmd *c = NULL; r == 0 && (c = ks_next(p->doc, "logvol", c));) {
		r = refuse_options(c, refused, ARRAY_LEN(refused), e);
		if (r == 0 && !str_eq(ks_str(c, "vgname"), p->want.vg))
			return plan_refuse(
				c, e, EINVAL, "there is no volgroup '%.80s'", ks_str(c, "vgname"));
		if (r == 0)
			r = ks_flag(c, "thinpool") ? read_pool(p, c, e) : read_volume(p, c, e);
		warn_ignored(c, ignored, ARRAY_LEN(ignored));
	}
	return r;
}

static int check_pool_name(const struct plan *p, struct err *e)
{
	const struct want *w = &p->want;

	if (!w->pool)
		return plan_refuse(w->cmd, e, EINVAL,
			"it has no thin pool: add logvol none --thinpool --name=pool00 --vgname=%s "
			"--size=MIB --grow",
			w->vg);
	for (size_t i = 0; i < w->volume_count; i++)
		if (!str_eq(ks_str(w->volumes[i].cmd, "poolname"), w->pool))
			return plan_refuse(w->volumes[i].cmd, e, EINVAL,
				"there is no thin pool '%.80s'",
				ks_str(w->volumes[i].cmd, "poolname"));
	return 0;
}

static bool has_volume(const struct want *w, const char *mount)
{
	for (size_t i = 0; i < w->volume_count; i++)
		if (str_eq(w->volumes[i].mount, mount))
			return true;
	return false;
}

static int read_lines(struct plan *p, struct err *e)
{
	const struct ks_cmd *group = ks_next(p->doc, "volgroup", NULL);
	static const char *const needed[] = {"/", "/var"};
	int r = 0;

	for (const struct ks_cmd *c = NULL; r == 0 && (c = ks_next(p->doc, "part", c));)
		r = read_part(p, c, e);
	if (r < 0)
		return r;
	if (!group)
		return err_set(e, EINVAL,
			"the kickstart has no volume group: use autopart --type=thinp, or part "
			"pv.01, volgroup and logvol");
	r = read_group(p, group, e);
	if (r == 0)
		r = read_logvols(p, e);
	if (r == 0)
		r = check_pool_name(p, e);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(needed); i++)
		if (!has_volume(&p->want, needed[i]))
			r = plan_refuse(group, e, EINVAL,
				"a node needs a thin volume for %s: add logvol %s --thin",
				needed[i], needed[i]);
	return r;
}

static bool has_role(const struct want *w, enum layout_role role)
{
	for (size_t i = 0; i < w->part_count; i++)
		if (w->parts[i].role == role)
			return true;
	return false;
}

/* What firmware reads comes first on the disk, the rest stays in the order of the kickstart. */
static void sort_parts(struct want *w)
{
	for (size_t i = 1; i < w->part_count; i++) {
		struct want_part part = w->parts[i];
		size_t j = i;

		for (; j > 0 && part.role <= LAYOUT_BOOT && w->parts[j - 1].role > part.role; j--)
			w->parts[j] = w->parts[j - 1];
		w->parts[j] = part;
	}
}

/* A node boots with any firmware, whatever it was installed with. */
static void complete_parts(struct plan *p)
{
	static const struct want_part always[] = {
		{.role = LAYOUT_BIOS},
		{.role = LAYOUT_EFI, .mount = "/boot/efi", .fstype = "vfat"},
		{.role = LAYOUT_BOOT, .mount = "/boot", .fstype = "ext4"},
	};
	static const char *const names[] = {"biosboot", "/boot/efi", "/boot"};
	struct want *w = &p->want;
	bool quiet = w->automatic || p->params->reinstall || ks_next(p->doc, "reqpart", NULL);

	for (size_t i = 0; i < ARRAY_LEN(always); i++) {
		struct want_part part = always[i];

		if (has_role(w, part.role))
			continue;
		part.cmd = w->cmd;
		part.size.bytes = want_recommended(p->inv, names[i]);
		if (!quiet)
			log_warning("the kickstart has no part %s: it is added, %llu MiB", names[i],
				(unsigned long long)(part.size.bytes / MIB));
		want_add_part(w, &part);
	}
	sort_parts(w);
}

int plan_read_want(struct plan *p, struct err *e)
{
	static const char *const refused[] = {"raid", "mount"};
	const struct ks_cmd *c = ks_next(p->doc, "autopart", NULL);
	int r;

	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		if (ks_next(p->doc, refused[i], NULL))
			return plan_refuse(ks_next(p->doc, refused[i], NULL), e, EINVAL,
				"it is not supported by this installer: use autopart --type=thinp");
	r = c ? plan_read_autopart(p, c, e) : read_lines(p, e);
	if (r == 0)
		complete_parts(p);
	return r;
}
