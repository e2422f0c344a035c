/* SPDX-License-Identifier: Apache-2.0 */
#include "install/configure-node.h"

#include <blkid.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cmd.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "image/configure.h"
#include "image/intree.h"
#include "image/nm-profile.h"
#include "install/configure-part.h"
#include "liveimg/booted.h"

#define NET_FOLDER       "/sys/class/net"
#define NET_FILE_BYTES   256
#define ARPHRD_ETHER     "1\n" /* <linux/if_arp.h>, as the kernel prints it */
#define SEED_BYTES       16
#define RUNNING_PROFILES "/run/NetworkManager/system-connections" /* gone with this system */

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

/* What this machine makes of the kickstart's commands. */
struct machine {
	char *boot_mac, *link_device;
	char seed[2 * SEED_BYTES + 1];
};

static void machine_fini(struct machine *m)
{
	free(m->boot_mac);
	free(m->link_device);
}

static int machine_params(
	struct machine *m, bool dry_run, struct configure_params *out, struct err *e)
{
	uint8_t random[SEED_BYTES];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return err_errno(e, "random numbers");
	hex_format(random, sizeof(random), m->seed);
	m->boot_mac = find_boot_mac();
	m->link_device = find_link_device();
	*out = (struct configure_params){
		.seed = m->seed,
		.source_date = time(NULL),
		.is_node = true,
		.boot_mac = m->boot_mac,
		.link_device = m->link_device,
		.dry_run = dry_run,
	};
	return 0;
}

int node_commands(const struct ks_doc *doc, const char *tree_path, const struct node_commands *how,
	struct err *e)
{
	auto_with(machine_fini) struct machine m = {0};
	struct configure_params params;
	int r = machine_params(&m, how->dry_run, &params, e);

	return r == 0 ? configure_commands(doc, tree_path, &params, how->log_fd, how->p, e) : r;
}

static int bring_up(const struct nm_profile *profile, int log_fd, struct err *e)
{
	static const char key[] = "\nuuid=";
	const char *uuid = strstr(profile->text, key) + strlen(key);
	autocmd c = {.log_fd = log_fd};

	cmd_add(&c, "nmcli", "connection", "up", "uuid", NULL);
	cmd_addf(&c, "%.*s", (int)strcspn(uuid, "\n"), uuid);
	return cmd_run(&c, e);
}

static int write_running(const struct nm_profiles *p, int log_fd, struct err *e)
{
	autocmd c = {.log_fd = log_fd};
	int r = file_make_folder(RUNNING_PROFILES, 0755, e);

	for (size_t i = 0; r == 0 && i < p->count; i++) {
		autofree char *path = xasprintf(
			RUNNING_PROFILES "/%s.nmconnection", p->items[i].name);

		r = file_replace(path, p->items[i].text, strlen(p->items[i].text), 0600, e);
	}
	cmd_add(&c, "nmcli", "connection", "reload", NULL);
	return r == 0 ? cmd_run(&c, e) : r;
}

int node_bring_up_network(const struct ks_doc *doc, int log_fd, struct err *e)
{
	auto_with(machine_fini) struct machine m = {0};
	auto_nm_profiles p = {0};
	struct configure_params params;
	struct err own = {0};
	int r = machine_params(&m, true, &params, e);

	if (r == 0)
		r = configure_activated(doc, &params, &p, e);
	if (r < 0 || p.count == 0)
		return r;
	r = write_running(&p, log_fd, &own);
	/* Backwards: a bond's ports first, which take it up with them. */
	for (size_t i = p.count; r == 0 && i-- > 0;)
		r = bring_up(&p.items[i], log_fd, &own);
	/* Whether that matters, whoever needs the network will tell. */
	if (r < 0)
		log_warning("network --activate: %s", own.msg);
	return 0;
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
	const struct node_commands how = {.p = p, .log_fd = c->log_fd};
	int r;

	progress_begin(p, "configuration", 0, "steps");
	r = factory_fill_volumes(&roots, c->layout, c->layer, e);
	if (r == 0)
		r = write_fstab(t, c->layout, e);
	if (r == 0)
		r = node_commands(c->doc, target_path(t), &how, e);
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
