/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All consoles of the running system at once: what console= on the kernel command line names.
 *
 * A console that does not take what it is given, because nobody reads or somebody pressed Ctrl-S,
 * is left out from then on: it must not stop an install.
 */
#pragma once

#include <stdio.h>

#include "base/cleanup.h"
#include "base/err.h"

struct consoles;

/* Those that can be opened, none is fine.  Standard output gets everything as well. */
struct consoles *consoles_open(void) MUST_CHECK;
void consoles_free(struct consoles *c);
DEFINE_AUTOPTR(consoles, consoles_free)

/* Line-buffered; belongs to c. */
FILE *consoles_stream(struct consoles *c);
/* Until somebody presses Enter on one of them.  -ENOTTY: there is none, -EINTR. */
int consoles_wait_enter(struct consoles *c, struct err *e) MUST_CHECK;
