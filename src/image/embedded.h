/* SPDX-License-Identifier: Apache-2.0 */
/* Files that go into every image as they stand in dracut/ and systemd/; embed.py makes them. */
#pragma once

extern const char embedded_dracut_conf[];      /* dracut/50-bedplate.conf */
extern const char embedded_ssh_keys_service[]; /* systemd/bedplate-ssh-keys.service */
