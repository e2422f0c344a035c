/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is what is on this node what was signed and installed?  Bases are read to the last block through
 * dm-verity; of the running layer it is said what it puts in front of the vendor's files.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/progress.h"
#include "base/str.h"
#include "image/diff.h"
#include "node/state.h"

enum verify_status { VERIFY_OK, VERIFY_WARN, VERIFY_FAILED };

enum verify_signature {
	VERIFY_NO_MANIFEST, /* none was kept with its boot entries */
	VERIFY_UNSIGNED,
	VERIFY_UNCHECKED, /* signed, and nobody is trusted here */
	VERIFY_SIGNED,
	VERIFY_WRONG,
};

struct verified_base {
	char *name;
	bool running;
	enum verify_status status;
	char *reason; /* NULL: all is well */
	enum verify_signature signature;
	char *signer;                     /* NULL unless VERIFY_SIGNED */
	char root_hash[SHA256_HEX_BYTES]; /* "" when not known */
	uint64_t bytes;                   /* read and right */
};

/* A file of the base, outside of /etc, that shows as something else. */
struct overridden_file {
	enum diff_change change; /* DIFF_CHANGED, DIFF_REMOVED */
	char *path, *what;       /* "/usr/bin/x", "content, mode" */
};

struct verify_result {
	enum verify_status status; /* the worst of all */
	struct verified_base *bases;
	size_t base_count;
	char *layer; /* NULL: not looked at */
	struct overridden_file *files;
	size_t file_count;
};

void verify_result_fini(struct verify_result *v);
#define autoverifyresult auto_with(verify_result_fini) struct verify_result

enum { VERIFY_RUNNING_BASE = 1 << 0, VERIFY_ALL_BASES = 1 << 1, VERIFY_LAYER = 1 << 2 };

struct verify_spec {
	const struct node_state *state; /* gathered with NODE_LOOK_STORAGE */
	const struct strv *anchors;     /* paths of certificates, as for sign_verify() */
	int boot_fd;                    /* /boot; -1: cannot be read */
	unsigned what;
	bool strict; /* a warning is a failure */
};

/*
 * out starts zeroed.  What is found is in there; an error is that it could not be looked at.  Needs
 * root.
 */
int node_verify(const struct verify_spec *spec, struct verify_result *out, struct progress *p,
	struct err *e) MUST_CHECK;

void verify_text(const struct verify_result *v, struct strbuf *out);
/* docs/formats/nodectl.md.  The caller owns the reference. */
json_t *verify_json(const struct verify_result *v) MUST_CHECK;

/*
 * A kept manifest against a base: its name, the root hash, the size in bytes that dm-verity covers
 * (0: not known), and the signature.  Fills in status, reason, signature and signer.
 */
struct boot_manifest;
void verify_manifest(struct verified_base *b, const struct boot_manifest *m,
	const struct strv *anchors, uint64_t data_bytes);
