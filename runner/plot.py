# SPDX-License-Identifier: GPL-2.0
"""Plots of counts, by gnuplot, and report.html of a run that counts."""
from __future__ import annotations

import base64
import html
from pathlib import Path
from typing import List, Sequence

from runner.counts import Counts
from runner.host import Host

SCRIPT = """\
set terminal svg size 900,600 background rgb 'white'
set output '{name}.svg'
set title '{name}'
set xlabel 'bytes of the range'
set ylabel 'instructions a page'
set logscale xy
set format x '%.0b %B'
set xtics (4096, 65536, 1048576, 16777216, 134217728, 1073741824)
set key outside
set datafile missing '-'
plot for [i=2:{columns}] '{name}.data' using 1:i with linespoints title columnheader(i)
"""

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 0 auto; max-width: 1500px; padding: 0 16px 48px; font: 15px/1.45 system-ui, sans-serif; }}
h1 {{ font-size: 1.4em; }}
h2 {{ font-size: 1.1em; }}
pre {{ overflow-x: auto; }}
img {{ max-width: 100%; height: auto; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p><code>{command}</code></p>
<pre tabindex="0">{table}</pre>
{plots}
<p>Files: {files}</p>
</body>
</html>
"""


def write_page(folder: Path, kernels: Sequence[str], command: str, lines: Sequence[str]) -> None:
    """report.html with the table, and the plots that are in the folder."""
    plots: List[str] = []
    for path in sorted(folder.glob("*.svg")):
        image = base64.b64encode(path.read_bytes()).decode()
        name = html.escape(path.stem)
        plots.append(f'<h2>{name}</h2>\n<img alt="instructions a page of {name} by the length of the '
                     f'range; its numbers are in the table" src="data:image/svg+xml;base64,{image}">')
    names = ["counts.json", *sorted(path.name for path in folder.glob("*.svg"))]
    (folder / "report.html").write_text(PAGE.format(
        title=html.escape(f"hmmirror: instructions on {', '.join(kernels)}"),
        command=html.escape(command), table=html.escape("\n".join(lines)), plots="\n".join(plots),
        files=", ".join(f'<a href="{html.escape(name)}">{html.escape(name)}</a>' for name in names)),
        encoding="utf-8")


async def plot_growth(host: Host, results: Sequence[Counts], folder: Path) -> None:
    """A plot for each operation, with a line a kernel, into a folder."""
    if not host.which("gnuplot"):
        host.terminal.say("no plots: there is no gnuplot; install gnuplot-nox")
        return
    for name in results[0].operations():
        sizes = sorted({size for counts in results for one, size in counts.counts if one == name})
        if not sizes:
            continue
        head = " ".join(["bytes", *(f'"{counts.kernel}"' for counts in results)])
        rows = [" ".join([str(size), *(point(counts, name, size) for counts in results)])
                for size in sizes]
        (folder / f"{name}.data").write_text("\n".join([head, *rows, ""]), encoding="utf-8")
        script = SCRIPT.format(name=name, columns=len(results) + 1)
        (folder / f"{name}.gnuplot").write_text(script, encoding="utf-8")
        await host.run_or_fail("plotting", ["gnuplot", f"{name}.gnuplot"], folder / "gnuplot.log",
                               cwd=folder)
    host.terminal.clear()


def point(counts: Counts, name: str, size: int) -> str:
    """Instructions a page, or the word for none."""
    one = counts.counts.get((name, size))
    return f"{one.total / one.pages:.2f}" if one else "-"
