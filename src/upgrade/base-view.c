/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/base-view.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cmd.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "liveimg/base-write.h"
#include "node/state.h"
#include "sys/verity.h"

#define NAME_PREFIX    "bedplate-read."
#define FEC_ROOTS_MIN  2
#define FEC_ROOTS_MAX  24
#define DECIMAL_DIGITS "0123456789"
#define IMAGE_JSON     "usr/lib/bedplate/image.json"
#define JSON_MAX_BYTES (64 * KIB)

static int next_number(const char **text, char end, uint64_t *out)
{
	size_t digits = strspn(*text, DECIMAL_DIGITS);

	if (digits == 0 || (*text)[digits] != end)
		return -EINVAL;
	errno = 0;
	*out = strtoumax(*text, NULL, 10);
	*text += digits + (end != '\0');
	return errno == 0 ? 0 : -EINVAL;
}

/* "HASH-OFFSET:FEC-OFFSET:FEC-ROOTS" */
static int parse_verity(const char *tag, struct base_verity *out)
{
	uint64_t roots = 0;
	int r = next_number(&tag, ':', &out->hash_offset);

	if (r == 0)
		r = next_number(&tag, ':', &out->fec_offset);
	if (r == 0)
		r = next_number(&tag, '\0', &roots);
	if (r < 0)
		return r;
	if (out->fec_offset > 0 && (roots < FEC_ROOTS_MIN || roots > FEC_ROOTS_MAX))
		return -EINVAL;
	out->fec_roots = (unsigned)roots;
	return 0;
}

int base_ref_verity(const struct lvm_lv *lv, struct base_verity *out, struct err *e)
{
	const char *tag = lvm_tag_value(&lv->tags, LVM_TAG_VERITY);

	if (!tag || parse_verity(tag, out) < 0)
		return err_set(e, EBADMSG,
			"base '%s' has no tag " LVM_TAG_VERITY "... that makes sense", lv->name);
	return 0;
}

static bool is_of_base(const char *layer, const char *base)
{
	size_t len = node_base_len(layer);

	return len == strlen(base) && strncmp(layer, base, len) == 0;
}

static char *find_root_hash(const struct node_state *s, const struct base_ref *b)
{
	if (b->running)
		return s->root_hash ? xstrdup(s->root_hash) : NULL;
	for (size_t i = 0; i < s->boot.entries.count; i++) {
		const struct boot_entry *entry = &s->boot.entries.items[i];

		if (!is_of_base(entry->layer, b->name))
			continue;
		char *hash = node_kernel_param(entry->cmd_line, BOOT_ROOTHASH_PARAM);
		if (hash)
			return hash;
	}
	return NULL;
}

int base_ref_find(const struct node_state *s, const char *name, struct base_ref *out, struct err *e)
{
	struct base_ref b = {
		.lv = lvm_find(&s->storage.lvm, LVM_TAG_BASE, name),
		.running = s->layer && is_of_base(s->layer, name),
	};

	if (!b.lv)
		return err_set(e, ENOENT, "there is no base '%s' on this node", name);
	b.name = b.lv->name;
	int r = base_ref_verity(b.lv, &b.verity, e);
	if (r < 0)
		return r;
	autofree char *hash = find_root_hash(s, &b);
	if (!hash)
		return err_set(e, ENOKEY,
			"nothing says the root hash of base '%s': no layer of it has a boot entry",
			name);
	r = hex_parse(hash, b.root_hash, sizeof(b.root_hash), e);
	if (r < 0)
		return err_wrap(e, -EBADMSG, "root hash of base '%s'", name);
	*out = b;
	return 0;
}

/* "0 LENGTH verity VERSION DEV DEV 4096 4096 BLOCKS START sha256 ROOT SALT [N OPTION...]" */
#define TABLE_ROOT  11
#define TABLE_WORDS 13

int base_ref_table(
	char *table, const uint8_t root_hash[SHA256_BYTES], bool corrected, struct err *e)
{
	char want[SHA256_HEX_BYTES];
	char *at = table;
	size_t words = 0;

	hex_format(root_hash, SHA256_BYTES, want);
	for (; words < TABLE_WORDS && *at && *at != '\n'; words++) {
		size_t len = strcspn(at, " \n");

		if (words == 2 && (len != 6 || strncmp(at, "verity", len) != 0))
			break;
		if (words == TABLE_ROOT && (len != strlen(want) || strncasecmp(at, want, len) != 0))
			return err_set(e, EKEYREJECTED,
				"'" NODE_VERITY_NAME "' was opened with another root hash");
		at += len;
		at += *at == ' ' && words + 1 < TABLE_WORDS;
	}
	if (words != TABLE_WORDS)
		return err_set(
			e, EBADMSG, "'" NODE_VERITY_NAME "' is not opened through dm-verity");
	at[corrected ? strcspn(at, "\n") : 0] = '\0';
	return 0;
}

/*
 * A second device like the one that root is on.  libcryptsetup before 2.7 insists on having a volume
 * for itself; the kernel does not.
 */
static int open_beside(
	const struct base_ref *b, const char *mapper_name, bool corrected, struct err *e)
{
	autofree char *table = NULL;
	autocmd ask = {0};
	autocmd create = {0};

	cmd_add(&ask, "dmsetup", "table", NODE_VERITY_NAME, NULL);
	int r = cmd_output(&ask, &table, e);
	if (r == 0)
		r = base_ref_table(table, b->root_hash, corrected, e);
	if (r < 0)
		return r;
	cmd_add(&create, "dmsetup", "create", mapper_name, "--readonly", "--table", table, NULL);
	return cmd_run(&create, e);
}

