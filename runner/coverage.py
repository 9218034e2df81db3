# SPDX-License-Identifier: GPL-2.0
"""--coverage: which branch outcomes of the walker the tests took.

The kernel counts in the files below. When its tests are over, each guest sends the counts; here
they are added up, shown by gcovr, and compared with the list of what nothing can take. An outcome
is known by its function, the text of its line, and its place among the outcomes of that line, so
that the list holds for kernels in which the line stands elsewhere.
"""
from __future__ import annotations

import base64
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Set, Tuple

from runner import packages
from runner.arch import Arch
from runner.config import read
from runner.errors import Failure
from runner.host import Host
from runner.kernel import Kernel
from runner.packages import needs
from runner.results import FAIL, OK, Ledger, Verdict

LIST = "runner/unreachable.txt"
NEEDS = needs("gcovr:gcovr gcov-tool:gcc")
# percent of the outcomes that are not listed
WANTED = {"hmm": 100, "migrate_device": 95}

# function, text of the line, place, of how many
Key = Tuple[str, str, int, int]


def config_name(kernel: Kernel, name: str) -> str:
    """The config of a kernel that counts."""
    if kernel.is_ours:
        return f"gcov+{name}" if name else "gcov"
    if not (kernel.build / "mm/hmm.gcno").exists():
        raise Failure(f"--coverage: {kernel.name} was built without counting; give a source tree or "
                      "a release")
    return name


def counted_files(kernel: Kernel) -> List[str]:
    """Before 5.16 migrate.c has what is in migrate_device.c since."""
    assert kernel.source
    there = (kernel.source / "mm/migrate_device.c").exists()
    return ["hmm", "migrate_device" if there else "migrate"]


def save_counts(folder: Path, guest: str, line: str) -> None:
    """Keeps "PATH BASE64", the counts of one file from one guest; a later boot's are beside them."""
    name, _, data = line.partition(" ")
    number = 0
    while (folder / f"guest.{guest}.{number}/mm" / Path(name).name).exists():
        number += 1
    to = folder / f"guest.{guest}.{number}/mm"
    to.mkdir(parents=True, exist_ok=True)
    (to / Path(name).name).write_bytes(base64.b64decode(data))


async def merge_counts(host: Host, arch: Arch, folder: Path) -> Path:
    """The counts of all guests, added up."""
    guests = sorted(folder.glob("guest.*"))
    if not guests:
        raise Failure("no guest lived to tell its counts")
    merged = folder / "counts"
    shutil.copytree(guests[0], merged)
    for guest in guests[1:]:
        new = folder / "counts.new"
        if await host.run("adding the counts", [f"{arch.prefix}gcov-tool", "merge", "-o", str(new),
                                                str(merged), str(guest)], folder / "log"):
            raise Failure(f"gcov-tool cannot add the counts; see {folder / 'log'}")
        shutil.rmtree(merged)
        new.rename(merged)
    return merged


async def report(host: Host, kernel: Kernel, logs: Path, ledger: Ledger) -> None:
    """Text, HTML and JSON with the logs, and a verdict for each file.

    Of migrate.c only a part is about devices, so that there is none of it.
    """
    assert kernel.source
    await packages.require(host, [*NEEDS, *packages.cross(kernel.arch)])
    folder = logs / "coverage"
    counts = await merge_counts(host, kernel.arch, folder)
    filters: List[str] = []
    for name in counted_files(kernel):
        notes = kernel.build / f"mm/{name}.gcno"
        if not notes.exists():
            raise Failure(f"{notes} is not there; remove {host.cache.path / 'kernel'} and try again")
        shutil.copy(notes, counts / "mm")
        filters += ["--filter", rf".*/mm/{name}\.c"]
    if await host.run("gcovr", [
            "gcovr", "--gcov-executable", f"{kernel.arch.prefix}gcov",
            "--root", str(kernel.source), *filters, "--branches", "--txt", "summary.txt",
            "--json", "counts.json", "--json-pretty", "--html-details", "index.html", "counts"],
            folder / "log", cwd=folder):
        raise Failure(f"gcovr failed; see {folder / 'log'}")
    config = set(read(kernel.build / ".config").splitlines())
    listed = read_list(host.root / LIST, config)
    measured = json.loads(read(folder / "counts.json"))["files"]
    for name in counted_files(kernel):
        percent = WANTED.get(name)
        if percent is not None:
            file = f"mm/{name}.c"
            data = next(entry for entry in measured if entry["file"].endswith(file))
            judged = Judged(file, read_outcomes(data, read(kernel.source / file)), listed, percent)
            text = "\n".join(judged.lines())
            (folder / f"branches.{name}.txt").write_text(f"{text}\n", encoding="utf-8")
            ledger.tell(text)
            test = "coverage" if name == "hmm" else f"coverage.{name}"
            reason = "" if judged.is_good else \
                f"less than {percent} % of the outcomes taken, or some that are listed"
            ledger.record(Verdict(test, OK if judged.is_good else FAIL, 0, reason))
    host.terminal.say(f"source with counts: {folder / 'index.html'}")


