/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a machine gets in addition to its image so that it checks a plugin: an archive that the kernel
 * unpacks over the initramfs, with a unit that brings a script and the smoke tests to the real root.  No
 * image has any of it, so no node can be made to run it.
 */
#pragma once

#include "base/err.h"
#include "base/io.h"
#include "base/str.h"
#include "plugin/read.h"

#define PAYLOAD_MAX_BYTES (64 * MIB) /* of all in tests/ */

struct payload {
	struct strbuf archive;
	struct strv tests; /* names of the smoke tests, in the order in which they run */
};

void payload_fini(struct payload *p);
#define auto_payload auto_with(payload_fini) struct payload

/*
 * Smoke tests are the files in tests/, without those in its folders, that begin as a script or a
 * program.  file is what the plugin was read from.  out starts zeroed.  -EFBIG: too much in tests/.
 */
int payload_make(struct source *file, const struct plugin *plugin, struct payload *out,
	struct err *e) MUST_CHECK;
