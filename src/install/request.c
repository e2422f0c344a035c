/* SPDX-License-Identifier: Apache-2.0 */
#include "install/request.h"

#include <errno.h>

#include "install/legacy.h"
#include "liveimg/booted.h"

static const struct {
	const char *word;
	enum request_kind kind;
} words_of_kinds[] = {
	{"install", REQUEST_INSTALL},
	{"reinstall", REQUEST_REINSTALL},
	{"firstboot", REQUEST_REINSTALL},
	{"ovirt_firstboot", REQUEST_REINSTALL},
	{"upgrade", REQUEST_UPGRADE},
	{"ovirt_upgrade", REQUEST_UPGRADE},
	/* Of machines that always start over the network: what is on the disk is not to be erased. */
	{"local_boot", REQUEST_UPGRADE},
	{"ovirt_local_boot", REQUEST_UPGRADE},
	{"uninstall", REQUEST_UNINSTALL},
};

const char *request_name(enum request_kind kind)
{
	for (size_t i = 0; i < ARRAY_LEN(words_of_kinds); i++)
		if (words_of_kinds[i].kind == kind)
			return words_of_kinds[i].word;
	return "live";
}

int request_parse(const struct strv *cmd_line, struct request *out, struct err *e)
{
	struct request req = {.kickstart = cmd_line_value(cmd_line, "inst.ks")};

	/* On an installed node such a word is somebody else's. */
	if (cmd_line_has(cmd_line, "rescue") || cmd_line_value(cmd_line, "bedplate.layer")) {
		*out = (struct request){0};
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(words_of_kinds); i++) {
		enum request_kind kind = words_of_kinds[i].kind;

		if (!cmd_line_has(cmd_line, words_of_kinds[i].word))
			continue;
		if (req.kind != REQUEST_NONE && req.kind != kind)
			return err_set(e, EINVAL,
				"the kernel command line asks for %s and for %s at once",
				request_name(req.kind), words_of_kinds[i].word);
		req.kind = kind;
	}
	if (req.kind == REQUEST_NONE && (req.kickstart || legacy_is_wanted(cmd_line)))
		req.kind = REQUEST_INSTALL;
	*out = req;
	return 0;
}
