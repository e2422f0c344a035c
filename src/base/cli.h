/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subcommands as data.  One table entry gives the parser, --help and the man page check, so they
 * cannot disagree.
 *
 * Exit status of a program: 0 done, 1 failed, 2 wrong use.  Every command also takes -v (twice for
 * more), -q and -h; one with progress takes --progress-fd=N.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/progress.h"
#include "base/str.h"

enum opt_kind {
	OPT_FLAG,   /* bool */
	OPT_STRING, /* const char * */
	OPT_SIZE,   /* uint64_t, bytes; K M G T are powers of 1024 */
	OPT_NUMBER, /* uint64_t */
	OPT_LIST,   /* struct strv: may be given several times */
	OPT_STEPS,  /* the same as "NAME=TEXT": options that share a list keep their order */
};

struct cli_opt {
	char letter; /* 0 when there is only the long form */
	const char *name;
	const char *value; /* shown in --help; NULL for a flag */
	const char *help;
	enum opt_kind kind;
	size_t offset; /* of the field in the command's options struct */
};

struct cli_command {
	const char *name;    /* "image build" */
	const char *args;    /* "RECIPE.ks" */
	const char *summary; /* without a full stop */
	const char *details; /* paragraphs below the options in --help, or NULL */
	const struct cli_opt *opts;
	size_t opt_count;
	const void *defaults; /* initial options struct; NULL: all zero */
	size_t opts_size;
	int min_args, max_args;
	bool has_progress;
	/*
	 * p is NULL without has_progress or with -q.  Returns 0, a negative error that is printed
	 * and makes the status 1, CLI_FAILED when all was said already, or CLI_WRONG_USE when *e
	 * tells what is wrong with an option.
	 */
	int (*run)(const void *opts, char *const args[], struct progress *p, struct err *e);
};

#define CLI_FAILED    1
#define CLI_WRONG_USE 2

struct cli_program {
	const char *name; /* "bedplate" */
	const char *summary;
	const char *version;
	const struct cli_command *const *commands;
	size_t command_count;
};

/* Run the command named by argv[1..].  Returns the exit status. */
int cli_main(const struct cli_program *program, int argc, char *argv[]);
