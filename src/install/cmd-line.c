/* SPDX-License-Identifier: Apache-2.0 */
/* The installed node's kernel command line. */
#include "boot/cmd-line.h"
#include "base/hash.h"
#include "install/configure-node.h"

/* The kernel's own console is the last one: the installer's comes last. */
static void add_consoles(struct strv *out, const char *running)
{
	autostrv words = {0}, consoles = {0};

	cmd_line_collect(&words, running, NULL);
	for (size_t i = 0; i < words.count; i++)
		if (str_starts(words.items[i], "console="))
			strv_add(&consoles, words.items[i]);
	strv_add_all(out, &consoles);
}

char *node_cmd_line(
	const struct node_config *c, const char *image_append, const char *running_cmd_line)
{
	const struct ks_cmd *loader = ks_next(c->doc, "bootloader", NULL);
	char hash[SHA256_HEX_BYTES];
	autostrv words = {0};

	hex_format(c->manifest->verity.root_hash, SHA256_BYTES, hash);
	cmd_line_collect(&words, image_append, "the image");
	cmd_line_collect(&words, loader ? ks_str(loader, "append") : NULL, "the kickstart");
	add_consoles(&words, running_cmd_line);
	return cmd_line_compose(c->layer, hash, &words);
}
