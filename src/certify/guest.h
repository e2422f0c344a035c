/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a machine that checks a plugin has left on the disk for its report.
 *
 * Lines, in this order: "bedplate-plugin-check 1", "state STATE" of systemd, a unit for each that has
 * failed, a test for each that has begun, units again, "done".  A unit is "unit NAME" and an output; a test
 * is "begin NAME", an output and "end STATUS".  An output is "output BYTES", these bytes and a newline.  It
 * may end after any of these, with zeros up to the end of the disk.  All of it is hostile.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

#define GUEST_OUTPUT_MAX 4096
#define GUEST_UNITS_MAX  64
#define GUEST_TESTS_MAX  4096 /* as many as a plugin may have */

struct guest_unit {
	char *name;
	char *output;
};

struct guest_test {
	char *name;
	bool ended;
	unsigned status;
	char *output;
};

struct guest_report {
	char *state; /* NULL: it did not get that far */
	struct guest_unit *units;
	size_t unit_count;
	struct guest_test *tests;
	size_t test_count;
	bool done;
};

void guest_report_fini(struct guest_report *g);
#define auto_guest_report auto_with(guest_report_fini) struct guest_report

/*
 * out starts zeroed.  -EBADMSG: not of this form; out has what stands in front of that.  An empty disk is an
 * empty report.
 */
int guest_report_parse(const char *data, size_t len, struct guest_report *out, struct err *e)
	MUST_CHECK;

const struct guest_test *guest_report_test(const struct guest_report *g, const char *name);
