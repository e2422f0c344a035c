/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/json.h"
#include "hotadd/hotadd.h"

void hotadd_plan_fini(struct hotadd_plan *p)
{
	struct strv *const lists[] = {&p->install, &p->present, &p->services, &p->ports, &p->notes};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		strv_fini(lists[i]);
	free(p->name);
	free(p->version);
	*p = (struct hotadd_plan){0};
}

static void text_list(struct strbuf *b, const char *title, const struct strv *v)
{
	for (size_t i = 0; i < v->count; i++) {
		autofree char *safe = str_printable(v->items[i]);

		if (i == 0)
			strbuf_printf(b, "%s:\n", title);
		strbuf_printf(b, "  %s\n", safe);
	}
}

char *hotadd_plan_text(const struct hotadd_plan *p)
{
	autostrbuf b = {0};

	strbuf_printf(&b, "Plugin: %s %s\n", p->name, p->version);
	text_list(&b, p->removes ? "Packages to remove" : "Packages to install", &p->install);
	text_list(&b, "Packages that are there", &p->present);
	text_list(&b, p->removes ? "Services to stop" : "Services to start", &p->services);
	text_list(&b, p->removes ? "Ports to close" : "Ports to open", &p->ports);
	text_list(&b, "Note", &p->notes);
	return strbuf_take(&b);
}

json_t *hotadd_plan_json(const struct hotadd_plan *p)
{
	return json_pack("{s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:I,s:I}", "operation",
		p->removes ? "remove" : "add", "name", json_text(p->name), "version",
		json_text(p->version), "packages", json_texts(&p->install), "present",
		json_texts(&p->present), "services", json_texts(&p->services), "ports",
		json_texts(&p->ports), "notes", json_texts(&p->notes), "files",
		(json_int_t)p->files, "bytes", (json_int_t)p->bytes);
}
