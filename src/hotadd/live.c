/* SPDX-License-Identifier: Apache-2.0 */
#include "hotadd/live.h"

#include <errno.h>

#include "base/cmd.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "hotadd/lines.h"

#define TIMEOUT_SECONDS 120

void live_fini(struct live *l)
{
	strv_fini(&l->temporary);
}

static bool is_of_units(const char *path)
{
	return str_starts(path, "etc/systemd/system/") ||
		str_starts(path, "usr/lib/systemd/system/");
}

void live_look(const struct changes *c, struct live *l)
{
	for (size_t i = 0; i < c->count; i++) {
		const char *path = c->items[i].en->path;

		l->units |= is_of_units(path);
		l->rules |= str_eq(path, LINES_RULES);
		if (str_starts(path, "usr/lib/tmpfiles.d/") && str_ends(path, ".conf") &&
			c->items[i].kind != CHANGE_REMOVED)
			strv_add(&l->temporary, tree_entry_name(c->items[i].en));
	}
}

static int run(struct cmd *c, struct err *e)
{
	c->timeout_seconds = TIMEOUT_SECONDS;
	return cmd_run(c, e);
}

static int systemctl(const char *verb, const struct strv *units, bool no_block, struct err *e)
{
	autocmd c = {0};

	cmd_add(&c, "systemctl", "--quiet", verb, NULL);
	if (no_block)
		cmd_add(&c, "--no-block", NULL);
	if (units) {
		cmd_add(&c, "--", NULL);
		strv_add_all(&c.argv, units);
	}
	return run(&c, e);
}

static int load_rules(struct err *e)
{
	autocmd c = {0};

	cmd_add(&c, "nft", "--file", "/" LINES_RULES, NULL);
	return run(&c, e);
}

int live_check(const struct live *l, struct err *e)
{
	autocmd c = {0};

	if (!l->on || !l->rules || !cmd_exists("nft"))
		return 0;
	cmd_add(&c, "nft", "--check", "--file", "/" LINES_RULES, NULL);
	return run(&c, e);
}

int live_is_active(const struct live *l, const char *service, struct err *e)
{
	autocmd c = {.timeout_seconds = TIMEOUT_SECONDS};
	struct err own = {0};

	if (!l->on)
		return 0;
	cmd_add(&c, "systemctl", "--quiet", "is-active", "--", service, NULL);
	int r = cmd_run(&c, &own);
	if (r == 0)
		return 1;
	/* Any status means that it does not run, as one of a unit that is not there yet. */
	return r == -EPROTO ? 0 : err_set(e, -r, "%s", own.msg);
}

static int make_temporary(const struct live *l, struct err *e)
{
	autocmd c = {0};

	if (l->temporary.count == 0 || !cmd_exists("systemd-tmpfiles"))
		return 0;
	cmd_add(&c, "systemd-tmpfiles", "--create", "--", NULL);
	strv_add_all(&c.argv, &l->temporary);
	return run(&c, e);
}

int live_start(const struct live *l, const struct strv *services, struct strv *notes, struct err *e)
{
	int r = 0;

	if (!l->on) {
		if (services->count > 0)
			strv_add(notes, "systemd does not run here: no service was started");
		return 0;
	}
	if (l->units)
		r = systemctl("daemon-reload", NULL, false, e);
	if (r == 0)
		r = make_temporary(l, e);
	if (r == 0 && l->rules && !cmd_exists("nft"))
		strv_add(notes,
			"there is no nft here: the rules in /" LINES_RULES " are not in force");
	else if (r == 0 && l->rules)
		r = load_rules(e);
	if (r == 0 && services->count > 0)
		r = systemctl("start", services, l->boots, e);
	return r;
}

void live_stop(const struct live *l, const struct strv *services)
{
	struct err e = {0};

	if (!l->on || services->count == 0)
		return;
	interrupt_defer();
	if (systemctl("stop", services, false, &e) < 0)
		log_warning("%s", e.msg);
	interrupt_resume();
}

void live_reload(const struct live *l)
{
	struct err e = {0};

	if (!l->on)
		return;
	interrupt_defer();
	if (l->units && systemctl("daemon-reload", NULL, false, &e) < 0)
		log_warning("%s", e.msg);
	if (l->rules && cmd_exists("nft") && load_rules(&e) < 0)
		log_warning("%s", e.msg);
	interrupt_resume();
}
