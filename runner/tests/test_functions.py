# SPDX-License-Identifier: GPL-2.0
"""Instructions by the kernel's functions."""
import unittest
from typing import Dict

from runner.counts import Count, Counts, read_counts
from runner.functions import Symbol, functions_table, read_symbols

KEY = ("read.anon", 4096)


def counts(kernel: str, inside: int, functions: Dict[int, int]) -> Counts:
    """Of one operation on one page."""
    return Counts(kernel, "", {KEY: Count(*KEY, 10, inside, 20)}, {}, {KEY: functions})


class FunctionsTest(unittest.TestCase):
    """System.map, what the plugin writes, and the table."""

    symbols = read_symbols("0000000000000000 A percpu\n"
                           "ffffffff81000100 T walk\n"
                           "ffffffff81000100 t __pfx_walk\n"
                           "ffffffff81000200 t walk.part.0\n"
                           "ffffffff81000180 W fault\n"
                           "ffffffff82000000 D data\n")

    def test_symbols(self) -> None:
        self.assertEqual(self.symbols, [Symbol(0xffffffff81000100, "walk"),
                                        Symbol(0xffffffff81000180, "fault"),
                                        Symbol(0xffffffff81000200, "walk.part.0")])

    def test_the_run_in_the_middle(self) -> None:
        found = read_counts("6.1", "gcc", 3 * ["count read.anon 4096 7"],
                            "1 50 1 0:50\n1 20 1 0:5 2:15\n1 10 1 1:10\n")
        self.assertEqual(found.functions, {KEY: {0: 5, 2: 15}})
        self.assertEqual(found.counts[KEY].kernel, 20)

    def test_one_kernel(self) -> None:
        lines = functions_table([counts("6.1", 970, {0: 500, 1: 4, 2: 400})], [self.symbols])
        self.assertEqual([line.split() for line in lines[2:]],
                         [["1000.0", "in", "all"], ["900.0", "walk"], ["20.0", "(hmmirror.ko)"],
                          ["10.0", "(the", "program)"]])

    def test_what_differs_comes_first(self) -> None:
        lines = functions_table([counts("6.1", 970, {0: 500, 1: 100}),
                                 counts("7.2", 970, {0: 510, 1: 300})], 2 * [self.symbols])
        self.assertEqual([line.split() for line in lines[3:]],
                         [["100.0", "300.0", "fault"], ["500.0", "510.0", "walk"]])


if __name__ == "__main__":
    unittest.main()
