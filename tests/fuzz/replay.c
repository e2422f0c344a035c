/* SPDX-License-Identifier: Apache-2.0 */
/* Gives each file named, or each file of a folder named, to a fuzz target that is linked in. */
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/xalloc.h"

#define INPUT_MAX_BYTES (64 * MIB)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int replay_file(const char *path, struct err *e)
{
	autofree char *data = NULL;
	size_t len;
	int r = file_read(path, INPUT_MAX_BYTES, &data, &len, e);

	if (r < 0)
		return r;
	/* Of exactly its length, so that a sanitizer sees the first byte read behind it. */
	autofree uint8_t *exact = xmemdup(data, len);
	LLVMFuzzerTestOneInput(exact, len);
	return 0;
}

static int replay_folder(const char *path, struct err *e)
{
	autostrv names = {0};
	int r = file_list(path, &names, e);

	for (size_t i = 0; r == 0 && i < names.count; i++) {
		autofree char *file = xasprintf("%s/%s", path, names.items[i]);

		r = replay_file(file, e);
	}
	if (r == 0 && names.count == 0)
		return err_set(e, ENOENT, "'%s' is empty", path);
	return r;
}

int main(int argc, char **argv)
{
	struct err e = {0};

	for (int i = 1; i < argc; i++) {
		struct stat st;
		bool folder = stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode);

		if ((folder ? replay_folder : replay_file)(argv[i], &e) < 0) {
			fprintf(stderr, "%s\n", e.msg);
			return 1;
		}
	}
	return 0;
}
