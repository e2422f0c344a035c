/* SPDX-License-Identifier: Apache-2.0 */
/* factory.json of a layer that was made out of another one: docs/formats/factory.md. */
#pragma once

#include "upgrade/layer-make.h"

/* old_fd and new_fd are the upper halves.  What the old one says of its install stays. */
int layer_record(const struct layer_job *j, int old_fd, int new_fd, struct err *e) MUST_CHECK;
/* As it is, of a layer's upper half.  The caller frees *out. */
int layer_record_read(int upper_fd, char **out, struct err *e) MUST_CHECK;
