/* SPDX-License-Identifier: Apache-2.0 */
#include "pkg/pkg.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/macro.h"
#include "base/xalloc.h"

const struct pkg_ops *pkg_backend(const struct pkg_request *req)
{
	/* dnf follows; until then every repository is Debian's. */
	(void)req;
	return &pkg_apt;
}

static void repo_fini(struct pkg_repo *r)
{
	free(r->name);
	free(r->baseurl);
	free(r->suite);
	strv_fini(&r->components);
	free(r->signedby);
	free(r->proxy);
	free(r->ca_cert);
	free(r->client_cert);
	free(r->client_key);
	strv_fini(&r->includepkgs);
	strv_fini(&r->excludepkgs);
	free(r->file);
}

void pkg_request_free(struct pkg_request *req)
{
	if (!req)
		return;
	for (size_t i = 0; i < req->repo_count; i++)
		repo_fini(&req->repos[i]);
	for (size_t i = 0; i < req->wish_count; i++) {
		free(req->wishes[i].name);
		free(req->wishes[i].file);
	}
	free(req->repos);
	free(req->wishes);
	free(req->arch);
	free(req->inst_langs);
	strv_fini(&req->install);
	strv_fini(&req->exclude);
	free(req);
}

static void add_text(struct sha256 *h, const char *text)
{
	sha256_add(h, text ? "+" : "-", 1);
	sha256_add_str(h, text ? text : "");
}

static void add_list(struct sha256 *h, const struct strv *list)
{
	for (size_t i = 0; i < list->count; i++)
		add_text(h, list->items[i]);
	add_text(h, NULL);
}

static void add_number(struct sha256 *h, int64_t number)
{
	autofree char *text = xasprintf("%lld", (long long)number);

	add_text(h, text);
}

/* Lines are left out: a comment above does not change what is installed. */
static void add_repo(struct sha256 *h, const struct pkg_repo *r)
{
	add_text(h, r->name);
	add_text(h, r->baseurl);
	add_text(h, r->suite);
	add_list(h, &r->components);
	add_text(h, r->signedby);
	add_number(h, r->is_unsigned);
	add_list(h, &r->includepkgs);
	add_list(h, &r->excludepkgs);
}

char *pkg_request_digest(const struct pkg_request *req)
{
	autoptr(sha256) h = sha256_new();
	uint8_t sum[SHA256_BYTES];
	char *hex = xcalloc(1, SHA256_HEX_BYTES);

	for (size_t i = 0; i < req->repo_count; i++)
		add_repo(h, &req->repos[i]);
	add_text(h, NULL);
	for (size_t i = 0; i < req->wish_count; i++) {
		add_number(h, req->wishes[i].is_group + 2 * req->wishes[i].is_excluded);
		add_text(h, req->wishes[i].name);
	}
	add_text(h, NULL);
	add_text(h, req->arch);
	add_number(h, req->excludedocs);
	add_number(h, req->exclude_weakdeps);
	add_text(h, req->inst_langs);
	sha256_end(h, sum);
	hex_format(sum, sizeof(sum), hex);
	return hex;
}
