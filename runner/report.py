# SPDX-License-Identifier: GPL-2.0
"""report.html: the results of a run for the eye, in one file without anything from a network.

What was found is in the HTML; the script in report.html adds each test's details, which are in the
page as JSON.
"""
from __future__ import annotations

import html
import json
import os
import shlex
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from runner.arch import find_arch
from runner.names import base_name
from runner.results import PROVENANCE

TEMPLATE = Path(__file__).resolve().parent / "report.html"
LEGEND = ("Each field is the tests of a subject on a kernel: ✗ 2/9 is two of nine failed, ! one that "
          "was flaky or expected to fail, – skipped, ✓ passed. A bar at the left: changed since the "
          "last run.")
# files of a run that are linked where they are there
FILES = ("summary", "results.json", "junit.xml", "results.ktap", "results", "differences")
SHOWN_FAILURES = 200

Cells = Sequence[Mapping[str, Any]]


def write_report(folder: Path, results: Mapping[str, Any]) -> Path:
    """Writes report.html into the folder of a run."""
    page = TEMPLATE.read_text(encoding="utf-8")
    parts = {"TITLE": html.escape(title(results)), "HEAD": head(results),
             "FAILURES": failures(results["cells"]), "CHANGES": changes(results["cells"]),
             "LEGEND": html.escape(LEGEND), "MAP": heat_map(results["cells"]),
             "FILES": files(folder, results["cells"]), "DATA": data(results)}
    for name, text in parts.items():
        # one after the other, and the data last: what is filled in is not looked at again
        page = page.replace(f"@{name}@", text, 1)
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def title(results: Mapping[str, Any]) -> str:
    """The window's."""
    return f"{counts(results)} on {where(results)} – hmmirror"


def where(results: Mapping[str, Any]) -> str:
    """The kernel, or how many cells there are."""
    cells = results["cells"]
    return str(cells[0]["label"]) if len(cells) == 1 else f"{len(cells)} kernels and configs"


def counts(results: Mapping[str, Any]) -> str:
    """In the order of what matters."""
    words = [f"{results['failed']} failed", f"{results['passed']} passed",
             f"{results['skipped']} skipped"]
    words += [f"{results[word]} {word}" for word in ("flaky", "xfail") if results[word]]
    return ", ".join(words)


def head(results: Mapping[str, Any]) -> str:
    """What was run, and where."""
    broken = [cell for cell in results["cells"] if cell["state"] != "done"]
    shade = "failed" if results["failed"] or broken else "passed"
    lines = [f"<h1>hmmirror on {html.escape(where(results))}</h1>",
             f'<p class="counts banner {shade}">{html.escape(counts(results))}</p>',
             f'<p class="soft">{html.escape(results["started"])}, {results["seconds"]} s'
             f'<br><code>{html.escape(results["command"])}</code></p>']
    lines += [f'<p class="banner failed">{html.escape(cell["label"])} cannot be run: '
              f'{html.escape(cell["reason"])}</p>' for cell in broken]
    lines.append("<details><summary>Kernel, compiler, QEMU</summary>")
    for cell in results["cells"]:
        rows = "".join(f"<tr><th>{name.replace('_', ' ')}</th><td>{html.escape(str(cell[name]))}"
                       "</td></tr>" for name in PROVENANCE if cell.get(name))
        lines.append(f"<h3>{html.escape(cell['label'])}</h3><table class=\"about\">{rows}</table>")
    if results.get("hmmirror"):
        lines.append(f"<p>hmmirror {html.escape(results['hmmirror'])}</p>")
    return "\n".join([*lines, "</details>"])


def link(kind: str, place: int, name: str) -> str:
    """The fragment by which the script knows what to show."""
    return f"#{kind}/{place}/{quote(name)}"


def quote(name: str) -> str:
    """As encodeURIComponent() does it."""
    return "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_.!~*'()")
                   else "".join(f"%{byte:02X}" for byte in sign.encode()) for sign in name)


def failures(cells: Cells) -> str:
    """The failures, by the bug that they are."""
    lines: List[str] = []
    for place, cell in enumerate(cells):
        failed = [test for test in cell["tests"] if test["result"] == "failed"]
        if failed:
            lines.append(f"<h2>Failed on {html.escape(cell['label'])}</h2>")
        for heading, tests in grouped(cell, failed):
            lines.append(f"<h3>{heading}</h3><ul>")
            lines += [failure(place, test) for test in tests[:SHOWN_FAILURES]]
            lines.append("</ul>")
            if len(tests) > SHOWN_FAILURES:
                lines.append(f"<p>and {len(tests) - SHOWN_FAILURES} more</p>")
    return "\n".join(lines)


