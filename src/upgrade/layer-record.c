/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/layer-record.h"

#include <errno.h>
#include <jansson.h>
#include <time.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "image/intree.h"
#include "node/text.h"

#define FACTORY_PATH      "/usr/lib/bedplate/factory.json"
#define FACTORY_FORMAT    1
#define FACTORY_MAX_BYTES (4 * MIB)

/* A node whose record is gone is still a node. */
static json_t *read_old(int old_fd)
{
	autofree char *text = NULL;
	struct err e = {0};
	int r = file_read_in_root(old_fd, FACTORY_PATH, FACTORY_MAX_BYTES, &text, &e);
	json_t *old = r == 0 ? json_loads(text, 0, NULL) : NULL;

	if (json_is_object(old))
		return old;
	json_decref(old);
	log_warning("the old layer's " FACTORY_PATH " is begun anew: %s",
		r < 0 ? e.msg : "it is no JSON object");
	return json_object();
}

static json_t *describe_image(const struct liveimg *l)
{
	const struct manifest *m = &l->manifest;
	char hash[SHA256_HEX_BYTES];

	hex_format(m->verity.root_hash, SHA256_BYTES, hash);
	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:o}", "name", m->name, "version", m->version,
		"arch", m->arch, "root_hash", hash, "source_date", (json_int_t)m->source_date,
		"origin", json_text(l->origin));
}

int layer_record_read(int upper_fd, char **out, struct err *e)
{
	return file_read_in_root(upper_fd, FACTORY_PATH, FACTORY_MAX_BYTES, out, e);
}

int layer_record(const struct layer_job *j, int old_fd, int new_fd, struct err *e)
{
	if (j->record)
		return intree_write(new_fd, FACTORY_PATH, j->record, 0644, e);
	autofree char *when = text_date(time(NULL));
	json_t *record = read_old(old_fd);
	int r = 0;

	if (j->image) {
		r |= json_object_set_new(record, "image", describe_image(j->image));
		r |= json_object_set_new(record, "signer", json_text(j->image->signer));
		r |= json_object_set_new(record, "unsigned", json_boolean(!j->image->signer));
	}
	r |= json_object_set_new(record, "format", json_integer(FACTORY_FORMAT));
	r |= json_object_set_new(record, "layer", json_text(j->layer));
	r |= json_object_set_new(record, "previous_layer", json_text(j->site->layer));
	r |= json_object_set_new(record, "made", json_text(when));
	r |= json_object_set_new(record, "made_by",
		json_text(j->fresh ? "nodectl factory-reset " BEDPLATE_VERSION
				   : "nodectl upgrade " BEDPLATE_VERSION));
	autofree char *text = r == 0 ? json_format(record) : NULL;
	json_decref(record);
	if (!text)
		return err_set(e, EINVAL, FACTORY_PATH " cannot be written as JSON");
	return intree_write(new_fd, FACTORY_PATH, text, 0644, e);
}
