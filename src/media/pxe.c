/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder for a TFTP and HTTP server: iPXE by a script, UEFI with Secure Boot by shim and the
 * signed GRUB for networks, PXELINUX by its configuration.  The layout is that of the ISO.
 *
 * The folder is made beside its place and takes it in one step.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "image/extract.h"
#include "media/media-tree.h"
#include "media/menu.h"

#define PXEBOOT     "images/pxeboot"
#define LIVE_FOLDER "LiveOS"
#define LIVE_IMG    LIVE_FOLDER "/squashfs.img"
#define URL_CHARS   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/[]@!&()*+,=%"

struct pxe {
	struct media *m;
	const char *folder;
	char *parent; /* of folder */
	char *url;    /* without a '/' at its end, or NULL */
	bool exists;
	size_t kept_len; /* of parent, what was there before */
};

static void pxe_fini(struct pxe *x)
{
	free(x->parent);
	free(x->url);
}

static int check_url(struct pxe *x, const char *url, struct err *e)
{
	static const char *const schemes[] = {"http://", "https://", "ftp://", "tftp://"};
	bool known = false;

	if (!url)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		known = known || (str_starts(url, schemes[i]) && url[strlen(schemes[i])]);
	if (!known || url[strspn(url, URL_CHARS)])
		return err_set(e, EINVAL,
			"bad URL '%s': http, https, ftp or tftp, host and folder are expected",
			url);
	x->url = xstrdup(url);
	for (size_t len = strlen(x->url); x->url[len - 1] == '/'; len--)
		x->url[len - 1] = '\0';
	return 0;
}

static void measure_parents(struct pxe *x)
{
	autofree char *path = xstrdup(x->parent);

	for (char *slash; !file_exists(path) && (slash = strrchr(path, '/'));)
		*slash = '\0';
	x->kept_len = file_exists(path) ? strlen(path) : 0;
}

/* After a failure: those that are empty, up to what was there before. */
static void drop_parents(const struct pxe *x)
{
	autofree char *path = x->parent && !x->exists ? xstrdup(x->parent) : xstrdup("");

	while (*path && strlen(path) > x->kept_len && rmdir(path) == 0) {
		char *slash = strrchr(path, '/');

		*(slash ? slash : path) = '\0';
	}
}

/* Only what this command has made is replaced. */
static int check_folder(struct pxe *x, const char *folder, struct err *e)
{
	autofree char *path = xstrdup(folder);
	autofree char *sums = NULL;
	autostrv names = {0};
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		path[--len] = '\0';
	x->parent = file_parent(path);
	int r = file_list(folder, &names, e);
	if (r == -ENOENT) {
		*e = (struct err){0};
		measure_parents(x);
		return file_make_folder(x->parent, 0755, e);
	}
	if (r < 0)
		return r;
	x->exists = true;
	sums = xasprintf("%s/" MEDIA_SUMS, folder);
	if (names.count > 0 && !file_exists(sums))
		return err_set(e, ENOTEMPTY,
			"'%s' is not empty, and not a folder that this command has made", folder);
	return 0;
}

