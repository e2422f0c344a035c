/* SPDX-License-Identifier: Apache-2.0 */
/* What apt, dpkg and mmdebstrap print when something is wrong, as one line for a person. */
#pragma once

#include "base/err.h"
#include "pkg/pkg.h"

struct apt_said {
	char failed_url[512]; /* of the first "Err:" line, with what was wanted from there */
	char reason[512];     /* the line after it */
	char signature[512];  /* what is wrong with a signature */
	char is_unsigned[512];
	char disk_full[512];
	char depends[512];  /* the first dependency that can not be met */
	char conflict[512]; /* the same as newer solvers put it */
	char dpkg[512];     /* the package that dpkg could not install */
	char last[512];     /* the last error of all */
	bool wants_reason, wants_depends, wants_conflict, wants_dpkg;
};

/* For struct cmd: ctx is a struct apt_said. */
void apt_said_line(void *ctx, const char *line);

/*
 * Make the best of it: *e becomes one line and its code is returned, negative.  r is what the command
 * returned; -EINTR and a missing program stay as they are.
 */
int apt_said_error(
	const struct apt_said *said, const struct pkg_request *req, int r, struct err *e);
