/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree that diskless machines boot from: docs/netroot.md.
 *
 * Images and what boots them are written once under a name made of their content; everything else is
 * made anew from the database, which is written before it.  A run that is cut off leaves the old
 * entries or the new ones, and the next one that changes something completes them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/progress.h"
#include "base/str.h"
#include "netroot/db.h"

#define NETROOT_TREE "netroot" /* where --tree is not given */

enum netroot_access {
	NETROOT_READ,   /* what is there now */
	NETROOT_LOOK,   /* and it stays so meanwhile */
	NETROOT_CHANGE, /* nobody else looks or changes */
	NETROOT_CREATE, /* the same, and made when there is none */
};

struct netroot {
	char *path;
	char *real; /* without links, as nbd-server wants it */
	int fd;
	bool made_folder, is_new;
	bool saved; /* the database on disk is the one here */
	struct netroot_db db;
};

/* -ENOENT: no tree; -ENOTEMPTY: a folder of something else; -EBUSY: somebody else changes it. */
int netroot_open(const char *path, enum netroot_access access, struct netroot **out, struct err *e)
	MUST_CHECK;
void netroot_free(struct netroot *n);
DEFINE_AUTOPTR(netroot, netroot_free)
/* Write the database, then all that is made of it. */
int netroot_save(struct netroot *n, struct err *e) MUST_CHECK;
/* After a failure: what a tree has that did not come to be. */
void netroot_drop_new(struct netroot *n);

/* Parts of an image, each a file of its own. */
enum netroot_part {
	NETROOT_PART_IMAGE,
	NETROOT_PART_KERNEL,
	NETROOT_PART_INITRAMFS,
	NETROOT_PART_COUNT,
};

/* Where it lies in the tree.  The caller frees it. */
char *netroot_part_path(enum netroot_part part, const char *id) MUST_CHECK;
/* All that an image may have, also what is not complete; the folder comes last. */
void netroot_image_paths(const char *id, struct strv *out);
/* These files; what is not there is fine.  It goes on after an error, and returns the first one. */
int netroot_drop_files(struct netroot *n, const char *id, struct err *e) MUST_CHECK;

/* Bytes of memory that a client should have, by what it unpacks and fetches while it starts. */
uint64_t netroot_client_memory(const struct netroot_image *img, bool http);

struct netroot_add_spec {
	const char *tree, *image;
	const char *label;     /* NULL: of the image */
	const char *append;    /* NULL: as it is, or none */
	const char *server;    /* the same; "": none any more */
	const char *transport; /* "nbd" or "http"; NULL: as it is, or nbd */
	bool verify;           /* of an image that is there already, read all bytes */
};

struct netroot_added {
	char *label, *id;
	char *replaced; /* id of the image that the label had before, or NULL */
	bool new_image, changed, is_default;
	bool has_uefi, has_bios, http;
	uint64_t image_bytes, kernel_bytes, initramfs_bytes, memory_bytes;
};

void netroot_added_fini(struct netroot_added *a);

/* out starts zeroed. */
int netroot_add(const struct netroot_add_spec *spec, struct netroot_added *out, struct progress *p,
	struct err *e) MUST_CHECK;

int netroot_set_default(const char *tree, const char *label, struct err *e) MUST_CHECK;
/* The image stays until gc.  -EBUSY: it is the default, or a host has it. */
int netroot_remove(const char *tree, const char *label, struct err *e) MUST_CHECK;

struct netroot_host_spec {
	const char *tree, *host;
	/* NULL each: as it is, or none, and "" for none; label must be given for a new host. */
	const char *label, *hostname, *append, *config;
};

int netroot_host_set(const struct netroot_host_spec *spec, struct err *e) MUST_CHECK;
int netroot_host_remove(const char *tree, const char *host, struct err *e) MUST_CHECK;

struct netroot_gc_spec {
	const char *tree;
	bool dry_run;
	bool all; /* also the image that each label had before */
	/* Called for each file or folder that goes. */
	void (*found)(void *ctx, const char *path, uint64_t bytes);
	void *ctx;
};

/*
 * Delete images that no entry offers or has offered just before, and what runs that were cut off have
 * left.
 */
int netroot_gc(const struct netroot_gc_spec *spec, struct err *e) MUST_CHECK;

struct netroot_check_spec {
	const char *tree;
	/* Called for each file that is wrong. */
	void (*found)(void *ctx, const char *path, const char *problem);
	void *ctx;
};

/* -EBADMSG: something is wrong. */
int netroot_check(const struct netroot_check_spec *spec, struct progress *p, struct err *e)
	MUST_CHECK;