def grouped(cell: Mapping[str, Any], failed: Sequence[Mapping[str, Any]]) \
        -> Iterator[Tuple[str, List[Mapping[str, Any]]]]:
    """Each bug with its tests; what has no name comes first, because somebody has to look."""
    unnamed = [test for test in failed if not test["bugs"]]
    if unnamed:
        yield "Not explained by a known bug of the kernel", unnamed
    for bug in cell["diagnosis"]["bugs"]:
        tests = [test for test in failed if bug["entry"] in test["bugs"]]
        if tests:
            yield (f"{html.escape(bug['word'].capitalize())} <code>{html.escape(bug['entry'])}</code>"
                   f", fix: {html.escape(bug['fix'])}", tests)


def failure(place: int, test: Mapping[str, Any]) -> str:
    """A line of the list."""
    reason = test["reason"] or (test["output"][0] if test["output"] else "")
    return (f'<li><a class="name" href="{html.escape(link("t", place, test["name"]))}">'
            f'{html.escape(test["name"])}</a> <span class="soft">{html.escape(reason)}</span></li>')


def changes(cells: Cells) -> str:
    """What is not as in the last run of the same kernel."""
    lines = []
    for place, cell in enumerate(cells):
        since = cell.get("since")
        if not since:
            continue
        lines.append(f"<h2>Since the last run of {html.escape(cell['label'])}, "
                     f"{html.escape(since['started'])}</h2>")
        if not since["changes"]:
            lines.append('<p class="soft">No test that both have ended in another way.</p>')
            continue
        lines.append("<ul>")
        for change in since["changes"]:
            lines.append(f'<li><a class="name" href="{html.escape(link("t", place, change["test"]))}"'
                         f'>{html.escape(change["test"])}</a> {change["now"]}, was '
                         f'{change["before"]}</li>')
        lines.append("</ul>")
    return "\n".join(lines)


def subject_of(name: str) -> str:
    """walk_anon of walk_anon.ksm.snapshot."""
    return base_name(name.split(".")[0])


def by_subject(cell: Mapping[str, Any]) -> Dict[str, Dict[str, int]]:
    """Of each subject how many tests ended how."""
    subjects: Dict[str, Dict[str, int]] = {}
    changed = {change["test"] for change in (cell.get("since") or {}).get("changes", [])}
    for test in cell["tests"]:
        found = subjects.setdefault(subject_of(test["name"]), {})
        found[test["result"]] = found.get(test["result"], 0) + 1
        if test["name"] in changed:
            found["changed"] = found.get("changed", 0) + 1
    return subjects


def spot(place: int, cell: Mapping[str, Any], subject: str, found: Mapping[str, int]) -> str:
    """A field of the map. Sign and numbers say what the colour says."""
    total = sum(count for result, count in found.items() if result != "changed")
    failed, skipped = found.get("failed", 0), found.get("skipped", 0)
    noted = found.get("flaky", 0) + found.get("xfail", 0)
    if failed:
        kind, text = "failed", f"✗ {failed}/{total}"
    elif noted:
        kind, text = "noted", f"! {noted}/{total}"
    elif skipped == total:
        kind, text = "skipped", f"– {total}"
    elif skipped:
        kind, text = "partly", f"✓ {total - skipped} – {skipped}"
    else:
        kind, text = "passed", f"✓ {total}"
    spoken = ", ".join(f"{count} {result}" for result, count in found.items())
    changed = " changed" if found.get("changed") else ""
    return (f'<a class="spot {kind}{changed}" href="{html.escape(link("s", place, subject))}" '
            f'title="{html.escape(spoken)}" aria-label="{html.escape(subject)} on '
            f'{html.escape(cell["label"])}: {html.escape(spoken)}">{text}</a>')


