/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What came of checking a plugin with an image, as text and as JSON; see docs/formats/plugin.md.
 *
 * Unless something failed, it has neither times nor paths of the machine that made it.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/str.h"
#include "certify/guest.h"
#include "image/manifest.h"

enum check_result { CHECK_NOT_RUN, CHECK_PASSED, CHECK_FAILED };

struct report_check {
	const char *name;
	enum check_result result;
	char *message; /* what is wrong, or NULL */
};

struct report_plugin {
	char *name, *version, *vendor; /* NULL, all three: it could not be read */
	uint64_t size_bytes;
	uint8_t sha256[SHA256_BYTES];
	bool has_signature;
	char *signer; /* NULL: not checked */
};

struct report_image {
	char *name, *version; /* NULL, both: it is not there */
	uint8_t sha256[SHA256_BYTES];
	bool has_root_hash;
	uint8_t root_hash[SHA256_BYTES];
};

struct report {
	struct report_plugin plugin;
	struct report_image image;  /* as it was given */
	struct report_image result; /* with the plugin */
	bool has_files;
	size_t files_written, files_removed;
	struct report_check *checks;
	size_t check_count;
	struct strv verified; /* what was found to be right, as of plugin verify */
	struct strv tests;    /* names of all smoke tests */
	struct guest_report guest;
	char *console; /* its last lines, when the boot failed; else NULL */
};

void report_fini(struct report *r);
#define auto_report auto_with(report_fini) struct report

void report_set_image(struct report_image *out, const struct manifest *m);
bool report_passed(const struct report *r);
/* The first that failed, or NULL. */
const struct report_check *report_failure(const struct report *r);

/* The caller frees it. */
char *report_text(const struct report *r) MUST_CHECK;
json_t *report_json(const struct report *r) MUST_CHECK;
