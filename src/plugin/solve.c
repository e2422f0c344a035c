/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/solve.h"

#include <errno.h>
#include <solv/pool.h>
#include <solv/problems.h>
#include <solv/repo.h>
#include <solv/repo_deb.h>
#include <solv/solver.h>
#include <solv/transaction.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "pkg/deb822.h"

#define REASONS_MAX 8

struct solving {
	const struct plugin_solve_spec *spec;
	Pool *pool;
	Solver *solver;
	Transaction *transaction;
	Queue job;
};

static void solving_fini(struct solving *s)
{
	if (s->transaction)
		transaction_free(s->transaction);
	if (s->solver)
		solver_free(s->solver);
	queue_free(&s->job);
	pool_free(s->pool);
}

static void close_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

void plugin_needs_fini(struct plugin_needs *n)
{
	for (size_t i = 0; i < n->count; i++) {
		free(n->items[i].name);
		free(n->items[i].version);
		free(n->items[i].arch);
	}
	free(n->items);
	strv_fini(&n->present);
	*n = (struct plugin_needs){0};
}

/* Removed packages keep their paragraph while configuration files are left. */
static void add_installed(struct strbuf *b, const char *status)
{
	static const char *const fields[] = {"Status"};
	struct deb822 d = {.at = status, .end = status + strlen(status)};
	struct slice v;

	for (const char *start = d.at; deb822_next(&d, fields, &v, 1); start = d.at) {
		autofree char *text = slice_dup(v);

		if (v.data && !str_ends(text, " installed"))
			continue;
		strbuf_add(b, start, (size_t)(d.at - start));
		strbuf_putc(b, '\n');
	}
}

static int add_image(struct solving *s, struct err *e)
{
	Repo *repo = repo_create(s->pool, "image");
	autostrbuf text = {0};

	pool_set_installed(s->pool, repo);
	add_installed(&text, s->spec->status);
	if (text.len == 0)
		return 0;
	auto_with(close_file) FILE *f = fmemopen(text.data, text.len, "r");
	if (!f)
		return err_errno(e, "package database");
	if (repo_add_debpackages(repo, f, 0) != 0)
		return err_set(e, EBADMSG, "package database: %s", pool_errstr(s->pool));
	return 0;
}

static int add_index(struct solving *s, const char *path, struct err *e)
{
	auto_with(close_file) FILE *f = fopen(path, "re");

	if (!f)
		return err_errno(e, "'%s'", path);
	if (repo_add_debpackages(repo_create(s->pool, path), f, 0) != 0)
		return err_set(e, EBADMSG, "'%s': %s", path, pool_errstr(s->pool));
	return 0;
}

static int fill_pool(struct solving *s, struct err *e)
{
	int r;

	pool_setdisttype(s->pool, DISTTYPE_DEB);
	pool_setarch(s->pool, s->spec->arch);
	r = add_image(s, e);
	for (size_t i = 0; r == 0 && i < s->spec->indexes.count; i++)
		r = add_index(s, s->spec->indexes.items[i], e);
	if (r == 0)
		pool_createwhatprovides(s->pool);
	return r;
}

static bool is_in(const struct solving *s, Id name, bool installed)
{
	Pool *pool = s->pool; /* by name in the macro */
	Id p;

	FOR_POOL_SOLVABLES(p)
	{
		const Solvable *v = pool_id2solvable(pool, p);

		if (v->name == name && (v->repo == pool->installed) == installed)
			return true;
	}
	return false;
}

static int add_jobs(struct solving *s, struct plugin_needs *out, struct err *e)
{
	for (size_t i = 0; i < s->spec->names.count; i++) {
		const char *name = s->spec->names.items[i];
		Id id = pool_str2id(s->pool, name, 0);

		if (id && is_in(s, id, true)) {
			strv_add(&out->present, name);
			continue;
		}
		if (!id || !is_in(s, id, false))
			return err_set(e, ENOENT,
				"no package '%s': neither in the image nor in the repositories",
				name);
		queue_push2(&s->job, SOLVER_INSTALL | SOLVER_SOLVABLE_NAME, id);
	}
	/* What the image has is not the plugin's to change. */
	if (s->pool->installed->nsolvables > 0)
		queue_push2(
			&s->job, SOLVER_LOCK | SOLVER_SOLVABLE_REPO, s->pool->installed->repoid);
	return 0;
}

