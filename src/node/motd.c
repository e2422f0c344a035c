/* SPDX-License-Identifier: Apache-2.0 */
#include "node/motd.h"

#include "base/file.h"
#include "base/json.h"
#include "base/xalloc.h"

int node_result_save(const struct check_result *r, struct err *e)
{
	json_t *j = check_json(r);
	autofree char *text = json_format(j);

	json_decref(j);
	return file_replace(NODE_RESULT_PATH, text, strlen(text), 0644, e);
}

static const char *word_for(const char *status)
{
	if (!status)
		return "UNKNOWN";
	if (str_eq(status, check_status_id(CHECK_OK)))
		return "OK";
	return str_eq(status, check_status_id(CHECK_WARN)) ? "WARN" : "DEGRADED";
}

char *node_motd_text(const char *text, int64_t age_seconds)
{
	bool fresh = text && age_seconds >= 0 && age_seconds <= NODE_RESULT_MAX_SECONDS;
	json_t *j = fresh ? json_loads(text, 0, NULL) : NULL;
	const char *word = word_for(json_string_value(json_object_get(j, "status")));
	char *out;

	if (str_eq(word, "OK") || str_eq(word, "WARN"))
		out = xasprintf(
			"  node status: %s\n  See `nodectl check` for more information\n", word);
	else
		out = xasprintf("  node status: %s\n  Please check the status manually using "
				"`nodectl check`\n",
			word);
	json_decref(j);
	return out;
}
