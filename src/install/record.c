/* SPDX-License-Identifier: Apache-2.0 */
/* What a node keeps of its install: docs/formats/factory.md. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/json.h"
#include "base/xalloc.h"
#include "image/intree.h"
#include "install/configure-part.h"
#include "ks/ks.h"

#define FACTORY_PATH   "/usr/lib/bedplate/factory.json"
#define FACTORY_FORMAT 1
#define LOG_FOLDER     "/var/log/bedplate"
#define LOG_MAX_BYTES  (64 * MIB)

static json_t *describe(const struct node_config *c)
{
	const struct manifest *m = c->manifest;
	char hash[SHA256_HEX_BYTES], when[32];
	time_t now = time(NULL);
	struct tm tm;

	hex_format(m->verity.root_hash, SHA256_BYTES, hash);
	gmtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_pack("{s:i, s:{s:s, s:s, s:s, s:s, s:I, s:o}, s:s, s:s, s:s, s:o}", "format",
		FACTORY_FORMAT, "image", "name", m->name, "version", m->version, "arch", m->arch,
		"root_hash", hash, "source_date", (json_int_t)m->source_date, "origin",
		json_text(c->origin), "layer", c->layer, "installed", when, "installed_with",
		"nodectl " BEDPLATE_VERSION, "layout", layout_json(c->layout));
}

static int write_factory(int root_fd, const struct node_config *c, struct err *e)
{
	json_t *json = describe(c);

	if (!json)
		return err_set(e, EINVAL, "the factory record cannot be written as JSON");
	autofree char *text = json_format(json);
	json_decref(json);
	return intree_write(root_fd, FACTORY_PATH, text, 0644, e);
}

static int copy_log(int root_fd, const char *log_path, struct err *e)
{
	autofree char *text = NULL;
	size_t len;
	int r = file_read(log_path, LOG_MAX_BYTES, &text, &len, e);

	if (r == 0)
		r = intree_write(root_fd, LOG_FOLDER "/install.log", "", 0600, e);
	if (r < 0)
		return r;
	autofd int fd = file_open_in_root(
		root_fd, LOG_FOLDER "/install.log", O_WRONLY | O_NOFOLLOW, 0, e);
	return fd < 0 ? fd : io_write(fd, text, len, e);
}

int record_write(int root_fd, const struct node_config *c, const char *log_path, struct err *e)
{
	const char *kickstart = c->kickstart_text ? c->kickstart_text : "";
	autofree char *clean = ks_without_secrets(kickstart, strlen(kickstart));
	int r = write_factory(root_fd, c, e);

	if (r == 0)
		r = intree_write(root_fd, LOG_FOLDER "/install.ks", clean, 0600, e);
	if (r == 0 && log_path)
		r = copy_log(root_fd, log_path, e);
	return r < 0 ? err_wrap(e, r, "factory record") : 0;
}
