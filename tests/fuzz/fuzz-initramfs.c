/* SPDX-License-Identifier: Apache-2.0 */
/* An initramfs of any bytes: archives, compressed or not, and what is judged of them. */
#include "netroot/preflight.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	autoptr(source) s = source_memory(data, len);
	autoinitramfs x = {0};

	if (initramfs_look(s, &x, NULL) == 0)
		(void)!initramfs_judge(&x, NEEDS(MODULE_COUNT) - 1, "6.1.0-1", NULL);
	free(kernel_release(s));
	return 0;
}
