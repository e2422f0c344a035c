/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a later image has in /usr/share/factory/var and a node does not have in /var.
 *
 * Only ever adds.  What was offered once, by any image, and is not there was deleted by the
 * administrator; FACTORY_ADDED_PATH remembers it.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#define FACTORY_ADDED_PATH "/var/lib/bedplate/factory-added"

/*
 * Add what is missing, with all its attributes, and remember it.  Nothing is done when `layer` is the
 * one it was done for last.  Cut off at any point it can be done again.  added (may be NULL) gets the
 * topmost path of everything that was added, folder by folder.  -EBADMSG: FACTORY_ADDED_PATH makes no sense.
 */
int factory_add(int root_fd, const char *layer, struct strv *added, struct err *e) MUST_CHECK;
/* Only remember: /var of root_fd has just been filled with what the image at base_fd has for it. */
int factory_remember(int base_fd, int root_fd, const char *layer, struct err *e) MUST_CHECK;
