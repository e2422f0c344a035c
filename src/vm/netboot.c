/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/netboot.h"

char *netboot_folder(const struct machine *m)
{
	return machine_file(m, "tftp");
}

int netboot_prepare(struct machine *m, const char *bootfile, struct err *e)
{
	autofree char *folder = netboot_folder(m);
	const struct vm_spec spec = {.tftp = folder, .bootfile = bootfile};

	return machine_prepare(m, &spec, e);
}
