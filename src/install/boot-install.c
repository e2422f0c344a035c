/* SPDX-License-Identifier: Apache-2.0 */
#include "install/boot-install.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/klog.h>
#include <time.h>
#include <unistd.h>

#include "base/cmd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "install/consoles.h"
#include "install/install.h"
#include "install/legacy.h"
#include "install/request.h"
#include "liveimg/booted.h"
#include "liveimg/get.h"
#include "upgrade/upgrade.h"

#define FOLDER         "/run/bedplate/install"
#define LEGACY_PATH    FOLDER "/legacy.ks"
#define SHOW_SECONDS   5.0
#define SETTLE_SECONDS "30"
/* systemd(1): its messages on the console, off. */
#define STATUS_OFF (SIGRTMIN + 21)
/* syslog(2): only errors of the kernel on the console. */
enum { ACTION_CONSOLE_LEVEL = 8, LEVEL_ERRORS = 4 };

static double seconds_between(const struct timespec *a, const struct timespec *b)
{
	return (double)(b->tv_sec - a->tv_sec) + (double)(b->tv_nsec - a->tv_nsec) / 1e9;
}

/* A line a stage at its start and end, and in long ones a line now and then. */
static void show(struct progress *p, enum progress_event event)
{
	static struct timespec last;
	struct timespec now;
	bool in_bytes = str_eq(p->unit, "bytes");
	uint64_t scale = in_bytes ? MIB : 1;
	const char *unit = in_bytes ? "MiB" : p->unit;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (event == PROGRESS_ADVANCE && seconds_between(&last, &now) < SHOW_SECONDS)
		return;
	last = now;
	if (event == PROGRESS_BEGIN)
		fprintf(p->out, "%s ...\n", p->stage);
	else if (event == PROGRESS_END)
		fprintf(p->out, "%s: %" PRIu64 " %s in %.1f s\n", p->stage, p->done / scale, unit,
			p->seconds);
	else if (p->total > 0)
		fprintf(p->out, "%s: %" PRIu64 " of %" PRIu64 " %s, %" PRIu64 " %%, %.0f s\n",
			p->stage, p->done / scale, p->total / scale, unit,
			MIN(p->done, p->total) * 100 / p->total, p->seconds);
}

/* So that nothing gets between our lines. */
static void quiet_others(void)
{
	if (kill(1, STATUS_OFF) < 0)
		log_debug("init: %s", strerror(errno));
	if (klogctl(ACTION_CONSOLE_LEVEL, NULL, LEVEL_ERRORS) < 0)
		log_debug("klogctl: %s", strerror(errno));
}

static void settle(void)
{
	autocmd c = {0};
	struct err e = {0};

	if (!cmd_exists("udevadm"))
		return;
	cmd_add(&c, "udevadm", "settle", "--timeout=" SETTLE_SECONDS, NULL);
	if (cmd_run(&c, &e) < 0)
		log_warning("some devices are not ready yet: %s", e.msg);
}

static int write_legacy(const struct strv *words, struct err *e)
{
	autoinventory inv = {0};
	autofree char *text = NULL;
	int r = inventory_read(&inv, e);

	if (r == 0)
		r = legacy_kickstart(words, &inv, &text, e);
	if (r == 0)
		r = file_make_folder(FOLDER, 0700, e);
	return r < 0 ? r : file_replace(LEGACY_PATH, text, strlen(text), 0600, e);
}

/* *where is NULL when there is none. */
static int find_kickstart(
	const struct request *req, const struct strv *words, const char **where, struct err *e)
{
	*where = req->kickstart;
	/* On a medium it says how to install: after an uninstall it would be carried out next. */
	if (req->kickstart || req->kind == REQUEST_UNINSTALL)
		return 0;
	*where = legacy_is_wanted(words) ? LEGACY_PATH : "medium";
	return legacy_is_wanted(words) ? write_legacy(words, e) : 0;
}

