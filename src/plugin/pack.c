/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/pack.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/tree.h"
#include "base/xalloc.h"
#include "image/sign.h"
#include "plugin/manifest.h"
#include "plugin/read.h"
#include "plugin/recipe.h"
#include "plugin/repo.h"
#include "plugin/words.h"
#include "plugin/write.h"

/* One file of the folder that becomes a member. */
struct piece {
	struct source *content;
	char *control; /* of a package */
	char *file;    /* its path in the tarball, for a package once it is known */
	bool is_program;
};

struct pack {
	const struct plugin_pack_spec *spec;
	struct plugin_manifest manifest;
	struct tree *tree;
	struct piece *pieces;
	size_t piece_count;
	struct strbuf index;
	char *text; /* of the manifest */
	char *signature;
	size_t signature_len;
	char *path, *part;
	int fd; /* of part */
};

static void pack_fini(struct pack *pk)
{
	plugin_manifest_fini(&pk->manifest);
	for (size_t i = 0; i < pk->piece_count; i++) {
		source_free(pk->pieces[i].content);
		free(pk->pieces[i].control);
		free(pk->pieces[i].file);
	}
	free(pk->pieces);
	tree_free(pk->tree);
	strbuf_fini(&pk->index);
	free(pk->text);
	free(pk->signature);
	if (pk->part)
		unlink(pk->part);
	free(pk->part);
	free(pk->path);
	close_auto(&pk->fd);
}

static bool is_hidden(const char *path)
{
	return path[0] == '.' || strstr(path, "/.");
}

static bool is_deb(const char *path)
{
	return str_starts(path, PLUGIN_PACKAGES) && str_ends(path, ".deb") &&
		!strchr(path + strlen(PLUGIN_PACKAGES), '/');
}

static bool is_folder_of_ours(const char *path)
{
	return str_eq(path, "") || str_eq(path, "packages") || str_eq(path, "tests") ||
		str_starts(path, PLUGIN_TESTS);
}

static bool is_member(const char *path)
{
	return str_eq(path, PLUGIN_RECIPE) || str_starts(path, PLUGIN_TESTS);
}

static int read_text(
	struct pack *pk, const char *file, size_t max, char **out, size_t *len, struct err *e)
{
	autofree char *path = xasprintf("%s/%s", pk->spec->folder, file);

	return file_read(path, max, out, len, e);
}

static int add_package(struct pack *pk, struct piece *pc, struct err *e)
{
	const struct plugin_manifest *m = &pk->manifest;
	int r = plugin_package_add(&pk->manifest, pc->content, &pc->control, e);

	if (r == 0)
		pc->file = xstrdup(m->packages[m->package_count - 1].member.file);
	return r;
}

static int add_file(struct pack *pk, struct piece *pc, const char *path, struct err *e)
{
	struct plugin_member *f;

	if (!plugin_is_member(path))
		return err_set(e, EINVAL,
			"its path is not for a member: up to %d letters, digits and . + _ ~ = @ -",
			PLUGIN_MEMBER_MAX);
	pc->file = xstrdup(path);
	f = plugin_manifest_add_file(&pk->manifest);
	f->file = xstrdup(path);
	f->size_bytes = pc->content->size_bytes;
	return sha256_source(pc->content, f->sha256, e);
}

static int add_piece(struct pack *pk, const struct tree_entry *en, struct err *e)
{
	struct piece *pc = &pk->pieces[pk->piece_count];
	int r;

	if (!S_ISREG(en->mode))
		return err_set(e, EINVAL, "it is not a regular file");
	if (!is_deb(en->path) && !is_member(en->path))
		return err_set(e, EINVAL,
			"it does not belong into a plugin, which is made from " PLUGIN_DRAFT
			", " PLUGIN_RECIPE ", " PLUGIN_PACKAGES "*.deb and " PLUGIN_TESTS);
	if (en->size_bytes > PLUGIN_MEMBER_MAX_BYTES)
		return err_set(e, EFBIG, "it is larger than %llu bytes", PLUGIN_MEMBER_MAX_BYTES);
	r = tree_open(pk->tree, en, &pc->content, e);
	if (r < 0)
		return r;
	pk->piece_count++;
	pc->is_program = (en->mode & 0111) && str_starts(en->path, PLUGIN_TESTS);
	return is_deb(en->path) ? add_package(pk, pc, e) : add_file(pk, pc, en->path, e);
}

