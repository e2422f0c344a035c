/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of a trial, on /boot: docs/upgrade.md, "Trial".
 *
 * The first change of each decides what boots next; what a power cut leaves undone after it is a
 * record that is missing, never a wrong boot.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "upgrade/site.h"

/* The running layer is the one that is tried. */
bool trial_is_running(const struct site *s);
/* It becomes the default.  1: it was already; -EINVAL: it is not tried. */
int trial_bless(const struct site *s, struct err *e) MUST_CHECK;
/* The default boots next, and knows why.  -EINVAL: the running layer is not tried. */
int trial_unbless(const struct site *s, const char *why, struct err *e) MUST_CHECK;
/*
 * The default runs and a trial is still named: it came to nothing.  Until now it had that many tries.
 * 1: so it was; 0: there is none.
 */
int trial_take_note(const struct site *s, unsigned tries, struct err *e) MUST_CHECK;
