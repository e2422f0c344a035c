/* SPDX-License-Identifier: Apache-2.0 */
/* What the kickstart wants of an image, asked before anything is written. */
#include <errno.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "image/image.h"
#include "image/intree.h"
#include "install/configure-part.h"
#include "install/loader-check.h"

#define FILE_MAX_BYTES (4 * MIB)

static int copy_text(struct tree *t, const char *path, int root_fd, struct err *e)
{
	autofree char *text = NULL;
	struct err own = {0};
	int r = image_read(t, path, FILE_MAX_BYTES, &text, NULL, &own);

	if (r == -ENOENT)
		return 0;
	return r < 0 ? err_set(e, -r, "%s", own.msg) : intree_write(root_fd, path, text, 0600, e);
}

static int copy_name(struct tree *t, const char *path, int root_fd, struct err *e)
{
	return image_resolve(t, path) ? intree_write(root_fd, path, "", 0600, e) : 0;
}

static int copy_zone(struct tree *t, const struct ks_doc *doc, int root_fd, struct err *e)
{
	static const char folder[] = "usr/share/zoneinfo";
	const struct ks_cmd *c = ks_next(doc, "timezone", NULL);

	if (!c || ks_args(c)->count == 0 || !image_resolve(t, folder))
		return 0;
	autofree char *path = xasprintf("%s/%s", folder, ks_args(c)->items[0]);
	int r = file_make_folder_in_root(root_fd, folder, e);
	return r == 0 ? copy_name(t, path, root_fd, e) : r;
}

/* All that image/configure-*.c looks at and that decides whether a command can be carried out. */
static int copy_files(struct tree *t, const struct ks_doc *doc, int root_fd, struct err *e)
{
	static const char *const texts[] = {
		"etc/passwd",
		"etc/shadow",
		"etc/group",
		"etc/gshadow",
		"etc/services",
		"etc/chrony/chrony.conf",
		"usr/share/i18n/SUPPORTED",
	};
	static const char *const names[] = {
		"usr/sbin/NetworkManager",
		"usr/sbin/chronyd",
		"usr/sbin/locale-gen",
		"usr/lib/systemd/systemd-timesyncd",
		"usr/lib/systemd/system/nftables.service",
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(texts); i++)
		r = copy_text(t, texts[i], root_fd, e);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(names); i++)
		r = copy_name(t, names[i], root_fd, e);
	return r == 0 ? copy_zone(t, doc, root_fd, e) : r;
}

static int check_menu_password(const struct ks_doc *doc, struct err *e)
{
	autofree char *hash = NULL;

	return loader_menu_password(ks_next(doc, "bootloader", NULL), &hash, e);
}

int node_precheck(
	const struct ks_doc *doc, struct tree *image_tree, const char *work, struct err *e)
{
	const struct node_commands how = {.log_fd = -1, .dry_run = true};
	autofree char *path = NULL;
	struct err own = {0};
	int r = check_menu_password(doc, e);

	if (r == 0)
		r = file_make_temporary(work, "precheck", &path, e);
	if (r < 0)
		return r;
	autofd int root_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = root_fd < 0 ? err_errno(e, "'%s'", path) : copy_files(image_tree, doc, root_fd, e);
	if (r == 0)
		r = node_commands(doc, path, &how, e);
	int r2 = file_remove_tree(path, &own);
	return r == 0 && r2 < 0 ? err_set(e, -r2, "%s", own.msg) : r;
}
