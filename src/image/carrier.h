/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Debian package that carries an image: installing it on a node upgrades the node.
 *
 * Every image has a package of the same name in its database, with the version of the image and
 * without files, so that a package manager sees the next image as an upgrade of that one.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/progress.h"

/* Where the image lies on a node until it has become a layer: on /var, which no layer pays for. */
#define CARRIER_FOLDER "/var/lib/bedplate/carrier"

/* "node-image-update", and an image's version in the characters of a Debian version.  The caller frees
 * them. */
char *carrier_package_name(const char *image_name) MUST_CHECK;
char *carrier_package_version(const char *image_version) MUST_CHECK;

/*
 * Put the package without files into the tree's database, or give the one that is there this version.
 * A tree without dpkg is left as it is.
 */
int carrier_mark_tree(int root_fd, const char *image_name, const char *image_version, struct err *e)
	MUST_CHECK;

struct carrier_spec {
	const char *image;   /* liveimg with its manifest beside it, or the folder of a build */
	const char *folder;  /* for the package */
	const char *version; /* of the package; NULL: that of the image */
	bool allow_unsigned; /* installing it tells nodectl so */
};

/* Same image, same bytes.  *path is the caller's to free.  -EBADMSG: not the image of its manifest. */
int carrier_write(const struct carrier_spec *spec, char **path, struct progress *p, struct err *e)
	MUST_CHECK;