int base_ref_open(const struct base_ref *b, const char *mapper_name, bool corrected, struct err *e)
{
	struct base_verity v = b->verity;

	if (b->running) {
		int r = open_beside(b, mapper_name, corrected, e);
		return r < 0 ? err_wrap(e, r, "base '%s'", b->name) : 0;
	}

	if (!corrected)
		v.fec_offset = v.fec_roots = 0;
	return base_open(b->lv->vg, b->name, &v, b->root_hash, mapper_name, e);
}

static int remove_device(const char *mapper_name, struct err *e)
{
	autocmd c = {0};

	cmd_add(&c, "dmsetup", "remove", "--retry", mapper_name, NULL);
	interrupt_defer();
	int r = cmd_run(&c, e);
	interrupt_resume();
	return r;
}

int base_ref_close(const struct base_ref *b, const char *mapper_name, struct err *e)
{
	if (!b->lv->active)
		return base_close(b->lv->vg, b->name, mapper_name, e);
	int r = remove_device(mapper_name, e);
	return r < 0 ? err_wrap(e, r, "base '%s'", b->name) : 0;
}

char *base_ref_mapper_name(unsigned number)
{
	return xasprintf(NAME_PREFIX "%d.%u", (int)getpid(), number);
}

static bool is_leftover(const char *name)
{
	const char *digits = name + strlen(NAME_PREFIX);
	uint64_t pid;

	if (!str_starts(name, NAME_PREFIX) || next_number(&digits, '.', &pid) < 0)
		return false;
	return pid > 0 && pid <= INT_MAX && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

void base_ref_drop_leftovers(void)
{
	autostrv names = {0};

	if (file_list("/dev/mapper", &names, NULL) < 0)
		return;
	for (size_t i = 0; i < names.count; i++) {
		struct err e = {0};

		if (is_leftover(names.items[i]) && remove_device(names.items[i], &e) < 0)
			log_debug("'%s': %s", names.items[i], e.msg);
	}
}

/* Of a process that was killed. */
static int drop_leftover(const char *mapper_name, struct err *e)
{
	autofree char *path = xasprintf("/dev/mapper/%s", mapper_name);
	int r = file_exists(path) ? verity_close(mapper_name, e) : 0;

	return r == -ENODEV ? 0 : r;
}

void base_view_drop_leftovers(void)
{
	static const char *const names[] = {BASE_VIEW_OLD, BASE_VIEW_NEW, BASE_VERIFY_NAME};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct err e = {0};

		if (drop_leftover(names[i], &e) < 0)
			log_warning("'%s' stays open: %s", names[i], e.msg);
	}
	base_ref_drop_leftovers();
}

static int open_device(const struct site *s, const char *base, const uint8_t root_hash[32],
	const char *mapper_name, struct base_view *v, struct err *e)
{
	struct base_ref *ref = &v->ref;

	ref->lv = lvm_find(&s->lvm, LVM_TAG_BASE, base);
	if (!ref->lv)
		return err_set(
			e, ENOENT, "there is no base '%s' in volume group '%s'", base, s->vg->name);
	ref->name = ref->lv->name;
	memcpy(ref->root_hash, root_hash, sizeof(ref->root_hash));
	int r = base_ref_verity(ref->lv, &ref->verity, e);
	if (r == 0)
		r = drop_leftover(mapper_name, e);
	if (r == 0)
		r = base_ref_open(ref, mapper_name, true, e);
	if (r == 0)
		v->mapper = xstrdup(mapper_name);
	return r;
}

static char *one_line(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text && *text ? str_printable(text) : NULL;
}

/* It is only compared and shown: an image that has none can still be upgraded. */
static void read_identity(struct base_view *v)
{
	autofree char *text = NULL;
	struct err own = {0};

	if (image_read(image_tree(v->img), IMAGE_JSON, JSON_MAX_BYTES, &text, NULL, &own) < 0) {
		log_debug("%s", own.msg);
		return;
	}
	json_t *object = json_loads(text, 0, NULL);
	v->name = one_line(object, "name");
	v->version = one_line(object, "version");
	json_decref(object);
}

int base_view_open(const struct site *s, const char *base, const uint8_t root_hash[32],
	const char *mapper_name, struct base_view *out, struct err *e)
{
	autobaseview v = {0};
	bool runs = s->running && str_eq(base, s->base) &&
		file_exists("/dev/mapper/" NODE_VERITY_NAME);
	int r = runs ? 0 : open_device(s, base, root_hash, mapper_name, &v, e);

	if (r < 0)
		return r;
	v.device = xasprintf("/dev/mapper/%s", runs ? NODE_VERITY_NAME : mapper_name);
	r = image_open(v.device, &v.img, e);
	if (r < 0)
		return err_wrap(e, r, "base '%s'", base);
	read_identity(&v);
	*out = v;
	v = (struct base_view){0};
	return 0;
}

/* The running base's volume stays active: device-mapper has it open. */
void base_view_fini(struct base_view *v)
{
	struct err e = {0};

	image_free(v->img);
	interrupt_defer();
	if (v->mapper && base_ref_close(&v->ref, v->mapper, &e) < 0)
		log_debug("%s", e.msg);
	interrupt_resume();
	free(v->mapper);
	free(v->device);
	free(v->name);
	free(v->version);
	*v = (struct base_view){0};
}
