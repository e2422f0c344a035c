/* SPDX-License-Identifier: Apache-2.0 */
#include "pkg/apt-setup.h"

#include <limits.h>
#include <stdio.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/xalloc.h"

void apt_setup_fini(struct apt_setup *s)
{
	free(s->folder);
	free(s->lists);
	free(s->sources);
	free(s->config);
	free(s->archives);
}

/*
 * Local packages are copied: mmdebstrap installs from inside the tree, where a file: URL leads
 * nowhere.  A path in a URL has its odd characters escaped (RFC 3986, section 2.1).
 */
static void add_url(struct strbuf *b, const char *url)
{
	bool local = str_starts(url, "file:");

	strbuf_puts(b, local ? "copy:" : "");
	for (const char *p = url + (local ? strlen("file:") : 0); *p; p++) {
		if (local && (*p == '%' || (unsigned char)*p >= 0x7f))
			strbuf_printf(b, "%%%02x", (unsigned)(unsigned char)*p);
		else
			strbuf_putc(b, *p);
	}
}

char *apt_sources_text(const struct pkg_request *req)
{
	autostrbuf b = {0};

	for (size_t i = 0; i < req->repo_count; i++) {
		const struct pkg_repo *r = &req->repos[i];

		strbuf_printf(&b, "deb [arch=%s %s%s] ", req->arch,
			r->is_unsigned ? "trusted=yes" : "signed-by=",
			r->is_unsigned ? "" : r->signedby);
		add_url(&b, r->baseurl);
		strbuf_printf(&b, " %s", r->suite ? r->suite : "./");
		for (size_t k = 0; k < r->components.count; k++)
			strbuf_printf(&b, " %s", r->components.items[k]);
		strbuf_putc(&b, '\n');
	}
	return strbuf_take(&b);
}

static bool is_remote(const struct pkg_repo *r)
{
	return r->suite && !str_starts(r->baseurl, "file:");
}

char *apt_image_sources_text(const struct pkg_request *req)
{
	autostrbuf b = {0};

	for (size_t i = 0; i < req->repo_count; i++) {
		const struct pkg_repo *r = &req->repos[i];

		if (!is_remote(r))
			continue;
		strbuf_printf(&b,
			"Enabled: no\nTypes: deb\nURIs: %s\nSuites: %s\nComponents:", r->baseurl,
			r->suite);
		for (size_t k = 0; k < r->components.count; k++)
			strbuf_printf(&b, " %s", r->components.items[k]);
		if (r->signedby)
			strbuf_printf(&b, "\nSigned-By: %s", r->signedby);
		strbuf_puts(&b, "\n\n");
	}
	return strbuf_take(&b);
}

static void add_https(struct strbuf *b, const char *host, const char *option, const char *value)
{
	if (value)
		strbuf_printf(b, "Acquire::https::%s::%s \"%s\";\n", host, option, value);
}

char *apt_transport_text(const struct pkg_request *req)
{
	autostrbuf b = {0};

	strbuf_printf(&b,
		"Acquire::Retries \"%lld\";\n"
		"Acquire::http::Timeout \"%lld\";\n"
		"Acquire::https::Timeout \"%lld\";\n",
		(long long)req->retries, (long long)req->timeout_seconds,
		(long long)req->timeout_seconds);
	for (size_t i = 0; i < req->repo_count; i++) {
		const struct pkg_repo *r = &req->repos[i];
		autofree char *host = pkg_repo_host(r->baseurl);

		if (!host)
			continue;
		if (r->proxy)
			strbuf_printf(&b,
				"Acquire::http::Proxy::%s \"%s\";\n"
				"Acquire::https::Proxy::%s \"%s\";\n",
				host, r->proxy, host, r->proxy);
		add_https(&b, host, "Verify-Peer", r->no_verify_ssl ? "false" : NULL);
		add_https(&b, host, "Verify-Host", r->no_verify_ssl ? "false" : NULL);
		add_https(&b, host, "CAInfo", r->ca_cert);
		add_https(&b, host, "SslCert", r->client_cert);
		add_https(&b, host, "SslKey", r->client_key);
		/* apt's own user could not read a key that only root may read. */
		if (r->client_key)
			strbuf_puts(&b, "APT::Sandbox::User \"root\";\n");
	}
	return strbuf_take(&b);
}

