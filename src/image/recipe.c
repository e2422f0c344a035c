/* SPDX-License-Identifier: Apache-2.0 */
#include "image/recipe.h"

#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "base/version.h"
#include "base/xalloc.h"
#include "image/scripts.h"
#include "ks/ks.h"

#define NAME_CHARS     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+_~-"
#define NAME_MAX_BYTES 64

void recipe_free(struct recipe *r)
{
	if (!r)
		return;
	ks_doc_free(r->doc);
	free(r->path);
	free(r->file);
	free(r->name);
	free(r->version);
	free(r->upgrades_from_min);
	free(r->upgrades_from_max);
	free(r->canonical);
	free(r->commands);
	free(r->scripts);
	free(r);
}

/* The first error is ours to return; the rest is what 'kickstart check' is for. */
static int report_problems(const char *path, const struct ks_doc *doc, struct err *e)
{
	const struct ks_problem *first = NULL;
	size_t errors = ks_error_count(doc);

	for (size_t i = 0; i < ks_problem_count(doc); i++) {
		const struct ks_problem *p = ks_problem_at(doc, i);

		if (p->is_warning)
			log_warning("%s:%u: %s", p->file, p->line, p->text);
		else if (!first)
			first = p;
	}
	if (!first)
		return 0;
	if (errors == 1)
		return err_set(e, EINVAL, "%s:%u: %s", first->file, first->line, first->text);
	return err_set(e, EINVAL, "%s:%u: %s (%zu more: 'bedplate kickstart check %s')",
		first->file, first->line, first->text, errors - 1, path);
}

/* %pre may write what the recipe includes, so it runs before the pass that counts. */
static int run_pre(const char *path, int log_fd, struct err *e)
{
	const struct ks_options options = {.missing_include_ok = true};
	autoptr(ks_doc) doc = NULL;
	int r = ks_parse_file(path, &options, &doc, e);

	if (r < 0 || scripts_count_pre(doc) == 0)
		return r;
	if (ks_error_count(doc) > 0)
		return report_problems(path, doc, e);
	return scripts_run_pre(doc, log_fd, e);
}

static int parse(struct recipe *r, const char *path, struct err *e)
{
	int result = ks_parse_file(path, NULL, &r->doc, e);

	if (result < 0)
		return result;
	if (ks_error_count(r->doc) == 0)
		ks_add_support_warnings(r->doc, KS_FOR_IMAGE);
	return report_problems(path, r->doc, e);
}

static int check_name(const struct ks_cmd *c, const char *what, const char *text, struct err *e)
{
	size_t len = strspn(text, NAME_CHARS);

	if (len > 0 && len <= NAME_MAX_BYTES && text[len] == '\0' && !strchr(".-~", text[0]))
		return 0;
	return err_set(e, EINVAL,
		"%s:%u: bad image %s '%s', expected up to %d letters, digits and . + _ ~ -",
		ks_file(c), ks_line(c), what, text, NAME_MAX_BYTES);
}

static char *name_from_file(const char *file)
{
	if (str_eq(file, "-"))
		return xstrdup("image");
	return xstrndup(file, strlen(file) - (str_ends(file, ".ks") ? 3 : 0));
}

static int set_name(struct recipe *r, struct err *e)
{
	const struct ks_cmd *c = ks_next(r->doc, "image", NULL);
	const char *name = c ? ks_str(c, "name") : NULL;
	const char *version = c ? ks_str(c, "version") : NULL;
	int result = 0;

	if (name)
		result = check_name(c, "name", name, e);
	if (result == 0 && version)
		result = check_name(c, "version", version, e);
	if (result < 0)
		return result;
	r->name = name ? xstrdup(name) : name_from_file(r->file);
	r->version = version ? xstrdup(version) : NULL;
	if (c && ks_str(c, "upgrades-from"))
		version_range_split(
			ks_str(c, "upgrades-from"), &r->upgrades_from_min, &r->upgrades_from_max);
	return 0;
}

/* An image has no /etc/fstab of its own: what its file system can say of itself is acted on. */
static bool wants_discard(const struct ks_cmd *c)
{
	autofree char *options = ks_str(c, "fsoptions") ? xstrdup(ks_str(c, "fsoptions")) : NULL;
	char *rest = options;
	bool discard = false;

	for (char *word; options && (word = str_next_word(&rest, ","));) {
		if (str_eq(word, "discard"))
			discard = true;
		else if (!str_eq(word, "defaults"))
			log_warning("%s:%u: part: --fsoptions=%s is not acted on", ks_file(c),
				ks_line(c), word);
	}
	return discard;
}

/* An image is one file system: of the part lines only the one for "/" matters. */
static int set_size(struct recipe *r, struct err *e)
{
	for (const struct ks_cmd *c = NULL; (c = ks_next(r->doc, "part", c));) {
		const struct strv *args = ks_args(c);
		const char *fstype = ks_str(c, "fstype");
		int64_t size = 0;

		if (args->count == 0 || !str_eq(args->items[0], "/")) {
			log_warning("%s:%u: only 'part /' matters for an image, this line does not",
				ks_file(c), ks_line(c));
			continue;
		}
		if (fstype && !str_eq(fstype, "ext4"))
			return err_set(e, EINVAL,
				"%s:%u: the file system of an image is ext4, not '%s'", ks_file(c),
				ks_line(c), fstype);
		if (ks_int(c, "size", &size) && (size <= 0 || size > 16 * 1024 * 1024))
			return err_set(e, EINVAL, "%s:%u: bad size, expected 1 to 16777216 MiB",
				ks_file(c), ks_line(c));
		r->fs_size_bytes = (uint64_t)size * MIB;
		r->fs_discard = wants_discard(c);
	}
	return 0;
}

static char *scripts_text(const struct ks_doc *doc)
{
	autostrbuf b = {0};

	for (size_t i = 0; i < ks_script_count(doc); i++) {
		const struct ks_script *s = ks_script_at(doc, i);

		if (s->kind == KS_POST)
			strbuf_printf(&b, "%s %d %d %s\n%s\n", s->interpreter, s->erroronfail,
				s->nochroot, s->log ? s->log : "", s->body);
	}
	return strbuf_take(&b);
}

/* Canonical text is commands first, then sections, each with '%' in the first column. */
static char *commands_text(const char *canonical)
{
	const char *section = canonical[0] == '%' ? canonical : strstr(canonical, "\n%");

	return section ? xstrndup(canonical, (size_t)(section - canonical)) : xstrdup(canonical);
}

int recipe_load(const char *path, int log_fd, struct recipe **out, struct err *e)
{
	autoptr(recipe) r = xcalloc(1, sizeof(*r));
	const char *slash = strrchr(path, '/');
	int result;

	r->path = xstrdup(path);
	r->file = xstrdup(slash ? slash + 1 : path);
	/* Standard input can be read once only: there %pre cannot feed an %include. */
	result = str_eq(path, "-") ? 0 : run_pre(path, log_fd, e);
	if (result == 0)
		result = parse(r, path, e);
	if (result == 0)
		result = set_name(r, e);
	if (result == 0)
		result = set_size(r, e);
	if (result < 0)
		return result;

	r->canonical = ks_canonical(r->doc);
	r->commands = commands_text(r->canonical);
	r->scripts = scripts_text(r->doc);
	*out = take_ptr(r);
	return 0;
}
