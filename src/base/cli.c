/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/xalloc.h"

#define OPTS_MAX   32
#define HELP_WIDTH 80
#define HELP_LEFT  28

enum { EXIT_USAGE = 2 };

/* What getopt_long() returns: a letter, or one of these, or FIRST_OPT + index. */
enum { VAL_PROGRESS_FD = 256, FIRST_OPT };

/* The options every command has. */
struct common {
	int verbose;     /* -1 quiet */
	int progress_fd; /* -1: text on stderr */
	bool help;
};

static int parse_number(const char *text, uint64_t *out, const char **end, struct err *e)
{
	char *stop = NULL;

	errno = 0;
	uintmax_t n = strtoumax(text, &stop, 10);
	if (errno != 0 || stop == text || text[0] < '0' || text[0] > '9')
		return err_set(e, EINVAL, "bad number '%s'", text);
	*out = (uint64_t)n;
	*end = stop;
	return 0;
}

static int parse_size(const char *text, uint64_t *out, struct err *e)
{
	static const char units[] = "KMGT";
	const char *end;
	uint64_t n;

	if (parse_number(text, &n, &end, NULL) < 0)
		return err_set(
			e, EINVAL, "bad size '%s', expected a number and K, M, G or T", text);

	const char *unit = *end ? strchr(units, *end) : NULL;
	if (*end && (!unit || end[1] != '\0'))
		return err_set(
			e, EINVAL, "bad size '%s', expected a number and K, M, G or T", text);

	unsigned shift = unit ? 10U * (unsigned)(unit - units + 1) : 0;
	if (n > UINT64_MAX >> shift)
		return err_set(e, ERANGE, "size '%s' is too large", text);

	*out = n << shift;
	return 0;
}

static int parse_whole(const char *text, uint64_t *out, struct err *e)
{
	const char *end;
	int r = parse_number(text, out, &end, e);

	return r == 0 && *end ? err_set(e, EINVAL, "bad number '%s'", text) : r;
}

static int named(int r, const char *option, struct err *e)
{
	return r < 0 ? err_wrap(e, r, "'--%s'", option) : 0;
}

static int store(const struct cli_opt *o, const char *text, void *opts, struct err *e)
{
	void *field = (char *)opts + o->offset;

	switch (o->kind) {
	case OPT_FLAG:
		*(bool *)field = true;
		return 0;
	case OPT_STRING:
		*(const char **)field = text;
		return 0;
	case OPT_SIZE:
		return named(parse_size(text, field, e), o->name, e);
	case OPT_NUMBER:
		return named(parse_whole(text, field, e), o->name, e);
	case OPT_LIST:
		strv_add(field, text);
		return 0;
	case OPT_STEPS:
		strv_take(field, xasprintf("%s=%s", o->name, text));
		return 0;
	}
	abort();
}

static void free_lists(const struct cli_command *c, void *opts)
{
	for (size_t i = 0; i < c->opt_count; i++)
		if (c->opts[i].kind == OPT_LIST || c->opts[i].kind == OPT_STEPS)
			strv_fini((struct strv *)(void *)((char *)opts + c->opts[i].offset));
}

/* Print text after a left column that is already there, wrapped at words. */
static void print_wrapped(const char *text, int column)
{
	autofree char *copy = xstrdup(text);
	char *rest = copy;
	int at = column;

	for (char *w; (w = str_next_word(&rest, " "));) {
		int len = (int)strlen(w);

		if (at > column && at + 1 + len > HELP_WIDTH) {
			printf("\n%*s", column, "");
			at = column;
		}
		at += printf("%s%s", at > column ? " " : "", w);
	}
	putchar('\n');
}

static void print_opt(char letter, const char *name, const char *value, const char *help)
{
	char left[64];
	int len = snprintf(left, sizeof(left), "  %c%c --%s%s%s", letter ? '-' : ' ',
		letter ? letter : ' ', name, value ? "=" : "", value ? value : "");

	if (len >= HELP_LEFT)
		printf("%s\n%*s", left, HELP_LEFT, "");
	else
		printf("%-*s", HELP_LEFT, left);
	print_wrapped(help, HELP_LEFT);
}

static void print_help(const struct cli_program *p, const struct cli_command *c)
{
	printf("Usage: %s %s [OPTION...]%s%s\n%s.\n\n", p->name, c->name, c->args[0] ? " " : "",
		c->args, c->summary);
	for (size_t i = 0; i < c->opt_count; i++)
		print_opt(c->opts[i].letter, c->opts[i].name, c->opts[i].value, c->opts[i].help);
	if (c->has_progress)
		print_opt(0, "progress-fd", "N", "write progress as JSON lines to descriptor N");
	print_opt('v', "verbose", NULL, "say more; twice: show each program that is run");
	print_opt('q', "quiet", NULL, "no progress and no warnings");
	print_opt('h', "help", NULL, "show this help");
	if (c->details)
		printf("\n%s", c->details);
}

