/* SPDX-License-Identifier: Apache-2.0 */
#include "certify/report.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/xalloc.h"

static const char *const result_names[] = {
	[CHECK_NOT_RUN] = "not run", [CHECK_PASSED] = "passed", [CHECK_FAILED] = "failed"};

static void image_fini(struct report_image *im)
{
	free(im->name);
	free(im->version);
}

void report_fini(struct report *r)
{
	free(r->plugin.name);
	free(r->plugin.version);
	free(r->plugin.vendor);
	free(r->plugin.signer);
	image_fini(&r->image);
	image_fini(&r->result);
	for (size_t i = 0; i < r->check_count; i++)
		free(r->checks[i].message);
	free(r->checks);
	strv_fini(&r->verified);
	strv_fini(&r->tests);
	guest_report_fini(&r->guest);
	free(r->console);
	*r = (struct report){0};
}

void report_set_image(struct report_image *out, const struct manifest *m)
{
	image_fini(out);
	*out = (struct report_image){.name = xstrdup(m->name),
		.version = xstrdup(m->version),
		.has_root_hash = m->verity.present};
	memcpy(out->sha256, m->liveimg.sha256, SHA256_BYTES);
	memcpy(out->root_hash, m->verity.root_hash, SHA256_BYTES);
}

bool report_passed(const struct report *r)
{
	for (size_t i = 0; i < r->check_count; i++)
		if (r->checks[i].result != CHECK_PASSED)
			return false;
	return r->check_count > 0;
}

const struct report_check *report_failure(const struct report *r)
{
	for (size_t i = 0; i < r->check_count; i++)
		if (r->checks[i].result == CHECK_FAILED)
			return &r->checks[i];
	return NULL;
}

static const char *signature_state(const struct report_plugin *p)
{
	if (!p->has_signature)
		return "none";
	return p->signer ? "verified" : "not checked";
}

static enum check_result test_result(const struct guest_test *t)
{
	if (!t)
		return CHECK_NOT_RUN;
	return t->ended && t->status == 0 ? CHECK_PASSED : CHECK_FAILED;
}

/* ---- text ---- */

static void add_field(struct strbuf *b, const char *name, const char *value)
{
	autofree char *safe = str_printable(value);

	strbuf_printf(b, "%-12s %s\n", name, safe);
}

/* Each line on its own, a little to the right: it may hold anything. */
static void add_lines(struct strbuf *b, const char *text)
{
	autofree char *copy = xstrdup_or_null(text);
	char *rest = copy;

	for (char *line; rest && (line = str_next_word(&rest, "\r\n"));) {
		autofree char *safe = str_printable(line);

		strbuf_printf(b, "    %s\n", safe);
	}
}

static void add_image(struct strbuf *b, const char *name, const struct report_image *im)
{
	autofree char *value = NULL;
	char hex[SHA256_HEX_BYTES];

	if (!im->name)
		return;
	value = xasprintf("%s %s", im->name, im->version);
	add_field(b, name, value);
	hex_format(im->sha256, SHA256_BYTES, hex);
	add_field(b, "  sha256", hex);
	hex_format(im->root_hash, SHA256_BYTES, hex);
	add_field(b, "  root hash", im->has_root_hash ? hex : "none");
}

static void add_plugin(struct strbuf *b, const struct report_plugin *p)
{
	autofree char *value = NULL;
	char hex[SHA256_HEX_BYTES];

	if (!p->name)
		return;
	value = xasprintf("%s %s, %s", p->name, p->version, p->vendor);
	add_field(b, "Plugin:", value);
	hex_format(p->sha256, SHA256_BYTES, hex);
	add_field(b, "  sha256", hex);
	add_field(b, "  signature", signature_state(p));
	if (p->signer)
		add_field(b, "  signer", p->signer);
}

static void add_test(struct strbuf *b, const char *name, const struct guest_test *t)
{
	autofree char *safe = str_printable(name);

	strbuf_printf(b, "  test %s: %s", safe, result_names[test_result(t)]);
	if (t && !t->ended)
		strbuf_puts(b, ", it did not end");
	else if (t && t->status != 0)
		strbuf_printf(b, " with status %u", t->status);
	strbuf_putc(b, '\n');
	if (t)
		add_lines(b, t->output);
}

