/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/open.h"

#include <fcntl.h>

#include "base/log.h"
#include "base/str.h"
#include "upgrade/precheck.h"
#include "upgrade/recover.h"

int open_site_mended(struct site *out, struct err *e)
{
	autostrv done = {0};
	int r = site_open(false, out, e);

	if (r == 0)
		r = recover_run(out, false, &done, e);
	for (size_t i = 0; i < done.count; i++)
		log_warning("mended: %s", done.items[i]);
	return r < 0 || done.count == 0 ? r : site_refresh(out, e);
}

int open_site(struct site *out, struct settings *settings, struct err *e)
{
	autofd int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = root_fd < 0 ? err_errno(e, "'/'") : settings_read(root_fd, settings, e);

	if (r == 0)
		r = open_site_mended(out, e);
	return r < 0 ? r : precheck_no_trial(out, e);
}
