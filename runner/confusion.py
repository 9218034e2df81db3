# SPDX-License-Identifier: GPL-2.0
"""The confusion table: which bug was brought in, and which ones were named.

Each row is one bug in one kernel, on which the whole suite ran. A bug that cannot be told from the
one brought in, or a wrong one, would stand beside it.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Sequence

from runner.catalogue import Bug
from runner.diagnosis import Diagnosis, Known, diagnose, unconfirmed
from runner.results import FAIL, Verdict
from runner.signature import Signature, release_key

HEAD = """\
# Bugs brought in, and bugs named

Written by `./run_tests.sh --reintroduce all --confusion{kernels}`; not edited by hand. Each row is a
kernel into which one entry of `regressions/` was brought back, and on which the whole suite ran.

- **failures**: tests that failed. A program of which three tests hung or took the guest with them
  is not gone on with.
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
    verdicts: List[Verdict]
    # the catalogue, and what the source with the bug says of each entry
    knowns: List[Known]

    def without_this_kernel(self) -> List[Known]:
        """As if nothing had been recorded on this kernel, and there were no source."""
        knowns = []
        for known in unconfirmed(self.knowns):
            signature = known.signature and known.signature.without(self.kernel)
            knowns.append(Known(known.bug, signature or Signature(), known.source))
        return knowns

    def diagnoses(self, signatures: Dict[str, Signature]) -> List[Diagnosis]:
        """By behaviour, with the source, and by the other kernels."""
        known = [Known(one.bug, signatures.get(one.bug.name), one.source) for one in self.knowns]
        seen = BroughtIn(self.bug, self.kernel, self.verdicts, known)
        return [diagnose(self.verdicts, knowns, self.kernel)
                for knowns in (unconfirmed(known), known, seen.without_this_kernel())]


def names(diagnosis: Diagnosis, bug: Bug) -> str:
    """The entries that were named; those that should not have been stand out."""
    words = []
    for finding in diagnosis.findings:
        shown = " or ".join(f"`{one.name}`" if one.name == bug.name else f"**`{one.name}`**"
                            for one in finding.bugs)
        words.append(f"{shown} {len(finding.tests)}")
    return ", ".join(words) or "-"


def confusion_table(rows: Sequence[BroughtIn], signatures: Dict[str, Signature]) -> str:
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
            done = row.diagnoses(signatures)
            failures = sum(verdict.result == FAIL for verdict in row.verdicts)
            for column, diagnosis in enumerate(done):
                named = [finding.bugs for finding in diagnosis.findings]
                found[column] += any(row.bug.name in [bug.name for bug in bugs] for bugs in named)
                wrong[column] += sum(row.bug.name not in [bug.name for bug in bugs]
                                     for bugs in named)
            lines.append(f"| `{row.bug.name}` | {failures} | " +
                         " | ".join(names(diagnosis, row.bug) for diagnosis in done) + " | " +
                         ", ".join(str(len(diagnosis.unexplained)) for diagnosis in done) + " |")
        lines.append("")
    lines += ["## In all", "", "| | without the source | with the source | by the other kernels |",
              "| --- | --- | --- | --- |",
              f"| bugs brought in | {len(rows)} | {len(rows)} | {len(rows)} |",
              f"| named rightly | {' | '.join(map(str, found))} |",
              f"| wrong names | {' | '.join(map(str, wrong))} |", ""]
    return "\n".join(lines)
