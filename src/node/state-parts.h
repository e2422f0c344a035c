/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of node_state_gather(), one source of facts each.  Only for state.c and tests. */
#pragma once

#include "node/state.h"

void node_mounts_fini(struct node_mounts *m);
/* Text as of /proc/self/mountinfo or fstab(5); lines that are neither are left out. */
void node_mounts_parse(const char *text, struct node_mounts *out);

/* Of /dev/mapper/bedplate-base, by the words of "dmsetup status" and "dmsetup table". */
int node_verity_parse(const char *status, const char *table, struct node_verity *out, struct err *e)
	MUST_CHECK;
void node_verity_gather(struct node_verity *out);
void node_verity_fini(struct node_verity *v);

/* "systemctl list-units --output=json". */
int node_failed_units_parse(const char *text, struct strv *out, struct err *e) MUST_CHECK;
/* "systemctl show": NAME=VALUE lines, units are separated by empty lines. */
void node_units_parse(const char *text, struct node_units *out);
void node_units_gather(struct node_units *out);
void node_units_fini(struct node_units *u);

/* "lvm lvmconfig": NAME=NUMBER. */
int node_threshold_parse(const char *text, unsigned *out, struct err *e) MUST_CHECK;
void node_storage_gather(struct node_storage *out);
void node_storage_fini(struct node_storage *s);
