/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256, through OpenSSL. */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/io.h"
#include "base/progress.h"

#define SHA256_BYTES     32
#define SHA256_HEX_BYTES 65 /* with the NUL */

struct sha256; /* a running digest */

struct sha256 *sha256_new(void) MUST_CHECK;
void sha256_free(struct sha256 *h);
DEFINE_AUTOPTR(sha256, sha256_free)
void sha256_add(struct sha256 *h, const void *data, size_t len);
/* The string and its NUL, so that two fields cannot run into each other. */
void sha256_add_str(struct sha256 *h, const char *s);
void sha256_end(struct sha256 *h, uint8_t out[SHA256_BYTES]); /* h is ready for a new digest */

void sha256_buffer(const void *data, size_t len, uint8_t out[SHA256_BYTES]);
/* With bytes of a stage that the caller has begun; p may be NULL. */
int sha256_source_progress(
	struct source *s, struct progress *p, uint8_t out[SHA256_BYTES], struct err *e) MUST_CHECK;
int sha256_source(struct source *s, uint8_t out[SHA256_BYTES], struct err *e) MUST_CHECK;
int sha256_file(const char *path, uint8_t out[SHA256_BYTES], struct err *e) MUST_CHECK;

void hex_format(const uint8_t *data, size_t len, char *out); /* out: 2 * len + 1 bytes */
/* Exactly len bytes, either case.  -EINVAL otherwise. */
int hex_parse(const char *text, uint8_t *out, size_t len, struct err *e) MUST_CHECK;
