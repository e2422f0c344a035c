/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "boot/entry-manifest.h"
#include "image/manifest.h"
#include "image/sign.h"
#include "liveimg/base-write.h"
#include "upgrade/base-view.h"
#include "upgrade/layer-read.h"
#include "upgrade/node-diff.h"

static void base_fini(struct verified_base *b)
{
	free(b->name);
	free(b->reason);
	free(b->signer);
}

void verify_result_fini(struct verify_result *v)
{
	for (size_t i = 0; i < v->base_count; i++)
		base_fini(&v->bases[i]);
	for (size_t i = 0; i < v->file_count; i++) {
		free(v->files[i].path);
		free(v->files[i].what);
	}
	free(v->bases);
	free(v->files);
	free(v->layer);
	*v = (struct verify_result){0};
}

/* The first of the worst is what people should read. */
static void judge(struct verified_base *b, enum verify_status status, char *reason)
{
	if (status <= b->status) {
		free(reason);
		return;
	}
	b->status = status;
	free(b->reason);
	b->reason = reason;
}

static void check_signature(
	struct verified_base *b, const struct boot_manifest *m, const struct strv *anchors)
{
	struct err e = {0};

	if (!m->sig) {
		b->signature = VERIFY_UNSIGNED;
		if (anchors->count > 0)
			judge(b, VERIFY_WARN, xstrdup("its image is not signed"));
		return;
	}
	b->signature = VERIFY_UNCHECKED;
	if (anchors->count == 0)
		return;
	if (sign_verify(m->text, m->len, m->sig, m->sig_len, anchors, &b->signer, &e) == 0) {
		b->signature = VERIFY_SIGNED;
		return;
	}
	b->signature = VERIFY_WRONG;
	judge(b, VERIFY_FAILED, xasprintf("signature of its manifest: %s", e.msg));
}

static void compare_manifest(struct verified_base *b, const struct manifest *m, uint64_t data_bytes)
{
	autofree char *name = xasprintf("%s-%s", m->name, m->version);
	char hash[SHA256_HEX_BYTES];

	hex_format(m->verity.root_hash, SHA256_BYTES, hash);
	if (!str_eq(name, b->name))
		judge(b, VERIFY_FAILED, xasprintf("the manifest is that of '%s'", name));
	else if (!m->verity.present || !str_eq(hash, b->root_hash))
		judge(b, VERIFY_FAILED, xstrdup("its root hash is not that of the manifest"));
	else if (data_bytes > 0 && data_bytes != m->verity.data_bytes)
		judge(b, VERIFY_FAILED,
			xasprintf("dm-verity covers %llu bytes of it, %llu by the manifest",
				(unsigned long long)data_bytes,
				(unsigned long long)m->verity.data_bytes));
}

void verify_manifest(struct verified_base *b, const struct boot_manifest *m,
	const struct strv *anchors, uint64_t data_bytes)
{
	automanifest parsed = {0};
	struct err e = {0};

	/* Nothing of it is looked at before its signature. */
	check_signature(b, m, anchors);
	if (b->signature == VERIFY_WRONG)
		return;
	if (manifest_parse(m->text, m->len, &parsed, &e) < 0)
		judge(b, VERIFY_FAILED, xasprintf("manifest: %s", e.msg));
	else
		compare_manifest(b, &parsed, data_bytes);
}

/* 0: found.  -ENOENT: no entry of this base has one. */
static int find_manifest(
	const struct verify_spec *spec, const char *base, struct boot_manifest *out, struct err *e)
{
	const struct boot_entries *entries = &spec->state->boot.entries;
	int r = -ENOENT;

	for (size_t i = 0; r == -ENOENT && spec->boot_fd >= 0 && i < entries->count; i++) {
		const char *layer = entries->items[i].layer;
		size_t len = node_base_len(layer);

		if (len == strlen(base) && strncmp(layer, base, len) == 0)
			r = boot_manifest_read(spec->boot_fd, layer, out, e);
	}
	return r;
}

