/* SPDX-License-Identifier: Apache-2.0 */
/* What was changed in a stage, against the system that it is a copy of. */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"
#include "hotadd/stage.h"
#include "plugin/changes.h"

struct delta {
	struct tree *before;    /* what the system has where the stage wrote something */
	struct tree *after;     /* what the stage wrote, and the folders on the way */
	struct changes changes; /* refers to both */
};

void delta_fini(struct delta *d);
#define autodelta auto_with(delta_fini) struct delta

/*
 * out starts zeroed; it is good as long as the stage.  Files in /tmp, /var/tmp, /var/cache and /var/log
 * are left out: they belong to the moment.
 */
int delta_find(const struct stage *s, struct delta *out, struct err *e) MUST_CHECK;

/* Where what the stage wrote lies.  The caller closes fd. */
struct copy_place;
int delta_place(const struct stage *s, const char *path, struct copy_place *out, struct err *e)
	MUST_CHECK;