static int add_entry(struct pack *pk, const struct tree_entry *en, struct err *e)
{
	int r;

	if (is_hidden(en->path) || str_eq(en->path, PLUGIN_DRAFT) ||
		(S_ISDIR(en->mode) && is_folder_of_ours(en->path)))
		return 0;
	r = add_piece(pk, en, e);
	return r < 0 ? err_wrap(e, r, "'%s/%s'", pk->spec->folder, en->path) : 0;
}

static int collect(struct pack *pk, struct progress *p, struct err *e)
{
	int r = tree_scan(pk->spec->folder, &pk->tree, e);

	if (r < 0)
		return r;
	/* One more for the index. */
	pk->pieces = xcalloc(pk->tree->count + 1, sizeof(*pk->pieces));
	progress_begin(p, "collect", pk->tree->count, "files");
	for (size_t i = 0; r == 0 && i < pk->tree->count; i++) {
		r = add_entry(pk, &pk->tree->entries[i], e);
		if (r == 0)
			r = progress_advance(p, i + 1, e);
	}
	progress_end(p);
	return r;
}

/* Of a member, which is one of them. */
static const struct piece *find_piece(const struct pack *pk, const char *file)
{
	size_t i = 0;

	while (i < pk->piece_count && !str_eq(pk->pieces[i].file, file))
		i++;
	assert(i < pk->piece_count);
	return &pk->pieces[i];
}

/* After the manifest was sorted and found to be without duplicates. */
static int add_index(struct pack *pk, struct err *e)
{
	struct plugin_manifest *m = &pk->manifest;
	struct piece *pc;

	plugin_manifest_sort(m);
	if (m->package_count == 0)
		return 0;
	for (size_t i = 0; i < m->package_count; i++) {
		const struct plugin_package *pkg = &m->packages[i];

		if (i > 0 && str_eq(m->packages[i - 1].name, pkg->name))
			return err_set(e, EINVAL,
				"'%s/" PLUGIN_PACKAGES "': package '%s' is there twice",
				pk->spec->folder, pkg->name);
		plugin_index_add(&pk->index, find_piece(pk, pkg->member.file)->control, pkg);
	}
	pc = &pk->pieces[pk->piece_count++];
	pc->content = source_memory(pk->index.data, pk->index.len);
	return add_file(pk, pc, PLUGIN_INDEX, e);
}

static int read_draft(struct pack *pk, struct err *e)
{
	autofree char *text = NULL;
	size_t len;
	int r = read_text(pk, PLUGIN_DRAFT, PLUGIN_MANIFEST_MAX_BYTES, &text, &len, e);

	if (r < 0)
		return r;
	r = plugin_draft_parse(text, len, &pk->manifest, e);
	return r < 0 ? err_wrap(e, r, "'%s/" PLUGIN_DRAFT "'", pk->spec->folder) : 0;
}

static int check_recipe(struct pack *pk, struct err *e)
{
	autofree char *path = xasprintf("%s/" PLUGIN_RECIPE, pk->spec->folder);
	autoptr(plugin_recipe) recipe = NULL;
	autofree char *text = NULL;
	size_t len;
	int r = file_read(path, PLUGIN_RECIPE_MAX_BYTES, &text, &len, e);

	if (r == 0)
		r = plugin_recipe_parse(path, text, len, &recipe, e);
	return r == 0 ? plugin_recipe_check(path, recipe, &pk->manifest, e) : r;
}

