/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may stand in the database.  It ends up in the languages of nbd-server, PXELINUX, GRUB and iPXE,
 * so the characters that one of them gives a meaning to are refused where they come in.
 */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "base/str.h"
#include "netroot/db.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

int netroot_label_check(const char *label, struct err *e)
{
	autofree char *shown = str_printable(label);

	if (!*label || strlen(label) > NETROOT_LABEL_MAX)
		return err_set(e, EINVAL,
			"bad label '%s': %zu characters, 1 to %d are possible (--label)", shown,
			strlen(label), NETROOT_LABEL_MAX);
	if (label[strspn(label, LETTERS "._-")] || strchr(".-", label[0]))
		return err_set(e, EINVAL,
			"bad label '%s': letters, digits, '_', '.' and '-' are possible, and it does not "
			"begin with the last two (--label)",
			shown);
	return 0;
}

int netroot_params_check(const char *params, struct err *e)
{
	unsigned quotes = 0;

	if (strlen(params) > NETROOT_PARAMS_MAX)
		return err_set(
			e, EINVAL, "kernel parameters of more than %d bytes", NETROOT_PARAMS_MAX);
	for (const char *p = params; *p; p++) {
		if (*p < ' ' || *p > '~' || strchr("'`\\$;|<>{}", *p))
			return err_set(e, EINVAL,
				"kernel parameters with a character that boot loaders do not pass on "
				"(byte 0x%02x)",
				(unsigned char)*p);
		quotes += *p == '"';
		/* Also within quotes, which iPXE does not know. */
		if (*p == '#' && (p == params || p[-1] == ' '))
			return err_set(e, EINVAL,
				"kernel parameters with a word that begins with '#', where iPXE stops "
				"reading");
	}
	if (strstr(params, "&&"))
		return err_set(
			e, EINVAL, "kernel parameters with '&&', which iPXE does not pass on");
	return quotes % 2 == 0 ? 0 : err_set(e, EINVAL, "kernel parameters with an open quote");
}

/* How much of the text is an address or a name; 0: it does not begin with one. */
static size_t span_host(const char *text)
{
	size_t len;

	if (text[0] == '[') {
		len = 1 + strspn(text + 1, "0123456789abcdefABCDEF:.");
		return len > 3 && text[len] == ']' ? len + 1 : 0;
	}
	return isalnum((unsigned char)text[0]) ? strspn(text, LETTERS ".-") : 0;
}

/* ":PORT" or nothing. */
static size_t span_port(const char *text)
{
	size_t digits = text[0] == ':' ? strspn(text + 1, "0123456789") : 0;
	uintmax_t port = digits > 0 && digits <= 5 ? strtoumax(text + 1, NULL, 10) : 0;

	return port > 0 && port <= 65535 ? 1 + digits : 0;
}

int netroot_server_check(const char *servers, struct err *e)
{
	const char *p = servers;
	size_t count = 0, host;

	do {
		host = span_host(p);
		p += host;
		p += span_port(p);
		count++;
	} while (host > 0 && *p == ',' && p++);
	if (strlen(servers) <= NETROOT_SERVERS_BYTES && host > 0 && !*p &&
		count <= NETROOT_SERVERS_MAX)
		return 0;
	autofree char *shown = str_printable(servers);
	return err_set(e, EINVAL,
		"bad server '%.300s': an address or a name is expected, IPv6 in brackets; a port may "
		"follow, and up to %d of them with commas between",
		shown, NETROOT_SERVERS_MAX);
}

bool netroot_server_is_plain(const char *servers)
{
	return !servers[span_host(servers)];
}

int netroot_hostname_check(const char *name, struct err *e)
{
	size_t len = strlen(name);

	/* As sethostname(2) and systemd take it. */
	if (len > 0 && len <= 64 && !name[strspn(name, LETTERS ".-")] && !strstr(name, "..") &&
		isalnum((unsigned char)name[0]) && isalnum((unsigned char)name[len - 1]))
		return 0;
	autofree char *shown = str_printable(name);
	return err_set(e, EINVAL,
		"bad host name '%.300s': 1 to 64 letters, digits, '-' and single '.' are possible",
		shown);
}

/* Hexadecimal digits in groups; groups ends with 0. */
static bool is_grouped(const char *text, const unsigned *groups, char separator)
{
	for (; *groups; groups++) {
		for (unsigned i = 0; i < *groups; i++)
			if (!isxdigit((unsigned char)*text++))
				return false;
		if (groups[1] && *text++ != separator)
			return false;
	}
	return *text == '\0';
}

static bool is_mac(const char *text)
{
	static const unsigned groups[] = {2, 2, 2, 2, 2, 2, 0};

	return is_grouped(text, groups, ':') || is_grouped(text, groups, '-');
}

static bool is_uuid(const char *text)
{
	static const unsigned groups[] = {8, 4, 4, 4, 12, 0};

	return is_grouped(text, groups, '-');
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static void add_id(const char *text, char from, char to, char *out)
{
	for (; *text; text++)
		*out++ = *text == from ? to : lower(*text);
	*out = '\0';
}

int netroot_host_id_parse(const char *text, char out[NETROOT_HOST_ID_BYTES], struct err *e)
{
	if (is_mac(text)) {
		add_id(text, '-', ':', out);
		return 0;
	}
	if (is_uuid(text)) {
		add_id(text, '-', '-', out);
		return 0;
	}
	autofree char *shown = str_printable(text);
	return err_set(e, EINVAL,
		"bad host '%.300s': a MAC address (52:54:00:12:34:56) or a UUID is expected",
		shown);
}