/* The same table in the two forms getopt_long() wants. */
struct getopt_tables {
	char letters[3 * OPTS_MAX + 8];
	struct option names[OPTS_MAX + 8];
};

static void fill_tables(const struct cli_command *c, struct getopt_tables *t)
{
	size_t n = 0, l = 0;

	memset(t, 0, sizeof(*t));
	for (const char *common = ":hvq"; *common; common++)
		t->letters[n++] = *common;
	for (size_t i = 0; i < c->opt_count; i++) {
		const struct cli_opt *o = &c->opts[i];
		int arg = o->value ? required_argument : no_argument;

		t->names[l++] = (struct option){o->name, arg, NULL, FIRST_OPT + (int)i};
		if (!o->letter)
			continue;
		t->letters[n++] = o->letter;
		if (o->value)
			t->letters[n++] = ':';
	}
	t->names[l++] = (struct option){"help", no_argument, NULL, 'h'};
	t->names[l++] = (struct option){"verbose", no_argument, NULL, 'v'};
	t->names[l++] = (struct option){"quiet", no_argument, NULL, 'q'};
	if (c->has_progress)
		t->names[l++] = (struct option){
			"progress-fd", required_argument, NULL, VAL_PROGRESS_FD};
}

static const struct cli_opt *find_opt(const struct cli_command *c, int val)
{
	for (size_t i = 0; i < c->opt_count; i++)
		if (val == FIRST_OPT + (int)i || (c->opts[i].letter && val == c->opts[i].letter))
			return &c->opts[i];
	return NULL;
}

static int parse_progress_fd(const char *text, int *out, struct err *e)
{
	uint64_t n;
	int r = parse_whole(text, &n, e);

	if (r < 0)
		return named(r, "progress-fd", e);
	if (n > INT32_MAX || fcntl((int)n, F_GETFD) < 0)
		return err_set(e, EINVAL, "descriptor %s of '--progress-fd' is not open", text);
	*out = (int)n;
	return 0;
}

static int take_common(int val, struct common *m, struct err *e)
{
	switch (val) {
	case 'h':
		m->help = true;
		return 0;
	case 'v':
		m->verbose = MAX(m->verbose, 0) + 1;
		return 0;
	case 'q':
		m->verbose = -1;
		return 0;
	default:
		return parse_progress_fd(optarg, &m->progress_fd, e);
	}
}

static int parse(const struct cli_command *c, int argc, char *argv[], void *opts, struct common *m,
	struct err *e)
{
	struct getopt_tables t;

	fill_tables(c, &t);
	opterr = 0;
	for (int v; (v = getopt_long(argc, argv, t.letters, t.names, NULL)) != -1;) {
		if (v == ':')
			return err_set(e, EINVAL, "option '%s' needs a value", argv[optind - 1]);

		const struct cli_opt *o = find_opt(c, v);
		if (!o && v == '?')
			return err_set(e, EINVAL, "unknown option '%s'", argv[optind - 1]);

		int r = o ? store(o, optarg, opts, e) : take_common(v, m, e);
		if (r < 0)
			return r;
		if (m->help)
			return 0;
	}

	int given = argc - optind;
	if (given < c->min_args)
		return err_set(e, EINVAL, "expected arguments: %s", c->args);
	if (given > c->max_args)
		return err_set(e, EINVAL, "unexpected argument '%s'", argv[optind + c->max_args]);
	return 0;
}

/* How many words of argv match the name of c, 0 for none. */
static int match(const struct cli_command *c, int argc, char *argv[])
{
	autofree char *words = xstrdup(c->name);
	char *rest = words;
	int n = 0;

	for (char *w; (w = str_next_word(&rest, " ")); n++)
		if (n + 1 >= argc || !str_eq(argv[n + 1], w))
			return 0;
	return n;
}

static int finish(const struct cli_program *p, int status)
{
	/* A full disk shows up only when stdout is flushed. */
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "%s: cannot write to standard output\n", p->name);
	return EXIT_FAILURE;
}

static int run_with_progress(const struct cli_command *c, const void *opts, char *args[],
	const struct common *m, struct err *e)
{
	struct progress p;

	if (!c->has_progress || (m->verbose < 0 && m->progress_fd < 0))
		return c->run(opts, args, NULL, e);
	if (m->progress_fd < 0) {
		progress_init_text(&p, stderr);
		return c->run(opts, args, &p, e);
	}

	int copy = fcntl(m->progress_fd, F_DUPFD_CLOEXEC, 3);
	FILE *out = copy < 0 ? NULL : fdopen(copy, "w");
	if (!out)
		return err_errno(e, "descriptor %d of '--progress-fd'", m->progress_fd);
	progress_init_json(&p, out);
	int r = c->run(opts, args, &p, e);
	fclose(out);
	return r;
}

