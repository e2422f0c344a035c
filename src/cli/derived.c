/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/derived.h"

#include <errno.h>
#include <stdio.h>

#include "base/json.h"

int derived_spec(
	const struct derived_options *o, const char *image, struct derive_spec *out, struct err *e)
{
	if (!o->output)
		return err_set(e, EINVAL, "-o is needed: where the new image goes");
	*out = (struct derive_spec){.image = image,
		.output = o->output,
		.trust = o->trust,
		.sign_key = o->sign_key,
		.sign_cert = o->sign_cert};
	return 0;
}

void derived_print(const struct derived_options *o, const struct derive_result *result)
{
	if (!o->json) {
		printf("%s\n", result->image);
		return;
	}
	json_print(json_pack("{s:s,s:s,s:s,s:s,s:I,s:I}", "name", result->name, "version",
		result->version, "image", result->image, "manifest", result->manifest,
		"image_bytes", (json_int_t)result->image_bytes, "rootfs_bytes",
		(json_int_t)result->rootfs_bytes));
}
