/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The edges of an ISO: what lies before its first file and behind its last.  That is boot code,
 * partition table, volume descriptors, folders and the EFI system partition, which SHA256SUMS cannot
 * name.
 *
 * Their digest is in the application use field of the primary volume descriptor (ECMA-119, 8.4.32),
 * which counts as blanks for it:
 *
 *	bedplate-edges SIZE HEAD TAIL SHA256
 *
 * filled up with blanks; the sizes of the ISO and of both edges are decimal, in bytes.
 * dracut/70bedplate/check-medium.sh reads the same.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/io.h"

/* Give an ISO its field, and sync it: the first file begins behind head_bytes, the last one ends at tail_at. */
int edges_seal(const char *path, uint64_t head_bytes, uint64_t tail_at, struct err *e) MUST_CHECK;
/* What is wrong with them: "damaged", "missing" when there is no field, NULL when nothing is. */
int edges_check(struct source *iso, const char **problem, struct err *e) MUST_CHECK;
