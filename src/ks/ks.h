/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kickstart files: parse, list the problems, print in canonical form.
 *
 * The language is that of pykickstart 3.74 with its RHEL10 handler, and a few extensions of ours
 * (bedplate-kickstart(1)).  Scripts are kept as text and never run; nothing is fetched from the
 * network.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "ks/model.h"

struct ks_options {
	/* An %include of a file that does not exist is ignored: the pass before %pre has run. */
	bool missing_include_ok;
	/*
	 * Fetch an %include that is a URL (http, https, ftp): 0 and text the caller frees.  NULL:
	 * such an %include is a problem.
	 */
	int (*fetch)(void *ctx, const char *url, char **text, size_t *len, struct err *e);
	void *fetch_ctx;
	/* A text that stands for itself: %include and %ksappend are problems. */
	bool no_include;
	/*
	 * A subset of the language.  Called with the name of each command and section, and again with
	 * its own options once they are read (line is NULL the first time, and for a section that is
	 * kept as written).  What it says instead of 0 is a problem of that line.
	 */
	int (*allow)(const char *name, const struct ks_cmd *line, struct err *e);
};

struct ks_problem {
	const char *file;
	unsigned line; /* 0: the file as a whole */
	bool is_warning;
	char *text;
};

void ks_doc_free(struct ks_doc *doc);
DEFINE_AUTOPTR(ks_doc, ks_doc_free)

/*
 * Parse a file ("-": standard input).  Wrong kickstart is not an error: problems are in the
 * document, and parsing goes on with the next line.  options may be NULL.  -ENOENT, -EISDIR,
 * -EFBIG (over 64 MiB) and other errors of reading path itself.
 */
int ks_parse_file(const char *path, const struct ks_options *options, struct ks_doc **out,
	struct err *e) MUST_CHECK;

/* Same for text in memory; name is what problems call it and what includes are relative to. */
int ks_parse_text(const char *name, const char *text, size_t len, const struct ks_options *options,
	struct ks_doc **out, struct err *e) MUST_CHECK;

size_t ks_error_count(const struct ks_doc *doc); /* without warnings */
size_t ks_warning_count(const struct ks_doc *doc);
/*
 * Errors and warnings, in order; at most the first KS_PROBLEMS_MAX of each.  The others are counted,
 * but reading ends at the error that is one too many.
 */
#define KS_PROBLEMS_MAX 1000
size_t ks_problem_count(const struct ks_doc *doc);
const struct ks_problem *ks_problem_at(const struct ks_doc *doc, size_t i);

/*
 * The document as the reference parser prints it.  The caller frees it.  Meaningful only without
 * errors.
 */
char *ks_canonical(const struct ks_doc *doc) MUST_CHECK;

/*
 * The text of a kickstart with its passwords, keys and passphrases replaced, also those in comments and
 * in URLs; a line that cannot be read is left out.  Scripts and other sections stay as they are.  The
 * caller frees it.
 */
char *ks_without_secrets(const char *text, size_t len) MUST_CHECK;

/* The model as a JSON object in text form, without the problems.  The caller frees it. */
char *ks_json(const struct ks_doc *doc) MUST_CHECK;
/* JSON knows no bytes: what is not UTF-8 becomes U+FFFD. */
json_t *ks_json_text(const char *text) MUST_CHECK;

/* Who acts on commands, for ks_add_support_warnings(). */
enum ks_consumer { KS_FOR_IMAGE = 1, KS_FOR_INSTALL = 2 };

/*
 * Add a warning for each command, section and option that none of the consumers (a set of enum
 * ks_consumer) acts on.  Parsing itself already warns of what nothing acts on.
 */
void ks_add_support_warnings(struct ks_doc *doc, unsigned consumers);
