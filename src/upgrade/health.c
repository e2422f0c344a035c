/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/health.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/cmd.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "node/banner.h"
#include "node/text.h"

#define CHECKS_MAX    256 /* of one folder */
#define CHECK_SECONDS 60
#define PAUSE_SECONDS 5
#define SAYS_MAX      400
#define ASK_SECONDS   20

static const char *const status_ids[] = {
	[HEALTH_OK] = "ok",
	[HEALTH_FAILED] = "failed",
	[HEALTH_TIMED_OUT] = "timed out",
	[HEALTH_SKIPPED] = "skipped",
};

void health_result_fini(struct health_result *r)
{
	for (size_t i = 0; i < r->count; i++) {
		free(r->items[i].name);
		free(r->items[i].path);
		free(r->items[i].says);
	}
	free(r->items);
	*r = (struct health_result){0};
}

uint64_t health_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec;
}

static void set_says(struct health_check *c, const char *text)
{
	free(c->says);
	c->says = text && *text ? xstrndup(text, SAYS_MAX) : NULL;
}

/* Names that editors and package managers leave behind are none. */
static bool is_check_name(const char *name)
{
	return name[0] != '.' && !strchr(name, '~') && !str_ends(name, ".bak") &&
		!strstr(name, ".dpkg-");
}

static int add_names(const char *folder, const char *kind, struct strv *out, struct err *e)
{
	autofree char *path = xasprintf("%s/%s", folder, kind);
	autostrv names = {0};
	int r = file_list(path, &names, e);

	if (r == -ENOENT || r == -ENOTDIR) {
		*e = (struct err){0};
		return 0;
	}
	if (r < 0)
		return r;
	if (names.count > CHECKS_MAX)
		return err_set(e, E2BIG, "%s: more than %d checks", path, CHECKS_MAX);
	for (size_t i = 0; i < names.count; i++)
		if (is_check_name(names.items[i]) && !strv_has(out, names.items[i]))
			strv_add(out, names.items[i]);
	return 0;
}

/* Not root's own, and every user of this node could decide what it boots. */
static bool is_trusted(const struct stat *st)
{
	return (st->st_uid == 0 || st->st_uid == geteuid()) && !(st->st_mode & 0022);
}

static void look_at(struct health_check *c)
{
	struct stat st;

	if (stat(c->path, &st) < 0) {
		c->status = HEALTH_FAILED;
		set_says(c, "not run: it cannot be read");
	} else if (!S_ISREG(st.st_mode) || st.st_size == 0 || !(st.st_mode & 0111)) {
		c->status = HEALTH_SKIPPED;
	} else if (!is_trusted(&st)) {
		c->status = HEALTH_FAILED;
		set_says(c, "not run: it is not root's, or others can write to it");
	} else {
		c->can_run = true;
		c->status = HEALTH_TIMED_OUT;
		set_says(c, "not run: there was no time left");
	}
}

static void add_check(
	const struct health_spec *spec, const char *name, bool required, struct health_result *out)
{
	const char *kind = required ? "required" : "wanted";
	char *path = xasprintf("%s/%s/%s", spec->admin, kind, name);
	struct stat st;

	/* A link that leads nowhere takes a place, too. */
	if (lstat(path, &st) < 0) {
		free(path);
		path = xasprintf("%s/%s/%s", spec->vendor, kind, name);
	}
	out->items = xrealloc(out->items, (out->count + 1) * sizeof(*out->items));
	struct health_check *c = &out->items[out->count++];
	*c = (struct health_check){.name = xstrdup(name), .path = path, .required = required};
	look_at(c);
}

static int find_checks(
	const struct health_spec *spec, bool required, struct health_result *out, struct err *e)
{
	const char *kind = required ? "required" : "wanted";
	autostrv names = {0};
	int r = add_names(spec->vendor, kind, &names, e);

	if (r == 0)
		r = add_names(spec->admin, kind, &names, e);
	if (r < 0)
		return r;
	strv_sort(&names);
	for (size_t i = 0; i < names.count; i++)
		add_check(spec, names.items[i], required, out);
	return 0;
}

static void keep_line(void *ctx, const char *line)
{
	if (line[strspn(line, " \t")] != '\0')
		set_says(ctx, line);
}

static int run_check(const struct health_spec *spec, struct health_check *c, struct err *e)
{
	uint64_t start = health_now();
	autocmd cmd = {.on_line = keep_line, .on_line_ctx = c};
	struct err why = {0};

	if (start >= spec->deadline)
		return 0;
	cmd.timeout_seconds = (unsigned)MIN(spec->deadline - start, spec->check_seconds);
	cmd_add(&cmd, c->path, NULL);
	cmd_env(&cmd, "BEDPLATE_HEALTH=%s", c->required ? "required" : "wanted");
	set_says(c, NULL);
	int r = cmd_run(&cmd, &why);
	c->seconds = (unsigned)(health_now() - start);
	if (r == -EINTR)
		return interrupt_check(e);
	c->status = r == 0 ? HEALTH_OK : r == -ETIMEDOUT ? HEALTH_TIMED_OUT : HEALTH_FAILED;
	if (r < 0 && !c->says && WIFEXITED(cmd.status) && r == -EPROTO)
		c->says = xasprintf("exit status %d", WEXITSTATUS(cmd.status));
	else if (r < 0 && !c->says)
		set_says(c, why.msg);
	return 0;
}

