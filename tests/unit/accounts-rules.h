/* SPDX-License-Identifier: Apache-2.0 */
/* What holds of every merge of account files, for any input; asserted, so that fuzzers see it. */
#pragma once

#include <assert.h>
#include <string.h>

#include "base/xalloc.h"
#include "upgrade/account-lines.h"
#include "upgrade/id-set.h"

struct parsed {
	struct account_lines files[ACC_FILES];
};

static void parsed_fini(struct parsed *p)
{
	for (size_t i = 0; i < ACC_FILES; i++)
		account_lines_fini(&p->files[i]);
}
#define autoparsed auto_with(parsed_fini) struct parsed

static void parse_set(const struct account_set *set, struct parsed *out, struct strv *notes)
{
	for (enum account_file f = 0; f < ACC_FILES; f++) {
		struct err e = {0};
		int r = account_lines_parse(f, set->text[f], "it", notes, &out->files[f], &e);

		assert(r == 0);
	}
}

static bool has(const struct account_lines *l, const char *name)
{
	return account_lines_find(l, name) != NULL;
}

static size_t count_id(const struct account_lines *l, uint32_t id)
{
	size_t n = 0;

	for (size_t i = 0; i < l->count; i++)
		n += l->items[i]->id == id;
	return n;
}

static bool same_text(const char *a, const char *b)
{
	return (!a && !b) || (a && b && strcmp(a, b) == 0);
}

static void check_texts(const struct account_set *out, const struct parsed *parsed)
{
	for (enum account_file f = 0; f < ACC_FILES; f++) {
		autofree char *again = account_lines_format(&parsed->files[f]);

		assert(same_text(again, out->text[f]));
	}
}

static void check_ids(enum account_file f, const struct parsed *node, const struct parsed *out)
{
	const struct account_lines *here = &node->files[f], *all = &out->files[f];

	for (size_t i = 0; i < here->count; i++) {
		const struct account_line *line = here->items[i];
		const struct account_line *now = account_lines_find(all, line->fields[FIELD_NAME]);

		assert(now && now->id == line->id && now->gid == line->gid);
	}
	for (size_t i = 0; i < all->count; i++) {
		const struct account_line *line = all->items[i];

		if (!has(here, line->fields[FIELD_NAME]))
			assert(count_id(all, line->id) == 1);
	}
}

static void check_coming(enum account_file f, const struct parsed *old, const struct parsed *node,
	const struct parsed *new, const struct parsed *out)
{
	const struct account_lines *list = &new->files[f];

	for (size_t i = 0; i < list->count; i++) {
		const struct account_line *line = list->items[i];
		const char *name = line->fields[FIELD_NAME];
		bool deleted = has(&old->files[f], name) && !has(&node->files[f], name);

		if (has(&out->files[f], name)) {
			if (f != ACC_PASSWD || has(&node->files[f], name) || line->gid == 0)
				continue;
			const struct account_line *group = account_lines_find_id(
				&new->files[ACC_GROUP], line->gid);
			const struct account_line *here = group
				? account_lines_find(
					  &out->files[ACC_GROUP], group->fields[FIELD_NAME])
				: NULL;
			assert(!group || here);
			assert(!here || account_lines_find(&out->files[f], name)->gid == here->id);
		} else {
			assert(line->id == 0 || (deleted && line->id >= 1000 && line->id != 65534));
		}
	}
	for (size_t i = 0; i < out->files[f].count; i++) {
		const char *name = out->files[f].items[i]->fields[FIELD_NAME];

		assert(has(&node->files[f], name) || has(list, name));
	}
}

static void check_map(enum account_file f, const struct parsed *new, const struct parsed *out,
	const struct id_map *map)
{
	const struct id_pair *pairs = f == ACC_PASSWD ? map->users : map->groups;
	size_t count = f == ACC_PASSWD ? map->user_count : map->group_count, i;

	for (i = 0; i < count; i++) {
		assert(i == 0 || pairs[i - 1].from < pairs[i].from);
		assert(pairs[i].from != pairs[i].to && pairs[i].from != 0 && pairs[i].to != 0);
		assert(count_id(&new->files[f], pairs[i].from) > 0);
	}
	for (i = 0; i < new->files[f].count; i++) {
		const struct account_line *line = new->files[f].items[i];
		const struct account_line *here = account_lines_find(
			&out->files[f], line->fields[FIELD_NAME]);

		if (!here || here->id == 0 || line->id == 0 ||
			count_id(&new->files[f], line->id) > 1)
			continue;
		assert((f == ACC_PASSWD ? id_map_user : id_map_group)(map, line->id) == here->id);
	}
}

