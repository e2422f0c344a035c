/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt/ext4-alloc.h"

#include <assert.h>

#include "base/xalloc.h"

struct free_run {
	uint32_t start, count;
};

struct block_alloc {
	uint8_t *used; /* one bit a block */
	uint32_t block_count;

	/* From the first take on: free runs by address, each consumed from its front. */
	struct free_run *runs;
	size_t run_count;
	/* Binary tree over their lengths: longest[1] is the root, longest[leaves + i] is run i. */
	uint32_t *longest;
	size_t leaves;
};

struct block_alloc *block_alloc_new(uint32_t block_count)
{
	struct block_alloc *a = xcalloc(1, sizeof(*a));

	a->block_count = block_count;
	a->used = xcalloc(block_count / 8 + 1, 1);
	return a;
}

void block_alloc_free(struct block_alloc *a)
{
	if (!a)
		return;
	free(a->used);
	free(a->runs);
	free(a->longest);
	free(a);
}

static bool is_used(const struct block_alloc *a, uint32_t block)
{
	return a->used[block / 8] & 1 << block % 8;
}

bool block_alloc_claim(struct block_alloc *a, uint32_t block)
{
	assert(!a->longest);
	if (block >= a->block_count || is_used(a, block))
		return false;
	a->used[block / 8] |= (uint8_t)(1 << block % 8);
	return true;
}

void block_alloc_reserve(struct block_alloc *a, uint32_t start, uint32_t count)
{
	for (uint32_t i = 0; i < count && start + i < a->block_count; i++)
		block_alloc_claim(a, start + i);
}

static void find_runs(struct block_alloc *a)
{
	size_t room = 0;

	for (uint32_t b = 0; b < a->block_count; b++) {
		if (is_used(a, b))
			continue;
		if (b > 0 && !is_used(a, b - 1)) {
			a->runs[a->run_count - 1].count++;
			continue;
		}
		if (a->run_count == room) {
			room = MAX(64, 2 * room);
			a->runs = xrealloc(a->runs, room * sizeof(*a->runs));
		}
		a->runs[a->run_count++] = (struct free_run){b, 1};
	}
}

static void build(struct block_alloc *a)
{
	find_runs(a);
	for (a->leaves = 1; a->leaves < a->run_count; a->leaves *= 2)
		;
	a->longest = xcalloc(2 * a->leaves, sizeof(*a->longest));
	for (size_t i = 0; i < a->run_count; i++)
		a->longest[a->leaves + i] = a->runs[i].count;
	for (size_t n = a->leaves - 1; n > 0; n--)
		a->longest[n] = MAX(a->longest[2 * n], a->longest[2 * n + 1]);
}

static uint32_t take_from(struct block_alloc *a, size_t i, uint32_t want, uint32_t *start)
{
	struct free_run *run = &a->runs[i];
	uint32_t n = MIN(want, run->count);

	*start = run->start;
	run->start += n;
	run->count -= n;
	a->longest[a->leaves + i] = run->count;
	for (size_t node = (a->leaves + i) / 2; node > 0; node /= 2)
		a->longest[node] = MAX(a->longest[2 * node], a->longest[2 * node + 1]);
	return n;
}

static bool find_at(const struct block_alloc *a, uint32_t block, size_t *out)
{
	size_t low = 0, high = a->run_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (a->runs[mid].start < block)
			low = mid + 1;
		else
			high = mid;
	}
	*out = low;
	return low < a->run_count && a->runs[low].start == block && a->runs[low].count > 0;
}

uint32_t block_alloc_take(struct block_alloc *a, uint32_t want, uint32_t hint, uint32_t *start)
{
	size_t i;

	if (!a->longest)
		build(a);
	if (hint != 0 && find_at(a, hint, &i))
		return take_from(a, i, want, start);

	uint32_t least = MIN(want, a->longest[1]);
	if (least == 0)
		return 0;
	for (i = 1; i < a->leaves;)
		i = a->longest[2 * i] >= least ? 2 * i : 2 * i + 1;
	return take_from(a, i - a->leaves, want, start);
}
