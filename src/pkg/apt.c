/* SPDX-License-Identifier: Apache-2.0 */
/* Debian packages, through mmdebstrap and apt. */
#include <ctype.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/cmd.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "pkg/apt-index.h"
#include "pkg/apt-say.h"
#include "pkg/apt-setup.h"
#include "pkg/deb822.h"
#include "pkg/pkg.h"
#include "sys/chroot.h"

#define RELEASE_MAX_BYTES (16 * MIB)
#define DISK_FULL_BYTES   (1 * MIB)
#define TARGETS_MAX       256
#define INDEX_MAX_BYTES   (64 * MIB)

struct targets {
	struct apt_target items[TARGETS_MAX];
	size_t count;
};

static void targets_free(struct targets *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->count; i++) {
		free(t->items[i].uri);
		free(t->items[i].suite);
		free(t->items[i].origin);
		free(t->items[i].label);
		free(t->items[i].codename);
		free(t->items[i].file);
	}
	free(t);
}
DEFINE_AUTOPTR(targets, targets_free)

static int update(
	const struct apt_setup *s, const struct pkg_request *req, int log_fd, struct err *e)
{
	autofree struct apt_said *said = xcalloc(1, sizeof(*said));
	autocmd c = {.log_fd = log_fd, .on_line = apt_said_line, .on_line_ctx = said};
	int r;

	/* Building apt's caches costs more than all the rest, and only when a list is new. */
	cmd_add(&c, "apt-get", "update", "--error-on=any", "-opkgCacheFile::Generate=false", NULL);
	cmd_env(&c, "APT_CONFIG=%s", s->config);
	r = cmd_run(&c, e);
	/* A wrong signature is an error even where apt would go on with what it had before. */
	if (r < 0 || said->signature[0])
		return apt_said_error(said, req, r, e);
	return 0;
}

/* One line of apt-get indextargets: fields separated by '|'. */
static int add_target(struct targets *t, const char *line, struct err *e)
{
	struct apt_target *one = &t->items[t->count];
	char **fields[] = {
		&one->uri, &one->suite, &one->origin, &one->label, &one->codename, &one->file};

	if (t->count == TARGETS_MAX)
		return err_set(e, E2BIG, "more than %d package indexes", TARGETS_MAX);
	t->count++;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		size_t len = i + 1 < ARRAY_LEN(fields) ? strcspn(line, "|") : strlen(line);

		/* What apt does not know stays as it was asked for: "$(ORIGIN)". */
		*fields[i] = xstrndup(line, str_starts(line, "$(") ? 0 : len);
		line += len + (line[len] == '|');
	}
	return 0;
}

static int list_targets(const struct apt_setup *s, struct targets *t, struct err *e)
{
	autocmd c = {0};
	autofree char *text = NULL;
	int r;

	cmd_add(&c, "apt-get", "indextargets", "--format",
		"$(REPO_URI)|$(RELEASE)|$(ORIGIN)|$(LABEL)|$(CODENAME)|$(FILENAME)",
		"Created-By: Packages", NULL);
	cmd_env(&c, "APT_CONFIG=%s", s->config);
	r = cmd_output(&c, &text, e);
	if (r < 0)
		return err_wrap(e, r, "listing package indexes");

	char *rest = text;
	for (char *line; r == 0 && (line = str_next_word(&rest, "\n"));)
		r = add_target(t, line, e);
	return r;
}

/* "Date: Sat, 11 Jul 2026 09:14:22 UTC"; 0 when it is not one. */
static int64_t parse_date(struct slice value)
{
	autofree char *text = slice_dup(value);
	struct tm tm = {0};

	if (!strptime(text, "%a, %d %b %Y %H:%M:%S", &tm))
		return 0;
	return (int64_t)timegm(&tm);
}

