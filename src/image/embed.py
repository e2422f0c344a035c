#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Files that are part of a program, as C strings: embed.py OUTPUT HEADER NAME=FILE..."""

import pathlib
import sys


def literal(text):
    lines = []
    for line in text.splitlines(keepends=True):
        line = line.replace("\\", "\\\\").replace('"', '\\"')
        lines.append('\t"' + line.replace("\n", "\\n").replace("\t", "\\t") + '"')
    return "\n".join(lines)


with open(sys.argv[1], "w", encoding="utf-8") as out:
    out.write(f'/* SPDX-License-Identifier: Apache-2.0 */\n#include "{sys.argv[2]}"\n')
    for argument in sys.argv[3:]:
        name, _, path = argument.partition("=")
        out.write(f"\nconst char {name}[] =\n{literal(pathlib.Path(path).read_text())};\n")
