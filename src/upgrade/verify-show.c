/* SPDX-License-Identifier: Apache-2.0 */
/* What was verified as text and as JSON. */
#include "base/json.h"
#include "node/text.h"
#include "upgrade/verify.h"

static const char *const statuses[] = {
	[VERIFY_OK] = "ok",
	[VERIFY_WARN] = "warn",
	[VERIFY_FAILED] = "failed",
};

static const char *const headings[] = {
	[VERIFY_OK] = "OK",
	[VERIFY_WARN] = "WARN",
	[VERIFY_FAILED] = "FAILED",
};

static const char *const signatures[] = {
	[VERIFY_NO_MANIFEST] = "no-manifest",
	[VERIFY_UNSIGNED] = "unsigned",
	[VERIFY_UNCHECKED] = "unchecked",
	[VERIFY_SIGNED] = "signed",
	[VERIFY_WRONG] = "wrong",
};

static const char *const signature_texts[] = {
	[VERIFY_NO_MANIFEST] = "no manifest",
	[VERIFY_UNSIGNED] = "not signed",
	[VERIFY_UNCHECKED] = "signature not checked: no certificate in /etc/bedplate/trust.d",
	[VERIFY_SIGNED] = "signed by ",
	[VERIFY_WRONG] = "signature wrong",
};

static void add_base(struct strbuf *out, const struct verified_base *b)
{
	text_line(out, "Base %s%s: %s%s%s", b->name, b->running ? " (running)" : "",
		headings[b->status], b->reason ? " - " : "", b->reason ? b->reason : "");
	if (b->bytes > 0) {
		autofree char *size = str_bytes(b->bytes);

		text_line(out, "  %s verified, root hash %s", size, b->root_hash);
	}
	text_line(out, "  %s%s", signature_texts[b->signature], b->signer ? b->signer : "");
}

static void add_layer(struct strbuf *out, const struct verify_result *v)
{
	if (v->file_count == 0) {
		text_line(out, "Layer %s: OK", v->layer);
		return;
	}
	text_line(out, "Layer %s: WARN - it overrides files of the base: %zu", v->layer,
		v->file_count);
	for (size_t i = 0; i < v->file_count; i++) {
		const struct overridden_file *f = &v->files[i];

		if (f->change == DIFF_REMOVED)
			text_line(out, "  - %s", f->path);
		else
			text_line(out, "  ~ %s (%s)", f->path, f->what);
	}
}

void verify_text(const struct verify_result *v, struct strbuf *out)
{
	for (size_t i = 0; i < v->base_count; i++)
		add_base(out, &v->bases[i]);
	if (v->layer)
		add_layer(out, v);
}

static json_t *base_json(const struct verified_base *b)
{
	return json_pack("{s:o, s:b, s:s, s:o, s:o, s:I, s:s, s:o}", "name", json_text(b->name),
		"running", b->running, "status", statuses[b->status], "reason",
		json_text(b->reason), "root_hash", json_text(b->root_hash[0] ? b->root_hash : NULL),
		"verified_size", (json_int_t)b->bytes, "signature", signatures[b->signature],
		"signer", json_text(b->signer));
}

static json_t *file_json(const struct overridden_file *f)
{
	bool removed = f->change == DIFF_REMOVED;

	return json_pack("{s:s, s:o, s:o}", "change", removed ? "removed" : "changed", "path",
		json_text(f->path), "what", json_text(removed ? NULL : f->what));
}

static json_t *layer_json(const struct verify_result *v)
{
	json_t *files = json_array();

	if (!v->layer) {
		json_decref(files);
		return json_null();
	}
	for (size_t i = 0; i < v->file_count; i++)
		json_array_append_new(files, file_json(&v->files[i]));
	return json_pack("{s:o, s:s, s:o}", "name", json_text(v->layer), "status",
		statuses[v->file_count > 0 ? VERIFY_WARN : VERIFY_OK], "overridden", files);
}

json_t *verify_json(const struct verify_result *v)
{
	json_t *bases = json_array();

	for (size_t i = 0; i < v->base_count; i++)
		json_array_append_new(bases, base_json(&v->bases[i]));
	return json_pack("{s:i, s:s, s:o, s:o}", "schema", 1, "status", statuses[v->status],
		"bases", bases, "layer", layer_json(v));
}
