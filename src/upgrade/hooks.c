/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/hooks.h"

#include <ctype.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cmd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"

#define HOOK_FOLDER  "/etc/bedplate/hooks.d"
#define HOOK_SECONDS 600

/* What editors and dpkg leave beside a file is none. */
static bool is_name(const char *name)
{
	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("._-", *p))
			return false;
	return !strstr(name, ".dpkg-") && name[0] != '.';
}

/* Whoever can change it could have anything run as us. */
static int check_owner(const char *path, const struct stat *st, struct err *e)
{
	if (st->st_uid == geteuid() && !(st->st_mode & (S_IWGRP | S_IWOTH)))
		return 0;
	return err_set(e, EPERM,
		"'%s' belongs to user %u and has mode %04o, expected user %u and nobody else with "
		"write access",
		path, st->st_uid, st->st_mode & 07777, geteuid());
}

static int check_folder(const char *path, struct err *e)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return err_errno(e, "'%s'", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "'%s' is no folder", path);
	return check_owner(path, &st, e);
}

struct last_line {
	char *text;
};

static void take_line(void *ctx, const char *line)
{
	struct last_line *last = ctx;

	log_info("%s", line);
	if (line[0]) {
		free(last->text);
		last->text = xstrdup(line);
	}
}

static int run_hook(
	const char *path, unsigned seconds, const struct hook_event *event, struct err *e)
{
	struct last_line last = {0};
	struct err why = {0};
	/* Beside our own messages: a terminal, or the journal. */
	autocmd c = {.timeout_seconds = seconds,
		.log_fd = STDERR_FILENO,
		.cwd = "/",
		.on_line = take_line,
		.on_line_ctx = &last};

	cmd_add(&c, path, NULL);
	cmd_env(&c, "BEDPLATE_EVENT=%s", event->name);
	cmd_env(&c, "BEDPLATE_FROM=%s", event->from ? event->from : "");
	cmd_env(&c, "BEDPLATE_TO=%s", event->to ? event->to : "");
	int r = cmd_run(&c, &why);
	autofree char *text = take_ptr(last.text);
	if (r == 0)
		return 0;
	/* It may have said why on stdout. */
	bool more = text && !strstr(why.msg, text);
	return err_set(e, r == -EINTR ? EINTR : EPERM, "%s hook %s%s%s", event->name, why.msg,
		more ? ": " : "", more ? text : "");
}

static int run_named(const char *folder, const char *name, unsigned seconds,
	const struct hook_event *event, struct err *e)
{
	autofree char *path = xasprintf("%s/%s", folder, name);
	struct stat st;

	if (!is_name(name))
		return 0;
	if (lstat(path, &st) < 0)
		return err_errno(e, "'%s'", path);
	if (!S_ISREG(st.st_mode) || !(st.st_mode & S_IXUSR)) {
		log_debug("'%s' is no executable file: left out", path);
		return 0;
	}
	int r = check_owner(path, &st, e);
	return r < 0 ? r : run_hook(path, seconds, event, e);
}

int hooks_run_in(
	const char *folder, unsigned seconds, const struct hook_event *event, struct err *e)
{
	autofree char *events = xasprintf("%s/%s", folder, event->name);
	autostrv names = {0};
	struct err why = {0};
	int r = file_list(events, &names, &why);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return err_set(e, -r, "%s", why.msg);
	r = check_folder(folder, e);
	if (r == 0)
		r = check_folder(events, e);
	for (size_t i = 0; r == 0 && i < names.count; i++)
		r = run_named(events, names.items[i], seconds, event, e);
	return r;
}

int hooks_run(const struct hook_event *event, struct err *e)
{
	return hooks_run_in(HOOK_FOLDER, HOOK_SECONDS, event, e);
}
