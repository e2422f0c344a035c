/* SPDX-License-Identifier: Apache-2.0 */
#include "image/package-db.h"

#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "base/xalloc.h"
#include "image/image.h"

struct fields {
	const char *name, *version, *arch, *source, *status;
};

static const char *value_of(const char *line, const char *field)
{
	size_t len = strlen(field);

	if (strncasecmp(line, field, len) != 0 || line[len] != ':')
		return NULL;
	return line + len + 1 + strspn(line + len + 1, " \t");
}

static void take_line(struct fields *f, const char *line)
{
	const struct {
		const char *name;
		const char **to;
	} known[] = {{"Package", &f->name}, {"Version", &f->version}, {"Architecture", &f->arch},
		{"Source", &f->source}, {"Status", &f->status}};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		const char *value = value_of(line, known[i].name);

		if (value) {
			*known[i].to = value;
			return;
		}
	}
}

/* "Source: name (version)"; both default to the package's own. */
static void set_source(struct manifest_package *p, const struct fields *f)
{
	const char *open = f->source ? strchr(f->source, '(') : NULL;

	if (f->source) {
		p->source = xstrndup(f->source, strcspn(f->source, " ("));
		if (open)
			p->source_version = xstrndup(open + 1, strcspn(open + 1, ")"));
	}
	if (!p->source)
		p->source = xstrdup(f->name);
	if (!p->source_version)
		p->source_version = xstrdup(f->version);
}

static int add_package(const struct fields *f, struct manifest *m, struct err *e)
{
	if (!f->name && !f->version)
		return 0;
	/* Removed packages keep their paragraph while configuration files are left. */
	if (f->status && !str_ends(f->status, " installed"))
		return 0;
	if (!f->name || !*f->name || !f->version || !*f->version)
		return err_set(e, EBADMSG, "package database: a paragraph without %s",
			f->name ? "a version" : "a name");
	struct manifest_package *p = manifest_add_package(m);
	p->name = xstrdup(f->name);
	p->version = xstrdup(f->version);
	p->arch = xstrdup(f->arch && *f->arch ? f->arch : "all");
	set_source(p, f);
	return 0;
}

int packages_parse(const char *text, struct manifest *m, struct err *e)
{
	autofree char *copy = xstrdup(text);
	struct fields f = {0};

	for (char *line = copy, *next; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (*line != '\0') {
			take_line(&f, line);
			continue;
		}
		int r = add_package(&f, m, e);
		if (r < 0)
			return r;
		f = (struct fields){0};
	}
	return add_package(&f, m, e);
}

/* One file a package, as in images without dpkg; ".md5sums" files lie among them. */
static int read_folder(
	struct tree *t, const struct tree_entry *dir, struct manifest *m, struct err *e)
{
	size_t len = strlen(dir->path);
	int r = 0;

	for (size_t i = (size_t)(dir - t->entries) + 1; r == 0 && i < t->count; i++) {
		const struct tree_entry *en = &t->entries[i];
		autofree char *text = NULL;

		if (strncmp(en->path, dir->path, len) != 0 || en->path[len] != '/')
			break;
		if (str_ends(en->path, ".md5sums"))
			continue;
		r = image_read(t, en->path, DPKG_STATUS_MAX_BYTES, &text, NULL, e);
		if (r == -ENOENT)
			r = 0; /* not a file */
		else if (r == 0)
			r = packages_parse(text, m, e);
	}
	return r;
}

int packages_read(struct tree *t, struct manifest *m, struct err *e)
{
	static const char *const places[] = {"var/lib/dpkg", "usr/lib/bedplate/dpkg"};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(places); i++) {
		autofree char *status = xasprintf("%s/status", places[i]);
		autofree char *folder = xasprintf("%s/status.d", places[i]);
		const struct tree_entry *dir = image_resolve(t, folder);
		autofree char *text = NULL;

		if (image_resolve(t, status)) {
			r = image_read(t, status, DPKG_STATUS_MAX_BYTES, &text, NULL, e);
			if (r == 0)
				r = packages_parse(text, m, e);
		}
		if (r == 0 && dir && S_ISDIR(dir->mode))
			r = read_folder(t, dir, m, e);
		if (m->package_count > 0)
			break;
	}
	manifest_sort(m);
	return r;
}
