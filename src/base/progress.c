/* SPDX-License-Identifier: Apache-2.0 */
#include "base/progress.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/interrupt.h"
#include "base/str.h"

#define REDRAW_SECONDS 0.1

static double between(const struct timespec *a, const struct timespec *b)
{
	return (double)(b->tv_sec - a->tv_sec) + (double)(b->tv_nsec - a->tv_nsec) / 1e9;
}

static void format_amount(const struct progress *p, uint64_t n, char *out, size_t len)
{
	if (str_eq(p->unit, "bytes"))
		snprintf(out, len, "%.1f MiB", (double)n / (double)MIB);
	else
		snprintf(out, len, "%" PRIu64 " %s", n, p->unit);
}

static void show_line(struct progress *p, enum progress_event event)
{
	char done[48];

	if (event == PROGRESS_BEGIN)
		fprintf(p->out, "%s ...\n", p->stage);
	if (event != PROGRESS_END)
		return;
	format_amount(p, p->done, done, sizeof(done));
	fprintf(p->out, "%s: %s%sdone in %.1f s\n", p->stage, p->done ? done : "",
		p->done ? ", " : "", p->seconds);
}

static void show_terminal(struct progress *p, enum progress_event event)
{
	char done[48], total[48];

	format_amount(p, p->done, done, sizeof(done));
	format_amount(p, p->total, total, sizeof(total));
	fprintf(p->out, "\r\033[K%-12s ", p->stage);
	if (p->total)
		fprintf(p->out, "%3u %%  %s of %s", (unsigned)(p->done * 100 / p->total), done,
			total);
	else if (p->done)
		fputs(done, p->out);
	fprintf(p->out, "  %.1f s%s", p->seconds, event == PROGRESS_END ? "\n" : "");
}

static void show_json(struct progress *p, enum progress_event event)
{
	static const char *const names[] = {"begin", "advance", "end"};

	/* Stage and unit are our own words: nothing in them needs escaping. */
	fprintf(p->out,
		"{\"event\":\"%s\",\"stage\":\"%s\",\"done\":%" PRIu64 ",\"total\":%" PRIu64
		",\"unit\":\"%s\",\"seconds\":%.3f}\n",
		names[event], p->stage, p->done, p->total, p->unit, p->seconds);
}

void progress_init_text(struct progress *p, FILE *out)
{
	*p = (struct progress){.out = out};
	p->show = isatty(fileno(out)) ? show_terminal : show_line;
}

void progress_init_json(struct progress *p, FILE *out)
{
	*p = (struct progress){.out = out, .show = show_json};
}

static void show(struct progress *p, enum progress_event event)
{
	clock_gettime(CLOCK_MONOTONIC, &p->shown);
	p->seconds = between(&p->began, &p->shown);
	p->show(p, event);
	fflush(p->out);
}

void progress_begin(struct progress *p, const char *stage, uint64_t total, const char *unit)
{
	if (!p)
		return;
	snprintf(p->stage, sizeof(p->stage), "%s", stage);
	snprintf(p->unit, sizeof(p->unit), "%s", unit);
	p->done = 0;
	p->total = total;
	clock_gettime(CLOCK_MONOTONIC, &p->began);
	show(p, PROGRESS_BEGIN);
}

int progress_advance(struct progress *p, uint64_t done, struct err *e)
{
	struct timespec now;

	if (!p)
		return interrupt_check(e);
	p->done = done;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (between(&p->shown, &now) >= REDRAW_SECONDS)
		show(p, PROGRESS_ADVANCE);
	return interrupt_check(e);
}

void progress_end(struct progress *p)
{
	if (p)
		show(p, PROGRESS_END);
}
