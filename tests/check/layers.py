#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A folder may include only folders below it."""

import pathlib
import re
import sys

# Each folder and the folders it may use.  Keep in step with HACKING.md.
BASE = {"base"}
LOW = BASE | {"fmt", "sys"}
MIDDLE = LOW | {"ks", "pkg"}
ALLOWED = {
    "base": set(),
    "fmt": BASE,
    "sys": BASE,
    "ks": LOW,
    "pkg": LOW | {"ks"},
    "storage": LOW | {"ks"},
    "boot": LOW,
    "node": LOW | {"storage", "boot"},
    "image": MIDDLE | {"boot"},
    "media": MIDDLE | {"image", "boot"},
    "netroot": MIDDLE | {"image", "media", "boot"},
    "plugin": MIDDLE | {"image"},
    "hotadd": MIDDLE | {"image", "plugin"},
    "liveimg": MIDDLE | {"image", "storage"},
    "upgrade": MIDDLE | {"image", "storage", "boot", "node", "liveimg", "plugin", "hotadd"},
    "install": MIDDLE | {"image", "storage", "boot", "liveimg", "upgrade"},
    "vm": MIDDLE | {"image", "media", "netroot"},
    "certify": MIDDLE | {"image", "media", "vm", "plugin"},
    "cli": MIDDLE | {"image", "media", "boot", "netroot", "vm", "plugin", "certify"},
    "nodectl": MIDDLE | {"image", "storage", "boot", "install", "node", "liveimg", "upgrade", "plugin", "hotadd"},
}

src = pathlib.Path(sys.argv[1])
bad = 0
for path in sorted(src.rglob("*.[ch]")):
    folder = path.relative_to(src).parts[0]
    for number, line in enumerate(path.read_text().splitlines(), 1):
        m = re.match(r'#include "([^/"]+)/', line)
        if m and m[1] != folder and m[1] not in ALLOWED[folder]:
            print(f"{path}:{number}: {folder}/ must not use {m[1]}/")
            bad = 1
sys.exit(bad)
