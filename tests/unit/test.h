/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka with what it wants included first, and checks of our own error type. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"

/* r is 0; the message is shown when it is not. */
#define assert_ok(r, e)                                                                            \
	do {                                                                                       \
		if ((r) < 0)                                                                       \
			fail_msg("unexpected error: %s", (e).msg);                                 \
	} while (0)

#define assert_fails(r, want_code, e, want_msg)                                                    \
	do {                                                                                       \
		assert_int_equal((r), -(want_code));                                               \
		assert_string_equal((e).msg, (want_msg));                                          \
	} while (0)
