# SPDX-License-Identifier: Apache-2.0
# Metadata profile of a node's thin pool: it grows by a fifth when 70 % of it are used, as long as
# its volume group has room (lvmthin(7)).  dmeventd does it.
activation {
	thin_pool_autoextend_threshold = 70
	thin_pool_autoextend_percent = 20
}
