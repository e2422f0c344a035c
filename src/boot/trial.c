/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/trial.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "boot/entry-text.h"
#include "boot/entry.h"
#include "boot/grubenv.h"

void boot_choice_fini(struct boot_choice *c)
{
	free(c->default_layer);
	free(c->trial);
	*c = (struct boot_choice){0};
}

static int read_layer(int boot_fd, const char *name, char **out, struct err *e)
{
	autofree char *value = NULL;
	int r = grubenv_get(boot_fd, name, &value, e);

	if (r == 0 && value && entry_layer_ok(value))
		*out = take_ptr(value);
	return r;
}

/* One digit, as GRUB's configuration compares it. */
static int read_tries(int boot_fd, unsigned *out, struct err *e)
{
	autofree char *value = NULL;
	int r = grubenv_get(boot_fd, "tries", &value, e);

	if (r == 0 && value && value[0] >= '1' && value[0] <= '9' && !value[1])
		*out = (unsigned)(value[0] - '0');
	return r;
}

int boot_choice_read(int boot_fd, struct boot_choice *out, struct err *e)
{
	autobootchoice c = {0};
	struct err why = {0};
	int r = read_layer(boot_fd, "default", &c.default_layer, &why);

	if (r == 0)
		r = read_layer(boot_fd, "trial", &c.trial, &why);
	if (r == 0 && c.trial)
		r = read_tries(boot_fd, &c.tries, &why);
	if (r == -EBADMSG) {
		log_warning("%s", why.msg);
		return 0;
	}
	if (r < 0)
		return err_set(e, -r, "%s", why.msg);
	*out = c;
	c = (struct boot_choice){0};
	return 0;
}

static int check_entry(int boot_fd, const char *layer, struct err *e)
{
	autobootentries entries = {0};
	int r = boot_entries_read(boot_fd, &entries, e);

	if (r < 0)
		return r;
	const struct boot_entry *entry = boot_entries_find(&entries, layer);
	if (!entry)
		return err_set(e, ENOENT, "layer '%s' has no boot entry", layer);
	if (entry->missing)
		return err_set(e, ENOENT, "the boot entry of layer '%s' lacks '/boot/%s'", layer,
			entry->missing);
	return 0;
}

static int change(int boot_fd, const char *const names[], const char *const values[], struct err *e)
{
	struct err why = {0};
	int r = grubenv_set(boot_fd, names, values, &why);

	/* GRUB can do nothing with it either, and boots the first entry. */
	if (r == -EBADMSG) {
		log_warning("%s; it is made anew", why.msg);
		r = grubenv_reset(boot_fd, &why);
		if (r == 0)
			r = grubenv_set(boot_fd, names, values, &why);
	}
	return r < 0 ? err_set(e, -r, "%s", why.msg) : 0;
}

int boot_choice_try(int boot_fd, const char *layer, unsigned tries, struct err *e)
{
	static const char *const names[] = {"trial", "tries", NULL};
	const char digit[] = {(char)('0' + tries), '\0'};
	const char *const values[] = {layer, digit, NULL};

	if (tries < 1 || tries > TRIAL_TRIES_MAX)
		return err_set(e, EINVAL, "%u tries, expected 1 to %d", tries, TRIAL_TRIES_MAX);
	int r = check_entry(boot_fd, layer, e);
	return r == 0 ? change(boot_fd, names, values, e) : r;
}

int boot_choice_settle(int boot_fd, const char *layer, struct err *e)
{
	static const char *const names[] = {"default", "trial", "tries", NULL};
	const char *const values[] = {layer, NULL, NULL, NULL};
	int r = check_entry(boot_fd, layer, e);

	return r == 0 ? change(boot_fd, names, values, e) : r;
}

int boot_choice_give_up(int boot_fd, struct err *e)
{
	static const char *const names[] = {"tries", NULL};
	static const char *const values[] = {"0", NULL};

	return change(boot_fd, names, values, e);
}

int boot_choice_end_trial(int boot_fd, struct err *e)
{
	static const char *const names[] = {"trial", "tries", NULL};
	static const char *const values[] = {NULL, NULL, NULL};

	return change(boot_fd, names, values, e);
}
