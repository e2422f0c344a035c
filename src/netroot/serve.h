/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serving a tree: which servers run with which arguments, and keeping them together.  All of them are
 * other people's programs; when one of them ends, all end.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cmd.h"
#include "base/err.h"

enum serve_dhcp {
	SERVE_DHCP_PROXY, /* beside the DHCP server that is there */
	SERVE_DHCP_FULL,  /* as the one DHCP server */
	SERVE_DHCP_NONE,
};

enum serve_nbd { SERVE_NBDKIT, SERVE_NBD_SERVER };

struct serve_spec {
	const char *tree;
	const char *interface; /* NULL: that of listen, or all */
	const char *listen;    /* an address of this machine; NULL: that of the interface, or all */
	const char *range;     /* of addresses, "FIRST,LAST", with SERVE_DHCP_FULL */
	enum serve_dhcp dhcp;
	enum serve_nbd nbd;
	uint16_t nbd_port, http_port; /* http_port 0: no HTTP */
	bool tftp;
};

#define SERVE_COMMANDS_MAX 3

/* Servers that are to run, and files that they read. */
struct serve_plan {
	struct cmd commands[SERVE_COMMANDS_MAX];
	const char *packages[SERVE_COMMANDS_MAX]; /* what brings the program */
	size_t count;
	struct strv names, texts; /* of those files, in folder */
	char *folder;             /* NULL: nothing was written */
};

void serve_plan_fini(struct serve_plan *plan);
#define autoserveplan auto_with(serve_plan_fini) struct serve_plan

/*
 * out starts zeroed.  folder: where the files of the servers are going to be.  Nothing is written or
 * started.  -EINVAL: an address that this machine does not have.
 */
int serve_make_plan(const struct serve_spec *spec, const char *folder, struct serve_plan *out,
	struct err *e) MUST_CHECK;

/* -EACCES: the servers could not read the tree. */
int serve_check_access(const char *tree, struct err *e) MUST_CHECK;

/* -EADDRINUSE names what is taken. */
int serve_check_ports(const struct serve_spec *spec, struct err *e) MUST_CHECK;

/*
 * Write the files, start all, and wait until one of them ends or a signal comes: the rest is ended
 * then.  ready is called when all run.
 */
int serve_run(struct serve_plan *plan, const struct serve_spec *spec,
	void (*ready)(const struct serve_spec *spec), struct err *e) MUST_CHECK;
