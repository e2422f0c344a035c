/* SPDX-License-Identifier: Apache-2.0 */
#include "node/image.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

#define PLUGINS_MAX 1000

void node_image_fini(struct node_image *i)
{
	free(i->name);
	free(i->version);
	free(i->arch);
	strv_fini(&i->plugins);
	*i = (struct node_image){0};
}

/* A field of image.json goes to terminals and scripts, so it is one line of plain text. */
static int take_string(const json_t *object, const char *key, char **out, struct err *e)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (!text || !*text)
		return err_set(e, EBADMSG, "/" NODE_IMAGE_JSON ": no '%s'", key);
	for (const char *p = text; *p; p++)
		if (iscntrl((unsigned char)*p))
			return err_set(e, EBADMSG, "/" NODE_IMAGE_JSON ": bad '%s'", key);
	*out = xstrdup(text);
	return 0;
}

static int take_plugins(const json_t *list, struct node_image *out, struct err *e)
{
	for (size_t i = 0; i < json_array_size(list) && i < PLUGINS_MAX; i++) {
		const char *name = json_string_value(json_array_get(list, i));

		if (!name || name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")] != '\0')
			return err_set(e, EBADMSG, "/" NODE_IMAGE_JSON ": bad 'plugins'");
		strv_add(&out->plugins, name);
	}
	return 0;
}

static int take_image(const json_t *object, struct node_image *out, struct err *e)
{
	const json_t *date = json_object_get(object, "source_date");
	int r = take_string(object, "name", &out->name, e);

	if (r == 0)
		r = take_string(object, "version", &out->version, e);
	if (r == 0)
		r = take_string(object, "arch", &out->arch, e);
	if (r < 0)
		return r;
	if (!json_is_integer(date))
		return err_set(e, EBADMSG, "/" NODE_IMAGE_JSON ": no 'source_date'");
	out->source_date = json_integer_value(date);
	out->edited = json_is_true(json_object_get(object, "edited"));
	return take_plugins(json_object_get(object, "plugins"), out, e);
}

int node_image_parse(const char *text, struct node_image *out, struct err *e)
{
	json_error_t where;
	json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &where);

	if (!object)
		return err_set(
			e, EBADMSG, "/" NODE_IMAGE_JSON ": line %d: %s", where.line, where.text);
	int r = take_image(object, out, e);
	json_decref(object);
	return r;
}
