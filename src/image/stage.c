/* SPDX-License-Identifier: Apache-2.0 */
#include "image/stage.h"

#include <assert.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/str.h"
#include "base/xalloc.h"

#define RECORD_MAX_BYTES  (1 * MIB)
#define KEY_CHARS         16 /* of the key in a folder's name */
#define WORK_SUFFIX       ".work"
#define RECIPE_KEY        "recipe"
#define FORGOTTEN_SECONDS (3 * 60 * 60)

struct stage_cache {
	char *dir;
	char *recipe_id; /* "node-1f2e3d4c5b6a" */
	char *record_path;
	json_t *record; /* {"recipe": PATH, "packages": {"folder": "...", "inputs": {"name": "digest"}}} */
	int lock_fd;
};

void stage_cache_close(struct stage_cache *c)
{
	if (!c)
		return;
	if (c->lock_fd >= 0)
		close(c->lock_fd);
	json_decref(c->record);
	free(c->record_path);
	free(c->recipe_id);
	free(c->dir);
	free(c);
}

int stage_cache_lock(const char *dir, int *lock_fd, struct err *e)
{
	autofree char *path = xasprintf("%s/lock", dir);
	int r = file_make_folder(dir, 0755, e);

	if (r < 0)
		return err_wrap(e, r, "cache");
	autofd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_errno(e, "'%s'", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		log_warning("another build uses the cache '%s', waiting for it", dir);
		while (flock(fd, LOCK_EX) < 0) {
			if (errno != EINTR)
				return err_errno(e, "locking '%s'", path);
			r = interrupt_check(e);
			if (r < 0)
				return r;
		}
	}
	*lock_fd = take_fd(&fd);
	return 0;
}

static int drop_half_done(const char *stages, struct err *e)
{
	autostrv names = {0};
	int r = file_list(stages, &names, e);

	for (size_t i = 0; r == 0 && i < names.count; i++) {
		autofree char *path = xasprintf("%s/%s", stages, names.items[i]);

		if (str_ends(names.items[i], WORK_SUFFIX))
			r = file_remove_tree(path, e);
	}
	return r;
}

/* The recipe's name and, because two recipes may share it, a digest of where it stands. */
static char *make_recipe_id(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	uint8_t sum[SHA256_BYTES];
	char hex[SHA256_HEX_BYTES];

	sha256_buffer(path, strlen(path), sum);
	hex_format(sum, sizeof(sum), hex);
	int len = (int)strlen(name) - (str_ends(name, ".ks") ? 3 : 0);
	return xasprintf("%.*s-%.12s", len, name, hex);
}

/* A record that cannot be read only means that stages cannot say why they run. */
static json_t *load_record(const char *path)
{
	autofree char *text = NULL;
	struct err ignored = {0};
	json_t *record = NULL;

	if (file_read(path, RECORD_MAX_BYTES, &text, NULL, &ignored) == 0)
		record = json_loads(text, 0, NULL);
	if (json_is_object(record))
		return record;
	json_decref(record);
	return json_object();
}

int stage_cache_folder(struct stage_cache *c, const char *name, char **out, struct err *e)
{
	autofree char *path = xasprintf("%s/%s", c->dir, name);
	int r = file_make_folder(path, 0755, e);

	if (r == 0)
		*out = take_ptr(path);
	return r;
}

int stage_cache_open(const char *dir, const char *recipe, struct stage_cache **out, struct err *e)
{
	autoptr(stage_cache) c = xcalloc(1, sizeof(*c));
	autofree char *path = NULL;
	autofree char *stages = NULL;
	autofree char *recipes = NULL;
	int r;

	c->lock_fd = -1;
	r = stage_cache_lock(dir, &c->lock_fd, e);
	if (r < 0)
		return r;
	c->dir = realpath(dir, NULL);
	if (!c->dir)
		return err_errno(e, "cache '%s'", dir);
	path = realpath(recipe, NULL);
	if (!path)
		path = xstrdup(recipe);
	c->recipe_id = make_recipe_id(path);
	r = stage_cache_folder(c, "stages", &stages, e);
	if (r == 0)
		r = stage_cache_folder(c, "recipes", &recipes, e);
	if (r == 0)
		r = drop_half_done(stages, e);
	if (r < 0)
		return err_wrap(e, r, "cache");

	c->record_path = xasprintf("%s/%s.json", recipes, c->recipe_id);
	c->record = load_record(c->record_path);
	json_object_set_new(c->record, RECIPE_KEY, json_string(path));
	*out = take_ptr(c);
	return 0;
}

int stage_cache_log(struct stage_cache *c, const char *name, char **out, struct err *e)
{
	autofree char *folder = xasprintf("%s/logs/%s", c->dir, c->recipe_id);
	int r = file_make_folder(folder, 0755, e);

	if (r == 0)
		*out = xasprintf("%s/%s.log", folder, name);
	return r;
}

/* The recipe of this record is gone, and it was not built for hours. */
static bool is_forgotten(const json_t *record, const char *path)
{
	const char *recipe = json_string_value(json_object_get(record, RECIPE_KEY));
	struct stat st;

	return recipe && !file_exists(recipe) && stat(path, &st) == 0 &&
		st.st_mtime < time(NULL) - FORGOTTEN_SECONDS;
}

/* Add the folders that one recipe's record names.  A record that is forgotten goes. */
static void add_used(const char *path, struct strv *used)
{
	json_t *record = load_record(path);
	const char *name;
	json_t *stage;

	if (is_forgotten(record, path) && unlink(path) == 0)
		json_object_clear(record);
	json_object_foreach(record, name, stage)
	{
		const char *folder = json_string_value(json_object_get(stage, "folder"));

		if (folder)
			strv_add(used, folder);
	}
	json_decref(record);
}

