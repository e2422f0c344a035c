/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of the running node, looked at once and kept as plain data.
 *
 * Gathering never fails because of what it finds: a part that could not be looked at says so in its
 * own "error", everything that is there is kept as it is.  Judging is check.h, showing is info.h and
 * layers.h.  All text in here comes from outside; who prints it uses text.h.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/str.h"
#include "boot/entry.h"
#include "boot/records.h"
#include "boot/trial.h"
#include "node/image.h"
#include "storage/lvm.h"

#define NODE_VERITY_NAME "bedplate-base"
#define NODE_BASE_DIR    "/run/bedplate/base"
#define NODE_LAYER_DIR   "/run/bedplate/layer"

enum node_running { NODE_UNKNOWN, NODE_LIVE, NODE_INSTALLED };

struct node_mount {
	char *source, *target, *fstype, *options; /* never NULL */
};

struct node_mounts {
	struct node_mount *items; /* a later one hides an earlier one on the same target */
	size_t count;
};

struct node_boot {
	char *error; /* NULL: /boot was read */
	struct boot_entries entries;
	char *default_layer; /* of grubenv; NULL: not set */
	char *trial;         /* the layer that is tried, or NULL */
	unsigned tries;      /* that it has left */
	char *staged;        /* a layer that waits for "nodectl activate", or NULL */
	struct failed_versions failed;
	char *last_failed; /* layer: the last that was done here is that its trial failed; or NULL */
	char *last_why;
};

struct node_storage {
	char *error; /* NULL: lvm was asked */
	struct lvm_report lvm;
	/* Of the node's pool. */
	char *extend_error;        /* NULL: the threshold is known */
	unsigned extend_threshold; /* percent; 100: never */
};

struct node_verity {
	char *error;     /* NULL: the device is there, with a dm-verity target */
	bool corrupted;  /* the kernel has met a block that does not fit */
	char *root_hash; /* of the device, lower case */
};

struct node_unit {
	char *name;
	char *load, *active, *file_state; /* systemd's words, "" when not known */
};

struct node_units {
	char *error;             /* NULL: systemd was asked */
	struct strv failed;      /* names of failed units */
	struct node_unit *items; /* libvirtd.service, libvirtd.socket */
	size_t count;
};

/* A plugin that was added on this node. */
struct node_plugin {
	char *name, *version;
};

struct node_plugins {
	char *error; /* NULL: they are all here */
	struct node_plugin *items;
	size_t count;
};

struct node_state {
	struct node_image image;
	struct node_plugins added; /* left to the caller: node_add_plugin() */
	enum node_running running;
	bool stateless;
	char *layer;     /* of the kernel command line, NULL: not from a layer */
	char *root_hash; /* the same, lower case */
	char *kernel;    /* release, "" when not known */
	uint64_t uptime_seconds;
	struct node_mounts mounts, fstab;
	json_t *factory; /* what the installer wrote down, an object; NULL: nothing */
	struct node_boot boot;
	struct node_storage storage;
	struct node_verity verity;
	struct node_units units;
};

void node_state_fini(struct node_state *s);
#define autonodestate auto_with(node_state_fini) struct node_state

enum {
	NODE_LOOK_FILES = 0,        /* image, how it runs, mounts, /boot: always */
	NODE_LOOK_STORAGE = 1 << 0, /* needs root */
	NODE_LOOK_SYSTEM = 1 << 1,  /* dm-verity and units; needs root */
};

/*
 * root_fd is the node's root folder; storage and system are of the running machine and only looked
 * at when it is an installed node.  out starts zeroed.  -ENOENT: this is not a node.  -EBADMSG: its
 * image.json is damaged.
 */
int node_state_gather(int root_fd, unsigned look, struct node_state *out, struct err *e) MUST_CHECK;

void node_add_plugin(struct node_state *s, const char *name, const char *version);

/* The last mount on a folder, or NULL. */
const struct node_mount *node_mount_on(const struct node_mounts *m, const char *target);
/* Whether a mount option is set, "discard" or "ro". */
bool node_mount_has(const struct node_mount *m, const char *option);
const struct boot_entry *node_boot_entry(const struct node_boot *boot, const char *layer);
/* The value of a kernel parameter ("NAME=" with its '='), or NULL.  The caller frees it. */
char *node_kernel_param(const char *cmd_line, const char *name) MUST_CHECK;
/*
 * The length of the base's name in a layer's, which is NAME-VERSION+N; 0 when it is no layer's name.
 */
size_t node_base_len(const char *layer);
/* The base of that name is there. */
bool node_has_base_of(const struct lvm_report *lvm, const char *layer);
