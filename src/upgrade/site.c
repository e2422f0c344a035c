/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/site.h"

#include <blkid.h>
#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "liveimg/booted.h"
#include "liveimg/volume.h"
#include "node/state.h"
#include "storage/thin.h"
#include "sys/chroot.h"
#include "upgrade/newest.h"
#include "upgrade/site-lock.h"

#define BOOT_MOUNT SITE_FOLDER "/boot"
#define BOOT_TYPE  "ext4"
#define NUMBER_MAX 999999

void site_fini(struct site *s)
{
	lvm_report_fini(&s->lvm);
	boot_entries_fini(&s->entries);
	boot_choice_fini(&s->choice);
	free(s->layer);
	free(s->base);
	if (s->boot_fd > 0)
		close(s->boot_fd);
	if (s->boot_mounted)
		umount2(BOOT_MOUNT, MNT_DETACH);
	if (s->lock_fd > 0)
		site_unlock(s->lock_fd);
	*s = (struct site){.boot_fd = -1, .lock_fd = -1};
}

/* The UUID of the partition that a file system is on, or NULL. */
static char *partition_of(dev_t dev)
{
	autofree char *device = blkid_devno_to_devname(dev);
	blkid_probe pr = device ? blkid_new_probe_from_filename(device) : NULL;
	const char *found = NULL;

	if (!pr)
		return NULL;
	blkid_probe_enable_superblocks(pr, 0);
	blkid_probe_enable_partitions(pr, 1);
	blkid_probe_set_partitions_flags(pr, BLKID_PARTS_ENTRY_DETAILS);
	if (blkid_do_fullprobe(pr) == 0)
		blkid_probe_lookup_value(pr, "PART_ENTRY_UUID", &found, NULL);
	char *uuid = found ? xstrdup(found) : NULL;
	blkid_free_probe(pr);
	return uuid;
}

/* Entries of another system, or none, would make every layer one that nothing boots. */
static int check_boot(int boot_fd, const char *want, struct err *e)
{
	struct stat boot, root;

	if (fstat(boot_fd, &boot) < 0 || stat("/", &root) < 0)
		return err_errno(e, "'/boot'");
	if (boot.st_dev == root.st_dev)
		return err_set(e, ENXIO, "nothing is mounted on /boot: mount it and try again");
	autofree char *uuid = want ? partition_of(boot.st_dev) : NULL;
	if (uuid && strcasecmp(uuid, want) != 0)
		return err_set(e, ENXIO,
			"what is mounted on /boot is partition %s, and not %s, which is the node's",
			uuid, want);
	return 0;
}

static int open_folder(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_errno(e, "'%s'", path) : fd;
}

static int open_running_boot(struct site *s, struct err *e)
{
	s->boot_fd = open_folder("/boot", e);
	return s->boot_fd < 0
		? s->boot_fd
		: check_boot(s->boot_fd, lvm_tag_value(&s->vg->tags, LVM_TAG_BOOT), e);
}