/* Each reason once; that a package of the image stays is no news. */
static void add_reasons(struct solving *s, Id problem, struct strv *reasons)
{
	Queue rules;

	queue_init(&rules);
	solver_findallproblemrules(s->solver, problem, &rules);
	for (int i = 0; i < rules.count && reasons->count < REASONS_MAX; i++) {
		Id source, target, dep;
		SolverRuleinfo type = solver_ruleinfo(
			s->solver, rules.elements[i], &source, &target, &dep);
		const char *text = solver_problemruleinfo2str(s->solver, type, source, target, dep);

		type &= SOLVER_RULE_TYPEMASK;
		if (type == SOLVER_RULE_JOB || type == SOLVER_RULE_UPDATE)
			continue;
		if (!strv_has(reasons, text))
			strv_add(reasons, text);
	}
	queue_free(&rules);
}

static int explain(struct solving *s, int code, const char *what, struct err *e)
{
	autostrv reasons = {0};
	autostrbuf b = {0};
	Id problem = 0;

	while ((problem = solver_next_problem(s->solver, problem)))
		add_reasons(s, problem, &reasons);
	for (size_t i = 0; i < reasons.count; i++)
		strbuf_printf(&b, "%s%s", i > 0 ? "; " : "", reasons.items[i]);
	autofree char *safe = str_printable(b.data ? b.data : "no reason is known");
	return err_set(e, code, "%s: %s", what, safe);
}

static int compare_needs(const void *a, const void *b)
{
	return strcmp(((const struct plugin_need *)a)->name, ((const struct plugin_need *)b)->name);
}

static void take_need(struct solving *s, Id p, struct plugin_needs *out)
{
	Solvable *v = pool_id2solvable(s->pool, p);
	struct plugin_need *n = &out->items[out->count++];
	Id type = 0;
	const unsigned char *sum = solvable_lookup_bin_checksum(v, SOLVABLE_CHECKSUM, &type);

	n->name = xstrdup(pool_id2str(s->pool, v->name));
	n->version = xstrdup(pool_id2str(s->pool, v->evr));
	n->arch = xstrdup(pool_id2str(s->pool, v->arch));
	n->step = out->count - 1;
	n->has_sha256 = sum && type == REPOKEY_TYPE_SHA256;
	if (n->has_sha256)
		memcpy(n->sha256, sum, SHA256_BYTES);
}

static void take_needs(struct solving *s, struct plugin_needs *out)
{
	const Queue *steps;

	s->transaction = solver_create_transaction(s->solver);
	transaction_order(s->transaction, 0);
	steps = &s->transaction->steps;
	out->items = xcalloc((size_t)steps->count + 1, sizeof(*out->items));
	for (int i = 0; i < steps->count; i++)
		if (pool_id2solvable(s->pool, steps->elements[i])->repo != s->pool->installed)
			take_need(s, steps->elements[i], out);
	qsort(out->items, out->count, sizeof(*out->items), compare_needs);
}

static int solve(struct solving *s, struct plugin_needs *out, struct err *e)
{
	int r = fill_pool(s, e);

	if (r == 0)
		r = add_jobs(s, out, e);
	if (r < 0)
		return r;
	s->solver = solver_create(s->pool);
	solver_set_flag(s->solver, SOLVER_FLAG_IGNORE_RECOMMENDED, 1);
	if (solver_solve(s->solver, &s->job) > 0)
		return explain(s, ENOTUNIQ, "the packages do not fit the image", e);
	take_needs(s, out);
	return 0;
}

int plugin_solve(const struct plugin_solve_spec *spec, struct plugin_needs *out, struct err *e)
{
	auto_with(solving_fini) struct solving s = {.spec = spec, .pool = pool_create()};
	int r;

	queue_init(&s.job);
	r = solve(&s, out, e);
	if (r < 0)
		plugin_needs_fini(out);
	return r;
}

static int check(struct solving *s, struct err *e)
{
	int r = fill_pool(s, e);

	if (r < 0)
		return r;
	queue_push2(&s->job, SOLVER_VERIFY | SOLVER_SOLVABLE_ALL, 0);
	s->solver = solver_create(s->pool);
	solver_set_flag(s->solver, SOLVER_FLAG_IGNORE_RECOMMENDED, 1);
	if (solver_solve(s->solver, &s->job) > 0)
		return explain(s, EBADMSG, "the packages do not fit together", e);
	/* Without a repository the only way out is to remove something. */
	s->transaction = solver_create_transaction(s->solver);
	if (s->transaction->steps.count == 0)
		return 0;
	autofree char *safe = str_printable(
		pool_solvid2str(s->pool, s->transaction->steps.elements[0]));
	return err_set(e, EBADMSG, "package '%s' lacks what it depends on", safe);
}

int plugin_solve_check(const char *status, const char *arch, struct err *e)
{
	const struct plugin_solve_spec spec = {.status = status, .arch = arch};
	auto_with(solving_fini) struct solving s = {.spec = &spec, .pool = pool_create()};

	queue_init(&s.job);
	return check(&s, e);
}
