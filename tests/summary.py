#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Count tests from meson's JSON logs in a folder, and show what failed or was skipped.

A test that speaks TAP counts once for each of its lines, any other test once.  Prints the closing
line of "make check" and exits with 1 when anything failed.
"""

import collections
import json
import pathlib
import re
import sys

TAP_LINE = re.compile(r"^(not )?ok\b[ \d]*(?:- )?(.*?)(?:# *(skip|todo)\S*\s*(.*))?$", re.I)
TAP_PLAN = re.compile(r"^1\.\.(\d+)", re.M)
PASSED = {"OK", "EXPECTEDFAIL"}


def last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no reason given"


def tap_results(test):
    """(result, name, reason) of each line of a TAP test."""
    results = []
    for line in test.get("stdout", "").splitlines():
        m = TAP_LINE.match(line)
        if not m:
            continue
        name = f"{test['name']}: {m[2].strip()}"
        if (m[3] or "").lower() == "skip":
            results.append(("skipped", name, m[4]))
        else:
            results.append(("failed" if m[1] else "passed", name, ""))
    return results


def results_of(test):
    plan = TAP_PLAN.search(test.get("stdout", ""))
    if plan:
        results = tap_results(test)
        # Not meson's word: it takes the "not ok # SKIP" of cmocka 1.1.5 for a failure.
        good = test["returncode"] == 0 and len(results) == int(plan[1])
        if not good and not any(r[0] == "failed" for r in results):
            results.append(("failed", test["name"], "ended before its plan was done"))
        return results
    if test["result"] == "SKIP":
        return [("skipped", test["name"], last_line(test.get("stdout", "")))]
    return [("passed" if test["result"] in PASSED else "failed", test["name"], "")]


def show_failure(build, test):
    print(f"\n== FAILED in {build}: {test['name']} ({test['result']}, {test['duration']:.1f} s)")
    for stream in ("stdout", "stderr"):
        for line in test.get(stream, "").splitlines()[-200:]:
            print(f"   {line}")


def main(folder):
    count = collections.Counter()
    skips = []
    for build in (folder / "failed-builds").read_text().splitlines():
        print(f"\n== FAILED: building in {build}")
        count["failed"] += 1
    for log in sorted(folder.glob("*.json")):
        for text in log.read_text().splitlines():
            test = json.loads(text)
            results = results_of(test)
            count.update(r[0] for r in results)
            skips += [(log.stem, r[1], r[2]) for r in results if r[0] == "skipped"]
            if any(r[0] == "failed" for r in results):
                show_failure(log.stem, test)

    print()
    for skip in skips:
        print("skipped in {}: {}: {}".format(*skip))
    closing = f"{count['passed']} passed, {count['failed']} failed"
    if count["skipped"]:
        closing += f", {count['skipped']} skipped"
    print(closing)
    return 1 if count["failed"] or not count["passed"] else 0


sys.exit(main(pathlib.Path(sys.argv[1])))
