/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packages: from the repo, url and %packages lines of a kickstart to an installed tree.
 *
 * A request says what is wanted and from where; a backend (struct pkg_ops) turns it into a tree
 * with its family's own tools.  What the tree is then made into is decided in image/.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/progress.h"
#include "base/str.h"

struct ks_doc;

/* One repo or url line. */
struct pkg_repo {
	char *name;             /* "url" for the url command */
	char *baseurl;          /* http:, https:, or file: with an absolute path */
	char *suite;            /* NULL: a flat repository, its Packages file is in baseurl */
	struct strv components; /* "main" when none is given */
	char *signedby;         /* absolute path of the keyring; NULL with is_unsigned */
	bool is_unsigned;       /* the line itself says that no signature is expected */
	bool no_verify_ssl;     /* do not check the server's certificate */
	char *proxy;            /* NULL: that of the environment */
	/* Absolute paths (PEM): whom to trust, and who we are.  NULL: the system's, nobody. */
	char *ca_cert, *client_cert, *client_key;
	int64_t cost;            /* of equal versions the one from the lowest cost is taken */
	struct strv includepkgs; /* globs: only these come from here; empty: all */
	struct strv excludepkgs; /* globs: never from here */
	char *file;              /* where the line stands */
	unsigned line;
};

/* One line of %packages: a name, glob or group. */
struct pkg_wish {
	char *name; /* without '@' and '-' */
	bool is_group;
	bool is_excluded;
	char *file;
	unsigned line;
};

struct pkg_request {
	struct pkg_repo *repos; /* sorted by cost */
	size_t repo_count;
	struct pkg_wish *wishes; /* "core" is the first group, unless --nocore */
	size_t wish_count;
	char *arch; /* of the packages, as Debian calls it: "amd64" */
	bool excludedocs;
	bool exclude_weakdeps;
	bool ignoremissing;
	char *inst_langs; /* NULL: all translations; else names separated by ',' or ':' */
	int64_t timeout_seconds, retries; /* of a download */

	/* Filled in by refresh(): the wishes as names of packages, sorted, and its date. */
	struct strv install, exclude;
	int64_t date;
};

struct pkg_ops {
	const char *name;

	/*
	 * Fetch and verify the metadata of all repositories into cache_dir and expand the wishes.
	 * *state_digest (hex, the caller frees it) covers all metadata that decides what is
	 * installed; *date is the newest date at which a repository was published, in seconds since
	 * 1970, 0 when none of them says.  -ENOENT: no package matches a wish.  -EKEYREJECTED: bad
	 * or missing signature.  -EHOSTUNREACH: an archive could not be reached.
	 */
	int (*refresh)(struct pkg_request *req, const char *cache_dir, int log_fd,
		char **state_digest, int64_t *date, struct err *e);
	/*
	 * Install into the empty folder tree_path from what the last refresh() of this request has
	 * fetched into cache_dir; downloaded packages are kept there.  Progress is in packages.
	 * Needs root.
	 */
	int (*install)(struct pkg_request *req, const char *cache_dir, const char *tree_path,
		int log_fd, struct progress *p, struct err *e);
};

extern const struct pkg_ops pkg_apt;

/* The backend for the repositories of a request. */
const struct pkg_ops *pkg_backend(const struct pkg_request *req);

/*
 * Relative file: URLs and keyrings count from the folder of the kickstart that names them.  All
 * mistakes of the lines are found here: FILE:LINE: text, -EINVAL.
 */
int pkg_request_from_ks(const struct ks_doc *doc, struct pkg_request **out, struct err *e)
	MUST_CHECK;
void pkg_request_free(struct pkg_request *req);
DEFINE_AUTOPTR(pkg_request, pkg_request_free)

/* The host in a URL, NULL for a local one.  The caller frees it. */
char *pkg_repo_host(const char *url) MUST_CHECK;

/* This machine's architecture, which is the images' too: "amd64".  The caller frees it. */
char *pkg_host_arch(void) MUST_CHECK;

/* Hex digest of all that the kickstart asks for; with state_digest it names what install() makes. */
char *pkg_request_digest(const struct pkg_request *req) MUST_CHECK;
