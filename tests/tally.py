"""Adds up what the test runners counted: tests/tally.py PART:KIND:FILE... prints a line per part and, last,
`N passed, N failed`; exit 1 when anything failed or a part tested nothing.

KIND meson: the JSON lines of a meson run (Check's own counts where a program printed them);
     junit: pytest's XML;   lines: `ok NAME` / `not ok NAME`."""
import json
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

CHECK = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)$", re.MULTILINE)


def meson(text):
    """(passed, failed, skipped) and the names of what failed."""
    passed = failed = skipped = 0
    names = []
    for line in text.splitlines():
        test = json.loads(line)
        if test["result"] == "SKIP":
            skipped += 1
            continue
        fine = test["result"] in ("OK", "EXPECTEDFAIL")
        counted = [tuple(map(int, m)) for m in CHECK.findall(test.get("stdout") or "")]
        n = sum(c for c, _, _ in counted) or 1
        bad = sum(f + e for _, f, e in counted)
        if not fine:
            bad = bad or 1
            names.append(f"{test['name']} ({test['result']})")
        passed, failed = passed + n - bad, failed + bad
    return passed, failed, skipped, names


def junit(text):
    passed = failed = skipped = 0
    names = []
    for case in ET.fromstring(text).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
            names.append(f"{case.get('classname')}::{case.get('name')}")
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped, names


def lines(text):
    rows = text.splitlines()
    bad = [row.removeprefix("not ok ") for row in rows if row.startswith("not ok ")]
    return sum(row.startswith("ok ") for row in rows), len(bad), 0, bad


READERS = {"meson": meson, "junit": junit, "lines": lines}


def main(arguments):
    all_passed = all_failed = 0
    for argument in arguments:
        part, kind, path = argument.split(":", 2)
        try:
            passed, failed, skipped, names = READERS[kind](Path(path).read_text(errors="replace"))
        except (OSError, ValueError, ET.ParseError) as e:
            passed, failed, skipped, names = 0, 1, 0, [f"no result: {e}"]
        if passed + failed + skipped == 0:
            failed, names = 1, ["no tests were found"]
        print(f"{part:<16} {passed:6} passed {failed:5} failed" + (f" {skipped:5} skipped" if skipped else ""))
        for name in names:
            print(f"    FAILED {name}")
        all_passed, all_failed = all_passed + passed, all_failed + failed
    print(f"{all_passed} passed, {all_failed} failed")
    return 1 if all_failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
