/* SPDX-License-Identifier: Apache-2.0 */
/* Package requests from a kickstart. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>

#include "base/file.h"
#include "base/log.h"
#include "base/macro.h"
#include "base/xalloc.h"
#include "ks/model.h"
#include "pkg/pkg.h"

#define KEYRING_FOLDER  "/usr/share/keyrings"
#define DEFAULT_KEYRING KEYRING_FOLDER "/debian-archive-keyring.gpg"
#define DEFAULT_COST    1000 /* as dnf's */
#define DEFAULT_TIMEOUT 30
#define DEFAULT_RETRIES 2

/* Each of these goes into a line of apt's configuration, so what would end it is refused. */
static int check_text(const struct ks_cmd *c, const char *what, const char *text, struct err *e)
{
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p <= ' ' || strchr("\"[]{};", *p) || *p == 0x7f)
			return err_set(e, EINVAL, "%s:%u: '%c' may not be in %s '%s'", ks_file(c),
				ks_line(c), *p, what, text);
	return 0;
}

/* path as seen from the folder that the kickstart stands in. */
static char *beside_kickstart(const struct ks_cmd *c, const char *path)
{
	const char *file = ks_file(c);
	const char *slash = strrchr(file, '/');

	if (path[0] == '/' || !slash)
		return xstrdup(path);
	return xasprintf("%.*s/%s", (int)(slash - file), file, path);
}

static int resolve_local(
	const struct ks_cmd *c, const char *url, const char *path, char **out, struct err *e)
{
	autofree char *there = beside_kickstart(c, path);
	autofree char *absolute = realpath(there, NULL);

	if (!absolute)
		return err_set(e, EINVAL, "%s:%u: no folder '%s' for '%s'", ks_file(c), ks_line(c),
			there, url);
	*out = xasprintf("file:%s", absolute);
	return check_text(c, "path", absolute, e);
}

static int set_url(struct pkg_repo *repo, const struct ks_cmd *c, const char *url, struct err *e)
{
	size_t len = strlen(url);
	int r;

	if (str_starts(url, "file:")) {
		const char *path = url + strlen("file:");

		return resolve_local(
			c, url, str_starts(path, "//") ? path + 2 : path, &repo->baseurl, e);
	}
	if (!str_starts(url, "http://") && !str_starts(url, "https://"))
		return err_set(e, EINVAL,
			"%s:%u: '%s' is neither http:, https: nor file:", ks_file(c), ks_line(c),
			url);
	r = check_text(c, "URL", url, e);
	if (r < 0)
		return r;
	while (len > 0 && url[len - 1] == '/')
		len--;
	repo->baseurl = xstrndup(url, len);
	return 0;
}

static int set_keyring(struct pkg_repo *repo, const struct ks_cmd *c, struct err *e)
{
	const char *given = ks_str(c, "signedby");

	repo->is_unsigned = ks_flag(c, "unsigned");
	if (repo->is_unsigned && given)
		return err_set(e, EINVAL, "%s:%u: --unsigned and --signedby exclude each other",
			ks_file(c), ks_line(c));
	if (repo->is_unsigned)
		return 0;

	autofree char *beside = beside_kickstart(c, given ? given : DEFAULT_KEYRING);
	autofree char *shared = xasprintf(KEYRING_FOLDER "/%s", given ? given : "");
	autofree char *absolute = realpath(beside, NULL);

	if (!absolute && given && !strchr(given, '/'))
		absolute = realpath(shared, NULL);
	if (!absolute)
		return err_set(e, EINVAL, "%s:%u: no keyring '%s'%s", ks_file(c), ks_line(c),
			given ? given : DEFAULT_KEYRING,
			given ? "" : " (package debian-archive-keyring), and no --signedby");
	repo->signedby = take_ptr(absolute);
	return check_text(c, "path", repo->signedby, e);
}

static int set_components(struct pkg_repo *repo, const struct ks_cmd *c, struct err *e)
{
	const char *given = ks_str(c, "components");
	autofree char *copy = xstrdup(given ? given : "");
	char *rest = copy;
	int r = 0;

	for (char *name; r == 0 && (name = str_next_word(&rest, ", "));) {
		r = check_text(c, "component", name, e);
		strv_add(&repo->components, name);
	}
	if (repo->components.count > 0 && !repo->suite)
		return err_set(
			e, EINVAL, "%s:%u: --components needs --suite", ks_file(c), ks_line(c));
	if (repo->components.count == 0 && repo->suite)
		strv_add(&repo->components, "main");
	return r;
}

