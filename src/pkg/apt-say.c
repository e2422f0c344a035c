/* SPDX-License-Identifier: Apache-2.0 */
#include "pkg/apt-say.h"

#include <stdio.h>
#include <string.h>

#include "base/xalloc.h"

/* Keep the first one only: what follows is mostly its consequence. */
static void keep(char (*slot)[512], const char *text)
{
	if ((*slot)[0] == '\0')
		snprintf(*slot, sizeof(*slot), "%s", text + strspn(text, " \t"));
}

static const char *after(const char *line, const char *what)
{
	const char *p = strstr(line, what);

	return p ? p + strlen(what) : NULL;
}

/* "Err:3 http://deb.debian.org/debian trixie InRelease", the reason on a line of its own. */
static void take_fetch(struct apt_said *s, const char *line)
{
	if (s->wants_reason && line[0] == ' ')
		keep(&s->reason, line);
	s->wants_reason = false;
	/* In a folder apt tries each kind of compression, and says so of each that is not there. */
	if (str_starts(line, "Err:") && strchr(line, ' ') && !strstr(line, " copy:")) {
		s->wants_reason = s->reason[0] == '\0';
		keep(&s->failed_url, strchr(line, ' '));
	}

	const char *url = after(line, "E: Failed to fetch ");
	if (url) {
		size_t len = strcspn(url, " ");
		autofree char *copy = xstrndup(url, len);

		keep(&s->failed_url, copy);
		keep(&s->reason, url + len);
	}
}

static void take_signature(struct apt_said *s, const char *line)
{
	const char *p = after(line, "GPG error: ");

	if (!p)
		p = after(line, "OpenPGP signature verification failed: ");
	if (p)
		keep(&s->signature, p);
	p = after(line, "The repository '");
	if (p && (strstr(p, "is not signed") || strstr(p, "does not have a Release file"))) {
		autofree char *name = xstrndup(p, strcspn(p, "'"));

		keep(&s->is_unsigned, name);
	}
}

static void take_solver(struct apt_said *s, const char *line)
{
	if (s->wants_depends && line[0] == ' ' && strstr(line, " : "))
		keep(&s->depends, line);
	if (strstr(line, "have unmet dependencies"))
		s->wants_depends = true;
	if (s->wants_conflict && line[0] == ' ')
		keep(&s->conflict, line);
	s->wants_conflict |= strstr(line, "Unable to satisfy dependencies") != NULL;
	if (strstr(line, "has no installation candidate") ||
		strstr(line, "Unable to locate package"))
		keep(&s->depends, str_starts(line, "E: ") ? line + 3 : line);
}

static void take_dpkg(struct apt_said *s, const char *line)
{
	if (s->wants_dpkg && line[0] == ' ') {
		size_t len = strlen(s->dpkg);

		snprintf(s->dpkg + len, sizeof(s->dpkg) - len, " %s", line + strspn(line, " \t"));
	}
	s->wants_dpkg = false;
	if (str_starts(line, "dpkg: error ") && s->dpkg[0] == '\0') {
		keep(&s->dpkg, line + strlen("dpkg: error "));
		s->wants_dpkg = true;
	}
}

void apt_said_line(void *ctx, const char *line)
{
	struct apt_said *s = ctx;

	take_fetch(s, line);
	take_signature(s, line);
	take_solver(s, line);
	take_dpkg(s, line);
	if (strstr(line, "No space left on device"))
		keep(&s->disk_full, line);
	/* mmdebstrap's own last words say nothing. */
	if (!str_starts(line, "E: ") || str_eq(line, "E: mmdebstrap failed to run"))
		return;
	while (str_starts(line, "E: ") || str_starts(line, "E: setup failed: "))
		line += str_starts(line, "E: setup") ? strlen("E: setup failed: ") : 3;
	snprintf(s->last, sizeof(s->last), "%s", line);
}

/* Whether one of the words of text, between blanks and slashes, is this one. */
static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = text; (p = strstr(p, word)); p++)
		if (strchr(" /", p[-1]) && strchr(" /", p[len]))
			return true;
	return false;
}

/* A URL may begin with that of another archive, and "trixie-updates" with "trixie". */
static bool is_about(const char *message, const struct pkg_repo *r)
{
	const char *url = r->baseurl + (str_starts(r->baseurl, "file:") ? 5 : 0);
	const char *rest = after(message, url);

	return rest && strchr(" /", *rest) &&
		(!r->suite || (*rest && has_word(rest + 1, r->suite)));
}

/* "FILE:LINE: " of the repository that a message is about, "" when none fits. */
static char *where(const struct pkg_request *req, const char *message)
{
	for (size_t i = 0; i < req->repo_count; i++) {
		const struct pkg_repo *r = &req->repos[i];

		if (is_about(message, r))
			return xasprintf("%s:%u: ", r->file, r->line);
	}
	return xstrdup("");
}

/* Our own word for a local archive. */
static void name_archive(const char *url, char out[512])
{
	snprintf(out, 512, "%s%s", str_starts(url, "copy:") ? "file:" : "",
		url + (str_starts(url, "copy:") ? 5 : 0));
}

static int excluded_error(const struct apt_said *s, const struct pkg_request *req, struct err *e)
{
	const char *p = after(s->depends, "Depends: ");
	autofree char *needed = p ? xstrndup(p, strcspn(p, " ,")) : xstrdup("");

	if (strv_has(&req->exclude, needed))
		return err_set(e, ENOENT, "'%s' is excluded in %%packages, but needed: %s", needed,
			s->depends);
	return err_set(e, ENOENT, "%s", s->depends);
}

int apt_said_error(const struct apt_said *s, const struct pkg_request *req, int r, struct err *e)
{
	char name[512];

	if (r != -EPROTO && r != 0)
		return r;
	if (s->disk_full[0])
		return err_set(e, ENOSPC, "disk full: %s", s->disk_full);
	if (s->signature[0]) {
		autofree char *at = where(req, s->signature);
		name_archive(s->signature, name);
		return err_set(e, EKEYREJECTED, "%sbad signature: %s", at, name);
	}
	/* A folder is never unreachable: what is not there is the signed Release file. */
	if (s->is_unsigned[0] && (!s->failed_url[0] || str_starts(s->reason, "Failed to stat"))) {
		autofree char *at = where(req, s->is_unsigned);
		name_archive(s->is_unsigned, name);
		return err_set(e, EKEYREJECTED,
			"%sarchive '%s' is not signed; --unsigned on its line would accept that",
			at, name);
	}
	if (s->failed_url[0]) {
		autofree char *at = where(req, s->failed_url);
		name_archive(s->failed_url, name);
		return err_set(e, EHOSTUNREACH, "%sarchive '%s' unreachable: %s", at, name,
			s->reason[0] ? s->reason : s->last);
	}
	if (s->depends[0])
		return excluded_error(s, req, e);
	if (s->conflict[0])
		return err_set(e, ENOENT, "dependencies can not be met: %s", s->conflict);
	if (s->dpkg[0])
		return err_set(e, EPROTO, "dpkg: error %s", s->dpkg);
	return s->last[0] && r < 0 ? err_set(e, EPROTO, "%s", s->last) : r;
}