/* In an InRelease file the stanza comes after the header of its signature (RFC 9580, section 7). */
static int64_t release_date(const char *text, size_t len)
{
	static const char *const fields[] = {"Date"};
	struct deb822 d = {.at = text, .end = text + len};
	struct slice date;

	while (deb822_next(&d, fields, &date, 1))
		if (date.len > 0)
			return parse_date(date);
	return 0;
}

/* "..._InRelease" vouches for each file whose name begins the same way. */
static bool has_release(const struct strv *files, const char *name)
{
	for (size_t i = 0; i < files->count; i++) {
		const char *f = files->items[i];
		size_t len = strlen(f);

		if (str_ends(f, "_InRelease"))
			len -= strlen("InRelease");
		else if (str_ends(f, "_Release"))
			len -= strlen("Release");
		else
			continue;
		if (strncmp(name, f, len) == 0)
			return true;
	}
	return false;
}

static int add_release(const char *path, struct sha256 *h, int64_t *date, struct err *e)
{
	autofree char *text = NULL;
	size_t len;
	int r = file_read(path, RELEASE_MAX_BYTES, &text, &len, e);

	if (r < 0)
		return r;
	int64_t published = release_date(text, len);
	if (published > *date)
		*date = published;
	sha256_add(h, text, len);
	return 0;
}

/* The state is that of the Release files; of an index without one, the index itself. */
static int read_state(const struct apt_setup *s, char **state_digest, int64_t *date, struct err *e)
{
	autoptr(sha256) h = sha256_new();
	autostrv files = {0};
	uint8_t sum[SHA256_BYTES];
	char hex[SHA256_HEX_BYTES];
	int r = file_list(s->lists, &files, e);

	*date = 0;
	for (size_t i = 0; r == 0 && i < files.count; i++) {
		const char *name = files.items[i];
		autofree char *path = xasprintf("%s/%s", s->lists, name);

		if (str_ends(name, "Release")) {
			sha256_add_str(h, name);
			r = add_release(path, h, date, e);
		} else if (str_ends(name, "Packages") && !has_release(&files, name)) {
			sha256_add_str(h, name);
			r = sha256_file(path, sum, e);
			sha256_add(h, sum, sizeof(sum));
		}
	}
	if (r < 0)
		return err_wrap(e, r, "repository state");
	sha256_end(h, sum);
	hex_format(sum, sizeof(sum), hex);
	*state_digest = xstrdup(hex);
	return 0;
}

static int expand(const struct targets *t, struct pkg_request *req, struct err *e)
{
	autoptr(apt_index) x = apt_index_new();

	for (size_t i = 0; i < t->count; i++) {
		int r = apt_index_add(x, t->items[i].file, e);
		if (r < 0)
			return r;
	}
	apt_index_sort(x);
	return apt_index_expand(x, req, e);
}

static int write_preferences(const struct apt_setup *s, const struct pkg_request *req,
	const struct targets *t, struct err *e)
{
	autofree char *path = xasprintf("%s/preferences", s->folder);
	autofree char *text = NULL;
	int r = apt_preferences_text(req, t->items, t->count, &text, e);

	return r == 0 ? file_replace(path, text, strlen(text), 0644, e) : r;
}

/* apt calls indexes that it could not write for lack of space damaged ones. */
static int explain_full_disk(int r, const char *cache_dir, struct err *e)
{
	struct statvfs fs;

	if (r != -EPROTO || statvfs(cache_dir, &fs) < 0 ||
		(uint64_t)fs.f_bavail * fs.f_frsize >= DISK_FULL_BYTES)
		return r;
	return err_set(e, ENOSPC, "no space left in '%s'", cache_dir);
}

