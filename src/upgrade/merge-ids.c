/* SPDX-License-Identifier: Apache-2.0 */
/* The account files as one set, and ids of either image as this node has them. */
#include <stdlib.h>

#include "base/xalloc.h"
#include "upgrade/merge-accounts.h"
#include "upgrade/merge-internal.h"

#define ACCOUNT_BYTES_MAX (4 * MIB)

struct merge_accounts {
	struct account_set merged;
	bool ours[ACC_FILES]; /* nothing but a file on any side */
	struct id_map of_old, of_new;
	struct strv notes;
};

struct inputs {
	struct account_set old, node, new;
};

static void inputs_fini(struct inputs *in)
{
	account_set_fini(&in->old);
	account_set_fini(&in->node);
	account_set_fini(&in->new);
}

static int read_account(const struct merge *m, const struct merge_item *it,
	const struct tree_entry *en, char **out, struct err *e)
{
	const struct merge_side side = {merge_tree_of(m, it, en), en};
	autofree char *text = NULL;
	size_t len = 0;

	if (!en)
		return 0;
	int r = merge_read(&side, ACCOUNT_BYTES_MAX, &text, &len, e);
	if (r == -EFBIG || (r == 0 && strlen(text) != len))
		return err_set(e, EBADMSG, "'/%s' is no account file", it->path);
	if (r == 0)
		*out = take_ptr(text);
	return r;
}

static bool file_or_nothing(const struct tree_entry *en)
{
	return !en || merge_is_regular(en);
}

static int read_accounts(
	const struct merge *m, struct merge_accounts *a, struct inputs *in, struct err *e)
{
	for (size_t f = 0; f < ACC_FILES; f++) {
		const struct merge_item *it = merge_items_find(m, account_paths[f] + 1);
		int r;

		if (!it || !file_or_nothing(it->old) || !file_or_nothing(it->node) ||
			!file_or_nothing(it->new))
			continue;
		a->ours[f] = true;
		r = read_account(m, it, it->old, &in->old.text[f], e);
		if (r == 0)
			r = read_account(m, it, it->node, &in->node.text[f], e);
		if (r == 0)
			r = read_account(m, it, it->new, &in->new.text[f], e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What an upgrade to the old image would have made of its ids: what this node has them as. */
static int map_old_ids(const struct inputs *in, struct merge_accounts *a, struct err *e)
{
	autoaccountset unused = {0};

	return accounts_merge(&in->old, &in->node, &in->old, &unused, &a->of_old, NULL, e);
}

int merge_accounts_load(struct merge *m, struct err *e)
{
	struct merge_accounts *a = m->accounts = xcalloc(1, sizeof(*a));
	auto_with(inputs_fini) struct inputs in = {0};
	int r = read_accounts(m, a, &in, e);

	if (r == 0)
		r = map_old_ids(&in, a, e);
	if (r == 0)
		r = accounts_merge(
			&in.old, &in.node, &in.new, &a->merged, &a->of_new, &a->notes, e);
	return r < 0 ? err_wrap(e, r, "account files") : 0;
}

void merge_accounts_free(struct merge_accounts *a)
{
	if (!a)
		return;
	account_set_fini(&a->merged);
	id_map_fini(&a->of_old);
	id_map_fini(&a->of_new);
	strv_fini(&a->notes);
	free(a);
}

const char *merge_accounts_text(const struct merge_accounts *a, const char *path)
{
	for (size_t f = 0; f < ACC_FILES; f++)
		if (a->ours[f] && str_eq(path, account_paths[f] + 1))
			return a->merged.text[f];
	return NULL;
}

const struct strv *merge_accounts_notes(const struct merge_accounts *a)
{
	return &a->notes;
}

uint32_t merge_uid_of_old(const struct merge_accounts *a, uint32_t uid)
{
	return id_map_user(&a->of_old, uid);
}

uint32_t merge_gid_of_old(const struct merge_accounts *a, uint32_t gid)
{
	return id_map_group(&a->of_old, gid);
}

uint32_t merge_uid_of_new(const struct merge_accounts *a, uint32_t uid)
{
	return id_map_user(&a->of_new, uid);
}

uint32_t merge_gid_of_new(const struct merge_accounts *a, uint32_t gid)
{
	return id_map_group(&a->of_new, gid);
}
