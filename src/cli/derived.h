/* SPDX-License-Identifier: Apache-2.0 */
/* What commands that make an image out of another one have in common. */
#pragma once

#include <stdbool.h>

#include "base/cli.h"
#include "base/err.h"
#include "base/str.h"
#include "plugin/derive.h"

struct derived_options {
	const char *output;
	struct strv trust;
	const char *sign_key, *sign_cert;
	bool json;
};

#define DERIVED_OPTIONS(type, member)                                                              \
	{'o', "output", "OUT", "folder for the new image and what belongs to it", OPT_STRING,      \
		offsetof(type, member.output)},                                                    \
		{0, "trust", "CERT|DIR",                                                           \
			"certificate (PEM), or folder of certificates, that the signatures of "    \
			"image and plugins must lead to; may be given several times",              \
			OPT_LIST, offsetof(type, member.trust)},                                   \
		{0, "sign-key", "FILE", "sign the new manifest with this private key (PEM)",       \
			OPT_STRING, offsetof(type, member.sign_key)},                              \
		{0, "sign-cert", "FILE", "certificate of the key (PEM)", OPT_STRING,               \
			offsetof(type, member.sign_cert)},                                         \
		{0, "json", NULL, "print the result as JSON", OPT_FLAG,                            \
			offsetof(type, member.json)},

/* -EINVAL: an option is missing. */
int derived_spec(const struct derived_options *o, const char *image, struct derive_spec *out,
	struct err *e) MUST_CHECK;
void derived_print(const struct derived_options *o, const struct derive_result *result);
