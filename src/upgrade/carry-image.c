/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/carry-image.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "image/image.h"

#define IMAGE_JSON     "usr/lib/bedplate/image.json"
#define JSON_MAX_BYTES (64 * KIB)

void carry_image_fini(struct carry_image *c)
{
	free(c->name);
	free(c->version);
	free(c->arch);
	free(c->kernel);
	strv_fini(&c->plugins);
	*c = (struct carry_image){0};
}

static char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return xstrdup(text ? text : "");
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
	int r = image_read(t, IMAGE_JSON, JSON_MAX_BYTES, &text, NULL, e);

	if (r < 0)
		return r;
	json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(o)) {
		json_decref(o);
		return err_set(e, EBADMSG, "'/" IMAGE_JSON "' of the image is damaged");
	}
	const json_t *plugins = json_object_get(o, "plugins");
	out->name = text_of(o, "name");
	out->version = text_of(o, "version");
	out->arch = text_of(o, "arch");
	for (size_t i = 0; i < json_array_size(plugins); i++) {
		const char *name = json_string_value(json_array_get(plugins, i));

		if (name)
			strv_add(&out->plugins, name);
	}
	bool edited = json_is_true(json_object_get(o, "edited"));
	json_decref(o);
	read_kernel(t, out);
	out->image = (struct hotadd_image){
		.name = out->name,
		.version = out->version,
		.arch = out->arch,
		.kernel = out->kernel,
		.plugins = &out->plugins,
		.edited = edited,
	};
	return 0;
}
