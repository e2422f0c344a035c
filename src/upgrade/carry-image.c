/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/carry-image.h"

#include <stdlib.h>

#include "base/xalloc.h"
#include "image/image.h"

void carry_image_fini(struct carry_image *c)
{
	node_image_fini(&c->said);
	free(c->kernel);
	*c = (struct carry_image){0};
}

static void read_kernel(struct tree *t, struct carry_image *out)
{
	autostrv kernels = {0};

	image_kernels(t, &kernels);
	out->kernel = xstrdup(kernels.count > 0 ? kernels.items[0] : "");
}

int carry_image_read(struct tree *t, struct carry_image *out, struct err *e)
{
	autofree char *text = NULL;
	int r = image_read(t, NODE_IMAGE_JSON, NODE_IMAGE_MAX_BYTES, &text, NULL, e);

	if (r == 0)
		r = node_image_parse(text, &out->said, e);
	if (r < 0)
		return r;
	read_kernel(t, out);
	out->image = (struct hotadd_image){
		.name = out->said.name,
		.version = out->said.version,
		.arch = out->said.arch,
		.kernel = out->kernel,
		.plugins = &out->said.plugins,
		.edited = out->said.edited,
	};
	return 0;
}
