/* SPDX-License-Identifier: Apache-2.0 */
#include "certify/certify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "certify/payload.h"
#include "image/image.h"
#include "plugin/applied.h"
#include "plugin/apply.h"
#include "plugin/read.h"
#include "plugin/record.h"
#include "sys/console.h"
#include "vm/live.h"

#define DISK_FILE    "report.raw"
#define CONSOLE_FILE "console.log"
#define LAST_LINES   20
#define UNITS_BYTES  (1 * MIB)  /* of the disk, for all but tests */
#define TEST_BYTES   (16 * KIB) /* for each of them */

struct certification {
	const struct certify_spec *spec;
	struct progress *progress;
	struct report *report;
	char *work; /* goes at the end */
	const char *output;
	struct source *file;
	struct plugin plugin;
	struct payload payload;
	struct derive_result result;
};

static void certification_fini(struct certification *c)
{
	struct err e = {0};

	if (c->work && file_remove_tree(c->work, &e) < 0)
		log_warning("%s", e.msg);
	free(c->work);
	plugin_fini(&c->plugin);
	source_free(c->file);
	payload_fini(&c->payload);
	derive_result_fini(&c->result);
}

/* ---- before the machine ---- */

static int check_plugin(struct certification *c, struct err *e)
{
	const struct plugin_demand demand = {.trust = c->spec->trust};
	struct report_plugin *out = &c->report->plugin;
	const struct plugin_manifest *m = &c->plugin.manifest;
	int r = source_open_path(c->spec->plugin, &c->file, e);

	if (r == 0)
		r = plugin_read(c->file, &demand, c->progress, &c->plugin, e);
	if (r == 0)
		r = sha256_source(c->file, out->sha256, e);
	if (r == 0)
		r = payload_make(c->file, &c->plugin, &c->payload, e);
	if (r < 0)
		return r;
	out->name = xstrdup(m->name);
	out->version = xstrdup(m->version);
	out->vendor = xstrdup(m->vendor);
	out->size_bytes = c->plugin.size_bytes;
	out->has_signature = c->plugin.has_signature;
	out->signer = xstrdup_or_null(c->plugin.signer);
	strv_add_all(&c->report->tests, &c->payload.tests);
	return 0;
}

static int read_image(const char *path, struct report_image *out, struct err *e)
{
	autoptr(image) img = NULL;
	automanifest m = {0};
	int r = image_open(path, &img, e);

	if (r < 0)
		return r;
	autofree char *beside = image_sibling(img, MANIFEST_SUFFIX);
	r = manifest_load(beside, &m, e);
	if (r == 0)
		report_set_image(out, &m);
	return r;
}

static int check_apply(struct certification *c, struct err *e)
{
	struct plugin_apply_spec spec = {
		.derive = {.image = c->spec->image, .output = c->output, .trust = c->spec->trust}};
	autostrv plugins = {0};
	int r;

	strv_add(&plugins, c->spec->plugin);
	spec.plugins = plugins;
	r = read_image(c->spec->image, &c->report->image, e);
	if (r == 0)
		r = plugin_apply(&spec, &c->result, c->progress, e);
	return r == 0 ? read_image(c->result.image, &c->report->result, e) : r;
}

static void verified(void *ctx, const char *what)
{
	strv_add(ctx, what);
}

/* What the new image says of this very plugin. */
static int count_files(struct certification *c, struct err *e)
{
	struct report *out = c->report;
	autoptr(image) img = NULL;
	auto_plugin_records records = {0};
	const struct plugin_record *rec;
	int r = image_open(c->result.image, &img, e);

	if (r == 0)
		r = plugin_records_read(image_tree(img), &records, e);
	if (r < 0)
		return r;
	rec = plugin_records_find(&records, out->plugin.name);
	if (!rec || memcmp(rec->sha256, out->plugin.sha256, SHA256_BYTES) != 0)
		return err_set(e, EBADMSG, "'%s' has changed meanwhile", c->spec->plugin);
	out->has_files = true;
	out->files_written = rec->files->count;
	out->files_removed = rec->removed.count;
	return 0;
}

static int check_verify(struct certification *c, struct err *e)
{
	const struct plugin_verify_spec spec = {
		.image = c->result.image, .passed = verified, .ctx = &c->report->verified};
	int r = plugin_verify(&spec, c->progress, e);

	return r == 0 ? count_files(c, e) : r;
}

/* ---- the machine ---- */

static int make_disk(struct certification *c, char **path, size_t *size, struct err *e)
{
	autofree char *name = xasprintf("%s/" DISK_FILE, c->work);
	autofd int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	*size = UNITS_BYTES + c->payload.tests.count * TEST_BYTES;
	if (fd < 0 || ftruncate(fd, (off_t)*size) < 0)
		return err_errno(e, "%s", name);
	*path = take_ptr(name);
	return 0;
}

static int open_console_log(struct certification *c, struct err *e)
{
	autofree char *path = xasprintf("%s/" CONSOLE_FILE, c->spec->keep ? c->output : c->work);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	return fd < 0 ? err_errno(e, "%s", path) : fd;
}

/* Until it has ended by itself. */
static int follow(struct certification *c, struct machine *m, struct err *e)
{
	autofd int log_fd = open_console_log(c, e);
	autoconsole console = {0};
	int r;

	if (log_fd < 0)
		return log_fd;
	r = machine_start(m, e);
	if (r < 0)
		return r;
	console_init(&console, r, log_fd, c->spec->timeout_seconds);
	progress_begin(c->progress, "boot", 0, "steps");
	r = console_wait_end(&console, e);
	if (r == 0)
		r = machine_wait(m, e);
	progress_end(c->progress);
	c->report->console = console_last_lines(&console, LAST_LINES);
	return r;
}

