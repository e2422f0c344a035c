/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Do what the kernel command line of a live system asks for, on its consoles: what
 * bedplate-install.service runs.  See nodectl-install(1) for the lines that end it.
 */
#pragma once

#include "base/err.h"

/* Errors have been told on the consoles. */
int boot_install(struct err *e) MUST_CHECK;
