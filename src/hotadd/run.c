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
#include "hotadd/lines.h"
#include "hotadd/live.h"

#define FRONTEND_LOCK    "/var/lib/dpkg/lock-frontend"
#define DPKG_LOCK        "/var/lib/dpkg/lock"
#define ACCOUNTS_LOCK    "/etc/.pwd.lock"
#define ACCOUNTS_TRIES   75 /* 15 seconds */
#define ACCOUNTS_WAIT_NS 200000000L
#define RESERVE_BYTES    (16 * MIB) /* for what runs, and more than a layer needs to boot */

static const char *const stamped[RUN_STAMPS] = {
	"etc/passwd",
	"etc/group",
	"etc/shadow",
	"etc/gshadow",
	"etc/subuid",
	"etc/subgid",
	LINES_RULES,
	"etc/ld.so.cache",
	"var/lib/dpkg/status",
};

static void unlock(int *fd)
{
	if (*fd > 0)
		close(*fd);
	*fd = 0;
}

void run_fini(struct run *r)
{
	int *const fds[] = {&r->log_fd, &r->dpkg_fd, &r->frontend_fd, &r->accounts_fd};

	delta_fini(&r->delta);
	stage_close(&r->stage);
	plugin_records_fini(&r->records);
	view_fini(&r->view);
	strv_fini(&r->services);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		unlock(fds[i]);
}

/* As dpkg and apt hold them, and make them.  0: there is no folder for it, and nobody to wait for. */
static int lock(int root_fd, const char *path, struct err *e)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct err own = {0};
	autofd int fd = file_open_in_root(root_fd, path, O_RDWR | O_CREAT | O_NOFOLLOW, 0640, &own);

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return err_set(e, -fd, "%s", own.msg);
	if (fcntl(fd, F_OFD_SETLK, &whole) < 0)
		return errno == EAGAIN || errno == EACCES
			? err_set(e, EBUSY, "%s are being changed: '%s' is locked",
				  str_eq(path, ACCOUNTS_LOCK) ? "accounts" : "packages", path)
			: err_errno(e, "'%s'", path);
	return take_fd(&fd);
}

/* As lckpwdf(3) waits, which knows this machine's only. */
static int lock_accounts(int root_fd, struct err *e)
{
	for (unsigned i = 0;; i++) {
		struct err own = {0};
		int fd = lock(root_fd, ACCOUNTS_LOCK, &own);

		if (fd >= 0)
			return fd;
		if (fd != -EBUSY || i >= ACCOUNTS_TRIES)
			return err_set(e, -fd, "%s", own.msg);
		nanosleep(&(struct timespec){.tv_nsec = ACCOUNTS_WAIT_NS}, NULL);
		int r = interrupt_check(e);
		if (r < 0)
			return r;
	}
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
	r->frontend_fd = lock(r->site->root_fd, FRONTEND_LOCK, e);
	if (r->frontend_fd < 0)
		return r->frontend_fd;
	r->dpkg_fd = lock(r->site->root_fd, DPKG_LOCK, e);
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
	if (end < 0)
		return end;
	const struct transaction_room room = transaction_room(
		&r->stage, &r->delta, !r->plan->removes);
	r->plan->bytes = room.root_bytes + room.var_bytes;
	return end;
}

static int check_free(int fd, const char *path, uint64_t needed_bytes, bool reserve, struct err *e)
{
	struct statvfs st;

	if (fstatvfs(fd, &st) < 0)
		return err_errno(e, "room");
	uint64_t free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
	uint64_t size_bytes = (uint64_t)st.f_blocks * st.f_frsize;
	/* Of a small one a part of it. */
	if (reserve)
		needed_bytes += MIN(RESERVE_BYTES, size_bytes / 16);
	autofree char *needed_text = str_bytes(needed_bytes);
	autofree char *free_text = str_bytes(free_bytes);

	if (needed_bytes > free_bytes)
		return err_set(e, ENOSPC, "'%s': %s needed, %s free", path, needed_text, free_text);
	return 0;
}

