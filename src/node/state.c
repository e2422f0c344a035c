/* SPDX-License-Identifier: Apache-2.0 */
#include "node/state.h"

#include <ctype.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "boot/grubenv.h"
#include "node/state-parts.h"

#define FACTORY_JSON   "usr/lib/bedplate/factory.json"
#define FILE_MAX_BYTES (1 * MIB)

static void boot_fini(struct node_boot *b)
{
	free(b->error);
	boot_entries_fini(&b->entries);
	free(b->default_layer);
	free(b->trial);
	free(b->staged);
	failed_versions_fini(&b->failed);
	free(b->last_failed);
	free(b->last_why);
}

static void plugins_fini(struct node_plugins *p)
{
	for (size_t i = 0; i < p->count; i++) {
		free(p->items[i].name);
		free(p->items[i].version);
	}
	free(p->items);
	free(p->error);
}

void node_add_plugin(struct node_state *s, const char *name, const char *version)
{
	struct node_plugins *p = &s->added;

	p->items = xrealloc(p->items, (p->count + 1) * sizeof(*p->items));
	p->items[p->count++] = (struct node_plugin){xstrdup(name), xstrdup(version)};
}

void node_state_fini(struct node_state *s)
{
	node_image_fini(&s->image);
	free(s->layer);
	free(s->root_hash);
	free(s->kernel);
	node_mounts_fini(&s->mounts);
	node_mounts_fini(&s->fstab);
	json_decref(s->factory);
	boot_fini(&s->boot);
	node_storage_fini(&s->storage);
	node_verity_fini(&s->verity);
	node_units_fini(&s->units);
	plugins_fini(&s->added);
	*s = (struct node_state){0};
}

static int load_image(int root_fd, struct node_image *out, struct err *e)
{
	autofree char *text = NULL;
	int r = file_read_in_root(root_fd, NODE_IMAGE_JSON, NODE_IMAGE_MAX_BYTES, &text, e);

	if (r == -ENOENT)
		return err_set(e, ENOENT, "this is not a node: there is no /" NODE_IMAGE_JSON);
	return r < 0 ? r : node_image_parse(text, out, e);
}

/* "" when it cannot be read: a folder that is not running has no /proc. */
static char *read_or_empty(int root_fd, const char *path)
{
	char *text = NULL;

	if (file_read_in_root(root_fd, path, FILE_MAX_BYTES, &text, NULL) < 0)
		return xstrdup("");
	return text;
}

char *node_kernel_param(const char *cmd_line, const char *name)
{
	autofree char *copy = xstrdup(cmd_line);
	char *rest = copy;
	char *value = NULL;

	/* As everywhere on that line, the last one counts. */
	for (char *word; (word = str_next_word(&rest, " \t\n"));) {
		if (!str_starts(word, name))
			continue;
		free(value);
		value = xstrdup(word + strlen(name));
	}
	return value;
}

static bool has_word(const char *text, const char *wanted)
{
	autofree char *copy = xstrdup(text);
	char *rest = copy;

	for (char *word; (word = str_next_word(&rest, " \t\n"));)
		if (str_eq(word, wanted))
			return true;
	return false;
}

static void lower(char *s)
{
	for (; s && *s; s++)
		*s = (char)tolower((unsigned char)*s);
}

static void load_command_line(int root_fd, struct node_state *s)
{
	autofree char *text = read_or_empty(root_fd, "proc/cmdline");
	autofree char *live = node_kernel_param(text, "root=live:");

	s->layer = node_kernel_param(text, BOOT_LAYER_PARAM);
	s->root_hash = node_kernel_param(text, BOOT_ROOTHASH_PARAM);
	lower(s->root_hash);
	s->stateless = has_word(text, BOOT_STATELESS_PARAM);
	if (s->layer)
		s->running = NODE_INSTALLED;
	else if (live || has_word(text, "rd.live.image"))
		s->running = NODE_LIVE;
}

static void load_mounts(int root_fd, const char *path, struct node_mounts *out)
{
	autofree char *text = read_or_empty(root_fd, path);

	node_mounts_parse(text, out);
}

static void load_kernel(int root_fd, struct node_state *s)
{
	autofree char *release = read_or_empty(root_fd, "proc/sys/kernel/osrelease");
	autofree char *uptime = read_or_empty(root_fd, "proc/uptime");

	s->kernel = xstrdup(str_trim(release));
	s->uptime_seconds = strtoull(uptime, NULL, 10);
}

