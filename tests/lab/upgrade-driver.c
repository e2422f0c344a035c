/* SPDX-License-Identifier: Apache-2.0 */
/* What the lab tests call of upgrade/var-restore.h: upgrade-driver restore-var FROM TO [SNAPSHOT] */
#include <stdio.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "upgrade/var-restore.h"

int main(int argc, char *argv[])
{
	autolvmreport lvm = {0};
	struct err e = {0};
	bool done;

	log_init("upgrade-driver");
	log_set_level(LOG_LEVEL_DEBUG);
	if (argc < 4 || argc > 5 || !str_eq(argv[1], "restore-var")) {
		fprintf(stderr, "usage: upgrade-driver restore-var FROM TO [SNAPSHOT]\n");
		return 2;
	}
	struct journal j = {.from = argv[2], .to = argv[3], .snapshot = argv[4], .var = true};
	int r = lvm_report(&lvm, &e);
	if (r == 0)
		r = var_restore(&lvm, &j, &done, &e);
	if (r < 0) {
		fprintf(stderr, "upgrade-driver: %s (errno %d)\n", e.msg, e.code);
		return 1;
	}
	puts(done ? "brought back" : "nothing to do");
	return 0;
}
