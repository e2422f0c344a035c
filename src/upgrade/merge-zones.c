/* SPDX-License-Identifier: Apache-2.0 */
/* Which path falls under which rule: docs/merge.md has the same tables. */
#include "upgrade/merge-internal.h"

static const char *const vendor_top[] = {
	"bin",
	"boot",
	"dev",
	"lib",
	"lib32",
	"lib64",
	"libo32",
	"libx32",
	"lost+found",
	"proc",
	"run",
	"sbin",
	"sys",
	"tmp",
	"usr",
	"var",
};

static const char *const carried_below_vendor[] = {
	"usr/lib/bedplate/factory.json",
	"usr/local",
};

static const char *const noise[] = {
	"usr/lib/bedplate/apt",
	"usr/lib/bedplate/debconf",
	"usr/lib/bedplate/dpkg",
	"usr/lib/udev/hwdb.bin",
	"var/.updated",
	"var/cache",
	"var/lib/apt",
	"var/lib/dpkg",
	"var/log",
};

static const char *const generated[] = {
	"etc/.pwd.lock",
	"etc/.updated",
	"etc/group-",
	"etc/gshadow-",
	"etc/ld.so.cache",
	"etc/mtab",
	"etc/passwd-",
	"etc/shadow-",
	"etc/subgid-",
	"etc/subuid-",
};

static bool is_at_or_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return strncmp(path, folder, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static bool is_below_any(const char *path, const char *const *folders, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (is_at_or_below(path, folders[i]))
			return true;
	return false;
}

static bool is_python_cache(const char *path)
{
	return str_ends(path, ".pyc") || str_ends(path, "/__pycache__") ||
		strstr(path, "/__pycache__/");
}

enum merge_zone merge_zone_of(const char *path)
{
	if (!is_below_any(path, vendor_top, ARRAY_LEN(vendor_top)) ||
		is_below_any(path, carried_below_vendor, ARRAY_LEN(carried_below_vendor)))
		return ZONE_CARRIED;
	if (is_below_any(path, noise, ARRAY_LEN(noise)) || is_python_cache(path))
		return ZONE_NOISE;
	return ZONE_DROPPED;
}

bool merge_is_generated(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(generated); i++)
		if (str_eq(path, generated[i]))
			return true;
	return false;
}

bool merge_is_unit_folder(const char *path)
{
	return str_starts(path, "etc/systemd/system/") || str_starts(path, "etc/systemd/user/");
}