static void add_pin(struct strbuf *b, const char *packages, const char *pin, int priority)
{
	strbuf_printf(b, "Package: %s\nPin: %s\nPin-Priority: %d\n\n", packages, pin, priority);
}

static char *joined(const struct strv *names)
{
	autostrbuf b = {0};

	for (size_t i = 0; i < names->count; i++)
		strbuf_printf(&b, "%s%s", i > 0 ? " " : "", names->items[i]);
	return strbuf_take(&b);
}

static bool has_name(const struct apt_target *t)
{
	return t->codename[0] || t->origin[0];
}

/* What selects the packages of one repository.  The caller frees it. */
static char *selector(const struct apt_target *t)
{
	autofree char *host = pkg_repo_host(t->uri);

	if (has_name(t))
		return xasprintf("release o=%s,l=%s,n=%s", t->origin, t->label, t->codename);
	return xasprintf("origin \"%s\"", host ? host : "");
}

static bool is_target_of(const struct apt_target *t, const struct pkg_repo *r)
{
	autostrbuf url = {0};

	add_url(&url, r->baseurl);
	strbuf_putc(&url, '/');
	return str_eq(t->uri, url.data) && (!r->suite || str_eq(t->suite, r->suite));
}

static const struct apt_target *find_target(
	const struct pkg_repo *r, const struct apt_target *targets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (is_target_of(&targets[i], r))
			return &targets[i];
	return NULL;
}

/* Without a Release file the host is all that apt knows of a repository; folders have none. */
static int check_apart(const struct pkg_request *req, const struct pkg_repo *r, struct err *e)
{
	autofree char *host = pkg_repo_host(r->baseurl);

	for (size_t i = 0; i < req->repo_count; i++) {
		const struct pkg_repo *other = &req->repos[i];
		autofree char *other_host = pkg_repo_host(other->baseurl);

		if (other != r && str_eq(host ? host : "", other_host ? other_host : ""))
			return err_set(e, EINVAL,
				"%s:%u: --includepkgs and --excludepkgs of an archive without "
				"Release file would also hit that of %s:%u",
				r->file, r->line, other->file, other->line);
	}
	return 0;
}

static void add_pins(struct strbuf *b, const struct pkg_repo *r, const struct apt_target *t)
{
	autofree char *pin = selector(t);
	autofree char *include = joined(&r->includepkgs);
	autofree char *exclude = joined(&r->excludepkgs);

	if (*exclude)
		add_pin(b, exclude, pin, -1);
	if (*include) {
		add_pin(b, include, pin, 500);
		add_pin(b, "*", pin, -1);
	}
}

int apt_preferences_text(const struct pkg_request *req, const struct apt_target *targets,
	size_t target_count, char **out, struct err *e)
{
	autostrbuf b = {0};

	for (size_t i = 0; i < req->exclude.count; i++)
		add_pin(&b, req->exclude.items[i], "version *", -1);
	for (size_t i = 0; i < req->repo_count; i++) {
		const struct pkg_repo *r = &req->repos[i];
		const struct apt_target *t = find_target(r, targets, target_count);

		if (!t || r->includepkgs.count + r->excludepkgs.count == 0)
			continue;
		int result = has_name(t) ? 0 : check_apart(req, r, e);
		if (result < 0)
			return result;
		add_pins(&b, r, t);
	}
	*out = strbuf_take(&b);
	return 0;
}

