/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/recipe.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "plugin/words.h"

#define ROOT_MAX_MIB (16 * 1024 * 1024)

/* What a recipe may hold, and with which options: names between '|'. */
static const struct {
	const char *name, *options, *expected;
} subset[] = {
	{"bootloader", "append", "--append=\"[!]ARGUMENT...\""},
	{"firewall", "port", "--port=PORT:PROTOCOL,..."},
	{"part", "size", "/ --size=MIB"},
	{"repo", "name|baseurl", "--name=NAME --baseurl=file://packages"},
	{"services", "enabled", "--enabled=UNIT,..."},
	{"%packages", "", "no options"},
	{"%post", "interpreter|erroronfail", "--interpreter or --erroronfail"},
	{"%pre", "interpreter|erroronfail", "--interpreter or --erroronfail"},
};

void plugin_recipe_free(struct plugin_recipe *r)
{
	if (!r)
		return;
	ks_doc_free(r->doc);
	strv_fini(&r->kernel_add);
	strv_fini(&r->kernel_remove);
	strv_fini(&r->services);
	strv_fini(&r->ports);
	strv_fini(&r->packages);
	free(r->package_lines);
	free(r);
}

static int check_part(const struct ks_cmd *c, struct err *e)
{
	int64_t size = 0;

	if (!str_eq(ks_args(c)->items[0], "/"))
		return err_set(e, EINVAL, "part: a plugin can resize '/' only");
	if (!ks_int(c, "size", &size) || size < 1 || size > ROOT_MAX_MIB)
		return err_set(e, EINVAL, "part: expected --size=MIB, 1 to %d", ROOT_MAX_MIB);
	return 0;
}

/* The one repository there is comes with the plugin. */
static int check_repo(const struct ks_cmd *c, struct err *e)
{
	const char *url = ks_str(c, "baseurl");

	if (url && (str_eq(url, "file://packages") || str_eq(url, "file:packages")))
		return 0;
	return err_set(
		e, EINVAL, "repo: a plugin has one repository, its own: --baseurl=file://packages");
}

static int check_ports(const struct ks_cmd *c, struct err *e)
{
	const struct strv *ports = ks_list(c, "port");

	for (size_t i = 0; i < ports->count; i++)
		if (!plugin_is_port(ports->items[i]))
			return err_set(e, EINVAL, "firewall: '%.80s' is not a PORT:tcp or PORT:udp",
				ports->items[i]);
	return ports->count > 0 ? 0 : err_set(e, EINVAL, "firewall: expected --port");
}

static int check_arguments(const struct ks_cmd *c, struct err *e)
{
	autofree char *text = xstrdup(ks_str(c, "append") ? ks_str(c, "append") : "");
	char *rest = text;
	size_t count = 0;

	for (char *word; (word = str_next_word(&rest, " \t")); count++)
		if (!plugin_is_argument(word + (word[0] == '!')))
			return err_set(
				e, EINVAL, "bootloader: '%.80s' is not a kernel argument", word);
	return count > 0 ? 0 : err_set(e, EINVAL, "bootloader: expected --append");
}

static char *unit_name(const char *service)
{
	return xasprintf("%s%s", service, strchr(service, '.') ? "" : ".service");
}

static int check_services(const struct ks_cmd *c, struct err *e)
{
	const struct strv *names = ks_list(c, "enabled");

	for (size_t i = 0; i < names->count; i++) {
		autofree char *unit = unit_name(names->items[i]);

		if (!plugin_is_unit(unit))
			return err_set(
				e, EINVAL, "services: '%.80s' is not a unit", names->items[i]);
	}
	return 0;
}

static int check_values(const char *name, const struct ks_cmd *c, struct err *e)
{
	static const struct {
		const char *name;
		int (*check)(const struct ks_cmd *c, struct err *e);
	} checks[] = {
		{"bootloader", check_arguments},
		{"firewall", check_ports},
		{"part", check_part},
		{"repo", check_repo},
		{"services", check_services},
	};

	for (size_t i = 0; i < ARRAY_LEN(checks); i++)
		if (str_eq(name, checks[i].name))
			return checks[i].check(c, e);
	return 0;
}

/* For ks_parse_text(). */
static int allow(const char *name, const struct ks_cmd *c, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(subset); i++) {
		if (!str_eq(name, subset[i].name))
			continue;
		if (c && !ks_given_only(c, subset[i].options))
			return err_set(e, EINVAL, "%s: a plugin's recipe takes %s here", name,
				subset[i].expected);
		return c ? check_values(name, c, e) : 0;
	}
	return err_set(e, EINVAL, "'%s' is not for the recipe of a plugin", name);
}

/* What would only be a warning elsewhere would be something that is ignored. */
static int first_problem(const struct ks_doc *doc, struct err *e)
{
	const struct ks_problem *p;
	autofree char *safe = NULL;

	if (ks_problem_count(doc) == 0)
		return 0;
	p = ks_problem_at(doc, 0);
	safe = str_printable(p->text);
	if (p->line == 0)
		return err_set(e, EINVAL, "%s: %s", p->file, safe);
	return err_set(e, EINVAL, "%s:%u: %s", p->file, p->line, safe);
}

