/* SPDX-License-Identifier: Apache-2.0 */
#include "image/scripts.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/cmd.h"
#include "base/file.h"
#include "base/io.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "image/intree.h"
#include "ks/model.h"
#include "sys/chroot.h"

/* A script that waits for an answer would wait for ever. */
#define TIMEOUT_SECONDS (6 * 3600)

static bool is_inside(const struct scripts_env *run, const struct ks_script *s)
{
	return run->is_plugin || (s->kind == KS_POST && !s->nochroot);
}

/* For --log; ctx: its descriptor.  The stage's log gets the output as well. */
static void log_line(void *ctx, const char *line)
{
	const int *fd = ctx;
	autofree char *text = xasprintf("%s\n", line);
	struct err e = {0};

	/* A full disk shows up when the tree is written; the script's own fate comes first. */
	if (io_write(*fd, text, strlen(text), &e) < 0)
		log_debug("--log: %s", e.msg);
}

static int open_log(const struct scripts_env *run, const struct ks_script *s, struct err *e)
{
	if (is_inside(run, s)) {
		autofd int root = open(run->tree_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		int r = root < 0 ? err_errno(e, "'%s'", run->tree_path)
				 : intree_write(root, s->log, "", 0600, e);

		return r < 0 ? r : file_open_in_root(root, s->log, O_WRONLY | O_APPEND, 0, e);
	}
	int fd = open(s->log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	return fd < 0 ? err_errno(e, "'%s'", s->log) : fd;
}

/* The script as a file that its interpreter opens by name. */
static int write_script(int root_fd, const char *path, const struct ks_script *s, struct err *e)
{
	autofd int fd = file_open_in_root(
		root_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0700, e);

	if (fd < 0)
		return fd;
	return io_write(fd, s->body, s->body_len, e);
}

/* An interpreter may have arguments: --interpreter="/usr/bin/python3 -u". */
static void add_interpreter(struct cmd *c, const struct ks_script *s)
{
	autofree char *copy = xstrdup(s->interpreter);
	char *rest = copy;

	for (char *word; (word = str_next_word(&rest, " \t"));)
		cmd_add(c, word, NULL);
}

static int run_command(
	const struct scripts_env *run, const struct ks_script *s, struct cmd *c, struct err *e)
{
	autofd int log = s->log ? open_log(run, s, e) : -1;

	if (s->log && log < 0)
		return log;
	c->log_fd = run->log_fd;
	c->timeout_seconds = TIMEOUT_SECONDS;
	c->on_line = s->log ? log_line : NULL;
	c->on_line_ctx = &log;
	return cmd_run(c, e);
}

static void add_date(struct cmd *c, const struct scripts_env *run)
{
	if (run->source_date != 0)
		cmd_env(c, "SOURCE_DATE_EPOCH=%lld", (long long)run->source_date);
}

static int run_inside(const struct scripts_env *run, const struct ks_script *s, struct err *e)
{
	static const char path[] = "/run/ks-script";
	autoptr(chroot) root = NULL;
	autocmd c = {0};
	autofd int root_fd = open(run->tree_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = root_fd < 0    ? err_errno(e, "'%s'", run->tree_path)
		: run->on_node ? chroot_open_with_devices(run->tree_path, &root, e)
			       : chroot_open(run->tree_path, &root, e);

	if (r == 0)
		r = write_script(root_fd, path, s, e);
	if (r < 0)
		return r;
	if (run->guarded)
		chroot_cmd_init_guarded(root, &c);
	else
		chroot_cmd_init(root, &c);
	add_date(&c, run);
	add_interpreter(&c, s);
	cmd_add(&c, path, NULL);
	return run_command(run, s, &c, e);
}

static int run_outside(const struct scripts_env *run, const struct ks_script *s, struct err *e)
{
	char folder[] = "/tmp/bedplate-script-XXXXXX";
	autocmd c = {0};

	if (!mkdtemp(folder))
		return err_errno(e, "'%s'", folder);
	autofree char *path = xasprintf("%s/ks-script", folder);
	autofd int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? err_errno(e, "'%s'", folder) : write_script(fd, "ks-script", s, e);

	if (r == 0) {
		chroot_cmd_init_outside(&c);
		c.kill_at_once = true;
		if (run->tree_path) {
			cmd_env(&c, "INSTALL_ROOT=%s", run->tree_path);
			cmd_env(&c, "ANA_INSTALL_PATH=%s", run->tree_path);
			add_date(&c, run);
		}
		add_interpreter(&c, s);
		cmd_add(&c, path, NULL);
		r = run_command(run, s, &c, e);
	}
	if (file_remove_tree(folder, NULL) < 0)
		log_debug("'%s' stays behind", folder);
	return r;
}

static int judge(const struct scripts_env *run, const struct ks_script *s, int r, struct err *e)
{
	static const char wrapper[] = "unshare: "; /* how we run it is no part of what went wrong */

	if (r == 0)
		return 0;
	if (str_starts(e->msg, wrapper))
		memmove(e->msg, e->msg + strlen(wrapper), strlen(e->msg + strlen(wrapper)) + 1);
	/* The user wants an end, or the disk is full: no fault of the script. */
	if (r == -EINTR || r == -ENOSPC || s->erroronfail || run->is_plugin)
		return err_wrap(
			e, r, "%s:%u: %s script failed", s->file, s->line, ks_script_name(s->kind));
	log_warning(
		"%s:%u: %s script failed: %s", s->file, s->line, ks_script_name(s->kind), e->msg);
	if (run->log_fd > 0)
		dprintf(run->log_fd, "warning: %s:%u: %s script failed: %s\n", s->file, s->line,
			ks_script_name(s->kind), e->msg);
	*e = (struct err){0};
	return 0;
}

static int run_one(const struct scripts_env *run, const struct ks_script *s, struct err *e)
{
	struct err own = {0};
	int r;

	log_info("%s:%u: %s", s->file, s->line, ks_script_name(s->kind));
	if (run->log_fd > 0)
		dprintf(run->log_fd, "%s:%u: %s\n", s->file, s->line, ks_script_name(s->kind));
	r = is_inside(run, s) ? run_inside(run, s, &own) : run_outside(run, s, &own);
	r = judge(run, s, r, &own);
	return r < 0 ? err_set(e, -r, "%s", own.msg) : 0;
}

int scripts_count_pre(const struct ks_doc *doc)
{
	int count = 0;

	for (size_t i = 0; i < ks_script_count(doc); i++)
		count += ks_script_at(doc, i)->kind == KS_PRE;
	return count;
}

int scripts_run(const struct ks_doc *doc, enum ks_script_kind kind, const struct scripts_env *env,
	struct progress *p, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ks_script_count(doc); i++) {
		if (ks_script_at(doc, i)->kind != kind)
			continue;
		r = run_one(env, ks_script_at(doc, i), e);
		if (r == 0 && p)
			r = progress_advance(p, p->done + 1, e);
	}
	return r;
}

int scripts_run_pre(const struct ks_doc *doc, int log_fd, struct err *e)
{
	return scripts_run(doc, KS_PRE, &(struct scripts_env){.log_fd = log_fd}, NULL, e);
}
