/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk image as a machine of libvirt: its description, and making it known there.
 *
 * Format of the description: https://libvirt.org/formatdomain.html.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "sys/vm.h"

struct domain_spec {
	const char *name;
	const char *disk; /* made absolute here; has to exist */
	uint64_t memory_bytes, cpus;
	enum vm_accel accel;
	enum vm_firmware
		firmware; /* its variables are those that "vm run" uses, made when missing */
	const char *uri;  /* of the hypervisor; NULL: libvirt's default */
};

/*
 * The description for a QEMU hypervisor, without asking one.  The caller frees it.  -EINVAL: a name
 * or path that XML or libvirt cannot hold, or a number out of range.  -ENOENT: no disk, no firmware.
 */
int domain_describe(const struct domain_spec *spec, char **xml, struct err *e) MUST_CHECK;

/*
 * Define it.  -EEXIST: there is a machine of that name.  -ECONNREFUSED: no hypervisor answers.
 * -EPROTO: it refuses.
 */
int domain_define(const struct domain_spec *spec, struct err *e) MUST_CHECK;
