/* SPDX-License-Identifier: Apache-2.0 */
/* What commands that make an image out of another one have in common. */
#pragma once

#include <stdbool.h>

#include "base/cli.h"
#include "base/err.h"
#include "base/progress.h"
#include "base/str.h"
#include "media/media.h"
#include "plugin/derive.h"

struct derived_options {
	const char *output;
	struct strv trust;
	const char *sign_key, *sign_cert;
	bool json;
};

#define DERIVED_OPTIONS(type, member)                                                              \
	{'o', "output", "OUT",                                                                     \
		"folder for the new image and what belongs to it; for an ISO a file or a folder",  \
		OPT_STRING, offsetof(type, member.output)},                                        \
		{0, "trust", "CERT|DIR",                                                           \
			"certificate (PEM), or folder of certificates, that the signatures of "    \
			"image and plugins must lead to; may be given several times",              \
			OPT_LIST, offsetof(type, member.trust)},                                   \
		{0, "sign-key", "FILE", "sign the new manifest with this private key (PEM)",       \
			OPT_STRING, offsetof(type, member.sign_key)},                              \
		{0, "sign-cert", "FILE", "certificate of the key (PEM)", OPT_STRING,               \
			offsetof(type, member.sign_cert)},                                         \
	{                                                                                          \
		0, "json", NULL, "print the result as JSON", OPT_FLAG, offsetof(type, member.json) \
	}

/*
 * The image that a command is about: the one given, or for an ISO what was taken out of it into a folder
 * that goes when this does.
 */
struct derived_input {
	const char *image;
	char *folder; /* NULL: it is no ISO */
	struct media_iso iso;
};

void derived_input_fini(struct derived_input *in);
#define auto_derived_input auto_with(derived_input_fini) struct derived_input

int derived_input_open(
	const char *path, struct derived_input *out, struct progress *p, struct err *e) MUST_CHECK;

typedef int (*derived_fn)(const struct derive_spec *spec, void *ctx, struct derive_result *out,
	struct progress *p, struct err *e);

/* Do it to the image, or to that of an ISO and make an ISO again, and print what came of it. */
int derived_run(const struct derived_options *o, const char *path, derived_fn fn, void *ctx,
	struct progress *p, struct err *e) MUST_CHECK;
