/* SPDX-License-Identifier: Apache-2.0 */
#include "base/version.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

/* The revision is what follows the last hyphen, the epoch what stands before the first colon. */
struct part {
	const char *at, *end;
};

static int weight(const struct part *p)
{
	unsigned char c = p->at < p->end ? (unsigned char)*p->at : 0;

	if (c == '~')
		return -1;
	if (c == 0 || isdigit(c))
		return 0;
	return isalpha(c) ? c : c + 256;
}

static int compare_text(struct part *a, struct part *b)
{
	while (weight(a) != 0 || weight(b) != 0) {
		int x = weight(a), y = weight(b);

		if (x != y)
			return x < y ? -1 : 1;
		a->at++;
		b->at++;
	}
	return 0;
}

static size_t digits(struct part *p)
{
	size_t n = 0;

	while (p->at < p->end && *p->at == '0')
		p->at++;
	while (p->at + n < p->end && isdigit((unsigned char)p->at[n]))
		n++;
	return n;
}

/* Of any length: no number is too large. */
static int compare_number(struct part *a, struct part *b)
{
	size_t x = digits(a), y = digits(b);
	int order = x != y ? (x < y ? -1 : 1) : strncmp(a->at, b->at, x);

	a->at += x;
	b->at += y;
	return order;
}

static int compare_part(struct part a, struct part b)
{
	int order = 0;

	while (order == 0 && (a.at < a.end || b.at < b.end)) {
		order = compare_text(&a, &b);
		if (order == 0)
			order = compare_number(&a, &b);
	}
	return order;
}

static void split(const char *text, struct part *epoch, struct part *version, struct part *revision)
{
	const char *colon = strchr(text, ':'), *end = text + strlen(text);
	const char *begin = colon ? colon + 1 : text;
	const char *hyphen = strrchr(begin, '-');

	*epoch = (struct part){text, colon ? colon : text};
	*version = (struct part){begin, hyphen ? hyphen : end};
	*revision = (struct part){hyphen ? hyphen + 1 : end, end};
}

int version_compare(const char *a, const char *b)
{
	struct part x[3], y[3];
	int order = 0;

	split(a, &x[0], &x[1], &x[2]);
	split(b, &y[0], &y[1], &y[2]);
	for (size_t i = 0; order == 0 && i < 3; i++)
		order = compare_part(x[i], y[i]);
	return order;
}

void version_range_split(const char *range, char **min, char **max)
{
	const char *dots = strstr(range, "..");

	*min = dots ? xstrndup(range, (size_t)(dots - range)) : xstrdup(range);
	*max = dots ? xstrdup(dots + 2) : NULL;
}

bool version_in_range(const char *version, const char *min, const char *max)
{
	return version_compare(version, min) >= 0 && (!max || version_compare(version, max) <= 0);
}
