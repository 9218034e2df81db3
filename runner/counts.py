# SPDX-License-Identifier: GPL-2.0
"""Counts of instructions as values: what a guest printed, tables, comparisons, and what is held.

An operation is named as in bench/hmm_count.c; a size is the bytes of the range that it is about.
"""
from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from runner.errors import Failure

PAGE = 4096
# changes that are marked, in percent
MARKED = 2.0
# what the driver may take more than its table says, in percent
HELD = 2.0
# if that is less of the whole than this, in percent, the pages of a range may just lie elsewhere
HELD_PART = 0.5
# what the kernel may; its stable updates change it
HELD_KERNEL = 20.0
# by how much a page of a long range may cost more than one of a short range, in percent
GROWTH = 30.0
# shorter ranges say little about growth: what a call costs hides it
LEAST_GROWTH = 2 << 20

Key = Tuple[str, int]


@dataclass(frozen=True)
class Count:
    """The instructions of one operation, by where they are."""

    operation: str
    size: int
    programs: int
    kernel: int
    driver: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.programs + self.kernel + self.driver

    @property
    def pages(self) -> int:
        """The pages of the range."""
        return self.size // PAGE


@dataclass
class Counts:
    """All that one kernel gave."""

    kernel: str
    compiler: str = ""
    counts: Dict[Key, Count] = field(default_factory=dict)
    # why an operation was left out
    skipped: Dict[Key, str] = field(default_factory=dict)
    # instructions by the number of the kernel's function, where the plugin was told of those
    functions: Dict[Key, Dict[int, int]] = field(default_factory=dict)

    def operations(self) -> List[str]:
        """In their order."""
        return list(dict.fromkeys(name for name, _ in [*self.counts, *self.skipped]))

    def sizes(self) -> List[int]:
        """From the smallest to the largest."""
        return sorted({size for _, size in self.counts})

    def as_json(self) -> Dict[str, object]:
        """For counts.json."""
        return {
            "kernel": self.kernel,
            "compiler": self.compiler,
            "counts": [{**asdict(one), "total": one.total} for one in self.counts.values()],
            "skipped": [{"operation": name, "size": size, "reason": reason}
                        for (name, size), reason in self.skipped.items()],
        }


