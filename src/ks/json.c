/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>

#include "base/xalloc.h"
#include "ks/doc.h"

json_t *ks_json_text(const char *text)
{
	json_t *j = json_string(text);
	autostrbuf b = {0};

	if (j)
		return j;
	for (; *text; text++) {
		if (*text & 0x80)
			strbuf_puts(&b, "\xef\xbf\xbd");
		else
			strbuf_putc(&b, *text);
	}
	return json_string(b.data);
}

static void set_text(json_t *object, const char *key, const char *text)
{
	json_object_set_new(object, key, text ? ks_json_text(text) : json_null());
}

static json_t *json_list(const struct strv *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->count; i++)
		json_array_append_new(array, ks_json_text(list->items[i]));
	return array;
}

static json_t *json_place(const char *file, unsigned line)
{
	json_t *object = json_object();

	set_text(object, "file", file);
	json_object_set_new(object, "line", json_integer(line));
	return object;
}

static bool is_list(const struct ks_opt *o)
{
	return o->action == KS_APPEND || o->type == KS_COMMAS || o->type == KS_COMMAS_ALL ||
		o->type == KS_PORTS;
}

static json_t *json_value(const struct ks_opt *o, const struct ks_value *v)
{
	if (is_list(o))
		return json_list(&v->list);
	if (o->type == KS_INT)
		return json_integer(v->number);
	if (o->action == KS_SET || o->type == KS_BOOL || !v->text)
		return json_boolean(v->truth);
	return ks_json_text(v->text);
}

static json_t *json_options(const struct ks_cmd *c)
{
	json_t *object = json_object();

	for (size_t i = 0; i < c->grammar->opt_count; i++) {
		const struct ks_opt *o = &c->grammar->opts[i];
		const struct ks_value *v = ks_value_find(c, i);
		autofree char *name = xstrndup(o->name, strcspn(o->name, "|"));

		if (!v)
			continue;
		/* The holder of several constants is named after the first of them. */
		if (o->action == KS_CONST)
			json_object_set_new(object, v->text ? v->text : name, json_true());
		else
			json_object_set_new(object, name, json_value(o, v));
	}
	return object;
}

static json_t *json_commands(const struct ks_doc *doc)
{
	json_t *array = json_array();

	for (size_t i = 0; i < ks_commands_count; i++) {
		for (const struct ks_cmd *c = doc->commands[i].first; c; c = c->next) {
			json_t *object = json_place(c->file, c->line);

			set_text(object, "command", c->grammar->name);
			set_text(object, "written", c->name);
			json_object_set_new(object, "options", json_options(c));
			json_object_set_new(object, "arguments", json_list(&c->args));
			if (c->rest)
				set_text(object, "text", c->rest);
			json_array_append_new(array, object);
		}
	}
	return array;
}

static json_t *json_groups(const struct ks_packages *p)
{
	json_t *array = json_array();

	for (size_t i = 0; i < p->groups.count; i++) {
		json_t *group = json_object();

		set_text(group, "name", p->groups.items[i]);
		json_object_set_new(
			group, "nodefaults", json_boolean(p->group_details[i].nodefaults));
		json_object_set_new(group, "optional", json_boolean(p->group_details[i].optional));
		json_array_append_new(array, group);
	}
	return array;
}

static json_t *json_packages(const struct ks_packages *p)
{
	json_t *object;

	if (!p->seen)
		return json_null();
	object = json_place(p->file, p->line);
	json_object_set_new(object, "packages", json_list(&p->packages));
	json_object_set_new(object, "excluded", json_list(&p->excluded));
	json_object_set_new(object, "groups", json_groups(p));
	json_object_set_new(object, "excluded-groups", json_list(&p->excluded_groups));
	set_text(object, "environment", p->environment);
	json_object_set_new(object, "default", json_boolean(p->default_env));
	json_object_set_new(object, "excludedocs", json_boolean(p->excludedocs));
	json_object_set_new(object, "ignoremissing", json_boolean(p->ignoremissing));
	json_object_set_new(object, "nocore", json_boolean(p->nocore));
	json_object_set_new(object, "exclude-weakdeps", json_boolean(p->exclude_weakdeps));
	json_object_set_new(object, "multilib", json_boolean(p->multilib));
	set_text(object, "inst-langs", p->inst_langs);
	set_text(object, "timeout", p->timeout);
	set_text(object, "retries", p->retries);
	return object;
}

static json_t *json_scripts(const struct ks_doc *doc)
{
	json_t *array = json_array();

	for (size_t i = 0; i < doc->script_count; i++) {
		const struct ks_script *s = &doc->scripts[i];
		json_t *object = json_place(s->file, s->line);

		set_text(object, "section", ks_script_name(s->kind));
		set_text(object, "interpreter", s->interpreter);
		set_text(object, "log", s->log);
		json_object_set_new(object, "erroronfail", json_boolean(s->erroronfail));
		json_object_set_new(object, "nochroot", json_boolean(s->nochroot));
		set_text(object, "body", s->body);
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *json_certificates(const struct ks_doc *doc)
{
	json_t *array = json_array();

	for (size_t i = 0; i < doc->certificate_count; i++) {
		const struct ks_certificate *cert = &doc->certificates[i];
		json_t *object = json_place(cert->file, cert->line);

		set_text(object, "filename", cert->filename);
		set_text(object, "dir", cert->dir);
		set_text(object, "type", cert->type);
		set_text(object, "body", cert->body);
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *json_addons(const struct ks_doc *doc)
{
	json_t *array = json_array();

	for (size_t i = 0; i < doc->addon_count; i++) {
		json_t *object = json_place(doc->addons[i].file, doc->addons[i].line);

		set_text(object, "header", doc->addons[i].header);
		set_text(object, "body", doc->addons[i].body);
		json_array_append_new(array, object);
	}
	return array;
}

char *ks_json(const struct ks_doc *doc)
{
	json_t *root = json_object();

	json_object_set_new(root, "commands", json_commands(doc));
	json_object_set_new(root, "packages", json_packages(&doc->packages));
	json_object_set_new(root, "scripts", json_scripts(doc));
	json_object_set_new(root, "certificates", json_certificates(doc));
	json_object_set_new(root, "addons", json_addons(doc));

	char *text = json_dumps(root, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	json_decref(root);
	return text;
}