static void add_details(struct strbuf *b, const struct report *r, const char *check)
{
	if (str_eq(check, "verify"))
		for (size_t i = 0; i < r->verified.count; i++)
			add_lines(b, r->verified.items[i]);
	if (str_eq(check, "boot"))
		add_lines(b, r->console);
	for (size_t i = 0; str_eq(check, "units") && i < r->guest.unit_count; i++)
		add_lines(b, r->guest.units[i].output);
	for (size_t i = 0; str_eq(check, "tests") && i < r->tests.count; i++)
		add_test(b, r->tests.items[i], guest_report_test(&r->guest, r->tests.items[i]));
}

char *report_text(const struct report *r)
{
	autostrbuf b = {0};

	add_plugin(&b, &r->plugin);
	add_image(&b, "Image:", &r->image);
	add_image(&b, "Result:", &r->result);
	if (r->has_files)
		strbuf_printf(&b, "%-12s %zu added or changed, %zu removed\n",
			"Files:", r->files_written, r->files_removed);
	for (size_t i = 0; i < r->check_count; i++) {
		const struct report_check *c = &r->checks[i];
		autofree char *message = c->message ? str_printable(c->message) : NULL;

		strbuf_printf(&b, "%-12s %s%s%s\n", c->name, result_names[c->result],
			message ? ": " : "", message ? message : "");
		add_details(&b, r, c->name);
	}
	add_field(&b, "Verdict:", report_passed(r) ? "passed" : "failed");
	return strbuf_take(&b);
}

/* ---- JSON ---- */

static json_t *hex_json(const uint8_t sum[SHA256_BYTES])
{
	char hex[SHA256_HEX_BYTES];

	hex_format(sum, SHA256_BYTES, hex);
	return json_string(hex);
}

static json_t *plugin_json(const struct report_plugin *p)
{
	if (!p->name)
		return json_null();
	return json_pack("{s:o,s:o,s:o,s:o,s:I,s:s,s:o}", "name", json_text(p->name), "version",
		json_text(p->version), "vendor", json_text(p->vendor), "sha256",
		hex_json(p->sha256), "size", (json_int_t)p->size_bytes, "signature",
		signature_state(p), "signer", json_text(p->signer));
}

static json_t *image_json(const struct report_image *im)
{
	if (!im->name)
		return json_null();
	return json_pack("{s:o,s:o,s:o,s:o}", "name", json_text(im->name), "version",
		json_text(im->version), "sha256", hex_json(im->sha256), "root_hash",
		im->has_root_hash ? hex_json(im->root_hash) : json_null());
}

static json_t *checks_json(const struct report *r)
{
	json_t *a = json_array();

	for (size_t i = 0; i < r->check_count; i++)
		json_array_append_new(a,
			json_pack("{s:s,s:s,s:o}", "name", r->checks[i].name, "result",
				result_names[r->checks[i].result], "message",
				json_text(r->checks[i].message)));
	return a;
}

static json_t *units_json(const struct guest_report *g)
{
	json_t *a = json_array();

	for (size_t i = 0; i < g->unit_count; i++)
		json_array_append_new(a,
			json_pack("{s:o,s:o}", "name", json_text(g->units[i].name), "output",
				json_text(g->units[i].output)));
	return a;
}

static json_t *tests_json(const struct report *r)
{
	json_t *a = json_array();

	for (size_t i = 0; i < r->tests.count; i++) {
		const struct guest_test *t = guest_report_test(&r->guest, r->tests.items[i]);

		json_array_append_new(a,
			json_pack("{s:o,s:s,s:o,s:o}", "name", json_text(r->tests.items[i]),
				"result", result_names[test_result(t)], "status",
				t && t->ended ? json_integer(t->status) : json_null(), "output",
				json_text(t ? t->output : NULL)));
	}
	return a;
}

static json_t *strings_json(const struct strv *v)
{
	json_t *a = json_array();

	for (size_t i = 0; i < v->count; i++)
		json_array_append_new(a, json_text(v->items[i]));
	return a;
}

json_t *report_json(const struct report *r)
{
	json_t *files = !r->has_files
		? json_null()
		: json_pack("{s:I,s:I}", "written", (json_int_t)r->files_written, "removed",
			  (json_int_t)r->files_removed);

	return json_pack("{s:i,s:b,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "format", 1, "passed",
		report_passed(r), "tool", "bedplate " BEDPLATE_VERSION, "plugin",
		plugin_json(&r->plugin), "image", image_json(&r->image), "result",
		image_json(&r->result), "files", files, "checks", checks_json(r), "verified",
		strings_json(&r->verified), "failed_units", units_json(&r->guest), "tests",
		tests_json(r), "console", json_text(r->console));
}
