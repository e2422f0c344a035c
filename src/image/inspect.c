/* SPDX-License-Identifier: Apache-2.0 */
#include "image/inspect.h"

#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "image/package-db.h"
#include "image/sign.h"

#define OS_RELEASE_MAX_BYTES (64 * KIB)

void inspect_fini(struct inspect_result *r)
{
	char *strings[] = {r->path, r->name, r->version, r->arch, r->title, r->compressor};
	struct manifest lists = {.kernels = r->kernels,
		.kernel_count = r->kernel_count,
		.packages = r->packages,
		.package_count = r->package_count};

	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		free(strings[i]);
	manifest_fini(&lists);
	manifest_fini(&r->manifest);
	*r = (struct inspect_result){0};
}

/* The value of KEY="value" or KEY=value.  The caller frees it. */
static char *os_release_value(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, len) != 0 || line[len] != '=')
			continue;
		const char *value = line + len + 1;
		size_t n = strcspn(value, "\n");

		if (n >= 2 && (*value == '"' || *value == '\'') && value[n - 1] == *value) {
			value++;
			n -= 2;
		}
		return xstrndup(value, n);
	}
	return NULL;
}

static char *first_value(const char *text, const char *a, const char *b)
{
	char *value = os_release_value(text, a);

	return value ? value : os_release_value(text, b);
}

static void name_from_tree(struct tree *t, struct inspect_result *out)
{
	autofree char *text = NULL;

	if (image_read(t, "etc/os-release", OS_RELEASE_MAX_BYTES, &text, NULL, NULL) < 0 &&
		image_read(t, "usr/lib/os-release", OS_RELEASE_MAX_BYTES, &text, NULL, NULL) < 0)
		return;
	out->title = os_release_value(text, "PRETTY_NAME");
	if (!out->name)
		out->name = first_value(text, "IMAGE_ID", "ID");
	if (!out->version)
		out->version = first_value(text, "IMAGE_VERSION", "VERSION_ID");
}

static void arch_from_packages(struct inspect_result *out)
{
	for (size_t i = 0; !out->arch && i < out->package_count; i++)
		if (!str_eq(out->packages[i].arch, "all"))
			out->arch = xstrdup(out->packages[i].arch);
}

static uint64_t file_bytes(const struct tree *t, const char *path)
{
	const struct tree_entry *en = image_resolve(t, path);

	return en && S_ISREG(en->mode) ? en->size_bytes : 0;
}

static void list_kernels(const struct tree *t, struct inspect_result *out)
{
	struct manifest m = {0};
	autostrv releases = {0};

	image_kernels(t, &releases);
	for (size_t i = 0; i < releases.count; i++) {
		const char *rel = releases.items[i];
		autofree char *kernel = xasprintf("boot/vmlinuz-%s", rel);
		autofree char *kernel2 = xasprintf("usr/lib/modules/%s/vmlinuz", rel);
		autofree char *initrd = xasprintf("boot/initrd.img-%s", rel);
		autofree char *initrd2 = xasprintf("boot/initramfs-%s.img", rel);
		struct manifest_kernel *k = manifest_add_kernel(&m);

		k->release = xstrdup(rel);
		k->kernel_bytes = file_bytes(t, kernel);
		if (k->kernel_bytes == 0)
			k->kernel_bytes = file_bytes(t, kernel2);
		k->initramfs_bytes = file_bytes(t, initrd);
		if (k->initramfs_bytes == 0)
			k->initramfs_bytes = file_bytes(t, initrd2);
	}
	out->kernels = m.kernels;
	out->kernel_count = m.kernel_count;
}

static int list_packages(struct tree *t, struct inspect_result *out, struct err *e)
{
	struct manifest m = {0};
	int r = packages_read(t, &m, e);

	out->packages = m.packages;
	out->package_count = m.package_count;
	return r;
}

static int take_manifest(struct image *img, struct inspect_result *out, struct err *e)
{
	autofree char *path = image_sibling(img, MANIFEST_SUFFIX);
	autofree char *sig = xasprintf("%s" SIGN_SUFFIX, path);

	if (!file_exists(path))
		return 0;
	int r = manifest_load(path, &out->manifest, e);
	if (r < 0)
		return r;
	out->has_manifest = true;
	out->has_signature = file_exists(sig);
	out->name = xstrdup(out->manifest.name);
	out->version = xstrdup(out->manifest.version);
	out->arch = xstrdup(out->manifest.arch);
	return 0;
}

int image_inspect(struct image *img, struct inspect_result *out, struct err *e)
{
	const struct squashfs_info *info = image_squashfs(img);
	struct tree *t = image_tree(img);
	int r = take_manifest(img, out, e);

	if (r == 0)
		r = list_packages(t, out, e);
	if (r < 0)
		return r;
	out->path = xstrdup(image_path(img));
	out->kind = image_kind(img);
	out->file_bytes = image_file(img)->size_bytes;
	out->rootfs_bytes = image_rootfs(img) ? image_rootfs(img)->size_bytes : 0;
	if (info) {
		out->compressor = xstrdup(info->compressor);
		out->block_bytes = info->block_bytes;
		out->time = info->time;
	}
	for (size_t i = 0; i < t->count; i++) {
		if (!S_ISREG(t->entries[i].mode) || t->entries[i].link_of != i)
			continue;
		out->files++;
		out->content_bytes += t->entries[i].size_bytes;
	}
	name_from_tree(t, out);
	arch_from_packages(out);
	list_kernels(t, out);
	return 0;
}
