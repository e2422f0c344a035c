/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of layout_plan(), in order: what the kickstart wants (layout-want.c, layout-auto.c),
 * which disks it may have and what goes from them (layout-disks.c) or which node is there already
 * (layout-again.c), then partitions (layout-parts.c) and volumes (layout-volumes.c).  Internal to
 * storage/.
 */
#pragma once

#include "storage/layout.h"

/* Partitions begin and end on multiples of this; it is also what LVM keeps at the start of a PV. */
#define LAYOUT_ALIGN MIB

#define LAYOUT_EXTENT_BYTES (4 * MIB)
/* LVM's own limit is a little less than 16 GiB. */
#define LAYOUT_METADATA_MAX (15 * GIB)

struct want_size {
	uint64_t bytes;     /* exactly, or at least when it grows; 0: by percent */
	uint64_t max_bytes; /* 0: no limit */
	unsigned percent;   /* 0: none */
	bool grow;
};

/* Strings of the three belong to the kickstart or are constants. */
struct want_part {
	const struct ks_cmd *cmd; /* the line to blame */
	enum layout_role role;
	const char *pv; /* "pv.01", or NULL */
	const char *mount, *fstype, *fsoptions;
	struct want_size size;
	const char *disk; /* NULL: anywhere */
};

struct want_volume {
	const struct ks_cmd *cmd;
	const char *name; /* NULL: after its mount point */
	const char *mount, *fstype, *fsoptions;
	struct want_size size;
};

struct want {
	bool automatic; /* autopart: a physical volume on each disk, volumes of a profile */
	const struct ks_cmd *cmd; /* autopart or volgroup */
	struct want_part *parts;
	size_t part_count, part_room;
	const char *vg, *pool;
	uint64_t extent_bytes;
	uint64_t reserved_bytes; /* of the group, for nobody */
	unsigned reserved_percent;
	const struct ks_cmd *pool_cmd;
	struct want_size pool_size;
	uint64_t metadata_bytes, chunk_bytes; /* 0: by rule */
	struct want_volume *volumes;
	size_t volume_count, volume_room;
	uint64_t next_layer_bytes; /* to keep free for the next upgrade; 0: as the layer */
};

/* A disk that the node may use. */
struct pick {
	const struct inv_disk *disk;
	bool *goes;      /* each of its partitions */
	bool whole_goes; /* what is on it without a partition table */
	bool new_table;
};

struct plan {
	const struct ks_doc *doc;
	const struct inventory *inv;
	const struct layout_params *params;
	bool looks_again; /* idle volumes are no reason to refuse yet */
	struct want want;
	struct pick *picks; /* same order as out->disks */
	size_t pick_count;
	const struct inv_vg *old_vg; /* reinstall: the node's group */
	uint64_t vg_room_bytes;      /* what the pool, its metadata and reserves share */
	struct layout *out;
};

void plan_fini(struct plan *p);
#define autoplan auto_with(plan_fini) struct plan

/* "FILE:LINE: command: text" */
int plan_refuse(const struct ks_cmd *c, struct err *e, int code, const char *fmt, ...) PRINTF(4, 5);

uint64_t plan_round_up(uint64_t bytes, uint64_t unit);
uint64_t plan_round_down(uint64_t bytes, uint64_t unit);

/* An option in MiB (unit_bytes MIB) or KiB as bytes; 0 when not given. */
int plan_bytes(const struct ks_cmd *c, const char *option, uint64_t unit_bytes, uint64_t *out,
	struct err *e) MUST_CHECK;

int plan_read_want(struct plan *p, struct err *e) MUST_CHECK;
/* From autopart; the physical volumes follow when the disks are known. */
int plan_read_autopart(struct plan *p, const struct ks_cmd *c, struct err *e) MUST_CHECK;
void want_add_part(struct want *w, const struct want_part *part);
void want_add_volume(struct want *w, const struct want_volume *volume);
/* The size that --recommended stands for. */
uint64_t want_recommended(const struct inventory *inv, const char *mount);

int plan_choose_disks(struct plan *p, struct err *e) MUST_CHECK;
/* Fills disks, erase and remove_vgs of the layout. */
int plan_clear_disks(struct plan *p, struct err *e) MUST_CHECK;
/* The disk that part --ondisk means, as an index into picks. */
int plan_find_pick(const struct plan *p, const struct ks_cmd *c, const char *name, size_t *out,
	struct err *e) MUST_CHECK;
/* Whether a list of disks has each of the picks; an empty list has all.  out: pick_count of them. */
int plan_pick_list(const struct plan *p, const struct ks_cmd *c, const char *option, bool *out,
	struct err *e) MUST_CHECK;
void plan_add_erase(struct layout *l, const char *device, char *what);
/* "ext4 file system 'data', 20.0 GiB".  The caller frees it. */
char *plan_describe(const struct inv_part *part) MUST_CHECK;

/* Reinstall: disks, partitions and the group as they are. */
int plan_keep_node(struct plan *p, struct err *e) MUST_CHECK;

int plan_parts(struct plan *p, struct err *e) MUST_CHECK;
/* That /boot and the EFI system partition hold what they must. */
int plan_check_parts(const struct plan *p, struct err *e) MUST_CHECK;
/* PARTLABEL.  The caller frees it. */
char *plan_label(const struct want_part *want) MUST_CHECK;
/* For fstab.  The caller frees it. */
char *plan_fsoptions(const char *given, bool discard) MUST_CHECK;
/* The same of a partition; NULL without a file system.  The caller frees it. */
char *plan_part_fsoptions(const struct want_part *want) MUST_CHECK;

int plan_volumes(struct plan *p, struct err *e) MUST_CHECK;
/* autopart: the smallest group that its volumes fit in. */
uint64_t plan_least_group(const struct plan *p) MUST_CHECK;
int plan_check_names(const struct plan *p, struct err *e) MUST_CHECK;

/* Something that takes its share of what is left. */
struct grower {
	uint64_t base;  /* its weight, and what it has already */
	uint64_t limit; /* UINT64_MAX: none */
	uint64_t got;   /* in the end */
};
/* Give out `left` units in proportion to the bases. */
void plan_grow(struct grower *g, size_t count, uint64_t left);
