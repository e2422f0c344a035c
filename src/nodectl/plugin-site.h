/* SPDX-License-Identifier: Apache-2.0 */
/* The node whose plugins are changed or looked at. */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"
#include "hotadd/hotadd.h"
#include "node/state.h"

#define PLUGIN_SITE_SYSTEMD "/run/systemd/system" /* sd_booted(3) */

struct plugin_site {
	struct hotadd_site site;
	struct node_state state;
	int lock_fd;
};

#define PLUGIN_SITE_NONE                                                                           \
	{                                                                                          \
		.site = {.root_fd = -1}, .lock_fd = -1                                             \
	}

/*
 * With the lock, and after taking back what was cut off; needs root.  look: without the lock, when
 * somebody else has it or we are not root.
 */
int plugin_site_open(const char *root, bool look, struct plugin_site *out, struct err *e)
	MUST_CHECK;
void plugin_site_fini(struct plugin_site *s);
#define autopluginsite auto_with(plugin_site_fini) struct plugin_site

/* Take back on this machine what was cut off; nothing on a live system and on what is no node. */
int plugin_site_mend(struct err *e) MUST_CHECK;
/* The same, waiting for whoever is at work, without end. */
int plugin_site_recover(struct err *e) MUST_CHECK;
/* -EBUSY: a layer is on trial or waits, and would have the plugins that there are now. */
int plugin_site_check_quiet(const struct node_state *s, struct err *e) MUST_CHECK;
