/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ctrl-C and SIGTERM as an error that travels up like any other.
 *
 * After interrupt_catch() the signals only set a flag.  Long loops ask interrupt_check() (most do
 * through progress_advance()), cmd kills its child, everything unwinds and cleans up after itself.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

/* Called once, by main(). */
void interrupt_catch(void);
bool interrupt_pending(void);
/* -EINTR once a signal came. */
int interrupt_check(struct err *e) MUST_CHECK;

/*
 * Between these nothing is interrupted, also not by a signal that came before: for taking back what
 * was begun.  They nest.
 */
void interrupt_defer(void);
void interrupt_resume(void);
