/* SPDX-License-Identifier: Apache-2.0 */
#include "pkg/apt-index.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/macro.h"
#include "base/xalloc.h"
#include "pkg/deb822.h"
#include "pkg/groups.h"

#define FILES_MAX 256

struct name {
	struct slice name;
	struct slice tasks;    /* "Task:" of the package */
	struct slice provider; /* of a virtual package; data is NULL for a real one */
	bool is_essential;
};

struct apt_index {
	struct name *names; /* sorted by name; a name may be there several times */
	size_t count, room;
	void *files[FILES_MAX]; /* mapped */
	size_t sizes[FILES_MAX];
	size_t file_count;
};

struct apt_index *apt_index_new(void)
{
	return xcalloc(1, sizeof(struct apt_index));
}

void apt_index_free(struct apt_index *x)
{
	if (!x)
		return;
	for (size_t i = 0; i < x->file_count; i++)
		munmap(x->files[i], x->sizes[i]);
	free(x->names);
	free(x);
}

static void add_name(struct apt_index *x, const struct name *n)
{
	if (x->count == x->room) {
		x->room = MAX(4096, 2 * x->room);
		x->names = xrealloc(x->names, x->room * sizeof(*x->names));
	}
	x->names[x->count++] = *n;
}

void apt_index_add_text(struct apt_index *x, const char *text, size_t len)
{
	static const char *const fields[] = {"Package", "Task", "Essential", "Provides"};
	struct deb822 d = {.at = text, .end = text + len};
	struct slice v[ARRAY_LEN(fields)], virtual;

	while (deb822_next(&d, fields, v, ARRAY_LEN(fields))) {
		if (v[0].len == 0)
			continue;
		add_name(x,
			&(struct name){.name = v[0],
				.tasks = v[1],
				.is_essential = slice_eq(v[2], "yes")});
		while (slice_next_relation(&v[3], &virtual))
			if (virtual.len > 0)
				add_name(x, &(struct name){.name = virtual, .provider = v[0]});
	}
}

int apt_index_add(struct apt_index *x, const char *path, struct err *e)
{
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *text;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, "package index '%s'", path);
	if (st.st_size == 0)
		return 0;
	if (x->file_count == FILES_MAX)
		return err_set(e, E2BIG, "more than %d package indexes", FILES_MAX);
	text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (text == MAP_FAILED)
		return err_errno(e, "package index '%s'", path);
	x->files[x->file_count] = text;
	x->sizes[x->file_count++] = (size_t)st.st_size;
	apt_index_add_text(x, text, (size_t)st.st_size);
	return 0;
}

