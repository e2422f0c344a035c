/* SPDX-License-Identifier: Apache-2.0 */
/* Which layer a rollback goes to.  Internal to upgrade/. */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "boot/records.h"
#include "upgrade/site.h"
#include "upgrade/upgrade.h"

/* -ENOENT: there is no such layer; -EBADMSG: it could not boot, and why. */
int rollback_check(const struct site *s, const char *layer, struct err *e) MUST_CHECK;
/*
 * The one that ran before s->layer, never one that came after it: out of the history, or the only
 * other one.  -ENOENT: there is none; -ENOTUNIQ: several could be meant, they are named.
 */
int rollback_target(const struct site *s, const struct history *h, const char **out, struct err *e)
	MUST_CHECK;

/* A layer is chosen for a trial, and not booted yet: this system runs from what it would replace. */
bool rollback_waits(const struct site *s);
/*
 * It was never found good: it is tried like an upgrade, as long as there is something to come back to.
 * What runs has come up.
 */
bool rollback_is_trial(const struct site *s, const struct history *h, const char *layer);
/* What spec asks for; the caller frees *layer.  -EALREADY: it is what boots. */
int rollback_choose(const struct site *s, const struct rollback_spec *spec, char **layer,
	struct err *e) MUST_CHECK;
