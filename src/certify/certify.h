/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Check a plugin with an image: put it in, look whether it changed only what it declares, boot the
 * result, run the smoke tests that it brings.
 *
 * It is what a vendor does before handing a plugin on, and no defence: who can write tests can write such
 * that pass.
 */
#pragma once

#include "base/err.h"
#include "base/progress.h"
#include "base/str.h"
#include "certify/report.h"
#include "vm/machine.h"

struct certify_spec {
	const char *plugin, *image; /* paths */
	struct strv trust;          /* of the signers of both; empty: signatures are not checked */
	const char *keep;           /* folder for the new image and the console, or NULL */
	struct machine_params machine; /* without disks */
	unsigned timeout_seconds;      /* of the machine, from its start */
};

/*
 * out starts zeroed and has the outcome; a check that fails is no error.  -EPERM: it needs root.
 * -EINTR.
 */
int certify(const struct certify_spec *spec, struct progress *p, struct report *out, struct err *e)
	MUST_CHECK;
