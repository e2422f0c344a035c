/* SPDX-License-Identifier: Apache-2.0 */
#include "install/configure-node.h"

#include <blkid.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "image/configure.h"
#include "image/intree.h"
#include "install/configure-part.h"
#include "liveimg/booted.h"

#define NET_FOLDER     "/sys/class/net"
#define NET_FILE_BYTES 256
#define ARPHRD_ETHER   "1\n" /* <linux/if_arp.h>, as the kernel prints it */
#define SEED_BYTES     16

/* "BOOTIF=01-52-54-00-12-34-56", as pxelinux and GRUB give it: hardware type, address. */
static char *find_boot_mac(void)
{
	autofree char *cmd_line = NULL;
	autostrv words = {0};

	if (cmd_line_read(&cmd_line, NULL) < 0)
		return NULL;
	cmd_line_split(cmd_line, &words);
	const char *value = cmd_line_value(&words, "BOOTIF");
	if (!value)
		return NULL;
	value += str_starts(value, "01-") || str_starts(value, "01:") ? 3 : 0;
	if (strlen(value) != 17)
		return NULL;
	autofree char *mac = xstrdup(value);
	for (size_t i = 0; i < 17; i++) {
		if (i % 3 == 2 ? !strchr("-:", mac[i]) : !isxdigit((unsigned char)mac[i]))
			return NULL;
		mac[i] = i % 3 == 2 ? ':' : (char)tolower((unsigned char)mac[i]);
	}
	return take_ptr(mac);
}

static bool net_file_is(const char *device, const char *file, const char *want)
{
	autofree char *path = xasprintf(NET_FOLDER "/%s/%s", device, file);
	autofree char *text = NULL;

	return file_read(path, NET_FILE_BYTES, &text, NULL, NULL) == 0 && str_eq(text, want);
}

/* The first wired device with a carrier. */
static char *find_link_device(void)
{
	autostrv names = {0};

	if (file_list(NET_FOLDER, &names, NULL) < 0)
		return NULL;
	for (size_t i = 0; i < names.count; i++) {
		autofree char *hardware = xasprintf(NET_FOLDER "/%s/device", names.items[i]);
		autofree char *radio = xasprintf(NET_FOLDER "/%s/phy80211", names.items[i]);

		if (file_exists(hardware) && !file_exists(radio) &&
			net_file_is(names.items[i], "type", ARPHRD_ETHER) &&
			net_file_is(names.items[i], "carrier", "1\n"))
			return xstrdup(names.items[i]);
	}
	return NULL;
}

static int configure(
	struct target *t, const struct node_config *c, struct progress *p, struct err *e)
{
	autofree char *boot_mac = find_boot_mac();
	autofree char *link_device = find_link_device();
	char seed[2 * SEED_BYTES + 1];
	uint8_t random[SEED_BYTES];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return err_errno(e, "random numbers");
	hex_format(random, sizeof(random), seed);
	const struct configure_params params = {
		.seed = seed,
		.source_date = time(NULL),
		.is_node = true,
		.boot_mac = boot_mac,
		.link_device = link_device,
	};
	return configure_commands(c->doc, target_path(t), &params, c->log_fd, p, e);
}

static int write_fstab(struct target *t, const struct layout *l, struct err *e)
{
	char **uuids = xcalloc(l->part_count + 1, sizeof(*uuids));
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->part_count; i++) {
		const struct layout_part *p = &l->parts[i];

		if (!p->mount && p->role != LAYOUT_SWAP)
			continue;
		uuids[i] = blkid_get_tag_value(NULL, "UUID", p->path);
		if (!uuids[i])
			r = err_set(e, ENOENT, "'%s' has no UUID", p->path);
	}
	autofree char *text = r == 0 ? fstab_format(l, (const char *const *)uuids) : NULL;
	if (r == 0)
		r = intree_write(target_root_fd(t), "/etc/fstab", text, 0644, e);
	for (size_t i = 0; i < l->part_count; i++)
		free(uuids[i]);
	free(uuids);
	return r;
}

int node_configure(struct target *t, const struct node_config *c, struct progress *p, struct err *e)
{
	const struct factory_roots roots = {target_base_fd(t), target_root_fd(t)};
	int r;

	progress_begin(p, "configuration", 0, "steps");
	r = factory_fill_volumes(&roots, c->layout, c->layer, e);
	if (r == 0)
		r = write_fstab(t, c->layout, e);
	if (r == 0)
		r = configure(t, c, p, e);
	if (r == 0)
		r = firstboot_configure(roots.root_fd, c->doc, e);
	progress_end(p);
	return r < 0 ? err_wrap(e, r, "configuring the node") : 0;
}

int node_write_record(
	struct target *t, const struct node_config *c, const char *log_path, struct err *e)
{
	return record_write(target_root_fd(t), c, log_path, e);
}
