/* SPDX-License-Identifier: Apache-2.0 */
/* A small tree that scripts run in: the host's shell, a few programs, and their libraries. */
#pragma once

#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cmd.h"
#include "base/file.h"
#include "sys/chroot.h"

struct sh_tree {
	char path[64];
};

/* False when this test can not run here.  Needs root. */
static inline bool sh_tree_init(struct sh_tree *t)
{
	static const char copy[] =
		"for p in sh cat cut grep mkdir sleep stat; do"
		" p=$(command -v $p) && cp -L --parents $p \"$1\" &&"
		" ldd $p | grep -o '/[^ ]*' | xargs cp -L --parents -t \"$1\" ||"
		" exit 1; done; mkdir -p \"$1/bin\" \"$1/etc\" \"$1/usr/sbin\" &&"
		" cp -L /bin/sh \"$1/bin\"";
	struct sh_tree init = {.path = "/tmp/bedplate-test-XXXXXX"};
	autocmd c = {0};
	struct err e = {0};

	*t = init;
	if (geteuid() != 0 || chroot_enter_namespace(&e) < 0)
		return false;
	assert_non_null(mkdtemp(t->path));
	cmd_add(&c, "sh", "-c", copy, "sh", t->path, NULL);
	assert_ok(cmd_run(&c, &e), e);
	return true;
}

static inline void sh_tree_fini(struct sh_tree *t)
{
	struct err e = {0};

	assert_ok(file_remove_tree(t->path, &e), e);
}
