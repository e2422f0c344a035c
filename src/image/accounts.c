/* SPDX-License-Identifier: Apache-2.0 */
#include "image/accounts.h"

#include <crypt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/xalloc.h"

#define FILE_MAX_BYTES (4 * MIB)
#define NAME_MAX_BYTES 32
#define ID_FIRST       1000
#define ID_LAST        59999
#define ID_HIGHEST     4294967293 /* the two above mean "no id" */

enum { FIELD_ID = 2, FIELD_MEMBERS = 3, FIELD_GID = 3, FIELD_GECOS = 4 };

static const struct {
	const char *path;
	unsigned mode;
} files[] = {
	{"/etc/passwd", 0644},
	{"/etc/shadow", 0640},
	{"/etc/group", 0644},
	{"/etc/gshadow", 0640},
};

static struct strv *list_of(struct accounts *a, size_t i)
{
	struct strv *lists[] = {&a->passwd, &a->shadow, &a->group, &a->gshadow};

	return lists[i];
}

void accounts_fini(struct accounts *a)
{
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		strv_fini(list_of(a, i));
}

static void split_lines(const char *text, struct strv *out)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		if (len > 0)
			strv_take(out, xstrndup(text, len));
		text += len + (text[len] == '\n');
	}
}

int accounts_load(struct accounts *a, int root_fd, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		autofree char *text = NULL;
		int r = file_read_in_root(root_fd, files[i].path, FILE_MAX_BYTES, &text, e);

		if (r < 0)
			return r;
		split_lines(text, list_of(a, i));
	}
	return 0;
}

