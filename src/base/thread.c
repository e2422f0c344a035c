/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

int thread_start(pthread_t *out, void *(*work)(void *ctx), void *ctx, struct err *e)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(out, NULL, work, ctx);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r == 0 ? 0 : err_set(e, r, "starting a thread: %s", strerror(r));
}

unsigned thread_cpus(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return cpus > 0 ? (unsigned)cpus : 1;
}
