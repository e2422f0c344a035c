/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of a tree and their modules. */
#pragma once

#include "base/err.h"
#include "base/str.h"

/* Versions of the kernels that have modules, sorted by bytes. */
int modules_versions(int root_fd, struct strv *out, struct err *e) MUST_CHECK;

/*
 * Store all modules uncompressed, correct the package database's lists and index each kernel anew.
 * Blocks of an uncompressed file can be shared between images; the squashfs around compresses it.
 */
int modules_decompress(const char *tree_path, int log_fd, struct err *e) MUST_CHECK;
/* Index the modules of each kernel anew. */
int modules_index(const char *tree_path, int log_fd, struct err *e) MUST_CHECK;
