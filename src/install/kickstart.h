/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kickstart of an install: fetched, its %pre scripts run, parsed, and found complete.
 *
 * %pre may write what the kickstart includes, so it is parsed twice, before and after.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "ks/ks.h"

struct install_ks {
	struct ks_doc *doc;
	char *name; /* for messages */
	char *text;
	size_t len;
};

void install_ks_fini(struct install_ks *k);
#define autoinstallks auto_with(install_ks_fini) struct install_ks

/*
 * where: as for source_kickstart().  Problems go to log_warning(); -EINVAL is the first error, with
 * FILE:LINE.
 */
int install_ks_load(const char *where, int log_fd, struct install_ks *out, struct err *e)
	MUST_CHECK;
/* For what it says of the end only: no %pre is run, problems are of no interest. */
int install_ks_peek(const char *where, struct install_ks *out, struct err *e) MUST_CHECK;

/*
 * -EINVAL when a question is open: all of them go to log_warning().  The source may be left out when
 * this system was started from an image, and the end always: then a person ends the install.
 */
int install_ks_check_questions(const struct install_ks *k, bool booted_from_image, struct err *e)
	MUST_CHECK;