def read_outcomes(data: Dict[str, Any], source: str) -> Dict[Key, Tuple[int, bool]]:
    """Of each outcome its line, and whether it was taken."""
    text = [" ".join(line.split()) for line in source.splitlines()]
    starts = sorted((function["lineno"], function["name"]) for function in data["functions"])
    outcomes: Dict[Key, Tuple[int, bool]] = {}
    seen: Dict[Tuple[str, str], int] = {}
    for line in data["lines"]:
        branches, number = line["branches"], line["line_number"]
        if not branches:
            continue
        function = [name for start, name in starts if start <= number][-1]
        what = text[number - 1]
        # the same words twice in one function
        nth = seen[function, what] = seen.get((function, what), 0) + 1
        if nth > 1:
            what += f" #{nth}"
        for place, branch in enumerate(branches, 1):
            outcomes[function, what, place, len(branches)] = (number, branch["count"] > 0)
    return outcomes


def read_list(path: Path, config: Set[str]) -> Dict[Key, str]:
    """Why nothing can take an outcome, for those whose condition holds in this config.

    A condition is [CONFIG_X] or [no CONFIG_X] in front of a reason.
    """
    reasons: Dict[Key, str] = {}
    head: List[str] = []
    key = None
    for number, line in enumerate(read(path).splitlines(), 1):
        if line.startswith("#") or not line.strip():
            continue
        if not line[0].isspace():
            head = line.strip().split(": ", 1)
            if len(head) != 2:
                raise Failure(f"{path}:{number}: a line is 'function: source line'")
            continue
        outcome = re.fullmatch(r"(\d+)/(\d+)\s+(?:\[(.*?)\]\s*)?(.*)", line.strip())
        if outcome and head:
            key = (head[0], head[1], int(outcome[1]), int(outcome[2]))
            condition = (outcome[3] or "").split()
            if condition and (f"{condition[-1]}=y" in config) != (len(condition) == 1):
                key = None
            else:
                reasons[key] = outcome[4]
        elif key:
            reasons[key] += " " + line.strip()
    return reasons


@dataclass
class Judged:
    """The outcomes of one file against the list."""

    name: str
    outcomes: Dict[Key, Tuple[int, bool]]
    listed: Dict[Key, str]
    percent: int

    def __post_init__(self) -> None:
        # a kernel that has not the line has not the outcome either
        self.reasons = {key: why for key, why in self.listed.items() if key in self.outcomes}
        self.taken = {key for key, (_, was) in self.outcomes.items() if was}
        self.wrong = self.reasons.keys() & self.taken
        reachable = len(self.outcomes) - len(self.reasons)
        taken = len(self.taken - self.reasons.keys())
        self.share = 100 * taken / reachable if reachable else 100.0

    @property
    def is_good(self) -> bool:
        """Were enough outcomes taken, and none that is listed?"""
        return self.share >= self.percent and not self.wrong

    def lines(self) -> List[str]:
        """The report."""
        count = len(self.outcomes)
        lines = [f"{self.name}: branches {len(self.taken)}/{count} "
                 f"({100 * len(self.taken) / count:.1f}%); "
                 f"{len(self.reasons)} listed as unreachable "
                 f"({100 * len(self.reasons) / count:.1f}%); "
                 f"{self.share:.1f}% of the others taken, {self.percent}% wanted"]
        missing = self.outcomes.keys() - self.taken - self.reasons.keys()
        lines += self._part("not taken, and not listed:", missing)
        lines += self._part("listed as unreachable, and taken:", self.wrong)
        return lines + self._part("unreachable:", self.reasons.keys() - self.wrong)

    def _part(self, title: str, keys: Set[Key]) -> List[str]:
        lines = ["", title] if keys else []
        for key in sorted(keys, key=lambda key: (self.outcomes[key][0], key[2])):
            lines.append(f"  {self.name}:{self.outcomes[key][0]} {key[0]}: {key[1]}  "
                         f"{key[2]}/{key[3]}")
            if key in self.reasons:
                lines.append(f"      {self.reasons[key]}")
        return lines
