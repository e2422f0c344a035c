/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layout of a node's disks: what will be erased, made and kept, to the byte, before anything is
 * written.  See docs/node.md.
 *
 * layout_plan() is a function of its arguments alone; storage/apply.h carries a layout out.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"
#include "ks/model.h"
#include "storage/inventory.h"

enum layout_role {
	LAYOUT_BIOS,
	LAYOUT_EFI,
	LAYOUT_BOOT,
	LAYOUT_PV,
	LAYOUT_SWAP,
	LAYOUT_DATA, /* any other file system */
};

struct layout_disk {
	char *path;
	uint64_t size_bytes;
	unsigned sector_bytes;
	bool new_table; /* everything on it goes, it gets a new GPT */
	/* Otherwise: numbers of the partitions that go, the others stay. */
	unsigned *remove;
	size_t remove_count;
};

struct layout_part {
	enum layout_role role;
	size_t disk; /* index into disks */
	unsigned number;
	uint64_t start_bytes, size_bytes;
	bool keep;                        /* there already, with what is in it: reinstall */
	char *path;                       /* "/dev/vda3" */
	char *label;                      /* PARTLABEL */
	char *mount, *fstype, *fsoptions; /* NULL where there is none */
};

/* A thin volume of the node; the one that is mounted on "/" is the layer. */
struct layout_volume {
	char *name;      /* of the LV; NULL for the layer, which is called after the image */
	char *mount;     /* "/", "/var", "swap" */
	char *fstype;    /* "ext4", "xfs", "swap" */
	char *fsoptions; /* for fstab, always with discard but for swap */
	uint64_t size_bytes;
};

struct layout_erase {
	char *device; /* "/dev/vda2", "/dev/bedplate/var", "/dev/vda" for a whole disk */
	char *what;   /* "ext4 file system 'data', 20 GiB" */
};

struct layout {
	struct layout_disk *disks;
	size_t disk_count;
	struct layout_part *parts; /* in order of disk and start */
	size_t part_count;
	size_t boot_drive; /* index into disks: whose firmware boot code is written */
	char *vg;
	bool vg_is_new; /* otherwise it is there: reinstall */
	uint64_t extent_bytes;
	char *pool;
	uint64_t pool_bytes, pool_metadata_bytes, pool_chunk_bytes;
	uint64_t base_bytes;           /* of the base's LV: rootfs.img in whole extents */
	struct layout_volume *volumes; /* the layer first */
	size_t volume_count;
	struct layout_erase *erase; /* for people and for the log */
	size_t erase_count;
	/* What apply removes besides whole disks and partitions. */
	struct strv remove_vgs; /* names of groups that go whole */
	struct strv remove_lvs; /* "VG/LV" of our own volumes that go: reinstall */
};

void layout_fini(struct layout *l);
#define autolayout auto_with(layout_fini) struct layout

struct layout_params {
	const char *name, *version; /* of the image */
	uint64_t rootfs_bytes;      /* of rootfs.img */
	uint64_t boot_bytes;        /* kernel and initramfs as they will stand in /boot */
	bool reinstall;             /* keep the partitions and the group of the node that is here */
};

/*
 * From a kickstart.  out starts zeroed.  Every refusal is one line: FILE:LINE where the kickstart is
 * to blame, device and reason otherwise.  -EINVAL: the kickstart cannot be carried out, -ENOSPC: too
 * small, by how much; -EBUSY: in use, or something that may not be erased is there; -ENODEV: no such
 * disk, or no disk at all; -ENOENT (reinstall): there is no node here.
 */
int layout_plan(const struct ks_doc *doc, const struct inventory *inv,
	const struct layout_params *params, struct layout *out, struct err *e) MUST_CHECK;

/*
 * The same on the machine that inv is of: of the groups that go, volumes that are not active are
 * searched first, which layout_plan() can only refuse.
 */
int layout_plan_here(const struct ks_doc *doc, struct inventory *inv,
	const struct layout_params *params, struct layout *out, struct err *e) MUST_CHECK;

/* For --dry-run: what will be erased, partitions, volumes, sizes.  The caller frees it. */
char *layout_text(const struct layout *l) MUST_CHECK;
/* The same for programs: docs/formats/install.md.  The caller owns the reference. */
json_t *layout_json(const struct layout *l) MUST_CHECK;