static int at_place(struct ks_place place, const char *what, const char *name, struct err *e)
{
	autofree char *safe = str_printable(name);

	return err_set(e, EINVAL, "%s:%u: '%s%s': a plugin's recipe lists packages by their names",
		place.file, place.line, what, safe);
}

static int take_packages(struct plugin_recipe *r, struct err *e)
{
	const struct ks_packages *p = ks_packages(r->doc);

	if (p->excluded.count > 0)
		return at_place(p->excluded_places[0], "-", p->excluded.items[0], e);
	if (p->groups.count > 0)
		return at_place(p->group_places[0], "@", p->groups.items[0], e);
	if (p->excluded_groups.count > 0)
		return at_place(p->excluded_group_places[0], "-@", p->excluded_groups.items[0], e);
	if (p->environment)
		return at_place(p->environment_place, "@^", p->environment, e);
	r->package_lines = xcalloc(p->packages.count + 1, sizeof(*r->package_lines));
	for (size_t i = 0; i < p->packages.count; i++) {
		if (!plugin_is_word(p->packages.items[i]))
			return at_place(p->package_places[i], "", p->packages.items[i], e);
		r->package_lines[r->packages.count] = p->package_places[i].line;
		strv_add(&r->packages, p->packages.items[i]);
	}
	return 0;
}

static void take_arguments(struct plugin_recipe *r)
{
	const struct ks_cmd *c = ks_next(r->doc, "bootloader", NULL);
	autofree char *text = c ? xstrdup(ks_str(c, "append")) : NULL;
	char *rest = text;

	r->kernel_line = c ? ks_line(c) : 0;
	for (char *word; c && (word = str_next_word(&rest, " \t"));)
		strv_add(word[0] == '!' ? &r->kernel_remove : &r->kernel_add,
			word + (word[0] == '!'));
}

static void take_commands(struct plugin_recipe *r)
{
	const struct ks_cmd *services = ks_next(r->doc, "services", NULL);
	const struct ks_cmd *firewall = ks_next(r->doc, "firewall", NULL);
	const struct ks_cmd *part = ks_next(r->doc, "part", NULL);
	const struct strv *names = services ? ks_list(services, "enabled") : NULL;
	int64_t size = 0;

	take_arguments(r);
	for (size_t i = 0; names && i < names->count; i++)
		strv_take(&r->services, unit_name(names->items[i]));
	r->services_line = services ? ks_line(services) : 0;
	if (firewall)
		strv_add_all(&r->ports, ks_list(firewall, "port"));
	r->ports_line = firewall ? ks_line(firewall) : 0;
	if (part && ks_int(part, "size", &size))
		r->root_size_bytes = (uint64_t)size * MIB;
}

int plugin_recipe_parse(
	const char *name, const char *text, size_t len, struct plugin_recipe **out, struct err *e)
{
	const struct ks_options options = {.no_include = true, .allow = allow};
	autoptr(plugin_recipe) recipe = xcalloc(1, sizeof(*recipe));
	int r;

	if (len > PLUGIN_RECIPE_MAX_BYTES)
		return err_set(e, EINVAL, "%s: it is larger than %llu bytes", name,
			PLUGIN_RECIPE_MAX_BYTES);
	r = ks_parse_text(name, text, len, &options, &recipe->doc, e);
	if (r == 0)
		r = first_problem(recipe->doc, e);
	if (r == 0)
		r = take_packages(recipe, e);
	if (r < 0)
		return r;
	take_commands(recipe);
	*out = take_ptr(recipe);
	return 0;
}

/* Each of what is done is declared. */
static int check_declared(const char *name, unsigned line, const char *what,
	const struct strv *done, const struct strv *declared, struct err *e)
{
	for (size_t i = 0; i < done->count; i++)
		if (!strv_has(declared, done->items[i]))
			return err_set(e, EINVAL, "%s:%u: %s '%s' is not in the manifest", name,
				line, what, done->items[i]);
	return 0;
}

int plugin_recipe_check(const char *name, const struct plugin_recipe *recipe,
	const struct plugin_manifest *m, struct err *e)
{
	int r = check_declared(
		name, recipe->services_line, "service", &recipe->services, &m->services, e);

	if (r == 0)
		r = check_declared(name, recipe->ports_line, "port", &recipe->ports, &m->ports, e);
	if (r == 0)
		r = check_declared(name, recipe->kernel_line, "kernel argument",
			&recipe->kernel_add, &m->kernel_add, e);
	if (r == 0)
		r = check_declared(name, recipe->kernel_line, "removed kernel argument",
			&recipe->kernel_remove, &m->kernel_remove, e);
	for (size_t i = 0; r == 0 && i < recipe->packages.count; i++)
		if (!plugin_manifest_package(m, recipe->packages.items[i]))
			r = err_set(e, EINVAL, "%s:%u: package '%s' is not in " PLUGIN_PACKAGES,
				name, recipe->package_lines[i], recipe->packages.items[i]);
	return r;
}
