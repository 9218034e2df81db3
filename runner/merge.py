# SPDX-License-Identifier: GPL-2.0
"""--merge DIR...: one verdict, one report and one exit status of runs that machines shared."""
from __future__ import annotations

import calendar
import shlex
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Sequence

from runner import formats
from runner.cells import read_results, status_of, without_cell
from runner.errors import Failure
from runner.host import Host
from runner.publish import publish
from runner.request import Request
from runner.results import OK, About, Cell, Verdict, all_differences, standing_out, \
    test_as_json, totals_of

HEAD = f"{'cell':<34} {'passed':>6} {'failed':>6} {'skipped':>7} {'time':>7}"
TIME = "%Y-%m-%dT%H:%M:%SZ"
MISSING = "there are no results of this cell"


@dataclass
class Part:
    """The results of one run, and the folder that they are in now."""

    folder: Path
    results: Dict[str, Any]

    @property
    def started(self) -> int:
        """In seconds."""
        return calendar.timegm(time.strptime(self.results["started"], TIME))


@dataclass
class Merged:
    """What has been found so far, by the names of the cells."""

    parts: List[Part] = field(default_factory=list)
    cells: Dict[str, Dict[str, Any]] = field(default_factory=dict)
    _of: Dict[str, Part] = field(default_factory=dict)

    def add(self, part: Part) -> None:
        """Adds the cells of a run. Of two runs of the same cell the later one that ended counts."""
        mode = self.parts[0].results["mode"] if self.parts else part.results["mode"]
        if part.results["mode"] != mode:
            raise Failure(f"{part.folder} has results of --{part.results['mode']}, and "
                          f"{self.parts[0].folder} of --{mode}; merge them apart")
        self.parts.append(part)
        for cell in part.results["cells"]:
            # what a run of an older checkout does not say
            cell = {**Cell("").as_json(), **cell}
            cell["tests"] = [{**test_as_json(Verdict("", OK, 0)), "console": [], **test}
                             for test in cell["tests"]]
            name = cell["name"] or cell["label"]
            other = self._of.get(name)
            if other and without_cell(other.results["command"]) != \
                    without_cell(part.results["command"]):
                raise Failure(f"{other.folder} and {part.folder} both have {name}, of two command "
                              "lines; merge them apart")
            if other and (self.cells[name]["state"] == "done", other.started) > \
                    (cell["state"] == "done", part.started):
                continue
            cell["logs"] = str(logs_of(part, cell))
            self.cells[name], self._of[name] = cell, part

    @property
    def planned(self) -> List[str]:
        """All cells that the command lines stand for, in their order."""
        names = [name for part in self.parts for name in part.results.get("planned", [])]
        return list(dict.fromkeys([*names, *self.cells]))

    def all_cells(self) -> List[Dict[str, Any]]:
        """The cells, with those that are missing. Labels are unique."""
        cells = [self.cells.get(name) or
                 Cell(name, name, reason=MISSING).as_json() for name in self.planned]
        labels = [cell["label"] for cell in cells]
        return [dict(cell, label=cell["name"]) if labels.count(cell["label"]) > 1 and cell["name"]
                else cell for cell in cells]

    def about(self) -> About:
        """The runs as one, from the first start to the last end."""
        started = min(part.started for part in self.parts)
        ended = max(part.started + part.results["seconds"] for part in self.parts)
        first = self.parts[0].results
        same = all(part.results["command"] == first["command"] for part in self.parts) or \
            all(without_cell(part.results["command"]) == without_cell(first["command"])
                for part in self.parts)
        command = shlex.join([shlex.split(first["command"])[0], *without_cell(first["command"])]) \
            if same and first["command"] else ""
        return About(first["mode"], time.strftime(TIME, time.gmtime(started)), ended - started,
                     first["seed"], command, first.get("hmmirror", ""), self.planned)


def logs_of(part: Part, cell: Dict[str, Any]) -> Path:
    """Where the logs of a cell are now; its results may name a folder of another machine."""
    name = Path(cell["logs"]).name
    inside = part.folder / name
    return inside if name and len(part.results["cells"]) > 1 and inside.is_dir() else part.folder


def find_parts(folders: Sequence[Path]) -> List[Part]:
    """Each folder is that of a run, or has such folders in it."""
    parts = []
    for folder in folders:
        if not folder.is_dir():
            raise Failure(f"--merge: {folder} is not a folder; give those that runs have left")
        below = sorted(path for path in folder.iterdir()
                       if path.is_dir() and not path.name.startswith("."))
        choice = [folder] if (folder / "results.json").exists() else below
        found = [Part(path.resolve(), results) for path in choice
                 for results in [read_results(path)] if results]
        if not found:
            raise Failure(f"--merge: {folder} has no results.json, and none is in a folder below it")
        parts += found
    return parts


def row(cell: Dict[str, Any]) -> str:
    """The line of a cell."""
    done = cell["state"] == "done"
    counts = [str(cell[word]) if done or cell["tests"] else ""
              for word in ("passed", "failed", "skipped")]
    state = "done" if done else "missing" if cell["reason"] == MISSING else "cannot be run"
    return (f"{cell['label']:<34} {counts[0]:>6} {counts[1]:>6} {counts[2]:>7} "
            f"{cell['seconds']:>5} s  {state}")


async def merge(host: Host, request: Request) -> int:
    """Merges; the exit status is that of all cells in one run."""
    merged = Merged()
    for part in find_parts(request.merged):
        merged.add(part)
    cells = merged.all_cells()
    logs = host.cache.new_logs()
    results = publish(host.cache.path / "logs", logs.path, merged.about(), cells)
    logs.write("differences", "".join(f"{line}\n" for line in all_differences(results)))
    lines = [HEAD, *map(row, cells),
             *(f"{cell['label']} cannot be run: {cell['reason']}" for cell in cells
               if cell["state"] != "done" and cell["reason"] != MISSING),
             *standing_out(results)]
    for cell in cells:
        if cell["remarks"]:
            lines += [f"{cell['label']}:", *(f"  {line}" for line in cell["remarks"])]
    missing = [cell["name"] for cell in cells if cell["reason"] == MISSING]
    if missing:
        lines.append(f"missing: {' '.join(missing)}")
    last = totals_of(results)
    logs.write("summary", "".join(f"{line}\n" for line in [*lines, last]))
    for line in [*lines, f"logs: {logs.path}", last]:
        host.terminal.out(line)
    formats.deliver(results, request.formats)
    return status_of(results)
