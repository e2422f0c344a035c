/* SPDX-License-Identifier: Apache-2.0 */
#include "base/interrupt.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t caught;
static unsigned deferred;

static void note(int number)
{
	caught = number;
}

void interrupt_catch(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction sa = {.sa_handler = note};

	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		sigaction(numbers[i], &sa, NULL);

	/* A closed pipe is an error of write(), not a death. */
	sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
}

bool interrupt_pending(void)
{
	return caught != 0 && deferred == 0;
}

int interrupt_check(struct err *e)
{
	if (!interrupt_pending())
		return 0;
	return err_set(e, EINTR, "interrupted by %s",
		caught == SIGTERM          ? "SIGTERM"
			: caught == SIGHUP ? "SIGHUP"
					   : "Ctrl-C");
}

void interrupt_defer(void)
{
	deferred++;
}

void interrupt_resume(void)
{
	assert(deferred > 0);
	deferred--;
}