/* Rewritten in place: owner and mode stay as the packages have set them. */
int accounts_save(const struct accounts *a, int root_fd, struct err *e)
{
	struct accounts copy = *a;

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		const struct strv *lines = list_of(&copy, i);
		autostrbuf b = {0};
		int r;

		for (size_t k = 0; k < lines->count; k++)
			strbuf_printf(&b, "%s\n", lines->items[k]);
		r = file_write_in_root(
			root_fd, files[i].path, b.data ? b.data : "", files[i].mode, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The field'th field of a line: where it starts and how long it is. */
static const char *field_at(const char *line, unsigned field, size_t *len)
{
	for (; field > 0; field--) {
		line += strcspn(line, ":");
		line += *line == ':';
	}
	*len = strcspn(line, ":");
	return line;
}

static void set_field(char **line, unsigned field, const char *value)
{
	size_t len;
	const char *at = field_at(*line, field, &len);
	char *now = xasprintf("%.*s%s%s", (int)(at - *line), *line, value, at + len);

	free(*line);
	*line = now;
}

/* lines->count when there is none. */
static size_t find(const struct strv *lines, unsigned field, const char *value)
{
	size_t i = 0, len, want = strlen(value);

	for (; i < lines->count; i++) {
		const char *at = field_at(lines->items[i], field, &len);

		if (len == want && memcmp(at, value, len) == 0)
			break;
	}
	return i;
}

static bool has_id(const struct strv *lines, int64_t id)
{
	autofree char *text = xasprintf("%" PRId64, id);

	return find(lines, FIELD_ID, text) < lines->count;
}

char *accounts_user_field(const struct accounts *a, const char *user, unsigned field)
{
	size_t i = find(&a->passwd, 0, user), len;

	if (i == a->passwd.count)
		return NULL;
	const char *at = field_at(a->passwd.items[i], field, &len);
	return xstrndup(at, len);
}

bool accounts_has_group(const struct accounts *a, const char *group)
{
	return find(&a->group, 0, group) < a->group.count;
}

static int check_name(const char *name, struct err *e)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789._-";
	size_t len = strspn(name, chars);

	if (len == 0 || name[len] != '\0' || len > NAME_MAX_BYTES || name[0] == '-' ||
		strspn(name, "0123456789.") == len)
		return err_set(e, EINVAL, "bad name '%s'", name);
	return 0;
}

static int check_text(const char *text, struct err *e)
{
	if (text && strpbrk(text, ":\n\r"))
		return err_set(e, EINVAL, "'%s' has a character that passwd(5) can not hold", text);
	return 0;
}

static int check_id(int64_t id, struct err *e)
{
	if (id != ACCOUNTS_AUTO && (id < 0 || id > ID_HIGHEST))
		return err_set(e, EINVAL, "bad id %" PRId64, id);
	return 0;
}

static int free_id(const struct strv *one, const struct strv *other, int64_t *out, struct err *e)
{
	for (int64_t id = ID_FIRST; id <= ID_LAST; id++) {
		if (has_id(one, id) || (other && has_id(other, id)))
			continue;
		*out = id;
		return 0;
	}
	return err_set(e, ENOSPC, "no free id");
}

int accounts_add_group(struct accounts *a, const char *name, int64_t gid, struct err *e)
{
	int r = check_name(name, e);

	if (r == 0)
		r = check_id(gid, e);
	if (r == 0 && accounts_has_group(a, name))
		r = err_set(e, EEXIST, "group '%s' is there already", name);
	if (r == 0 && gid == ACCOUNTS_AUTO)
		r = free_id(&a->group, NULL, &gid, e);
	else if (r == 0 && has_id(&a->group, gid))
		r = err_set(e, EEXIST, "group id %" PRId64 " is taken", gid);
	if (r < 0)
		return r;
	strv_take(&a->group, xasprintf("%s:x:%" PRId64 ":", name, gid));
	strv_take(&a->gshadow, xasprintf("%s:!::", name));
	return 0;
}

static int check_account(const struct accounts *a, const struct account *account, struct err *e)
{
	int r = check_name(account->name, e);

	if (r == 0)
		r = check_id(account->uid, e);
	if (r == 0)
		r = check_id(account->gid, e);
	if (r == 0)
		r = check_text(account->gecos, e);
	if (r == 0)
		r = check_text(account->home, e);
	if (r == 0)
		r = check_text(account->shell, e);
	if (r == 0 && find(&a->passwd, 0, account->name) < a->passwd.count)
		r = err_set(e, EEXIST, "user '%s' is there already", account->name);
	if (r == 0 && account->uid != ACCOUNTS_AUTO && has_id(&a->passwd, account->uid))
		r = err_set(e, EEXIST, "user id %" PRId64 " is taken", account->uid);
	return r;
}

int accounts_add_user(struct accounts *a, const struct account *account, struct err *e)
{
	int64_t uid = account->uid, gid = account->gid;
	int r = check_account(a, account, e);

	if (r == 0 && uid == ACCOUNTS_AUTO)
		r = free_id(&a->passwd, gid == ACCOUNTS_AUTO ? &a->group : NULL, &uid, e);
	if (r < 0)
		return r;
	if (gid == ACCOUNTS_AUTO && accounts_has_group(a, account->name)) {
		size_t len;
		const char *at = field_at(
			a->group.items[find(&a->group, 0, account->name)], FIELD_ID, &len);
		gid = (int64_t)strtoull(at, NULL, 10);
	} else if (gid == ACCOUNTS_AUTO || !has_id(&a->group, gid)) {
		if (gid == ACCOUNTS_AUTO)
			gid = has_id(&a->group, uid) ? ACCOUNTS_AUTO : uid;
		r = accounts_add_group(a, account->name, gid, e);
		if (r < 0)
			return r;
		size_t len;
		const char *at = field_at(a->group.items[a->group.count - 1], FIELD_ID, &len);
		gid = (int64_t)strtoull(at, NULL, 10);
	}

	autofree char *usual_home = xasprintf("/home/%s", account->name);
	strv_take(&a->passwd,
		xasprintf("%s:x:%" PRId64 ":%" PRId64 ":%s:%s:%s", account->name, uid, gid,
			account->gecos ? account->gecos : "",
			account->home ? account->home : usual_home,
			account->shell ? account->shell : "/bin/bash"));
	strv_take(&a->shadow, xasprintf("%s:!:%" PRId64 ":0:99999:7:::", account->name, a->today));
	return 0;
}

/* Set the id of the line at i unless another line has it. */
static int change_id(struct strv *lines, size_t i, int64_t id, const char *what, struct err *e)
{
	autofree char *text = xasprintf("%" PRId64, id);
	int r = check_id(id, e);
	size_t at = find(lines, FIELD_ID, text);

	if (r < 0 || id == ACCOUNTS_AUTO || at == i)
		return r;
	if (at < lines->count)
		return err_set(e, EEXIST, "%s id %s is taken", what, text);
	set_field(&lines->items[i], FIELD_ID, text);
	return 0;
}

int accounts_change_group(struct accounts *a, const char *name, int64_t gid, struct err *e)
{
	size_t i = find(&a->group, 0, name);

	if (i == a->group.count)
		return err_set(e, ENOENT, "no group '%s'", name);
	return change_id(&a->group, i, gid, "group", e);
}

/* The user's first group: one that is there, or the user's own, which gets the id. */
static int change_first_group(
	struct accounts *a, size_t i, const struct account *account, struct err *e)
{
	autofree char *text = xasprintf("%" PRId64, account->gid);
	int r = check_id(account->gid, e);

	if (r < 0 || account->gid == ACCOUNTS_AUTO)
		return r;
	if (!has_id(&a->group, account->gid))
		r = accounts_has_group(a, account->name)
			? accounts_change_group(a, account->name, account->gid, e)
			: accounts_add_group(a, account->name, account->gid, e);
	if (r == 0)
		set_field(&a->passwd.items[i], FIELD_GID, text);
	return r;
}

int accounts_change_user(struct accounts *a, const struct account *account, struct err *e)
{
	const char *const texts[] = {account->gecos, account->home, account->shell};
	size_t i = find(&a->passwd, 0, account->name);
	int r = 0;

	if (i == a->passwd.count)
		return err_set(e, ENOENT, "no user '%s'", account->name);
	for (size_t k = 0; r == 0 && k < ARRAY_LEN(texts); k++)
		r = check_text(texts[k], e);
	if (r == 0)
		r = change_id(&a->passwd, i, account->uid, "user", e);
	if (r == 0)
		r = change_first_group(a, i, account, e);
	for (unsigned k = 0; r == 0 && k < ARRAY_LEN(texts); k++)
		if (texts[k])
			set_field(&a->passwd.items[i], FIELD_GECOS + k, texts[k]);
	return r;
}

static void add_to_list(char **line, const char *user)
{
	size_t len;
	const char *at = field_at(*line, FIELD_MEMBERS, &len);
	autofree char *members = xstrndup(at, len);
	autofree char *copy = xstrdup(members);
	char *rest = copy;

	for (char *name; (name = str_next_word(&rest, ","));)
		if (str_eq(name, user))
			return;
	autofree char *now = xasprintf("%s%s%s", members, len > 0 ? "," : "", user);
	set_field(line, FIELD_MEMBERS, now);
}

int accounts_add_member(struct accounts *a, const char *group, const char *user, struct err *e)
{
	size_t i = find(&a->group, 0, group), k = find(&a->gshadow, 0, group);

	if (i == a->group.count)
		return err_set(e, ENOENT, "no group '%s'", group);
	add_to_list(&a->group.items[i], user);
	if (k < a->gshadow.count)
		add_to_list(&a->gshadow.items[k], user);
	return 0;
}

int accounts_set_password(
	struct accounts *a, const char *user, const char *hash, bool lock, struct err *e)
{
	size_t i = find(&a->shadow, 0, user), len;
	autofree char *today = xasprintf("%" PRId64, a->today);
	int r = check_text(hash, e);

	if (r < 0)
		return r;
	if (i == a->shadow.count)
		return err_set(e, ENOENT, "no user '%s'", user);

	const char *at = field_at(a->shadow.items[i], 1, &len);
	autofree char *old = xstrndup(at, len);
	const char *plain = hash ? hash : old;
	if (lock && plain[0] == '*')
		plain = "";
	plain += lock && plain[0] == '!' ? 1 : 0;
	autofree char *now = xasprintf("%s%s", lock ? "!" : "", plain);
	set_field(&a->shadow.items[i], 1, now);
	set_field(&a->shadow.items[i], 2, today);
	return 0;
}

int accounts_hash_password(
	const char *password, const char *seed_text, const char *user, char **out, struct err *e)
{
	autoptr(sha256) h = sha256_new();
	autofree struct crypt_data *data = xcalloc(1, sizeof(*data));
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	uint8_t seed[SHA256_BYTES];
	const char *hash;

	if (strlen(password) > CRYPT_MAX_PASSPHRASE_SIZE)
		return err_set(
			e, EINVAL, "password of more than %d bytes", CRYPT_MAX_PASSPHRASE_SIZE);
	sha256_add_str(h, "bedplate password salt");
	sha256_add_str(h, seed_text);
	sha256_add_str(h, user);
	sha256_end(h, seed);
	if (!crypt_gensalt_rn("$y$", 0, (const char *)seed, 16, setting, sizeof(setting)))
		return err_errno(e, "password salt");
	hash = crypt_rn(password, setting, data, (int)sizeof(*data));
	if (!hash)
		return err_errno(e, "hashing password");
	*out = xstrdup(hash);
	return 0;
}
