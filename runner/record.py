# SPDX-License-Identifier: GPL-2.0
"""Records how tests fail on a kernel that has a bug of regressions/ by itself.

Such a kernel can fail in another way than those into which --reintroduce brings the bug. Whoever
has read in its source that these failures are the bug adds them to the signature of the entry:

    python3 -m runner.record TREE RESULTS regressions/NAME [TEST...]

TREE is the kernel's source, whose check must say that it has the bug. RESULTS is the results.json
of a run on that kernel alone. TEST is a name or a glob; without one, those of the entry.
"""
from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import List, Sequence

from runner.arch import find_arch
from runner.catalogue import Bug
from runner.errors import Failure
from runner.names import matches
from runner.results import FAIL, Verdict, verdict_from_json
from runner.signature import Signature, read_signature, symptoms_of
from runner.sourcecheck import BUG, NO_CHECK, reader_of


def record(bug: Bug, kernel: str, verdicts: Sequence[Verdict], globs: Sequence[str]) -> List[str]:
    """Adds the failures of these tests to the signature of a bug; their names."""
    failed = {verdict.name: symptoms_of(verdict) for verdict in verdicts
              if verdict.result == FAIL and matches(verdict.name, globs or bug.tests)}
    if failed:
        signature = read_signature(bug.signature_file) or Signature()
        signature.record(kernel, failed, failed)
        bug.signature_file.write_text(signature.text(), encoding="utf-8")
    return sorted(failed)


def kernel_of(label: str) -> str:
    """What a kernel is recorded by: its label, but 6.1 for 6.1.192-3 of a package, as
    --reintroduce records it."""
    return re.sub(r"^(\d+\.\d+)[\d.]*(-\d+|~.*)$", r"\1", label)


def main(arguments: Sequence[str]) -> int:
    """Prints what was recorded; 0 if anything was."""
    if len(arguments) < 3:
        print(__doc__)
        return 2
    tree, results, entry, *globs = arguments
    bug = Bug.read(Path(entry))
    answer = bug.check.answer(reader_of(Path(tree))) if bug.check else NO_CHECK
    if answer.word != BUG:
        raise Failure(f"{bug.name}: its check says {answer.word} of {tree} {answer.reason}".rstrip())
    cells = json.loads(Path(results).read_text(encoding="utf-8"))["cells"]
    if len(cells) != 1:
        raise Failure(f"{results} has {len(cells)} kernels; record one at a time")
    mark = find_arch(cells[0].get("arch", "")).mark
    label = "+".join(filter(None, [kernel_of(cells[0]["label"]), mark, cells[0].get("config", "")]))
    names = record(bug, label, [verdict_from_json(test) for test in cells[0]["tests"]], globs)
    print("\n".join(names) or f"none of the tests of {bug.name} failed")
    return 0 if names else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Failure as failure:
        sys.exit(f"record: {failure}")
