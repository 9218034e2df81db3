# SPDX-License-Identifier: GPL-2.0
"""Verdicts: what a test's words and end mean, and the files that programs read."""
from __future__ import annotations

import html
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from signal import SIGABRT
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence

OK, FAIL, SKIP = "ok", "FAIL", "SKIP"
# a failure that --known expects; one that did not come again
XFAIL, FLAKY = "XFAIL", "FLAKY"
WORDS = {OK: "passed", FAIL: "failed", SKIP: "skipped", XFAIL: "xfail", FLAKY: "flaky"}

BOILERPLATE = re.compile(r"$|TAP version|1\.\.|# (Starting|Totals|FAILED|PASSED)|#  RUN")
# lines of a failed test that are shown
SHOWN_OUTPUT = 20
# failures that are listed once more at the end
LISTED_FAILURES = 40
# lines of the console that are kept of a test that failed, and of another one
KEPT_CONSOLE = {True: 200, False: 20}
# a failed assertion of the harness, which then calls abort()
ASSERTION = re.compile(r"# \S+\.[ch]:\d+:\w+:")
# fields of a cell that say where its results come from
PROVENANCE = ("kernel", "commit", "describe", "arch", "compiler", "config", "config_hash",
              "qemu", "accelerator")
# what a reader of KTAP takes for the end of a console, or for a test
KTAP_WORDS = re.compile("List of all partitions:|Kernel panic - not syncing: VFS:"
                        "|reboot: System halted|^ *Subtest: ")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Ending:
    """How a program ended."""

    how: str        # ok (it said so, and exited with 0), exit, signal, timeout or output
    number: int
    ms: int

    @staticmethod
    def parse(text: str) -> Ending:
        """Reads "exit 0 12 ms" or "timeout 3000 ms"."""
        words = text.split()
        if words[-1:] == ["ms"]:
            words.pop()
        number = int(words[1]) if len(words) == 3 else 0
        return Ending(words[0], number, int(words[-1]))


@dataclass
class Verdict:
    """What came of a test."""

    name: str
    result: str
    ms: int
    reason: str = ""
    output: List[str] = field(default_factory=list)
    # what the kernel's report is known by, see splats.name_report()
    report: str = ""
    # the reason that --known has for an expected failure
    known: str = ""
    # how often it was run again with --flaky, and how often it passed then
    again: int = 0
    passed_again: int = 0
    # entries of regressions/ that its failure is, or looks like
    bugs: List[str] = field(default_factory=list)

    def __str__(self) -> str:
        again = f"passed {self.passed_again} of {self.again} times when run again" \
            if self.again else ""
        words = [self.known if self.result == XFAIL else "", self.reason, again]
        reason = "".join(f"  {word}" for word in words if word)
        return f"{self.result:<4}  {self.name:<50} {self.ms:>6} ms{reason}"


def judge(name: str, ending: Ending, output: Sequence[str], timeout: int,
          own: bool = False) -> Verdict:
    """The verdict on a program that ran one test. TAP's words and the exit status must agree.

    own: a program of the user's own need not speak TAP; it says 4 if it cannot tell.
    """
    said, skip, refuted = own or ending.how == "ok", "", False
    for line in output:
        if line.startswith(("ok ", "not ok ")):
            said = True
            refuted = refuted or line.startswith("not ok ")
            found = re.search(r"# SKIP ?(.*)", line)
            if found:
                skip = found[1] or "no reason given"
        elif line.startswith("1..0 # SKIP"):
            said, skip = True, line.split("SKIP", 1)[1].strip()
    if ending.how == "signal" and ending.number == SIGABRT and \
            any(ASSERTION.match(line) for line in output):
        # the assertion says more
        return Verdict(name, FAIL, ending.ms)
    if ending.how == "signal":
        return Verdict(name, FAIL, ending.ms, f"killed by signal {ending.number}")
    if ending.how == "timeout":
        return Verdict(name, FAIL, ending.ms, f"no end within {timeout} s")
    if ending.how == "output":
        return Verdict(name, FAIL, ending.ms, "more than 256 KiB of output")
    if ending.number not in (0, 4):
        return Verdict(name, FAIL, ending.ms)
    if own and ending.number == 4:
        skip = skip or "it says that it cannot tell"
    if not said:
        return Verdict(name, FAIL, ending.ms, "it ran no test")
    if refuted and not skip:
        return Verdict(name, FAIL, ending.ms, f"it said not ok and ended with {ending.number}")
    return Verdict(name, SKIP if skip else OK, ending.ms, skip)


