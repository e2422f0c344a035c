/* SPDX-License-Identifier: Apache-2.0 */
/* The merge of account files on any texts: the six of the old image, of the node, of the new image. */
#include "../unit/accounts-rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	autofree char *text = len > 0 ? xstrndup((const char *)data, len) : xstrdup("");
	autoaccountset old = {0}, node = {0}, new = {0};
	struct account_set *const sets[] = {&old, &node, &new};
	char *rest = text;

	for (size_t i = 0; rest && i < ARRAY_LEN(sets) * ACC_FILES; i++) {
		const char *part = strsep(&rest, "@");

		if (*part)
			sets[i / ACC_FILES]->text[i % ACC_FILES] = xstrdup(part);
	}
	/* It may well be an error, as when no id is free. */
	(void)!check_merge(&old, &node, &new);
	return 0;
}
