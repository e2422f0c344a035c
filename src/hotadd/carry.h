/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plugins that were added to one layer of a node, on their way to the next one: docs/plugin.md.
 *
 * Nothing runs from any of it: they are taken out of a copy of the old layer, so that what is left is the
 * administrator's, and put into the new one, mounted as the root that it will be.
 */
#pragma once

#include "hotadd/hotadd.h"
#include "hotadd/transaction.h"

struct added_plugin {
	const struct plugin_record *record; /* of the list */
	struct undo_list kept;
	int kept_fd; /* folder of what was there before */
	int file_fd; /* of the plugin itself; -1: it is not there */
	int64_t added_ns;
	/* Paths, after taking out: what an administrator has changed of it in /etc and so on, and removed. */
	struct strv changed, gone;
};

/* As long as the folder that it was read from. */
struct added_plugins {
	int root_fd; /* not its own */
	struct view view;
	struct plugin_records records;
	struct added_plugin *items; /* in the order in which they were added */
	size_t count;
};

void added_plugins_fini(struct added_plugins *a);
#define autoaddedplugins auto_with(added_plugins_fini) struct added_plugins

/*
 * Of a root, or of the upper half of a layer.  out starts zeroed.  -EBUSY: a change of them was cut off
 * there; -EBADMSG: a damaged record.
 */
int added_plugins_read(int root_fd, struct added_plugins *out, struct err *e) MUST_CHECK;

/* Does it fit?  Errors as of hotadd_add(), and -ENOENT: its file is not there. */
int added_plugin_check(const struct added_plugin *p, const struct hotadd_image *image,
	struct tree *tree, struct err *e) MUST_CHECK;

/*
 * In an upper half: what they wrote goes, what was there comes back.  What an administrator has changed
 * since stays, and so do accounts, whose numbers are on files of /var; and the records.
 */
int added_plugins_take_out(struct added_plugins *a, struct err *e) MUST_CHECK;

/* Of its own file, and of the files that it brought: what it unpacks to. */
uint64_t added_plugin_bytes(const struct added_plugin *p);

struct added_place {
	const struct hotadd_site *site;
	const struct hotadd_image *image; /* of it */
	const char *scratch;              /* folder that is made anew; the caller removes it */
};

/* Into another root, with what an administrator has changed of it. */
int added_plugin_put_in(const struct added_plugin *p, const struct added_place *place,
	struct progress *progress, struct err *e) MUST_CHECK;
