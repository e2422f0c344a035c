/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts.  A host's files become an archive that the kernel unpacks over its initramfs, in a folder
 * that only the owner of the tree may read: nothing hands it out yet, see docs/netroot.md.
 */
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "base/tree.h"
#include "base/xalloc.h"
#include "fmt/cpio.h"
#include "netroot/generate.h"
#include "netroot/netroot.h"
#include "netroot/store.h"

#define CONFIG_MAX   (16 * MIB)
#define CONFIG_FILES 10000

static int check_spec(
	const struct netroot_host_spec *spec, char id[NETROOT_HOST_ID_BYTES], struct err *e)
{
	int r = netroot_host_id_parse(spec->host, id, e);

	if (r == 0 && spec->hostname && *spec->hostname)
		r = netroot_hostname_check(spec->hostname, e);
	return r == 0 && spec->append ? netroot_params_check(spec->append, e) : r;
}

static int add_file(struct strbuf *out, struct tree *t, const struct tree_entry *en, struct err *e)
{
	autoptr(source) s = NULL;

	if (S_ISDIR(en->mode)) {
		cpio_add(out, en->path, en->mode, "", 0);
		return 0;
	}
	if (S_ISLNK(en->mode)) {
		cpio_add(out, en->path, en->mode, en->target, strlen(en->target));
		return 0;
	}
	if (!S_ISREG(en->mode))
		return err_set(e, EINVAL, "'%s' is neither a file, a folder nor a link", en->path);
	int r = tree_open(t, en, &s, e);
	if (r < 0)
		return r;
	if (s->size_bytes > CONFIG_MAX || out->len + s->size_bytes > CONFIG_MAX)
		return err_set(e, EFBIG, "more than %llu bytes", CONFIG_MAX);
	size_t len = (size_t)s->size_bytes;
	autofree char *data = xcalloc(1, len + 1);
	r = source_read_at(s, data, len, 0, e);
	if (r == 0)
		cpio_add(out, en->path, en->mode, data, len);
	return r;
}

static int make_archive(const char *folder, struct strbuf *out, struct err *e)
{
	autoptr(tree) t = NULL;
	int r = tree_scan(folder, &t, e);

	if (r == 0 && t->count > CONFIG_FILES)
		r = err_set(e, EFBIG, "more than %d files", CONFIG_FILES);
	for (size_t i = 0; r == 0 && i < t->count; i++)
		if (*t->entries[i].path)
			r = add_file(out, t, &t->entries[i], e);
	if (r < 0)
		return err_wrap(e, r, "'%s'", folder);
	cpio_end(out);
	return 0;
}

/* *old: what is to go once nothing names it, or NULL. */
static int set_config(struct netroot *n, struct netroot_host *h, const struct strbuf *archive,
	char **old, struct err *e)
{
	autofree char *before = h->has_config ? netroot_host_config_path(h) : NULL;

	h->has_config = true;
	h->config.size_bytes = archive->len;
	sha256_buffer(archive->data, archive->len, h->config.sha256);
	autofree char *path = netroot_host_config_path(h);
	int r = store_write(n->fd, path, archive->data, archive->len, 0600, e);
	if (r < 0)
		return err_wrap(e, r, "'%s'", n->path);
	if (before && !str_eq(before, path))
		*old = take_ptr(before);
	return 0;
}

/* What is to go, or NULL. */
static char *clear_config(struct netroot_host *h)
{
	char *old = h->has_config ? netroot_host_config_path(h) : NULL;

	h->has_config = false;
	return old;
}

static int provide(struct netroot *n, const char *id, const struct netroot_host_spec *spec,
	struct netroot_host **out, struct err *e)
{
	struct netroot_host *h = netroot_db_host(&n->db, id);

	if (!h && !spec->label)
		return err_set(e, ENOENT, "host %s is new: '--image=LABEL' is missing", id);
	if (!h && n->db.host_count == NETROOT_HOSTS_MAX)
		return err_set(e, EFBIG, "a tree has at most %d hosts", NETROOT_HOSTS_MAX);
	if (spec->label && !netroot_db_entry(&n->db, spec->label)) {
		autofree char *shown = str_printable(spec->label);

		return err_set(e, ENOENT, "'%s' has no entry '%.200s'", n->path, shown);
	}
	if (!h) {
		h = netroot_db_add_host(&n->db);
		memcpy(h->id, id, NETROOT_HOST_ID_BYTES);
		h->append = xstrdup("");
	}
	netroot_set_text(&h->label, spec->label);
	netroot_set_optional(&h->hostname, spec->hostname);
	netroot_set_text(&h->append, spec->append);
	*out = h;
	return 0;
}

int netroot_host_set(const struct netroot_host_spec *spec, struct err *e)
{
	autoptr(netroot) n = NULL;
	autostrbuf archive = {0};
	autofree char *old = NULL;
	char id[NETROOT_HOST_ID_BYTES] = "";
	struct netroot_host *h = NULL;
	bool has_config = spec->config && *spec->config;
	int r = check_spec(spec, id, e);

	if (r == 0 && has_config)
		r = make_archive(spec->config, &archive, e);
	if (r < 0)
		return r;
	r = netroot_open(spec->tree, NETROOT_CHANGE, &n, e);
	if (r < 0)
		return r;
	r = provide(n, id, spec, &h, e);
	if (r == 0)
		r = netroot_lines_check(&n->db, e);
	if (r == 0 && has_config)
		r = set_config(n, h, &archive, &old, e);
	else if (r == 0 && spec->config)
		old = clear_config(h);
	if (r == 0)
		r = netroot_save(n, e);
	if (r == 0 && old)
		r = store_remove(n->fd, old, e);
	return r;
}

int netroot_host_remove(const char *tree, const char *host, struct err *e)
{
	autoptr(netroot) n = NULL;
	char id[NETROOT_HOST_ID_BYTES];
	int r = netroot_host_id_parse(host, id, e);

	if (r < 0)
		return r;
	r = netroot_open(tree, NETROOT_CHANGE, &n, e);
	if (r < 0)
		return r;
	struct netroot_host *h = netroot_db_host(&n->db, id);
	if (!h)
		return err_set(e, ENOENT, "'%s' has no host %s", n->path, id);
	autofree char *path = h->has_config ? netroot_host_config_path(h) : NULL;
	netroot_db_drop_host(&n->db, h);
	r = netroot_save(n, e);
	/* Last, so that no host is without what the database says. */
	if (r == 0 && path)
		r = store_remove(n->fd, path, e);
	return r;
}
