/* SPDX-License-Identifier: Apache-2.0 */
#include <libmount.h>
#include <stdio.h>

#include "base/xalloc.h"
#include "node/state-parts.h"

void node_mounts_fini(struct node_mounts *m)
{
	for (size_t i = 0; i < m->count; i++) {
		free(m->items[i].source);
		free(m->items[i].target);
		free(m->items[i].fstype);
		free(m->items[i].options);
	}
	free(m->items);
	*m = (struct node_mounts){0};
}

static char *copy_or_empty(const char *s)
{
	return xstrdup(s ? s : "");
}

static void take(struct node_mounts *out, struct libmnt_fs *fs)
{
	out->items = xrealloc(out->items, (out->count + 1) * sizeof(*out->items));
	out->items[out->count++] = (struct node_mount){
		.source = copy_or_empty(mnt_fs_get_source(fs)),
		.target = copy_or_empty(mnt_fs_get_target(fs)),
		.fstype = copy_or_empty(mnt_fs_get_fstype(fs)),
		.options = copy_or_empty(mnt_fs_get_options(fs)),
	};
}

/* A line that is not understood is left out, the others count. */
static int skip_line(struct libmnt_table *table, const char *name, int line)
{
	(void)table;
	(void)name;
	(void)line;
	return 1;
}

static void take_all(struct libmnt_table *table, struct node_mounts *out)
{
	struct libmnt_iter *it = mnt_new_iter(MNT_ITER_FORWARD);

	for (struct libmnt_fs *fs; it && mnt_table_next_fs(table, it, &fs) == 0;)
		take(out, fs);
	mnt_free_iter(it);
}

void node_mounts_parse(const char *text, struct node_mounts *out)
{
	struct libmnt_table *table = mnt_new_table();
	autofree char *copy = xstrdup(text);
	FILE *f = *copy ? fmemopen(copy, strlen(copy), "r") : NULL;

	if (table && f) {
		mnt_table_set_parser_errcb(table, skip_line);
		if (mnt_table_parse_stream(table, f, "mounts") == 0)
			take_all(table, out);
	}
	if (f)
		fclose(f);
	mnt_unref_table(table);
}

const struct node_mount *node_mount_on(const struct node_mounts *m, const char *target)
{
	for (size_t i = m->count; i > 0; i--)
		if (str_eq(m->items[i - 1].target, target))
			return &m->items[i - 1];
	return NULL;
}

bool node_mount_has(const struct node_mount *m, const char *option)
{
	return mnt_optstr_get_option(m->options, option, NULL, NULL) == 0;
}
