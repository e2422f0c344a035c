/* SPDX-License-Identifier: Apache-2.0 */
/* Commands whose canonical text is more than their options in a row.  Internal to ks/. */
#pragma once

#include "ks/doc.h"

/* Each appends the line without its end, or nothing when the command is not printed. */
void ks_write_authselect(const struct ks_cmd *c, struct strbuf *b);
void ks_write_bootloader(const struct ks_cmd *c, struct strbuf *b);
void ks_write_clearpart(const struct ks_cmd *c, struct strbuf *b);
void ks_write_displaymode(const struct ks_cmd *c, struct strbuf *b);
void ks_write_driverdisk(const struct ks_cmd *c, struct strbuf *b);
void ks_write_firewall(const struct ks_cmd *c, struct strbuf *b);
void ks_write_keyboard(const struct ks_cmd *c, struct strbuf *b);
void ks_write_lang(const struct ks_cmd *c, struct strbuf *b);
void ks_write_mount(const struct ks_cmd *c, struct strbuf *b);
void ks_write_network(const struct ks_cmd *c, struct strbuf *b);
void ks_write_raid(const struct ks_cmd *c, struct strbuf *b);
void ks_write_realm(const struct ks_cmd *c, struct strbuf *b);
void ks_write_reboot(const struct ks_cmd *c, struct strbuf *b);
void ks_write_repo(const struct ks_cmd *c, struct strbuf *b);
void ks_write_rootpw(const struct ks_cmd *c, struct strbuf *b);
void ks_write_sshkey(const struct ks_cmd *c, struct strbuf *b);
void ks_write_sshpw(const struct ks_cmd *c, struct strbuf *b);
void ks_write_timezone(const struct ks_cmd *c, struct strbuf *b);
void ks_write_url(const struct ks_cmd *c, struct strbuf *b);
void ks_write_user(const struct ks_cmd *c, struct strbuf *b);
void ks_write_volgroup(const struct ks_cmd *c, struct strbuf *b);

/* The options of the grammar's print list. */
void ks_write_options(const struct ks_cmd *c, struct strbuf *b);
