/* SPDX-License-Identifier: Apache-2.0 */
#include "image/sbom.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/str.h"
#include "base/xalloc.h"

/* SPDX identifiers take letters, digits, "." and "-" only (section 7.2). */
static char *make_id(const char *prefix, const char *name, const char *arch)
{
	char *id = xasprintf("SPDXRef-%s-%s%s%s", prefix, name, arch ? "-" : "", arch ? arch : "");

	for (char *p = id; *p; p++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-", *p))
			*p = '-';
	return id;
}

static char *format_time(int64_t seconds)
{
	char text[40];
	time_t t = (time_t)seconds;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return xstrdup(text);
}

/* A package URL wants "+", "~" and ":" of versions percent-encoded (purl-spec). */
static void add_encoded(struct strbuf *b, const char *text)
{
	for (; *text; text++) {
		if (strchr("+:%?#@/ ", *text))
			strbuf_printf(b, "%%%02X", (unsigned)(unsigned char)*text);
		else
			strbuf_putc(b, *text);
	}
}

static char *make_purl(const struct manifest_package *p)
{
	autostrbuf b = {0};

	strbuf_puts(&b, "pkg:deb/debian/");
	add_encoded(&b, p->name);
	strbuf_putc(&b, '@');
	add_encoded(&b, p->version);
	strbuf_puts(&b, "?arch=");
	add_encoded(&b, p->arch);
	return strbuf_take(&b);
}

static json_t *package_object(const struct manifest_package *p, const char *id)
{
	autofree char *purl = make_purl(p);
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:[{s:s, s:s, s:s}]}",
		"SPDXID", id, "name", p->name, "versionInfo", p->version, "downloadLocation",
		"NOASSERTION", "filesAnalyzed", 0, "licenseConcluded", "NOASSERTION",
		"licenseDeclared", "NOASSERTION", "copyrightText", "NOASSERTION", "externalRefs",
		"referenceCategory", "PACKAGE-MANAGER", "referenceType", "purl", "referenceLocator",
		purl);

	if (p->source) {
		autofree char *text = xasprintf("built from source package %s %s", p->source,
			p->source_version ? p->source_version : p->version);
		json_object_set_new(o, "sourceInfo", json_string(text));
	}
	return o;
}

static void add_relationship(json_t *list, const char *from, const char *kind, const char *to)
{
	json_array_append_new(list,
		json_pack("{s:s, s:s, s:s}", "spdxElementId", from, "relationshipType", kind,
			"relatedSpdxElement", to));
}

static json_t *image_object(const struct manifest *m, const char *id)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:s}", "SPDXID", id, "name",
		m->name, "versionInfo", m->version, "downloadLocation", "NOASSERTION",
		"filesAnalyzed", 0, "licenseConcluded", "NOASSERTION", "licenseDeclared",
		"NOASSERTION", "copyrightText", "NOASSERTION", "primaryPackagePurpose",
		"OPERATING-SYSTEM");
}

/* The namespace has to be unique to the document: the rootfs digest makes it so. */
static char *make_namespace(const struct manifest *m)
{
	char hex[SHA256_HEX_BYTES];

	hex_format(m->liveimg.sha256, SHA256_BYTES, hex);
	return xasprintf("https://bedplate.invalid/spdx/%s-%s-%s", m->name, m->version, hex);
}

char *sbom_format(const struct manifest *m)
{
	autofree char *image_id = make_id("Image", m->name, NULL);
	autofree char *created = format_time(m->source_date);
	autofree char *title = xasprintf("%s-%s", m->name, m->version);
	autofree char *name_space = make_namespace(m);
	autofree char *creator = xasprintf("Tool: %s", m->tool);
	json_t *packages = json_array();
	json_t *relationships = json_array();

	json_array_append_new(packages, image_object(m, image_id));
	add_relationship(relationships, "SPDXRef-DOCUMENT", "DESCRIBES", image_id);
	for (size_t i = 0; i < m->package_count; i++) {
		const struct manifest_package *p = &m->packages[i];
		autofree char *id = make_id("Package", p->name, p->arch);

		json_array_append_new(packages, package_object(p, id));
		add_relationship(relationships, image_id, "CONTAINS", id);
	}

	json_t *doc = json_pack("{s:s, s:s, s:s, s:s, s:s, s:{s:s, s:[s]}, s:o, s:o}",
		"spdxVersion", "SPDX-2.3", "dataLicense", "CC0-1.0", "SPDXID", "SPDXRef-DOCUMENT",
		"name", title, "documentNamespace", name_space, "creationInfo", "created", created,
		"creators", creator, "packages", packages, "relationships", relationships);
	autofree char *text = json_dumps(doc, JSON_INDENT(2) | JSON_SORT_KEYS);
	json_decref(doc);
	return xasprintf("%s\n", text);
}
