/* SPDX-License-Identifier: Apache-2.0 */
#include "image/finish.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/cmd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/xalloc.h"
#include "image/carrier.h"
#include "image/embedded.h"
#include "image/intree.h"
#include "image/scrub.h"
#include "pkg/pkg.h"

#define IMAGE_JSON_PATH "/usr/lib/bedplate/image.json"
#define FACTORY_VAR     "/usr/share/factory/var"
#define SSH_KEYS_UNIT   "bedplate-ssh-keys.service"

/* nodectl info reads this; the manifest beside the image has the rest. */
static int write_image_json(int root_fd, const struct finish_params *params, struct err *e)
{
	autofree char *arch = pkg_host_arch();
	json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "name", params->image_name,
		"version", params->image_version, "arch", arch, "recipe", params->recipe,
		"built_with", params->built_with, "source_date", (json_int_t)params->source_date);
	if (json && params->plugins && params->plugins->count > 0)
		json_object_set_new(json, "plugins", json_texts(params->plugins));
	if (json && params->edited)
		json_object_set_new(json, "edited", json_true());
	char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;

	json_decref(json);
	if (!text)
		return err_set(e, EINVAL, "image name or version is not UTF-8");
	autofree char *owned = text;
	autofree char *lines = xasprintf("%s\n", owned);
	return intree_write(root_fd, IMAGE_JSON_PATH, lines, 0644, e);
}

/* Whoever manages the network writes the file under /run; without a manager it is empty. */
static int set_resolv_conf(int root_fd, struct err *e)
{
	static const struct {
		const char *program, *target;
	} managers[] = {
		{"/usr/lib/systemd/systemd-resolved", "../run/systemd/resolve/stub-resolv.conf"},
		{"/usr/sbin/NetworkManager", "../run/NetworkManager/resolv.conf"},
	};

	for (size_t i = 0; i < ARRAY_LEN(managers); i++)
		if (intree_has(root_fd, managers[i].program))
			return intree_link(root_fd, managers[i].target, "/etc/resolv.conf", e);
	return intree_write(root_fd, "/etc/resolv.conf", "", 0644, e);
}

static int add_ssh_keys_unit(int root_fd, struct err *e)
{
	int r;

	if (!intree_has(root_fd, "/usr/sbin/sshd"))
		return 0;
	r = intree_write(root_fd, "/usr/lib/systemd/system/" SSH_KEYS_UNIT,
		embedded_ssh_keys_service, 0644, e);
	if (r == 0)
		r = intree_link(root_fd, "../" SSH_KEYS_UNIT,
			"/usr/lib/systemd/system/multi-user.target.wants/" SSH_KEYS_UNIT, e);
	return r;
}

/*
 * What the image ships in /var fills the volume of a node.  The files are hard links, so they cost
 * nothing; an overlay over the image never writes to them in place.
 */
static int fill_factory(int root_fd, struct err *e)
{
	autocmd c = {0};
	int r = intree_remove(root_fd, FACTORY_VAR, e);

	if (r == 0)
		r = file_make_folder_in_root(root_fd, FACTORY_VAR, e);
	if (r < 0)
		return r;
	autofd int from = file_open_in_root(root_fd, "/var", O_RDONLY | O_DIRECTORY, 0, e);
	autofd int to = file_open_in_root(root_fd, FACTORY_VAR, O_RDONLY | O_DIRECTORY, 0, e);
	if (from < 0 || to < 0)
		return from < 0 ? from : to;

	/* The child's own /proc/self has neither, but ours has. */
	autofree char *from_path = xasprintf("/proc/%d/fd/%d/.", (int)getpid(), from);
	autofree char *to_path = xasprintf("/proc/%d/fd/%d/.", (int)getpid(), to);
	cmd_add(&c, "cp", "-a", "--link", "--one-file-system", "--", from_path, to_path, NULL);
	r = cmd_run(&c, e);
	return r < 0 ? err_wrap(e, r, "copying /var for new nodes") : 0;
}

/*
 * systemd rebuilds databases at boot when /usr is newer than these (systemd-update-done.service(8));
 * in an image they are up to date, and writers give all three the same time.
 */
static int mark_updated(int root_fd, struct err *e)
{
	static const char text[] = "# Databases are up to date with the /usr of the image.\n";
	int r = intree_write(root_fd, "/etc/.updated", text, 0644, e);

	return r == 0 ? intree_write(root_fd, "/var/.updated", text, 0644, e) : r;
}

/* Empty folders that every system expects to mount over. */
static int make_mount_points(int root_fd, struct err *e)
{
	static const char *const folders[] = {"/proc", "/sys", "/dev", "/run", "/var"};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(folders); i++)
		r = file_make_folder_in_root(root_fd, folders[i], e);
	return r;
}

/* dracut works there, but only when the initramfs does not come from the cache. */
static int forget_use_of_var_tmp(int root_fd, int64_t source_date, struct err *e)
{
	const struct timespec times[2] = {{.tv_sec = source_date}, {.tv_sec = source_date}};
	autofd int fd = file_open_in_root(root_fd, "/var/tmp", O_RDONLY | O_DIRECTORY, 0, e);

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	return futimens(fd, times) < 0 ? err_errno(e, "'/var/tmp'") : 0;
}

int finish_tree(const char *tree_path, const struct finish_params *params, struct err *e)
{
	autofd int root_fd = open(tree_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (root_fd < 0)
		return err_errno(e, "'%s'", tree_path);
	r = scrub_tree(root_fd, e);
	if (r == 0)
		r = make_mount_points(root_fd, e);
	if (r == 0)
		r = set_resolv_conf(root_fd, e);
	if (r == 0)
		r = add_ssh_keys_unit(root_fd, e);
	if (r == 0)
		r = write_image_json(root_fd, params, e);
	if (r == 0)
		r = carrier_mark_tree(root_fd, params->image_name, params->image_version, e);
	if (r == 0)
		r = mark_updated(root_fd, e);
	if (r == 0)
		r = forget_use_of_var_tmp(root_fd, params->source_date, e);
	return r == 0 ? fill_factory(root_fd, e) : r;
}
