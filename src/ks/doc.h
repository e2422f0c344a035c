/* SPDX-License-Identifier: Apache-2.0 */
/* What a document is made of.  Internal to ks/; others read it through ks/model.h. */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "ks/grammar.h"
#include "ks/ks.h"
#include "ks/model.h"

/* Value of one option, kept only when it was given. */
struct ks_value {
	unsigned opt; /* index of the option that holds it */
	bool truth;   /* of a flag or boolean */
	char *text;   /* as converted; NULL for flags */
	int64_t number;
	struct strv list;
};

struct ks_cmd {
	const struct ks_command *grammar;
	const char *name; /* as written */
	const char *file;
	unsigned line;
	uint64_t given; /* bit n: option n was written */
	struct ks_value *values;
	size_t value_count, value_room;
	struct strv args;
	char *rest; /* of a raw command: the line behind the name */
	struct ks_cmd *next;
};

/* One line of a command on its way into the document. */
struct ks_entry {
	struct ks_doc *doc;
	struct ks_cmd *own;    /* what this line says */
	struct ks_cmd *merged; /* with what earlier lines said; own when there are none */
	size_t first_run;      /* positionals before the first option that follows them */
};

struct ks_cmd_list {
	struct ks_cmd *first, *last;
	bool seen; /* also when its lines had errors */
};

/* One line of %packages; order decides, so they are kept as they come. */
struct ks_mention {
	char *name;
	enum ks_mention_kind { KS_NAME, KS_NAME_OUT, KS_GROUP, KS_GROUP_OUT } kind;
	bool nodefaults, optional;
	struct ks_place place;
	size_t order;
};

struct ks_doc {
	const struct ks_options *options; /* while it is being parsed */
	struct ks_cmd_list commands[KS_COMMANDS_MAX];
	struct ks_packages packages;
	struct ks_mention *mentions;
	size_t mention_count, mention_room;
	struct ks_cmd_list headers; /* of sections, but for raw ones */
	struct ks_script *scripts;
	size_t script_count, script_room;
	struct ks_certificate *certificates;
	size_t certificate_count, certificate_room;
	struct ks_addon *addons;
	size_t addon_count, addon_room;
	struct ks_problem *problems;
	size_t problem_count, problem_room, error_count, warning_count;
	struct strv names; /* of files and commands, that others point to */
	void *keys;        /* tsearch(3) tree of strings, to find duplicates */
};

/* Room for one more element; *room and the array grow. */
#define KS_GROW(array, count, room)                                                                \
	do {                                                                                       \
		if ((count) == (room)) {                                                           \
			(room) = (room) ? 2 * (room) : 4;                                          \
			(array) = xrealloc((array), (room) * sizeof(*(array)));                    \
		}                                                                                  \
	} while (0)

void ks_error(struct ks_doc *doc, const char *file, unsigned line, const char *fmt, ...)
	PRINTF(4, 5);
void ks_warning(struct ks_doc *doc, const char *file, unsigned line, const char *fmt, ...)
	PRINTF(4, 5);

/* Whether the caller's subset has it, see struct ks_options; a problem is added when not. */
bool ks_allowed(
	struct ks_doc *doc, const char *name, const struct ks_cmd *line, struct ks_place place);

/* A copy that lives as long as the document; one for all equal names. */
const char *ks_keep_name(struct ks_doc *doc, const char *name) MUST_CHECK;

/* Whether a string of this kind was seen before; remembers it. */
bool ks_seen_before(struct ks_doc *doc, const char *kind, const char *key);

void ks_cmd_append(struct ks_cmd_list *list, struct ks_cmd *c);
struct ks_cmd *ks_cmd_new(const struct ks_command *g, const char *name) MUST_CHECK;
void ks_cmd_free(struct ks_cmd *c);
DEFINE_AUTOPTR(ks_cmd, ks_cmd_free)

/* The value of the option with index opt, NULL when not given. */
struct ks_value *ks_value_find(const struct ks_cmd *c, size_t opt);
/* Same, made when missing. */
struct ks_value *ks_value_get(struct ks_cmd *c, size_t opt) MUST_CHECK;
void ks_value_drop(struct ks_cmd *c, size_t opt);

/* By name, for checks and printing.  Text is "" and numbers are 0 when not given. */
const char *ks_text(const struct ks_cmd *c, const char *option);
int64_t ks_number(const struct ks_cmd *c, const char *option);
/* A number as it is printed, "" when not given. */
const char *ks_digits(const struct ks_cmd *c, const char *option);
void ks_set_text(struct ks_cmd *c, const char *option, const char *text);
void ks_set_flag(struct ks_cmd *c, const char *option, bool on);

/* Give one line to the document; words[0] is the command.  Problems go into the document. */
void ks_add_command(struct ks_doc *doc, const char *file, unsigned line, const struct strv *words,
	const char *raw_line);

/*
 * Read options and positionals from words[1...] as the grammar says.  first_run: how many
 * positionals stand before an option that follows them.
 */
int ks_parse_options(struct ks_doc *doc, struct ks_cmd *c, const struct strv *words,
	size_t *first_run, struct err *e) MUST_CHECK;

/* %packages: header, one line, and the sorted lists at the end. */
int ks_packages_header(struct ks_doc *doc, const struct ks_cmd *header, struct err *e) MUST_CHECK;
int ks_packages_line(struct ks_doc *doc, struct ks_place place, const char *text, size_t len,
	struct err *e) MUST_CHECK;
void ks_packages_finish(struct ks_doc *doc);