/* Where no URL was given, the boot loader puts in the address of its own server. */
static int add_menus(const struct pxe *x, struct err *e)
{
	struct media *m = x->m;
	const char *given = x->url;
	autofree char *grub_url = xstrdup(given ? given : "http://$net_default_server");
	autofree char *ipxe_url = xstrdup(given ? given : "http://${next-server}");
	const char *ip = strstr(m->params, "ip=") ? "" : " ip=dhcp";
	autofree char *grub_root = xasprintf(
		"root=live:%s/" LIVE_IMG "%s " LIVE_PARAMS, grub_url, ip);
	autofree char *ipxe_root = xasprintf(
		"root=live:%s/" LIVE_IMG "%s " LIVE_PARAMS, ipxe_url, ip);
	autofree char *grub_ks = xasprintf("inst.ks=%s/" MEDIA_KS, grub_url);
	autofree char *ipxe_ks = xasprintf("inst.ks=%s/" MEDIA_KS, ipxe_url);
	const char *entry = media_default_entry(m->spec);
	struct menu_image image = {
		.kernel = "/" PXEBOOT "/vmlinuz",
		.initramfs = "/" PXEBOOT "/initrd.img",
		.root = grub_root,
		.params = m->params,
		.kickstart = m->spec->kickstart ? grub_ks : NULL,
		/* What was given is quoted: '&' would be an operator of GRUB's. */
		.variables = !given,
	};
	autofree char *head = menu_head(NULL, entry, media_timeout(m->spec));
	autofree char *entries = menu_entries(&image);
	autofree char *grub = xasprintf("%s%s", head, entries);

	image.kernel = PXEBOOT "/vmlinuz";
	image.initramfs = PXEBOOT "/initrd.img";
	image.root = ipxe_root;
	image.kickstart = m->spec->kickstart ? ipxe_ks : NULL;
	autofree char *ipxe = menu_ipxe(&image, m->title, entry, media_timeout(m->spec));
	autofree char *pxelinux = menu_pxelinux(&image, entry, media_timeout(m->spec));
	int r = media_add_text(m, "grub/grub.cfg", grub, e);
	if (r == 0)
		r = media_add_text(m, "boot.ipxe", ipxe, e);
	/* It has no variable for the address of its server. */
	return r < 0 || !given ? r : media_add_text(m, "pxelinux.cfg/default", pxelinux, e);
}

/* A link is enough for the other media; this folder is the medium. */
static int copy_image(const struct pxe *x, struct err *e)
{
	autofree char *path = xasprintf("%s/" LIVE_IMG, x->m->tree);

	if (unlink(path) < 0)
		return err_errno(e, "'%s'", path);
	autofd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_errno(e, "'%s'", path);
	int r = extract_source(image_file(x->m->img), fd, x->m->progress, e);
	return r < 0 ? err_wrap(e, r, "'%s'", x->folder) : 0;
}

/* dracut's livenet is in an initramfs only with curl, and without it a machine stops half-way. */
static int check_fetch(const struct media *m, struct err *e)
{
	if (image_resolve(image_tree(m->img), "/usr/bin/curl"))
		return 0;
	return err_set(e, ENOENT,
		"'%s' cannot fetch itself over the network: the package 'curl' is not in the image",
		image_path(m->img));
}

static int fill(const struct pxe *x, struct err *e)
{
	struct media *m = x->m;
	int r = check_fetch(m, e);

	if (r == 0)
		r = media_add_efi(m, "", GRUB_NET, e);
	if (r == 0)
		r = media_add_kickstart(m, MEDIA_KS, e);
	if (r == 0)
		r = add_menus(x, e);
	if (r == 0)
		r = media_add_kernel(m, PXEBOOT, e);
	if (r == 0)
		r = media_add_image(m, LIVE_FOLDER, e);
	return r < 0 ? r : copy_image(x, e);
}

/* The old folder, if any, ends up in ours and goes with it. */
static int take_place(const struct pxe *x, struct err *e)
{
	autofd int fd = open(x->m->tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || syncfs(fd) < 0)
		return err_errno(e, "'%s'", x->folder);
	if (renameat2(AT_FDCWD, x->m->tree, AT_FDCWD, x->folder,
		    x->exists ? RENAME_EXCHANGE : RENAME_NOREPLACE) < 0)
		return err_errno(e, "'%s'", x->folder);
	return 0;
}

static int write_folder(struct pxe *x, const struct media_spec *spec, const char *url,
	struct progress *p, struct err *e)
{
	autoptr(media) m = NULL;
	int r = check_url(x, url, e);

	if (r == 0)
		r = check_folder(x, x->folder, e);
	if (r == 0)
		r = media_open(spec, x->parent, p, &m, e);
	if (r < 0)
		return r;
	x->m = m;
	r = fill(x, e);
	if (r < 0)
		return r;
	autofree char *sums = media_sums(m);
	autofree char *path = xasprintf("%s/" MEDIA_SUMS, m->tree);
	r = file_replace(path, sums, strlen(sums), 0644, e);
	return r < 0 ? r : take_place(x, e);
}

int media_write_pxe(const struct media_spec *spec, const char *folder, const char *url,
	struct progress *p, struct err *e)
{
	auto_with(pxe_fini) struct pxe x = {.folder = folder};
	int r = write_folder(&x, spec, url, p, e);

	if (r < 0)
		drop_parents(&x);
	return r;
}
