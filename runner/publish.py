# SPDX-License-Identifier: GPL-2.0
"""What a run leaves for programs and for people, and what changed since the last run."""
from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from runner.cells import read_results
from runner.report import write_report
from runner.results import About, write_json


def publish(logs: Path, folder: Path, about: About, cells: List[Dict[str, Any]]) -> Dict[str, Any]:
    """Writes all files of a run into its folder; logs has the folders of all runs."""
    add_changes(earlier_runs(logs, folder, about), cells)
    results = write_json(folder, about, cells)
    write_report(folder, results)
    return results


def earlier_runs(logs: Path, own: Path, about: About) -> "RunsBackwards":
    """The runs of the same mode that began before this one, the newest first."""
    folders = [path for path in sorted(logs.iterdir(), reverse=True)
               if path != own and (path / "results.json").is_file()] if logs.is_dir() else []
    return RunsBackwards(folders, about)


class RunsBackwards:
    """Results of earlier runs, each read when it is wanted and once."""

    def __init__(self, folders: Sequence[Path], about: About) -> None:
        self._folders = list(folders)
        self._about = about
        self._read: List[Dict[str, Any]] = []

    def cell(self, name: str) -> Optional[Dict[str, Any]]:
        """The last results of this cell, with when that run started."""
        place = 0
        while place < len(self._read) or self._read_next():
            results = self._read[place]
            place += 1
            for cell in results["cells"]:
                if cell.get("name") == name and cell["state"] == "done":
                    return {**cell, "started": results["started"]}
        return None

    def _read_next(self) -> bool:
        while self._folders:
            results = read_results(self._folders.pop(0))
            if results and results["mode"] == self._about.mode and \
                    results["started"] < self._about.started:
                self._read.append(results)
                return True
        return False


def add_changes(runs: RunsBackwards, cells: Sequence[Dict[str, Any]]) -> None:
    """Adds to each cell the tests that ended in another way in its last run."""
    for cell in cells:
        before = runs.cell(cell["name"]) if cell["state"] == "done" and cell["name"] else None
        cell["since"] = changes(before, cell) if before else None


def changes(before: Dict[str, Any], now: Dict[str, Any]) -> Dict[str, Any]:
    """The tests that both runs have, and that did not end the same."""
    was = {test["name"]: test["result"] for test in before["tests"]}
    return {"started": before["started"], "logs": before["logs"],
            "changes": [{"test": test["name"], "before": was[test["name"]], "now": test["result"]}
                        for test in now["tests"]
                        if test["name"] in was and was[test["name"]] != test["result"]]}
