/* SPDX-License-Identifier: Apache-2.0 */
/* The kickstart's scripts, around and inside the new root. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/macro.h"
#include "image/scripts.h"
#include "install/configure-node.h"

/* Where scripts of many years look for the new root. */
static const char *const known_places[] = {"/mnt/sysimage", "/mnt/sysroot"};

/* What is there already, of the live system or of an earlier script, stays. */
static void make_links(const struct target *t, bool made[ARRAY_LEN(known_places)])
{
	if (mkdir("/mnt", 0755) < 0 && errno != EEXIST)
		log_debug("/mnt: %m");
	for (size_t i = 0; i < ARRAY_LEN(known_places); i++)
		made[i] = symlink(target_path(t), known_places[i]) == 0;
}

static void drop_links(const bool made[ARRAY_LEN(known_places)])
{
	for (size_t i = 0; i < ARRAY_LEN(known_places); i++)
		if (made[i] && unlink(known_places[i]) < 0)
			log_debug("%s: %m", known_places[i]);
}

static int run(const struct node_config *c, const struct target *t, enum ks_script_kind kind,
	struct err *e)
{
	const struct scripts_env env = {
		.tree_path = t ? target_path(t) : NULL,
		.log_fd = c->log_fd,
		.on_node = true,
	};
	bool made[ARRAY_LEN(known_places)] = {false};

	if (t)
		make_links(t, made);
	int r = scripts_run(c->doc, kind, &env, NULL, e);
	drop_links(made);
	return r;
}

int node_run_pre_install(const struct node_config *c, struct target *t, struct err *e)
{
	return run(c, t, KS_PRE_INSTALL, e);
}

int node_run_post(const struct node_config *c, struct target *t, struct err *e)
{
	return run(c, t, KS_POST, e);
}

void node_run_onerror(const struct node_config *c, struct target *t)
{
	struct err e = {0};

	if (run(c, t, KS_ONERROR, &e) < 0)
		log_warning("%s", e.msg);
}
