/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/manifest.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/xalloc.h"

void plugin_manifest_fini(struct plugin_manifest *m)
{
	char *strings[] = {m->name, m->version, m->vendor, m->description};
	struct strv *lists[] = {&m->writes, &m->state, &m->services, &m->ports, &m->kernel_add,
		&m->kernel_remove, &m->conflicts};

	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		free(strings[i]);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		strv_fini(lists[i]);
	for (size_t i = 0; i < m->image_count; i++) {
		free(m->images[i].name);
		free(m->images[i].from);
		free(m->images[i].before);
	}
	for (size_t i = 0; i < m->module_count; i++) {
		free(m->modules[i].name);
		strv_fini(&m->modules[i].kernels);
	}
	for (size_t i = 0; i < m->package_count; i++) {
		free(m->packages[i].name);
		free(m->packages[i].version);
		free(m->packages[i].arch);
		free(m->packages[i].member.file);
	}
	for (size_t i = 0; i < m->file_count; i++)
		free(m->files[i].file);
	free(m->images);
	free(m->modules);
	free(m->packages);
	free(m->files);
	*m = (struct plugin_manifest){0};
}

struct plugin_package *plugin_manifest_add_package(struct plugin_manifest *m)
{
	m->packages = xrealloc(m->packages, (m->package_count + 1) * sizeof(*m->packages));
	m->packages[m->package_count] = (struct plugin_package){0};
	return &m->packages[m->package_count++];
}

struct plugin_member *plugin_manifest_add_file(struct plugin_manifest *m)
{
	m->files = xrealloc(m->files, (m->file_count + 1) * sizeof(*m->files));
	m->files[m->file_count] = (struct plugin_member){0};
	return &m->files[m->file_count++];
}

static int compare_packages(const void *a, const void *b)
{
	const struct plugin_package *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r != 0 ? r : strcmp(x->arch, y->arch);
}

static int compare_files(const void *a, const void *b)
{
	return strcmp(
		((const struct plugin_member *)a)->file, ((const struct plugin_member *)b)->file);
}

void plugin_manifest_sort(struct plugin_manifest *m)
{
	if (m->package_count > 1)
		qsort(m->packages, m->package_count, sizeof(*m->packages), compare_packages);
	if (m->file_count > 1)
		qsort(m->files, m->file_count, sizeof(*m->files), compare_files);
}

static int compare_members(const void *a, const void *b)
{
	return compare_files(
		*(const struct plugin_member *const *)a, *(const struct plugin_member *const *)b);
}

const struct plugin_member **plugin_manifest_members(const struct plugin_manifest *m, size_t *count)
{
	size_t n = m->package_count + m->file_count;
	const struct plugin_member **list = xcalloc(n + 1, sizeof(struct plugin_member *));

	for (size_t i = 0; i < m->package_count; i++)
		list[i] = &m->packages[i].member;
	for (size_t i = 0; i < m->file_count; i++)
		list[m->package_count + i] = &m->files[i];
	qsort(list, n, sizeof(list[0]), compare_members);
	*count = n;
	return list;
}

const struct plugin_package *plugin_manifest_package(
	const struct plugin_manifest *m, const char *name)
{
	for (size_t i = 0; i < m->package_count; i++)
		if (str_eq(m->packages[i].name, name))
			return &m->packages[i];
	return NULL;
}

static void put(json_t *o, const char *key, json_t *value)
{
	json_object_set_new(o, key, value);
}

static json_t *format_images(const struct plugin_manifest *m)
{
	json_t *a = json_array();

	for (size_t i = 0; i < m->image_count; i++) {
		json_t *o = json_object();

		put(o, "name", json_text(m->images[i].name));
		if (m->images[i].from)
			put(o, "from", json_text(m->images[i].from));
		if (m->images[i].before)
			put(o, "before", json_text(m->images[i].before));
		json_array_append_new(a, o);
	}
	return a;
}

static json_t *format_modules(const struct plugin_manifest *m)
{
	json_t *a = json_array();

	for (size_t i = 0; i < m->module_count; i++) {
		json_t *o = json_object();

		put(o, "name", json_text(m->modules[i].name));
		put(o, "kernels", json_texts(&m->modules[i].kernels));
		json_array_append_new(a, o);
	}
	return a;
}

static json_t *format_arguments(const struct plugin_manifest *m)
{
	json_t *o = json_object();

	put(o, "add", json_texts(&m->kernel_add));
	put(o, "remove", json_texts(&m->kernel_remove));
	return o;
}

static json_t *format_member(const struct plugin_member *f)
{
	json_t *o = json_object();
	char hex[SHA256_HEX_BYTES];

	hex_format(f->sha256, SHA256_BYTES, hex);
	put(o, "file", json_text(f->file));
	put(o, "size", json_integer((json_int_t)f->size_bytes));
	put(o, "sha256", json_string(hex));
	return o;
}

static json_t *format_packages(const struct plugin_manifest *m)
{
	json_t *a = json_array();

	for (size_t i = 0; i < m->package_count; i++) {
		json_t *o = format_member(&m->packages[i].member);

		put(o, "name", json_text(m->packages[i].name));
		put(o, "version", json_text(m->packages[i].version));
		put(o, "arch", json_text(m->packages[i].arch));
		json_array_append_new(a, o);
	}
	return a;
}

static json_t *format_files(const struct plugin_manifest *m)
{
	json_t *a = json_array();

	for (size_t i = 0; i < m->file_count; i++)
		json_array_append_new(a, format_member(&m->files[i]));
	return a;
}

char *plugin_manifest_format(const struct plugin_manifest *m)
{
	json_t *o = json_object();

	put(o, "format", json_integer(PLUGIN_FORMAT));
	put(o, "name", json_text(m->name));
	put(o, "version", json_text(m->version));
	put(o, "vendor", json_text(m->vendor));
	put(o, "description", json_text(m->description));
	put(o, "images", format_images(m));
	put(o, "writes", json_texts(&m->writes));
	put(o, "state", json_texts(&m->state));
	put(o, "services", json_texts(&m->services));
	put(o, "ports", json_texts(&m->ports));
	put(o, "kernel_arguments", format_arguments(m));
	put(o, "kernel_modules", format_modules(m));
	put(o, "conflicts", json_texts(&m->conflicts));
	put(o, "packages", format_packages(m));
	put(o, "files", format_files(m));

	char *text = json_format(o);
	json_decref(o);
	return text;
}
