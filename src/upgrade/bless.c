/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "boot/records.h"
#include "liveimg/volume.h"
#include "sys/chroot.h"
#include "upgrade/hooks.h"
#include "upgrade/recover.h"
#include "upgrade/settings.h"
#include "upgrade/trial-result.h"
#include "upgrade/trial-state.h"
#include "upgrade/upgrade.h"
#include "upgrade/var-restore.h"

/* Settings that are wrong must not keep a node from deciding: what they say so far, or the defaults. */
static void read_settings(struct settings *out)
{
	autofd int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct err e = {0};

	if (settings_read(root_fd, out, &e) < 0)
		log_warning("%s", e.msg);
}

static void log_lines(const struct strv *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		log_info("%s", lines->items[i]);
}

static int restore_var(struct site *s, struct err *e)
{
	autojournal j = {0};
	bool done;
	int r = journal_read(s->boot_fd, &j, e);

	if (r <= 0 || !j.var || !s->running || !str_eq(j.to, s->layer))
		return r < 0 ? r : 0;
	r = var_restore(&s->lvm, &j, &done, e);
	/* What is not there will not be there the next time. */
	if (r < 0 && r != -ENOENT)
		return r;
	if (r < 0)
		log_warning("/var stays as it is: %s", e->msg);
	*e = (struct err){0};
	r = journal_clear(s->boot_fd, e);
	return r == 0 ? site_refresh(s, e) : r;
}

static void warn_of(const char *what, int r, struct err *e)
{
	if (r < 0)
		log_warning("%s: %s", what, e->msg);
	*e = (struct err){0};
}

static bool is_mounted(const char *path)
{
	struct stat at, root;

	return stat(path, &at) == 0 && stat("/", &root) == 0 && at.st_dev != root.st_dev;
}

/* Nothing is mounted that early: /boot is, for this process alone. */
static int mount_boot(bool *mounted, struct err *e)
{
	autolvmreport lvm = {0};
	autofree char *device = NULL;
	int r;

	if (is_mounted("/boot"))
		return 0;
	r = lvm_report(&lvm, e);
	if (r < 0)
		return r;
	const struct lvm_vg *vg = lvm_node_vg(&lvm);
	const char *partition = vg ? lvm_tag_value(&vg->tags, LVM_TAG_BOOT) : NULL;
	if (!partition)
		return err_set(e, ENOENT, "no volume group says where /boot of this node is");
	autofree char *what = xasprintf("PARTUUID=%s", partition);
	r = volume_find(what, &device, e);
	if (r == 0)
		r = chroot_enter_namespace(e);
	if (r < 0)
		return r;
	if (mount(device, "/boot", "ext4", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return err_errno(e, "mounting '%s' on /boot", device);
	*mounted = true;
	return 0;
}

static int finish_before(struct err *e)
{
	struct settings settings;
	autosite s = {0};
	autostrv done = {0};
	struct err own = {0};
	int r = site_open(false, &s, e);

	if (r < 0)
		return r;
	read_settings(&settings);
	warn_of("/var of a rollback", restore_var(&s, &own), &own);
	r = trial_take_note(&s, settings.tries, &own);
	warn_of("a trial that came to nothing", r, &own);
	if (r == 1)
		warn_of("/boot", site_refresh(&s, &own), &own);
	warn_of("mending", recover_run(&s, false, &done, &own), &own);
	for (size_t i = 0; i < done.count; i++)
		log_warning("mended: %s", done.items[i]);
	return 0;
}

int upgrade_boot(struct err *e)
{
	bool mounted = false;
	int r = mount_boot(&mounted, e);

	if (r == 0)
		r = finish_before(e);
	/* Its file system is about to be checked, and the end of a process is too late for that. */
	if (mounted && umount2("/boot", 0) < 0)
		log_warning("unmounting /boot: %s", strerror(errno));
	return r;
}

/* The upgrade that it ends, not a reset. */
static void run_hooks(const struct journal *j, const char *layer)
{
	const struct hook_event event = {.name = "post-upgrade", .from = j->from, .to = j->to};
	struct err e = {0};

	if (j->to && str_eq(j->to, layer) && j->operation == OPERATION_UPGRADE)
		warn_of("hook", hooks_run(&event, &e), &e);
}

int upgrade_bless(uint64_t until, struct err *e)
{
	struct settings settings;
	autosite s = {0};
	autostrv done = {0};
	struct err own = {0};
	autojournal j = {0};
	int r = site_open_until(until, &s, e);

	/* It is cleared by what follows. */
	if (r == 0)
		warn_of("journal", MIN(journal_read(s.boot_fd, &j, &own), 0), &own);
	if (r == 0)
		r = trial_bless(&s, e);
	if (r != 0)
		return r;
	warn_of(TRIAL_DEADLINE_PATH, file_replace(TRIAL_DEADLINE_PATH, "0\n", 2, 0644, &own), &own);
	log_info("layer '%s' is good: it is the default now", s.layer);
	read_settings(&settings);
	r = site_refresh(&s, &own);
	if (r == 0)
		r = gc_run(&s, settings.keep, false, &done, &own);
	warn_of("removing older images", r, &own);
	log_lines(&done);
	run_hooks(&j, s.layer);
	return 0;
}

int upgrade_unbless(uint64_t until, const char *why, struct err *e)
{
	autosite s = {0};
	int r = site_open_until(until, &s, e);

	return r == 0 ? trial_unbless(&s, why, e) : r;
}
