/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which layer boots next: "default", "trial" and "tries" of GRUB's environment block (docs/boot.md).
 *
 * Each change here is one write of that block, which is on disk when the call returns.
 */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"

#define TRIAL_PARAM     "bedplate.trial="
#define TRIAL_TRIES     3
#define TRIAL_TRIES_MAX 9

struct boot_choice {
	char *default_layer; /* NULL: not set */
	char *trial;         /* NULL: none */
	unsigned tries;      /* that are left */
};

void boot_choice_fini(struct boot_choice *c);
#define autobootchoice auto_with(boot_choice_fini) struct boot_choice

/* out starts zeroed.  Values that make no sense are taken for not set. */
int boot_choice_read(int boot_fd, struct boot_choice *out, struct err *e) MUST_CHECK;
/* The commit.  Both need an entry: -ENOENT.  tries is 1 to TRIAL_TRIES_MAX. */
int boot_choice_try(int boot_fd, const char *layer, unsigned tries, struct err *e) MUST_CHECK;
/* default=layer, no trial: a rollback, a blessing, an install. */
int boot_choice_settle(int boot_fd, const char *layer, struct err *e) MUST_CHECK;
/* No more tries, the trial stays named until somebody has taken note: the default boots next. */
int boot_choice_give_up(int boot_fd, struct err *e) MUST_CHECK;
/* No trial any more. */
int boot_choice_end_trial(int boot_fd, struct err *e) MUST_CHECK;