static int mount_boot(struct site *s, struct err *e)
{
	const char *partition = lvm_tag_value(&s->vg->tags, LVM_TAG_BOOT);
	autofree char *device = NULL;

	if (!partition)
		return err_set(e, ENOENT,
			"volume group '%s' does not say where its /boot is: it has no tag " LVM_TAG_BOOT
			"PARTUUID",
			s->vg->name);
	autofree char *what = xasprintf("PARTUUID=%s", partition);
	/* fdisk and blkid do not agree on its case. */
	for (char *c = strchr(what, '='); *c; c++)
		*c = (char)tolower((unsigned char)*c);
	int r = volume_look(what, &device, e);
	if (r < 0)
		return err_wrap(e, r, "/boot of the node");
	r = file_make_folder(BOOT_MOUNT, 0700, e);
	if (r < 0)
		return r;
	if (mount(device, BOOT_MOUNT, BOOT_TYPE, MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return err_errno(e, "mounting '%s', /boot of the node", device);
	s->boot_mounted = true;
	s->boot_fd = open_folder(BOOT_MOUNT, e);
	return s->boot_fd < 0 ? s->boot_fd : 0;
}

static int find_group(struct site *s, struct err *e)
{
	size_t count = 0;

	s->vg = lvm_node_vg(&s->lvm);
	s->pool = lvm_node_pool(&s->lvm);
	for (size_t i = 0; i < s->lvm.vg_count; i++)
		count += lvm_has_tag(&s->lvm.vgs[i].tags, LVM_TAG_VG);
	if (count > 1)
		return err_set(e, EEXIST,
			"%zu volume groups have the tag " LVM_TAG_VG
			": leave it to the one of this node",
			count);
	if (!s->vg)
		return err_set(e, ENOENT,
			"there is no node here: no volume group has the tag " LVM_TAG_VG);
	if (!s->pool)
		return err_set(e, ENOENT,
			"volume group '%s' has no thin pool with the tag " LVM_TAG_POOL,
			s->vg->name);
	if (s->vg->partial)
		return err_set(e, EIO, "volume group '%s' lacks a physical volume", s->vg->name);
	return 0;
}

static int read_boot(struct site *s, struct err *e)
{
	autobootentries entries = {0};
	autobootchoice choice = {0};
	int r = boot_entries_read(s->boot_fd, &entries, e);

	if (r == 0)
		r = boot_choice_read(s->boot_fd, &choice, e);
	if (r < 0)
		return r;
	boot_entries_fini(&s->entries);
	boot_choice_fini(&s->choice);
	s->entries = entries;
	s->choice = choice;
	entries = (struct boot_entries){0};
	choice = (struct boot_choice){0};
	return 0;
}

int site_refresh(struct site *s, struct err *e)
{
	autolvmreport lvm = {0};
	int r = lvm_report(&lvm, e);

	if (r < 0)
		return r;
	lvm_report_fini(&s->lvm);
	s->lvm = lvm;
	lvm = (struct lvm_report){0};
	r = find_group(s, e);
	return r == 0 ? read_boot(s, e) : r;
}

/* What the kernel was told of the layer that this system runs from; *layer stays NULL if nothing. */
static int find_running(bool look, char **layer, struct err *e)
{
	autofree char *text = NULL;
	autostrv words = {0};
	int r = cmd_line_read(&text, e);

	if (r < 0)
		return r;
	cmd_line_split(text, &words);
	const char *value = cmd_line_value(&words, "bedplate.layer");
	if (!value)
		return 0;
	if (cmd_line_has(&words, BOOT_STATELESS_PARAM) && !look)
		return err_set(e, EOPNOTSUPP,
			"this system runs stateless (" BOOT_STATELESS_PARAM
			"): restart without that to change what the node boots");
	if (node_base_len(value) == 0)
		return err_set(
			e, EINVAL, "'%s' of the kernel command line is no name of a layer", value);
	*layer = xstrdup(value);
	return 0;
}

/* At rest: the default, and should that be gone the newest that can be booted. */
static int choose_layer(struct site *s, struct err *e)
{
	const char *layer = s->choice.default_layer;
	autohistory history = {0};
	autojournal j = {0};
	int r = history_read(s->boot_fd, &history, e);

	if (r == 0)
		r = journal_read(s->boot_fd, &j, e);
	if (r < 0)
		return r;
	/* As recovery will decide. */
	if (!layer || !site_bootable(s, layer))
		layer = site_best(s, &history, r > 0 ? &j : NULL);
	if (!layer)
		return err_set(e, ENOENT, "volume group '%s' has no layer that can be booted",
			s->vg->name);
	s->layer = xstrdup(layer);
	return 0;
}

/* Snapshots are made in it, and its room is asked for. */
static int activate_pool(const struct site *s, struct err *e)
{
	autofree char *name = xasprintf("%s/%s", s->vg->name, s->pool->name);

	return s->pool->active ? 0 : lvm_run(e, "lvchange", "--activate=y", name, NULL);
}

/* Without it nothing in the pool can be changed, but what is there can be used. */
static void mend_pool(const struct site *s)
{
	struct err e = {0};

	if (pool_mend(&s->lvm, s->pool, &e) < 0)
		log_warning("%s", e.msg);
}

static int open_all(bool look, struct site *s, struct err *e)
{
	int r = find_running(look, &s->layer, e);

	if (r == 0)
		r = lvm_report(&s->lvm, e);
	if (r == 0)
		r = find_group(s, e);
	if (r < 0)
		return r;
	s->running = s->layer != NULL;
	r = s->running ? open_running_boot(s, e) : mount_boot(s, e);
	/* With the lock nobody else of ours is within a freeze. */
	if (r == 0 && !look)
		r = boot_thaw(s->boot_fd, e);
	if (r == 0)
		r = read_boot(s, e);
	if (r == 0 && !s->running)
		r = choose_layer(s, e);
	if (r == 0 && !s->running && !look)
		r = activate_pool(s, e);
	if (r < 0)
		return r;
	if (!look)
		mend_pool(s);
	s->base = xstrndup(s->layer, node_base_len(s->layer));
	return 0;
}

static int open_locked(bool look, uint64_t until, struct site *out, struct err *e)
{
	autosite s = {.boot_fd = -1, .lock_fd = -1};
	int r = 0;

	if (geteuid() != 0)
		return err_set(e, EPERM, "this needs root");
	if (!look)
		r = s.lock_fd = site_lock_until(SITE_LOCK_PATH, until, e);
	if (r >= 0)
		r = chroot_enter_namespace(e);
	if (r == 0)
		r = open_all(look, &s, e);
	if (r < 0)
		return r;
	*out = s;
	s = (struct site){.boot_fd = -1, .lock_fd = -1};
	return 0;
}

int site_open(bool look, struct site *out, struct err *e)
{
	return open_locked(look, 0, out, e);
}

int site_open_until(uint64_t boot_seconds, struct site *out, struct err *e)
{
	return open_locked(false, boot_seconds, out, e);
}

int site_root_hash(const struct site *s, const char *layer, uint8_t out[32], struct err *e)
{
	const struct boot_entry *entry = boot_entries_find(&s->entries, layer);
	autostrv words = {0};

	if (!entry)
		return err_set(e, EBADMSG, "layer '%s' has no boot entry", layer);
	cmd_line_split(entry->cmd_line, &words);
	const char *hash = cmd_line_value(&words, "bedplate.roothash");
	if (!hash || hex_parse(hash, out, SHA256_BYTES, NULL) < 0)
		return err_set(e, EBADMSG,
			"the boot entry of layer '%s' has no " BOOT_ROOTHASH_PARAM " of 64 digits",
			layer);
	return 0;
}

/* The N of "BASE+N", whatever follows it; 0: none. */
static uintmax_t number_of(const char *name, const char *base)
{
	size_t len = strlen(base);
	uintmax_t number;

	if (strncmp(name, base, len) != 0 || name[len] != '+' || name[len + 1] < '0' ||
		name[len + 1] > '9')
		return 0;
	number = strtoumax(name + len + 1, NULL, 10);
	return number <= NUMBER_MAX ? number : 0;
}

static bool is_taken(const struct site *s, const char *layer)
{
	return s->boot_fd > 0 && faccessat(s->boot_fd, layer, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

char *site_next_layer(const struct site *s, const char *base)
{
	uintmax_t highest = 0;

	for (size_t i = 0; i < s->lvm.lv_count; i++)
		highest = MAX(highest, number_of(s->lvm.lvs[i].name, base));
	for (size_t i = 0; i < s->entries.count; i++)
		highest = MAX(highest, number_of(s->entries.items[i].layer, base));
	char *name = xasprintf("%s+%ju", base, highest + 1);
	/* A folder of somebody else's is not written to. */
	while (is_taken(s, name)) {
		free(name);
		name = xasprintf("%s+%ju", base, ++highest + 1);
	}
	return name;
}
