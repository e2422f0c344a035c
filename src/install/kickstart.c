/* SPDX-License-Identifier: Apache-2.0 */
#include "install/kickstart.h"

#include <errno.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "image/scripts.h"
#include "install/source.h"
#include "ks/unattended.h"
#include "liveimg/fetch.h"

#define INCLUDE_MAX (16 * MIB)

void install_ks_fini(struct install_ks *k)
{
	ks_doc_free(k->doc);
	free(k->name);
	free(k->text);
	*k = (struct install_ks){0};
}

static int fetch_include(UNUSED void *ctx, const char *url, char **text, size_t *len, struct err *e)
{
	if (!fetch_is_remote(url))
		return err_set(
			e, ENOTSUP, "'%.200s': expected a file, http, https or ftp URL", url);
	return fetch_text(url, NULL, INCLUDE_MAX, text, len, e);
}

/* The first error is ours to return, all others are told. */
static int report(const struct ks_doc *doc, struct err *e)
{
	const struct ks_problem *first = NULL;
	size_t errors = ks_error_count(doc);

	for (size_t i = 0; i < ks_problem_count(doc); i++) {
		const struct ks_problem *p = ks_problem_at(doc, i);

		if (!first && !p->is_warning)
			first = p;
		else
			log_warning("%s:%u: %s%s", p->file, p->line,
				p->is_warning ? "" : "error: ", p->text);
	}
	if (!first)
		return 0;
	if (errors == 1)
		return err_set(e, EINVAL, "%s:%u: %s", first->file, first->line, first->text);
	return err_set(e, EINVAL, "%s:%u: %s (and %zu more, see above)", first->file, first->line,
		first->text, errors - 1);
}

static int parse(const struct install_ks *k, bool before_pre, struct ks_doc **out, struct err *e)
{
	const struct ks_options options = {
		.missing_include_ok = before_pre,
		.fetch = fetch_include,
	};

	return ks_parse_text(k->name, k->text, k->len, &options, out, e);
}

static int run_pre(const struct install_ks *k, int log_fd, struct err *e)
{
	autoptr(ks_doc) doc = NULL;
	int r = parse(k, true, &doc, e);

	if (r < 0 || scripts_count_pre(doc) == 0)
		return r;
	if (ks_error_count(doc) > 0)
		return report(doc, e);
	return scripts_run_pre(doc, log_fd, e);
}

int install_ks_load(const char *where, int log_fd, struct install_ks *out, struct err *e)
{
	autoinstallks k = {0};
	int r = source_kickstart(where, &k.name, &k.text, &k.len, e);

	if (r == 0)
		r = run_pre(&k, log_fd, e);
	if (r == 0)
		r = parse(&k, false, &k.doc, e);
	if (r < 0)
		return r;
	if (ks_error_count(k.doc) == 0) {
		ks_add_support_warnings(k.doc, KS_FOR_INSTALL);
		ks_add_unattended_warnings(k.doc);
	}
	r = report(k.doc, e);
	if (r < 0)
		return r;
	*out = k;
	k = (struct install_ks){0};
	return 0;
}

int install_ks_peek(const char *where, struct install_ks *out, struct err *e)
{
	autoinstallks k = {0};
	int r = source_kickstart(where, &k.name, &k.text, &k.len, e);

	if (r == 0)
		r = parse(&k, true, &k.doc, e);
	if (r < 0)
		return r;
	*out = k;
	k = (struct install_ks){0};
	return 0;
}

static bool is_fine(const struct ks_doc *doc, const struct ks_question *q, bool booted_from_image)
{
	static const char *const others[] = {"liveimg", "url", "nfs", "cdrom", "harddrive"};

	if (q->answered)
		return true;
	/* A person may answer there, when the node is installed. */
	if (str_eq(q->topic, "first boot"))
		return true;
	if (str_eq(q->topic, "end"))
		return !ks_next(doc, "mediacheck", NULL) && !ks_next(doc, "rescue", NULL);
	if (!str_eq(q->topic, "source") || !booted_from_image)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (ks_next(doc, others[i], NULL))
			return false;
	return true;
}

int install_ks_check_questions(const struct install_ks *k, bool booted_from_image, struct err *e)
{
	struct ks_question questions[KS_QUESTIONS];
	autostrbuf topics = {0};
	unsigned open = 0;

	ks_unattended(k->doc, questions);
	for (size_t i = 0; i < KS_QUESTIONS; i++) {
		const struct ks_question *q = &questions[i];

		if (is_fine(k->doc, q, booted_from_image))
			continue;
		log_warning("open question: %s: %s", q->topic, q->reason);
		strbuf_printf(&topics, "%s%s", open++ ? ", " : "", q->topic);
	}
	if (open == 0)
		return 0;
	return err_set(e, EINVAL, "%s leaves %u question%s open: %s", k->name, open,
		open == 1 ? "" : "s", topics.data);
}
