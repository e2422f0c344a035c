/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether an install from a kickstart runs without a person: the questions an installer would ask,
 * each answered by the kickstart or open.  Reads the model and nothing else.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "ks/model.h"

struct ks_question {
	const char *topic; /* "storage" */
	bool answered;
	const char *reason; /* why it is answered, or what would answer it */
};

#define KS_QUESTIONS 11

/* Fills out in a fixed order.  Returns how many are open. */
size_t ks_unattended(const struct ks_doc *doc, struct ks_question out[KS_QUESTIONS]);

/* Add warnings for what works unattended but hardly as it is meant. */
void ks_add_unattended_warnings(struct ks_doc *doc);
