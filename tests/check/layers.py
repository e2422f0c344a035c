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
    "image": MIDDLE,
    "cli": MIDDLE | {"image"},
    "nodectl": MIDDLE | {"image"},
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
