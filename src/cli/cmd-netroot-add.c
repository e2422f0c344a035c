/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/netroot-options.h"

struct options {
	const char *tree, *label, *append, *server, *transport;
	bool verify, json;
};

static const struct options defaults = {.tree = NETROOT_TREE};

static const struct cli_opt opts[] = {
	NETROOT_TREE_OPTION(struct options),
	{'l', "label", "LABEL", "name of the entry (default: from the image)", OPT_STRING,
		offsetof(struct options, label)},
	{'a', "append", "ARGS", "more kernel parameters for this entry", OPT_STRING,
		offsetof(struct options, append)},
	{'s', "server", "ADDRESS",
		"the server (default: the one the client boots from, which PXELINUX cannot fill in)",
		OPT_STRING, offsetof(struct options, server)},
	{0, "transport", "HOW",
		"nbd: read what is used; http: fetch the whole image (default: nbd)", OPT_STRING,
		offsetof(struct options, transport)},
	{0, "verify", NULL, "read all of an image that is there already", OPT_FLAG,
		offsetof(struct options, verify)},
	{0, "json", NULL, "print what was done as JSON", OPT_FLAG, offsetof(struct options, json)},
};

static void print_json(const struct netroot_added *a)
{
	json_print(json_pack("{s:o,s:s,s:o,s:b,s:b,s:b,s:b,s:b,s:s,s:I,s:I,s:I,s:I}", "label",
		json_text(a->label), "image", a->id, "replaced", json_text(a->replaced),
		"new_image", a->new_image, "changed", a->changed, "default", a->is_default, "uefi",
		a->has_uefi, "bios", a->has_bios, "transport", a->http ? "http" : "nbd",
		"image_bytes", (json_int_t)a->image_bytes, "kernel_bytes",
		(json_int_t)a->kernel_bytes, "initramfs_bytes", (json_int_t)a->initramfs_bytes,
		"client_memory_bytes", (json_int_t)a->memory_bytes));
}

static void print_text(const struct netroot_added *a)
{
	autofree char *image = str_bytes(a->image_bytes);
	autofree char *kernel = str_bytes(a->kernel_bytes);
	autofree char *initramfs = str_bytes(a->initramfs_bytes);
	autofree char *memory = str_bytes(a->memory_bytes);

	printf("%s: %s%s%s\n", a->label, a->id, a->is_default ? ", the default" : "",
		a->changed ? "" : ", was there already");
	printf("image %s, kernel %s, initramfs %s; a client needs about %s of memory\n", image,
		kernel, initramfs, memory);
	if (a->replaced)
		printf("image %s stays for running clients: 'netroot gc --all' deletes it\n",
			a->replaced);
}

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	const struct netroot_add_spec spec = {.tree = o->tree,
		.image = args[0],
		.label = o->label,
		.append = o->append,
		.server = o->server,
		.transport = o->transport,
		.verify = o->verify};
	auto_with(netroot_added_fini) struct netroot_added added = {0};
	int r;

	if (o->transport && !str_eq(o->transport, "nbd") && !str_eq(o->transport, "http")) {
		err_set(e, EINVAL, "bad value '%s' of '--transport': nbd or http", o->transport);
		return CLI_WRONG_USE;
	}
	r = netroot_add(&spec, &added, p, e);
	if (r < 0)
		return r;
	if (!added.has_uefi)
		log_warning("no shim and GRUB for UEFI, neither in the image nor on this machine: "
			    "UEFI clients need iPXE");
	if (!added.has_bios)
		log_warning("no pxelinux.0 on this machine: BIOS clients need iPXE, or the package "
			    "pxelinux and another 'netroot add'");
	if (o->json)
		print_json(&added);
	else
		print_text(&added);
	return 0;
}

const struct cli_command cmd_netroot_add = {
	.name = "netroot add",
	.args = "IMAGE|ISO",
	.summary = "Offer an image to diskless machines",
	.details =
		"IMAGE is a liveimg, ISO one of ours or another live ISO made with dracut.  The\n"
		"tree is made when there is none, and its first entry is the default.  An image\n"
		"whose initramfs cannot boot over the network is refused.  Another build under\n"
		"the same label takes its place; running clients keep the old one.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.defaults = &defaults,
	.opts_size = sizeof(struct options),
	.min_args = 1,
	.max_args = 1,
	.has_progress = true,
	.run = run,
};
