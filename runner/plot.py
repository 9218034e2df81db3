# SPDX-License-Identifier: GPL-2.0
"""Plots of counts, by gnuplot."""
from __future__ import annotations

from pathlib import Path
from typing import Sequence

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
