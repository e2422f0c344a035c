/* SPDX-License-Identifier: Apache-2.0 */
/* What a trial boot keeps below /run, for trial-deadline to see. */
#pragma once

/* Seconds since power-on at which a trial is restarted; "0": it was blessed, or needs no end. */
#define TRIAL_RUN_PATH      "/run"
#define TRIAL_DEADLINE_NAME "bedplate/trial-deadline"
#define TRIAL_DEADLINE_PATH TRIAL_RUN_PATH "/" TRIAL_DEADLINE_NAME