static int apt_refresh(struct pkg_request *req, const char *cache_dir, int log_fd,
	char **state_digest, int64_t *date, struct err *e)
{
	autoptr(targets) t = xcalloc(1, sizeof(*t));
	autofree char *digest = NULL;
	auto_apt_setup s = {0};
	int r = apt_setup_init(&s, req, cache_dir, e);

	if (r == 0)
		r = update(&s, req, log_fd, e);
	if (r == 0)
		r = list_targets(&s, t, e);
	if (r == 0)
		r = expand(t, req, e);
	if (r == 0)
		r = write_preferences(&s, req, t, e);
	if (r == 0)
		r = read_state(&s, &digest, &req->date, e);
	if (r < 0)
		return explain_full_disk(r, cache_dir, e);
	*state_digest = take_ptr(digest);
	*date = req->date;
	return 0;
}

/*
 * apt takes a package from its cache by name and size alone.  That is enough for an archive, where
 * a version never changes, but not for packages that were built here a moment ago.
 */
static int drop_local_archives(const struct apt_setup *s, struct err *e)
{
	static const char *const fields[] = {"Filename"};
	autostrv files = {0};
	int r = file_list(s->lists, &files, e);

	for (size_t i = 0; r == 0 && i < files.count; i++) {
		autofree char *path = xasprintf("%s/%s", s->lists, files.items[i]);
		autofree char *text = NULL;
		size_t len;
		struct slice v;

		/* apt's name for a local list begins with the path, its slashes made '_'. */
		if (files.items[i][0] != '_' || !str_ends(files.items[i], "Packages"))
			continue;
		r = file_read(path, INDEX_MAX_BYTES, &text, &len, e);
		struct deb822 d = {.at = text, .end = text ? text + len : NULL};
		while (r == 0 && deb822_next(&d, fields, &v, 1)) {
			autofree char *name = slice_dup(v);
			const char *slash = strrchr(name, '/');
			autofree char *cached = xasprintf(
				"%s/%s", s->archives, slash ? slash + 1 : name);

			unlink(cached);
		}
	}
	return r;
}

struct install_watch {
	struct apt_said said;
	struct progress *progress;
	uint64_t done;
};

static void watch_line(void *ctx, const char *line)
{
	struct install_watch *w = ctx;

	apt_said_line(&w->said, line);
	/* An interrupt also ends the command, so what progress_advance() says of it can wait. */
	if (w->progress && str_starts(line, "Setting up ") &&
		progress_advance(w->progress, ++w->done, NULL) < 0)
		log_debug("stopping");
}

static void watch_simulation(void *ctx, const char *line)
{
	struct install_watch *w = ctx;

	apt_said_line(&w->said, line);
	if (w->progress && str_starts(line, "Inst "))
		w->progress->total++;
}

static int write_options(const struct apt_setup *s, const struct pkg_request *req, struct err *e)
{
	autofree char *dpkg = apt_dpkg_text(req);
	autofree char *transport = apt_transport_text(req);
	/* The tree is thrown away when the build does not end well, so syncing gains nothing. */
	autofree char *dpkg_all = xasprintf("force-unsafe-io\n%s", dpkg);
	autofree char *apt = xasprintf("Dir::State::Lists \"%s\";\n"
				       "Dir::Cache::srcpkgcache \"%s/srcpkgcache.bin\";\n"
				       "Dir::Cache::pkgcache \"\";\n"
				       "Acquire::Languages \"none\";\n"
				       "APT::Install-Recommends \"%s\";\n"
				       "APT::Keep-Downloaded-Packages \"true\";\n"
				       "%s",
		s->lists, s->folder, req->exclude_weakdeps ? "false" : "true", transport);
	autofree char *dpkg_path = xasprintf("%s/dpkg.cfg", s->folder);
	autofree char *apt_path = xasprintf("%s/tree.conf", s->folder);
	int r = file_replace(dpkg_path, dpkg_all, strlen(dpkg_all), 0644, e);

	return r == 0 ? file_replace(apt_path, apt, strlen(apt), 0644, e) : r;
}

