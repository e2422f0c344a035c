/* SPDX-License-Identifier: Apache-2.0 */
/* The words that the tables in grammar.c are written in.  For that file only. */
#pragma once

/* clang-format off */
#define BOTH (KS_FOR_IMAGE | KS_FOR_INSTALL)

/* Options, one a line. */
#define TEXT(n)          {.name = (n)}
#define NEEDED(n)        {.name = (n), .flags = KS_REQUIRED}
#define DEFAULT(n, v)    {.name = (n), .value = (v)}
#define CHOICE(n, v, c)  {.name = (n), .value = (v), .choices = (c)}
#define TYPED(n, t)      {.name = (n), .type = (t)}
#define INT(n)           {.name = (n), .type = KS_INT}
/* A number that a later line of the command resets when it does not give it. */
#define INT0(n)          {.name = (n), .type = KS_INT, .value = "0"}
#define LIST(n)          {.name = (n), .type = KS_COMMAS}
#define FLAG(n)          {.name = (n), .action = KS_SET}
#define FLAG_KEPT(n)     {.name = (n), .action = KS_SET, .flags = KS_KEEP}
#define CLEAR(n, d)      {.name = (n), .action = KS_CLEAR, .dest = (d)}
#define CONST(n, d, v)   {.name = (n), .action = KS_CONST, .dest = (d), .value = (v)}
#define ADD(n, d, v)     {.name = (n), .action = KS_ADD_CONST, .dest = (d), .value = (v)}
#define SECRET(n)        {.name = (n), .flags = KS_SECRET}
#define DEFAULT_SECRET(n, v) {.name = (n), .value = (v), .flags = KS_SECRET}
#define APPEND(n)        {.name = (n), .action = KS_APPEND}
#define OUR_TEXT(n)      {.name = (n), .flags = KS_OURS}
#define OUR_LIST(n)      {.name = (n), .type = KS_COMMAS, .flags = KS_OURS}
#define OUR_FLAG(n)      {.name = (n), .action = KS_SET, .flags = KS_OURS}

#define PRINT(f, n)      {.name = (n), .form = KS_PRINT_##f}
#define PRINT_IF(w, f, n) {.name = (n), .form = KS_PRINT_##f, .only_with = (w)}

#define OPTS(a) .opts = (a), .opt_count = ARRAY_LEN(a)
#define OUTS(a) .out = (a), .out_count = ARRAY_LEN(a)
#define ARGS(min, max, help) .args_min = (min), .args_max = (max), .args_help = (help)

/* What partitions, volumes and raid devices have in common. */
#define LUKS_OPTS \
	DEFAULT("luks-version", ""), \
	DEFAULT("pbkdf", ""), \
	INT0("pbkdf-memory"), \
	INT0("pbkdf-time"), \
	INT0("pbkdf-iterations")
#define LUKS_OUT \
	PRINT_IF("encrypted", TEXT, "luks-version"), \
	PRINT_IF("encrypted", TEXT, "pbkdf"), \
	PRINT_IF("encrypted", INT, "pbkdf-memory"), \
	PRINT_IF("encrypted", INT, "pbkdf-time"), \
	PRINT_IF("encrypted", INT, "pbkdf-iterations")
#define ENCRYPT_OPTS \
	FLAG("encrypted"), \
	SECRET("passphrase"), \
	TEXT("escrowcert"), \
	FLAG("backuppassphrase")
#define ENCRYPT_OUT \
	PRINT(FLAG, "encrypted"), \
	PRINT_IF("encrypted", QUOTED, "passphrase"), \
	PRINT_IF("encrypted", QUOTED, "escrowcert"), \
	PRINT_IF("encrypted+escrowcert", FLAG, "backuppassphrase")
#define SSL_OPTS \
	TEXT("sslcacert"), \
	TEXT("sslclientcert"), \
	TEXT("sslclientkey")
#define SSL_OUT \
	PRINT(QUOTED, "sslcacert"), \
	PRINT(QUOTED, "sslclientcert"), \
	PRINT(QUOTED, "sslclientkey")
/* Archives of Debian packages. */
#define OUR_ARCHIVE_OPTS \
	OUR_TEXT("suite"), \
	OUR_LIST("components"), \
	OUR_TEXT("signedby"), \
	OUR_FLAG("unsigned")
#define OUR_ARCHIVE_OUT \
	PRINT(TEXT, "suite"), \
	PRINT(LIST, "components"), \
	PRINT(QUOTED, "signedby"), \
	PRINT(FLAG, "unsigned")
/* clang-format on */
