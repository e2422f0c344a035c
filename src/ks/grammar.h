/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kickstart grammar as data: every command and section with its options, and how it is printed.
 * Internal to ks/.
 *
 * Source: the RHEL10 handler of pykickstart 3.74.  What is ours is marked KS_OURS.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct ks_cmd;
struct ks_entry;

enum ks_action {
	KS_STORE,     /* takes a value; the last one wins */
	KS_SET,       /* flag: true */
	KS_CLEAR,     /* flag: makes its dest false */
	KS_CONST,     /* flag: stores .value in its dest */
	KS_APPEND,    /* takes a value; all are kept */
	KS_ADD_CONST, /* flag: appends .value to its dest */
};

enum ks_type {
	KS_TEXT,
	KS_INT,
	KS_BOOL,
	KS_COMMAS,        /* list, see ks_split_commas() */
	KS_COMMAS_ALL,    /* same, and several options add up */
	KS_PORTS,         /* firewall: "22,53:udp" -> "22:tcp" "53:udp" */
	KS_PARTITION,     /* without a leading "/dev/" */
	KS_LEVEL,         /* raid level */
	KS_AUTOPART_TYPE, /* partition scheme */
	KS_WHEN,          /* snapshot time */
	KS_TEAM,          /* devices with JSON in single quotes */
};

enum ks_opt_flags {
	KS_REQUIRED = 1,
	KS_KEEP = 2,         /* a flag that a later line of the command does not reset */
	KS_OLD = 4,          /* deprecated: a warning */
	KS_OURS = 8,         /* our extension: must be written in full */
	KS_MAY_BE_BARE = 16, /* the value may be left out */
	KS_ON = 32,          /* a flag that is true unless it is cleared */
	KS_SECRET = 64,      /* the value is for nobody else to see */
};

struct ks_opt {
	const char *name; /* without dashes; further spellings after '|' */
	enum ks_action action;
	enum ks_type type;
	const char *dest;    /* the option that holds the value; NULL: this one */
	const char *value;   /* KS_CONST, KS_ADD_CONST: the constant.  KS_STORE: the default */
	const char *choices; /* allowed values between '|' */
	unsigned flags;      /* enum ks_opt_flags */
};

/* How one option is printed. */
enum ks_form {
	KS_PRINT_TEXT,     /* --name=value unless empty */
	KS_PRINT_QUOTED,   /* --name="value" unless empty */
	KS_PRINT_INT,      /* unless 0 */
	KS_PRINT_POSITIVE, /* above 0 */
	KS_PRINT_ANY_INT,  /* when given and not the default */
	KS_PRINT_OFF,      /* --name=off when given as that */
	KS_PRINT_ESCAPED,  /* as quoted, with \" for " */
	KS_PRINT_FLAG,     /* --name when true */
	KS_PRINT_CONST,    /* --value */
	KS_PRINT_LIST,     /* --name=a,b unless empty */
	KS_PRINT_QLIST,    /* --name="a,b" unless empty */
	KS_PRINT_EACH,     /* --name="a" --name="b" */
};

struct ks_out {
	const char *name;
	enum ks_form form;
	const char *only_with; /* options that must have a value too, between '+' */
};

enum ks_status { KS_ACTIVE, KS_DEPRECATED, KS_REMOVED };

struct ks_command {
	const char *name;
	const char *order; /* commands of one priority are printed in the order of this name */
	int priority;
	enum ks_status status;
	bool multiple;          /* each line is an instance of its own */
	bool secret_args;       /* positionals are as KS_SECRET */
	bool raw;               /* the rest of the line is not parsed */
	bool tail_needed;       /* printed only when an option is */
	bool empty_args_reset;  /* a line without positionals drops those of earlier lines */
	int args_min, args_max; /* positional arguments; max -1: any number */
	const char *args_help;  /* how a message calls them */
	const struct ks_opt *opts;
	size_t opt_count;
	const char *conflicts; /* commands that must not come before, between '|' */
	unsigned used_by;      /* enum ks_consumer */
	/* The options that an image build acts on, between '|'; NULL: all of them. */
	const char *image_options;
	/* The options that an install does not act on; NULL: none. */
	const char *install_ignored;
	/* What options alone cannot say.  Gives the line's values a last shape too. */
	int (*check)(struct ks_entry *line, struct err *e);
	/* Printed text, without the line end; NULL: head and out. */
	void (*write)(const struct ks_cmd *c, struct strbuf *b);
	const char *head; /* "part $1"; NULL: the name */
	const struct ks_out *out;
	size_t out_count;
	/* Options ("$1": first positional) that two instances should not share, between '+'. */
	const char *key;
	const char *key_help; /* "a partition with the mount point" */
};

#define KS_COMMANDS_MAX 96

/* The tables, each sorted by name (grammar.c). */
extern const struct ks_command ks_commands[];
extern const size_t ks_commands_count;
extern const struct ks_command ks_sections[];
extern const size_t ks_sections_count;

/* Further names of commands. */
struct ks_alias {
	const char *name, *target;
	bool unused; /* nothing here acts on the command when it is written so */
};
extern const struct ks_alias ks_aliases[];
extern const size_t ks_aliases_count;

/* A command by any of its names, NULL when there is none. */
const struct ks_command *ks_command_find(const char *name);
/* Same for the header of a section ("%post"). */
const struct ks_command *ks_section_find(const char *name);

/* Its index in ks_commands. */
size_t ks_command_index(const struct ks_command *g);

/* What acts on the command when written by this name (enum ks_consumer). */
unsigned ks_command_used_by(const struct ks_command *g, const char *written);

/* Whether name is one of the alternatives in "a|b|c". */
bool ks_alternative(const char *list, const char *name, size_t len);

/* Index of the option with exactly this name; opt_count when there is none. */
size_t ks_opt_find(const struct ks_command *g, const char *name);
/* Index of the option that holds the value of option i. */
size_t ks_opt_dest(const struct ks_command *g, size_t i);