NESTED = re.compile(r"# (ok|not ok) \d+ ?(?:- )?(.*?)(?: # (SKIP|XFAIL|TODO)\b:? ?(.*))?$")


def nested_verdicts(name: str, output: Sequence[str]) -> List[Verdict]:
    """The lines of KTAP that a program printed under the kernel's run_kselftest.sh, as tests of
    their own. What stands before one that failed is its output."""
    verdicts: Dict[str, Verdict] = {}
    notes: List[str] = []
    for line in output:
        found = NESTED.match(line)
        if not found:
            notes.append(line)
            continue
        word, said, directive, reason = found.groups()
        part = re.sub(r"[^\w.]+", "_", said).strip("_.")[:80] or "unnamed"
        full, number = f"{name}.{part}", 1
        while full in verdicts:
            number += 1
            full = f"{name}.{part}_{number}"
        result = SKIP if directive == "SKIP" else XFAIL if directive else \
            OK if word == "ok" else FAIL
        verdicts[full] = Verdict(full, result, 0, "" if result == XFAIL else reason or "",
                                 worth_showing(notes[-SHOWN_OUTPUT:]) if result == FAIL else [],
                                 known=reason or "" if result == XFAIL else "")
        notes = []
    return list(verdicts.values())


def worth_showing(output: Iterable[str]) -> List[str]:
    """The lines of a failed test that say something."""
    return [line for line in output if not BOILERPLATE.match(line)][:SHOWN_OUTPUT]


class Ledger:
    """The verdicts of one run on one kernel; a later word about a test replaces the earlier one."""

    def __init__(self, folder: Path, show: Callable[[str], None]) -> None:
        self.folder = folder
        # the reason why a test may fail, empty if it may not
        self.expected: Callable[[str], str] = lambda name: ""
        self.verdicts: Dict[str, Verdict] = {}
        # what the kernel logged under each test
        self.consoles: Dict[str, List[str]] = {}
        # tests of a program that ended before it came to them
        self.not_run = 0
        self._show = show

    def record(self, verdict: Verdict) -> None:
        """Counts a verdict, shows it, and writes it down."""
        if verdict.result == FAIL:
            verdict.known = self.expected(verdict.name)
            if verdict.known:
                verdict.result = XFAIL
        # a test that comes again moves to the end
        self.verdicts.pop(verdict.name, None)
        self.verdicts[verdict.name] = verdict
        self.tell(str(verdict))
        if verdict.result == FAIL:
            for line in verdict.output:
                self.tell(f"      {line}")

    def tell(self, line: str) -> None:
        """Shows a line, which goes into the summary, too."""
        self._show(line)
        with (self.folder / "summary").open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def tell_failures(self) -> None:
        """Shows again what failed, which other tests may have pushed out of sight."""
        failed = [self.verdicts[name] for name in self.failed()]
        if not failed or len(self.verdicts) == 1:
            return
        self.tell("failed:")
        for verdict in failed[:LISTED_FAILURES]:
            reason = verdict.reason or (verdict.output[0] if verdict.output else "")
            self.tell(f"  {verdict.name}{'  ' if reason else ''}{reason}")
        if len(failed) > LISTED_FAILURES:
            self.tell(f"  and {len(failed) - LISTED_FAILURES} more")

    def count(self, result: str) -> int:
        """The number of tests with this result."""
        lost = self.not_run if result == FAIL else 0
        return lost + sum(verdict.result == result for verdict in self.verdicts.values())

    def failed(self) -> List[str]:
        """Names of tests that failed."""
        return [name for name, verdict in self.verdicts.items() if verdict.result == FAIL]


