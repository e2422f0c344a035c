/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disks of this machine and what is on them.  Looks, and changes nothing: no file system is
 * mounted in a way that could write to it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"

struct inv_part {
	char *path; /* "/dev/vda3" */
	unsigned number;
	uint64_t start_bytes, size_bytes;
	char *partuuid, *type_uuid, *partlabel; /* lower case; NULL when unknown */
	char *fstype, *label, *uuid; /* "ext4", "LVM2_member", ...; NULL: nothing known */
	char *in_use;                /* NULL: free.  Otherwise by what: "mounted on /srv", "swap" */
	bool storage_domain;         /* a dom_md/metadata is on it */
	char *unsearched;            /* why that is not known; NULL: it is */
};

struct inv_disk {
	char *path;        /* "/dev/vda" */
	char *name;        /* "vda" */
	char *model;       /* NULL: unknown */
	char *bus;         /* "virtio", "ata", "scsi", "usb", "nvme", "mmc"; NULL: unknown */
	struct strv links; /* other names: /dev/disk/by-id/..., by-path/..., mapper names */
	uint64_t size_bytes;
	unsigned sector_bytes;
	bool removable, read_only;
	bool live_medium;      /* this system was started from it */
	char *table;           /* "gpt", "dos", NULL: none */
	struct inv_part whole; /* what is known when the disk has no partition table */
	struct inv_part *parts;
	size_t part_count;
	char *in_use; /* as of a part; that of any part counts */
};

struct inv_lv {
	char *name;
	struct strv tags;
	uint64_t size_bytes;
	char *in_use; /* NULL: free */
	bool storage_domain;
	bool idle;               /* not active, so nobody has looked into it: inventory_search() */
	char *unsearched;        /* as of a part */
	char *pool;              /* a thin volume's pool, in the same group; NULL: not thin */
	uint64_t metadata_bytes; /* of a thin pool, else 0 */
};

struct inv_vg {
	char *name, *uuid;
	uint64_t size_bytes, free_bytes, extent_bytes;
	struct strv tags;
	struct strv pvs; /* device paths; one that is missing is "[unknown]" */
	struct inv_lv *lvs;
	size_t lv_count;
	bool storage_domain; /* a tag of the group, or any volume, says so */
};

struct inventory {
	struct inv_disk *disks; /* sorted by name; no loop, ram, zram, optical or mapper devices */
	size_t disk_count;
	struct inv_vg *vgs;
	size_t vg_count;
	uint64_t memory_bytes;
	bool uefi; /* how this system was started */
};

void inventory_fini(struct inventory *inv);
#define autoinventory auto_with(inventory_fini) struct inventory

/* out starts zeroed.  Needs root. */
int inventory_read(struct inventory *out, struct err *e) MUST_CHECK;

/*
 * Look for storage domains in the idle volumes of these groups, by name, which are active for that
 * long.  What is found, or why nothing could be, is noted in inv; a group with a name that LVM would
 * not have made is left alone, and its volumes stay idle.  -EINTR.
 */
int inventory_search(struct inventory *inv, const struct strv *groups, struct err *e) MUST_CHECK;

/*
 * The disk that a kickstart means: "vda", "/dev/vda", "disk/by-id/..." or any other link.  NULL:
 * none.
 */
const struct inv_disk *inventory_disk(const struct inventory *inv, const char *name);
/* The group that the device is a physical volume of, or NULL. */
const struct inv_vg *inventory_vg_of(const struct inventory *inv, const char *device);
bool inventory_has_tag(const struct strv *tags, const char *tag);
/* Of a node's making, also what an upgrade that was cut off has left. */
bool inventory_lv_is_ours(const struct inv_lv *lv);
