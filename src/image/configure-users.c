/* SPDX-License-Identifier: Apache-2.0 */
/* group, user, rootpw and sshkey. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cmd.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "image/accounts.h"
#include "image/configure-step.h"
#include "image/intree.h"

#define KEYS_MAX_BYTES  (1 * MIB)
#define SECONDS_PER_DAY 86400

static int add_groups(struct configure *cf, struct accounts *a, struct err *e)
{
	int r = 0;

	for (const struct ks_cmd *c = NULL; r == 0 && (c = ks_next(cf->doc, "group", c));) {
		int64_t gid = ACCOUNTS_AUTO;

		ks_int(c, "gid", &gid);
		if (cf->params->is_node && accounts_has_group(a, ks_str(c, "name"))) {
			r = configure_wrap(
				c, accounts_change_group(a, ks_str(c, "name"), gid, e), e);
			continue;
		}
		if (accounts_has_group(a, ks_str(c, "name"))) {
			configure_warn(cf, c, "group '%s' is there already", ks_str(c, "name"));
			continue;
		}
		r = configure_wrap(c, accounts_add_group(a, ks_str(c, "name"), gid, e), e);
	}
	return r;
}

static int set_password(struct configure *cf, struct accounts *a, const struct ks_cmd *c,
	const char *user, const char *password, struct err *e)
{
	autofree char *hash = NULL;
	int r = 0;

	if (!password && ks_given(c, "iscrypted"))
		configure_warn(cf, c, "--iscrypted does nothing without a password");
	if (password && ks_flag(c, "iscrypted"))
		hash = xstrdup(password);
	else if (password)
		r = accounts_hash_password(password, cf->params->seed, user, &hash, e);
	if (r == 0)
		r = accounts_set_password(a, user, hash, ks_flag(c, "lock"), e);
	return configure_wrap(c, r, e);
}

/* "wheel" or "wheel(10)"; a group that is not there yet is made. */
static int join_group(const struct configure *cf, struct accounts *a, const struct ks_cmd *c,
	const char *user, const char *item, struct err *e)
{
	size_t len = strcspn(item, "(");
	autofree char *name = xstrndup(item, len);
	int64_t gid = ACCOUNTS_AUTO;
	int r = 0;

	if (item[len] == '(') {
		char *end = NULL;

		gid = (int64_t)strtoull(item + len + 1, &end, 10);
		if (end == item + len + 1 || !str_eq(end, ")") || gid < 0)
			return configure_error(c, e, "bad group '%s'", item);
	}
	if (accounts_has_group(a, name) && gid != ACCOUNTS_AUTO)
		configure_warn(cf, c, "group '%s' is there already and keeps its id", name);
	else if (!accounts_has_group(a, name))
		r = accounts_add_group(a, name, gid, e);
	if (r == 0)
		r = accounts_add_member(a, name, user, e);
	return configure_wrap(c, r, e);
}

/* Files of a home folder belong to its user, also those that a package has put there. */
static int give_to_user(const struct configure *cf, const char *path, const char *uid,
	const char *gid, struct err *e)
{
	autofd int fd = file_open_in_root(cf->root_fd, path, O_RDONLY | O_DIRECTORY, 0, e);
	autocmd c = {.log_fd = cf->log_fd};

	if (fd < 0)
		return fd;
	if (cf->params->dry_run)
		return 0;
	cmd_add(&c, "chown", "--recursive", "--no-dereference", "-P", NULL);
	cmd_addf(&c, "%s:%s", uid, gid);
	cmd_add(&c, "--", NULL);
	cmd_addf(&c, "/proc/%d/fd/%d/.", (int)getpid(), fd);
	return cmd_run(&c, e);
}

/* The copy takes the mode of /etc/skel along: a home is for its user alone. */
static int copy_skeleton(const struct configure *cf, const char *home, struct err *e)
{
	autofd int from = file_open_in_root(
		cf->root_fd, "/etc/skel", O_RDONLY | O_DIRECTORY, 0, NULL);
	autofd int to = file_open_in_root(cf->root_fd, home, O_RDONLY | O_DIRECTORY, 0, e);
	autocmd c = {.log_fd = cf->log_fd};
	int r = 0;

	if (to < 0)
		return to;
	if (from >= 0) {
		cmd_add(&c, "cp", "-a", "--", NULL);
		cmd_addf(&c, "/proc/%d/fd/%d/.", (int)getpid(), from);
		cmd_addf(&c, "/proc/%d/fd/%d/.", (int)getpid(), to);
		r = cmd_run(&c, e);
	}
	if (r == 0 && fchmod(to, 0700) < 0)
		r = err_errno(e, "'%s'", home);
	return r;
}

static int make_home(
	const struct configure *cf, const struct accounts *a, const char *user, struct err *e)
{
	autofree char *home = accounts_user_field(a, user, 5);
	autofree char *uid = accounts_user_field(a, user, 2);
	autofree char *gid = accounts_user_field(a, user, 3);
	int r = 0;

	if (home[0] != '/' || str_eq(home, "/"))
		return err_set(e, EINVAL, "bad home folder '%s'", home);
	if (!intree_has(cf->root_fd, home)) {
		r = file_make_folder_in_root(cf->root_fd, home, e);
		if (r == 0)
			r = copy_skeleton(cf, home, e);
	}
	r = r == 0 ? give_to_user(cf, home, uid, gid, e) : r;
	return r < 0 ? err_wrap(e, r, "home of '%s'", user) : 0;
}

/* A package may have made the user: then the line says what it is to be like. */
static void keep_user(const struct configure *cf, const struct ks_cmd *c)
{
	static const char *const fixed[] = {"homedir", "shell", "gecos", "gid"};

	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		if (ks_given(c, fixed[i]))
			configure_warn(cf, c, "user '%s' is there already, --%s does nothing",
				ks_str(c, "name"), fixed[i]);
}