static int set_suite(struct pkg_repo *repo, const struct ks_cmd *c, struct err *e)
{
	const char *suite = ks_str(c, "suite");

	if (!suite)
		return 0;
	repo->suite = xstrdup(suite);
	if (!*suite || suite[strlen(suite) - 1] == '/')
		return err_set(e, EINVAL, "%s:%u: bad suite '%s'; a flat repository has none",
			ks_file(c), ks_line(c), suite);
	return check_text(c, "suite", suite, e);
}

static int set_lists(struct pkg_repo *repo, const struct ks_cmd *c, struct err *e)
{
	static const char *const options[] = {"includepkgs", "excludepkgs"};
	struct strv *lists[] = {&repo->includepkgs, &repo->excludepkgs};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		strv_add_all(lists[i], ks_list(c, options[i]));
		for (size_t k = 0; r == 0 && k < lists[i]->count; k++)
			r = check_text(c, "package", lists[i]->items[k], e);
	}
	return r;
}

static int set_certificates(struct pkg_repo *repo, const struct ks_cmd *c, struct err *e)
{
	static const char *const options[] = {"sslcacert", "sslclientcert", "sslclientkey"};
	char **const paths[] = {&repo->ca_cert, &repo->client_cert, &repo->client_key};

	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		const char *given = ks_str(c, options[i]);

		if (!given)
			continue;
		autofree char *beside = beside_kickstart(
			c, given + (str_starts(given, "file://") ? strlen("file://") : 0));
		*paths[i] = realpath(beside, NULL);
		if (!*paths[i])
			return err_set(e, EINVAL, "%s:%u: no file '%s' of --%s", ks_file(c),
				ks_line(c), beside, options[i]);
		int r = check_text(c, "path", *paths[i], e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int set_transport(struct pkg_repo *repo, const struct ks_cmd *c, struct err *e)
{
	int r = set_certificates(repo, c, e);

	repo->no_verify_ssl = ks_flag(c, "noverifyssl");
	if (r < 0 || !ks_str(c, "proxy"))
		return r;
	repo->proxy = xstrdup(ks_str(c, "proxy"));
	return check_text(c, "proxy", repo->proxy, e);
}

/* name is NULL for the url command. */
static int add_repo(struct pkg_request *req, const struct ks_cmd *c, const char *url,
	const char *name, struct err *e)
{
	struct pkg_repo *repo;
	int r;

	req->repos = xrealloc(req->repos, (req->repo_count + 1) * sizeof(*req->repos));
	repo = &req->repos[req->repo_count++];
	*repo = (struct pkg_repo){
		.name = xstrdup(name ? name : "url"),
		.cost = DEFAULT_COST,
		.file = xstrdup(ks_file(c)),
		.line = ks_line(c),
	};
	if (ks_str(c, "mirrorlist") || ks_str(c, "metalink"))
		return err_set(e, EINVAL, "%s:%u: --mirrorlist and --metalink are for RPM only",
			ks_file(c), ks_line(c));
	if (!url)
		return err_set(e, EINVAL, "%s:%u: no --baseurl", ks_file(c), ks_line(c));
	r = set_url(repo, c, url, e);
	if (r == 0)
		r = set_suite(repo, c, e);
	if (r == 0)
		r = set_components(repo, c, e);
	if (r == 0)
		r = set_keyring(repo, c, e);
	if (r == 0)
		r = set_transport(repo, c, e);
	if (r == 0 && name) {
		ks_int(c, "cost", &repo->cost);
		r = set_lists(repo, c, e);
	}
	return r;
}

static bool same(const char *a, const char *b)
{
	return str_eq(a ? a : "", b ? b : "");
}

/* apt keeps these by host.  One line must not quietly change how another one is trusted. */
static int check_hosts(const struct pkg_request *req, struct err *e)
{
	for (size_t i = 1; i < req->repo_count; i++) {
		const struct pkg_repo *a = &req->repos[i];
		autofree char *host = pkg_repo_host(a->baseurl);

		for (size_t k = 0; host && k < i; k++) {
			const struct pkg_repo *b = &req->repos[k];
			autofree char *other = pkg_repo_host(b->baseurl);

			if (!other || !str_eq(host, other) ||
				(same(a->proxy, b->proxy) && same(a->ca_cert, b->ca_cert) &&
					same(a->client_cert, b->client_cert) &&
					same(a->client_key, b->client_key) &&
					a->no_verify_ssl == b->no_verify_ssl))
				continue;
			return err_set(e, EINVAL,
				"%s:%u: --proxy, --noverifyssl and --ssl... must be as on %s:%u: "
				"both lines are about host '%s'",
				a->file, a->line, b->file, b->line, host);
		}
	}
	return 0;
}

static int add_repos(struct pkg_request *req, const struct ks_doc *doc, struct err *e)
{
	int r = 0;

	for (const struct ks_cmd *c = NULL; r == 0 && (c = ks_next(doc, "url", c));)
		r = add_repo(req, c, ks_str(c, "url"), NULL, e);
	for (const struct ks_cmd *c = NULL; r == 0 && (c = ks_next(doc, "repo", c));)
		r = add_repo(req, c, ks_str(c, "baseurl"), ks_str(c, "name"), e);
	if (r == 0 && req->repo_count == 0)
		return err_set(e, EINVAL, "no repo or url line: nothing to install from");
	return r == 0 ? check_hosts(req, e) : r;
}

/* An insertion sort keeps the order of equal costs, and there are only a few. */
static void sort_repos(struct pkg_request *req)
{
	for (size_t i = 1; i < req->repo_count; i++) {
		struct pkg_repo repo = req->repos[i];
		size_t k = i;

		for (; k > 0 && req->repos[k - 1].cost > repo.cost; k--)
			req->repos[k] = req->repos[k - 1];
		req->repos[k] = repo;
	}
}

/* kind: what the wishes are, without name and place. */
static void add_wishes(struct pkg_request *req, const struct strv *names,
	const struct ks_place *places, struct pkg_wish kind)
{
	for (size_t i = 0; i < names->count; i++) {
		req->wishes = xrealloc(req->wishes, (req->wish_count + 1) * sizeof(*req->wishes));
		req->wishes[req->wish_count++] = (struct pkg_wish){
			.name = xstrdup(names->items[i]),
			.is_group = kind.is_group,
			.is_excluded = kind.is_excluded,
			.file = xstrdup(places[i].file),
			.line = places[i].line,
		};
	}
}

static int64_t number_or(const char *digits, int64_t usual, int64_t most)
{
	return digits ? MIN((int64_t)strtoull(digits, NULL, 10), most) : usual;
}

static void warn_of_group_options(const struct ks_packages *p)
{
	for (size_t i = 0; i < p->groups.count; i++) {
		const struct ks_group *g = &p->group_details[i];

		if (g->optional || g->nodefaults)
			log_warning("%s:%u: --%s of '@%s' is not acted on", p->group_places[i].file,
				p->group_places[i].line, g->optional ? "optional" : "nodefaults",
				p->groups.items[i]);
	}
}

static void set_wishes(struct pkg_request *req, const struct ks_packages *p)
{
	static const struct pkg_wish package, group = {.is_group = true};
	static const struct pkg_wish off = {.is_excluded = true};
	static const struct pkg_wish group_off = {.is_group = true, .is_excluded = true};
	const struct ks_place header = {p->file ? p->file : "%packages", p->line};
	autostrv core = {0};

	strv_add(&core, "core");
	if (!p->nocore && !strv_has(&p->groups, "core") && !strv_has(&p->excluded_groups, "core"))
		add_wishes(req, &core, &header, group);
	add_wishes(req, &p->groups, p->group_places, group);
	add_wishes(req, &p->packages, p->package_places, package);
	add_wishes(req, &p->excluded_groups, p->excluded_group_places, group_off);
	add_wishes(req, &p->excluded, p->excluded_places, off);
	warn_of_group_options(p);
	req->timeout_seconds = number_or(p->timeout, DEFAULT_TIMEOUT, 24 * 3600);
	req->retries = number_or(p->retries, DEFAULT_RETRIES, 1000);
	req->excludedocs = p->excludedocs;
	req->exclude_weakdeps = p->exclude_weakdeps;
	req->ignoremissing = p->ignoremissing;
	req->inst_langs = p->inst_langs ? xstrdup(p->inst_langs) : NULL;
	if (p->environment)
		log_warning("%s:%u: environment '%s' is not known for Debian and does nothing",
			p->environment_place.file, p->environment_place.line, p->environment);
}

char *pkg_repo_host(const char *url)
{
	const char *p = strstr(url, "://");

	return p ? xstrndup(p + 3, strcspn(p + 3, "/:")) : NULL;
}

/* Debian's names where they differ from the kernel's. */
char *pkg_host_arch(void)
{
	static const char *const names[][2] = {
		{"x86_64", "amd64"},
		{"aarch64", "arm64"},
		{"ppc64le", "ppc64el"},
	};
	struct utsname u;

	if (uname(&u) < 0)
		return xstrdup("amd64");
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eq(u.machine, names[i][0]))
			return xstrdup(names[i][1]);
	return xstrdup(u.machine);
}

int pkg_request_from_ks(const struct ks_doc *doc, struct pkg_request **out, struct err *e)
{
	autoptr(pkg_request) req = xcalloc(1, sizeof(*req));
	int r = add_repos(req, doc, e);

	if (r < 0)
		return r;
	sort_repos(req);
	req->arch = pkg_host_arch();
	set_wishes(req, ks_packages(doc));
	*out = take_ptr(req);
	return 0;
}
