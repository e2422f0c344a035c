/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/resolve.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "image/image.h"
#include "image/package-db.h"
#include "image/stage.h"
#include "ks/ks.h"
#include "pkg/apt-download.h"
#include "pkg/pkg.h"
#include "plugin/words.h"

/* The repositories as the kickstart that an image would be built from has them. */
static char *kickstart(const struct strv *repos)
{
	autostrbuf b = {0};

	for (size_t i = 0; i < repos->count; i++)
		strbuf_printf(&b, "repo --name=repo%zu --baseurl=%s\n", i + 1, repos->items[i]);
	strbuf_puts(&b, "%packages --nocore\n%end\n");
	return strbuf_take(&b);
}

/* Lines of ours, so only the texts are news. */
static int check_lines(const struct ks_doc *doc, struct err *e)
{
	if (ks_problem_count(doc) == 0)
		return 0;
	autofree char *safe = str_printable(ks_problem_at(doc, 0)->text);
	return err_set(e, EINVAL, "--repo: %s", safe);
}

static int check_lists(const struct pkg_request *req, struct err *e)
{
	for (size_t i = 0; i < req->repo_count; i++)
		if (req->repos[i].includepkgs.count + req->repos[i].excludepkgs.count > 0)
			return err_set(e, EINVAL,
				"--repo: --includepkgs and --excludepkgs are not possible here");
	return 0;
}

static int make_request(
	const struct plugin_resolve_spec *spec, struct pkg_request **out, struct err *e)
{
	autofree char *text = kickstart(&spec->repos);
	autoptr(pkg_request) req = NULL;
	autoptr(ks_doc) doc = NULL;
	int r;

	for (size_t i = 0; i < spec->repos.count; i++)
		if (strpbrk(spec->repos.items[i], "\r\n"))
			return err_set(e, EINVAL, "--repo: one line each");
	for (size_t i = 0; i < spec->names.count; i++)
		if (!plugin_is_word(spec->names.items[i]))
			return err_set(e, EINVAL, "'%s' is not the name of a package",
				spec->names.items[i]);
	r = ks_parse_text("--repo", text, strlen(text), NULL, &doc, e);
	if (r == 0)
		r = check_lines(doc, e);
	if (r == 0)
		r = pkg_request_from_ks(doc, &req, e);
	if (r == 0)
		r = check_lists(req, e);
	if (r < 0)
		return r;
	*out = take_ptr(req);
	return 0;
}

static int read_status(const char *path, char **out, struct err *e)
{
	static const char *const places[] = {"var/lib/dpkg/status", "usr/lib/bedplate/dpkg/status"};
	autoptr(image) img = NULL;
	int r = image_open(path, &img, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (image_resolve(image_tree(img), places[i]))
			return image_read(
				image_tree(img), places[i], DPKG_STATUS_MAX_BYTES, out, NULL, e);
	return err_set(e, ENOENT, "'%s' has no package database of dpkg", path);
}

/* Take the package out of what was fetched, which apt named. */
static int take_package(
	const struct plugin_need *n, const char *from, const char *to, struct err *e)
{
	const char *colon = strchr(n->version, ':');
	autofree char *target = xasprintf(
		"%s/%s_%s_%s.deb", to, n->name, colon ? colon + 1 : n->version, n->arch);
	uint8_t sum[SHA256_BYTES];
	autostrv names = {0};
	int r = file_list(from, &names, e);

	for (size_t i = 0; r == 0 && i < names.count; i++) {
		autofree char *path = xasprintf("%s/%s", from, names.items[i]);

		r = sha256_file(path, sum, e);
		if (r < 0 || memcmp(sum, n->sha256, SHA256_BYTES) != 0)
			continue;
		return rename(path, target) < 0 ? err_errno(e, "'%s'", target) : 0;
	}
	if (r < 0)
		return r;
	return err_set(e, EBADMSG,
		"package '%s': what was fetched does not have the digest of its repository",
		n->name);
}

static int fetch(const struct pkg_request *req, const struct plugin_resolve_spec *spec,
	const struct plugin_needs *needs, const char *folder, struct err *e)
{
	autofree char *fetched = xasprintf("%s/.fetched.XXXXXX", folder);
	autostrv wanted = {0};
	struct err ignored = {0};
	int r;

	for (size_t i = 0; i < needs->count; i++) {
		const struct plugin_need *n = &needs->items[i];

		if (!n->has_sha256)
			return err_set(e, EBADMSG,
				"package '%s': its repository has no SHA-256 digest of it",
				n->name);
		strv_take(&wanted, xasprintf("%s=%s", n->name, n->version));
	}
	if (!mkdtemp(fetched))
		return err_errno(e, "'%s'", fetched);
	r = apt_download(req, spec->cache, &wanted, fetched, e);
	for (size_t i = 0; r == 0 && i < needs->count; i++)
		r = take_package(&needs->items[i], fetched, folder, e);
	(void)!file_remove_tree(fetched, &ignored);
	return r;
}

static int download(const struct pkg_request *req, const struct plugin_resolve_spec *spec,
	const struct plugin_needs *needs, struct err *e)
{
	autofree char *folder = xasprintf("%s/packages", spec->download);
	int r;

	if (needs->count == 0)
		return 0;
	r = file_make_folder(folder, 0755, e);
	return r == 0 ? fetch(req, spec, needs, folder, e) : r;
}

/* Names and versions go to apt as they are. */
static int check_needs(const struct plugin_needs *needs, struct err *e)
{
	for (size_t i = 0; i < needs->count; i++) {
		const struct plugin_need *n = &needs->items[i];
		autofree char *safe = str_printable(n->name);

		if (!plugin_is_word(n->name) || !plugin_is_word(n->version) ||
			!plugin_is_word(n->arch))
			return err_set(e, EBADMSG,
				"package '%.80s': the repository has a wrong name or version of it",
				safe);
	}
	return 0;
}

static int resolve(const struct plugin_resolve_spec *spec, struct pkg_request *req,
	struct plugin_needs *out, struct err *e)
{
	struct plugin_solve_spec solve = {.names = spec->names, .arch = req->arch};
	autofree char *status = NULL, *state = NULL;
	autostrv indexes = {0};
	int64_t date;
	int r = read_status(spec->image, &status, e);

	if (r == 0)
		r = pkg_backend(req)->refresh(req, spec->cache, 0, &state, &date, e);
	if (r == 0)
		r = apt_indexes(req, spec->cache, &indexes, e);
	if (r < 0)
		return r;
	solve.status = status;
	solve.indexes = indexes;
	return plugin_solve(&solve, out, e);
}

int plugin_resolve(const struct plugin_resolve_spec *spec, struct plugin_needs *out, struct err *e)
{
	autoptr(pkg_request) req = NULL;
	autofd int lock_fd = -1;
	int r = make_request(spec, &req, e);

	if (r < 0)
		return r;
	assert(req);
	r = stage_cache_lock(spec->cache, &lock_fd, e);
	if (r == 0)
		r = resolve(spec, req, out, e);
	if (r == 0)
		r = check_needs(out, e);
	if (r == 0 && spec->download)
		r = download(req, spec, out, e);
	if (r < 0)
		plugin_needs_fini(out);
	return r;
}
