/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Free space while a layout is made: first every block that has to be somewhere is claimed, then
 * the rest is handed out, lowest address first, in stretches as long as asked for where possible.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/macro.h"

struct block_alloc;

struct block_alloc *block_alloc_new(uint32_t block_count) MUST_CHECK;
void block_alloc_free(struct block_alloc *a);
DEFINE_AUTOPTR(block_alloc, block_alloc_free)

/* Take one block.  False when it is taken already or outside. */
bool block_alloc_claim(struct block_alloc *a, uint32_t block);
/* Take what the file system itself needs. */
void block_alloc_reserve(struct block_alloc *a, uint32_t start, uint32_t count);

/*
 * Take up to want blocks in one stretch: at hint when that is the start of free space, else the
 * first that is long enough, else the longest there is.  Returns how many, 0 when all is full.
 * Nothing can be claimed any more after the first call.
 */
uint32_t block_alloc_take(struct block_alloc *a, uint32_t want, uint32_t hint, uint32_t *start);
