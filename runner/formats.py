# SPDX-License-Identifier: GPL-2.0
"""--format: the results of a run in the formats that other programs read.

All are made of what is in results.json. results.py has JUnit and KTAP, which each run leaves.
"""
from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple

from runner.errors import Failure
from runner.results import junit, ktap, why

Results = Dict[str, Any]

# of KCIDB's schema
KCIDB_VERSION = {"major": 5, "minor": 3}
KCIDB_ORIGIN = "HMMIRROR_KCIDB_ORIGIN"
LONGEST_EXCERPT = 16384
# KCIDB has no xfail and no flaky: issues mark known failures there
KCIDB_STATUS = {"passed": "PASS", "failed": "FAIL", "skipped": "SKIP", "xfail": "FAIL",
                "flaky": "FAIL"}
LAVA_RESULT = {"passed": "pass", "failed": "fail", "skipped": "skip", "xfail": "pass",
               "flaky": "pass"}


def tap(results: Results) -> List[str]:
    """TAP 13 without subtests: a line for each test of each cell."""
    cells = results["cells"]
    lines: List[str] = []
    number = 0
    for cell in cells:
        start = f"{cell['label']}: " if len(cells) > 1 else ""
        for test in cell["tests"]:
            number += 1
            lines += tap_lines(number, start, test)
        if cell["state"] != "done":
            number += 1
            lines += [f"not ok {number} - {tap_name(start + 'run')}",
                      f"# cannot be run: {cell['reason']}"]
    return ["TAP version 13", f"1..{number}", *lines]


def tap_lines(number: int, start: str, test: Dict[str, Any]) -> List[str]:
    """One test. TAP's word for an expected failure is TODO."""
    word = "not ok" if test["result"] in ("failed", "xfail") else "ok"
    directive = {"skipped": f" # SKIP {test['reason']}",
                 "xfail": f" # TODO {test['known']}"}.get(test["result"], "")
    notes = [*filter(None, [test["reason"]]), *test["output"]] \
        if test["result"] in ("failed", "xfail", "flaky") else []
    return [f"{word} {number} - {tap_name(start + test['name'])}{directive}",
            *(f"# {note}" for note in notes)]


def tap_name(name: str) -> str:
    """# begins a directive."""
    return name.replace("#", "\\#")


def lava(results: Results) -> List[str]:
    """A shell script for a LAVA job: one lava-test-case for each test."""
    cells = results["cells"]
    lines: List[str] = []
    for cell in cells:
        start = f"{cell['name'] or cell['label']}." if len(cells) > 1 else ""
        lines += [lava_line(start + test["name"], LAVA_RESULT[test["result"]], test["ms"])
                  for test in cell["tests"]]
        # whether a cell could be run is a test case, too, so that one that could not is noticed
        lines.append(lava_line(f"{start}run", "pass" if cell["state"] == "done" else "fail",
                               1000 * cell["seconds"]))
    return lines


def lava_line(name: str, result: str, ms: int) -> str:
    """LAVA makes a folder of the name, and reads it up to a blank or a >."""
    name = re.sub(r"[^\w.@+-]", "_", name)
    return f"lava-test-case {shlex.quote(name)} --result {result} --measurement {ms} --units ms"


def kcidb(results: Results) -> Dict[str, Any]:
    """A report for KCIDB: a checkout and a build for each cell, its tests, and known bugs."""
    origin = os.environ.get(KCIDB_ORIGIN, "hmmirror")
    if not re.fullmatch("[a-z0-9_]+", origin):
        raise Failure(f"{KCIDB_ORIGIN}={origin}: lower-case letters, digits and _ are wanted")
    report: Dict[str, Any] = {"version": KCIDB_VERSION, "checkouts": [], "builds": [],
                              "tests": [], "issues": [], "incidents": []}
    for cell in results["cells"]:
        KcidbCell(origin, results, cell).add_to(report)
    return report