/* Nobody gets another password than the node's, or the image's where the node's was that of the image. */
static void check_passwords(const struct parsed *old, const struct parsed *node,
	const struct parsed *new, const struct parsed *out)
{
	const struct account_lines *users = &out->files[ACC_PASSWD];

	for (size_t i = 0; out->files[ACC_SHADOW].present && i < users->count; i++) {
		const char *name = users->items[i]->fields[FIELD_NAME];
		const struct account_line *lines[] = {
			account_lines_find(&old->files[ACC_SHADOW], name),
			account_lines_find(&node->files[ACC_SHADOW], name),
			account_lines_find(&new->files[ACC_SHADOW], name),
			account_lines_find(&out->files[ACC_SHADOW], name)};
		bool here = has(&node->files[ACC_PASSWD], name);

		if (!lines[3]) {
			assert(strcmp(users->items[i]->fields[FIELD_PASSWORD], "x") != 0);
			continue;
		}
		const char *got = lines[3]->fields[FIELD_PASSWORD];
		const char *own = lines[1] ? lines[1]->fields[FIELD_PASSWORD] : "!*";
		const char *image = lines[2] ? lines[2]->fields[FIELD_PASSWORD] : "!*";
		bool untouched = lines[0] && lines[2] &&
			strcmp(lines[0]->fields[FIELD_PASSWORD], own) == 0;
		assert(strcmp(got, here && !untouched ? own : image) == 0);
	}
}

static void check_ranges(enum account_file f, const struct parsed *node, const struct parsed *out)
{
	const struct account_lines *list = &out->files[f];
	const struct account_lines *ids = &out->files[f == ACC_SUBUID ? ACC_PASSWD : ACC_GROUP];

	for (size_t i = node->files[f].count; i < list->count; i++) {
		const struct account_line *line = list->items[i];

		for (size_t k = 0; k < list->count; k++)
			assert(k == i || line->first + line->count <= list->items[k]->first ||
				list->items[k]->first + list->items[k]->count <= line->first);
		for (size_t k = 0; k < ids->count; k++)
			assert(ids->items[k]->id < line->first ||
				ids->items[k]->id >= line->first + line->count);
	}
}

static bool same_pairs(const struct id_pair *a, size_t n, const struct id_pair *b, size_t count)
{
	return n == count && (n == 0 || memcmp(a, b, n * sizeof(*a)) == 0);
}

static void check_again(const struct account_set *old, const struct account_set *merged,
	const struct account_set *new, const struct id_map *map)
{
	autoaccountset out = {0};
	autoidmap again = {0};
	struct err e = {0};
	int r = accounts_merge(old, merged, new, &out, &again, NULL, &e);

	assert(r == 0);
	for (size_t i = 0; i < ACC_FILES; i++)
		assert(same_text(out.text[i], merged->text[i]));
	assert(same_pairs(map->users, map->user_count, again.users, again.user_count));
	assert(same_pairs(map->groups, map->group_count, again.groups, again.group_count));
}

/* Merges and checks.  Returns what the merge did. */
static int check_merge(const struct account_set *old, const struct account_set *node,
	const struct account_set *new)
{
	autoparsed was = {0}, here = {0}, image = {0}, now = {0};
	autoaccountset out = {0};
	autoidmap map = {0};
	autostrv notes = {0}, wrong = {0};
	struct err e = {0};
	int r = accounts_merge(old, node, new, &out, &map, &notes, &e);

	if (r < 0)
		return r;
	parse_set(old, &was, NULL);
	parse_set(node, &here, NULL);
	parse_set(new, &image, NULL);
	parse_set(&out, &now, &wrong);
	assert(wrong.count == 0);
	check_texts(&out, &now);
	for (size_t i = 0; i < 2; i++) {
		enum account_file f = i == 0 ? ACC_PASSWD : ACC_GROUP;

		check_ids(f, &here, &now);
		check_coming(f, &was, &here, &image, &now);
		check_map(f, &image, &now, &map);
	}
	check_passwords(&was, &here, &image, &now);
	check_ranges(ACC_SUBUID, &here, &now);
	check_ranges(ACC_SUBGID, &here, &now);
	check_again(new, &out, new, &map);
	check_again(old, &out, new, &map);
	return 0;
}