static int wrong_use(const struct cli_program *p, const struct cli_command *c, const struct err *e)
{
	fprintf(stderr, "%s: %s\nTry '%s %s --help'.\n", p->name, e->msg, p->name, c->name);
	return EXIT_USAGE;
}

static int run_command(
	const struct cli_program *p, const struct cli_command *c, int argc, char *argv[])
{
	autofree void *opts = xcalloc(1, MAX(c->opts_size, 1));
	struct common m = {.progress_fd = -1};
	struct err e = {0};
	int r;

	if (c->defaults)
		memcpy(opts, c->defaults, c->opts_size);
	r = parse(c, argc, argv, opts, &m, &e);
	if (r < 0) {
		free_lists(c, opts);
		return wrong_use(p, c, &e);
	}
	if (m.help) {
		print_help(p, c);
		free_lists(c, opts);
		return finish(p, EXIT_SUCCESS);
	}

	log_set_level((enum log_level)MIN(m.verbose, LOG_LEVEL_DEBUG));
	r = run_with_progress(c, opts, argv + optind, &m, &e);
	free_lists(c, opts);
	if (r == CLI_WRONG_USE)
		return wrong_use(p, c, &e);
	if (r < 0)
		log_error("%s", e.msg);
	return finish(p, r == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* Whether the words in argv[1..count] are the first words of the name of c. */
static bool is_below(const struct cli_command *c, int count, char *argv[])
{
	autofree char *words = xstrdup(c->name);
	char *rest = words;

	for (int i = 1; i <= count; i++) {
		const char *w = str_next_word(&rest, " ");

		if (!w || !str_eq(argv[i], w))
			return false;
	}
	return true;
}

static void list_commands(const struct cli_program *p, FILE *out, int count, char *argv[])
{
	for (size_t i = 0; i < p->command_count; i++)
		if (is_below(p->commands[i], count, argv))
			fprintf(out, "  %-22s %s\n", p->commands[i]->name, p->commands[i]->summary);
}

static void print_overview(const struct cli_program *p, int count, char *argv[])
{
	printf("Usage: %s COMMAND [OPTION...] [ARGUMENT...]\n%s.\n\nCommands:\n", p->name,
		p->summary);
	list_commands(p, stdout, count, argv);
	printf("\n'%s COMMAND --help' explains a command.\n'%s --version' tells the version.\n",
		p->name, p->name);
}

/* For the check that help and man pages are in step: a line an option, "command option". */
static void dump_options(const struct cli_program *p)
{
	for (size_t i = 0; i < p->command_count; i++) {
		const struct cli_command *c = p->commands[i];

		printf("%s\n", c->name);
		for (size_t o = 0; o < c->opt_count; o++)
			printf("%s --%s\n", c->name, c->opts[o].name);
	}
}

static int unknown_command(const struct cli_program *p, int count, char *argv[])
{
	if (count == 0)
		fprintf(stderr, "%s: a command is missing\n", p->name);
	else
		fprintf(stderr, "%s: unknown command '%s%s%s'\n", p->name, argv[1],
			count > 1 ? " " : "", count > 1 ? argv[2] : "");
	fprintf(stderr, "Try '%s --help'.\n", p->name);
	return EXIT_USAGE;
}

/* Deep trees are walked with one descriptor a level. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int cli_main(const struct cli_program *p, int argc, char *argv[])
{
	int words = 0; /* leading words that are not options */

	log_init(p->name);
	interrupt_catch();
	raise_descriptor_limit();
	for (size_t i = 0; i < p->command_count; i++) {
		words = match(p->commands[i], argc, argv);
		if (words > 0)
			return run_command(p, p->commands[i], argc - words, argv + words);
	}

	for (words = 0; words + 1 < argc && argv[words + 1][0] != '-'; words++)
		;
	const char *option = words + 1 < argc ? argv[words + 1] : "";
	bool known = false;
	for (size_t i = 0; i < p->command_count; i++)
		known |= is_below(p->commands[i], words, argv);
	if (known && (str_eq(option, "--help") || str_eq(option, "-h"))) {
		print_overview(p, words, argv);
		return finish(p, EXIT_SUCCESS);
	}
	if (words == 0 && str_eq(option, "--version")) {
		printf("%s %s\n", p->name, p->version);
		return finish(p, EXIT_SUCCESS);
	}
	if (words == 0 && str_eq(option, "--dump-options")) {
		dump_options(p);
		return finish(p, EXIT_SUCCESS);
	}
	return unknown_command(p, words, argv);
}
