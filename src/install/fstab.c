/* SPDX-License-Identifier: Apache-2.0 */
/* fstab(5) of a node: see docs/node.md. */
#include <string.h>

#include "base/xalloc.h"
#include "install/configure-part.h"

#define GROW "x-systemd.growfs"

/* White space and backslashes as fstab(5) wants them. */
static void add_field(struct strbuf *b, const char *text)
{
	for (; *text; text++) {
		if (strchr(" \t\n\\", *text))
			strbuf_printf(b, "\\%03o", (unsigned char)*text);
		else
			strbuf_putc(b, *text);
	}
	strbuf_putc(b, ' ');
}

/* fsck(8) has nothing to do for others. */
static unsigned check_pass(const char *fstype)
{
	return str_starts(fstype, "ext") || str_eq(fstype, "vfat") ? 2 : 0;
}

static bool grows(const char *fstype)
{
	return str_starts(fstype, "ext") || str_eq(fstype, "xfs") || str_eq(fstype, "btrfs");
}

static void add_line(struct strbuf *b, const char *device, const char *mount, const char *fstype,
	const char *options)
{
	bool swap = str_eq(fstype, "swap");

	add_field(b, device);
	add_field(b, swap ? "none" : mount);
	add_field(b, fstype);
	add_field(b, options);
	strbuf_printf(b, "0 %u\n", swap ? 0 : check_pass(fstype));
}

static void add_part(struct strbuf *b, const struct layout_part *p, const char *uuid)
{
	bool efi = p->role == LAYOUT_EFI, swap = p->role == LAYOUT_SWAP;
	const char *options = p->fsoptions ? p->fsoptions : "defaults";

	if (!uuid || !(swap || (p->mount && p->mount[0] == '/')))
		return;
	autofree char *device = xasprintf("UUID=%s", uuid);
	add_line(b, device, p->mount, efi ? "vfat" : swap ? "swap" : p->fstype, options);
}

static void add_volume(struct strbuf *b, const char *vg, const struct layout_volume *v)
{
	const char *options = v->fsoptions  ? v->fsoptions
		: str_eq(v->fstype, "swap") ? "defaults"
					    : "defaults,discard";
	bool grow = grows(v->fstype) && !strstr(options, GROW);

	autofree char *device = xasprintf("/dev/%s/%s", vg, v->name);
	autofree char *all = xasprintf("%s%s", options, grow ? "," GROW : "");
	add_line(b, device, v->mount, v->fstype, all);
}

char *fstab_format(const struct layout *l, const char *const uuids[])
{
	autostrbuf b = {0};

	strbuf_puts(&b,
		"# Made by nodectl install.  Root is not here: the kernel's command line names its "
		"layer.\n");
	for (size_t i = 0; i < l->part_count; i++)
		add_part(&b, &l->parts[i], uuids[i]);
	for (size_t i = 0; i < l->volume_count; i++)
		if (l->volumes[i].name && !str_eq(l->volumes[i].mount, "/"))
			add_volume(&b, l->vg, &l->volumes[i]);
	return strbuf_take(&b);
}