static void look_at_manifest(
	const struct verify_spec *spec, struct verified_base *b, uint64_t data_bytes)
{
	autobootmanifest m = {0};
	struct err e = {0};
	int r = find_manifest(spec, b->name, &m, &e);

	if (r == -ENOENT)
		judge(b, VERIFY_WARN,
			xstrdup("no boot entry of it has the manifest of its image, so nothing "
				"proves its root hash"));
	else if (r < 0)
		judge(b, VERIFY_FAILED, xstrdup(e.msg));
	else
		verify_manifest(b, &m, spec->anchors, data_bytes);
}

static int device_bytes(int fd, const char *path, uint64_t *bytes, struct err *e)
{
	off_t end = lseek(fd, 0, SEEK_END);

	if (end < 0)
		return err_errno(e, "'%s'", path);
	*bytes = (uint64_t)end;
	return 0;
}

/* -EBADMSG, -EKEYREJECTED: what is on the volume is not what the root hash says. */
static int read_base(const struct base_ref *ref, bool corrected, uint64_t *bytes,
	struct progress *p, struct err *e)
{
	autofree char *mapper = base_ref_mapper_name(0);
	autofree char *path = xasprintf("/dev/mapper/%s", mapper);
	struct err closing = {0};
	int r = base_ref_open(ref, mapper, corrected, e);

	if (r < 0)
		return r;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? err_errno(e, "'%s'", path) : device_bytes(fd, path, bytes, e);
	if (r == 0)
		r = base_read_verified(fd, *bytes, p, e);
	close_auto(&fd);
	if (base_ref_close(ref, mapper, &closing) < 0)
		log_warning("not released: %s", closing.msg);
	return r;
}

static bool is_damage(int r)
{
	return r == -EBADMSG || r == -EKEYREJECTED || r == -EINVAL;
}

/* Whether error correction still gives what was installed; the damage stays. */
static int judge_damage(const struct base_ref *ref, struct verified_base *b, const char *why,
	struct progress *p, struct err *e)
{
	struct err own = {0};
	uint64_t bytes = 0;
	int r = ref->verity.fec_offset > 0 ? read_base(ref, true, &bytes, p, &own) : -EBADMSG;

	if (r < 0 && !is_damage(r))
		return err_set(e, -r, "%s", own.msg);
	judge(b, VERIFY_FAILED,
		xasprintf("it is damaged: %s%s", why,
			r == 0 ? "; error correction still repairs it when it is read" : ""));
	return 0;
}

static int verify_base(const struct verify_spec *spec, const struct base_ref *ref,
	struct verified_base *b, struct progress *p, struct err *e)
{
	uint64_t bytes = 0;
	struct err why = {0};
	int r = read_base(ref, false, &bytes, p, &why);

	if (r < 0 && !is_damage(r))
		return err_set(e, -r, "%s", why.msg);
	if (r < 0)
		r = judge_damage(ref, b, why.msg, p, e);
	else
		b->bytes = bytes;
	if (r == 0)
		look_at_manifest(spec, b, bytes);
	return r;
}

static struct verified_base *add_base(struct verify_result *v, const char *name)
{
	v->bases = xrealloc(v->bases, (v->base_count + 1) * sizeof(*v->bases));
	v->bases[v->base_count] = (struct verified_base){.name = xstrdup(name)};
	return &v->bases[v->base_count++];
}

static int check_base(const struct verify_spec *spec, const char *name, struct verify_result *v,
	struct progress *p, struct err *e)
{
	struct verified_base *b = add_base(v, name);
	struct base_ref ref;
	struct err why = {0};
	int r = base_ref_find(spec->state, name, &ref, &why);

