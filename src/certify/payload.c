/* SPDX-License-Identifier: Apache-2.0 */
#include "certify/payload.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/xalloc.h"
#include "certify/embedded.h"
#include "fmt/cpio.h"

#define FOLDER       0755
#define PROGRAM      0755
#define DATA         0644
#define COPY_UNITS   "etc/systemd/system"
#define COPY_SERVICE "bedplate-plugin-check-copy.service"
#define HOME         "bedplate-plugin-check" /* becomes /run */
#define UNITS        HOME "/systemd/system"
#define SERVICE      "bedplate-plugin-check.service"
#define PLACE        HOME "/bedplate-plugin-check"

void payload_fini(struct payload *p)
{
	strbuf_fini(&p->archive);
	strv_fini(&p->tests);
}

/* A folder and all on the way to it, each once. */
static void add_folders(struct strbuf *b, struct strv *known, const char *path)
{
	for (const char *at = path; at; at = strchr(at, '/')) {
		autofree char *folder = NULL;

		at += *at == '/';
		folder = xstrndup(path, (size_t)(at - path) + strcspn(at, "/"));
		if (strv_has(known, folder))
			continue;
		cpio_add(b, folder, S_IFDIR | FOLDER, "", 0);
		strv_add(known, folder);
	}
}

static void add_file(struct strbuf *b, const char *path, unsigned mode, const char *text)
{
	cpio_add(b, path, S_IFREG | mode, text, strlen(text));
}

static void add_link(struct strbuf *b, const char *path, const char *target)
{
	cpio_add(b, path, S_IFLNK | 0777, target, strlen(target));
}

static bool is_program(const char *data, size_t len)
{
	return (len > 2 && memcmp(data, "#!", 2) == 0) ||
		(len > 4 && memcmp(data, "\177ELF", 4) == 0);
}

static int read_member(struct source *file, const struct plugin *plugin,
	const struct plugin_member *m, char **out, struct err *e)
{
	size_t len = (size_t)m->size_bytes;
	autofree char *data = xcalloc(len + 1, 1);
	uint8_t sum[SHA256_BYTES];
	uint64_t at = 0;
	int r = plugin_member_place(file, plugin, m, &at, e);

	if (r == 0)
		r = source_read_at(file, data, len, at, e);
	if (r < 0)
		return r;
	sha256_buffer(data, len, sum);
	if (memcmp(sum, m->sha256, sizeof(sum)) != 0)
		return err_set(e, EBADMSG, "member '%s' has changed", m->file);
	*out = take_ptr(data);
	return 0;
}

static int add_test(struct source *file, const struct plugin *plugin, const struct plugin_member *m,
	struct payload *out, struct strv *known, struct err *e)
{
	autofree char *path = xasprintf(PLACE "/%s", m->file);
	autofree char *folder = xstrndup(path, (size_t)(strrchr(path, '/') - path));
	const char *name = m->file + strlen(PLUGIN_TESTS);
	autofree char *data = NULL;
	int r = read_member(file, plugin, m, &data, e);
	bool runs;

	if (r < 0)
		return r;
	runs = is_program(data, (size_t)m->size_bytes);
	add_folders(&out->archive, known, folder);
	cpio_add(&out->archive, path, S_IFREG | (runs ? PROGRAM : DATA), data,
		(size_t)m->size_bytes);
	if (runs && !strchr(name, '/'))
		strv_add(&out->tests, name);
	return 0;
}

static int add_tests(struct source *file, const struct plugin *plugin, struct payload *out,
	struct strv *known, struct err *e)
{
	const struct plugin_manifest *m = &plugin->manifest;
	uint64_t room = PAYLOAD_MAX_BYTES;
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->file_count; i++) {
		if (!str_starts(m->files[i].file, PLUGIN_TESTS))
			continue;
		if (m->files[i].size_bytes > room)
			return err_set(e, EFBIG, "more than %llu MiB in " PLUGIN_TESTS,
				PAYLOAD_MAX_BYTES / MIB);
		room -= m->files[i].size_bytes;
		r = add_test(file, plugin, &m->files[i], out, known, e);
	}
	strv_sort(&out->tests);
	return r;
}

int payload_make(
	struct source *file, const struct plugin *plugin, struct payload *out, struct err *e)
{
	struct strbuf *b = &out->archive;
	autostrv known = {0};
	int r;

	add_folders(b, &known, COPY_UNITS "/initrd.target.wants");
	add_file(b, COPY_UNITS "/" COPY_SERVICE, DATA, embedded_copy_service);
	add_link(b, COPY_UNITS "/initrd.target.wants/" COPY_SERVICE, "../" COPY_SERVICE);
	add_folders(b, &known, UNITS "/multi-user.target.wants");
	add_file(b, UNITS "/" SERVICE, DATA, embedded_check_service);
	add_link(b, UNITS "/multi-user.target.wants/" SERVICE, "../" SERVICE);
	add_folders(b, &known, PLACE "/tests");
	add_file(b, PLACE "/run", PROGRAM, embedded_check_script);
	r = add_tests(file, plugin, out, &known, e);
	cpio_end(b);
	if (r < 0)
		payload_fini(out);
	return r;
}
