/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdio.h>

#include "base/str.h"
#include "cli/commands.h"
#include "ks/ks.h"
#include "ks/unattended.h"

struct options {
	bool strict;
	bool unattended;
	bool json;
};

static const struct cli_opt opts[] = {
	{0, "strict", NULL, "warnings count as errors", OPT_FLAG, offsetof(struct options, strict)},
	{0, "unattended", NULL, "list the questions that an install would ask", OPT_FLAG,
		offsetof(struct options, unattended)},
	{0, "json", NULL, "print the result as JSON", OPT_FLAG, offsetof(struct options, json)},
};

static void print_problem(const struct ks_problem *p)
{
	autofree char *file = str_printable(p->file);
	autofree char *text = str_printable(p->text);

	fprintf(stderr, "%s:%u: %s%s\n", file, p->line, p->is_warning ? "warning: " : "", text);
}

/* There may be more than are kept; nobody shall take them for all. */
static bool has_more(const struct ks_doc *doc)
{
	return ks_error_count(doc) + ks_warning_count(doc) > ks_problem_count(doc);
}

static void print_text(const struct ks_doc *doc, const char *path,
	const struct ks_question *questions, size_t count)
{
	for (size_t i = 0; i < ks_problem_count(doc); i++)
		print_problem(ks_problem_at(doc, i));
	if (has_more(doc)) {
		autofree char *file = str_printable(path);

		fprintf(stderr,
			"%s: there are more, only the first %d errors and warnings are shown\n",
			file, KS_PROBLEMS_MAX);
	}
	for (size_t i = 0; i < count; i++)
		printf("[%c] %s: %s\n", questions[i].answered ? 'x' : ' ', questions[i].topic,
			questions[i].reason);
}

static json_t *json_problems(const struct ks_doc *doc)
{
	json_t *array = json_array();

	for (size_t i = 0; i < ks_problem_count(doc); i++) {
		const struct ks_problem *p = ks_problem_at(doc, i);
		json_t *object = json_object();

		json_object_set_new(object, "file", ks_json_text(p->file));
		json_object_set_new(object, "line", json_integer(p->line));
		json_object_set_new(
			object, "level", json_string(p->is_warning ? "warning" : "error"));
		json_object_set_new(object, "text", ks_json_text(p->text));
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *json_questions(const struct ks_question *questions, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++) {
		json_t *object = json_object();

		json_object_set_new(object, "topic", json_string(questions[i].topic));
		json_object_set_new(object, "answered", json_boolean(questions[i].answered));
		json_object_set_new(object, "reason", json_string(questions[i].reason));
		json_array_append_new(array, object);
	}
	return array;
}

/* One file; *good is whether it passes.  result gets an entry with --json. */
static int check(
	const struct options *o, const char *path, bool *good, json_t *result, struct err *e)
{
	struct ks_question questions[KS_QUESTIONS];
	size_t count = 0, open = 0;
	autoptr(ks_doc) doc = NULL;
	int r = ks_parse_file(path, NULL, &doc, e);

	if (r < 0)
		return r;
	if (o->unattended) {
		ks_add_unattended_warnings(doc);
		open = ks_unattended(doc, questions);
		count = KS_QUESTIONS;
	}
	*good = ks_error_count(doc) == 0 && open == 0 && !(o->strict && ks_warning_count(doc) > 0);
	if (!o->json) {
		print_text(doc, path, questions, count);
		return 0;
	}

	json_t *entry = json_object();
	json_object_set_new(entry, "file", ks_json_text(path));
	json_object_set_new(entry, "ok", json_boolean(*good));
	json_object_set_new(entry, "problems", json_problems(doc));
	json_object_set_new(entry, "more", json_boolean(has_more(doc)));
	if (o->unattended)
		json_object_set_new(entry, "questions", json_questions(questions, count));
	json_array_append_new(result, entry);
	return 0;
}

static int run(const void *parsed, char *const args[], UNUSED struct progress *p, struct err *e)
{
	const struct options *o = parsed;
	json_t *result = json_array();
	bool all_good = true;
	int r = 0;

	for (size_t i = 0; r == 0 && args[i]; i++) {
		bool good = true;

		r = check(o, args[i], &good, result, e);
		all_good = all_good && good;
	}
	if (r == 0 && o->json) {
		json_dumpf(result, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		putchar('\n');
	}
	json_decref(result);
	return r == 0 && !all_good ? CLI_FAILED : r;
}

const struct cli_command cmd_kickstart_check = {
	.name = "kickstart check",
	.args = "FILE...",
	.summary = "Check kickstart files",
	.details = "Every error and warning is one line, FILE:LINE: text, on standard error.  The\n"
		   "exit status is 1 when there is an error, with --strict also when there is a\n"
		   "warning, and with --unattended also when a question is open.\n",
	.opts = opts,
	.opt_count = ARRAY_LEN(opts),
	.opts_size = sizeof(struct options),
	.min_args = 1,
	.max_args = 1000,
	.run = run,
};
