/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an initramfs was made from, as text that can be compared with a tree later.
 *
 * One line for each thing: a letter, the SHA-256 of its state, the path.  The letters: 'c' content
 * and type of one file, 'n' names in a folder, 'r' names in it and all below, 't' names and
 * content of all below.  A path that is not there has a state, too.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/io.h"

/*
 * Describe the tree for an initramfs (an uncompressed cpio archive in "newc" format, cpio(5)): each
 * path of the archive that the tree has too, and all that decides what dracut takes.  The caller
 * frees *out.
 */
int initramfs_deps_collect(int root_fd, const char *kernel, struct source *archive, char **out,
	struct err *e) MUST_CHECK;

/* 1 when everything in the text is the same in the tree, 0 when not. */
int initramfs_deps_match(int root_fd, const char *text, struct err *e) MUST_CHECK;
