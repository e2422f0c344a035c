/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boot a machine over the network from a netroot tree: QEMU's own TFTP server hands out boot loader,
 * kernel and initramfs, and an NBD server that belongs to this process the image.  The tree is not
 * changed.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "vm/machine.h"

struct netboot_spec {
	const char *tree;
	const char *label;  /* what is booted; NULL: the default of the tree */
	const char *host;   /* or what this one boots, a MAC address or UUID; NULL: it is none */
	const char *append; /* more kernel parameters, or NULL */
	const char *server; /* NBD servers that run already; NULL: one is started */
	bool debug;         /* the initramfs tells all that it does */
	struct machine_params machine;
};

struct netboot;

/*
 * Check everything, then make the folder of the TFTP server and the machine; with dry_run of the
 * machine only the commands.  spec stays until n is freed.  -ENOENT: no such image or boot loader
 * in the tree, or no firmware here.
 */
int netboot_new(const struct netboot_spec *spec, struct netboot **out, struct err *e) MUST_CHECK;
/* Ends the machine and the server. */
void netboot_free(struct netboot *n);
DEFINE_AUTOPTR(netboot, netboot_free)

/* The commands, one a line.  The caller frees it. */
char *netboot_commands(const struct netboot *n) MUST_CHECK;

struct machine *netboot_machine(struct netboot *n); /* belongs to n */

/* Start the server, then the machine.  Returns its console, as machine_start(). */
int netboot_start(struct netboot *n, struct err *e) MUST_CHECK;
