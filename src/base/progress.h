/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Progress of long work: libraries report, front ends show.
 *
 * Work is a sequence of named stages, each with a total in bytes, files or steps (0 = unknown).
 * Stages do not nest.  A NULL struct progress is fine everywhere and shows nothing.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "base/err.h"

enum progress_event { PROGRESS_BEGIN, PROGRESS_ADVANCE, PROGRESS_END };

struct progress {
	void (*show)(struct progress *p, enum progress_event event);
	FILE *out;
	char stage[64];       /* "packages" */
	char unit[16];        /* "bytes", "files", "steps" */
	uint64_t done, total; /* in units */
	struct timespec began, shown;
	double seconds; /* since the stage began, set before show() is called */
};

/* For people: a line that moves on a terminal, one line a stage otherwise. */
void progress_init_text(struct progress *p, FILE *out);
/* One JSON object a line, for programs: {"event","stage","done","total","unit","seconds"}. */
void progress_init_json(struct progress *p, FILE *out);

void progress_begin(struct progress *p, const char *stage, uint64_t total, const char *unit);
/* done counts from the start of the stage.  -EINTR once the user wants us to stop. */
int progress_advance(struct progress *p, uint64_t done, struct err *e) MUST_CHECK;
void progress_end(struct progress *p);
