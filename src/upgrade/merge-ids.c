/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/xalloc.h"
#include "upgrade/merge-internal.h"

struct merge_accounts {
	struct strv notes;
};

int merge_accounts_load(struct merge *m, struct err *e)
{
	(void)e;
	m->accounts = xcalloc(1, sizeof(*m->accounts));
	return 0;
}

void merge_accounts_free(struct merge_accounts *a)
{
	free(a);
}

const char *merge_accounts_text(const struct merge_accounts *a, const char *path)
{
	(void)a;
	(void)path;
	return NULL;
}

const struct strv *merge_accounts_notes(const struct merge_accounts *a)
{
	return &a->notes;
}

uint32_t merge_uid_of_old(const struct merge_accounts *a, uint32_t uid)
{
	(void)a;
	return uid;
}

uint32_t merge_gid_of_old(const struct merge_accounts *a, uint32_t gid)
{
	(void)a;
	return gid;
}

uint32_t merge_uid_of_new(const struct merge_accounts *a, uint32_t uid)
{
	(void)a;
	return uid;
}

uint32_t merge_gid_of_new(const struct merge_accounts *a, uint32_t gid)
{
	(void)a;
	return gid;
}
