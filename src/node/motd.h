/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The result of the last check, for those who log in.
 *
 * A login must not wait for a storage that hangs, so it reads what a check of a few minutes ago left
 * behind, instead of looking itself.
 */
#pragma once

#include <stdint.h>

#include "node/check.h"

#define NODE_RESULT_PATH        "/run/bedplate/check.json"
#define NODE_RESULT_MAX_SECONDS (15 * 60)

/* What somebody who logs in should know beside the result: a trial, one that failed, what is staged. */
void node_notices(const struct node_state *s, struct strv *out);
/* Leave a result and notices behind at NODE_RESULT_PATH. */
int node_result_save(const struct check_result *r, const struct strv *notices, struct err *e)
	MUST_CHECK;

/*
 * Two lines about the result in text (NULL: there is none), which is age_seconds old, and its notices.
 * The caller frees it.
 */
char *node_motd_text(const char *text, int64_t age_seconds) MUST_CHECK;
