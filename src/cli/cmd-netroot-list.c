/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/json.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/netroot-options.h"

struct options {
	const char *tree;
	bool json;
};

static const struct options defaults = {.tree = NETROOT_TREE};

static const struct cli_opt opts[] = {
	NETROOT_TREE_OPTION(struct options),
	{0, "json", NULL, "print everything as JSON", OPT_FLAG, offsetof(struct options, json)},
};

static json_t *json_entry(const struct netroot_db *db, const struct netroot_entry *en)
{
	const struct netroot_image *img = netroot_db_image(db, en->image);

	return json_pack("{s:o,s:s,s:o,s:b,s:b,s:o,s:o,s:o,s:s,s:I,s:I,s:I,s:I}", "label",
		json_text(en->label), "image", en->image, "title", json_text(img->title), "default",
		str_eq(db->default_label, en->label), "bedplate", img->ours, "kernel",
		json_text(img->release), "append", json_text(en->append), "server",
		json_text(en->server), "transport", en->http ? "http" : "nbd", "image_bytes",
		(json_int_t)img->image.size_bytes, "kernel_bytes",
		(json_int_t)img->kernel.size_bytes, "initramfs_bytes",
		(json_int_t)img->initramfs.size_bytes, "client_memory_bytes",
		(json_int_t)netroot_client_memory(img, en->http));
}

static void print_json(const struct netroot_db *db)
{
	json_t *entries = json_array(), *hosts = json_array(), *unused = json_array();

	for (size_t i = 0; i < db->entry_count; i++)
		json_array_append_new(entries, json_entry(db, &db->entries[i]));
	for (size_t i = 0; i < db->host_count; i++) {
		const struct netroot_host *h = &db->hosts[i];

		json_array_append_new(hosts,
			json_pack("{s:s,s:o,s:o,s:o,s:b}", "host", h->id, "label",
				json_text(h->label), "hostname", json_text(h->hostname), "append",
				json_text(h->append), "config", h->has_config));
	}
	for (size_t i = 0; i < db->image_count; i++)
		if (!netroot_db_is_offered(db, db->images[i].id))
			json_array_append_new(unused, json_text(db->images[i].id));
	json_print(json_pack("{s:o,s:o,s:o,s:o}", "default", json_text(db->default_label),
		"entries", entries, "hosts", hosts, "unused_images", unused));
}

static void print_text(const struct netroot_db *db)
{
	for (size_t i = 0; i < db->entry_count; i++) {
		const struct netroot_entry *en = &db->entries[i];
		const struct netroot_image *img = netroot_db_image(db, en->image);
		autofree char *size = str_bytes(img->image.size_bytes);
		autofree char *title = str_printable(img->title);

		printf("%c %s  %s  %s%s  %s\n", str_eq(db->default_label, en->label) ? '*' : ' ',
			en->label, en->image, size, en->http ? " over http" : "", title);
	}
	for (size_t i = 0; i < db->host_count; i++) {
		const struct netroot_host *h = &db->hosts[i];

		printf("host %s  %s%s%s\n", h->id, h->label, h->hostname ? "  " : "",
			h->hostname ? h->hostname : "");
	}
	for (size_t i = 0; i < db->image_count; i++)
		if (!netroot_db_is_offered(db, db->images[i].id))
			printf("unused %s\n", db->images[i].id);
}

static int run(
	const void *parsed, char *const args[] UNUSED, struct progress *p UNUSED, struct err *e)
{
	const struct options *o = parsed;
	autoptr(netroot) n = NULL;
	int r = netroot_open(o->tree, NETROOT_READ, &n, e);

	if (r < 0)
		return r;
	if (o->json)
		print_json(&n->db);
	else
		print_text(&n->db);
	return 0;
}

const struct cli_command cmd_netroot_list = {
	.name = "netroot list",
	.args = "",
	.summary = "List entries and hosts of a tree",
	.details = "One line each: label, image, size and title of an entry, the default with a\n"
		   "'*'; then the hosts, then images that no entry offers any more.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.defaults = &defaults,
	.opts_size = sizeof(struct options),
	.run = run,
};
