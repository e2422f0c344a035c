/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/merge-accounts.h"

#include <search.h>
#include <string.h>

#include "base/xalloc.h"
#include "upgrade/account-lines.h"
#include "upgrade/id-set.h"

#define SYSTEM_FIRST  100
#define SYSTEM_LAST   999
#define REGULAR_FIRST 1000
#define REGULAR_LAST  59999
#define NOBODY        65534
#define RANGES_FIRST  100000

enum kind { USERS, GROUPS, KINDS };

static const enum account_file list_of[KINDS] = {ACC_PASSWD, ACC_GROUP};
static const enum account_file shadow_of[KINDS] = {ACC_SHADOW, ACC_GSHADOW};
static const enum account_file ranges_of[KINDS] = {ACC_SUBUID, ACC_SUBGID};
static const char *const words[KINDS] = {"user", "group"};

struct merge {
	struct account_lines old[ACC_FILES], node[ACC_FILES], new[ACC_FILES], out[ACC_FILES];
	struct id_set used[KINDS];   /* by the result, so far */
	struct id_set others[KINDS]; /* of an image: not given to anybody else */
	struct id_set ranges[KINDS]; /* subordinate ids of the node */
	struct id_set lone_gids;     /* of users of the node, without a group */
	struct id_set first_gids;    /* of the new image, of users that come */
	uint32_t next_system[KINDS], next_regular[KINDS];
	struct strv made; /* fields that are in no file */
	struct strv *notes;
};

static void merge_fini(struct merge *m)
{
	for (size_t i = 0; i < ACC_FILES; i++) {
		account_lines_fini(&m->old[i]);
		account_lines_fini(&m->node[i]);
		account_lines_fini(&m->new[i]);
		account_lines_fini(&m->out[i]);
	}
	for (size_t i = 0; i < KINDS; i++) {
		id_set_fini(&m->used[i]);
		id_set_fini(&m->others[i]);
		id_set_fini(&m->ranges[i]);
	}
	id_set_fini(&m->lone_gids);
	id_set_fini(&m->first_gids);
	strv_fini(&m->made);
}

void account_set_fini(struct account_set *s)
{
	for (size_t i = 0; i < ACC_FILES; i++)
		free(s->text[i]);
}

void id_map_fini(struct id_map *m)
{
	free(m->users);
	free(m->groups);
}

static int compare_pairs(const void *a, const void *b)
{
	const struct id_pair *one = a, *other = b;

	return (one->from > other->from) - (one->from < other->from);
}

static uint32_t map_id(const struct id_pair *pairs, size_t count, uint32_t id)
{
	const struct id_pair key = {.from = id};
	const struct id_pair *found = count > 0
		? bsearch(&key, pairs, count, sizeof(*pairs), compare_pairs)
		: NULL;

	return found ? found->to : id;
}

uint32_t id_map_user(const struct id_map *m, uint32_t uid)
{
	return map_id(m->users, m->user_count, uid);
}

uint32_t id_map_group(const struct id_map *m, uint32_t gid)
{
	return map_id(m->groups, m->group_count, gid);
}

static void PRINTF(2, 3) note(struct merge *m, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (m->notes)
		strv_take(m->notes, xvasprintf(fmt, ap));
	va_end(ap);
}

/* The text lives as long as the merge. */
static const char *hold(struct merge *m, char *text)
{
	strv_take(&m->made, text);
	return text;
}

static bool is_system(uint32_t id)
{
	return id < REGULAR_FIRST || id == NOBODY;
}

/*
 * Whether an entry of the new image that the node does not have gets there: what the administrator
 * has deleted does not, unless other things of the image rely on it.
 */
static bool comes(const struct merge *m, enum kind kind, const struct account_line *line)
{
	const char *name = line->fields[FIELD_NAME];

	if (account_lines_find(&m->node[list_of[kind]], name))
		return false;
	return !account_lines_find(&m->old[list_of[kind]], name) || is_system(line->id) ||
		(kind == GROUPS && id_set_has(&m->first_gids, line->id));
}