static int check_room(const struct run *r, struct err *e)
{
	const struct transaction_room room = transaction_room(
		&r->stage, &r->delta, !r->plan->removes);
	/* Who removes wants more room. */
	bool reserve = !r->plan->removes;
	int end = check_free(r->site->root_fd, "/", room.root_bytes, reserve, e);

	if (end < 0 || room.var_bytes == 0)
		return end;
	autofd int var_fd = file_open_in_root(
		r->site->root_fd, "/var", O_RDONLY | O_DIRECTORY, 0, e);
	return var_fd < 0 ? var_fd : check_free(var_fd, "/var", room.var_bytes, reserve, e);
}

static void say_left(const struct strv *left)
{
	for (size_t i = 0; i < left->count; i++)
		log_warning("%s", left->items[i]);
}

/* Since the lock of the accounts was given up others may have changed those. */
static int undo_own(struct run *r, const struct undo_list *u, struct err *e)
{
	autostrv left = {0};
	const struct undo_spec spec = {.late_texts = r->accounts_fd <= 0, .left = &left};

	if (spec.late_texts)
		r->accounts_fd = lock_accounts(r->site->root_fd, e);
	if (r->accounts_fd < 0)
		return r->accounts_fd;
	int end = transaction_undo(r->site->root_fd, u, &spec, e);
	say_left(&left);
	unlock(&r->accounts_fd);
	return end;
}

