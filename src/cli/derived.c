/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/derived.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/xalloc.h"

void derived_input_fini(struct derived_input *in)
{
	struct err e = {0};

	if (in->folder && file_remove_tree(in->folder, &e) < 0)
		log_warning("%s", e.msg);
	free(in->folder);
	media_iso_fini(&in->iso);
}

int derived_input_open(
	const char *path, struct derived_input *out, struct progress *p, struct err *e)
{
	out->image = path;
	if (!media_is_iso(path))
		return 0;
	int r = file_make_temporary(NULL, "bedplate-iso", &out->folder, e);
	if (r < 0)
		return r;
	r = media_read_iso(path, out->folder, &out->iso, p, e);
	out->image = out->iso.image;
	return r;
}

static void print(const struct derived_options *o, const struct derive_result *result)
{
	if (!o->json) {
		printf("%s\n", result->image);
		return;
	}
	json_print(json_pack("{s:s,s:s,s:s,s:s?,s:I,s:I}", "name", result->name, "version",
		result->version, "image", result->image, "manifest", result->manifest,
		"image_bytes", (json_int_t)result->image_bytes, "rootfs_bytes",
		(json_int_t)result->rootfs_bytes));
}

/* A file that is named like one, else a folder for it. */
static char *iso_path(const char *output, const struct derive_result *result)
{
	struct stat st;
	bool is_folder = stat(output, &st) == 0 ? S_ISDIR(st.st_mode) : !str_ends(output, ".iso");

	return is_folder ? xasprintf("%s/%s-%s.iso", output, result->name, result->version)
			 : xstrdup(output);
}

static int write_iso(const struct derived_options *o, const struct derived_input *in,
	struct derive_result *result, struct progress *p, struct err *e)
{
	struct media_spec spec = in->iso.spec;
	autofree char *path = iso_path(o->output, result);
	bool made = false;
	int r = 0;

	spec.image = result->image;
	if (str_starts(path, o->output) && !str_eq(path, o->output)) {
		made = !file_exists(o->output);
		r = file_make_folder(o->output, 0755, e);
	}
	if (r == 0)
		r = media_write_iso(&spec, path, p, e);
	if (r < 0 && made)
		(void)!rmdir(o->output);
	if (r < 0)
		return r;
	free(result->image);
	result->image = take_ptr(path);
	free(take_ptr(result->manifest));
	return 0;
}

int derived_run(const struct derived_options *o, const char *path, derived_fn fn, void *ctx,
	struct progress *p, struct err *e)
{
	auto_with(derive_result_fini) struct derive_result result = {0};
	auto_derived_input in = {0};
	autofree char *folder = NULL;

	if (!o->output) {
		err_set(e, EINVAL, "'--output' is missing");
		return CLI_WRONG_USE;
	}
	int r = derived_input_open(path, &in, p, e);
	if (r < 0)
		return r;
	folder = in.folder ? xasprintf("%s/out", in.folder) : xstrdup(o->output);
	const struct derive_spec spec = {.image = in.image,
		.output = folder,
		.trust = o->trust,
		.sign_key = o->sign_key,
		.sign_cert = o->sign_cert};
	r = fn(&spec, ctx, &result, p, e);
	if (r == 0 && in.folder)
		r = write_iso(o, &in, &result, p, e);
	if (r == 0)
		print(o, &result);
	return r;
}
