# SPDX-License-Identifier: GPL-2.0
"""Do the checks of regressions/ tell a source with the bug from one without?

For each entry, and each kernel of its line "kernels:" whose source is in the cache: its check has
to say "fixed" of the source as it is, and "bug" once the semantic patch has brought the bug back.
Only copies of the files that the entry names are patched.

    python3 -m runner.tests.source_checks SOURCES [FOLDER...]

SOURCES is the cache's folder source/, with linux-6.1 and so on; each FOLDER is an entry, all of
regressions/ without one.
"""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, List, Tuple

from runner.catalogue import Bug, all_bugs
from runner.sourcecheck import BUG, FIXED, NO_CHECK, Answer, Check, read_file, reader_of

ROOT = Path(__file__).resolve().parents[2]


def with_bug(bug: Bug, check: Check, tree: Path) -> Tuple[Answer, bool]:
    """What the check says of a tree with the bug, and whether the patch changed anything."""
    with tempfile.TemporaryDirectory() as name:
        patched: Dict[str, Path] = {}
        changed = False
        for file in bug.files:
            if (tree / file).exists():
                copy = Path(name, file)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(tree / file, copy)
                subprocess.run(bug.spatch(copy), check=True, capture_output=True)
                patched[file] = copy
                changed = changed or read_file(copy) != read_file(tree / file)
        # files of the copy stand before those of the tree
        copies, original = reader_of(Path(name)), reader_of(tree)
        answer = check.answer(lambda file: copies(file) if file in patched else original(file))
    return answer, changed


def problems(bug: Bug, tree: Path) -> List[str]:
    """What is wrong with an entry's check on a tree."""
    where = f"{bug.name} on {tree.name}"
    check = bug.check
    if not check:
        return [f"{where}: {NO_CHECK.reason}"]
    found: List[str] = []
    answer = check.answer(reader_of(tree))
    if answer.word != FIXED:
        found.append(f"{where}: it says {answer.word} of the source as it is {answer.reason}")
    answer, changed = with_bug(bug, check, tree)
    if not changed:
        found.append(f"{where}: bug.cocci changes nothing")
    elif answer.word != BUG:
        found.append(f"{where}: it says {answer.word} of the source with the bug {answer.reason}")
    return found


def main(arguments: List[str]) -> int:
    """Prints what is wrong; 0 if nothing is."""
    sources = Path(arguments[0])
    bugs = [Bug.read(Path(folder)) for folder in arguments[1:]] or all_bugs(ROOT / "regressions")
    pairs = [(bug, tree) for bug in bugs for tree in (sources / f"linux-{kernel}"
                                                      for kernel in bug.kernels)
             if (tree / "mm").is_dir()]
    looked_at = {bug.name for bug, _ in pairs}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda pair: problems(*pair), pairs))
    lines = [line for result in results for line in result]
    lines += [f"{bug.name}: no check" for bug in bugs if bug.name not in looked_at and not bug.check]
    for line in lines:
        print(line)
    print(f"{len(pairs)} pairs of entry and kernel, {len(lines)} problems")
    return 1 if lines or not pairs else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
