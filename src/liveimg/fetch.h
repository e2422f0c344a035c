/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetch over http, https and ftp, with libcurl.
 *
 * Everything has an end: connections, stalls, redirects, sizes, retries.  A redirect never leads
 * from https to anything else, and none leads to a file.  A broken connection is taken up again
 * where it broke.  Before the first request to another machine it waits for a network.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/progress.h"

struct fetch_options {
	const char *proxy; /* NULL: what the environment says, http_proxy and so on */
	bool insecure;     /* certificates of https are not checked */
};

/* http:, https: or ftp: */
bool fetch_is_remote(const char *url);
/* url for messages: without user, password and query.  The caller frees it. */
char *fetch_public_name(const char *url) MUST_CHECK;
/* The path of a file: URL.  The caller frees *path.  -EINVAL: no such URL, or of another host. */
int fetch_file_path(const char *url, char **path, struct err *e) MUST_CHECK;
/* url with another last component of its path, for what lies beside it.  The caller frees *out. */
int fetch_sibling(const char *url, const char *name, char **out, struct err *e) MUST_CHECK;
/* The last component of url's path.  The caller frees *out. */
int fetch_last_component(const char *url, char **out, struct err *e) MUST_CHECK;

/* o may be NULL.  -ENOENT: the server has no such file, -EFBIG: more than max_bytes, -ETIMEDOUT,
 * -ELOOP: too many redirects, -EKEYREJECTED: the server's certificate is not trusted. */
int fetch_text(const char *url, const struct fetch_options *o, size_t max_bytes, char **text,
	size_t *len, struct err *e) MUST_CHECK;
/* The same into an empty file that can be cut short. */
int fetch_stream(const char *url, const struct fetch_options *o, uint64_t max_bytes, int fd,
	struct err *e) MUST_CHECK;
/*
 * Into a file, with progress in bytes; size_bytes is what it has to be.  What the file has already is
 * taken for the beginning, and only the rest is asked for.  The caller compares the digest.  -EBADMSG: another size; others as above.
 */
int fetch_file(const char *url, const struct fetch_options *o, int fd, uint64_t size_bytes,
	uint8_t sha256[SHA256_BYTES], struct progress *p, struct err *e) MUST_CHECK;
