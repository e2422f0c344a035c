/* SPDX-License-Identifier: Apache-2.0 */
#include "pkg/apt-download.h"

#include "base/cmd.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "pkg/apt-say.h"
#include "pkg/apt-setup.h"

int apt_indexes(
	const struct pkg_request *req, const char *cache_dir, struct strv *out, struct err *e)
{
	auto_apt_setup s = {0};
	autostrv names = {0};
	int r = apt_setup_init(&s, req, cache_dir, e);

	if (r == 0)
		r = file_list(s.lists, &names, e);
	for (size_t i = 0; r == 0 && i < names.count; i++)
		if (str_ends(names.items[i], "Packages"))
			strv_take(out, xasprintf("%s/%s", s.lists, names.items[i]));
	return r;
}

int apt_download(const struct pkg_request *req, const char *cache_dir, const struct strv *packages,
	const char *folder, struct err *e)
{
	autofree struct apt_said *said = xcalloc(1, sizeof(*said));
	autocmd c = {.cwd = folder, .on_line = apt_said_line, .on_line_ctx = said};
	auto_apt_setup s = {0};
	int r = apt_setup_init(&s, req, cache_dir, e);

	if (r < 0)
		return r;
	/* apt's own user could not write into a folder of ours. */
	cmd_add(&c, "apt-get", "download", "-oAPT::Sandbox::User=root", NULL);
	for (size_t i = 0; i < packages->count; i++)
		cmd_add(&c, packages->items[i], NULL);
	cmd_env(&c, "APT_CONFIG=%s", s.config);
	r = cmd_run(&c, e);
	return r < 0 ? apt_said_error(said, req, r, e) : 0;
}
