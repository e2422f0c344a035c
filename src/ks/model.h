/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A parsed kickstart, for reading.
 *
 * Everything here belongs to the document and lives as long as it.  Options are asked for by their
 * long name without dashes ("baseurl"); one that the grammar does not have is a programming error
 * and ends the program.  Nothing here parses or prints: see ks/ks.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct ks_doc; /* one parsed kickstart */
struct ks_cmd; /* one command as given; several lines of a single-instance command are merged */

/*
 * The next instance of a command after `after` (NULL: the first one) in order of appearance; NULL
 * at the end.  A single-instance command has at most one.  Any alias may be used: "part" and
 * "partition" are the same.  "shutdown", "poweroff" and "halt" are instances of "reboot", and
 * "cmdline", "graphical" of "text": ks_name() tells which one was written.
 */
const struct ks_cmd *ks_next(
	const struct ks_doc *doc, const char *name, const struct ks_cmd *after);

/* The name as it was written, the last one when lines were merged. */
const char *ks_name(const struct ks_cmd *c);

/* The option was written, on any of the merged lines. */
bool ks_given(const struct ks_cmd *c, const char *option);
/* No option but these, names between '|', was written. */
bool ks_given_only(const struct ks_cmd *c, const char *options);
/* The value, or the grammar's default, or NULL.  Lists are given as written, without blanks. */
const char *ks_str(const struct ks_cmd *c, const char *option);
/* The option is in force; also for a boolean value such as --onboot=yes. */
bool ks_flag(const struct ks_cmd *c, const char *option);
/* False when not given.  Numbers beyond int64_t are cut to its ends. */
bool ks_int(const struct ks_cmd *c, const char *option, int64_t *out);
/* The items of a list option; never NULL. */
const struct strv *ks_list(const struct ks_cmd *c, const char *option);
/* Positional arguments, e.g. the mount point of part; never NULL. */
const struct strv *ks_args(const struct ks_cmd *c);

/* authselect and realm: the rest of the line as it was written; NULL for other commands. */
const char *ks_rest(const struct ks_cmd *c);

/* Where the (last) line stands. */
const char *ks_file(const struct ks_cmd *c);
unsigned ks_line(const struct ks_cmd *c);

struct ks_place {
	const char *file;
	unsigned line;
};

/* Options of a group in %packages. */
struct ks_group {
	bool nodefaults; /* only the mandatory packages of the group */
	bool optional;   /* the optional ones too */
};

/* All %packages sections together.  Each list is sorted by bytes. */
struct ks_packages {
	struct strv packages, excluded;      /* names and globs, without the leading '-' */
	struct strv groups, excluded_groups; /* without '@' and options */
	struct ks_group *group_details;      /* groups.count of them, in the same order */
	/* Where each of them stands, in the order of the lists: the mention that decided. */
	struct ks_place *package_places, *excluded_places;
	struct ks_place *group_places, *excluded_group_places;
	bool excludedocs, ignoremissing, nocore, default_env, exclude_weakdeps, multilib;
	char *inst_langs;  /* NULL: not given, "" is "none" */
	char *environment; /* NULL: none */
	struct ks_place environment_place;
	bool seen;               /* there is a %packages section at all */
	char *timeout, *retries; /* numbers in text form; NULL: not given */
	const char *file;        /* of the last section's header */
	unsigned line;
};

const struct ks_packages *ks_packages(const struct ks_doc *doc);

enum ks_script_kind { KS_PRE, KS_PRE_INSTALL, KS_POST, KS_ONERROR, KS_TRACEBACK };

/* "%post" */
const char *ks_script_name(enum ks_script_kind kind);

struct ks_script {
	enum ks_script_kind kind;
	char *interpreter; /* "/bin/sh" unless given */
	char *log;         /* NULL: none */
	char *body;        /* NUL-terminated */
	size_t body_len;
	bool erroronfail, nochroot;
	const char *file;
	unsigned line; /* of the header */
};

/* In order of appearance; scripts with an empty body are left out. */
size_t ks_script_count(const struct ks_doc *doc);
const struct ks_script *ks_script_at(const struct ks_doc *doc, size_t i);

struct ks_certificate {
	char *filename, *dir, *type; /* the last two may be NULL */
	char *body;
	const char *file;
	unsigned line;
};

size_t ks_certificate_count(const struct ks_doc *doc);
const struct ks_certificate *ks_certificate_at(const struct ks_doc *doc, size_t i);

/* %addon and %anaconda, kept as written: header is the line without '%end'. */
struct ks_addon {
	char *header;
	char *body;
	const char *file;
	unsigned line;
};

size_t ks_addon_count(const struct ks_doc *doc);
const struct ks_addon *ks_addon_at(const struct ks_doc *doc, size_t i);
