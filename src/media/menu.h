/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GRUB's menu: one text for every medium and firmware.
 *
 * Entries of an image (ids install, install-serial, upgrade, reinstall, uninstall, live, check) and
 * what stands before them.  GRUB finds the medium by its label and then knows it as $root.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/macro.h"
#include "base/str.h"

#define MENU_TIMEOUT 10 /* seconds */

struct menu_image {
	const char *kernel, *initramfs; /* as GRUB finds them: "/images/pxeboot/vmlinuz" */
	const char *root;               /* parameters that find the image, "root=live:..." */
	const char *params;             /* of the image and of the user, before everything else */
	const char *kickstart;          /* "inst.ks=...", or NULL */
	bool check;                     /* the medium can be checked: it is a device */
	bool variables; /* root and kickstart have '$' for the boot loader to fill in */
};

/* The entries.  The caller frees the text. */
char *menu_entries(const struct menu_image *image) MUST_CHECK;

/* All before the entries: label NULL: the medium is not looked for.  The caller frees it. */
char *menu_head(const char *label, const char *default_entry, int timeout_seconds) MUST_CHECK;

/* The whole as a script of iPXE; paths are relative to it.  The caller frees it. */
char *menu_ipxe(const struct menu_image *image, const char *title, const char *default_entry,
	int timeout_seconds) MUST_CHECK;

/* The same as a configuration of PXELINUX.  root and kickstart must not have variables. */
char *menu_pxelinux(const struct menu_image *image, const char *default_entry, int timeout_seconds)
	MUST_CHECK;

/*
 * The first file that a GRUB with a file system of its own reads (the EFI system partition): find
 * the medium and go on with grub.cfg in its folder ("/boot/grub").  The caller frees it.
 */
char *menu_redirect(const char *label, const char *folder) MUST_CHECK;

/*
 * Add kernel parameters as words of GRUB's language, each after a blank.  Quotes are the kernel's:
 * a="b c" is one parameter.
 */
void menu_add_params(struct strbuf *out, const char *params);
/* One word, whatever is in it. */
void menu_add_word(struct strbuf *out, const char *word);
