/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/entry-manifest.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "boot/entry-text.h"
#include "boot/entry.h"

#define SIG_MAX_BYTES (1 * MIB)

void boot_manifest_fini(struct boot_manifest *m)
{
	free(m->text);
	free(m->sig);
	*m = (struct boot_manifest){0};
}

static int open_folder(int boot_fd, const char *layer, struct err *e)
{
	if (!entry_layer_ok(layer))
		return err_set(e, EINVAL, "bad name of a layer: '%s'", layer);
	return file_open_beneath(boot_fd, layer, O_RDONLY | O_DIRECTORY, e);
}

static int write_one(int folder_fd, const char *name, const char *data, size_t len, struct err *e)
{
	autofree char *path = xasprintf("/proc/self/fd/%d/%s", folder_fd, name);

	return file_replace(path, data, len, 0644, e);
}

/* The manifest last: one without its signature would be taken for unsigned. */
int boot_manifest_write(
	int boot_fd, const char *layer, const struct boot_manifest *m, struct err *e)
{
	autofd int folder_fd = open_folder(boot_fd, layer, e);
	int r = folder_fd < 0 ? folder_fd : 0;

	if (r == 0 && m->sig)
		r = write_one(folder_fd, BOOT_MANIFEST_SIG, m->sig, m->sig_len, e);
	if (r == 0)
		r = write_one(folder_fd, BOOT_MANIFEST, m->text, m->len, e);
	if (r == 0)
		r = boot_sync(boot_fd, e);
	return r < 0 ? err_wrap(e, r, "manifest of boot entry '%s'", layer) : 0;
}

static int read_one(
	int folder_fd, const char *name, size_t max_bytes, char **text, size_t *len, struct err *e)
{
	autofd int fd = file_open_beneath(folder_fd, name, O_RDONLY | O_NONBLOCK, e);
	int r = fd < 0 ? fd : file_read_fd(fd, max_bytes, text, len, e);

	return r < 0 ? err_wrap(e, r, "'%s'", name) : 0;
}

int boot_manifest_read(int boot_fd, const char *layer, struct boot_manifest *out, struct err *e)
{
	autobootmanifest m = {0};
	autofd int folder_fd = open_folder(boot_fd, layer, e);
	int r = folder_fd < 0 ? folder_fd : 0;

	if (r == 0)
		r = read_one(folder_fd, BOOT_MANIFEST, BOOT_MANIFEST_MAX_BYTES, &m.text, &m.len, e);
	if (r == 0)
		r = read_one(folder_fd, BOOT_MANIFEST_SIG, SIG_MAX_BYTES, &m.sig, &m.sig_len, e);
	if (r == -ENOENT && m.text)
		r = 0;
	if (r < 0)
		return err_wrap(e, r, "boot entry '%s'", layer);
	*out = m;
	m = (struct boot_manifest){0};
	return 0;
}