/* mmdebstrap runs it with the tree as $1, before it installs anything. */
static const char setup_hook[] =
	"set -e; "
	"mkdir -p \"$1/var/cache/apt/archives\" \"$1/etc/apt/preferences.d\"; "
	"mount --bind \"$BEDPLATE_ARCHIVES\" \"$1/var/cache/apt/archives\"; "
	"cp \"$BEDPLATE_APT/preferences\" \"$1/etc/apt/preferences.d/bedplate\"; "
	/* An image's kernels are found by version, and /vmlinuz.old would be one too many. */
	"printf 'do_symlinks = no\\n' >\"$1/etc/kernel-img.conf\"";

/* Ask apt first: what cannot be installed is said at once, and by apt alone. */
static int simulate(const struct apt_setup *s, const struct pkg_request *req, int log_fd,
	struct install_watch *w, struct err *e)
{
	autocmd c = {.log_fd = log_fd, .on_line = watch_simulation, .on_line_ctx = w};
	int r;

	cmd_add(&c, "apt-get", "install", "--simulate", "--yes", NULL);
	cmd_addf(&c, "-oDir::Etc::Preferences=%s/preferences", s->folder);
	cmd_addf(&c, "-oAPT::Install-Recommends=%s", req->exclude_weakdeps ? "false" : "true");
	cmd_addf(&c, "?narrow(?architecture(%s),?essential)", req->arch);
	for (size_t i = 0; i < req->install.count; i++)
		cmd_add(&c, req->install.items[i], NULL);
	cmd_env(&c, "APT_CONFIG=%s", s->config);
	r = cmd_run(&c, e);
	return r < 0 ? apt_said_error(&w->said, req, r, e) : 0;
}

static void build_command(struct cmd *c, const struct apt_setup *s, const struct pkg_request *req,
	const char *tree_path)
{
	autostrbuf include = {0};

	chroot_cmd_init_outside(c);
	cmd_add(c, "mmdebstrap", "--mode=root", "--format=directory", "--variant=essential",
		"--verbose", "--skip=update,essential/unlink,cleanup/apt", NULL);
	cmd_addf(c, "--architectures=%s", req->arch);
	cmd_addf(c, "--aptopt=%s/tree.conf", s->folder);
	cmd_addf(c, "--dpkgopt=%s/dpkg.cfg", s->folder);
	cmd_addf(c, "--setup-hook=%s", setup_hook);
	for (size_t i = 0; i < req->install.count; i++)
		strbuf_printf(&include, "%s%s", i > 0 ? "," : "", req->install.items[i]);
	if (include.len > 0)
		cmd_addf(c, "--include=%s", include.data);
	cmd_add(c, "", tree_path, s->sources, NULL);

	cmd_env(c, "BEDPLATE_APT=%s", s->folder);
	cmd_env(c, "BEDPLATE_ARCHIVES=%s", s->archives);
	cmd_env(c, "SOURCE_DATE_EPOCH=%lld", (long long)req->date);
	/* The kernel's hooks make no initramfs: the image gets one, at the end. */
	cmd_env(c, "INITRD=No");
	cmd_env(c, "TMPDIR=/tmp");
}

static int apt_install(struct pkg_request *req, const char *cache_dir, const char *tree_path,
	int log_fd, struct progress *p, struct err *e)
{
	autofree struct install_watch *w = xcalloc(1, sizeof(*w));
	autocmd c = {.log_fd = log_fd, .on_line = watch_line, .on_line_ctx = w};
	auto_apt_setup s = {0};
	int r = apt_setup_init(&s, req, cache_dir, e);

	if (r == 0)
		r = drop_local_archives(&s, e);
	if (r == 0)
		r = write_options(&s, req, e);
	if (r < 0)
		return r;
	w->progress = p;
	r = simulate(&s, req, log_fd, w, e);
	if (r < 0)
		return r;
	build_command(&c, &s, req, tree_path);
	r = cmd_run(&c, e);
	return r < 0 ? apt_said_error(&w->said, req, r, e) : 0;
}

const struct pkg_ops pkg_apt = {
	.name = "apt",
	.refresh = apt_refresh,
	.install = apt_install,
};