static int run_install(const struct request *req, const struct strv *words, FILE *out,
	enum install_end *end, struct err *e)
{
	struct progress p;
	struct install_spec spec = {
		.mode = req->kind == REQUEST_UNINSTALL   ? INSTALL_REMOVE
			: req->kind == REQUEST_REINSTALL ? INSTALL_AGAIN
							 : INSTALL_NEW,
		.yes = true,
		.out = out,
		.log_path = INSTALL_LOG_PATH,
	};
	int r;

	r = find_kickstart(req, words, &spec.kickstart, e);
	if (r < 0)
		return r;
	progress_init_text(&p, out);
	p.show = show;
	return install_run(&spec, &p, end, e);
}

/*
 * Who has started the medium stands in front of the machine: that it is not signed stops nobody unless the
 * medium itself says who may sign.  The history of the node tells.
 */
static int run_upgrade(const struct request *req, FILE *out, enum install_end *end, struct err *e)
{
	const struct upgrade_spec spec = {
		.from.unsigned_ok = !liveimg_has_trust(),
		.yes = true,
	};
	autoupgradeplan plan = {0};
	struct progress p;

	if (req->kickstart)
		log_warning("an upgrade needs no kickstart: '%s' is not read", req->kickstart);
	progress_init_text(&p, out);
	p.show = show;
	int r = upgrade_run(&spec, &plan, &p, e);
	if (r < 0)
		return r;
	autofree char *text = upgrade_plan_text(&plan);
	fputs(text, out);
	if (plan.already)
		fprintf(out, "bedplate: %s-%s is on this node already\n", plan.new_name,
			plan.new_version);
	else
		fprintf(out, "bedplate: upgraded to %s-%s, on trial at the next start\n",
			plan.new_name, plan.new_version);
	*end = INSTALL_REBOOT;
	return 0;
}

static int end_system(struct consoles *c, enum install_end end, struct err *e)
{
	static const char *const verbs[] = {
		[INSTALL_STAY] = "reboot",
		[INSTALL_REBOOT] = "reboot",
		[INSTALL_POWEROFF] = "poweroff",
		[INSTALL_HALT] = "halt",
	};
	autocmd cmd = {0};

	if (end == INSTALL_STAY) {
		fputs("Press Enter to restart the machine.\n", consoles_stream(c));
		int r = consoles_wait_enter(c, e);

		if (r < 0)
			return r;
	}
	cmd_add(&cmd, "systemctl", "--no-block", verbs[end], NULL);
	return cmd_run(&cmd, e);
}

static int carry_out(
	const struct request *req, const struct strv *words, struct consoles *c, struct err *e)
{
	enum install_end end = INSTALL_STAY;
	struct err own = {0};

	fprintf(consoles_stream(c), "\nbedplate: %s\n", request_name(req->kind));
	settle();
	int r = req->kind == REQUEST_UPGRADE ? run_upgrade(req, consoles_stream(c), &end, e)
					     : run_install(req, words, consoles_stream(c), &end, e);
	/* What was done stays done. */
	if (r == 0 && end_system(c, end, &own) < 0)
		log_warning("restart the machine by hand: %s", own.msg);
	return r;
}

int boot_install(struct err *e)
{
	autoptr(consoles) c = NULL;
	autofree char *cmd_line = NULL;
	autostrv words = {0};
	struct request req = {0};
	int r = cmd_line_read(&cmd_line, e);

	if (r < 0)
		return r;
	cmd_line_split(cmd_line, &words);
	r = request_parse(&words, &req, e);
	if (r == 0 && req.kind == REQUEST_NONE)
		return 0;
	c = consoles_open();
	/* They end up in the journal with the rest of what the consoles get. */
	if (log_get_level() == LOG_LEVEL_NORMAL)
		log_set_level(LOG_LEVEL_QUIET);
	log_add_copy(consoles_stream(c), LOG_LEVEL_NORMAL);
	quiet_others();
	if (r == 0)
		r = carry_out(&req, &words, c, e);
	log_drop_copy(consoles_stream(c));
	if (r < 0)
		fprintf(consoles_stream(c), "bedplate: %s failed: %s\n",
			request_name(req.kind ? req.kind : REQUEST_INSTALL), e->msg);
	return r;
}
