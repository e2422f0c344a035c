/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade/settings.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "boot/trial.h"

#define SETTINGS_MAX (64 * KIB)
#define KEEP_MAX     64
#define DEADLINE_MIN 60
#define DEADLINE_MAX 86400

struct setting {
	const char *name;
	unsigned *value;
	unsigned min, max;
};

static int set(
	const struct setting *known, size_t count, char *line, unsigned number, struct err *e)
{
	char *equals = strchr(line, '=');

	if (!equals)
		return err_set(e, EINVAL, SETTINGS_PATH ":%u: expected NAME = VALUE", number);
	*equals = '\0';
	const char *name = str_trim(line), *text = str_trim(equals + 1);
	for (size_t i = 0; i < count; i++) {
		const struct setting *s = &known[i];
		char *end;

		if (!str_eq(name, s->name))
			continue;
		unsigned long value = strtoul(text, &end, 10);
		if (!isdigit((unsigned char)*text) || *end || value < s->min || value > s->max)
			return err_set(e, EINVAL,
				SETTINGS_PATH ":%u: bad %s '%.80s', expected a number from %u to "
					      "%u",
				number, name, text, s->min, s->max);
		*s->value = (unsigned)value;
		return 0;
	}
	return err_set(e, EINVAL,
		SETTINGS_PATH ":%u: unknown setting '%.80s', expected keep, tries or "
			      "health_deadline",
		number, name);
}

int settings_read(int root_fd, struct settings *out, struct err *e)
{
	const struct setting known[] = {
		{"keep", &out->keep, 1, KEEP_MAX},
		{"tries", &out->tries, 1, TRIAL_TRIES_MAX},
		{"health_deadline", &out->health_deadline_seconds, DEADLINE_MIN, DEADLINE_MAX},
	};
	autofree char *text = NULL;

	*out = (struct settings){.keep = 2, .tries = TRIAL_TRIES, .health_deadline_seconds = 600};
	int r = file_read_in_root(root_fd, SETTINGS_PATH, SETTINGS_MAX, &text, e);
	if (r == -ENOENT) {
		*e = (struct err){0};
		return 0;
	}
	char *rest = text;
	for (unsigned number = 1; r == 0 && rest; number++) {
		char *line = str_trim(strsep(&rest, "\n"));

		if (*line && *line != '#')
			r = set(known, ARRAY_LEN(known), line, number, e);
	}
	return r;
}
