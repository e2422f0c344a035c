/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps around a new layer: the journal before each, the commit at the end, and taking back.
 * Internal to upgrade/.
 */
#pragma once

#include "base/err.h"
#include "boot/records.h"
#include "upgrade/site.h"

/* The journal says so before the step is begun.  -EINTR: the user wants us to stop. */
int step_begin(struct site *s, struct journal *j, enum step step, struct err *e) MUST_CHECK;
/* What cannot be noted down is a warning. */
void note_history(const struct site *s, const struct journal *j, const char *result,
	const char *signer, bool is_unsigned);

/* Of what came to no new layer: "undone", "dropped". */
void note_end(const struct site *s, const struct journal *j, const char *result, const char *why);

/* What the checks of a trial compare with; a node without is judged all the same. */
void note_health(const struct site *s);

struct commit {
	struct site *site;
	struct journal *journal; /* to and from; its step becomes STEP_TRIAL */
	unsigned tries;
	const char *signer;
	bool is_unsigned;
};

/* Up to the write that decides nothing is changed, after it nothing fails. */
int commit_run(const struct commit *c, struct err *e) MUST_CHECK;

/* All that the journal's operation made goes, whatever it came to; then the journal. */
void take_back(struct site *s, const struct journal *j);
/* What waits for activate was made out of the layer that is left now.  keep_base is not removed, NULL: none. */
int drop_staged(struct site *s, const char *keep_base, struct err *e) MUST_CHECK;
