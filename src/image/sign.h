/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detached signatures: CMS SignedData (RFC 5652) in DER, SHA-256, without the content.
 *
 * "openssl cms -verify -binary -inform DER -content FILE -in FILE.sig -CAfile CERT -purpose any"
 * checks the same.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

#define SIGN_SUFFIX    ".sig"
#define SIGN_MAX_BYTES (1 * MIB)

/* Signature of data with a key and its certificate, both PEM files.  The caller frees *out. */
int sign_data(const void *data, size_t len, const char *key_path, const char *cert_path, char **out,
	size_t *out_len, struct err *e) MUST_CHECK;
/* Before long work: both or neither of them are given, and can be read. */
int sign_check_files(const char *key_path, const char *cert_path, struct err *e) MUST_CHECK;
/* path's signature into PATH.sig, replaced atomically. */
int sign_file(const char *path, const char *key_path, const char *cert_path, struct err *e)
	MUST_CHECK;

/*
 * trust: PEM files and folders of PEM files (*.pem, *.crt, *.cert).  Each certificate in them is
 * an anchor, self-signed or not.  Whatever a certificate says it may be used for is accepted.
 * -EKEYREJECTED: the signature is wrong or leads to no anchor.  *signer (may be NULL) is the
 * subject of the signing certificate, the caller's to free.
 */
int sign_verify(const void *data, size_t len, const void *sig, size_t sig_len,
	const struct strv *trust, char **signer, struct err *e) MUST_CHECK;