class KcidbCell:
    """One cell for KCIDB. Two runs must not have the same ids, and a run always the same ones."""

    def __init__(self, origin: str, results: Results, cell: Dict[str, Any]) -> None:
        self.origin = origin
        self.results = results
        self.cell = cell
        self.id = self.id_of(results["started"], cell["logs"], cell["label"])

    def id_of(self, *words: str) -> str:
        """Of an object of this origin."""
        return f"{self.origin}:{hashlib.sha1(chr(0).join(words).encode()).hexdigest()}"

    def add_to(self, report: Dict[str, Any]) -> None:
        """Adds all objects."""
        report["checkouts"].append(self.checkout())
        report["builds"].append(self.build())
        report["tests"] += [self.test(number, test)
                            for number, test in enumerate(self.cell["tests"])]
        if self.cell["state"] != "done" and self.cell["compiler"]:
            report["tests"].append(self.lost())
        known = {issue["id"] for issue in report["issues"]}
        for bug in self.cell["diagnosis"]["bugs"]:
            issue = self.issue(bug)
            if issue["id"] not in known:
                known.add(issue["id"])
                report["issues"].append(issue)
            report["incidents"] += self.incidents(issue["id"], bug)

    def checkout(self) -> Dict[str, Any]:
        """The kernel's source. A package has no commit."""
        cell = self.cell
        found = {"id": self.id, "origin": self.origin, "start_time": self.results["started"],
                 "valid": True, "misc": {"kernel": cell["kernel"]}}
        if cell["commit"]:
            found["git_commit_hash"] = cell["commit"]
        if cell["commit"] and cell["describe"]:
            found["git_commit_name"] = cell["describe"]
        if not cell["commit"]:
            found["comment"] = f"linux {cell['kernel']}"
        return found

    def build(self) -> Dict[str, Any]:
        """The kernel as it was built; without a compiler it was not."""
        cell = self.cell
        status = "PASS" if cell["compiler"] else "FAIL" if cell["unfit"] else "MISS"
        found = {"id": self.id, "origin": self.origin, "checkout_id": self.id, "status": status,
                 "architecture": cell["arch"],
                 "config_name": "+".join(filter(None, ["hmmirror", cell["config"]])),
                 "misc": {"config_sha256": cell["config_hash"]}}
        if cell["compiler"]:
            found["compiler"] = cell["compiler"]
        elif cell["reason"]:
            found["comment"] = cell["reason"]
        return found

    def test(self, number: int, test: Dict[str, Any]) -> Dict[str, Any]:
        """One test."""
        path = ".".join(re.sub(r"[^a-zA-Z0-9_-]", "_", word) or "_"
                        for word in f"hmmirror.{test['name']}".split("."))
        found: Dict[str, Any] = {
            "id": self.test_id(number), "origin": self.origin, "build_id": self.id, "path": path,
            "status": KCIDB_STATUS[test["result"]], "duration": test["ms"] / 1000,
            "environment": {"comment": self.cell["qemu"] or "the machine itself",
                            "misc": {"accelerator": self.cell["accelerator"]}},
            "misc": {"name": test["name"], "result": test["result"]},
        }
        comment = ": ".join(filter(None, [test["known"], why(test)]))
        if comment:
            found["comment"] = comment
        if test["output"]:
            found["log_excerpt"] = "\n".join(test["output"])[:LONGEST_EXCERPT]
        return found

    def test_id(self, number: int) -> str:
        """Of the test at this place."""
        return f"{self.id}-{number}"

    def lost(self) -> Dict[str, Any]:
        """What stopped the tests of a kernel that was built."""
        return {"id": f"{self.id}-run", "origin": self.origin, "build_id": self.id,
                "path": "hmmirror", "status": "FAIL" if self.cell["unfit"] else "MISS",
                "comment": self.cell["reason"]}

    def issue(self, bug: Dict[str, Any]) -> Dict[str, Any]:
        """A known bug of the kernel."""
        found = {"id": f"{self.origin}:{bug['entry']}", "origin": self.origin, "version": 1,
                 "culprit": {"code": True, "tool": False, "harness": False},
                 "comment": f"{bug['entry']}; fix: {bug['fix']}",
                 "misc": {"commit": bug["commit"]}}
        return found

    def incidents(self, issue: str, bug: Dict[str, Any]) -> List[Dict[str, Any]]:
        """The failures that are put under a bug."""
        places = {test["name"]: number for number, test in enumerate(self.cell["tests"])}
        return [{"id": self.id_of(self.id, issue, name), "origin": self.origin,
                 "issue_id": issue, "issue_version": 1, "build_id": self.id,
                 "test_id": self.test_id(places[name]), "present": True,
                 "comment": f"{name}: {bug['word']} {bug['entry']}"}
                for name in bug["tests"] if name in places]


def as_text(value: Any) -> List[str]:
    """JSON as lines."""
    return json.dumps(value, indent=2).split("\n")


FORMATS: Dict[str, Callable[[Results], List[str]]] = {
    "ktap": ktap, "tap": tap, "junit": junit, "json": as_text,
    "kcidb": lambda results: as_text(kcidb(results)), "lava": lava,
}


def split(value: str) -> Tuple[str, str]:
    """FORMAT and FILE of FORMAT:FILE; - and no FILE are standard output."""
    name, _, file = value.partition(":")
    if name not in FORMATS:
        raise Failure(f"--format {value}: there is no such format; it is one of "
                      f"{' '.join(FORMATS)}, with :FILE behind it for a file")
    return name, "" if file == "-" else file


def check_formats(formats: Sequence[Tuple[str, str]]) -> None:
    """What would be noticed at the end of a long run only."""
    if sum(not file for _, file in formats) > 1:
        raise Failure("two formats on standard output cannot be told apart; give a file to one: "
                      "--format FORMAT:FILE")
    for _, file in formats:
        folder = Path(file).parent
        if file and (not folder.is_dir() or not os.access(folder, os.W_OK)):
            raise Failure(f"--format: cannot write to {folder}; give a file in a folder that is "
                          "there")
        if file and Path(file).is_dir():
            raise Failure(f"--format: {file} is a folder; give a file")
    if any(name == "kcidb" for name, _ in formats):
        kcidb({"cells": []})


def deliver(results: Results, formats: Sequence[Tuple[str, str]]) -> None:
    """Writes the results as the user wants them."""
    for name, file in formats:
        text = "".join(f"{line}\n" for line in FORMATS[name](results))
        if file:
            try:
                Path(file).write_text(text, encoding="utf-8")
            except OSError as error:
                raise Failure(f"cannot write {file}: {error.strerror}") from error
        else:
            print(text, end="", flush=True)
