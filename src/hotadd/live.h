/* SPDX-License-Identifier: Apache-2.0 */
/* What has to be told that files have changed: systemd, the firewall. */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"
#include "plugin/changes.h"

struct live {
	bool on;               /* it is this machine that has changed, and systemd runs */
	bool boots;            /* services are not waited for */
	bool units;            /* of systemd */
	bool rules;            /* /etc/nftables.conf */
	struct strv temporary; /* names of files in tmpfiles.d */
};

void live_fini(struct live *l);
#define autolive auto_with(live_fini) struct live

/* What the changes are about; l->on is the caller's. */
void live_look(const struct changes *c, struct live *l);
/* Units and rules are read again, then the services are started.  notes: what could not be done here. */
int live_start(const struct live *l, const struct strv *services, struct strv *notes, struct err *e)
	MUST_CHECK;
/* nft finds nothing wrong with the rules. */
int live_check(const struct live *l, struct err *e) MUST_CHECK;
/* 1: it runs, or is about to. */
int live_is_active(const struct live *l, const char *service, struct err *e) MUST_CHECK;
/* The services are stopped; what cannot be is a warning. */
void live_stop(const struct live *l, const struct strv *services);
/* Units and rules are read again, as far as that goes. */
void live_reload(const struct live *l);