def read_counts(kernel: str, compiler: str, lines: Sequence[str], marks: str) -> Counts:
    """What hmm_count printed, with what the plugin wrote for each pair of marks.

    Of an operation that ran several times it is the run in the middle: the first one finds caches
    empty, and a timer's interrupt hits one more than another.
    """
    shares = [line.split() for line in marks.splitlines()]
    result = Counts(kernel, compiler)
    runs: Dict[Key, List[Tuple[Count, List[str]]]] = {}
    seen = 0
    for line in lines:
        skip = re.match(r"skip (\S+) (\d+) (.*)$", line)
        if skip:
            result.skipped[skip[1], int(skip[2])] = skip[3]
        refused = re.match(r"refused (\S+) (\d+) (.*)$", line)
        if refused:
            # the program passed its marks
            result.skipped[refused[1], int(refused[2])] = f"the kernel answers: {refused[3]}"
            seen += 1
        found = re.match(r"count (\S+) (\d+) \d+$", line)
        if not found:
            continue
        if seen >= len(shares):
            raise Failure("QEMU's plugin counted less often than the program in the guest")
        name, size = found[1], int(found[2])
        programs, inside, modules = (int(word) for word in shares[seen][:3])
        runs.setdefault((name, size), []).append(
            (Count(name, size, programs, inside, modules), shares[seen][3:]))
        seen += 1
    for key, several in runs.items():
        several.sort(key=lambda one: one[0].total)
        result.counts[key], words = several[(len(several) - 1) // 2]
        pairs = (word.split(":") for word in words)
        result.functions[key] = {int(function): int(number) for function, number in pairs}
    return result


def size_name(size: int) -> str:
    """64 MiB."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size // 1024} KiB"


def per_page(number: int, pages: int) -> str:
    """Short ranges have large numbers, which need no fraction."""
    value = number / pages
    return f"{value:.0f}" if value >= 1000 else f"{value:.1f}"


def table(counts: Counts) -> List[str]:
    """A row an operation, a column a size."""
    sizes = counts.sizes()
    lines = [f"linux {counts.kernel}: instructions a page (in parentheses, of hmmirror.ko)",
             f"  {'':<22}" + "".join(f"{size_name(size):>22}" for size in sizes)]
    for name in counts.operations():
        cells = [cell(counts.counts.get((name, size))) for size in sizes]
        if any(cells):
            lines.append(f"  {name:<22}" + "".join(f"{text:>22}" for text in cells))
    reasons = dict.fromkeys((name, reason) for (name, _), reason in counts.skipped.items())
    lines += [f"  SKIP  {name}: {reason}" for name, reason in reasons]
    return lines


def cell(count: Optional[Count]) -> str:
    """Empty where the operation needs other sizes."""
    if not count:
        return ""
    return f"{per_page(count.total, count.pages)} ({per_page(count.driver, count.pages)})"


def marks_table(marks: str) -> List[str]:
    """A row for each pair of marks that a program has passed."""
    rows = [[int(word) for word in line.split()] for line in marks.splitlines()]
    if not rows:
        return ["no instructions counted: the program passed no hmm_count_end()"]
    lines = [f"{'marks':>5} {'instructions':>14} {'programs':>14} {'kernel':>14} {'modules':>14}"]
    return lines + [f"{number:>5} {sum(row):>14} {row[0]:>14} {row[1]:>14} {row[2]:>14}"
                    for number, row in enumerate(rows, 1)]


@dataclass(frozen=True)
class Change:
    """One operation with two kernels."""

    operation: str
    size: int
    before: int
    after: int

    @property
    def percent(self) -> float:
        """How much more it takes."""
        return 100 * (self.after - self.before) / self.before

    @property
    def is_marked(self) -> bool:
        """Is it worth a look?"""
        return abs(self.percent) > MARKED


def changes(before: Counts, after: Counts) -> List[Change]:
    """Of all operations that both have."""
    return [Change(name, size, one.total, after.counts[name, size].total)
            for (name, size), one in before.counts.items() if (name, size) in after.counts]


def comparison(all_counts: Sequence[Counts]) -> List[str]:
    """Operation by kernel; what each kernel changes against the first."""
    first, others = all_counts[0], all_counts[1:]
    by_key: List[Mapping[Key, Change]] = [
        {(one.operation, one.size): one for one in changes(first, other)} for other in others]
    keys = dict.fromkeys(key for counts in all_counts for key in counts.counts)
    lines = [f"instructions a page, and the change against linux {first.kernel}; "
             f"* is over {MARKED:.0f} %",
             f"  {'':<22} {'':>8} {first.kernel:>14}"
             + "".join(f" {other.kernel:>24}" for other in others)]
    marked = 0
    for key in keys:
        row = f"  {key[0]:<22} {size_name(key[1]):>8} {page_count(first, key):>14}"
        for other, found in zip(others, by_key):
            change = found.get(key)
            row += f" {page_count(other, key):>12}"
            if change:
                marked += change.is_marked
                row += f" {change.percent:>+8.1f} %{'*' if change.is_marked else ' '}"
            else:
                row += 12 * " "
        lines.append(row.rstrip())
    for counts in all_counts:
        reasons = dict.fromkeys((name, reason) for (name, _), reason in counts.skipped.items())
        lines += [f"  {counts.kernel} has no {name}: {reason}" for name, reason in reasons]
    return [*lines, f"{marked} of {sum(len(found) for found in by_key)} changed by more than "
                    f"{MARKED:.0f} %"]


def page_count(counts: Counts, key: Key) -> str:
    """Instructions a page of an operation, or a dash where the kernel has none."""
    one = counts.counts.get(key)
    return per_page(one.total, one.pages) if one else "-"


def growth_faults(counts: Counts) -> List[str]:
    """Operations of which a page costs more in a longer range: a walk that begins anew, say."""
    faults = []
    for name in counts.operations():
        rows = [counts.counts[name, size] for size in counts.sizes()
                if (name, size) in counts.counts and size >= LEAST_GROWTH]
        for short, long in zip(rows, rows[1:]):
            least = short.total / short.pages
            more = 100 * (long.total / long.pages / least - 1)
            if more > GROWTH:
                faults.append(f"{name}: a page of {size_name(long.size)} takes {more:.0f} % more "
                              f"than one of {size_name(short.size)}, "
                              f"{per_page(long.total, long.pages)} instructions instead of "
                              f"{per_page(short.total, short.pages)}")
    return faults


@dataclass(frozen=True)
class Held:
    """The table of counts that are held: for one kernel, as one compiler builds it."""

    kernel: str
    compiler: str
    # of the driver, and of the kernel
    counts: Mapping[Key, Tuple[int, int]]

    @staticmethod
    def read(file: Path) -> Held:
        """From the file."""
        text = file.read_text(encoding="utf-8")
        heads = dict(re.findall(r"^# (kernel|compiler): (.*)$", text, re.M))
        rows = re.findall(r"^(\S+)\s+(\d+)\s+(\d+)\s+(\d+)$", text, re.M)
        return Held(heads.get("kernel", ""), heads.get("compiler", ""),
                    {(name, int(size)): (int(driver), int(inside))
                     for name, size, driver, inside in rows})

    def why_other(self, counts: Counts) -> str:
        """Why counts cannot be compared with the table; empty if they can."""
        for what, mine, given in (("kernel", self.kernel, release_of(counts.kernel)),
                                  ("compiler", self.compiler, compiler_of(counts.compiler))):
            if mine != given:
                return f"the table is for the {what} {mine}, and this one is {given}"
        return ""

    def faults(self, counts: Counts) -> List[str]:
        """What is over the table, or is not in it."""
        faults = []
        for key, one in counts.counts.items():
            name, size = key
            if key not in self.counts:
                faults.append(f"{name} of {size_name(size)} is not in the table")
                continue
            for whose, now, before, limit in (
                    ("hmmirror.ko", one.driver, self.counts[key][0], HELD),
                    ("the kernel", one.kernel, self.counts[key][1], HELD_KERNEL)):
                more = 100 * (now - before) / before if before else 0
                part = 100 * (now - before) / one.total
                if more > limit and (one.pages == 1 or part > HELD_PART):
                    faults.append(f"{name} of {size_name(size)}: {whose} takes {now} instructions "
                                  f"and {before} are held, {more:.1f} % more")
        missing = [name for name, size in self.counts
                   if (name, size) not in counts.counts]
        return faults + [f"{name} is in the table and did not run"
                         for name in dict.fromkeys(missing)]


def release_of(kernel: str) -> str:
    """6.1 of 6.1.192-3."""
    found = re.match(r"\d+\.\d+", kernel)
    return found[0] if found else kernel


def compiler_of(compiler: str) -> str:
    """gcc 12 of "gcc (Debian 12.2.0-14) 12.2.0"."""
    found = re.match(r"(\S+).* (\d+)[.\d]*$", compiler)
    return f"{found[1]} {found[2]}" if found else compiler


def held_text(counts: Counts) -> str:
    """The table, as a file."""
    rows = [f"{one.operation:<24} {one.size:>9} {one.driver:>10} {one.kernel:>11}\n"
            for one in counts.counts.values()]
    return ("# SPDX-License-Identifier: GPL-2.0\n"
            "# Instructions that operations of bench/hmm_count.c may take, which --bench held "
            "compares.\n"
            "# ./run_tests.sh --bench record writes this file; do not edit it.\n"
            f"# kernel: {release_of(counts.kernel)}\n"
            f"# compiler: {compiler_of(counts.compiler)}\n"
            f"# {'operation':<22} {'bytes':>9} {'driver':>10} {'kernel':>11}\n" + "".join(rows))
