/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/edit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cmd.h"
#include "base/file.h"
#include "base/xalloc.h"
#include "image/extract.h"
#include "image/intree.h"
#include "image/scrub.h"
#include "pkg/deb822.h"
#include "plugin/install.h"
#include "plugin/resolve.h"
#include "plugin/shell.h"
#include "plugin/words.h"
#include "sys/chroot.h"

#define STAGING         "/.bedplate-edit" /* packages, while they are installed */
#define SCRIPT_PATH     "/run/edit-script"
#define SCRIPT_MAX      (16 * MIB)
#define SOURCES_PATH    "/etc/apt/sources.list.d/image.sources"
#define SOURCES_MAX     (1 * MIB)
#define VERSION_MAX     200
#define PACKAGES_PREFIX "packages="
#define COPY_PREFIX     "copy="
#define RUN_PREFIX      "run="

struct edit {
	const struct image_edit_spec *spec;
	struct derive *d;
};

static struct plugin_place place_of(const struct edit *x)
{
	return (struct plugin_place){.tree_path = x->d->tree_path,
		.root_fd = x->d->root_fd,
		.source_date = x->d->manifest.source_date,
		.log_fd = x->d->log_fd};
}

/* ---- packages ---- */

/* The archives that the image was built from, when it knows them. */
static int image_repos(struct edit *x, struct strv *out, struct err *e)
{
	static const char *const fields[] = {"URIs", "Suites", "Components", "Signed-By"};
	autofree char *text = NULL;
	struct slice v[ARRAY_LEN(fields)];
	int r = file_read_in_root(x->d->root_fd, SOURCES_PATH, SOURCES_MAX, &text, e);

	if (r == -ENOENT)
		return err_set(e, ENOENT, "the image knows no repositories: give them with --repo");
	if (r < 0)
		return r;
	struct deb822 d = {.at = text, .end = text + strlen(text)};
	while (deb822_next(&d, fields, v, ARRAY_LEN(fields))) {
		autofree char *uri = slice_dup(v[0]), *suite = slice_dup(v[1]);
		autofree char *components = slice_dup(v[2]), *key = slice_dup(v[3]);
		autostrbuf b = {0};

		if (!*uri || !*suite)
			continue;
		for (char *p = components; *p; p++)
			*p = *p == ' ' ? ',' : *p;
		strbuf_printf(&b, "%s --suite=%s", uri, suite);
		if (*components)
			strbuf_printf(&b, " --components=%s", components);
		if (*key)
			strbuf_printf(&b, " --signedby=%s", key);
		strv_take(out, strbuf_take(&b));
	}
	return out->count > 0
		? 0
		: err_set(e, ENOENT, "the image knows no repositories: give them with --repo");
}

static int compare_steps(const void *a, const void *b)
{
	const struct plugin_need *x = a, *y = b;

	return (x->step > y->step) - (x->step < y->step);
}

/* Fetch what the names need; files become the paths, in the order for dpkg. */
static int fetch(struct edit *x, const struct strv *names, struct strv *files, struct err *e)
{
	autofree char *folder = xasprintf("%s/fetched", x->d->work);
	autostrv repos = {0};
	auto_plugin_needs needs = {0};
	struct plugin_resolve_spec spec = {.image = image_path(x->d->image),
		.names = *names,
		.cache = x->spec->cache,
		.download = folder};
	int r = 0;

	if (names->count == 0)
		return 0;
	strv_add_all(&repos, &x->spec->repos);
	if (repos.count == 0)
		r = image_repos(x, &repos, e);
	spec.repos = repos;
	if (r == 0)
		r = plugin_resolve(&spec, &needs, e);
	if (r < 0)
		return r;
	if (needs.count > 1)
		qsort(needs.items, needs.count, sizeof(*needs.items), compare_steps);
	for (size_t i = 0; i < needs.count; i++) {
		const struct plugin_need *n = &needs.items[i];
		const char *colon = strchr(n->version, ':');

		strv_take(files,
			xasprintf("%s/packages/%s_%s_%s.deb", folder, n->name,
				colon ? colon + 1 : n->version, n->arch));
	}
	return 0;
}

