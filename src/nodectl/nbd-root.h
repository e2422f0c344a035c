/* SPDX-License-Identifier: Apache-2.0 */
/* The program nbd-root: who has the export (nbd-root.c), and the kernel (nbd-kernel.c). */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/macro.h"

#define SERVERS_MAX   8
#define EXPORT_MAX    255
#define LINE_BYTES    300
#define ADDRESSES_MAX 4
#define SECTOR_BYTES  512

struct server {
	char name[LINE_BYTES];
	struct sockaddr_storage addresses[ADDRESSES_MAX];
	socklen_t lens[ADDRESSES_MAX];
	size_t count;
};

struct nbd_root {
	char export_name[EXPORT_MAX + 1];
	struct server servers[SERVERS_MAX];
	size_t count, last;  /* last: the one that was connected */
	uint64_t size_bytes; /* 0: not connected yet */
	uint16_t flags;
	int kmsg_fd, why_fd, request_fd, event_fd;
	uint16_t family;
};

/* Why there is no connection yet: what mount-root shows when it gives up.  Returns -1. */
int nbd_because(const struct nbd_root *r, const char *fmt, ...) PRINTF(2, 3);

/* 0, or -1 and why. */
int nbd_kernel_open(struct nbd_root *r) MUST_CHECK;
/* Hand the socket to the kernel: a new device, or a new connection of the one that is there. */
int nbd_kernel_hand_over(const struct nbd_root *r, int sock, uint8_t command) MUST_CHECK;
/* 1: the connection has broken; 0: not as far as the kernel has said. */
int nbd_kernel_wait(const struct nbd_root *r) MUST_CHECK;
