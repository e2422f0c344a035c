/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of a transaction: what there is before it (transaction-begin.c), the change (transaction.c) and
 * the way back (transaction-undo.c), with the folder that is noted in (transaction-folder.c) and the list
 * in it (transaction-list.c).  Internal to hotadd/.
 */
#pragma once

#include "hotadd/copy.h"
#include "hotadd/transaction.h"

#define UNDO      ".undo"
#define UNDO_NEW  ".undo.new"
#define UNDO_DONE ".undo.done"
#define UNDO_BAD  ".undo.bad"
#define UNDO_LIST "list.json"
#define TEMPORARY ".bedplate-plugin.new"

/* The folder of the records.  The caller closes it. */
int transaction_open_records(int root_fd, struct err *e) MUST_CHECK;
int transaction_remove_in(int folder_fd, const char *name, struct err *e) MUST_CHECK;
/* It is on disk then, or as before. */
int transaction_rename(int folder_fd, const char *from, const char *to, struct err *e) MUST_CHECK;
/* From the rename on it is over. */
int transaction_end(int folder_fd, const char *name, struct err *e) MUST_CHECK;
void transaction_drop_folder(int root_fd);
/* The folder of the records, and each file system that something of these is on. */
int transaction_sync_list(int root_fd, int folder_fd, const struct undo_list *u, struct err *e)
	MUST_CHECK;
int transaction_sync_changes(int root_fd, int folder_fd, const struct changes *c, struct err *e)
	MUST_CHECK;

/* Good until the next one. */
struct undo_item *undo_list_add(struct undo_list *u, const char *path);
int undo_list_save(int folder_fd, const struct undo_list *u, struct err *e) MUST_CHECK;
/* folder: its name among the records.  out starts zeroed.  -ENOENT; -EBADMSG: it is damaged. */
int undo_list_load(int root_fd, const char *folder, struct undo_list *out, struct err *e)
	MUST_CHECK;

/* NULL: there is none. */
const struct change *transaction_find_change(const struct changes *c, const char *path);
/* Another name of it, or a copy. */
int transaction_link(const struct copy_place *from, int folder_fd, const char *name, struct err *e)
	MUST_CHECK;
/* Fills item->where. */
int transaction_find_where(
	int root_fd, const struct copy_place *at, struct undo_item *item, struct err *e) MUST_CHECK;