static int stage(struct edit *x, const char *file, const char *name, struct err *e)
{
	autofree char *path = xasprintf(STAGING "/%s", name);
	autoptr(source) s = NULL;
	int r = source_open_path(file, &s, e);

	if (r < 0)
		return r;
	autofd int fd = file_open_in_root(
		x->d->root_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, e);
	return fd < 0 ? fd : extract_source(s, fd, NULL, e);
}

static int install_files(struct edit *x, const struct strv *files, struct err *e)
{
	const struct plugin_place place = place_of(x);
	autostrv names = {0};
	int r = intree_remove(x->d->root_fd, STAGING, e);

	if (r == 0)
		r = file_make_folder_in_root(x->d->root_fd, STAGING, e);
	for (size_t i = 0; r == 0 && i < files->count; i++) {
		strv_take(&names, xasprintf("%zu.deb", i));
		r = stage(x, files->items[i], names.items[i], e);
	}
	if (r == 0)
		r = plugin_install_debs(&place, STAGING, &names, e);
	return r == 0 ? intree_remove(x->d->root_fd, STAGING, e) : r;
}

static int do_packages(struct edit *x, const char *text, struct err *e)
{
	autofree char *copy = xstrdup(text);
	char *rest = copy;
	autostrv names = {0}, files = {0}, own = {0};

	for (char *word; (word = str_next_word(&rest, ", \t"));)
		strv_add(strchr(word, '/') || str_ends(word, ".deb") ? &own : &names, word);
	int r = fetch(x, &names, &files, e);
	strv_add_all(&files, &own);
	if (r == 0 && files.count > 0)
		r = install_files(x, &files, e);
	return r;
}

/* ---- files and scripts ---- */

static int do_copy(struct edit *x, const char *text, struct err *e)
{
	const char *colon = strrchr(text, ':');
	autofree char *from = xstrndup(text, (size_t)(colon - text));
	autofree char *to = xstrdup(colon + 1);
	autocmd c = {.log_fd = x->d->log_fd};
	const char *last = strrchr(from, '/');

	last = last ? last + 1 : from;
	if (str_ends(to, "/")) {
		char *into = xasprintf("%s%s", to, last);

		free(to);
		to = into;
	}
	char *slash = strrchr(to, '/');
	autofree char *folder = xstrndup(to, (size_t)(slash - to));
	int r = *folder ? file_make_folder_in_root(x->d->root_fd, folder, e) : 0;
	if (r < 0)
		return r;
	autofd int fd = file_open_in_root(
		x->d->root_fd, *folder ? folder : "/", O_RDONLY | O_DIRECTORY, 0, e);
	if (fd < 0)
		return fd;
	/* The child's own /proc/self has it not, but ours has.  A link that is there is replaced. */
	cmd_add(&c, "cp", "-r", "-T", "--preserve=mode,links,xattr", "--remove-destination", "--",
		from, NULL);
	cmd_addf(&c, "/proc/%d/fd/%d/%s", (int)getpid(), fd, slash + 1);
	return cmd_run(&c, e);
}

static int do_run(struct edit *x, const char *script, struct err *e)
{
	autofree char *text = NULL;
	autoptr(chroot) root = NULL;
	autocmd c = {0};
	size_t len;
	int r = file_read(script, SCRIPT_MAX, &text, &len, e);

	if (r == 0)
		r = chroot_open(x->d->tree_path, &root, e);
	if (r < 0)
		return r;
	autofd int fd = file_open_in_root(
		x->d->root_fd, SCRIPT_PATH, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0700, e);
	r = fd < 0 ? fd : io_write(fd, text, len, e);
	if (r < 0)
		return r;
	close(take_fd(&fd));
	chroot_cmd_init(root, &c);
	c.log_fd = x->d->log_fd;
	cmd_env(&c, "SOURCE_DATE_EPOCH=%lld", (long long)x->d->manifest.source_date);
	if (!str_starts(text, "#!"))
		cmd_add(&c, "/bin/sh", NULL);
	cmd_add(&c, SCRIPT_PATH, NULL);
	return cmd_run(&c, e);
}

/* ---- all of it ---- */

