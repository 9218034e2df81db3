# SPDX-License-Identifier: GPL-2.0
"""The confusion table: which bug was brought in, and which ones were named.

Each row is one bug in one kernel, on which the whole suite ran. A bug that cannot be told from the
one brought in, or a wrong one, would stand beside it.
"""
from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, FrozenSet, Iterable, List, Mapping, Sequence, Set

from runner.cache import hash_text
from runner.catalogue import Bug
from runner.diagnosis import Diagnosis, Known, explain
from runner.errors import Failure
from runner.names import base_name
from runner.results import FAIL, OK, Verdict
from runner.signature import Signature, Symptom, release_key, symptoms_of
from runner.sourcecheck import BUG, FIXED, Answer

HEAD = """\
# Bugs brought in, and bugs named

Written by `./run_tests.sh --reintroduce all --confusion{kernels}` from what is recorded in
`confusion/`; not edited by hand. Each row is a kernel into which one entry of `regressions/` was
brought back, and on which the whole suite ran.

- **failures**: tests that failed, and pass without the bug. A program of which three tests hung or
  took the guest with them is not gone on with, and nothing after twelve such tests of all programs.
- **named**: entries that the diagnosis put failures under, with their number: what it says if the
  kernel's source is not there, and then if it is.
- **by the other kernels**: the same without the source, and without what was recorded on this
  release: would the bug be named on a kernel that nobody has recorded?
- **not explained**: failures without a name, in the order of the three columns.

A name that is not the entry's own is in **bold**; `or` stands between entries that nothing tells
apart.
"""


@dataclass(frozen=True)
class BroughtIn:
    """The whole suite on a kernel with one bug."""

    bug: Bug
    kernel: str
    failed: Mapping[str, FrozenSet[Symptom]]
    passed: FrozenSet[str]
    # what the source with the bug says of each entry
    sources: Mapping[str, str]

    def knowns(self, bugs: Iterable[Bug], signatures: Mapping[str, Signature]) -> List[Known]:
        """The catalogue as it is now."""
        return [Known(bug, signatures.get(bug.name), Answer(self.sources[bug.name]))
                if bug.name in self.sources else Known(bug, signatures.get(bug.name))
                for bug in bugs]

    def diagnoses(self, bugs: Iterable[Bug], signatures: Mapping[str, Signature]) \
            -> List[Diagnosis]:
        """By behaviour, with the source, and by the other kernels."""
        knowns = self.knowns(bugs, signatures)
        unseen = [Known(one.bug, one.signature) for one in knowns]
        others = [Known(one.bug, one.signature.without(self.kernel) or Signature()
                        if one.signature else Signature()) for one in knowns]
        return [explain(self.failed, set(self.passed), which, self.kernel)
                for which in (unseen, knowns, others)]


def seen(bug: Bug, kernel: str, verdicts: Iterable[Verdict], counting: Iterable[str],
         knowns: Iterable[Known]) -> BroughtIn:
    """What counts of a run of the whole suite with a bug: a kernel has bugs of its own, too."""
    verdicts, counting = list(verdicts), set(counting)
    failed = {verdict.name: symptoms_of(verdict) for verdict in verdicts
              if verdict.result == FAIL and verdict.name in counting}
    passed = {base_name(verdict.name) for verdict in verdicts if verdict.result == OK}
    return BroughtIn(bug, kernel, failed,
                     frozenset(passed - {base_name(name) for name in failed}),
                     {known.bug.name: known.source.word for known in knowns
                      if known.source.word in (BUG, FIXED)})


