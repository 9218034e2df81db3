# SPDX-License-Identifier: GPL-2.0
"""Counts: what is read, compared and held."""
from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Dict

from runner.counting import plugin_api
from runner.counts import Count, Counts, Held, changes, comparison, compiler_of, growth_faults, \
    held_text, marks_table, read_counts, size_name, table
from runner.errors import Failure
from runner.guest import release_in
from runner.plot import write_page

MIB = 1 << 20


def counts_of(name: str, totals: Dict[str, int], size: int = MIB) -> Counts:
    """Of a kernel whose driver takes 100 of each."""
    counts = Counts(name, "gcc (Debian 12.2.0-14) 12.2.0")
    for operation, total in totals.items():
        counts.counts[operation, size] = Count(operation, size, 0, total - 100, 100)
    return counts


class ReadTest(unittest.TestCase):
    """What comes out of a guest."""

    def test_the_run_in_the_middle_with_its_shares(self) -> None:
        lines = ["count read 4096 60", "skip dma 4096 the kernel has none", "count read 4096 30",
                 "count read 4096 40", "something else"]
        counts = read_counts("6.1", "gcc", lines, "10 20 30\n10 10 10\n10 15 15\n")
        self.assertEqual(Count("read", 4096, 10, 15, 15), counts.counts["read", 4096])
        self.assertEqual(40, counts.counts["read", 4096].total)
        self.assertEqual({("dma", 4096): "the kernel has none"}, counts.skipped)

    def test_a_count_without_marks_is_refused(self) -> None:
        with self.assertRaises(Failure):
            read_counts("6.1", "gcc", ["count read 4096 60"], "")

    def test_table(self) -> None:
        counts = counts_of("6.1", {"read.anon": 25600})
        counts.skipped["dma", MIB] = "none"
        self.assertEqual(f"  {'read.anon':<22}           100.0 (0.4)", table(counts)[2])
        self.assertEqual("  SKIP  dma: none", table(counts)[3])

    def test_marks(self) -> None:
        self.assertIn("60", marks_table("10 20 30\n")[1].split())
        self.assertIn("no instructions", marks_table("")[0])

    def test_names(self) -> None:
        self.assertEqual(["4 KiB", "2 MiB", "1 GiB"],
                         [size_name(size) for size in (4096, 2 * MIB, 1 << 30)])
        self.assertEqual("gcc 12", compiler_of("gcc (Debian 12.2.0-14) 12.2.0"))

    def test_interface_of_plugins(self) -> None:
        for version, api in (("7.2.22", 1), ("8.2.0", 1), ("9.0.1", 2), ("9.1.0", 3), ("10.0.2", 3)):
            release = release_in(f"QEMU emulator version {version} (Debian)")
            self.assertEqual(api, plugin_api(release))


class CompareTest(unittest.TestCase):
    """Several kernels."""

    def test_more_than_two_percent_is_marked(self) -> None:
        before = counts_of("6.1", {"read": 10000, "write": 10000, "map": 10000})
        after = counts_of("7.2", {"read": 10200, "write": 10201, "map": 9000})
        self.assertEqual([False, True, True], [one.is_marked for one in changes(before, after)])
        lines = comparison([before, after])
        self.assertRegex(lines[2], r"read .* \+2\.0 %$")
        self.assertRegex(lines[3], r"write .* \+2\.0 %\*$")
        self.assertEqual("2 of 3 changed by more than 2 %", lines[-1])

    def test_what_only_one_kernel_has(self) -> None:
        before = counts_of("6.1", {"read": 25600, "exclusive": 25600})
        after = counts_of("7.2", {"read": 25600, "dma": 25600})
        lines = comparison([before, after])
        self.assertRegex(lines[3], r"exclusive +1 MiB +100\.0 +-$")
        self.assertRegex(lines[4], r"dma +1 MiB +- +100\.0$")
        self.assertEqual("0 of 1 changed by more than 2 %", lines[-1])

    def test_growth(self) -> None:
        counts = counts_of("6.1", {"read": 1000000}, 2 * MIB)
        counts.counts["read", 8 * MIB] = Count("read", 8 * MIB, 0, 5000000, 0)
        self.assertEqual([], growth_faults(counts))
        counts.counts["read", 8 * MIB] = Count("read", 8 * MIB, 0, 16000000, 0)
        self.assertEqual(1, len(growth_faults(counts)))
        # a short range says nothing
        counts.counts["read", 4096] = Count("read", 4096, 0, 1, 0)
        self.assertEqual(1, len(growth_faults(counts)))


class HeldTest(unittest.TestCase):
    """The table in the repository."""

    def held(self, counts: Counts) -> Held:
        """The table that is written of these counts, read again."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "held"
            file.write_text(held_text(counts), encoding="utf-8")
            return Held.read(file)

    def test_within(self) -> None:
        counts = counts_of("6.1.192", {"read": 10000})
        self.assertEqual([], self.held(counts).faults(counts))
        self.assertEqual("", self.held(counts).why_other(counts))

    def test_over(self) -> None:
        for size, driver, kernel, faults in (
                (4096, 102, 9900, 0), (4096, 103, 9900, 1), (4096, 100, 11800, 0),
                (4096, 100, 11900, 1), (4096, 90, 9000, 0),
                # a part of the whole that says nothing, in a longer range
                (MIB, 103, 9900, 0), (MIB, 160, 9900, 1)):
            held = self.held(counts_of("6.1.192", {"read": 10000}, size))
            now = Counts("6.1.192", "gcc (Debian 12.2.0-14) 12.2.0")
            now.counts["read", size] = Count("read", size, 0, kernel, driver)
            self.assertEqual(faults, len(held.faults(now)), (size, driver, kernel))

    def test_new_and_gone(self) -> None:
        held = self.held(counts_of("6.1", {"read": 10000}))
        faults = held.faults(counts_of("6.1", {"write": 10000}))
        self.assertEqual(["write of 1 MiB is not in the table",
                          "read is in the table and did not run"], faults)

    def test_another_kernel_or_compiler(self) -> None:
        held = self.held(counts_of("6.1", {"read": 10000}))
        self.assertIn("kernel", held.why_other(counts_of("7.2", {})))
        self.assertIn("compiler", held.why_other(Counts("6.1", "gcc (Debian 14.2.0-1) 14.2.0")))


class PageTest(unittest.TestCase):
    """report.html of a run that counts."""

    def test_one_file_with_table_and_plots(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "read.anon.svg").write_text("<svg/>", encoding="utf-8")
            write_page(folder, ["6.1", "<7.3>"], "./run_tests.sh --bench growth", ["a <b> 12", "c"])
            page = (folder / "report.html").read_text(encoding="utf-8")
        self.assertIn("<title>hmmirror: instructions on 6.1, &lt;7.3&gt;</title>", page)
        self.assertIn('<pre tabindex="0">a &lt;b&gt; 12\nc</pre>', page)
        self.assertIn('src="data:image/svg+xml;base64,PHN2Zy8+"', page)
        self.assertIn('<a href="read.anon.svg">', page)
        self.assertNotRegex(page, "https?://")


if __name__ == "__main__":
    unittest.main()