static int check_step(const char *step, struct err *e)
{
	if (str_starts(step, COPY_PREFIX)) {
		const char *text = step + strlen(COPY_PREFIX), *colon = strrchr(text, ':');

		if (!colon || colon == text || colon[1] != '/' || !plugin_is_path(colon + 1))
			return err_set(e, EINVAL,
				"--copy '%s': expected SRC:DST, DST an absolute path in the image",
				text);
		autofree char *from = xstrndup(text, (size_t)(colon - text));
		return access(from, R_OK) < 0 ? err_errno(e, "--copy: '%s'", from) : 0;
	}
	if (str_starts(step, RUN_PREFIX)) {
		const char *script = step + strlen(RUN_PREFIX);

		return access(script, R_OK) < 0 ? err_errno(e, "--run: '%s'", script) : 0;
	}
	return 0;
}

static int do_step(struct edit *x, const char *step, struct err *e)
{
	if (str_starts(step, PACKAGES_PREFIX))
		return err_wrap(e, do_packages(x, step + strlen(PACKAGES_PREFIX), e), "--packages");
	if (str_starts(step, COPY_PREFIX))
		return err_wrap(e, do_copy(x, step + strlen(COPY_PREFIX), e), "--copy");
	return err_wrap(e, do_run(x, step + strlen(RUN_PREFIX), e), "--run '%s'",
		step + strlen(RUN_PREFIX));
}

static int do_steps(struct edit *x, struct err *e)
{
	int r = 0;

	progress_begin(x->d->progress, "edit", x->spec->steps.count, "steps");
	for (size_t i = 0; r == 0 && i < x->spec->steps.count; i++) {
		r = do_step(x, x->spec->steps.items[i], e);
		if (r == 0)
			r = progress_advance(x->d->progress, i + 1, e);
	}
	progress_end(x->d->progress);
	if (r == 0 && x->spec->shell)
		r = err_wrap(e, tree_shell(x->d->tree_path, e), "--shell");
	return r == 0 ? scrub_tree(x->d->root_fd, e) : r;
}

static int touches_kernel(struct edit *x, bool *out, struct err *e)
{
	autoptr(tree) now = NULL;
	autochanges c = {0};
	int r = tree_scan(x->d->tree_path, &now, e);

	if (r == 0)
		r = changes_find(image_tree(x->d->plain), x->d->before, now, &c, e);
	for (size_t i = 0; r == 0 && i < c.count; i++)
		*out |= derive_touches_kernel(c.items[i].en->path);
	return r;
}

static int choose_version(const struct edit *x, char **out, struct err *e)
{
	const struct manifest *m = &x->d->manifest;
	autofree char *version = x->spec->version
		? xstrdup(x->spec->version)
		: xasprintf("%s%cedit", m->version, m->made_from.count == 0 ? '+' : '.');

	if (!plugin_is_word(version) || strlen(version) > VERSION_MAX || version[0] == '.' ||
		version[0] == '-')
		return err_set(e, EINVAL, "'%.80s' cannot be the version of an image", version);
	if (str_eq(version, m->version))
		return err_set(e, EINVAL, "the image has version '%s' already", version);
	*out = take_ptr(version);
	return 0;
}

int image_edit(const struct image_edit_spec *spec, struct derive_result *out, struct progress *p,
	struct err *e)
{
	autoderive d = {.spec = &spec->derive, .progress = p, .root_fd = -1, .log_fd = -1};
	struct edit x = {.spec = spec, .d = &d};
	autofree char *version = NULL;
	bool kernel = false;
	int r = 0;

	for (size_t i = 0; r == 0 && i < spec->steps.count; i++)
		r = check_step(spec->steps.items[i], e);
	if (r == 0)
		r = derive_open(&d, e);
	if (r == 0)
		r = choose_version(&x, &version, e);
	if (r == 0)
		r = derive_unpack(&d, e);
	if (r == 0)
		r = do_steps(&x, e);
	if (r == 0)
		r = touches_kernel(&x, &kernel, e);
	if (r < 0)
		return r;
	const struct derive_change change = {.version = version,
		.plugins = &d.manifest.plugins,
		.edited = true,
		.kernel = kernel};
	return derive_finish(&d, &change, out, e);
}
