/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plugins on a node that runs.
 *
 * A plugin is installed into a copy of the running system first (stage.h); what that has changed is
 * checked and brought over in one transaction (transaction.h), then services are started.  The caller
 * holds the node's lock.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/progress.h"
#include "base/str.h"
#include "hotadd/view.h"
#include "plugin/read.h"
#include "plugin/record.h"

/* The system that is worked on. */
struct hotadd_site {
	const char *root; /* "/" */
	int root_fd;      /* of it */
	bool live;        /* services are started, the firewall is told */
	bool boots; /* live, and so early that nothing may be waited for, and the firewall comes later */
	/* For tests: called before each change. */
	void (*step)(void *ctx);
	void *ctx;
};

struct hotadd_image {
	const char *name, *version, *arch;
	const char *kernel;         /* release that runs; "": not known */
	const struct strv *plugins; /* that are part of it */
	bool edited;
};

/* What is, or was, done. */
struct hotadd_plan {
	bool removes;
	char *name, *version;
	struct strv install, present; /* packages: "NAME VERSION" */
	struct strv services, ports;
	struct strv notes; /* lines about what has to be known */
	uint64_t files;    /* added, changed or removed */
	uint64_t bytes;    /* at most, with what is kept to take it back */
};

void hotadd_plan_fini(struct hotadd_plan *p);
#define autohotaddplan auto_with(hotadd_plan_fini) struct hotadd_plan

/* For people, with a newline at the end of each line.  The caller frees it. */
char *hotadd_plan_text(const struct hotadd_plan *p) MUST_CHECK;
json_t *hotadd_plan_json(const struct hotadd_plan *p) MUST_CHECK;

/* Of whole files. */
struct hotadd_texts {
	struct strv paths, texts;
};

void hotadd_texts_fini(struct hotadd_texts *t);
/* Into a file that is there, whose owner and mode stay. */
int hotadd_text_write(int root_fd, const char *path, const char *text, struct err *e) MUST_CHECK;

struct hotadd_spec {
	const char *file;
	struct plugin_demand demand;
	bool dry_run;                     /* all but the change itself */
	const struct hotadd_texts *texts; /* that the copy has before it begins; or NULL */
	/* Called with the plan when it is known that the plugin fits, before anything is done. */
	void (*show)(void *ctx, const struct hotadd_plan *plan);
	void *show_ctx;
};

/* Take back what was cut off.  1: there was something, *what is it, the caller's to free. */
int hotadd_recover(const struct hotadd_site *s, char **what, struct err *e) MUST_CHECK;

/*
 * The node is as before when it fails.  plan starts zeroed.  -EINVAL, -EEXIST, -ENOTUNIQ, -EACCES: it does
 * not fit; -EBUSY: packages are being changed; -ENOSPC: with numbers.
 */
int hotadd_add(const struct hotadd_site *s, const struct hotadd_image *image,
	const struct hotadd_spec *spec, struct hotadd_plan *plan, struct progress *p, struct err *e)
	MUST_CHECK;

/* -ENOENT: there is none of this name; -EPERM: it is part of the image. */
int hotadd_remove(const struct hotadd_site *s, const char *name, bool dry_run,
	struct hotadd_plan *plan, struct progress *p, struct err *e) MUST_CHECK;

/* All plugins, those of the image too.  v and out start zeroed. */
int hotadd_records(int root_fd, struct view *v, struct plugin_records *out, struct err *e)
	MUST_CHECK;
/* It was added on this node, and is not of the image. */
bool hotadd_is_added(int root_fd, const char *name);
/* The names of those. */
int hotadd_added(int root_fd, struct strv *out, struct err *e) MUST_CHECK;
/* A change of plugins goes on, or was cut off. */
bool hotadd_is_changing(int root_fd);
/* Where in the tree the file lies that it was added from.  The caller frees it. */
char *hotadd_file_path(const char *name) MUST_CHECK;

/* A line for each thing that is not as the record has it. */
int hotadd_verify(int root_fd, const struct plugin_record *record, struct strv *wrong,
	struct err *e) MUST_CHECK;
