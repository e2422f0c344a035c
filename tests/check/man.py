#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every option of a program stands in its man page, and every option there exists.

man.py FOLDER PROGRAM: bedplate NOUN VERB is explained in bedplate-NOUN.1, nodectl in nodectl.1 but
for what installs.
"""

import collections
import pathlib
import re
import subprocess
import sys

# What every command has, see base/cli.c; "bedplate" explains these once for all.
COMMON = {"--help", "--quiet", "--verbose", "--version", "--progress-fd"}
# In a page an option is bold; scdoc writes -- as it is.
MENTION = re.compile(r"\*(?:-\w\*, \*)?(--[a-z][a-z0-9-]*)")

# Commands of nodectl with a page of their own.
NODECTL_PAGES = dict.fromkeys(
    ["install", "reinstall", "uninstall", "boot-install"], "nodectl-install"
)
NODECTL_PAGES["diff"] = "nodectl-diff"
NODECTL_PAGES["verify"] = "nodectl-verify"
NODECTL_PAGES["plugin"] = "nodectl-plugin"
NODECTL_PAGES |= dict.fromkeys(["recover", "gc", "history"], "nodectl-recover")
NODECTL_PAGES |= dict.fromkeys(
    ["upgrade", "activate", "rollback", "factory-reset"], "nodectl-upgrade"
)

folder, program = pathlib.Path(sys.argv[1]), sys.argv[2]
name = pathlib.Path(program).name
dump = subprocess.run([program, "--dump-options"], check=True, capture_output=True, text=True)

options = collections.defaultdict(set)  # of each page
commands = collections.defaultdict(set)
for line in dump.stdout.splitlines():
    words = line.split()
    option = {w for w in words if w.startswith("--")}
    command = " ".join(w for w in words if w not in option)
    page = f"{name}-{words[0]}"
    if name == "nodectl":
        page = NODECTL_PAGES.get(words[0], name)
    options[page] |= option
    commands[page].add(command)

bad = 0
pages = {name, *options}
for page in sorted(pages):
    path = folder / f"{page}.1.scd"
    if not path.exists():
        print(f"{page}: there is no {path}")
        bad = 1
        continue
    text = path.read_text()
    said = set(MENTION.findall(text))
    for option in sorted(options[page] - said):
        print(f"{path}: {option} is missing")
        bad = 1
    for option in sorted(said - options[page] - COMMON):
        print(f"{path}: {option} is no option of {page}")
        bad = 1
    for command in sorted(commands[page]):
        if f"*{name} {command}*" not in text:
            print(f"{path}: '*{name} {command}*' is missing from the synopsis")
            bad = 1
for path in sorted(folder.glob(f"{name}*.1.scd")):
    if path.name.removesuffix(".1.scd") not in pages:
        print(f"{path}: there is no such command")
        bad = 1
sys.exit(bad)
