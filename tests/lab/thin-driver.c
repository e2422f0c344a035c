/* SPDX-License-Identifier: Apache-2.0 */
/* What the lab tests call of storage/thin.h and upgrade/base-make.h: thin-driver VERB ARG... */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/interrupt.h"
#include "base/log.h"
#include "base/str.h"
#include "storage/thin.h"
#include "upgrade/base-make.h"

static uint64_t number(const char *text)
{
	return strtoumax(text, NULL, 10);
}

/* VG POOL */
static int room(char *const args[], struct err *e)
{
	struct pool_room r;
	int status = pool_room(args[0], args[1], &r, e);

	if (status == 0)
		printf("%" PRIu64 " %" PRIu64 "/%" PRIu64 " %" PRIu64 "/%" PRIu64 "%s%s%s%s%s\n",
			r.chunk_bytes, r.data_used_bytes, r.data_bytes, r.metadata_used_bytes,
			r.metadata_bytes, r.read_only ? " ro" : "", r.out_of_data ? " full" : "",
			r.needs_check ? " needs_check" : "", r.failed ? " failed" : "",
			r.error_if_full ? " error" : " queue");
	return status;
}

/* VG POOL */
static int verify(char *const args[], struct err *e)
{
	return pool_verify(args[0], args[1], e);
}

/* VG POOL NAME BYTES */
static int create(char *const args[], struct err *e)
{
	return thin_create(args[0], args[1], args[2], number(args[3]), e);
}

/* VG ORIGIN NAME MIN-BYTES */
static int snapshot(char *const args[], struct err *e)
{
	return thin_snapshot(args[0], args[1], args[2], number(args[3]), e);
}

/* VG NAME ro|rw TAG TAG */
static int accept(char *const args[], struct err *e)
{
	const char *const tags[] = {args[3], args[4], NULL};

	return thin_accept(args[0], args[1], str_eq(args[2], "ro"), tags, e);
}

/* VG NAME */
static int drop(char *const args[], struct err *e)
{
	return thin_drop(args[0], args[1], e);
}

/* VG NAME */
static int remove_any(char *const args[], struct err *e)
{
	return thin_remove(args[0], args[1], e);
}

/* VG POOL BASE LIKE|- FOLDER-OF-IMAGE LIMIT */
static int with_image(char *const args[],
	int (*run)(const struct base_job *j, struct base_cost *cost, struct progress *p,
		struct err *e),
	struct err *e)
{
	const struct liveimg_from from = {.where = args[4], .folder = "/run"};
	autoliveimg image = {0};
	autolvmreport report = {0};
	const struct base_job j = {
		.lvm = &report,
		.vg = args[0],
		.pool = args[1],
		.base = args[2],
		.like = str_eq(args[3], "-") ? NULL : args[3],
		.image = &image,
		.limit_bytes = number(args[5]),
	};
	struct base_cost cost = {0};
	struct progress p;
	int r = lvm_report(&report, e);

	setvbuf(stdout, NULL, _IOLBF, 0);
	progress_init_json(&p, stdout);
	if (r == 0)
		r = liveimg_get(&from, &image, NULL, e);
	if (r == 0)
		r = run(&j, &cost, &p, e);
	if (r == 0)
		printf("cost %" PRIu64 " %" PRIu64 "\n", cost.changed_bytes, cost.chunk_bytes);
	return r;
}

static int make(char *const args[], struct err *e)
{
	return with_image(args, base_make, e);
}

static int measure(char *const args[], struct err *e)
{
	return with_image(args, base_measure, e);
}

static const struct {
	const char *name;
	int args;
	int (*run)(char *const args[], struct err *e);
} verbs[] = {
	{"room", 2, room},
	{"verify", 2, verify},
	{"create", 4, create},
	{"snapshot", 4, snapshot},
	{"accept", 5, accept},
	{"drop", 2, drop},
	{"remove", 2, remove_any},
	{"make", 6, make},
	{"measure", 6, measure},
};

int main(int argc, char *argv[])
{
	struct err e = {0};

	log_init("thin-driver");
	interrupt_catch();
	for (size_t i = 0; argc > 1 && i < ARRAY_LEN(verbs); i++) {
		if (!str_eq(verbs[i].name, argv[1]) || argc - 2 != verbs[i].args)
			continue;
		if (verbs[i].run(argv + 2, &e) == 0)
			return 0;
		fprintf(stderr, "thin-driver: %s (errno %d)\n", e.msg, e.code);
		return 1;
	}
	fprintf(stderr, "thin-driver: unknown verb or wrong number of arguments\n");
	return 2;
}