static int compare_slices(struct slice a, struct slice b)
{
	int order = memcmp(a.data, b.data, MIN(a.len, b.len));

	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_names(const void *a, const void *b)
{
	return compare_slices(((const struct name *)a)->name, ((const struct name *)b)->name);
}

void apt_index_sort(struct apt_index *x)
{
	if (x->count > 1)
		qsort(x->names, x->count, sizeof(*x->names), compare_names);
}

/* The first entry of this name; x->count when there is none. */
static size_t find_first(const struct apt_index *x, struct slice name)
{
	size_t low = 0, high = x->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_slices(x->names[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < x->count && compare_slices(x->names[low].name, name) == 0 ? low : x->count;
}

static bool is_glob(const char *name)
{
	return strpbrk(name, "*?[") != NULL;
}

static void add_unique(struct strv *out, struct slice s)
{
	autofree char *name = slice_dup(s);

	if (!strv_has(out, name))
		strv_take(out, take_ptr(name));
}

/* Of a virtual package the one provider, or an error that names them. */
static int add_provider(const struct apt_index *x, size_t first, const struct pkg_wish *w,
	struct strv *out, struct err *e)
{
	autostrv providers = {0};
	autostrbuf list = {0};

	for (size_t i = first; i < x->count; i++) {
		if (compare_slices(x->names[i].name, x->names[first].name) != 0)
			break;
		add_unique(&providers, x->names[i].provider);
	}
	if (providers.count == 1) {
		strv_add(out, providers.items[0]);
		return 1;
	}
	for (size_t i = 0; i < providers.count && i < 8; i++)
		strbuf_printf(&list, "%s%s", i > 0 ? ", " : "", providers.items[i]);
	return err_set(e, ENOENT, "%s:%u: '%s' is virtual, name one that provides it: %s%s",
		w->file, w->line, w->name, list.data, providers.count > 8 ? ", ..." : "");
}

/* Returns how many packages were found. */
static int match_name(
	const struct apt_index *x, const struct pkg_wish *w, struct strv *out, struct err *e)
{
	/* "name:arch" is apt's own way to choose an architecture. */
	struct slice name = {.data = w->name, .len = strcspn(w->name, ":")};
	size_t first = find_first(x, name);

	if (first == x->count)
		return 0;
	for (size_t i = first; i < x->count; i++) {
		if (compare_slices(x->names[i].name, name) != 0)
			break;
		if (!x->names[i].provider.data) {
			strv_add(out, w->name);
			return 1;
		}
	}
	return add_provider(x, first, w, out, e);
}

static int match_glob(const struct apt_index *x, const char *glob, struct strv *out)
{
	size_t before = out->count;

	for (size_t i = 0; i < x->count; i++) {
		if (x->names[i].provider.data ||
			(i > 0 && compare_names(&x->names[i - 1], &x->names[i]) == 0 &&
				!x->names[i - 1].provider.data))
			continue;
		autofree char *name = slice_dup(x->names[i].name);
		if (fnmatch(glob, name, 0) == 0)
			strv_take(out, take_ptr(name));
	}
	return out->count > before;
}

static bool has_task(struct slice tasks, const char *task)
{
	struct slice name;

	while (tasks.data && slice_next_relation(&tasks, &name))
		if (slice_eq(name, task))
			return true;
	return false;
}

static int match_group(const struct apt_index *x, const char *group, struct strv *out)
{
	const struct pkg_group *known = pkg_group_find(group);
	size_t before = out->count;

	if (known) {
		autofree char *names = xstrdup(known->packages);
		char *rest = names;

		for (char *name; (name = str_next_word(&rest, " "));)
			strv_add(out, name);
		return 1;
	}

	autofree char *task = xasprintf("task-%s", group);
	if (find_first(x, (struct slice){.data = task, .len = strlen(task)}) < x->count) {
		strv_add(out, task);
		return 1;
	}
	for (size_t i = 0; i < x->count; i++)
		if (has_task(x->names[i].tasks, group))
			add_unique(out, x->names[i].name);
	return out->count > before;
}

static int match(
	const struct apt_index *x, const struct pkg_wish *w, struct strv *out, struct err *e)
{
	if (w->is_group)
		return match_group(x, w->name, out);
	if (is_glob(w->name))
		return match_glob(x, w->name, out);
	return match_name(x, w, out, e);
}

static int check_essential(const struct apt_index *x, const struct pkg_wish *w,
	const struct strv *names, struct err *e)
{
	for (size_t i = 0; i < names->count; i++) {
		const char *name = names->items[i];
		size_t first = find_first(x, (struct slice){.data = name, .len = strlen(name)});

		if (first < x->count && x->names[first].is_essential)
			return err_set(e, EINVAL,
				"%s:%u: '%s' is essential and can not be left out", w->file,
				w->line, name);
	}
	return 0;
}

/* Sort, and keep one of several equal names. */
static void make_set(struct strv *list)
{
	size_t kept = 0;

	strv_sort(list);
	for (size_t i = 0; i < list->count; i++) {
		if (kept > 0 && str_eq(list->items[kept - 1], list->items[i]))
			free(list->items[i]);
		else
			list->items[kept++] = list->items[i];
	}
	list->count = kept;
	if (list->items)
		list->items[kept] = NULL;
}

/* Both are sets. */
static void subtract(struct strv *from, const struct strv *what)
{
	size_t kept = 0, k = 0;

	for (size_t i = 0; i < from->count; i++) {
		while (k < what->count && strcmp(what->items[k], from->items[i]) < 0)
			k++;
		if (k < what->count && str_eq(what->items[k], from->items[i]))
			free(from->items[i]);
		else
			from->items[kept++] = from->items[i];
	}
	from->count = kept;
	if (from->items)
		from->items[kept] = NULL;
}

static int expand_one(const struct apt_index *x, const struct pkg_wish *w, bool ignoremissing,
	struct strv *found, struct err *e)
{
	int r = match(x, w, found, e);

	if (r < 0 || r > 0)
		return r < 0 ? r : 0;
	if (w->is_excluded || ignoremissing) {
		log_warning("%s:%u: no %s matches '%s'", w->file, w->line,
			w->is_group ? "group" : "package", w->name);
		return 0;
	}
	return err_set(e, ENOENT, "%s:%u: no %s matches '%s%s'", w->file, w->line,
		w->is_group ? "group" : "package", w->is_group ? "@" : "", w->name);
}

/*
 * An excluded package is kept out for good.  An excluded group only takes its members off the
 * list: what something else needs may still come in.  A name written out beats a group or glob.
 */
int apt_index_expand(const struct apt_index *x, struct pkg_request *req, struct err *e)
{
	autostrv named = {0}, implied = {0}, off = {0}, exclude = {0};
	struct strv *const lists[] = {&named, &implied, &off, &exclude};

	for (size_t i = 0; i < req->wish_count; i++) {
		const struct pkg_wish *w = &req->wishes[i];
		bool is_name = !w->is_group && !is_glob(w->name);
		autostrv found = {0};
		int r = expand_one(x, w, req->ignoremissing, &found, e);

		if (r == 0 && w->is_excluded && !w->is_group)
			r = check_essential(x, w, &found, e);
		if (r < 0)
			return r;
		if (!w->is_excluded)
			strv_add_all(is_name ? &named : &implied, &found);
		else
			strv_add_all(w->is_group ? &off : &exclude, &found);
	}
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		make_set(lists[i]);
	subtract(&implied, &off);
	subtract(&exclude, &named);
	subtract(&implied, &exclude);
	strv_add_all(&named, &implied);
	make_set(&named);

	strv_fini(&req->install);
	strv_fini(&req->exclude);
	req->install = named;
	req->exclude = exclude;
	named = (struct strv){0};
	exclude = (struct strv){0};
	return 0;
}