int stage_cache_prune(struct stage_cache *c, struct err *e)
{
	autofree char *recipes = xasprintf("%s/recipes", c->dir);
	autofree char *stages = xasprintf("%s/stages", c->dir);
	autostrv records = {0}, folders = {0}, used = {0};
	int r = file_list(recipes, &records, e);

	for (size_t i = 0; r == 0 && i < records.count; i++) {
		autofree char *path = xasprintf("%s/%s", recipes, records.items[i]);

		add_used(path, &used);
	}
	if (r == 0)
		r = file_list(stages, &folders, e);
	for (size_t i = 0; r == 0 && i < folders.count; i++) {
		autofree char *path = xasprintf("%s/%s", stages, folders.items[i]);

		if (!strv_has(&used, folders.items[i]))
			r = file_remove_tree(path, e);
	}
	return r;
}

static json_t *last_of(struct stage_cache *c, const char *name)
{
	return json_object_get(c->record, name);
}

char *stage_last_folder(struct stage_cache *c, const char *name)
{
	const char *folder = json_string_value(json_object_get(last_of(c, name), "folder"));

	if (!folder || strchr(folder, '/'))
		return NULL;
	autofree char *path = xasprintf("%s/stages/%s", c->dir, folder);
	return file_exists(path) ? take_ptr(path) : NULL;
}

void stage_add(struct stage *s, const char *name, const uint8_t digest[SHA256_BYTES])
{
	assert(s->input_count < STAGE_INPUTS_MAX);
	struct stage_input *in = &s->inputs[s->input_count++];

	in->name = name;
	hex_format(digest, SHA256_BYTES, in->digest);
}

void stage_add_text(struct stage *s, const char *name, const char *text)
{
	uint8_t sum[SHA256_BYTES];

	sha256_buffer(text, strlen(text), sum);
	stage_add(s, name, sum);
}

static void set_key(struct stage *s)
{
	autoptr(sha256) h = sha256_new();
	uint8_t sum[SHA256_BYTES];

	for (size_t i = 0; i < s->input_count; i++) {
		sha256_add_str(h, s->inputs[i].name);
		sha256_add_str(h, s->inputs[i].digest);
	}
	sha256_end(h, sum);
	hex_format(sum, sizeof(sum), s->key);
}

/* Which inputs differ from the last build's: "package list, repositories changed". */
static char *explain(const struct stage *s, const json_t *last)
{
	const json_t *inputs = json_object_get(last, "inputs");
	autostrbuf b = {0};

	if (!inputs)
		return xstrdup("first build");
	for (size_t i = 0; i < s->input_count; i++) {
		const char *old = json_string_value(json_object_get(inputs, s->inputs[i].name));

		if (!old || !str_eq(old, s->inputs[i].digest))
			strbuf_printf(&b, "%s%s", b.len ? ", " : "", s->inputs[i].name);
	}
	if (b.len == 0)
		return xstrdup("its earlier result is gone from the cache");
	strbuf_puts(&b, " changed");
	return strbuf_take(&b);
}

static int save_record(struct stage *s, struct err *e)
{
	struct stage_cache *c = s->cache;
	const char *folder = strrchr(s->folder, '/') + 1;
	json_t *inputs = json_object();

	for (size_t i = 0; i < s->input_count; i++)
		json_object_set_new(inputs, s->inputs[i].name, json_string(s->inputs[i].digest));
	json_object_set_new(
		c->record, s->name, json_pack("{s:s, s:o}", "folder", folder, "inputs", inputs));

	autofree char *text = json_dumps(c->record, JSON_INDENT(2) | JSON_SORT_KEYS);
	return file_replace(c->record_path, text, strlen(text), 0644, e);
}

int stage_begin(struct stage *s, struct stage_cache *c, bool force, struct err *e)
{
	s->cache = c;
	s->log_fd = -1;
	set_key(s);
	s->folder = xasprintf("%s/stages/%s-%.*s", c->dir, s->name, KEY_CHARS, s->key);
	s->cached = file_exists(s->folder) && !force;
	if (s->cached) {
		s->why = xstrdup("nothing changed");
		return save_record(s, e);
	}

	s->why = file_exists(s->folder) ? xstrdup("asked for") : explain(s, last_of(c, s->name));
	int r = stage_cache_log(c, s->name, &s->log, e);
	if (r < 0)
		return r;
	s->log_fd = open(s->log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	if (s->log_fd < 0)
		return err_errno(e, "'%s'", s->log);
	s->work = xasprintf("%s%s", s->folder, WORK_SUFFIX);
	return file_make_folder(s->work, 0755, e);
}

int stage_commit(struct stage *s, struct err *e)
{
	assert(s->work);
	int r = file_remove_tree(s->folder, e);

	if (r < 0)
		return r;
	if (rename(s->work, s->folder) < 0)
		return err_errno(e, "renaming '%s'", s->work);
	free(s->work);
	s->work = NULL;
	return save_record(s, e);
}

int stage_failed(const struct stage *s, int r, struct err *e)
{
	struct err cause = *e;

	if (r == -EINTR || s->log_fd < 0)
		return err_wrap(e, r, "stage %s", s->name);
	return err_set(e, -r, "stage %s: %s (log: %s)", s->name, cause.msg, s->log);
}

void stage_fini(struct stage *s)
{
	if (s->work && file_remove_tree(s->work, NULL) < 0)
		log_warning("'%s' could not be removed, the next build will try again", s->work);
	if (s->log_fd > 0)
		close(s->log_fd);
	free(s->work);
	free(s->folder);
	free(s->why);
	free(s->log);
}