static int make_manifest(struct pack *pk, struct err *e)
{
	const struct plugin_pack_spec *spec = pk->spec;
	auto_plugin_manifest again = {0};
	int r;

	plugin_manifest_sort(&pk->manifest);
	pk->text = plugin_manifest_format(&pk->manifest);
	/* What a reader would refuse is not written. */
	r = plugin_manifest_parse(pk->text, strlen(pk->text), &again, e);
	if (r < 0)
		return err_wrap(e, r, "'%s'", spec->folder);
	if (!spec->sign_key)
		return 0;
	return sign_data(pk->text, strlen(pk->text), spec->sign_key, spec->sign_cert,
		&pk->signature, &pk->signature_len, e);
}

static char *output_path(const struct pack *pk)
{
	const char *output = pk->spec->output;
	const struct plugin_manifest *m = &pk->manifest;
	struct stat st;

	if (!output)
		return xasprintf("%s-%s" PLUGIN_SUFFIX, m->name, m->version);
	if (stat(output, &st) == 0 && S_ISDIR(st.st_mode))
		return xasprintf("%s/%s-%s" PLUGIN_SUFFIX, output, m->name, m->version);
	return xstrdup(output);
}

static int write_parts(struct pack *pk, const struct plugin_part *parts, size_t count,
	struct progress *p, struct err *e)
{
	int r;

	pk->fd = open(pk->part, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (pk->fd < 0) {
		r = err_errno(e, "'%s'", pk->part);
		/* Whatever is there is not ours to remove. */
		free(take_ptr(pk->part));
		return r;
	}
	progress_begin(p, "pack", 0, "bytes");
	r = plugin_write(pk->fd, parts, count, p, e);
	progress_end(p);
	if (r == 0 && fsync(pk->fd) < 0)
		r = err_errno(e, "'%s'", pk->part);
	return r;
}

static int write_tarball(struct pack *pk, struct progress *p, struct err *e)
{
	size_t count, n = 0;
	autofree const struct plugin_member **members = plugin_manifest_members(
		&pk->manifest, &count);
	autofree struct plugin_part *parts = xcalloc(count + 2, sizeof(*parts));
	autoptr(source) manifest = source_memory(pk->text, strlen(pk->text));
	autoptr(source) signature = source_memory(pk->signature, pk->signature_len);

	parts[n++] = (struct plugin_part){.path = PLUGIN_MANIFEST, .content = manifest};
	if (pk->signature)
		parts[n++] = (struct plugin_part){.path = PLUGIN_SIGNATURE, .content = signature};
	for (size_t i = 0; i < count; i++) {
		const struct piece *pc = find_piece(pk, members[i]->file);

		parts[n++] = (struct plugin_part){
			.path = pc->file, .content = pc->content, .is_program = pc->is_program};
	}
	return write_parts(pk, parts, n, p, e);
}

/* Read back: a file of the folder may have changed meanwhile. */
static int deliver(struct pack *pk, struct progress *p, struct err *e)
{
	const struct plugin_demand demand = {0};
	auto_plugin back = {0};
	int r = plugin_read_path(pk->part, &demand, p, &back, e);

	if (r < 0)
		return r;
	if (rename(pk->part, pk->path) < 0)
		return err_errno(e, "renaming '%s' to '%s'", pk->part, pk->path);
	free(take_ptr(pk->part));
	return 0;
}

int plugin_pack(const struct plugin_pack_spec *spec, struct progress *p, char **path, struct err *e)
{
	auto_with(pack_fini) struct pack pk = {.spec = spec, .fd = -1};
	int r = read_draft(&pk, e);

	if (r == 0)
		r = collect(&pk, p, e);
	if (r == 0)
		r = check_recipe(&pk, e);
	if (r == 0)
		r = add_index(&pk, e);
	if (r == 0)
		r = make_manifest(&pk, e);
	if (r < 0)
		return r;
	pk.path = output_path(&pk);
	pk.part = xasprintf("%s.part", pk.path);
	r = write_tarball(&pk, p, e);
	if (r == 0)
		r = deliver(&pk, p, e);
	if (r == 0)
		*path = take_ptr(pk.path);
	return r;
}
