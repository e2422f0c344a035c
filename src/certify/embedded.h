/* SPDX-License-Identifier: Apache-2.0 */
/* Files of this folder that machines get which check a plugin. */
#pragma once

extern const char embedded_check_script[]; /* run.sh */
extern const char embedded_check_service[];
extern const char embedded_copy_service[];