@dataclass
class Record:
    """What was seen with bugs on one kernel: a file to which later runs add, on any machine."""

    path: Path
    kernel: str

    def __post_init__(self) -> None:
        # the tests that passed with most bugs, and of each bug what differs
        self._passed: Set[str] = set()
        self._bugs: Dict[str, Dict[str, Any]] = {}
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        try:
            found = json.loads(text)
            self._passed, self._bugs = set(found["passed"]), dict(found["bugs"])
        except (ValueError, KeyError, TypeError) as error:
            raise Failure(f"{self.path} is not what --confusion has written ({error}); take it back "
                          "from git, or remove it to begin anew") from None

    def has(self, bug: Bug) -> bool:
        """Is the bug there, as its semantic patch is now?"""
        return bug.name in self._bugs and bool(self._bugs[bug.name]["patch"] == patch_of(bug))

    def add(self, row: BroughtIn) -> None:
        """Keeps a row, in the place of an older one."""
        if not self._bugs:
            self._passed = set(row.passed)
        self._bugs[row.bug.name] = {
            "patch": patch_of(row.bug),
            "failed": {name: [[one.kind, one.text] for one in sorted(symptoms)]
                       for name, symptoms in sorted(row.failed.items())},
            "did not pass": sorted(self._passed - row.passed - set(row.failed)),
            "passed": sorted(row.passed - self._passed),
            "bug": sorted(name for name, word in row.sources.items() if word == BUG),
            "fixed": sorted(name for name, word in row.sources.items() if word == FIXED),
        }
        self._write()

    def drop(self, bug: Bug) -> None:
        """What was seen of it is not true any more."""
        if self._bugs.pop(bug.name, None):
            self._write()

    def _write(self) -> None:
        lines = [f"{json.dumps(name)}: {json.dumps(row)}" for name, row in sorted(self._bugs.items())]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole = ",\n".join(lines)
        # Ctrl-C leaves the old file or the new one
        new = self.path.with_suffix(".new")
        new.write_text(f'{{"passed": {json.dumps(sorted(self._passed))},\n"bugs": {{\n'
                       f"{whole}\n}}}}\n", encoding="utf-8")
        new.replace(self.path)

    def rows(self, bugs: Iterable[Bug]) -> List[BroughtIn]:
        """All that are there."""
        return [self._row(bug) for bug in bugs if self.has(bug)]

    def _row(self, bug: Bug) -> BroughtIn:
        row = self._bugs[bug.name]
        failed = {name: frozenset(Symptom(kind, text) for kind, text in symptoms)
                  for name, symptoms in row["failed"].items()}
        passed = (self._passed | set(row["passed"])) - set(row["did not pass"]) - set(failed)
        sources = {name: BUG for name in row["bug"]}
        sources.update({name: FIXED for name in row["fixed"]})
        return BroughtIn(bug, self.kernel, failed, frozenset(passed), sources)


def patch_of(bug: Bug) -> str:
    """The state of what brings a bug back."""
    return hash_text((bug.folder / "bug.cocci").read_text(encoding="utf-8"))[:12]


def all_records(folder: Path) -> List[Record]:
    """Of all kernels."""
    return [Record(path, path.stem) for path in sorted(folder.glob("*.json"))]


def names(diagnosis: Diagnosis, bug: Bug) -> str:
    """The entries that were named; those that should not have been stand out."""
    words = []
    for finding in diagnosis.findings:
        shown = " or ".join(f"`{one.name}`" if one.name == bug.name else f"**`{one.name}`**"
                            for one in finding.bugs)
        words.append(f"{shown} {len(finding.tests)}")
    return ", ".join(words) or "-"


def confusion_table(rows: Sequence[BroughtIn], bugs: Sequence[Bug],
                    signatures: Mapping[str, Signature]) -> str:
    """The document."""
    kernels = sorted({row.kernel for row in rows}, key=release_key)
    lines = [HEAD.format(kernels="".join(f" -k {kernel}" for kernel in kernels))]
    wrong = [0, 0, 0]
    found = [0, 0, 0]
    for kernel in kernels:
        lines += [f"## {kernel}", "",
                  "| brought in | failures | named without the source | named with the source | "
                  "by the other kernels | not explained |", "| --- | --- | --- | --- | --- | --- |"]
        for row in rows:
            if row.kernel != kernel:
                continue
            done = row.diagnoses(bugs, signatures)
            for column, diagnosis in enumerate(done):
                named = [finding.bugs for finding in diagnosis.findings]
                found[column] += any(row.bug.name in [bug.name for bug in bugs] for bugs in named)
                wrong[column] += sum(row.bug.name not in [bug.name for bug in bugs]
                                     for bugs in named)
            lines.append(f"| `{row.bug.name}` | {len(row.failed)} | " +
                         " | ".join(names(diagnosis, row.bug) for diagnosis in done) + " | " +
                         ", ".join(str(len(diagnosis.unexplained)) for diagnosis in done) + " |")
        lines.append("")
    lines += ["## In all", "", "| | without the source | with the source | by the other kernels |",
              "| --- | --- | --- | --- |",
              f"| bugs brought in | {len(rows)} | {len(rows)} | {len(rows)} |",
              f"| named rightly | {' | '.join(map(str, found))} |",
              f"| wrong names | {' | '.join(map(str, wrong))} |", ""]
    return "\n".join(lines)
