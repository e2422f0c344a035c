/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a record, compared with what there is.  Internal to hotadd/. */
#pragma once

#include "base/err.h"
#include "plugin/record.h"

/* What is there of them; out is the caller's. */
int hotadd_files_now(int root_fd, const struct plugin_record *record, struct files **out,
	struct err *e) MUST_CHECK;
/* NULL: none, but for extended attributes and times. */
const char *hotadd_difference(const struct files_entry *was, const struct files_entry *is);
