/* SPDX-License-Identifier: Apache-2.0 */
#include "nodectl/plugin-site.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>

#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "upgrade/site-lock.h"
#include "upgrade/site.h"

#define CMD_LINE_MAX_BYTES (64 * KIB)
#define RETRY_NS           500000000L

void plugin_site_fini(struct plugin_site *s)
{
	node_state_fini(&s->state);
	if (s->site.root_fd >= 0)
		close(s->site.root_fd);
	if (s->lock_fd >= 0)
		site_unlock(s->lock_fd);
	*s = (struct plugin_site)PLUGIN_SITE_NONE;
}

static bool is_this_machine(const char *root)
{
	return str_eq(root, "/");
}

static int open_folder(const char *root, struct plugin_site *s, struct err *e)
{
	s->site.root = root;
	s->site.root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	s->site.live = is_this_machine(root) && file_exists(PLUGIN_SITE_SYSTEMD);
	return s->site.root_fd < 0 ? err_errno(e, "'%s'", root) : 0;
}

static int open_root(const char *root, struct plugin_site *s, struct err *e)
{
	int r = open_folder(root, s, e);

	return r < 0 ? r : node_state_gather(s->site.root_fd, NODE_LOOK_FILES, &s->state, e);
}

static int lock(const char *root, struct plugin_site *s, struct err *e)
{
	autofree char *path = xasprintf("%s" SITE_LOCK_PATH, is_this_machine(root) ? "" : root);

	s->lock_fd = site_lock(path, e);
	return MIN(s->lock_fd, 0);
}

static int recover(struct plugin_site *s, struct err *e)
{
	autofree char *what = NULL;
	int r = hotadd_recover(&s->site, &what, e);

	if (r > 0)
		log_warning("taken back: %s, which was cut off", what);
	return MIN(r, 0);
}

static int open_all(const char *root, bool look, struct plugin_site *s, struct err *e)
{
	struct err own = {0};
	int r;

	if (!look && geteuid() != 0)
		return err_set(e, EPERM, "this needs root");
	r = open_root(root, s, e);
	if (r < 0 || geteuid() != 0)
		return r;
	r = lock(root, s, &own);
	if (r == -EBUSY && look)
		return 0;
	return r < 0 ? err_set(e, -r, "%s", own.msg) : recover(s, e);
}

int plugin_site_open(const char *root, bool look, struct plugin_site *out, struct err *e)
{
	autopluginsite s = PLUGIN_SITE_NONE;
	int r = open_all(root, look, &s, e);

	if (r < 0)
		return r;
	*out = s;
	s = (struct plugin_site)PLUGIN_SITE_NONE;
	return 0;
}

int plugin_site_mend(struct err *e)
{
	autopluginsite s = PLUGIN_SITE_NONE;
	autofree char *text = NULL;

	/* Who is not root is told so by what comes next. */
	if (geteuid() != 0 || file_read("/proc/cmdline", CMD_LINE_MAX_BYTES, &text, NULL, NULL) < 0)
		return 0;
	autofree char *layer = node_kernel_param(text, BOOT_LAYER_PARAM);
	if (!layer)
		return 0;
	int r = open_folder("/", &s, e);
	if (r == 0)
		r = lock("/", &s, e);
	return r == 0 ? recover(&s, e) : r;
}

/*
 * Once.  -EBUSY: somebody is at work.  Who is at work is not waited for at the lock: that would be taken
 * when it has just come to its end, and the next command would find it taken.
 */
static int recover_here(struct err *e)
{
	autopluginsite s = PLUGIN_SITE_NONE;
	int r = open_folder("/", &s, e);

	if (r < 0 || !hotadd_is_changing(s.site.root_fd))
		return r;
	r = lock("/", &s, e);
	return r < 0 ? r : recover(&s, e);
}

int plugin_site_recover(struct err *e)
{
	autofree char *text = NULL;

	if (geteuid() != 0)
		return err_set(e, EPERM, "this needs root");
	int r = file_read("/proc/cmdline", CMD_LINE_MAX_BYTES, &text, NULL, e);
	if (r < 0)
		return r;
	autofree char *layer = node_kernel_param(text, BOOT_LAYER_PARAM);
	if (!layer)
		return 0;
	for (bool said = false;;) {
		struct err own = {0};

		r = recover_here(&own);
		if (r != -EBUSY)
			return r < 0 ? err_set(e, -r, "%s", own.msg) : 0;
		if (!said)
			log_info("%s: waiting for it", own.msg);
		said = true;
		nanosleep(&(struct timespec){.tv_nsec = RETRY_NS}, NULL);
		r = interrupt_check(e);
		if (r < 0)
			return r;
	}
}

int plugin_site_check_quiet(const struct node_state *s, struct err *e)
{
	const char *trial = s->boot.trial, *staged = s->boot.staged;

	if (trial && s->layer && str_eq(trial, s->layer))
		return err_set(e, EBUSY,
			"layer '%s' runs on trial: wait until it is found good, or 'nodectl bless', or "
			"'nodectl rollback'",
			trial);
	if (trial)
		return err_set(e, EBUSY,
			"layer '%s' is waiting for its trial and would not have this: restart into it, "
			"or 'nodectl rollback' to call it off",
			trial);
	if (staged)
		return err_set(e, EBUSY,
			"layer '%s' waits for 'nodectl activate' and would not have this: activate it "
			"and restart, or 'nodectl rollback' to call it off",
			staged);
	return 0;
}