static bool has_user(const struct accounts *a, const char *name)
{
	autofree char *uid = accounts_user_field(a, name, 2);

	return uid != NULL;
}

static int add_user(struct configure *cf, struct accounts *a, const struct ks_cmd *c, struct err *e)
{
	const struct strv *groups = ks_list(c, "groups");
	struct account account = {
		.name = ks_str(c, "name"),
		.uid = ACCOUNTS_AUTO,
		.gid = ACCOUNTS_AUTO,
		.gecos = ks_str(c, "gecos"),
		.home = ks_str(c, "homedir"),
		.shell = ks_str(c, "shell"),
	};
	int r;

	ks_int(c, "uid", &account.uid);
	ks_int(c, "gid", &account.gid);
	if (cf->params->is_node && has_user(a, account.name))
		r = accounts_change_user(a, &account, e);
	else
		r = accounts_add_user(a, &account, e);
	if (r == -EEXIST && !cf->params->is_node && accounts_has_group(a, account.name) &&
		account.uid == ACCOUNTS_AUTO) {
		keep_user(cf, c);
		r = 0;
	}
	if (r < 0)
		return configure_wrap(c, r, e);
	for (size_t i = 0; r == 0 && i < groups->count; i++)
		r = join_group(cf, a, c, account.name, groups->items[i], e);
	return r == 0 ? set_password(cf, a, c, account.name, ks_str(c, "password"), e) : r;
}

static int add_users(struct configure *cf, struct accounts *a, struct err *e)
{
	int r = 0;

	for (const struct ks_cmd *c = NULL; r == 0 && (c = ks_next(cf->doc, "user", c));)
		r = add_user(cf, a, c, e);
	for (const struct ks_cmd *c = NULL; r == 0 && (c = ks_next(cf->doc, "user", c));)
		r = configure_wrap(c, make_home(cf, a, ks_str(c, "name"), e), e);
	return r;
}

static int set_root(struct configure *cf, struct accounts *a, struct err *e)
{
	static const char path[] = "/etc/ssh/sshd_config.d/01-permitrootlogin.conf";
	const struct ks_cmd *c = ks_next(cf->doc, "rootpw", NULL);
	int r;

	if (!c)
		return 0;
	r = set_password(cf, a, c, "root", ks_args(c)->count > 0 ? ks_args(c)->items[0] : NULL, e);
	if (r == 0 && ks_flag(c, "allow-ssh"))
		r = intree_write(
			cf->root_fd, path, "# From the kickstart.\nPermitRootLogin yes\n", 0644, e);
	else if (r == 0 && cf->params->is_node)
		r = intree_remove(cf->root_fd, path, e);
	return r;
}

int configure_users(struct configure *cf, struct err *e)
{
	autoaccounts a = {.today = cf->params->source_date / SECONDS_PER_DAY};
	int r;

	if (!ks_next(cf->doc, "group", NULL) && !ks_next(cf->doc, "user", NULL) &&
		!ks_next(cf->doc, "rootpw", NULL))
		return 0;
	r = accounts_load(&a, cf->root_fd, e);
	if (r == 0)
		r = add_groups(cf, &a, e);
	if (r == 0)
		r = add_users(cf, &a, e);
	if (r == 0)
		r = set_root(cf, &a, e);
	return r == 0 ? accounts_save(&a, cf->root_fd, e) : r;
}

/* Append the key unless it is there already. */
static int add_key(const struct configure *cf, const char *file, const char *key, struct err *e)
{
	autofree char *old = NULL;
	autofree char *line = xasprintf("%s\n", key);
	int r = intree_has(cf->root_fd, file)
		? file_read_in_root(cf->root_fd, file, KEYS_MAX_BYTES, &old, e)
		: 0;

	if (r < 0 || (old && strstr(old, line)))
		return r;
	autofree char *text = xasprintf("%s%s", old ? old : "", line);
	return intree_write(cf->root_fd, file, text, 0600, e);
}

static int authorize(
	struct configure *cf, const struct accounts *a, const struct ks_cmd *c, struct err *e)
{
	const char *user = ks_str(c, "username");
	autofree char *home = accounts_user_field(a, user, 5);
	autofree char *uid = accounts_user_field(a, user, 2);
	autofree char *gid = accounts_user_field(a, user, 3);

	if (!home)
		return configure_error(c, e, "no user '%s'", user);
	autofree char *folder = xasprintf("%s/.ssh", home);
	autofree char *file = xasprintf("%s/authorized_keys", folder);
	int r = file_make_folder_in_root(cf->root_fd, folder, e);
	if (r == 0)
		r = add_key(cf, file, ks_args(c)->items[0], e);
	if (r < 0)
		return configure_wrap(c, r, e);
	autofd int fd = file_open_in_root(cf->root_fd, folder, O_RDONLY | O_DIRECTORY, 0, e);
	if (fd < 0 || fchmod(fd, 0700) < 0)
		return fd < 0 ? fd : err_errno(e, "'%s'", folder);
	return configure_wrap(c, give_to_user(cf, folder, uid, gid, e), e);
}

int configure_sshkeys(struct configure *cf, struct err *e)
{
	autoaccounts a = {0};
	int r = 0;

	if (!ks_next(cf->doc, "sshkey", NULL))
		return 0;
	r = accounts_load(&a, cf->root_fd, e);
	for (const struct ks_cmd *c = NULL; r == 0 && (c = ks_next(cf->doc, "sshkey", c));)
		r = authorize(cf, &a, c, e);
	return r;
}
