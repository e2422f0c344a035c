/* SPDX-License-Identifier: Apache-2.0 */
#include "hotadd/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "hotadd/live.h"

static const char *const stamped[RUN_STAMPS] = {
	"etc/passwd",
	"etc/group",
	"etc/shadow",
	"etc/gshadow",
	"etc/subuid",
	"etc/subgid",
	"etc/nftables.conf",
	"etc/ld.so.cache",
	"var/lib/dpkg/status",
};

void run_fini(struct run *r)
{
	int *const fds[] = {&r->log_fd, &r->dpkg_fd, &r->frontend_fd};

	delta_fini(&r->delta);
	stage_close(&r->stage);
	plugin_records_fini(&r->records);
	view_fini(&r->view);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		if (*fds[i] > 0)
			close(*fds[i]);
}

/* As dpkg and apt hold them.  0: there is no such file, and nobody to wait for. */
static int lock(int root_fd, const char *path, struct err *e)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct err own = {0};
	autofd int fd = file_open_in_root(root_fd, path, O_RDWR | O_NOFOLLOW, 0, &own);

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return err_set(e, -fd, "%s", own.msg);
	if (fcntl(fd, F_OFD_SETLK, &whole) < 0)
		return errno == EAGAIN || errno == EACCES
			? err_set(e, EBUSY, "packages are being changed: '%s' is locked", path)
			: err_errno(e, "'%s'", path);
	return take_fd(&fd);
}

static void read_stamps(const struct run *r, struct run *out)
{
	for (size_t i = 0; i < RUN_STAMPS; i++) {
		autofd int fd = file_open_in_root(r->site->root_fd, stamped[i], O_PATH, 0, NULL);
		struct stat st;

		out->stamps[i].there = fd >= 0 && fstat(fd, &st) == 0;
		if (!out->stamps[i].there)
			continue;
		out->stamps[i].inode = st.st_ino;
		out->stamps[i].changed_ns = (int64_t)st.st_ctim.tv_sec * 1000000000 +
			st.st_ctim.tv_nsec;
	}
}

static int check_stamps(const struct run *r, struct err *e)
{
	struct run now = {0};

	read_stamps(r, &now);
	for (size_t i = 0; i < RUN_STAMPS; i++)
		if (now.stamps[i].there != r->stamps[i].there ||
			now.stamps[i].inode != r->stamps[i].inode ||
			now.stamps[i].changed_ns != r->stamps[i].changed_ns)
			return err_set(e, ESTALE,
				"somebody else has changed '/%s' meanwhile: try "
				"again",
				stamped[i]);
	return 0;
}

int run_begin(struct run *r, struct err *e)
{
	/* What programs say is for who wants to know. */
	r->log_fd = log_get_level() >= LOG_LEVEL_INFO ? fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)
						      : open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (r->log_fd < 0)
		return err_errno(e, "log");
	r->frontend_fd = lock(r->site->root_fd, "/var/lib/dpkg/lock-frontend", e);
	if (r->frontend_fd < 0)
		return r->frontend_fd;
	r->dpkg_fd = lock(r->site->root_fd, "/var/lib/dpkg/lock", e);
	if (r->dpkg_fd < 0)
		return r->dpkg_fd;
	view_begin(&r->view, r->site->root_fd);
	read_stamps(r, r);
	return 0;
}

int run_view(struct run *r, const struct plugin_manifest *m, struct err *e)
{
	static const char *const folders[] = {PLUGIN_RECORDS, "etc/dpkg/dpkg.cfg.d"};
	static const char *const files[] = {"var/lib/dpkg/status", "usr/lib/bedplate/dpkg/status"};
	const struct strv *const lists[] = {&m->writes, &m->state};
	int end = 0;

	for (size_t i = 0; end == 0 && i < ARRAY_LEN(folders); i++)
		end = view_add_folder(&r->view, folders[i], e);
	for (size_t i = 0; end == 0 && i < ARRAY_LEN(files); i++)
		end = view_add(&r->view, files[i], e);
	for (size_t k = 0; k < ARRAY_LEN(lists); k++)
		for (size_t i = 0; end == 0 && i < lists[k]->count; i++)
			end = view_add(&r->view, lists[k]->items[i], e);
	return end;
}

int run_open_stage(struct run *r, struct plugin_place *place, struct err *e)
{
	int end = stage_open(r->site->root_fd, r->site->root, &r->stage, e);

	*place = (struct plugin_place){
		.tree_path = r->stage.tree,
		.root_fd = r->stage.tree_fd,
		.source_date = time(NULL),
		.log_fd = r->log_fd,
		.on_node = true,
	};
	return end;
}

static bool is_kept(const struct undo_list *kept, const char *path)
{
	for (size_t i = 0; kept && i < kept->count; i++)
		if (str_eq(kept->items[i].path, path))
			return true;
	return false;
}

static int check_change(const struct run *r, const struct change *c, struct err *e)
{
	const char *path = c->en->path;
	const char *owner = NULL;

	if (is_kept(r->kept, path))
		return 0;
	if (!plugin_path_is_common(path) && !S_ISDIR(c->en->mode) &&
		(c->kind != CHANGE_CHANGED || !plugin_path_is_of_accounts(path)))
		owner = plugin_records_owner(&r->records, path);
	if (owner && str_eq(owner, r->plan->name))
		owner = NULL;
	return plugin_policy_check(r->policy, c, owner, e);
}

