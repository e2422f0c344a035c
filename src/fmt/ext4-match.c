/* SPDX-License-Identifier: Apache-2.0 */
/* Which file of a new image was which of the previous one. */
#include <ctype.h>
#include <stdlib.h>

#include "base/str.h"
#include "base/xalloc.h"
#include "fmt/ext4-layout.h"

/* A path whose numbers do not count: /usr/lib/modules/#.#.#-amd/... */
struct key {
	char *text;
	size_t place;
	size_t index; /* of its path: the order among equals */
};

struct keys {
	struct key *items;
	size_t count;
};

static void keys_fini(struct keys *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->items[i].text);
	free(l->items);
}

static bool is_digit(char c)
{
	return isdigit((unsigned char)c);
}

/* NULL when the path has no number. */
static char *without_numbers(const char *path)
{
	char *text = xcalloc(1, strlen(path) + 1), *out = text;
	bool any = false;

	for (; *path; path++) {
		if (!is_digit(*path)) {
			*out++ = *path;
			continue;
		}
		any = true;
		*out++ = '0';
		while (is_digit(path[1]))
			path++;
	}
	if (!any)
		free(take_ptr(text));
	return text;
}

static int compare_keys(const void *a, const void *b)
{
	const struct key *x = a, *y = b;
	int order = strcmp(x->text, y->text);

	return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

/* The keys of all paths of l whose places are not taken yet, sorted. */
static void collect(const struct ext4_layout *l, const bool *taken, struct keys *out)
{
	out->items = xcalloc(l->path_count + 1, sizeof(*out->items));
	for (size_t i = 0; i < l->path_count; i++) {
		char *text = taken[l->place_of[i]] ? NULL : without_numbers(l->paths[i]);

		if (text)
			out->items[out->count++] = (struct key){text, l->place_of[i], i};
	}
	qsort(out->items, out->count, sizeof(*out->items), compare_keys);
}

struct match {
	const struct ext4_layout *l, *prev;
	const struct ext4_place **old; /* the answer, by place of l */
	bool *matched;                 /* places of l */
	bool *given;                   /* places of prev */
};

static void pair(struct match *m, size_t place, size_t prev_place)
{
	if (m->matched[place] || m->given[prev_place])
		return;
	m->old[place] = &m->prev->places[prev_place];
	m->matched[place] = m->given[prev_place] = true;
}

static void match_paths(struct match *m)
{
	size_t i = 0, k = 0;

	while (i < m->l->path_count && k < m->prev->path_count) {
		int order = tree_path_compare(m->l->paths[i], m->prev->paths[k]);

		if (order == 0)
			pair(m, m->l->place_of[i], m->prev->place_of[k]);
		if (order <= 0)
			i++;
		if (order >= 0)
			k++;
	}
}

static void match_keys(struct match *m)
{
	auto_with(keys_fini) struct keys new = {0};
	auto_with(keys_fini) struct keys old = {0};
	size_t i = 0, k = 0;

	collect(m->l, m->matched, &new);
	collect(m->prev, m->given, &old);
	while (i < new.count && k < old.count) {
		int order = strcmp(new.items[i].text, old.items[k].text);

		if (order == 0)
			pair(m, new.items[i].place, old.items[k].place);
		if (order <= 0)
			i++;
		if (order >= 0)
			k++;
	}
}

void ext4_match(
	const struct ext4_layout *l, const struct ext4_layout *prev, const struct ext4_place **old)
{
	autofree bool *matched = xcalloc(l->place_count + 1, sizeof(*matched));
	autofree bool *given = xcalloc(prev->place_count + 1, sizeof(*given));
	struct match m = {l, prev, old, matched, given};

	match_paths(&m);
	match_keys(&m);
}