@dataclass
class Cell:
    """One kernel with one config, as results.json has it."""

    label: str
    # the same for each run of the same -k and -c; see cells.py
    name: str = ""
    # what -k named
    given: str = ""
    kernel: str = ""
    # of a source in a git repository
    commit: str = ""
    describe: str = ""
    # what built the kernel, and the sha256 of its .config
    compiler: str = ""
    config_hash: str = ""
    config: str = ""
    arch: str = ""
    # what its guests ran in
    qemu: str = ""
    accelerator: str = ""
    seed: Optional[int] = None
    state: str = "failed"
    reason: str = ""
    # the kernel is the reason: it does not build or boot, or lacks what the suite needs
    unfit: bool = False
    logs: str = ""
    seconds: int = 0
    ledger: Optional[Ledger] = None
    # names for the failures, and with --regressions what is known of each entry
    diagnosis: Dict[str, Any] = field(default_factory=lambda: {"bugs": [], "unexplained": []})
    regressions: List[Dict[str, str]] = field(default_factory=list)
    # the same for people
    remarks: List[str] = field(default_factory=list)

    def count(self, result: str) -> int:
        """The number of tests with this result."""
        return self.ledger.count(result) if self.ledger else 0

    def console_of(self, verdict: Verdict) -> List[str]:
        """What the kernel logged under a test."""
        lines = self.ledger.consoles.get(verdict.name, []) if self.ledger else []
        most = KEPT_CONSOLE[verdict.result in (FAIL, XFAIL, FLAKY)]
        return [clean(line) for line in lines[:most]]

    def as_json(self) -> Dict[str, Any]:
        """The cell for results.json."""
        verdicts = self.ledger.verdicts.values() if self.ledger else ()
        return {
            "label": self.label, "name": self.name, "given": self.given, "kernel": self.kernel,
            "commit": self.commit, "describe": self.describe, "compiler": self.compiler,
            "config": self.config, "arch": self.arch, "config_hash": self.config_hash,
            "qemu": self.qemu, "accelerator": self.accelerator, "seed": self.seed,
            "state": self.state, "reason": clean(self.reason), "unfit": self.unfit,
            "logs": self.logs,
            **{word: self.count(result) for result, word in WORDS.items()},
            "seconds": self.seconds,
            "tests": [{**test_as_json(verdict), "console": self.console_of(verdict)}
                      for verdict in verdicts],
            "diagnosis": self.diagnosis, "regressions": self.regressions,
            "remarks": [clean(line) for line in self.remarks],
        }


def test_as_json(verdict: Verdict) -> Dict[str, Any]:
    """A test for results.json."""
    return {
        "name": verdict.name, "result": WORDS[verdict.result], "ms": verdict.ms,
        "reason": clean(verdict.reason), "output": [clean(line) for line in verdict.output],
        "report": clean(verdict.report), "bugs": verdict.bugs, "known": clean(verdict.known),
        "again": verdict.again, "passed_again": verdict.passed_again,
    }


def verdict_from_json(test: Dict[str, Any]) -> Verdict:
    """The verdict of a test that results.json has."""
    results = {word: result for result, word in WORDS.items()}
    return Verdict(test["name"], results[test["result"]], test["ms"], test["reason"],
                   test["output"], test["report"], test["known"], test["again"],
                   test["passed_again"], test["bugs"])


def clean(text: str) -> str:
    """Without what JSON readers and XML do not take."""
    return CONTROL.sub(" ", text)


def totals(cells: Sequence[Cell]) -> str:
    """The last line of a run."""
    return totals_of({word: sum(cell.count(result) for cell in cells)
                      for result, word in WORDS.items()})


def totals_of(results: Mapping[str, Any]) -> str:
    """The same of what results.json has."""
    counts = {word: results[word] for word in WORDS.values()}
    return ", ".join(f"{count} {word}" for word, count in counts.items()
                     if count or word in (WORDS[OK], WORDS[FAIL], WORDS[SKIP]))


@dataclass
class About:
    """What results.json says of a run as a whole."""

    mode: str
    started: str
    seconds: int = 0
    seed: Optional[int] = None
    # the command line, and git describe of the checkout of hmmirror that ran it
    command: str = ""
    hmmirror: str = ""
    # names of all cells that the command line stands for
    planned: List[str] = field(default_factory=list)


def write_results(folder: Path, about: About, cells: Sequence[Cell]) -> Dict[str, Any]:
    """Writes results.json and its like, and returns what is in the former."""
    return write_json(folder, about, [cell.as_json() for cell in cells])


