/* SPDX-License-Identifier: Apache-2.0 */
#include "image/packages.h"

#include <fcntl.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "image/intree.h"
#include "image/modules.h"
#include "image/scrub.h"
#include "pkg/apt-setup.h"

/*
 * What mmdebstrap takes from the build host or leaves for itself, and what a package has said about
 * the hardware clock: later on the kickstart's own word is in that file.
 */
static int remove_scaffold(int root_fd, struct err *e)
{
	static const char *const paths[] = {
		"/etc/adjtime",
		"/etc/hostname",
		"/etc/resolv.conf",
		"/etc/apt/apt.conf.d/99mmdebstrap",
		"/etc/apt/preferences.d/bedplate",
		"/etc/dpkg/dpkg.cfg.d/99mmdebstrap",
	};
	int r = intree_remove_matching(root_fd, "/etc/apt/sources.list.d", "0*", e);

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(paths); i++)
		r = intree_remove(root_fd, paths[i], e);
	return r == 0 ? intree_remove(root_fd, "/etc/apt/sources.list", e) : r;
}

/*
 * The database always describes the running layer, also after a rollback, so it is a part of /usr
 * and not of /var, which all layers share.  debconf's answers belong to it.
 */
static int move_database(int root_fd, struct err *e)
{
	int r = intree_move_folder(root_fd, "/var/lib/dpkg", "/usr/lib/bedplate/dpkg",
		"../../usr/lib/bedplate/dpkg", e);

	if (r == 0)
		r = intree_move_folder(root_fd, "/var/cache/debconf", "/usr/lib/bedplate/debconf",
			"../../usr/lib/bedplate/debconf", e);
	return r;
}

static int keep_apt(const struct pkg_request *req, int root_fd, struct err *e)
{
	autofree char *sources = apt_image_sources_text(req);
	int r = intree_move_folder(
		root_fd, "/var/lib/apt", "/usr/lib/bedplate/apt", "../../usr/lib/bedplate/apt", e);

	if (r == 0)
		r = intree_write(
			root_fd, "/etc/apt/sources.list.d/image.sources", sources, 0644, e);
	return r;
}

/* mmdebstrap works with the host's apt: a tree without one needs nothing of it. */
static int drop_apt(int root_fd, struct err *e)
{
	static const char *const paths[] = {
		"/etc/apt",
		"/var/lib/apt",
		"/var/cache/apt",
		"/var/log/apt",
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(paths); i++)
		r = intree_remove(root_fd, paths[i], e);
	return r;
}

/* What dpkg was told to leave out it leaves out on a node, too. */
static int keep_dpkg_options(const struct pkg_request *req, int root_fd, struct err *e)
{
	autofree char *text = apt_dpkg_text(req);

	if (!*text)
		return 0;
	return intree_write(root_fd, "/etc/dpkg/dpkg.cfg.d/bedplate", text, 0644, e);
}

static int arrange(const struct pkg_request *req, int root_fd, struct err *e)
{
	int r = remove_scaffold(root_fd, e);

	if (r == 0)
		r = move_database(root_fd, e);
	if (r == 0)
		r = keep_dpkg_options(req, root_fd, e);
	if (r == 0)
		r = intree_has(root_fd, "/usr/bin/apt-get") ? keep_apt(req, root_fd, e)
							    : drop_apt(root_fd, e);
	return r == 0 ? scrub_tree(root_fd, e) : r;
}

int packages_tree(struct pkg_request *req, const char *cache_dir, const char *tree_path, int log_fd,
	struct progress *p, struct err *e)
{
	int r = pkg_backend(req)->install(req, cache_dir, tree_path, log_fd, p, e);

	if (r == 0)
		r = modules_decompress(tree_path, log_fd, e);
	if (r < 0)
		return r;
	autofd int root_fd = open(tree_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return err_errno(e, "'%s'", tree_path);
	return arrange(req, root_fd, e);
}
