/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GUID partition tables, through libfdisk, on a disk or in a file.
 *
 * Same request, same bytes, as long as it names every UUID.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* UEFI specification, "Defined GPT Partition Entry - Partition Type GUIDs", and the Discoverable
 * Partitions Specification. */
#define PARTITION_TYPE_BIOS "21686148-6449-6e6f-744e-656564454649"
#define PARTITION_TYPE_EFI  "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
#define PARTITION_TYPE_BOOT "bc13c2ff-59e6-4262-a352-b275fd6f7172"
#define PARTITION_TYPE_LVM  "e6d6d379-f507-44c2-a23c-238f2a3df928"
#define PARTITION_TYPE_SWAP "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"
#define PARTITION_TYPE_DATA "0fc63daf-8483-4772-8e79-3d69d8477de4"
/* What other systems' firmware and file managers look into. */
#define PARTITION_TYPE_BASIC_DATA "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"
/* PARTLABEL of the data of a stick of ours. */
#define PARTITION_LABEL_STICK "bedplate-data"

#define PARTITION_UUID_BYTES 37 /* as text, with the NUL */

struct partition {
	unsigned number; /* from 1 */
	uint64_t start_bytes, size_bytes;
	const char *type;                /* one of the above */
	const char *label;               /* PARTLABEL; NULL: none */
	char uuid[PARTITION_UUID_BYTES]; /* lower case; "": a random one, which is then here */
};

struct partition_change {
	bool create;           /* a new, empty table first */
	const char *disk_uuid; /* of a new table; NULL: random */
	const unsigned *remove;
	size_t remove_count;
	struct partition *add;
	size_t add_count;
};

/*
 * Change the table of a device or a regular file.  It is on the disk, and the kernel knows it, when
 * this returns.  -EBUSY: the kernel still uses a partition that goes; -EINVAL: no such partition, no
 * room, or the table there is not a GPT.
 */
int partition_write(const char *path, struct partition_change *c, struct err *e) MUST_CHECK;

/* "/dev/vda3", "/dev/nvme0n1p3".  The caller frees it. */
char *partition_path(const char *disk, unsigned number) MUST_CHECK;

/* Wait until udev, where there is one, is done with what was changed. */
void partition_settle(void);
