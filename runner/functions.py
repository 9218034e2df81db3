# SPDX-License-Identifier: GPL-2.0
"""--bench functions: in which functions of the kernel the instructions of an operation are."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Sequence

from runner.counts import Counts, size_name
from runner.errors import Failure
from runner.kernel import Kernel

# rows of an operation
SHOWN = 25
# of all instructions a page, in percent: what differs less, or takes less, is not shown
LEAST = 0.5


@dataclass(frozen=True)
class Symbol:
    """Where a function begins."""

    address: int
    name: str


def symbols_of(kernel: Kernel) -> List[Symbol]:
    """The functions of a kernel, by address, from what its build left."""
    file = kernel.build / "System.map" if kernel.build else None
    if not file or not file.is_file():
        raise Failure(f"--bench functions wants the System.map of linux {kernel.name}; -k takes a "
                      "release, a source tree, or an image with its build folder")
    return read_symbols(file.read_text(encoding="utf-8"))


def read_symbols(text: str) -> List[Symbol]:
    """Of several names for an address, the first."""
    found: Dict[int, str] = {}
    for line in text.splitlines():
        address, kind, name = line.split(maxsplit=2)
        if kind in "tTwW" and int(address, 16) >> 63:
            found.setdefault(int(address, 16), name)
    return [Symbol(address, name) for address, name in sorted(found.items())]


def plain_name(name: str) -> str:
    """Without what a compiler adds to a part or a copy of a function."""
    return name.split(".", 1)[0] or name


def by_name(numbers: Dict[int, int], symbols: Sequence[Symbol]) -> Dict[str, int]:
    """Instructions of each function."""
    result: Dict[str, int] = {}
    for number, count in numbers.items():
        name = plain_name(symbols[number].name)
        result[name] = result.get(name, 0) + count
    return result


def functions_table(results: Sequence[Counts], symbols: Sequence[Sequence[Symbol]]) -> List[str]:
    """An operation after the other. Of several kernels, what differs most comes first."""
    keys = [key for key in results[0].functions if all(key in one.functions for one in results)]
    lines: List[str] = []
    for key in keys:
        pages = results[0].counts[key].pages
        columns = [{**by_name(one.functions[key], these), "(hmmirror.ko)": one.counts[key].driver,
                    "(the program)": one.counts[key].programs}
                   for one, these in zip(results, symbols)]
        totals = [one.counts[key].total for one in results]
        rows = rows_of(columns, max(totals))
        lines.append(f"{key[0]}, {size_name(key[1])}: instructions a page")
        lines.append("  " + "".join(f"{one.kernel[:14]:>16}" for one in results))
        lines.append("  " + "".join(f"{total / pages:>16.1f}" for total in totals) + "  in all")
        for name in rows[:SHOWN]:
            lines.append("  " + "".join(f"{column.get(name, 0) / pages:>16.1f}"
                                        for column in columns) + f"  {name}")
    missing = {key for one in results for key in one.skipped}
    lines += [f"  SKIP  {name}" for name, _ in sorted(missing)]
    return lines


def rows_of(columns: Sequence[Dict[str, int]], total: int) -> List[str]:
    """The functions that are worth a row."""
    names = {name for column in columns for name in column}

    def weight(name: str) -> int:
        first, last = columns[0].get(name, 0), columns[-1].get(name, 0)
        return abs(last - first) if len(columns) > 1 else first
    return sorted((name for name in names if weight(name) * 100 >= total * LEAST),
                  key=lambda name: (-weight(name), name))
