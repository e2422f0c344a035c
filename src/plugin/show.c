/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/show.h"

#include <stdio.h>

#include "base/json.h"
#include "base/xalloc.h"

void plugin_field_text(struct strbuf *b, const char *name, const char *value)
{
	autofree char *safe = str_printable(value);

	strbuf_printf(b, "%-13s %s\n", name, safe);
}

static void list(struct strbuf *b, const char *name, const struct strv *v)
{
	for (size_t i = 0; i < v->count; i++)
		plugin_field_text(b, i == 0 ? name : "", v->items[i]);
}

static void images(struct strbuf *b, const struct plugin_manifest *m)
{
	for (size_t i = 0; i < m->image_count; i++) {
		const struct plugin_image *im = &m->images[i];
		autofree char *text = xasprintf("%s%s%s%s%s", im->name, im->from ? " from " : "",
			im->from ? im->from : "", im->before ? " before " : "",
			im->before ? im->before : "");

		plugin_field_text(b, i == 0 ? "Images:" : "", text);
	}
}

static void modules(struct strbuf *b, const struct plugin_manifest *m)
{
	for (size_t i = 0; i < m->module_count; i++) {
		autostrbuf line = {0};

		strbuf_printf(&line, "%s for kernel", m->modules[i].name);
		for (size_t k = 0; k < m->modules[i].kernels.count; k++)
			strbuf_printf(&line, " %s", m->modules[i].kernels.items[k]);
		plugin_field_text(b, i == 0 ? "Modules:" : "", line.data);
	}
}

static void arguments(struct strbuf *b, const struct plugin_manifest *m)
{
	autostrbuf line = {0};

	for (size_t i = 0; i < m->kernel_remove.count; i++)
		strbuf_printf(&line, "%s!%s", line.len > 0 ? " " : "", m->kernel_remove.items[i]);
	for (size_t i = 0; i < m->kernel_add.count; i++)
		strbuf_printf(&line, "%s%s", line.len > 0 ? " " : "", m->kernel_add.items[i]);
	if (line.len > 0)
		plugin_field_text(b, "Kernel:", line.data);
}

static void packages(struct strbuf *b, const struct plugin_manifest *m)
{
	for (size_t i = 0; i < m->package_count; i++) {
		const struct plugin_package *p = &m->packages[i];
		autofree char *text = xasprintf("%s %s %s", p->name, p->version, p->arch);

		plugin_field_text(b, i == 0 ? "Packages:" : "", text);
	}
}

char *plugin_manifest_text(const struct plugin_manifest *m)
{
	autostrbuf b = {0};

	plugin_field_text(&b, "Name:", m->name);
	plugin_field_text(&b, "Version:", m->version);
	plugin_field_text(&b, "Vendor:", m->vendor);
	plugin_field_text(&b, "Description:", m->description);
	images(&b, m);
	packages(&b, m);
	list(&b, "Writes:", &m->writes);
	list(&b, "State:", &m->state);
	list(&b, "Services:", &m->services);
	list(&b, "Ports:", &m->ports);
	arguments(&b, m);
	modules(&b, m);
	list(&b, "Conflicts:", &m->conflicts);
	return strbuf_take(&b);
}

json_t *plugin_record_json(const struct plugin_record *r)
{
	autofree char *manifest = plugin_manifest_format(&r->manifest);
	char hex[SHA256_HEX_BYTES];
	json_t *files = json_array();

	hex_format(r->sha256, SHA256_BYTES, hex);
	for (size_t i = 0; i < r->files->count; i++) {
		autofree char *path = xasprintf("/%s", r->files->entries[i].path);

		json_array_append_new(files, json_text(path));
	}
	return json_pack("{s:s,s:o,s:o}", "sha256", hex, "manifest", json_loads(manifest, 0, NULL),
		"files", files);
}
