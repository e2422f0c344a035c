/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of liveimg_get() share. */
#pragma once

#include "liveimg/get.h"

struct get_job {
	const struct liveimg_from *spec;
	struct progress *p;
	struct liveimg *out;
	char *manifest_name; /* for messages */
	bool refused;        /* by who asked for it */
};

/* Where the files of an image are. */
struct get_place {
	struct source *iso; /* NULL: a folder of this machine */
	const char *shown;  /* path of the ISO */
	const char *folder;
};

/* get-manifest.c: signature, manifest, whether this machine could run it.  -ENOENT: no manifest. */
int get_manifest_file(struct get_job *j, const struct get_place *place, const char *name,
	struct err *e) MUST_CHECK;
/* That of an image called name, in the same folder. */
int get_manifest_beside(struct get_job *j, const struct get_place *place, const char *name,
	struct err *e) MUST_CHECK;
int get_manifest_beside_url(struct get_job *j, const char *url, struct err *e) MUST_CHECK;
/* -ENOENT, with what was looked for. */
int get_no_manifest(const char *image, struct err *e) MUST_CHECK;

/* get.c: is it the image of j's manifest, to its last byte?  Takes over s. */
int get_check_image(struct get_job *j, struct source *s, const char *name, struct err *e)
	MUST_CHECK;
int get_compare_digest(const struct get_job *j, const char *what, const uint8_t got[SHA256_BYTES],
	struct err *e) MUST_CHECK;
/* Hand it out; nothing of it was looked at before.  Takes over s. */
int get_open_image(struct get_job *j, struct source *s, const char *name, struct err *e) MUST_CHECK;
int get_booted(struct get_job *j, struct err *e) MUST_CHECK;

/* get-local.c */
int get_local(struct get_job *j, const char *path, struct err *e) MUST_CHECK;
/* The image file itself. */
int get_local_file(struct get_job *j, const char *path, struct err *e) MUST_CHECK;

/* get-download.c */
int get_remote(struct get_job *j, const char *url, struct err *e) MUST_CHECK;
int get_standard_input(struct get_job *j, struct err *e) MUST_CHECK;
