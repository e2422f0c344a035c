/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/trial-result.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "boot/records.h"
#include "node/state.h"

#define HASH_DIGITS 64

bool trial_is_running(const struct site *s)
{
	return s->running && s->choice.trial && str_eq(s->choice.trial, s->layer);
}

/* Records explain; that one cannot be written keeps no node from booting what it should. */
static void shrug(int r, struct err *e)
{
	if (r < 0)
		log_warning("%s", e->msg);
	*e = (struct err){0};
}

static const char *find_cmd_line(const struct site *s, const char *layer)
{
	for (size_t i = 0; i < s->entries.count; i++)
		if (str_eq(s->entries.items[i].layer, layer))
			return s->entries.items[i].cmd_line;
	return "";
}

/* Of the layer's entry, lower case; false: it has none. */
static bool find_hash(const struct site *s, const char *layer, char out[HASH_DIGITS + 1])
{
	autofree char *hash = node_kernel_param(find_cmd_line(s, layer), BOOT_ROOTHASH_PARAM);

	if (!hash || strlen(hash) != HASH_DIGITS)
		return false;
	for (size_t i = 0; i <= HASH_DIGITS; i++)
		out[i] = (char)tolower((unsigned char)hash[i]);
	return true;
}

static void add_history(
	const struct site *s, const char *layer, const char *result, const char *why)
{
	autojournal j = {0};
	struct err e = {0};

	int r = journal_read(s->boot_fd, &j, &e);
	shrug(r, &e);
	bool known = r == 1 && str_eq(j.to, layer);
	struct transition t = {
		.operation = xstrdup(operation_name(known ? j.operation : OPERATION_UPGRADE)),
		.from = xstrdup_or_null(known ? j.from : NULL),
		.to = xstrdup(layer),
		.result = xstrdup(result),
		.why = xstrdup_or_null(why),
	};
	shrug(history_add(s->boot_fd, &t, &e), &e);
	transition_fini(&t);
}

static void clear_journal_of(const struct site *s, const char *layer)
{
	autojournal j = {0};
	struct err e = {0};
	int r = journal_read(s->boot_fd, &j, &e);

	shrug(r, &e);
	if (r == 1 && str_eq(j.to, layer) && !j.var)
		shrug(journal_clear(s->boot_fd, &e), &e);
}

static bool is_recorded(const struct site *s, const char *layer)
{
	autofailed failed = {0};
	struct err e = {0};

	shrug(failed_read(s->boot_fd, &failed, &e), &e);
	for (size_t i = 0; i < failed.count; i++)
		if (str_eq(failed.items[i].layer, layer))
			return true;
	return false;
}

/* Said by whoever gave up on it; the caller frees it.  NULL: nothing was. */
static char *find_why(const struct site *s, const char *layer)
{
	autohistory h = {0};
	struct err e = {0};

	shrug(history_read(s->boot_fd, &h, &e), &e);
	for (size_t i = h.count; i > 0; i--) {
		const struct transition *t = &h.items[i - 1];

		if (str_eq(t->to, layer))
			return t->why && str_eq(t->result, "failed") ? xstrdup(t->why) : NULL;
	}
	return NULL;
}

/* Whoever gave up on it has said why. */
static bool is_known(const struct site *s, const char *layer)
{
	autohistory h = {0};
	struct err e = {0};

	if (is_recorded(s, layer))
		return true;
	shrug(history_read(s->boot_fd, &h, &e), &e);
	const struct transition *last = h.count > 0 ? &h.items[h.count - 1] : NULL;
	return last && str_eq(last->to, layer) && str_eq(last->result, "failed");
}

/* A layer that was reset is of an image that was good: the image has not failed. */
static bool is_reset(const struct site *s, const char *layer)
{
	autojournal j = {0};
	struct err e = {0};
	int r = journal_read(s->boot_fd, &j, &e);

	shrug(r, &e);
	return r == 1 && j.operation == OPERATION_RESET && str_eq(j.to, layer);
}

/* "NAME-VERSION+N": a version begins with a digit, and a name need not be without dashes. */
static void split_layer(const char *layer, char **name, char **version)
{
	autofree char *base = xstrndup(layer, node_base_len(layer));
	char *dash = NULL;

	for (char *p = base; (p = strchr(p, '-')); p++)
		if (isdigit((unsigned char)p[1]) && !dash)
			dash = p;
	if (!dash)
		dash = strrchr(base, '-');
	*version = xstrdup(dash ? dash + 1 : "");
	*name = xstrndup(base, dash ? (size_t)(dash - base) : strlen(base));
}

static void add_failed(const struct site *s, const char *layer, const char *why)
{
	autofree char *name = NULL, *version = NULL, *whose = xstrdup(layer),
		      *reason = xstrdup(why);
	struct failed_version v = {.layer = whose, .why = reason, .time = time(NULL)};
	struct err e = {0};

	if (is_reset(s, layer))
		return;
	if (!find_hash(s, layer, v.root_hash)) {
		log_warning("the boot entry of layer '%s' has no root hash to remember", layer);
		return;
	}
	split_layer(layer, &name, &version);
	v.name = name;
	v.version = version;
	shrug(failed_add(s->boot_fd, &v, &e), &e);
}

int trial_bless(const struct site *s, struct err *e)
{
	char hash[HASH_DIGITS + 1];
	struct err own = {0};

	if (!s->running)
		return err_set(e, ENODEV, "this system does not run from the node on its disks");
	if (!trial_is_running(s)) {
		if (!s->choice.trial && s->choice.default_layer &&
			str_eq(s->choice.default_layer, s->layer))
			return 1;
		return err_set(e, EINVAL,
			"layer '%s' is not on trial; 'nodectl rollback --to' chooses what boots",
			s->layer);
	}
	int r = boot_choice_settle(s->boot_fd, s->layer, e);
	if (r < 0)
		return r;
	add_history(s, s->layer, "blessed", NULL);
	if (find_hash(s, s->layer, hash))
		shrug(failed_remove(s->boot_fd, hash, &own), &own);
	clear_journal_of(s, s->layer);
	return 0;
}

int trial_unbless(const struct site *s, const char *why, struct err *e)
{
	if (!trial_is_running(s))
		return err_set(e, EINVAL,
			"layer '%s' is not on trial; 'nodectl rollback' goes back to the one before",
			s->layer);
	int r = boot_choice_give_up(s->boot_fd, e);
	if (r < 0)
		return r;
	add_failed(s, s->layer, why);
	add_history(s, s->layer, "failed", why);
	return 0;
}

int trial_take_note(const struct site *s, unsigned tries, struct err *e)
{
	const char *trial = s->choice.trial, *chosen = s->choice.default_layer;
	bool runs_default = s->running && (!chosen || str_eq(chosen, s->layer));

	if (!trial || !runs_default || str_eq(trial, s->layer))
		return 0;
	autofree char *why = s->choice.tries > 0
		? xasprintf("layer '%s' was booted instead", s->layer)
		: xasprintf("it did not come up within %u %s", tries, tries == 1 ? "try" : "tries");
	if (!is_known(s, trial)) {
		add_failed(s, trial, why);
		add_history(s, trial, "failed", why);
	}
	autofree char *known = find_why(s, trial);
	log_warning("the trial of layer '%s' came to nothing: %s", trial, known ? known : why);
	int r = boot_choice_end_trial(s->boot_fd, e);
	if (r < 0)
		return r;
	clear_journal_of(s, trial);
	return 1;
}
