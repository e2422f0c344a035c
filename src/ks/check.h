/* SPDX-License-Identifier: Apache-2.0 */
/* What the options of a command do not say by themselves.  Internal to ks/. */
#pragma once

#include "ks/doc.h"

/*
 * Each looks at a line whose options are right one by one, completes its values (a raid device
 * that is not formatted exists already) and returns -EINVAL for a combination that is refused.
 */
int ks_check_autopart(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_bootc(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_bootloader(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_clearpart(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_displaymode(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_driverdisk(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_eula(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_firstboot(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_ignoredisk(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_image(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_keyboard(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_logging(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_logvol(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_mount(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_network(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_ostreecontainer(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_ostreesetup(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_part(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_raid(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_realm(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_repo(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_rescue(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_rhsm(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_rootpw(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_services(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_snapshot(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_sshpw(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_timesource(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_timezone(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_url(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_volgroup(struct ks_entry *en, struct err *e) MUST_CHECK;
int ks_check_zfcp(struct ks_entry *en, struct err *e) MUST_CHECK;
