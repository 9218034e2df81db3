# SPDX-License-Identifier: GPL-2.0
"""From failures to the known bugs of the kernel that they are.

What was seen comes first: a failure is put under an entry of regressions/ only if the entry's
signature has this test failing in this way. The kernel's source, where it is there, confirms that
or refutes it. What only one of both says "looks like" a bug.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, FrozenSet, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from runner.catalogue import Bug
from runner.names import base_name, matches, short_names
from runner.results import FAIL, FLAKY, OK, SKIP, XFAIL, Verdict
from runner.signature import Signature, Symptom, read_signature, symptoms_of
from runner.sourcecheck import BUG, FIXED, NO_CHECK, NO_SOURCE, Answer, reader_of

FAILURES = (FAIL, XFAIL, FLAKY)
IS, LOOKS_LIKE = "is", "looks like"
PRESENT, ABSENT = "present", "fixed"
CANNOT_TELL = "cannot be told here"


@dataclass(frozen=True)
class Known:
    """A bug, what fails with it, and what the source of the kernel says."""

    bug: Bug
    signature: Optional[Signature] = None
    source: Answer = NO_SOURCE


@dataclass
class Finding:
    """Failures that have a name. There are several bugs if they cannot be told apart."""

    bugs: List[Bug]
    word: str
    tests: List[str]


@dataclass
class Diagnosis:
    """All failures of a run on one kernel."""

    findings: List[Finding] = field(default_factory=list)
    unexplained: List[str] = field(default_factory=list)
    # of an unexplained failure, what else is known about it
    notes: Dict[str, str] = field(default_factory=dict)

    def as_json(self) -> Dict[str, Any]:
        """For results.json."""
        return {
            "bugs": [{"entry": bug.name, "word": finding.word, "fix": bug.fix,
                      "commit": bug.commit, "tests": finding.tests}
                     for finding in self.findings for bug in finding.bugs],
            "unexplained": self.unexplained,
        }

    def lines(self) -> List[str]:
        """For people; none if nothing failed."""
        shown: List[str] = []
        width = max((len(bug.name) for finding in self.findings for bug in finding.bugs), default=0)
        for word, one, many in ((IS, "is a known bug of the kernel", "are known bugs of the kernel"),
                                (LOOKS_LIKE, "looks like a known bug of the kernel",
                                 "look like known bugs of the kernel")):
            findings = [finding for finding in self.findings if finding.word == word]
            tests = sum(len(finding.tests) for finding in findings)
            if findings:
                shown.append(f"{failures(tests)} {one if tests == 1 else many}:")
            for finding in findings:
                shown += finding_lines(finding, width)
        if self.unexplained:
            verb = "is" if len(self.unexplained) == 1 else "are"
            shown.append(f"{failures(len(self.unexplained))} {verb} not explained by any known bug")
            shown += [f"  {name}: {note}" for name, note in self.notes.items()]
        return shown


def failures(count: int) -> str:
    """With their number."""
    return f"{count} failure{'' if count == 1 else 's'}"


def finding_lines(finding: Finding, width: int) -> List[str]:
    """A bug with its tests, and its fix."""
    lines = []
    for bug in finding.bugs:
        rest = short_names(finding.tests) if bug is finding.bugs[0] else "or this one"
        lines += [f"  {bug.name:<{width}}   {rest}", f"    fix: {bug.fix_line}"]
    return lines


@dataclass
class Candidate:
    """A bug that may be the reason of some failures."""

    known: Known
    tests: List[str]
    # tests that fail with it, and passed here
    passed: int

    @property
    def word(self) -> str:
        """How sure it is."""
        confirmed = self.known.source.word == BUG and self.known.signature is not None
        return IS if confirmed else LOOKS_LIKE

    def rank(self, left: Set[str]) -> Tuple[bool, int, int]:
        """The better explanation comes first."""
        return (self.word != IS, self.passed, -len(left.intersection(self.tests)))


def diagnose(verdicts: Iterable[Verdict], knowns: Sequence[Known], kernel: str) -> Diagnosis:
    """Puts each failure under a bug, or says that none explains it."""
    failed: Dict[str, FrozenSet[Symptom]] = {}
    passed: Set[str] = set()
    counting: Set[str] = set()
    for verdict in verdicts:
        if verdict.result == FAIL:
            counting.add(verdict.name)
        if verdict.result in FAILURES:
            failed[verdict.name] = symptoms_of(verdict)
        elif verdict.result == OK:
            passed.add(base_name(verdict.name))
    passed -= {base_name(name) for name in failed}
    done = explain(failed, passed, knowns, kernel)
    # what does not count needs no explanation
    done.unexplained = [name for name in done.unexplained if name in counting]
    for name in done.unexplained:
        note = note_on(name, failed[name], knowns)
        if note:
            done.notes[name] = note
    return done


def explain(failed: Mapping[str, FrozenSet[Symptom]], passed: Set[str], knowns: Sequence[Known],
            kernel: str) -> Diagnosis:
    """The same of symptoms."""
    candidates = [one for one in (candidate(known, failed, passed, kernel) for known in knowns)
                  if one]
    done = Diagnosis()
    left = set(failed)
    while True:
        candidates = [one for one in candidates if left.intersection(one.tests)]
        if not candidates:
            break
        best = min(candidates, key=lambda one: one.rank(left))
        tests = left.intersection(best.tests)
        # what explains the same as well as the best does cannot be told from it
        alike = [one for one in candidates if one.rank(left) == best.rank(left) and
                 left.intersection(one.tests) == tests]
        done.findings.append(Finding([one.known.bug for one in alike], best.word,
                                     [name for name in failed if name in tests]))
        left -= tests
    done.unexplained = [name for name in failed if name in left]
    return done


def candidate(known: Known, failed: Mapping[str, FrozenSet[Symptom]], passed: Set[str],
              kernel: str) -> Optional[Candidate]:
    """The failures that a bug explains, if it is not refuted."""
    if known.source.word == FIXED:
        return None
    signature = known.signature
    if not signature:
        # nobody has recorded how its tests fail: only the source says so
        tests = [name for name in failed if matches(base_name(name), known.bug.tests)]
        return Candidate(known, tests, 0) if tests and known.source.word == BUG else None
    # the same report is the same bug in whatever test: in one that was not there when the bug was
    # recorded, or in the first one to come there
    tests = [name for name, symptoms in failed.items()
             if signature.has(base_name(name), symptoms) or signature.has_report(symptoms)]
    contradicting = len(signature.expected(kernel) & passed)
    if not tests or (contradicting and known.source.word != BUG):
        return None
    return Candidate(known, tests, contradicting)


def note_on(name: str, symptoms: FrozenSet[Symptom], knowns: Sequence[Known]) -> str:
    """What helps somebody who looks at a failure without a name."""
    for known in knowns:
        signature = known.signature
        if not signature:
            continue
        if known.source.word == FIXED and signature.has(base_name(name), symptoms):
            return f"fails as with {known.bug.name}, and the source has that fix"
        if known.source.word == BUG and matches(base_name(name), known.bug.tests):
            return f"the source has {known.bug.name}, with which it fails in another way"
    return ""


@dataclass(frozen=True)
class Standing:
    """What is known about one entry on one kernel: --regressions."""

    bug: Bug
    # PRESENT, ABSENT or CANNOT_TELL, with "looks" before one that only one of both says
    word: str
    reason: str

    def as_json(self) -> Dict[str, str]:
        """For results.json."""
        return {"entry": self.bug.name, "answer": self.word, "reason": self.reason}

    def __str__(self) -> str:
        return f"{self.word:<19}  {self.bug.name:<36} {self.reason}"


def standing(known: Known, verdicts: Iterable[Verdict], diagnosis: Diagnosis,
             missing: Sequence[str] = ()) -> Standing:
    """Is the bug in this kernel? missing: options that it needs and the kernel lacks."""
    bug, source = known.bug, known.source
    found = [verdict for verdict in verdicts if matches(base_name(verdict.name), bug.tests)]
    named = [name for finding in diagnosis.findings if bug in finding.bugs
             for name in finding.tests]
    failed = [verdict.name for verdict in found if verdict.result in FAILURES]
    passed = [verdict for verdict in found if verdict.result == OK]
    skipped = [verdict for verdict in found if verdict.result == SKIP]
    says = {BUG: "the source has the bug", FIXED: "the source has the fix"}.get(
        source.word, source.reason)
    if missing:
        return Standing(bug, CANNOT_TELL, f"the kernel is built without {' '.join(missing)}; {says}")
    if named:
        sure = PRESENT if source.word == BUG and known.signature else f"looks {PRESENT}"
        return Standing(bug, sure, f"{short_names(named)}; {says}")
    tests = f"{len(passed)} passed, {len(skipped)} skipped"
    if skipped and not passed:
        tests = f"{len(skipped)} skipped: {skipped[0].reason}"
    if failed:
        how = "in another way" if known.signature else "and no signature is recorded"
        tests = f"{short_names(failed)} fails {how}"
    if source.word == BUG:
        return Standing(bug, f"looks {PRESENT}", f"{says}; {tests}")
    if passed and not failed:
        sure = ABSENT if source.word == FIXED else f"looks {ABSENT}"
        return Standing(bug, sure, f"{tests}; {says}")
    if source.word == FIXED and not failed:
        return Standing(bug, f"looks {ABSENT}", f"{says}; {tests}")
    return Standing(bug, CANNOT_TELL, f"{tests}; {says}")


def summary(standings: Sequence[Standing]) -> str:
    """How many entries have which answer."""
    counts: Dict[str, int] = {}
    for one in standings:
        counts[one.word] = counts.get(one.word, 0) + 1
    words = [PRESENT, f"looks {PRESENT}", ABSENT, f"looks {ABSENT}", CANNOT_TELL]
    many = "entry" if len(standings) == 1 else "entries"
    return f"{len(standings)} {many}: " + ", ".join(
        f"{counts[word]} {word}" for word in words if word in counts)


def has_source(tree: Optional[Path]) -> bool:
    """Is it a whole source tree? Headers for modules are not."""
    return bool(tree and (tree / "mm/memory.c").is_file())


def know(bugs: Iterable[Bug], tree: Optional[Path]) -> List[Known]:
    """What is known of these bugs, and what the source of a kernel says of them."""
    knowns = []
    read = reader_of(tree) if tree and has_source(tree) else None
    for bug in bugs:
        check = bug.check
        source = NO_SOURCE
        if read:
            source = check.answer(read) if check else NO_CHECK
        knowns.append(Known(bug, read_signature(bug.signature_file), source))
    return knowns
