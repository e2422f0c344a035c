/* SPDX-License-Identifier: Apache-2.0 */
#include "hotadd/image.h"

#include <string.h>

#include "base/xalloc.h"

/* "1.2+one.two" was made of 1.2. */
void hotadd_image_manifest(const struct hotadd_image *image, struct manifest *out)
{
	char *plus;

	out->name = xstrdup(image->name);
	out->version = xstrdup(image->version);
	out->arch = xstrdup(image->arch);
	plus = strrchr(out->version, '+');
	if (plus && plus > out->version && (image->edited || image->plugins->count > 0))
		*plus = '\0';
	if (*image->kernel)
		manifest_add_kernel(out)->release = xstrdup(image->kernel);
}
