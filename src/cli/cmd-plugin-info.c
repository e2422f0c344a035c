/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "base/json.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "cli/commands.h"
#include "plugin/read.h"

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

static void print_field(const char *name, const char *value)
{
	autofree char *safe = str_printable(value);

	printf("%-13s %s\n", name, safe);
}

static void print_list(const char *name, const struct strv *v)
{
	for (size_t i = 0; i < v->count; i++)
		print_field(i == 0 ? name : "", v->items[i]);
}

static void print_images(const struct plugin_manifest *m)
{
	for (size_t i = 0; i < m->image_count; i++) {
		const struct plugin_image *im = &m->images[i];
		autofree char *text = xasprintf("%s%s%s%s%s", im->name, im->from ? " from " : "",
			im->from ? im->from : "", im->before ? " before " : "",
			im->before ? im->before : "");

		print_field(i == 0 ? "Images:" : "", text);
	}
}

static void print_modules(const struct plugin_manifest *m)
{
	for (size_t i = 0; i < m->module_count; i++) {
		autostrbuf b = {0};

		strbuf_printf(&b, "%s for kernel", m->modules[i].name);
		for (size_t k = 0; k < m->modules[i].kernels.count; k++)
			strbuf_printf(&b, " %s", m->modules[i].kernels.items[k]);
		print_field(i == 0 ? "Modules:" : "", b.data);
	}
}

static void print_arguments(const struct plugin_manifest *m)
{
	autostrbuf b = {0};

	for (size_t i = 0; i < m->kernel_remove.count; i++)
		strbuf_printf(&b, "%s!%s", b.len > 0 ? " " : "", m->kernel_remove.items[i]);
	for (size_t i = 0; i < m->kernel_add.count; i++)
		strbuf_printf(&b, "%s%s", b.len > 0 ? " " : "", m->kernel_add.items[i]);
	if (b.len > 0)
		print_field("Kernel:", b.data);
}

static void print_packages(const struct plugin_manifest *m)
{
	for (size_t i = 0; i < m->package_count; i++) {
		const struct plugin_package *p = &m->packages[i];
		autofree char *text = xasprintf("%s %s %s", p->name, p->version, p->arch);

		print_field(i == 0 ? "Packages:" : "", text);
	}
}

static const char *signature_state(const struct plugin *p)
{
	if (!p->has_signature)
		return "none";
	return p->signer ? "verified" : "not checked";
}

static void print_text(const struct plugin *p)
{
	const struct plugin_manifest *m = &p->manifest;
	autofree char *size = str_bytes(p->size_bytes);

	print_field("Name:", m->name);
	print_field("Version:", m->version);
	print_field("Vendor:", m->vendor);
	print_field("Description:", m->description);
	print_images(m);
	print_packages(m);
	print_list("Writes:", &m->writes);
	print_list("State:", &m->state);
	print_list("Services:", &m->services);
	print_list("Ports:", &m->ports);
	print_arguments(m);
	print_modules(m);
	print_list("Conflicts:", &m->conflicts);
	print_field("Size:", size);
	print_field("Signature:", signature_state(p));
	if (p->signer)
		print_field("Signer:", p->signer);
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