char *apt_dpkg_text(const struct pkg_request *req)
{
	static const char docs[] = "path-exclude=/usr/share/doc/*\n"
				   "path-include=/usr/share/doc/*/copyright\n"
				   "path-exclude=/usr/share/man/*\n"
				   "path-exclude=/usr/share/info/*\n"
				   "path-exclude=/usr/share/doc-base/*\n"
				   "path-exclude=/usr/share/gtk-doc/*\n"
				   "path-exclude=/usr/share/help/*\n"
				   "path-exclude=/usr/share/lintian/*\n"
				   "path-exclude=/usr/share/linda/*\n";
	autostrbuf b = {0};

	strbuf_puts(&b, req->excludedocs ? docs : "");
	if (!req->inst_langs)
		return strbuf_take(&b);
	strbuf_puts(&b,
		"path-exclude=/usr/share/locale/*\n"
		"path-include=/usr/share/locale/locale.alias\n");

	autofree char *names = xstrdup(req->inst_langs);
	char *rest = names;
	for (char *lang; (lang = str_next_word(&rest, ",: "));)
		if (!str_eq(lang, "none"))
			strbuf_printf(&b, "path-include=/usr/share/locale/%s/*\n", lang);
	return strbuf_take(&b);
}

static char *config_text(const struct apt_setup *s, const struct pkg_request *req)
{
	autofree char *transport = apt_transport_text(req);

	return xasprintf("Dir \"%s\";\n"
			 "Dir::State \"%s\";\n"
			 "Dir::State::Lists \"%s\";\n"
			 "Dir::State::status \"%s/status\";\n"
			 "Dir::Cache \"%s\";\n"
			 "Dir::Cache::Archives \"%s\";\n"
			 "Dir::Etc::SourceList \"%s\";\n"
			 "Dir::Etc::SourceParts \"/dev/null\";\n"
			 "Dir::Etc::Parts \"/dev/null\";\n"
			 "Dir::Etc::Main \"/dev/null\";\n"
			 "Dir::Etc::Preferences \"/dev/null\";\n"
			 "Dir::Etc::PreferencesParts \"/dev/null\";\n"
			 "APT::Architecture \"%s\";\n"
			 "APT::Architectures { \"%s\"; };\n"
			 /* Else the cache made here has apt among the essential packages. */
			 "pkgCacheGen::ForceEssential \",\";\n"
			 "Acquire::Languages \"none\";\n"
			 "Acquire::GzipIndexes \"false\";\n"
			 "Acquire::PDiffs \"false\";\n"
			 "%s",
		s->folder, s->folder, s->lists, s->folder, s->folder, s->archives, s->sources,
		req->arch, req->arch, transport);
}

static int write_text(const char *path, const char *text, struct err *e)
{
	return file_replace(path, text, strlen(text), 0644, e);
}

static int make_folders(struct apt_setup *s, struct err *e)
{
	autofree char *lists = xasprintf("%s/partial", s->lists);
	autofree char *archives = xasprintf("%s/partial", s->archives);
	int r = file_make_folder(lists, 0755, e);

	return r == 0 ? file_make_folder(archives, 0755, e) : r;
}

static int write_files(
	struct apt_setup *s, const struct pkg_request *req, const char *sources, struct err *e)
{
	autofree char *status = xasprintf("%s/status", s->folder);
	autofree char *config = config_text(s, req);
	int r = write_text(s->sources, sources, e);

	if (r == 0)
		r = write_text(s->config, config, e);
	return r == 0 ? write_text(status, "", e) : r;
}

int apt_setup_init(
	struct apt_setup *s, const struct pkg_request *req, const char *cache_dir, struct err *e)
{
	autofree char *sources = apt_sources_text(req);
	autofree char *absolute = NULL;
	uint8_t sum[SHA256_BYTES];
	char hex[SHA256_HEX_BYTES];
	int r = file_make_folder(cache_dir, 0755, e);

	if (r < 0)
		return r;
	absolute = realpath(cache_dir, NULL);
	if (!absolute)
		return err_errno(e, "'%s'", cache_dir);
	if (strpbrk(absolute, "\"\n"))
		return err_set(e, EINVAL, "cache folder '%s': apt can not work there", absolute);

	sha256_buffer(sources, strlen(sources), sum);
	hex_format(sum, sizeof(sum), hex);
	s->folder = xasprintf("%s/lists-%.16s", absolute, hex);
	s->lists = xasprintf("%s/lists", s->folder);
	s->sources = xasprintf("%s/sources.list", s->folder);
	s->config = xasprintf("%s/apt.conf", s->folder);
	s->archives = xasprintf("%s/archives", absolute);
	r = make_folders(s, e);
	return r == 0 ? write_files(s, req, sources, e) : r;
}
