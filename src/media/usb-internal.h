/* SPDX-License-Identifier: Apache-2.0 */
/* A stick: what there is and what it becomes (usb.c), and writing it (usb-write.c).  Internal to media/. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "media/fat.h"
#include "media/gpt.h"
#include "media/media-tree.h"
#include "media/sums.h"

#define BIOS_BYTES   (1 * MIB)
#define ESP_BYTES    (64 * MIB)
#define FIRST_BYTES  (1 * MIB) /* before the first partition, and behind the last */
#define SECTOR_BYTES 512U
#define GRUB_CFG     "grub/grub.cfg"
#define MENU_CFG     "grub/menu.cfg"
#define MENU_NEW     "grub/menu.new"

struct stick {
	const struct media_usb_spec *spec;
	struct media *m;
	char *path; /* of the device or file that is written */
	char *tmp;  /* a new file until it is complete */
	bool is_device, is_new_file, is_ours;
	uint64_t size_bytes;
	struct gpt_part data; /* of a stick that is ours; otherwise as planned */
	char *label;
	char *folder;        /* of the image: "images/NAME-VERSION" */
	struct strv old;     /* folders in images that stay, newest first */
	struct strv drop;    /* folders of the same image that go in the end */
	struct strv cut;     /* folders that nothing knows: an update was cut off; they go first */
	struct strv foreign; /* folders in images that somebody else has put there; they stay */
	struct sums sums;    /* of what is there and stays */
};

/* The third partition. */
struct fat usb_data(const struct stick *s);
int usb_write(struct stick *s, struct err *e) MUST_CHECK;
