/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nbd-clients URI FILE COUNT: so many clients are connected to an export at once, read it in places of
 * their own, and compare that with the file that it is of.  Prints how far apart they end.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <libnbd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/macro.h"
#include "base/xalloc.h"

#define CLIENTS_MAX 4096
#define READS       32
#define READ_BYTES  ((size_t)(64 * KIB))
#define STACK_BYTES ((size_t)(512 * KIB)) /* of a thread */

struct load {
	const char *uri;
	struct source *file;
	pthread_barrier_t all_connected;
	struct timespec start;
};

struct client {
	struct load *load;
	pthread_t thread;
	unsigned number;
	double seconds; /* from the start of all to its own end */
};

/* One that is not served ends the others too. */
static void fail(const struct client *c, const char *what)
{
	fprintf(stderr, "client %u: %s\n", c->number, what);
	exit(1);
}

static double since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

/* Places that are the same in each run, and spread over the file. */
static uint64_t place(const struct client *c, unsigned read)
{
	uint64_t places = c->load->file->size_bytes / READ_BYTES;

	return (c->number * 40503U + read * 2654435761U) % places * READ_BYTES;
}

static void read_all(struct client *c, struct nbd_handle *nbd)
{
	autofree char *got = xcalloc(1, READ_BYTES), *want = xcalloc(1, READ_BYTES);
	struct err e = {0};

	for (unsigned i = 0; i < READS; i++) {
		uint64_t at = place(c, i);

		if (nbd_pread(nbd, got, READ_BYTES, at, 0) < 0)
			fail(c, nbd_get_error());
		if (source_read_at(c->load->file, want, READ_BYTES, at, &e) < 0)
			fail(c, e.msg);
		if (memcmp(got, want, READ_BYTES) != 0)
			fail(c, "what it reads is not what is in the file");
	}
}

static void *run_client(void *ctx)
{
	struct client *c = ctx;
	struct nbd_handle *nbd = nbd_create();

	if (!nbd || nbd_connect_uri(nbd, c->load->uri) < 0)
		fail(c, nbd_get_error());
	pthread_barrier_wait(&c->load->all_connected);
	read_all(c, nbd);
	c->seconds = since(&c->load->start);
	nbd_shutdown(nbd, 0);
	nbd_close(nbd);
	return NULL;
}

static void run_clients(struct load *load, struct client *clients, unsigned count)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_barrier_init(&load->all_connected, NULL, count);
	clock_gettime(CLOCK_MONOTONIC, &load->start);
	for (unsigned i = 0; i < count; i++) {
		clients[i] = (struct client){.load = load, .number = i};
		if (pthread_create(&clients[i].thread, &attr, run_client, &clients[i]) != 0)
			fail(&clients[i], "no thread");
	}
	for (unsigned i = 0; i < count; i++)
		pthread_join(clients[i].thread, NULL);
	pthread_barrier_destroy(&load->all_connected);
	pthread_attr_destroy(&attr);
}

int main(int argc, char *argv[])
{
	unsigned long count = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
	autoptr(source) file = NULL;
	struct err e = {0};

	if (count < 1 || count > CLIENTS_MAX) {
		fputs("usage: nbd-clients URI FILE COUNT\n", stderr);
		return 2;
	}
	if (source_open_path(argv[2], &file, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return 1;
	}
	struct load load = {.uri = argv[1], .file = file};
	autofree struct client *clients = xcalloc(count, sizeof(*clients));
	run_clients(&load, clients, (unsigned)count);
	double fastest = clients[0].seconds, slowest = fastest;
	for (unsigned long i = 1; i < count; i++) {
		fastest = MIN(fastest, clients[i].seconds);
		slowest = MAX(slowest, clients[i].seconds);
	}
	printf("%lu clients at once: the fastest has all after %.2f s, the slowest after %.2f s\n",
		count, fastest, slowest);
	return 0;
}