static bool user_comes(const struct merge *m, const char *name)
{
	const struct account_line *line = account_lines_find(&m->new[ACC_PASSWD], name);

	return line && comes(m, USERS, line);
}

static bool user_stays_deleted(const struct merge *m, const char *name)
{
	const struct account_line *line = account_lines_find(&m->new[ACC_PASSWD], name);

	return line && !account_lines_find(&m->node[ACC_PASSWD], name) && !comes(m, USERS, line);
}

/* A set of words that belong to somebody else. */
struct names {
	void *root;
	struct strv list;
};

static int compare_words(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void keep(UNUSED void *word)
{
}

static void names_fini(struct names *n)
{
	tdestroy(n->root, keep);
	strv_fini(&n->list);
}
#define autonames auto_with(names_fini) struct names

static bool names_has(const struct names *n, const char *name)
{
	return tfind(name, &n->root, compare_words) != NULL;
}

static void names_add(struct names *n, const char *name)
{
	if (names_has(n, name))
		return;
	strv_add(&n->list, name);
	if (!tsearch(n->list.items[n->list.count - 1], &n->root, compare_words))
		abort();
}

static void names_split(struct names *n, const char *text)
{
	autofree char *copy = xstrdup(text);
	char *rest = copy;

	for (char *word; (word = str_next_word(&rest, ","));)
		names_add(n, word);
}

/* Members: what either side added or took away.  node and old may be NULL. */
static const char *merge_members(
	struct merge *m, const char *old_text, const char *node_text, const char *new_text)
{
	autonames old = {0}, node = {0}, new = {0}, out = {0};
	autostrbuf b = {0};

	names_split(&old, old_text ? old_text : "");
	names_split(&node, node_text ? node_text : "");
	names_split(&new, new_text);
	for (size_t i = 0; i < node.list.count; i++) {
		const char *name = node.list.items[i];
		/* A user that the image has no more is in none of its groups, which says nothing. */
		bool taken_away = names_has(&old, name) && !names_has(&new, name) &&
			account_lines_find(&m->new[ACC_PASSWD], name);

		if (!taken_away)
			names_add(&out, name);
	}
	for (size_t i = 0; i < new.list.count; i++) {
		const char *name = new.list.items[i];

		if (!user_stays_deleted(m, name) && (!names_has(&old, name) || user_comes(m, name)))
			names_add(&out, name);
	}
	for (size_t i = 0; i < out.list.count; i++)
		strbuf_printf(&b, "%s%s", i > 0 ? "," : "", out.list.items[i]);
	return hold(m, strbuf_take(&b));
}

static bool is_members(enum account_file file, unsigned field)
{
	return (file == ACC_GROUP && field == FIELD_MEMBERS) ||
		(file == ACC_GSHADOW && (field == FIELD_MEMBERS || field == FIELD_ADMINS));
}

static bool is_id(enum account_file file, unsigned field)
{
	return (file == ACC_PASSWD && (field == FIELD_ID || field == FIELD_GID)) ||
		(file == ACC_GROUP && field == FIELD_ID);
}

/* A line that the node has: of the node, but for what only the vendor changed. */
static void merge_line(struct merge *m, enum account_file file, const struct account_line *node)
{
	const char *name = node->fields[FIELD_NAME];
	const struct account_line *old = account_lines_find(&m->old[file], name);
	const struct account_line *new = account_lines_find(&m->new[file], name);
	struct account_line line = *node;

	for (unsigned i = 1; new &&i < ACCOUNT_FIELDS && node->fields[i]; i++) {
		if (is_members(file, i))
			line.fields[i] = merge_members(
				m, old ? old->fields[i] : NULL, node->fields[i], new->fields[i]);
		else if (!is_id(file, i) && old && str_eq(node->fields[i], old->fields[i]))
			line.fields[i] = new->fields[i];
	}
	/* A password and its date belong together. */
	if (file == ACC_SHADOW && old &&
		!str_eq(node->fields[FIELD_PASSWORD], old->fields[FIELD_PASSWORD]))
		line.fields[FIELD_LAST_CHANGE] = node->fields[FIELD_LAST_CHANGE];
	account_lines_add(&m->out[file], &line);
}

/* A line of the new image as it is, but for who is in a group. */
static struct account_line *take_line(
	struct merge *m, enum account_file file, const struct account_line *new)
{
	struct account_line line = *new;

	for (unsigned i = 1; i < ACCOUNT_FIELDS && new->fields[i]; i++)
		if (is_members(file, i))
			line.fields[i] = merge_members(m, NULL, NULL, new->fields[i]);
	return account_lines_add(&m->out[file], &line);
}

static bool is_free(const struct merge *m, enum kind kind, const struct account_line *line)
{
	if (id_set_has(&m->used[kind], line->id) || id_set_has(&m->ranges[kind], line->id))
		return false;
	if (kind == USERS || !id_set_has(&m->lone_gids, line->id))
		return true;
	/* The group that these users are without is this one. */
	const struct account_line *old = account_lines_find(
		&m->old[ACC_GROUP], line->fields[FIELD_NAME]);
	return old && old->id == line->id;
}

static bool is_spare(const struct merge *m, enum kind kind, uint32_t id)
{
	return !id_set_has(&m->used[kind], id) && !id_set_has(&m->others[kind], id) &&
		!id_set_has(&m->ranges[kind], id) &&
		(kind == USERS || !id_set_has(&m->lone_gids, id));
}

static bool spare_id(struct merge *m, enum kind kind, bool system, uint32_t *out)
{
	uint32_t *next = system ? &m->next_system[kind] : &m->next_regular[kind];
	uint32_t last = system ? SYSTEM_FIRST - 1 : REGULAR_LAST + 1;

	while (*next != last && !is_spare(m, kind, *next))
		*next += system ? -1U : 1U;
	*out = *next;
	return *next != last;
}

static void set_id(struct merge *m, struct account_line *line, uint32_t id)
{
	line->id = id;
	line->fields[FIELD_ID] = hold(m, xasprintf("%u", id));
}

static int give_spare_id(struct merge *m, enum kind kind, struct account_line *line, struct err *e)
{
	const char *name = line->fields[FIELD_NAME];
	const struct account_line *owner = account_lines_find_id(&m->out[list_of[kind]], line->id);
	const struct account_line *own = account_lines_find(&m->out[ACC_GROUP], name);
	/* A user with a group of its own keeps to having one number for both. */
	bool as_group = kind == USERS && own && own->id == line->gid && own->id > 0 &&
		is_system(own->id) == is_system(line->id) && is_spare(m, kind, own->id);
	uint32_t id = as_group ? own->id : 0;

	if (!as_group && !spare_id(m, kind, is_system(line->id), &id))
		return err_set(e, ENOSPC,
			"no id is free for %s '%s' of the new image: expected one from %d to %d, "
			"delete %ss that nobody needs",
			words[kind], name, is_system(line->id) ? SYSTEM_FIRST : REGULAR_FIRST,
			is_system(line->id) ? SYSTEM_LAST : REGULAR_LAST, words[kind]);
	note(m, "%s '%s' of the new image gets id %u, because %u is %s%s%s here", words[kind], name,
		id, line->id, owner ? "that of '" : "in use",
		owner ? owner->fields[FIELD_NAME] : "", owner ? "'" : "");
	set_id(m, line, id);
	return 0;
}

/* Its first group by name; the node may know it by another id. */
static void set_first_group(struct merge *m, struct account_line *user)
{
	const struct account_line *group = account_lines_find_id(&m->new[ACC_GROUP], user->gid);
	const struct account_line *here = group
		? account_lines_find(&m->out[ACC_GROUP], group->fields[FIELD_NAME])
		: NULL;
	uint32_t gid = here ? here->id : user->gid;

	if (user->gid == 0)
		return;
	/* Without a name it must not become a member of whatever group has that number here. */
	if (!here && account_lines_find_id(&m->out[ACC_GROUP], user->gid)) {
		gid = NOBODY;
		note(m, "user '%s' of the new image has no group by the name of its id %u: %d taken",
			user->fields[FIELD_NAME], user->gid, NOBODY);
	}
	if (gid != user->gid)
		user->fields[FIELD_GID] = hold(m, xasprintf("%u", gid));
	user->gid = gid;
}

/*
 * What comes keeps its ids where they are free, all of them before any other id is given away.
 * Nothing gets root's id, and root gets no other.
 */
static int add_coming(struct merge *m, enum kind kind, struct err *e)
{
	enum account_file file = list_of[kind];
	const struct account_lines *new = &m->new[file];
	autofree struct account_line *lines = xcalloc(new->count + 1, sizeof(*lines));
	autofree bool *placed = xcalloc(new->count + 1, sizeof(*placed));
	size_t count = 0;

	for (size_t i = 0; i < new->count; i++) {
		if (!comes(m, kind, new->items[i]))
			continue;
		lines[count] = *new->items[i];
		placed[count] = is_free(m, kind, &lines[count]);
		if (placed[count])
			id_set_add(&m->used[kind], lines[count].id, 1);
		count++;
	}
	for (size_t i = 0; i < count; i++) {
		const char *name = lines[i].fields[FIELD_NAME];

		if (!placed[i] && lines[i].id == 0) {
			note(m, "%s '%s' of the new image is left out: id 0 is in use here",
				words[kind], name);
			continue;
		}
		if (kind == USERS)
			set_first_group(m, &lines[i]);
		int r = placed[i] ? 0 : give_spare_id(m, kind, &lines[i], e);
		if (r < 0)
			return r;
		id_set_add(&m->used[kind], lines[i].id, 1);
		take_line(m, file, &lines[i]);
		if (account_lines_find(&m->old[file], name))
			note(m, "%s '%s' was deleted here and is back: the image needs it",
				words[kind], name);
	}
	return 0;
}

static void keep_of_node(struct merge *m, enum kind kind)
{
	enum account_file file = list_of[kind];
	const struct account_lines *node = &m->node[file];

	for (size_t i = 0; i < node->count; i++) {
		const char *name = node->items[i]->fields[FIELD_NAME];

		merge_line(m, file, node->items[i]);
		id_set_add(&m->used[kind], node->items[i]->id, 1);
		if (account_lines_find(&m->old[file], name) &&
			!account_lines_find(&m->new[file], name))
			note(m, "%s '%s' is not in the new image any more and stays: it may own files",
				words[kind], name);
	}
}

static void keep_passwords(struct merge *m, enum kind kind)
{
	enum account_file file = shadow_of[kind];
	const struct account_lines *node = &m->node[file];

	for (size_t i = 0; i < node->count; i++) {
		const char *name = node->items[i]->fields[FIELD_NAME];

		if (!account_lines_find(&m->node[list_of[kind]], name))
			note(m, "%s of the node has a line for '%s' that is no %s: left out",
				account_paths[file], name, words[kind]);
		else if (account_lines_find(node, name) == node->items[i])
			merge_line(m, file, node->items[i]);
	}
}

/* Of who has no line in the password file of the node yet. */
static void add_password(struct merge *m, enum kind kind, const struct account_line *owner)
{
	static const char *const locked[KINDS][ACCOUNT_FIELDS] = {
		[USERS] = {NULL, "!*", "", "", "", "", "", "", ""}, [GROUPS] = {NULL, "!", "", ""}};
	enum account_file file = shadow_of[kind];
	const char *name = owner->fields[FIELD_NAME];
	bool was_here = account_lines_find(&m->node[list_of[kind]], name);
	const struct account_line *line = was_here ? NULL : account_lines_find(&m->new[file], name);
	struct account_line made = {0};

	if (was_here && account_lines_find(&m->node[file], name))
		return;
	if (line) {
		take_line(m, file, line);
		return;
	}
	if (!str_eq(owner->fields[FIELD_PASSWORD], "x"))
		return;
	memcpy(made.fields, locked[kind], sizeof(made.fields));
	made.fields[FIELD_NAME] = name;
	if (kind == GROUPS)
		made.fields[FIELD_MEMBERS] = owner->fields[FIELD_MEMBERS];
	if (was_here)
		merge_line(m, file, &made);
	else
		account_lines_add(&m->out[file], &made);
	note(m, "%s '%s' had no line in %s: locked", words[kind], name, account_paths[file]);
}

/* Password files follow their lists; what they have of the node stays in its order. */
static void follow(struct merge *m, enum kind kind)
{
	const struct account_lines *list = &m->out[list_of[kind]];
	enum account_file file = shadow_of[kind];

	if (!m->node[file].present && !m->new[file].present)
		return;
	m->out[file].present = true;
	keep_passwords(m, kind);
	for (size_t i = 0; i < list->count; i++)
		add_password(m, kind, list->items[i]);
}

static void add_range(struct merge *m, enum kind kind, const struct account_line *new)
{
	struct id_set *taken = &m->ranges[kind];
	const char *name = new->fields[FIELD_NAME];
	struct account_line line = *new;

	if (id_set_meets(taken, line.first, line.count)) {
		line.first = id_set_gap(taken, RANGES_FIRST, line.count);
		line.fields[1] = hold(m, xasprintf("%ju", (uintmax_t)line.first));
	}
	if (line.first == ID_SET_END) {
		note(m, "user '%s' of the new image gets no ids in %s: none are free", name,
			account_paths[ranges_of[kind]]);
		return;
	}
	id_set_add(taken, line.first, line.count);
	account_lines_add(&m->out[ranges_of[kind]], &line);
}

static void merge_ranges(struct merge *m, enum kind kind)
{
	enum account_file file = ranges_of[kind];
	const struct account_lines *list = &m->out[list_of[kind]], *node = &m->node[file];

	m->out[file].present = node->present || m->new[file].present;
	for (size_t i = 0; i < node->count; i++)
		account_lines_add(&m->out[file], node->items[i]);
	for (size_t i = 0; i < list->count; i++)
		id_set_add(&m->ranges[kind], list->items[i]->id, 1);
	for (size_t i = 0; i < m->new[file].count; i++) {
		const struct account_line *line = m->new[file].items[i];
		const char *name = line->fields[FIELD_NAME];

		if (!account_lines_find(&m->out[ACC_PASSWD], name) ||
			account_lines_find(node, name))
			continue;
		if (user_comes(m, name) || !account_lines_find(&m->old[file], name))
			add_range(m, kind, line);
	}
}

/* What stands outside of the lines: comments of the node, "+" lines of both. */
static void merge_rest(struct merge *m, enum account_file file)
{
	const struct account_lines *node = &m->node[file], *new = &m->new[file];
	struct account_lines *out = &m->out[file];
	autonames known = {0};

	strv_add_all(&out->comments, node->present ? &node->comments : &new->comments);
	strv_add_all(&out->compat, &node->compat);
	for (size_t i = 0; i < node->compat.count; i++)
		names_add(&known, node->compat.items[i]);
	for (size_t i = 0; i < m->old[file].compat.count; i++)
		names_add(&known, m->old[file].compat.items[i]);
	for (size_t i = 0; i < new->compat.count; i++) {
		if (!names_has(&known, new->compat.items[i]))
			strv_add(&out->compat, new->compat.items[i]);
		names_add(&known, new->compat.items[i]);
	}
}

/* Of two names for one id of the image the first counts, as for getpwuid(3). */
static void make_map(struct merge *m, enum kind kind, struct id_pair **out, size_t *count)
{
	const struct account_lines *new = &m->new[list_of[kind]];
	struct id_pair *pairs = xcalloc(new->count + 1, sizeof(*pairs));
	autoidset seen = {0};
	size_t n = 0;

	for (size_t i = 0; i < new->count; i++) {
		const struct account_line *line = new->items[i];
		const struct account_line *here = account_lines_find(
			&m->out[list_of[kind]], line->fields[FIELD_NAME]);

		if (!here || id_set_has(&seen, line->id))
			continue;
		id_set_add(&seen, line->id, 1);
		if (here->id == line->id)
			continue;
		/* A set-user-ID program of anybody would become one of root's. */
		if (here->id == 0 || line->id == 0)
			note(m, "%s '%s' has id %u here and %u in the new image: its files keep theirs",
				words[kind], line->fields[FIELD_NAME], here->id, line->id);
		else
			pairs[n++] = (struct id_pair){line->id, here->id};
	}
	qsort(pairs, n, sizeof(*pairs), compare_pairs);
	*out = pairs;
	*count = n;
}

static int parse(struct merge *m, const struct account_set *old_base,
	const struct account_set *node, const struct account_set *new_base, struct err *e)
{
	int r = 0;

	for (enum account_file f = 0; r == 0 && f < ACC_FILES; f++) {
		m->out[f].file = f;
		r = account_lines_parse(f, old_base->text[f], "the old image", NULL, &m->old[f], e);
		if (r == 0)
			r = account_lines_parse(
				f, node->text[f], "the node", m->notes, &m->node[f], e);
		if (r == 0)
			r = account_lines_parse(
				f, new_base->text[f], "the new image", m->notes, &m->new[f], e);
	}
	return r;
}

static void collect_ids(struct merge *m)
{
	for (enum kind k = 0; k < KINDS; k++) {
		const struct account_lines *const images[] = {
			&m->old[list_of[k]], &m->new[list_of[k]]};
		const struct account_lines *ranges = &m->node[ranges_of[k]];

		m->next_system[k] = SYSTEM_LAST;
		m->next_regular[k] = REGULAR_FIRST;
		for (size_t i = 0; i < ARRAY_LEN(images); i++)
			for (size_t n = 0; n < images[i]->count; n++)
				id_set_add(&m->others[k], images[i]->items[n]->id, 1);
		for (size_t n = 0; n < ranges->count; n++)
			id_set_add(&m->ranges[k], ranges->items[n]->first, ranges->items[n]->count);
	}

	const struct account_lines *users = &m->node[ACC_PASSWD];
	for (size_t i = 0; i < users->count; i++)
		if (users->items[i]->gid > 0 &&
			!account_lines_find_id(&m->node[ACC_GROUP], users->items[i]->gid))
			id_set_add(&m->lone_gids, users->items[i]->gid, 1);
	users = &m->new[ACC_PASSWD];
	for (size_t i = 0; i < users->count; i++) {
		id_set_add(&m->others[GROUPS], users->items[i]->gid, 1);
		if (comes(m, USERS, users->items[i]))
			id_set_add(&m->first_gids, users->items[i]->gid, 1);
	}
}

int accounts_merge(const struct account_set *old_base, const struct account_set *node,
	const struct account_set *new_base, struct account_set *out, struct id_map *map,
	struct strv *notes, struct err *e)
{
	auto_with(merge_fini) struct merge m = {.notes = notes};
	int r = parse(&m, old_base, node, new_base, e);

	if (r < 0)
		return r;
	collect_ids(&m);
	/* Groups first: users name theirs by id. */
	for (int k = GROUPS; k >= USERS; k--) {
		m.out[list_of[k]].present = m.node[list_of[k]].present || m.new[list_of[k]].present;
		keep_of_node(&m, (enum kind)k);
		r = add_coming(&m, (enum kind)k, e);
		if (r < 0)
			return r;
	}
	for (enum kind k = 0; k < KINDS; k++) {
		follow(&m, k);
		merge_ranges(&m, k);
	}
	make_map(&m, USERS, &map->users, &map->user_count);
	make_map(&m, GROUPS, &map->groups, &map->group_count);
	for (enum account_file f = 0; f < ACC_FILES; f++) {
		merge_rest(&m, f);
		out->text[f] = account_lines_format(&m.out[f]);
	}
	return 0;
}