int run_judge(struct run *r, struct err *e)
{
	struct changes *c = &r->delta.changes;

	delta_fini(&r->delta);
	int end = delta_find(&r->stage, &r->delta, e);
	for (size_t i = 0; end == 0 && i < c->count; i++)
		end = check_change(r, &c->items[i], e);
	r->plan->files = c->count;
	r->plan->bytes = end == 0 ? transaction_bytes(&r->delta) : 0;
	return end;
}

static int check_room(const struct run *r, struct err *e)
{
	struct statvfs st;

	if (fstatvfs(r->site->root_fd, &st) < 0)
		return err_errno(e, "room");
	uint64_t free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
	autofree char *needed_text = str_bytes(r->plan->bytes);
	autofree char *free_text = str_bytes(free_bytes);

	if (r->plan->bytes > free_bytes)
		return err_set(e, ENOSPC, "'/': %s needed, %s free", needed_text, free_text);
	return 0;
}

static int take_back(const struct run *r, const struct live *live, struct err *e)
{
	const struct strv *services = &r->plan->services;
	autoundolist u = {0};
	autostrv notes = {0};
	struct err own = {0};

	interrupt_defer();
	if (!r->plan->removes)
		live_stop(live, services);
	int end = transaction_pending(r->site->root_fd, &u, &own);
	if (end > 0)
		end = transaction_undo(r->site->root_fd, &u, &own);
	live_reload(live);
	if (end == 0 && r->plan->removes && live_start(live, services, &notes, &own) < 0) {
		log_warning("%s", own.msg);
		own = (struct err){0};
	}
	interrupt_resume();
	if (end < 0) {
		struct err first = *e;

		return err_set(e, first.code,
			"%s; and it could not be taken back (%s): 'nodectl plugin list' tries again",
			first.msg, own.msg);
	}
	return -e->code;
}

/* One place that is declared, and the folders on its way. */
static void add_missing(const struct run *r, const char *declared, struct strv *out)
{
	autofree char *real = plugin_real_path(r->view.tree, declared, str_ends(declared, "/"));

	for (char *end = real ? real + strlen(real) : NULL; end && end > real;) {
		*end = '\0';
		if (!tree_find(r->view.tree, real) && !strv_has(out, real))
			strv_add(out, real);
		end = strrchr(real, '/');
	}
}

static void list_missing(const struct run *r, struct strv *out)
{
	for (size_t i = 0; r->manifest && i < r->manifest->writes.count; i++)
		add_missing(r, r->manifest->writes.items[i], out);
	for (size_t i = 0; r->manifest && i < r->manifest->state.count; i++)
		add_missing(r, r->manifest->state.items[i], out);
}

static int change(
	const struct run *r, const struct transaction *t, const struct live *live, struct err *e)
{
	int end = transaction_apply(t, e);

	if (end == 0 && r->plan->removes)
		live_reload(live);
	else if (end == 0)
		end = live_start(live, &r->plan->services, &r->plan->notes, e);
	if (end == 0)
		end = interrupt_check(e);
	return end == 0 ? transaction_commit(t, !r->plan->removes, e) : end;
}

int run_carry_out(struct run *r, const struct strv *packages, struct err *e)
{
	autolive live = {.on = r->site->live};
	autostrv missing = {0};
	int end = 0;

	/* What runs writes to its files as long as it does. */
	if (r->plan->removes) {
		live_stop(&live, &r->plan->services);
		end = run_judge(r, e);
	}
	list_missing(r, &missing);
	const struct transaction t = {
		.root_fd = r->site->root_fd,
		.stage = &r->stage,
		.delta = &r->delta,
		.operation = r->plan->removes ? "remove" : "add",
		.plugin = r->plan->name,
		.missing = missing,
		.services = r->plan->services,
		.packages = *packages,
		.step = r->site->step,
		.ctx = r->site->ctx,
	};
	if (end == 0)
		end = check_stamps(r, e);
	if (end == 0)
		end = check_room(r, e);
	if (end == 0)
		end = transaction_begin(&t, e);
	if (end < 0 && !r->plan->removes)
		return end;
	if (end == 0) {
		live_look(&r->delta.changes, &live);
		end = change(r, &t, &live, e);
	}
	return end < 0 ? take_back(r, &live, e) : 0;
}

int hotadd_recover(const struct hotadd_site *s, char **what, struct err *e)
{
	autoundolist u = {0};
	const struct live live = {.on = s->live, .units = true, .rules = true};
	int r = stage_drop_leftovers(s->root, e);

	if (r == 0)
		r = transaction_pending(s->root_fd, &u, e);
	if (r <= 0)
		return r < 0 ? r : transaction_tidy(s->root_fd, e);
	autofree char *text = xasprintf(
		"%s plugin '%s'", str_eq(u.operation, "add") ? "adding" : "removing", u.plugin);
	if (str_eq(u.operation, "add"))
		live_stop(&live, &u.services);
	r = transaction_undo(s->root_fd, &u, e);
	if (r < 0)
		return err_wrap(e, r, "taking back what was cut off, %s", text);
	live_reload(&live);
	*what = take_ptr(text);
	return 1;
}
