/* SPDX-License-Identifier: Apache-2.0 */
#include "nodectl/restart.h"

#include "base/cmd.h"
#include "base/json.h"

int restart_node(struct err *e)
{
	autocmd c = {0};

	cmd_add(&c, "systemctl", "--no-block", "reboot", NULL);
	int r = cmd_run(&c, e);
	return r < 0 ? err_wrap(e, r, "all is done but the restart") : 0;
}

json_t *restart_json(const char *result, const char *layer, int r, const struct err *e)
{
	return json_pack("{s:i, s:b, s:o, s:o, s:o}", "schema", 1, "ok", r == 0, "result",
		json_text(r == 0 ? result : "failed"), "layer", json_text(layer), "error",
		json_text(r < 0 ? e->msg : NULL));
}

void restart_print_json(const char *result, const char *layer, int r, const struct err *e)
{
	json_print(restart_json(result, layer, r, e));
}