def heat_map(cells: Cells) -> str:
    """Subjects by kernels; with one kernel they flow, to be seen at a glance."""
    found = [by_subject(cell) for cell in cells]
    subjects = sorted({subject for one in found for subject in one})
    if not subjects:
        return "<p>No test was run.</p>"
    if len(cells) == 1:
        rows = [f'<div data-subject="{html.escape(subject)}"><span class="name">'
                f"{html.escape(subject)}</span>{spot(0, cells[0], subject, found[0][subject])}</div>"
                for subject in subjects]
        return "\n".join(['<div class="flow">', *rows, "</div>"])
    heads = "".join(f'<th scope="col">{html.escape(cell["label"])}</th>' for cell in cells)
    rows = []
    for subject in subjects:
        fields = "".join(
            f"<td>{spot(place, cell, subject, one[subject]) if subject in one else ''}</td>"
            for place, (cell, one) in enumerate(zip(cells, found)))
        rows.append(f'<tr data-subject="{html.escape(subject)}"><th scope="row" class="name">'
                    f"{html.escape(subject)}</th>{fields}</tr>")
    return "\n".join(['<div class="wide"><table class="map">',
                      f"<thead><tr><th>subject</th>{heads}</tr></thead>", "<tbody>", *rows,
                      "</tbody></table></div>"])


def files(folder: Path, cells: Cells) -> str:
    """Links to what else a run left, while it is where it was."""
    lines = ["<h2>Files</h2>", "<ul>"]
    lines += [file_item(folder, folder / name, name) for name in FILES
              if (folder / name).is_file()]
    for cell in cells:
        logs = Path(cell["logs"]) if cell["logs"] else None
        for path in sorted(logs.glob("console.*")) if logs and logs.is_dir() else ():
            lines.append(file_item(folder, path, f"{cell['label']}: {path.name}"))
        for name in ("coverage", "coverage.html"):
            if logs and (logs / name).exists():
                lines.append(file_item(folder, logs / name, f"{cell['label']}: {name}"))
        page = last_counts(folder.parent, cell["kernel"])
        if page:
            lines.append(file_item(folder, page, f"{cell['label']}: instructions, by --bench"))
    return "\n".join([*lines, "</ul>"])


def last_counts(logs: Path, kernel: str) -> Optional[Path]:
    """The page of the last run that counted instructions of this kernel; folders have their time."""
    for file in sorted(logs.glob("*/counts.json"), reverse=True):
        page = file.parent / "report.html"
        try:
            kernels = [one["kernel"] for one in json.loads(file.read_text())["kernels"]]
        except (OSError, ValueError, KeyError):
            # of a run that is under way, or was killed
            continue
        if kernel in kernels and page.is_file():
            return page
    return None


def file_item(folder: Path, path: Path, text: str) -> str:
    """A link that stays right when the folder moves."""
    target = quote_path(os.path.relpath(path, folder))
    return f'<li><a href="{html.escape(target)}">{html.escape(text)}</a></li>'


def quote_path(path: str) -> str:
    """Each folder's name for a URL."""
    return "/".join(quote(word) for word in path.split("/"))


def data(results: Mapping[str, Any]) -> str:
    """What the script shows. A < could end it."""
    shown = {"cells": [cell_data(results, cell) for cell in results["cells"]]}
    return json.dumps(shown, separators=(",", ":")).replace("<", "\\u003c")


def cell_data(results: Mapping[str, Any], cell: Mapping[str, Any]) -> Dict[str, Any]:
    """A kernel with its tests."""
    since = cell.get("since") or {"started": "", "changes": []}
    before = {change["test"]: change["before"] for change in since["changes"]}
    return {"label": cell["label"], "words": again(results, cell), "since": since["started"],
            "bugs": cell["diagnosis"]["bugs"],
            "tests": [test_data(test, before.get(test["name"])) for test in cell["tests"]]}


def test_data(test: Mapping[str, Any], before: Optional[str]) -> Dict[str, Any]:
    """A test; how it ended in the last run, if in another way."""
    return {**{key: test[key] for key in ("name", "result", "ms", "reason", "output", "bugs",
                                          "known", "again", "passed_again")},
            "console": test.get("console", []), **({"before": before} if before else {})}


def again(results: Mapping[str, Any], cell: Mapping[str, Any]) -> Optional[str]:
    """The options that run a test of this cell again by its name, if any do."""
    if results["mode"] not in ("suite", "upstream"):
        return None
    words = []
    if results["mode"] == "upstream":
        words.append("--upstream")
    kernel = cell.get("given", "")
    if kernel:
        words += ["-k", kernel]
    if not find_arch(cell["arch"]).is_native:
        words += ["-a", cell["arch"]]
    if cell["config"]:
        words += ["-c", cell["config"]]
    return shlex.join(words)