static int run_machine(struct certification *c, const char *disk, struct err *e)
{
	struct machine_params params = c->spec->machine;
	autoptr(image) img = NULL;
	autoptr(machine) m = NULL;
	autostrv disks = {0};
	int r = image_open(c->result.image, &img, e);

	strv_add(&disks, disk);
	params.disks = &disks;
	if (r == 0)
		r = live_new(img, &params, NULL, &m, e);
	if (r == 0)
		r = live_add_initramfs(m, c->payload.archive.data, c->payload.archive.len, e);
	return r == 0 ? follow(c, m, e) : r;
}

static int read_disk(struct certification *c, const char *disk, size_t size, struct err *e)
{
	autofree char *data = NULL;
	size_t len = 0;
	int r = file_read(disk, size, &data, &len, e);

	return r == 0 ? guest_report_parse(data, len, &c->report->guest, e) : r;
}

/* Whatever happened, the report of the machine may say during what. */
static int explain(const struct certification *c, int r, struct err *e)
{
	const struct guest_report *g = &c->report->guest;
	const struct guest_test *last = g->test_count > 0 ? &g->tests[g->test_count - 1] : NULL;

	if (last && !last->ended) {
		autofree char *safe = str_printable(last->name);

		err_wrap(e, r, "during the smoke test '%s'", safe);
	} else if (!g->state) {
		err_wrap(e, r, "the system did not start");
	}
	return r;
}

static int judge_boot(const struct certification *c, struct err *e)
{
	const struct guest_report *g = &c->report->guest;

	if (!g->done) {
		int r = err_set(e, EPIPE, "the machine ended without a verdict");

		return explain(c, r, e);
	}
	/* Which units have failed is the next check. */
	if (str_eq(g->state, "running") || str_eq(g->state, "degraded"))
		return 0;
	autofree char *safe = str_printable(g->state);
	return err_set(e, EPROTO, "the system is '%s', not 'running'", safe);
}

static int check_boot(struct certification *c, struct err *e)
{
	autofree char *disk = NULL;
	struct err ignored = {0};
	size_t size = 0;
	int r = make_disk(c, &disk, &size, e);

	if (r == 0)
		r = run_machine(c, disk, e);
	if (r == -EINTR || !disk)
		return r;
	if (r < 0) {
		(void)!read_disk(c, disk, size, &ignored);
		return explain(c, r, e);
	}
	r = read_disk(c, disk, size, e);
	if (r == 0)
		r = judge_boot(c, e);
	if (r == 0)
		free(take_ptr(c->report->console));
	return r;
}

/* ---- what it said ---- */

static int check_units(struct certification *c, struct err *e)
{
	const struct guest_report *g = &c->report->guest;
	autostrbuf b = {0};

	for (size_t i = 0; i < g->unit_count; i++) {
		autofree char *safe = str_printable(g->units[i].name);

		strbuf_printf(&b, " %s", safe);
	}
	return g->unit_count == 0 ? 0 : err_set(e, EPROTO, "%s", b.data + 1);
}

static int check_tests(struct certification *c, struct err *e)
{
	const struct strv *tests = &c->report->tests;
	autostrbuf b = {0};

	for (size_t i = 0; i < tests->count; i++) {
		const struct guest_test *t = guest_report_test(&c->report->guest, tests->items[i]);

		if (!t || !t->ended || t->status != 0)
			strbuf_printf(&b, " %s", tests->items[i]);
	}
	return b.len == 0 ? 0 : err_set(e, EPROTO, "%s", b.data + 1);
}

static const struct {
	const char *name;
	int (*run)(struct certification *c, struct err *e);
	bool is_needed; /* by those that follow */
} checks[] = {
	{"plugin", check_plugin, true},
	{"apply", check_apply, true},
	{"verify", check_verify, true},
	{"boot", check_boot, true},
	{"units", check_units, false},
	{"tests", check_tests, false},
};

static int run_checks(struct certification *c, struct err *e)
{
	struct report *out = c->report;
	bool ended = false;

	out->checks = xcalloc(ARRAY_LEN(checks), sizeof(*out->checks));
	out->check_count = ARRAY_LEN(checks);
	for (size_t i = 0; i < ARRAY_LEN(checks); i++)
		out->checks[i].name = checks[i].name;
	for (size_t i = 0; !ended && i < ARRAY_LEN(checks); i++) {
		struct err own = {0};
		int r = checks[i].run(c, &own);

		if (r == -EINTR) {
			if (e)
				*e = own;
			return r;
		}
		out->checks[i].result = r < 0 ? CHECK_FAILED : CHECK_PASSED;
		out->checks[i].message = r < 0 ? xstrdup(own.msg) : NULL;
		ended = r < 0 && checks[i].is_needed;
	}
	return 0;
}

int certify(const struct certify_spec *spec, struct progress *p, struct report *out, struct err *e)
{
	auto_with(certification_fini) struct certification c = {
		.spec = spec, .progress = p, .report = out};

	if (geteuid() != 0)
		return err_set(e, EPERM, "checking a plugin needs root");
	int r = file_make_temporary(NULL, "bedplate-check", &c.work, e);
	c.output = spec->keep ? spec->keep : c.work;
	if (r == 0 && spec->keep)
		r = file_make_folder(spec->keep, 0755, e);
	if (r == 0)
		r = run_checks(&c, e);
	if (r < 0)
		report_fini(out);
	return r;
}
