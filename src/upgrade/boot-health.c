/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/boot-health.h"

#include <fcntl.h>
#include <string.h>

#include "base/cmd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "boot/records.h"
#include "upgrade/health.h"
#include "upgrade/hooks.h"
#include "upgrade/settings.h"
#include "upgrade/site.h"
#include "upgrade/trial-result.h"
#include "upgrade/trial-state.h"
#include "upgrade/upgrade.h"

/* After the health checks' own deadline, for what is left to do. */
#define GRACE_SECONDS 300
/* Of it, for somebody else's operation that has the lock; then come a write and its sync. */
#define LOCK_SECONDS 240

/* "0": there is no deadline (any more). */
static void set_deadline(uint64_t seconds)
{
	autofree char *text = xasprintf("%ju\n", (uintmax_t)seconds);
	struct err e = {0};

	if (file_replace(TRIAL_DEADLINE_PATH, text, strlen(text), 0644, &e) < 0)
		log_warning("%s", e.msg);
}

static void run_hooks(const char *name, const char *from, const char *to)
{
	const struct hook_event event = {.name = name, .from = from, .to = to};
	struct err e = {0};

	if (hooks_run(&event, &e) < 0)
		log_warning("%s", e.msg);
}

static void log_result(const struct health_result *r)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct health_check *c = &r->items[i];

		if (c->status == HEALTH_FAILED || c->status == HEALTH_TIMED_OUT)
			log_warning("health check '%s' (%s): %s", c->name,
				c->required ? "required" : "wanted", c->says ? c->says : "failed");
	}
}

static int go_back(const struct health_result *result, uint64_t until, struct err *e)
{
	autofree char *why = health_why(result);
	struct err own = {0};
	autocmd reboot = {0};

	/* Without it the tries that are left are used up one by one. */
	if (upgrade_unbless(until, why, &own) < 0)
		log_warning("%s", own.msg);
	cmd_add(&reboot, "systemctl", "--no-block", "reboot", NULL);
	if (cmd_run(&reboot, &own) < 0)
		log_warning("%s", own.msg);
	return err_set(e, ECANCELED, "this layer is not good, the one before is booted: %s", why);
}

static int decide(const char *layer, struct err *e)
{
	autofd int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct settings settings;
	autohealthresult result = {0};
	struct err own = {0};

	if (settings_read(root_fd, &settings, &own) < 0)
		log_warning("%s", own.msg);
	const struct health_spec spec = {
		.deadline = settings.health_deadline_seconds,
		.again = true,
	};
	set_deadline(settings.health_deadline_seconds + GRACE_SECONDS);
	log_info("layer '%s' is on trial", layer);
	int r = health_run(&spec, &result, e);
	if (r < 0)
		return r;
	log_result(&result);
	const uint64_t until = settings.health_deadline_seconds + LOCK_SECONDS;
	if (!health_is_good(&result))
		return go_back(&result, until, e);
	r = upgrade_bless(until, e);
	return r < 0 ? r : 0;
}

struct boot {
	char *layer, *from; /* from: that a trial comes from, or NULL */
	bool trial;
};

static void boot_fini(struct boot *b)
{
	free(b->layer);
	free(b->from);
}

/* The site is not held while checks run, which may be for minutes. */
static int look(struct boot *out, struct err *e)
{
	autojournal j = {0};
	autosite s = {0};
	struct err own = {0};
	int r = site_open(true, &s, e);

	if (r < 0)
		return r;
	out->layer = xstrdup(s.layer);
	out->trial = trial_is_running(&s);
	r = out->trial ? journal_read(s.boot_fd, &j, &own) : 0;
	if (r == 1 && j.from)
		out->from = xstrdup(j.from);
	if (r < 0)
		log_warning("%s", own.msg);
	return 0;
}

int upgrade_boot_health(struct err *e)
{
	auto_with(boot_fini) struct boot b = {0};
	int r = look(&b, e);

	if (r < 0)
		return r;
	run_hooks("on-boot", NULL, b.layer);
	if (!b.trial) {
		set_deadline(0);
		return 0;
	}
	run_hooks("on-new-image", b.from, b.layer);
	return decide(b.layer, e);
}