	/* A base that nothing boots is what an operation that was cut off leaves. */
	if (r < 0) {
		judge(b, r == -ENOKEY ? VERIFY_WARN : VERIFY_FAILED, xstrdup(why.msg));
		return 0;
	}
	b->running = ref.running;
	hex_format(ref.root_hash, sizeof(ref.root_hash), b->root_hash);
	return verify_base(spec, &ref, b, p, e);
}

static void list_bases(const struct verify_spec *spec, struct strv *out)
{
	const struct node_state *s = spec->state;
	const struct lvm_vg *vg = lvm_node_vg(&s->storage.lvm);

	if (!(spec->what & VERIFY_ALL_BASES)) {
		strv_take(out, xstrndup(s->layer, node_base_len(s->layer)));
		return;
	}
	for (size_t i = 0; vg && i < s->storage.lvm.lv_count; i++) {
		const struct lvm_lv *lv = &s->storage.lvm.lvs[i];

		if (str_eq(lv->vg, vg->name) && lvm_has_tag(&lv->tags, LVM_TAG_BASE))
			strv_add(out, lv->name);
	}
	strv_sort(out);
}

static int check_bases(
	const struct verify_spec *spec, struct verify_result *v, struct progress *p, struct err *e)
{
	autostrv names = {0};
	int r = 0;

	base_ref_drop_leftovers();
	list_bases(spec, &names);
	if (names.count == 0)
		return err_set(e, ENOENT, "there is no base on this node");
	for (size_t i = 0; r == 0 && i < names.count; i++)
		r = check_base(spec, names.items[i], v, p, e);
	return r;
}

static bool is_in_etc(const char *path)
{
	return str_starts(path, "/etc/") || str_eq(path, "/etc");
}

static void add_file(struct verify_result *v, const struct node_change *c)
{
	autofree char *path = node_change_path(c);

	if (c->change == DIFF_ADDED || is_in_etc(path))
		return;
	if ((v->file_count & (v->file_count - 1)) == 0)
		v->files = xrealloc(v->files, MAX(1, 2 * v->file_count) * sizeof(*v->files));
	v->files[v->file_count++] = (struct overridden_file){
		.change = c->change,
		.path = take_ptr(path),
		.what = node_change_what(c),
	};
}

static int check_layer(
	const struct verify_spec *spec, struct verify_result *v, struct progress *p, struct err *e)
{
	autoptr(layer_reader) reader = NULL;
	autonodediff d = {0};
	struct tree *base, *root;
	int r = layer_reader_new(spec->state, &reader, e);

	if (r == 0)
		r = layer_reader_base(reader, NULL, &base, e);
	if (r == 0)
		r = layer_reader_root(reader, NULL, &root, e);
	if (r == 0)
		r = node_diff(base, root, NODE_DIFF_FILES, &d, p, e);
	for (size_t i = 0; r == 0 && i < d.file_count; i++)
		add_file(v, &d.files[i]);
	v->layer = xstrdup(spec->state->layer);
	return r;
}

static void set_status(const struct verify_spec *spec, struct verify_result *v)
{
	v->status = v->file_count > 0 ? VERIFY_WARN : VERIFY_OK;
	for (size_t i = 0; i < v->base_count; i++)
		v->status = MAX(v->status, v->bases[i].status);
	if (spec->strict && v->status == VERIFY_WARN)
		v->status = VERIFY_FAILED;
}

int node_verify(const struct verify_spec *spec, struct verify_result *out, struct progress *p,
	struct err *e)
{
	int r = 0;

	if (!spec->state->layer || node_base_len(spec->state->layer) == 0)
		return err_set(e, EINVAL, "the running layer '%s' has no name of a layer",
			spec->state->layer ? spec->state->layer : "");
	if (spec->what & (VERIFY_RUNNING_BASE | VERIFY_ALL_BASES))
		r = check_bases(spec, out, p, e);
	if (r == 0 && (spec->what & VERIFY_LAYER))
		r = check_layer(spec, out, p, e);
	if (r == 0)
		set_status(spec, out);
	return r;
}
