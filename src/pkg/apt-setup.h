/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folders and configuration of an apt that works for an image and not for this machine.
 *
 * Packages are shared by all images in CACHE/archives; lists belong to one set of repositories:
 * CACHE/lists-DIGEST.
 */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"
#include "pkg/pkg.h"

struct apt_setup {
	char *folder;   /* CACHE/lists-DIGEST */
	char *lists;    /* in it: what apt-get update fetches */
	char *sources;  /* in it: sources.list */
	char *config;   /* in it: for APT_CONFIG */
	char *archives; /* CACHE/archives */
};

void apt_setup_fini(struct apt_setup *s);
#define auto_apt_setup auto_with(apt_setup_fini) struct apt_setup

/* Make the folders and write sources and config.  Idempotent. */
int apt_setup_init(struct apt_setup *s, const struct pkg_request *req, const char *cache_dir,
	struct err *e) MUST_CHECK;

/* The lines of sources.list.  The caller frees it. */
char *apt_sources_text(const struct pkg_request *req) MUST_CHECK;
/*
 * The archives of the image, for who wants to look at or try a package on a node.  They are off: what
 * 'apt upgrade' took from them would be gone with the next image, and be in the way of it.
  The caller frees it.
 */
char *apt_image_sources_text(const struct pkg_request *req) MUST_CHECK;
/* How to reach the servers: proxies and certificates.  The caller frees it. */
char *apt_transport_text(const struct pkg_request *req) MUST_CHECK;

/* What apt knows of one Packages file; any may be "". */
struct apt_target {
	char *uri, *suite, *origin, *label, *codename;
	char *file; /* where it is */
};

/*
 * apt_preferences(5) for what is excluded.  The caller frees it.  -EINVAL: apt can not tell a
 * repository with --includepkgs or --excludepkgs from another one.
 */
int apt_preferences_text(const struct pkg_request *req, const struct apt_target *targets,
	size_t target_count, char **out, struct err *e) MUST_CHECK;

/* dpkg.cfg(5) for --excludedocs and --inst-langs; "" for neither.  The caller frees it. */
char *apt_dpkg_text(const struct pkg_request *req) MUST_CHECK;