/* left: how many of them are not well, and could still become so. */
static int run_round(const struct health_spec *spec, bool required, struct health_result *out,
	size_t *left, struct err *e)
{
	*left = 0;
	for (size_t i = 0; i < out->count; i++) {
		struct health_check *c = &out->items[i];

		if (c->required != required || !c->can_run)
			continue;
		int r = run_check(spec, c, e);
		if (r < 0)
			return r;
		*left += c->status != HEALTH_OK;
	}
	return 0;
}

static int run_all(const struct health_spec *spec, struct health_result *out, struct err *e)
{
	size_t left;
	int r = run_round(spec, true, out, &left, e);

	while (r == 0 && spec->again && left > 0 &&
		health_now() + spec->pause_seconds < spec->deadline) {
		const struct timespec pause = {.tv_sec = spec->pause_seconds};

		nanosleep(&pause, NULL);
		r = interrupt_check(e);
		if (r == 0)
			r = run_round(spec, true, out, &left, e);
	}
	return r == 0 ? run_round(spec, false, out, &left, e) : r;
}

int health_run(const struct health_spec *spec, struct health_result *out, struct err *e)
{
	const struct health_spec full = {
		.vendor = spec->vendor ? spec->vendor : HEALTH_VENDOR,
		.admin = spec->admin ? spec->admin : HEALTH_ADMIN,
		.deadline = spec->deadline,
		.check_seconds = spec->check_seconds ? spec->check_seconds : CHECK_SECONDS,
		.again = spec->again,
		.pause_seconds = spec->pause_seconds ? spec->pause_seconds : PAUSE_SECONDS,
	};
	int r = find_checks(&full, true, out, e);

	if (r == 0)
		r = find_checks(&full, false, out, e);
	return r == 0 ? run_all(&full, out, e) : r;
}

static bool is_well(const struct health_check *c)
{
	return c->status == HEALTH_OK || c->status == HEALTH_SKIPPED;
}

bool health_is_good(const struct health_result *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->items[i].required && !is_well(&r->items[i]))
			return false;
	return true;
}

char *health_why(const struct health_result *r)
{
	autostrbuf b = {0};

	for (size_t i = 0; i < r->count; i++) {
		const struct health_check *c = &r->items[i];

		if (!c->required || is_well(c))
			continue;
		strbuf_printf(&b, "%s%s: %s", b.len > 0 ? "; " : "", c->name,
			c->says ? c->says : status_ids[c->status]);
	}
	return strbuf_take(&b);
}

static const char *overall(const struct health_result *r)
{
	if (!health_is_good(r))
		return "failed";
	for (size_t i = 0; i < r->count; i++)
		if (!is_well(&r->items[i]))
			return "warn";
	return "ok";
}

static void put_check(const struct health_check *c, struct strbuf *b)
{
	text_line(b, "  %s ... %s%s%s", c->name, status_ids[c->status], c->says ? " - " : "",
		c->says ? c->says : "");
}

char *health_text(const struct health_result *r)
{
	autostrbuf b = {0};

	text_line(&b, "Health: %s", overall(r));
	for (int required = 1; required >= 0; required--) {
		text_line(&b, "%s:", required ? "Required" : "Wanted");
		for (size_t i = 0; i < r->count; i++)
			if (r->items[i].required == (required == 1))
				put_check(&r->items[i], &b);
	}
	return strbuf_take(&b);
}

json_t *health_json(const struct health_result *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->count; i++) {
		const struct health_check *c = &r->items[i];

		json_array_append_new(list,
			json_pack("{s:o, s:o, s:b, s:s, s:o, s:i}", "name", json_text(c->name),
				"path", json_text(c->path), "required", c->required, "status",
				status_ids[c->status], "says", json_text(c->says), "seconds",
				(int)c->seconds));
	}
	return json_pack("{s:i, s:s, s:o}", "schema", 1, "status", overall(r), "checks", list);
}

static int note(const char *path, const char *text, struct err *e)
{
	int r = file_make_folder("/var/lib/bedplate", 0755, e);

	return r < 0 ? r : file_replace(path, text, strlen(text), 0644, e);
}

int health_note_network(struct err *e)
{
	autobanner banner = {0};
	int r = banner_gather(&banner, e);

	if (r < 0)
		return r;
	bool has_address = banner.ipv4.count + banner.ipv6.count > 0;
	return note(HEALTH_NETWORK_BEFORE, has_address ? "yes\n" : "no\n", e);
}

int health_note_units(struct err *e)
{
	autofree char *units = NULL;
	autocmd c = {.timeout_seconds = ASK_SECONDS};

	cmd_add(&c, "systemctl", "list-units", "--state=failed", "--plain", "--no-legend",
		"--no-pager", NULL);
	int r = cmd_output(&c, &units, e);
	return r < 0 ? r : note(HEALTH_UNITS_BEFORE, units, e);
}