def write_json(folder: Path, about: About, cells: List[Dict[str, Any]]) -> Dict[str, Any]:
    """The same of cells as results.json has them."""
    results: Dict[str, Any] = {
        **asdict(about), **{word: sum(cell[word] for cell in cells) for word in WORDS.values()},
        "cells": cells, "differences": differences(cells),
    }
    with (folder / "results.json").open("w", encoding="utf-8") as file:
        json.dump(results, file, indent=2)
        file.write("\n")
    (folder / "junit.xml").write_text("\n".join(junit(results)) + "\n", encoding="utf-8")
    (folder / "results.ktap").write_text("\n".join(ktap(results)) + "\n", encoding="utf-8")
    return results


def why(test: Dict[str, Any]) -> str:
    """The reason of a verdict; an assertion is one, too."""
    if not test["reason"] and test["result"] in ("failed", "xfail", "flaky"):
        return str(test["output"][0]) if test["output"] else ""
    return str(test["reason"])


def by_test(cells: Sequence[Dict[str, Any]]) -> Dict[str, Dict[str, Dict[str, str]]]:
    """Of each test the result and reason in each cell that was run."""
    tests: Dict[str, Dict[str, Dict[str, str]]] = {}
    for cell in cells:
        if cell["state"] == "done":
            for test in cell["tests"]:
                tests.setdefault(test["name"], {})[cell["label"]] = {
                    "result": test["result"], "reason": why(test)}
    return dict(sorted(tests.items()))


