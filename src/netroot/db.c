/* SPDX-License-Identifier: Apache-2.0 */
#include "netroot/db.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "base/xalloc.h"

static void image_fini(struct netroot_image *img)
{
	free(img->title);
	free(img->release);
	free(img->root);
	free(img->params);
	free(img->live_params);
	free(img->root_hash);
}

static void entry_fini(struct netroot_entry *en)
{
	free(en->label);
	free(en->image);
	free(en->previous);
	free(en->append);
	free(en->server);
}

static void host_fini(struct netroot_host *h)
{
	free(h->label);
	free(h->hostname);
	free(h->append);
}

void netroot_db_fini(struct netroot_db *db)
{
	for (size_t i = 0; i < db->image_count; i++)
		image_fini(&db->images[i]);
	for (size_t i = 0; i < db->entry_count; i++)
		entry_fini(&db->entries[i]);
	for (size_t i = 0; i < db->host_count; i++)
		host_fini(&db->hosts[i]);
	for (size_t i = 0; i < db->loader_count; i++)
		free(db->loaders[i].name);
	free(db->images);
	free(db->entries);
	free(db->hosts);
	free(db->loaders);
	free(db->default_label);
	*db = (struct netroot_db){0};
}

#define ADD(list, count)                                                                           \
	({                                                                                         \
		(list) = xrealloc(list, ((count) + 1) * sizeof(*(list)));                          \
		memset(&(list)[count], 0, sizeof(*(list)));                                        \
		&(list)[(count)++];                                                                \
	})

struct netroot_image *netroot_db_add_image(struct netroot_db *db)
{
	return ADD(db->images, db->image_count);
}

struct netroot_entry *netroot_db_add_entry(struct netroot_db *db)
{
	return ADD(db->entries, db->entry_count);
}

struct netroot_host *netroot_db_add_host(struct netroot_db *db)
{
	return ADD(db->hosts, db->host_count);
}

struct netroot_loader *netroot_db_add_loader(struct netroot_db *db)
{
	return ADD(db->loaders, db->loader_count);
}

#define DROP(list, count, item)                                                                    \
	do {                                                                                       \
		size_t at_ = (size_t)((item) - (list));                                            \
		memmove((item), (item) + 1, ((count)-at_ - 1) * sizeof(*(item)));                  \
		(count)--;                                                                         \
	} while (0)

void netroot_db_drop_image(struct netroot_db *db, struct netroot_image *img)
{
	image_fini(img);
	DROP(db->images, db->image_count, img);
}

void netroot_db_drop_entry(struct netroot_db *db, struct netroot_entry *en)
{
	entry_fini(en);
	DROP(db->entries, db->entry_count, en);
}

void netroot_db_drop_host(struct netroot_db *db, struct netroot_host *h)
{
	host_fini(h);
	DROP(db->hosts, db->host_count, h);
}

bool netroot_image_is_own(const struct netroot_image *img)
{
	return str_starts(img->root, NETROOT_VERITY);
}

bool netroot_entry_is_own(const struct netroot_db *db, const struct netroot_entry *en)
{
	const struct netroot_image *img = netroot_db_image(db, en->image);

	return !en->http && img && netroot_image_is_own(img);
}

int netroot_entry_check_server(
	const struct netroot_db *db, const struct netroot_entry *en, struct err *e)
{
	if (!en->server || netroot_entry_is_own(db, en))
		return 0;
	if (en->http && strchr(en->server, ','))
		return err_set(e, EINVAL,
			"'%s' is fetched over HTTP from one server, and not from '%s'", en->label,
			en->server);
	if (en->http || netroot_server_is_plain(en->server))
		return 0;
	return err_set(e, EINVAL,
		"'%s' boots by dracut's own modules, which take one server without a port, and not '%s'",
		en->label, en->server);
}

struct netroot_image *netroot_db_image(const struct netroot_db *db, const char *id)
{
	for (size_t i = 0; i < db->image_count; i++)
		if (str_eq(db->images[i].id, id))
			return &db->images[i];
	return NULL;
}

struct netroot_entry *netroot_db_entry(const struct netroot_db *db, const char *label)
{
	for (size_t i = 0; i < db->entry_count; i++)
		if (str_eq(db->entries[i].label, label))
			return &db->entries[i];
	return NULL;
}

struct netroot_host *netroot_db_host(const struct netroot_db *db, const char *id)
{
	for (size_t i = 0; i < db->host_count; i++)
		if (str_eq(db->hosts[i].id, id))
			return &db->hosts[i];
	return NULL;
}

bool netroot_db_fits(const struct netroot_db *db)
{
	return db->host_count * db->entry_count <= NETROOT_CHOICES_MAX;
}

bool netroot_db_is_offered(const struct netroot_db *db, const char *id)
{
	for (size_t i = 0; i < db->entry_count; i++)
		if (str_eq(db->entries[i].image, id))
			return true;
	return false;
}

bool netroot_set_text(char **field, const char *value)
{
	if (!value || (*field && str_eq(*field, value)))
		return false;
	free(*field);
	*field = xstrdup(value);
	return true;
}

bool netroot_set_optional(char **field, const char *value)
{
	if (!value || *value)
		return netroot_set_text(field, value);
	bool had = *field != NULL;
	free(take_ptr(*field));
	return had;
}

static int by_label(const void *a, const void *b)
{
	return strcmp(
		((const struct netroot_entry *)a)->label, ((const struct netroot_entry *)b)->label);
}

static int by_host(const void *a, const void *b)
{
	return strcmp(((const struct netroot_host *)a)->id, ((const struct netroot_host *)b)->id);
}

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct netroot_image *)a)->id, ((const struct netroot_image *)b)->id);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(
		((const struct netroot_loader *)a)->name, ((const struct netroot_loader *)b)->name);
}

#define SORT(list, count, compare)                                                                 \
	do {                                                                                       \
		if ((count) > 1)                                                                   \
			qsort(list, count, sizeof(*(list)), compare);                              \
	} while (0)

void netroot_db_sort(struct netroot_db *db)
{
	SORT(db->images, db->image_count, by_id);
	SORT(db->entries, db->entry_count, by_label);
	SORT(db->hosts, db->host_count, by_host);
	SORT(db->loaders, db->loader_count, by_name);
}
