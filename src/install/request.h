/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel command line of a live system asks the installer to do: docs/node.md. */
#pragma once

#include "base/err.h"
#include "base/str.h"

enum request_kind {
	REQUEST_NONE, /* a live system, "rescue", or an installed node */
	REQUEST_INSTALL,
	REQUEST_REINSTALL,
	REQUEST_UPGRADE,
	REQUEST_UNINSTALL,
};

struct request {
	enum request_kind kind;
	const char *kickstart; /* of inst.ks, in the words; NULL: not given */
};

/* -EINVAL: it asks for two things at once. */
int request_parse(const struct strv *cmd_line, struct request *out, struct err *e) MUST_CHECK;
/* "install" */
const char *request_name(enum request_kind kind);
