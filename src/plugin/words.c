/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/words.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define LOWER      "abcdefghijklmnopqrstuvwxyz"
#define UPPER      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS     "0123456789"
#define NAME_CHARS LOWER UPPER DIGITS ".+_~:-"
#define SHORT_MAX  64
#define PORT_MAX   65535

static bool is_made_of(const char *s, const char *chars, size_t max)
{
	size_t len = strlen(s);

	return len > 0 && len <= max && strspn(s, chars) == len;
}

bool plugin_is_name(const char *s)
{
	return is_made_of(s, LOWER DIGITS "-", SHORT_MAX) && strchr(LOWER, s[0]);
}

bool plugin_is_version(const char *s)
{
	return is_made_of(s, LOWER UPPER DIGITS ".+~-", SHORT_MAX) && strchr(DIGITS, s[0]);
}

bool plugin_is_word(const char *s)
{
	return is_made_of(s, NAME_CHARS, PLUGIN_WORD_MAX) && !strchr(".-", s[0]);
}

bool plugin_is_pattern(const char *s)
{
	return is_made_of(s, NAME_CHARS "*?", PLUGIN_WORD_MAX) && !strchr(".-", s[0]);
}

bool plugin_is_unit(const char *s)
{
	static const char *const types[] = {
		".service", ".socket", ".timer", ".path", ".target", ".mount", ".swap"};

	if (!is_made_of(s, LOWER UPPER DIGITS ":-_.\\@", PLUGIN_WORD_MAX) || strchr(".-", s[0]))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (str_ends(s, types[i]))
			return true;
	return false;
}

/* The number at *s, which is moved behind it; 0 when there is none in range. */
static uintmax_t port_number(const char **s)
{
	char *end;

	if (!isdigit((unsigned char)**s))
		return 0;
	errno = 0;
	uintmax_t n = strtoumax(*s, &end, 10);
	*s = end;
	return errno == 0 && n <= PORT_MAX ? n : 0;
}

bool plugin_is_port(const char *s)
{
	uintmax_t first = port_number(&s), last = first;

	if (*s == '-') {
		s++;
		last = port_number(&s);
	}
	return first > 0 && last >= first && (str_eq(s, ":tcp") || str_eq(s, ":udp"));
}

bool plugin_is_argument(const char *s)
{
	size_t len = strlen(s);

	if (len == 0 || len > PLUGIN_WORD_MAX || strchr("!=", s[0]))
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s > '~' || strchr("\"'\\`$", *s))
			return false;
	return true;
}

/* Components between single slashes, none of them "." or "..", of printable ASCII. */
static bool has_plain_components(const char *s)
{
	for (const char *p = s; *p; p++)
		if (*p < ' ' || *p > '~' || *p == '\\')
			return false;
	for (const char *p = s; *p;) {
		size_t len = strcspn(p, "/");

		if (len == 0 || strncmp(p, ".", len) == 0 || (len == 2 && str_starts(p, "..")))
			return false;
		p += len + (p[len] == '/');
	}
	return true;
}

bool plugin_is_path(const char *s)
{
	return s[0] == '/' && s[1] != '\0' && strlen(s) <= PLUGIN_PATH_MAX &&
		has_plain_components(s + 1);
}

bool plugin_is_state_path(const char *s)
{
	return plugin_is_path(s) && str_starts(s, "/var/") && s[strlen("/var/")];
}

bool plugin_is_member(const char *s)
{
	static const char chars[] = LOWER UPPER DIGITS ".+_~=@/-";
	size_t len = strlen(s);

	return is_made_of(s, chars, PLUGIN_MEMBER_MAX) && s[len - 1] != '/' &&
		has_plain_components(s);
}
