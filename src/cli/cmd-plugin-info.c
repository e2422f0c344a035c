/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "base/json.h"
#include "base/str.h"
#include "cli/commands.h"
#include "plugin/read.h"
#include "plugin/show.h"

struct options {
	struct strv trust;
	const char *sha256;
	bool json;
};

static const struct cli_opt opts[] = {
	{0, "trust", "CERT|DIR",
		"certificate (PEM), or folder of certificates, that the signature must lead to; may "
		"be given several times",
		OPT_LIST, offsetof(struct options, trust)},
	{0, "sha256", "HEX", "digest that the file must have", OPT_STRING,
		offsetof(struct options, sha256)},
	{0, "json", NULL, "print everything as JSON", OPT_FLAG, offsetof(struct options, json)},
};

static const char *signature_state(const struct plugin *p)
{
	if (!p->has_signature)
		return "none";
	return p->signer ? "verified" : "not checked";
}

static void print_text(const struct plugin *p)
{
	autofree char *text = plugin_manifest_text(&p->manifest);
	autofree char *size = str_bytes(p->size_bytes);
	autostrbuf b = {0};

	plugin_field_text(&b, "Size:", size);
	plugin_field_text(&b, "Signature:", signature_state(p));
	if (p->signer)
		plugin_field_text(&b, "Signer:", p->signer);
	printf("%s%s", text, b.data);
}

static void print_json(const struct plugin *p)
{
	autofree char *text = plugin_manifest_format(&p->manifest);

	json_print(json_pack("{s:o,s:I,s:s,s:o}", "manifest", json_loads(text, 0, NULL), "size",
		(json_int_t)p->size_bytes, "signature", signature_state(p), "signer",
		json_text(p->signer)));
}

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	struct plugin_demand demand = {.trust = o->trust};
	uint8_t sum[SHA256_BYTES];
	auto_plugin plugin = {0};
	int r;

	if (o->sha256 && hex_parse(o->sha256, sum, sizeof(sum), e) < 0) {
		err_set(e, EINVAL, "--sha256 takes 64 hexadecimal digits");
		return CLI_WRONG_USE;
	}
	demand.sha256 = o->sha256 ? sum : NULL;
	r = plugin_read_path(args[0], &demand, p, &plugin, e);
	if (r < 0)
		return r;
	if (o->json)
		print_json(&plugin);
	else
		print_text(&plugin);
	return 0;
}

const struct cli_command cmd_plugin_info = {
	.name = "plugin info",
	.args = "FILE",
	.summary = "Check a plugin and say what it may change",
	.details =
		"All of it is read and compared with its manifest.  Without --trust or --sha256\n"
		"the manifest itself is believed.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.min_args = 1,
	.max_args = 1,
	.has_progress = true,
	.run = run,
};
