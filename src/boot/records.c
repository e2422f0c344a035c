/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/records.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "boot/entry-text.h"
#include "boot/entry.h"
#include "boot/records-text.h"

/* A link or a pipe in its place is none of ours. */
static int load(
	int boot_fd, const char *path, size_t max_bytes, char **text, size_t *len, struct err *e)
{
	autofd int fd = file_open_beneath(boot_fd, path, O_RDONLY | O_NONBLOCK, e);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_errno(e, "stat");
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "it is no file");
	return file_read_fd(fd, max_bytes, text, len, e);
}

int record_load(int boot_fd, const char *name, size_t max_bytes, char **text, size_t *len)
{
	autofree char *path = xasprintf(RECORDS_FOLDER "/%s", name);
	struct err why = {0};
	int r = load(boot_fd, path, max_bytes, text, len, &why);

	if (r < 0 && r != -ENOENT)
		log_warning("'/boot/%s' does not count: %s", path, why.msg);
	return r == 0;
}

static int open_folder(int boot_fd, struct err *e)
{
	if (mkdirat(boot_fd, RECORDS_FOLDER, 0755) < 0 && errno != EEXIST)
		return err_errno(e, "creating '/boot/" RECORDS_FOLDER "'");
	return file_open_beneath(boot_fd, RECORDS_FOLDER, O_RDONLY | O_DIRECTORY, e);
}

int record_save(int boot_fd, const char *name, const char *text, struct err *e)
{
	autofd int folder_fd = open_folder(boot_fd, e);

	if (folder_fd < 0)
		return folder_fd;
	autofree char *path = xasprintf("/proc/self/fd/%d/%s", folder_fd, name);
	int r = file_replace(path, text, strlen(text), 0644, e);
	if (r == 0)
		r = boot_sync(boot_fd, e);
	return r < 0 ? err_wrap(e, r, "'/boot/" RECORDS_FOLDER "/%s'", name) : 0;
}

int record_drop(int boot_fd, const char *name, struct err *e)
{
	autofd int folder_fd = file_open_beneath(
		boot_fd, RECORDS_FOLDER, O_RDONLY | O_DIRECTORY, e);

	if (folder_fd == -ENOENT)
		return 0;
	if (folder_fd < 0)
		return folder_fd;
	if (unlinkat(folder_fd, name, 0) < 0)
		return errno == ENOENT
			? 0
			: err_errno(e, "removing '/boot/" RECORDS_FOLDER "/%s'", name);
	if (fsync(folder_fd) < 0)
		return err_errno(e, "syncing '/boot/" RECORDS_FOLDER "'");
	return boot_sync(boot_fd, e);
}

int records_clear(int boot_fd, struct err *e)
{
	static const char *const names[] = {JOURNAL_PATH, HISTORY_PATH, FAILED_PATH};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(names); i++)
		r = record_drop(boot_fd, names[i], e);
	return r;
}

int record_object(const char *text, size_t len, json_t **out, struct err *e)
{
	json_error_t why;
	autoptr(json_t) o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);

	if (!o)
		return err_set(e, EBADMSG, "line %d: %s", why.line, why.text);
	const json_t *schema = json_object_get(o, "schema");
	if (!json_is_integer(schema) || json_integer_value(schema) != 1)
		return err_set(e, EBADMSG, "it is not of schema 1");
	*out = take_ptr(o);
	return 0;
}

int record_text(const json_t *o, const char *key, bool may_be_null, char **out, struct err *e)
{
	const json_t *value = json_object_get(o, key);

	if (may_be_null && (!value || json_is_null(value)))
		return 0;
	if (!json_is_string(value))
		return err_set(e, EBADMSG, "'%s' is no text", key);
	*out = xstrdup(json_string_value(value));
	return 0;
}

int record_layer(const json_t *o, const char *key, bool may_be_null, char **out, struct err *e)
{
	autofree char *layer = NULL;
	int r = record_text(o, key, may_be_null, &layer, e);

	if (r < 0)
		return r;
	if (layer && !entry_layer_ok(layer))
		return err_set(e, EBADMSG, "'%s' is no name of a layer", key);
	*out = take_ptr(layer);
	return 0;
}

int record_bool(const json_t *o, const char *key, bool *out, struct err *e)
{
	const json_t *value = json_object_get(o, key);

	if (!json_is_boolean(value))
		return err_set(e, EBADMSG, "'%s' is neither true nor false", key);
	*out = json_is_true(value);
	return 0;
}

int record_time(const json_t *o, const char *key, int64_t *out, struct err *e)
{
	const json_t *value = json_object_get(o, key);

	if (!json_is_integer(value))
		return err_set(e, EBADMSG, "'%s' is no number", key);
	*out = json_integer_value(value);
	return 0;
}

json_t *record_cut(const char *text)
{
	size_t len = text ? strlen(text) : 0;

	if (len <= RECORDS_TEXT_MAX)
		return json_text(text);
	/* Never within a character. */
	for (len = RECORDS_TEXT_MAX; len > 0 && (text[len] & 0xc0) == 0x80; len--)
		;
	autofree char *head = xstrndup(text, len);
	return json_text(head);
}
