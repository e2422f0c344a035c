/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is this boot a good one?  The image's and the administrator's own checks: docs/upgrade.md.
 *
 * Each is a program that ends with 0 when all is well; the last line that it writes says why not.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

#define HEALTH_VENDOR "/usr/lib/bedplate/health.d"
#define HEALTH_ADMIN  "/etc/bedplate/health.d"
/* What the checks of a trial compare with. */
#define HEALTH_NETWORK_BEFORE "/var/lib/bedplate/network-before"
#define HEALTH_UNITS_BEFORE   "/var/lib/bedplate/failed-units-before"

enum health_status {
	HEALTH_OK,
	HEALTH_FAILED,
	HEALTH_TIMED_OUT,
	HEALTH_SKIPPED, /* switched off */
};

struct health_check {
	char *name, *path;
	bool required;
	bool can_run; /* it is switched on, and root's own */
	enum health_status status;
	char *says; /* its last line, or why it could not be run; NULL: nothing */
	unsigned seconds;
};

struct health_result {
	struct health_check *items; /* the required ones first, each kind by name */
	size_t count;
};

void health_result_fini(struct health_result *r);
#define autohealthresult auto_with(health_result_fini) struct health_result

struct health_spec {
	const char *vendor, *admin; /* folders; NULL: those above */
	uint64_t deadline;          /* seconds since power-on, for all of them together */
	unsigned check_seconds;     /* for one; 0: 60 */
	bool again;                 /* required ones that fail are run again until the deadline */
	unsigned pause_seconds;     /* before they are; 0: 5 */
};

/* out starts zeroed.  -EINTR.  What a check says or does is never an error. */
int health_run(const struct health_spec *spec, struct health_result *out, struct err *e) MUST_CHECK;
/* Seconds since power-on. */
uint64_t health_now(void);

/* Every required one is well. */
bool health_is_good(const struct health_result *r);
/* "network: no address; storage: ...", of the required ones.  The caller frees it. */
char *health_why(const struct health_result *r) MUST_CHECK;
/* The caller frees it. */
char *health_text(const struct health_result *r) MUST_CHECK;
/* docs/formats/nodectl.md.  The caller owns the reference. */
json_t *health_json(const struct health_result *r) MUST_CHECK;

/* Before a node leaves its layer: whether it has an address, which units have failed. */
int health_note_network(struct err *e) MUST_CHECK;
int health_note_units(struct err *e) MUST_CHECK;
