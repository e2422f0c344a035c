/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a bedplate.cfg: a GRUB menu entry that is ours to the last byte, so that reading it
 * back needs no GRUB.
 */
#pragma once

#include <stdbool.h>

#include "boot/entry.h"

#define ENTRY_TEXT_MAX (64 * KIB)

/* A folder of /boot that can be a layer's: letters, digits and "._+-", a "+" inside. */
bool entry_layer_ok(const char *layer);
/* Whether a text begins like one of ours at all. */
bool entry_text_is_ours(const char *text);

/* -EINVAL: something in it cannot be written so that GRUB and kernel see the same.  out: owned. */
int entry_text_format(const struct boot_entry *entry, char **out, struct err *e) MUST_CHECK;
/* Cuts text up.  out starts zeroed.  -EBADMSG: not as entry_text_format() writes it. */
int entry_text_parse(char *text, struct boot_entry *out, struct err *e) MUST_CHECK;
