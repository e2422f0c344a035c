/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "base/xalloc.h"

json_t *json_text(const char *s)
{
	json_t *j = s ? json_string(s) : json_null();

	if (j)
		return j;
	autofree char *copy = xstrdup(s);
	for (char *c = copy; *c; c++)
		if (*c & 0x80)
			*c = '?';
	return json_string(copy);
}

json_t *json_texts(const struct strv *v)
{
	json_t *a = json_array();

	for (size_t i = 0; i < v->count; i++)
		json_array_append_new(a, json_text(v->items[i]));
	return a;
}

bool json_take_texts(const json_t *list, struct strv *out)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (!text)
			return false;
		strv_add(out, text);
	}
	return true;
}

char *json_format(const json_t *j)
{
	autofree char *body = json_dumps(j, JSON_SORT_KEYS | JSON_INDENT(2));

	return xasprintf("%s\n", body ? body : "null");
}

void json_print(json_t *j)
{
	autofree char *text = json_format(j);

	fputs(text, stdout);
	json_decref(j);
}
