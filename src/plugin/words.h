/* SPDX-License-Identifier: Apache-2.0 */
/* What the words of a plugin may look like: its manifest, its recipe and its members agree on it. */
#pragma once

#include <stdbool.h>

#define PLUGIN_WORD_MAX 255
#define PLUGIN_PATH_MAX 1024
/* What the header of a tar member holds without an extension. */
#define PLUGIN_MEMBER_MAX 99

/* Each is true for a text that is one of these; expected_*: how to say so when it is not. */
bool plugin_is_name(const char *s);    /* of a plugin: a-z 0-9 -, from a letter, at most 64 */
bool plugin_is_version(const char *s); /* letters, digits and . + ~ -, from a digit, at most 64 */
bool plugin_is_word(const char *s); /* of an image, package, kernel: letters, digits, . + _ ~ : - */
bool plugin_is_pattern(const char *s);  /* the same with * and ? */
bool plugin_is_unit(const char *s);     /* of systemd, with its type: "agent.service" */
bool plugin_is_port(const char *s);     /* "161:udp", "5900-5999:tcp" */
bool plugin_is_argument(const char *s); /* of a kernel: one word, no quotes */
/* Absolute, nothing empty and no dots; a '/' at the end means the folder and all below.  Not "/". */
bool plugin_is_path(const char *s);
bool plugin_is_state_path(const char *s); /* the same, below /var */
/* The path of a member: relative, plain names only. */
bool plugin_is_member(const char *s);