static void load_factory(int root_fd, struct node_state *s)
{
	autofree char *text = read_or_empty(root_fd, FACTORY_JSON);
	json_error_t where;

	if (!*text)
		return;
	s->factory = json_loads(text, 0, &where);
	if (!json_is_object(s->factory)) {
		json_decref(s->factory);
		s->factory = NULL;
		log_warning("/" FACTORY_JSON " is damaged");
	}
}

static int read_trial(int boot_fd, struct node_boot *b, struct err *e)
{
	autobootchoice choice = {0};
	autojournal journal = {0};
	int r = boot_choice_read(boot_fd, &choice, e);

	if (r < 0)
		return r;
	b->trial = take_ptr(choice.trial);
	b->tries = choice.tries;
	r = journal_read(boot_fd, &journal, e);
	if (r == 1 && journal.step == STEP_STAGED)
		b->staged = take_ptr(journal.to);
	return r < 0 ? r : 0;
}

static int read_failures(int boot_fd, struct node_boot *b, struct err *e)
{
	autohistory history = {0};
	int r = failed_read(boot_fd, &b->failed, e);

	if (r == 0)
		r = history_read(boot_fd, &history, e);
	size_t at = history.count;
	/* What was taken back has changed nothing of what was known. */
	while (at > 0 &&
		(str_eq(history.items[at - 1].result, "undone") ||
			str_eq(history.items[at - 1].result, "recovered") ||
			str_eq(history.items[at - 1].result, "dropped")))
		at--;
	if (r < 0 || at == 0)
		return r;
	struct transition *last = &history.items[at - 1];
	if (str_eq(last->result, "failed")) {
		b->last_failed = take_ptr(last->to);
		b->last_why = take_ptr(last->why);
	}
	return 0;
}

static int read_boot(int root_fd, struct node_boot *b, struct err *e)
{
	autofd int boot_fd = file_open_in_root(root_fd, "boot", O_RDONLY | O_DIRECTORY, 0, e);

	if (boot_fd < 0)
		return boot_fd;
	int r = boot_entries_read(boot_fd, &b->entries, e);
	if (r < 0)
		return r;
	r = grubenv_get(boot_fd, "default", &b->default_layer, e);
	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = read_trial(boot_fd, b, e);
	return r == 0 ? read_failures(boot_fd, b, e) : r;
}

static void load_boot(int root_fd, struct node_boot *b)
{
	struct err e = {0};

	if (read_boot(root_fd, b, &e) < 0)
		b->error = xstrdup(e.msg);
}

int node_state_gather(int root_fd, unsigned look, struct node_state *s, struct err *e)
{
	int r = load_image(root_fd, &s->image, e);

	if (r < 0)
		return r;
	load_command_line(root_fd, s);
	load_mounts(root_fd, "proc/self/mountinfo", &s->mounts);
	load_kernel(root_fd, s);
	if (s->running != NODE_INSTALLED)
		return 0;

	load_mounts(root_fd, "etc/fstab", &s->fstab);
	load_factory(root_fd, s);
	load_boot(root_fd, &s->boot);
	if (look & NODE_LOOK_STORAGE)
		node_storage_gather(&s->storage);
	if (look & NODE_LOOK_SYSTEM) {
		node_verity_gather(&s->verity);
		node_units_gather(&s->units);
	}
	return 0;
}

const struct boot_entry *node_boot_entry(const struct node_boot *boot, const char *layer)
{
	for (size_t i = 0; i < boot->entries.count; i++)
		if (str_eq(boot->entries.items[i].layer, layer))
			return &boot->entries.items[i];
	return NULL;
}

size_t node_base_len(const char *layer)
{
	const char *plus = strrchr(layer, '+');

	if (!plus || plus == layer || plus[1] < '1' || plus[1] > '9')
		return 0;
	return plus[1 + strspn(plus + 1, "0123456789")] == '\0' ? (size_t)(plus - layer) : 0;
}

bool node_has_base_of(const struct lvm_report *lvm, const char *layer)
{
	autofree char *base = xstrndup(layer, node_base_len(layer));

	return *base && lvm_find(lvm, LVM_TAG_BASE, base);
}
