/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands that change the next boot share. */
#pragma once

#include <jansson.h>

#include "base/err.h"

/* Through systemd, which stops what runs. */
int restart_node(struct err *e) MUST_CHECK;
/*
 * {"schema", "ok", "result", "layer", "error"}: docs/formats/upgrade.md.  The caller owns the
 * reference.
 */
json_t *restart_json(const char *result, const char *layer, int r, const struct err *e);
void restart_print_json(const char *result, const char *layer, int r, const struct err *e);