static int take_back(struct run *r, const struct live *live, struct err *e)
{
	autoundolist u = {0};
	autostrv notes = {0};
	struct err own = {0};

	interrupt_defer();
	if (!r->plan->removes)
		live_stop(live, &r->services);
	int end = transaction_pending(r->site->root_fd, &u, &own);
	if (end > 0)
		end = undo_own(r, &u, &own);
	live_reload(live);
	if (end == 0 && r->plan->removes && live_start(live, &r->services, &notes, &own) < 0) {
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

static bool is_at_or_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* One place that is declared, and the folders on its way. */
static void add_missing(
	const struct run *r, const char *declared, struct strv *missing, struct strv *ways)
{
	autofree char *real = plugin_real_path(r->view.tree, declared, str_ends(declared, "/"));
	struct strv *out = missing;

	for (char *end = real ? real + strlen(real) : NULL; end && end > real;) {
		*end = '\0';
		if (!tree_find(r->view.tree, real) && !strv_has(out, real))
			strv_add(out, real);
		end = strrchr(real, '/');
		out = ways;
	}
}

static void list_missing(const struct run *r, struct strv *missing, struct strv *ways)
{
	autostrv all = {0};

	for (size_t i = 0; r->manifest && i < r->manifest->writes.count; i++)
		add_missing(r, r->manifest->writes.items[i], missing, &all);
	for (size_t i = 0; r->manifest && i < r->manifest->state.count; i++)
		add_missing(r, r->manifest->state.items[i], missing, &all);
	/* One that is declared itself, or in one that is, is the plugin's. */
	for (size_t i = 0; i < all.count; i++) {
		bool own = false;

		for (size_t k = 0; k < missing->count; k++)
			own |= is_at_or_below(all.items[i], missing->items[k]);
		if (!own)
			strv_add(ways, all.items[i]);
	}
}

static int change(
	struct run *r, const struct transaction *t, const struct live *live, struct err *e)
{
	int end = transaction_apply(t, e);

	/* Services may want to change them. */
	if (end == 0)
		unlock(&r->accounts_fd);
	if (end == 0 && r->plan->removes) {
		end = live_check(live, e);
		if (end == 0)
			live_reload(live);
	} else if (end == 0) {
		end = live_start(live, &r->plan->services, &r->plan->notes, e);
	}
	if (end == 0)
		end = interrupt_check(e);
	return end == 0 ? transaction_commit(t, !r->plan->removes, e) : end;
}

/* Which of the services an undo has to stop, or to start. */
static int choose_services(struct run *r, const struct live *live, struct err *e)
{
	const struct strv *all = &r->plan->services;

	for (size_t i = 0; i < all->count; i++) {
		int active = live_is_active(live, all->items[i], e);

		if (active < 0)
			return active;
		if (!live->on || active == r->plan->removes)
			strv_add(&r->services, all->items[i]);
	}
	return 0;
}

static int begin_change(struct run *r, const struct transaction *t, struct err *e)
{
	int end;

	r->accounts_fd = lock_accounts(r->site->root_fd, e);
	if (r->accounts_fd < 0)
		return r->accounts_fd;
	end = check_stamps(r, e);
	if (end == 0)
		end = check_room(r, e);
	return end == 0 ? transaction_begin(t, e) : end;
}

int run_carry_out(struct run *r, const struct strv *packages, struct err *e)
{
	autolive live = {.on = r->site->live};
	autostrv missing = {0}, ways = {0};
	int end = choose_services(r, &live, e);

	if (end < 0)
		return end;
	/* What runs writes to its files as long as it does. */
	if (r->plan->removes) {
		live_stop(&live, &r->plan->services);
		end = run_judge(r, e);
	}
	list_missing(r, &missing, &ways);
	const struct transaction t = {
		.root_fd = r->site->root_fd,
		.stage = &r->stage,
		.delta = &r->delta,
		.operation = r->plan->removes ? "remove" : "add",
		.plugin = r->plan->name,
		.missing = missing,
		.ways = ways,
		.services = r->services,
		.packages = *packages,
		.step = r->site->step,
		.ctx = r->site->ctx,
	};
	if (end == 0)
		end = begin_change(r, &t, e);
	if (end < 0 && !r->plan->removes)
		return end;
	if (end == 0) {
		live_look(&r->delta.changes, &live);
		end = change(r, &t, &live, e);
	}
	return end < 0 ? take_back(r, &live, e) : 0;
}

static void drop_leftovers(const struct hotadd_site *s)
{
	struct err e = {0};

	if (stage_drop_leftovers(s->root, &e) < 0)
		log_warning("what is left of a copy of the node: %s", e.msg);
}

static bool is_damage(int r)
{
	return r == -EBADMSG || r == -EFBIG || r == -EIO || r == -EUCLEAN;
}

static int find_pending(const struct hotadd_site *s, struct undo_list *u, struct err *e)
{
	struct err own = {0};
	int r = transaction_pending(s->root_fd, u, &own);

	if (r >= 0)
		return r;
	if (!is_damage(r))
		return err_set(e, -r, "%s", own.msg);
	log_warning(
		"a change of plugins was cut off, and cannot be taken back: %s; the node may have half of "
		"it.  The notes are kept as '/" PLUGIN_RECORDS "/.undo.bad'",
		own.msg);
	return transaction_set_aside(s->root_fd, e);
}

static int undo_locked(
	const struct hotadd_site *s, const struct undo_list *u, const char *text, struct err *e)
{
	const struct live live = {
		.on = s->live, .boots = s->boots, .units = true, .rules = !s->boots};
	autostrv left = {0}, notes = {0};
	const struct undo_spec spec = {.late = true, .left = &left, .step = s->step, .ctx = s->ctx};
	bool adds = str_eq(u->operation, "add");
	struct err own = {0};

	if (adds && !s->boots)
		live_stop(&live, &u->services);
	int r = transaction_undo(s->root_fd, u, &spec, e);
	say_left(&left);
	/* Something that is in use: nobody is at work who will come to an end. */
	if (r == -EBUSY)
		r = -EXDEV;
	if (r < 0)
		return err_wrap(e, r, "taking back what was cut off, %s", text);
	live_reload(&live);
	if (!adds && live_start(&live, &u->services, &notes, &own) < 0)
		log_warning("%s", own.msg);
	return 0;
}

int hotadd_recover(const struct hotadd_site *s, char **what, struct err *e)
{
	autoundolist u = {0};
	int r = find_pending(s, &u, e);

	if (r <= 0) {
		drop_leftovers(s);
		return r < 0 ? r : transaction_tidy(s->root_fd, e);
	}
	autofree char *text = xasprintf(
		"%s plugin '%s'", str_eq(u.operation, "add") ? "adding" : "removing", u.plugin);
	int fds[3] = {0};
	fds[0] = lock(s->root_fd, FRONTEND_LOCK, e);
	fds[1] = fds[0] < 0 ? fds[0] : lock(s->root_fd, DPKG_LOCK, e);
	fds[2] = fds[1] < 0 ? fds[1] : lock_accounts(s->root_fd, e);
	r = fds[2] < 0 ? fds[2] : undo_locked(s, &u, text, e);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		unlock(&fds[i]);
	/* Last: what cannot be deleted of it is no reason to leave the node as it is. */
	drop_leftovers(s);
	if (r < 0)
		return r;
	*what = take_ptr(text);
	return 1;
}
