/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "base/file.h"
#include "base/xalloc.h"
#include "nodectl/commands.h"

#define IMAGE_JSON     "usr/lib/bedplate/image.json"
#define FILE_MAX_BYTES (1 * MIB)

enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

struct options {
	const char *root;
	bool json;
};

static const struct options defaults = {.root = "/"};

static const struct cli_opt opts[] = {
	{0, "json", NULL, "print JSON", OPT_FLAG, offsetof(struct options, json)},
	{0, "root", "DIR", "look at the node in this folder (default: /)", OPT_STRING,
		offsetof(struct options, root)},
};

struct info {
	char *name, *version, *arch;
	int64_t source_date; /* seconds since 1970 */
	const char *running; /* "live", "installed" or "unknown" */
	char *layer;         /* NULL: not from a layer */
	char *root_type;     /* file system type of /, NULL when not known */
	char *kernel;
	uint64_t uptime_seconds;
};

static void info_fini(struct info *info)
{
	free(info->name);
	free(info->version);
	free(info->arch);
	free(info->layer);
	free(info->root_type);
	free(info->kernel);
}

/* A field of image.json goes to terminals and scripts, so it is one line of plain text. */
static int take_string(const json_t *object, const char *key, char **out, struct err *e)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (!text || !*text)
		return err_set(e, EBADMSG, "/" IMAGE_JSON ": no '%s'", key);
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return err_set(e, EBADMSG, "/" IMAGE_JSON ": bad '%s'", key);
	*out = xstrdup(text);
	return 0;
}

static int take_image(const json_t *object, struct info *info, struct err *e)
{
	const json_t *date = json_object_get(object, "source_date");
	int r = take_string(object, "name", &info->name, e);

	if (r == 0)
		r = take_string(object, "version", &info->version, e);
	if (r == 0)
		r = take_string(object, "arch", &info->arch, e);
	if (r < 0)
		return r;
	if (!json_is_integer(date))
		return err_set(e, EBADMSG, "/" IMAGE_JSON ": no 'source_date'");
	info->source_date = json_integer_value(date);
	return 0;
}

static int load_image(int root_fd, struct info *info, struct err *e)
{
	autofree char *text = NULL;
	json_error_t where;
	int r = file_read_in_root(root_fd, IMAGE_JSON, FILE_MAX_BYTES, &text, e);

	if (r == -ENOENT)
		return err_set(e, ENOENT, "this is not a node: there is no /" IMAGE_JSON);
	if (r < 0)
		return r;

	json_t *object = json_loads(text, 0, &where);
	if (!object)
		return err_set(e, EBADMSG, "/" IMAGE_JSON ": line %d: %s", where.line, where.text);
	r = take_image(object, info, e);
	json_decref(object);
	return r;
}

/* "" when it cannot be read: a folder that is not running has no /proc. */
static char *read_proc(int root_fd, const char *path)
{
	char *text = NULL;

	if (file_read_in_root(root_fd, path, FILE_MAX_BYTES, &text, NULL) < 0)
		return xstrdup("");
	return text;
}

static void load_command_line(int root_fd, struct info *info)
{
	autofree char *text = read_proc(root_fd, "proc/cmdline");
	char *rest = text;

	info->running = "unknown";
	for (char *word; (word = str_next_word(&rest, " \n"));) {
		if (str_starts(word, "root=live:") || str_starts(word, "rd.live.image")) {
			info->running = "live";
		} else if (str_starts(word, "bedplate.layer=")) {
			info->running = "installed";
			free(info->layer);
			info->layer = xstrdup(strchr(word, '=') + 1);
		}
	}
}

/* The last mount on / is the one that is seen. */
static void load_root_type(int root_fd, struct info *info)
{
	autofree char *text = read_proc(root_fd, "proc/self/mounts");
	char *rest = text;

	for (char *line; (line = str_next_word(&rest, "\n"));) {
		str_next_word(&line, " ");
		const char *point = str_next_word(&line, " ");
		const char *type = str_next_word(&line, " ");

		if (!type || !str_eq(point, "/"))
			continue;
		free(info->root_type);
		info->root_type = xstrdup(type);
	}
}

static void load_kernel(int root_fd, struct info *info)
{
	autofree char *release = read_proc(root_fd, "proc/sys/kernel/osrelease");
	autofree char *uptime = read_proc(root_fd, "proc/uptime");

	info->kernel = xstrdup(str_trim(release));
	info->uptime_seconds = strtoull(uptime, NULL, 10);
}

static void format_date(int64_t seconds, char *out, size_t room)
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || strftime(out, room, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(out, room, "%" PRId64, seconds);
}

static void print_uptime(uint64_t seconds)
{
	printf("Uptime:   ");
	if (seconds >= DAY)
		printf("%" PRIu64 " d ", seconds / DAY);
	if (seconds >= HOUR)
		printf("%" PRIu64 " h ", seconds % DAY / HOUR);
	printf("%" PRIu64 " min\n", seconds % HOUR / MINUTE);
}

static void print_text(const struct info *info)
{
	char date[64];

	format_date(info->source_date, date, sizeof(date));
	printf("Image:    %s %s (%s)\n", info->name, info->version, info->arch);
	printf("Date:     %s\n", date);
	printf("Running:  %s", info->running);
	if (info->layer)
		printf(", layer %s", info->layer);
	if (str_eq(info->running, "live") && info->root_type && str_eq(info->root_type, "overlay"))
		printf(", changes are lost at power-off");
	putchar('\n');
	if (info->kernel[0]) {
		printf("Kernel:   %s\n", info->kernel);
		print_uptime(info->uptime_seconds);
	}
}

static int print_json(const struct info *info, struct err *e)
{
	json_t *object = json_pack("{s:{s:s, s:s, s:s, s:I}, s:s, s:s?, s:s?, s:s, s:I}", "image",
		"name", info->name, "version", info->version, "arch", info->arch, "source_date",
		(json_int_t)info->source_date, "running", info->running, "layer", info->layer,
		"root_type", info->root_type, "kernel", info->kernel, "uptime_seconds",
		(json_int_t)info->uptime_seconds);

	if (!object)
		return err_set(e, EBADMSG, "the boot parameters are not UTF-8");
	json_dumpf(object, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
	putchar('\n');
	json_decref(object);
	return 0;
}

static int run(const void *parsed, char *const args[], struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	auto_with(info_fini) struct info info = {0};
	autofd int root_fd = open(o->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	(void)args;
	(void)p;
	if (root_fd < 0)
		return err_errno(e, "%s", o->root);
	r = load_image(root_fd, &info, e);
	if (r < 0)
		return r;
	load_command_line(root_fd, &info);
	load_root_type(root_fd, &info);
	load_kernel(root_fd, &info);

	if (o->json)
		return print_json(&info, e);
	print_text(&info);
	return 0;
}

const struct cli_command cmd_info = {
	.name = "info",
	.args = "",
	.summary = "Show which image this node runs, and how",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.defaults = &defaults,
	.opts_size = sizeof(defaults),
	.run = run,
};