def differences(cells: Sequence[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Tests whose result is not the same in all cells that have them."""
    return [{"test": name, "cells": results} for name, results in by_test(cells).items()
            if len({result["result"] for result in results.values()}) > 1]


def junit(results: Dict[str, Any]) -> List[str]:
    """A suite for each cell. A cell that could not be run has one test, which is an error."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>',
             f'<testsuites name="hmmirror" time="{results["seconds"]}">']
    for cell in results["cells"]:
        broken = cell["state"] != "done"
        label = html.escape(cell["label"])
        lines.append(f'<testsuite name="{label}" tests="{len(cell["tests"]) + broken}"'
                     f' failures="{cell["failed"]}" errors="{int(broken)}"'
                     f' skipped="{cell["skipped"] + cell["xfail"]}" time="{cell["seconds"]}">')
        lines.append(f"<properties>{junit_properties(cell)}</properties>")
        lines += [junit_case(label, test) for test in cell["tests"]]
        if broken:
            lines.append(f'<testcase classname="{label}" name="run" time="0">'
                         f'<error message="{html.escape(cell["reason"])}"/></testcase>')
        lines.append("</testsuite>")
    return [*lines, "</testsuites>"]


def junit_properties(cell: Dict[str, Any]) -> str:
    """Where the results of a cell come from, and the known bugs that it has."""
    properties = [(name, str(cell[name])) for name in PROVENANCE if cell[name]]
    properties += [(bug["word"], f"{bug['entry']}: {bug['fix']}")
                   for bug in cell["diagnosis"]["bugs"]]
    return "".join(f'<property name="{html.escape(name)}" value="{html.escape(value)}"/>'
                   for name, value in properties)


def junit_case(label: str, test: Dict[str, Any]) -> str:
    """One test. An expected failure is skipped, as pytest does it; a flaky one is Surefire's."""
    result = test["result"]
    reason = html.escape(test["reason"])
    head = (f'<testcase classname="{label}" name="{html.escape(test["name"])}"'
            f' time="{test["ms"] / 1000}"')
    output = html.escape("\n".join(test["output"]))
    if result == "failed":
        named = f' type="{html.escape(" ".join(test["bugs"]))}"' if test["bugs"] else ""
        return f'{head}><failure message="{reason}"{named}>{output}</failure></testcase>'
    if result == "flaky":
        return f'{head}><flakyFailure message="{reason}">{output}</flakyFailure></testcase>'
    if result == "xfail":
        known = html.escape(test["known"])
        return (f'{head}><skipped type="xfail" message="{known}"/>'
                f'<system-out>{output}</system-out></testcase>')
    if result == "skipped":
        return f'{head}><skipped message="{reason}"/></testcase>'
    return f"{head}/>"


def ktap(results: Dict[str, Any]) -> List[str]:
    """A test with subtests for each cell, as Documentation/dev-tools/ktap.rst has it.

    A cell that could not be run has one more subtest, which fails.
    """
    cells = results["cells"]
    lines = ["KTAP version 1", f"1..{len(cells)}"]
    for number, cell in enumerate(cells, 1):
        broken = cell["state"] != "done"
        label = ktap_name(cell["label"])
        lines += ["  KTAP version 1", f"  # Subtest: {label}",
                  f"  1..{len(cell['tests']) + broken}"]
        for place, test in enumerate(cell["tests"], 1):
            lines += [f"  {line}" for line in ktap_lines(place, test)]
        if broken:
            lines += [f"  # {note}" for note in ktap_notes([cell["reason"]])]
            lines.append(f"  not ok {len(cell['tests']) + 1} run")
        good = not broken and not cell["failed"]
        lines.append(f"{'ok' if good else 'not ok'} {number} {label}")
    return lines


def ktap_lines(number: int, test: Dict[str, Any]) -> List[str]:
    """One test, with why it did not pass before it."""
    directives = {"skipped": f" # SKIP {test['reason']}", "xfail": f" # XFAIL {test['known']}"}
    notes = [*filter(None, [test["reason"]]), *test["output"]] \
        if test["result"] in ("failed", "xfail", "flaky") else []
    word = "not ok" if test["result"] == "failed" else "ok"
    return [*(f"# {note}" for note in ktap_notes(notes)),
            f"{word} {number} {ktap_name(test['name'])}{directives.get(test['result'], '')}"]


def ktap_name(name: str) -> str:
    """KTAP has no way to write a # that is no directive."""
    return name.replace("#", "_")


def ktap_notes(notes: Sequence[str]) -> List[str]:
    """Lines for people, without those that a parser would act on."""
    return [note for note in notes if not KTAP_WORDS.search(note)]


def by_result(results: Dict[str, Dict[str, str]], labels: Sequence[str]) -> str:
    """The cells by result, worst first: "FAIL 6.12, 7.2; ok 6.1"."""
    parts = []
    for result in (FAIL, FLAKY, XFAIL, SKIP, OK):
        cells = [label for label in labels
                 if results.get(label, {}).get("result") == WORDS[result]]
        if cells:
            parts.append(f"{result} {', '.join(cells)}")
    return "; ".join(parts)


def standing_out(results: Dict[str, Any]) -> List[str]:
    """What a reader of several cells wants to know: failures, and skips on some cells only."""
    labels = [cell["label"] for cell in results["cells"] if cell["state"] == "done"]
    tests = by_test(results["cells"])
    failed = {name: cells for name, cells in tests.items()
              if any(cell["result"] == "failed" for cell in cells.values())}
    lines = ["failed:"] if failed else []
    for name, cells in failed.items():
        lines.append(f"  {name}  {by_result(cells, labels)}")
        reasons = sorted({cell["reason"] for cell in cells.values()
                          if cell["result"] == "failed" and cell["reason"]})
        lines += [f"      {reason}" for reason in reasons[:2]]
    groups: Dict[str, List[str]] = {}
    for difference in results["differences"]:
        if difference["test"] not in failed:
            groups.setdefault(by_result(difference["cells"], labels), []).append(difference["test"])
    if groups:
        lines.append("passed on some and skipped on others:")
    for where, names in sorted(groups.items(), key=lambda group: -len(group[1])):
        lines.append(f"  {len(names)} test{'s' if len(names) > 1 else ''}: {where}")
        subjects: Dict[str, int] = {}
        for name in names:
            subject = name.split(".")[0]
            subjects[subject] = subjects.get(subject, 0) + 1
        lines.append("      " + ", ".join(f"{subject} ({count})"
                                          for subject, count in subjects.items()))
    return lines


def all_differences(results: Dict[str, Any]) -> List[str]:
    """Each test that failed or ended differently, with each cell's reason."""
    labels = [cell["label"] for cell in results["cells"] if cell["state"] == "done"]
    differing = {difference["test"] for difference in results["differences"]}
    words = {word: result for result, word in WORDS.items()}
    lines = []
    for name, cells in by_test(results["cells"]).items():
        if name in differing or any(cell["result"] == "failed" for cell in cells.values()):
            lines.append(name)
            lines += [f"    {words[cells[label]['result']]}\t{label}\t{cells[label]['reason']}"
                      for label in labels if label in cells]
    return lines
