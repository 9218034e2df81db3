# SPDX-License-Identifier: GPL-2.0
"""What of a console's log is a report, and under which test."""
from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import List

from runner.splats import Console, name_report, taint_letters, title_of

OURS = ["walk+0x1/0x2 [hmmirror]"]
THEIRS = ["a+0x1/0x2", "b+0x1/0x2", "c+0x1/0x2"]


def race(title: str, first: List[str], second: List[str]) -> List[str]:
    """A report of KCSAN's."""
    return ["=" * 66, f"BUG: KCSAN: data-race in {title}", "",
            "read-write to 0xffff888003a81d40 of 8 bytes by task 67 on cpu 1:",
            *(f" {frame}" for frame in first), "",
            "read to 0xffff888003a81d40 of 8 bytes by interrupt on cpu 0:",
            *(f" {frame}" for frame in second), "", "value changed: 0x1 -> 0x2", "",
            "Reported by Kernel Concurrency Sanitizer on:",
            "CPU: 0 PID: 65 Comm: hmm Tainted: G           O      6.12.0+0x1/0x2 [hmmirror]",
            "=" * 66]


class ConsoleTest(unittest.TestCase):
    """Reading a log."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "console")
        self.path.touch()
        self.console = Console(self.path)

    def log(self, *lines: str) -> None:
        """The kernel says these."""
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(f"[    1.5] {line}\r\n" for line in lines)
        self.console.scan()

    def test_report_belongs_to_the_test_that_runs(self) -> None:
        self.log("WARNING: at boot", "hmmirror-test: begin a.b", "a word",
                 "hmmirror-test: begin c.d", "WARNING: CPU: 0 PID: 1 at mm/fake.c:1", "more")
        self.assertEqual(self.console.reports, {
            "boot": "WARNING: at boot", "c.d": "WARNING: CPU: 0 PID: 1 at mm/fake.c:1"})
        self.assertEqual(self.console.lines_of("c.d")[-1], "[    1.5] more")

    def test_mark_behind_a_report_names_its_test(self) -> None:
        self.log("hmmirror-test: begin module.load", "a word", "hmmirror-test: begin tests",
                 "WARNING: one", "hmmirror-test: under a.b", "a word", "hmmirror-test: under c.d",
                 "WARNING: two")
        self.assertEqual(self.console.reports, {"a.b": "WARNING: one"})
        self.console.settle("e.f")
        self.assertEqual(self.console.reports, {"a.b": "WARNING: one", "e.f": "WARNING: two"})
        self.log("WARNING: three", "hmmirror-test: under g.h",
                 "hmmirror-test: begin module.unload", "WARNING: four")
        self.console.settle("g.h")
        self.assertEqual(self.console.reports["g.h"], "WARNING: three")
        self.assertEqual(self.console.lines_of("module.unload"), ["[    1.5] WARNING: four"])

    def test_known_words(self) -> None:
        for words in ("BUG: KASAN: use-after-free", "INFO: task x blocked for more than 30 s",
                      "mm/pgtable-generic.c:50: bad pmd 00000000(8000000000000000)",
                      "BUG: Bad rss-counter state mm:0 type:MM_ANONPAGES val:1",
                      "rcu: INFO: rcu_sched detected stalls on CPUs", "unreferenced object 0xffff",
                      "UBSAN: shift-out-of-bounds"):
            self.log(f"hmmirror-test: begin {words}", words)
            self.assertEqual(self.console.reports.get(words), words)

    def test_report_in_words_that_nobody_knows(self) -> None:
        self.log("hmmirror-test: begin a", "------------[ cut here ]------------",
                 "something that was never said before", "Call Trace:", " <TASK>",
                 "hmmirror-test: begin b", "a word", "Call trace:")
        self.assertEqual(self.console.reports, {"a": "something that was never said before",
                                                "b": "Call trace:"})

    def test_stacks_that_are_no_report(self) -> None:
        self.log("hmmirror-test: begin a", "FAULT_INJECTION: forcing a failure.", "Call Trace:",
                 "hmmirror-test: begin b",
                 "x: page allocation failure: order:0, mode:0xdc0(GFP_KERNEL)",
                 "Call Trace:", "hmmirror-test: begin e",
                 "x: vmemmap alloc failure: order:9, mode:0x4cc0(GFP_KERNEL|__GFP_RETRY_MAYFAIL)",
                 "Call Trace:",
                 "hmmirror-test: begin c", "hmm invoked oom-killer: gfp_mask=0x1", "Call Trace:",
                 "hmmirror-test: begin f", "FAULT_FLAG_ALLOW_RETRY missing 881",
                 "CPU: 0 UID: 0 PID: 1 Comm: walk_thp Tainted: G           O", "Call Trace:",
                 "hmmirror-test: begin d", "Memory failure: 0x1: recovery action: corruption")
        self.assertEqual(self.console.reports, {})

    def test_stack_behind_a_harmless_one_is_a_report_again(self) -> None:
        self.log("hmmirror-test: begin a", "FAULT_INJECTION: forcing a failure.", "Call Trace:",
                 "Call Trace:")
        self.assertEqual(self.console.reports, {"a": "Call Trace:"})

    def test_warning_that_a_failing_allocation_brings_about(self) -> None:
        warning = "WARNING: CPU: 0 PID: 1 at arch/x86/mm/init_64.c:1 add_pages+0x1/0x2"
        self.log("hmmirror-test: begin fail_nth.a", warning, "hmmirror-test: begin migrate.a",
                 warning)
        self.assertEqual(list(self.console.reports), ["migrate.a"])
        self.assertEqual(self.console.excused, {"fail_nth.a"})

    def test_line_that_is_not_complete_waits(self) -> None:
        self.log("hmmirror-test: begin a")
        with self.path.open("a", encoding="utf-8") as file:
            file.write("[    1.6] WARN")
        self.console.scan()
        self.assertEqual(self.console.reports, {})
        with self.path.open("a", encoding="utf-8") as file:
            file.write("ING: at x\n")
        self.console.scan()
        self.assertEqual(self.console.reports, {"a": "WARNING: at x"})

    def test_races_of_the_driver_are_told_from_the_kernels_own(self) -> None:
        self.log("hmmirror-test: begin kernel", *race("a / a", THEIRS + OURS, THEIRS))
        self.log("hmmirror-test: begin title", *race("a / walk [hmmirror]", THEIRS, THEIRS))
        self.log("hmmirror-test: begin below",
                 *race("xas_load / a", THEIRS, ["xas_load+0x1/0x2", "xa_load+0x1/0x2", *OURS]))
        self.log("hmmirror-test: begin kernel2", *race("a / a", THEIRS, THEIRS),
                 "at foo+0x1/0x2 [hmmirror]")
        self.assertEqual(self.console.reports, {
            "below": "BUG: KCSAN: data-race in xas_load / a",
            "title": "BUG: KCSAN: data-race in a / walk [hmmirror]"})
        self.assertEqual(self.console.races, 2)


class TaintTest(unittest.TestCase):
    """The kernel's letters."""

    def test_letters(self) -> None:
        self.assertEqual(taint_letters(1 << 12, 1 << 12 | 1 << 9), "W")
        self.assertEqual(taint_letters(0, 1 << 5 | 1 << 7), "BD")
        self.assertEqual(taint_letters(0, 1 << 30), "0x40000000")


class NameTest(unittest.TestCase):
    """What a report is known by."""

    def test_oops(self) -> None:
        self.assertEqual(name_report([
            "[   11.531208] BUG: unable to handle page fault for address: ffffea007e7c0008",
            "[   11.531562] #PF: supervisor read access in kernel mode",
            "[   11.532975] RIP: 0010:queue_folios_pte_range+0x149/0x36f", "[   11.533000] Call Trace:",
            "[   11.533001]  <TASK>", "[   11.533002]  ? __die+0x20/0x60",
            "[   11.533003]  walk_pgd_range.isra.0+0x3f/0x18d",
            "[   11.533004]  walk_page_range_mm+0x78/0x168", "[   11.5330]  go+0x1/0x2 [hmmirror]",
            "[   11.533005]  migrate_to_node+0x1/0x2", "[   11.533006] RIP: 0033:0x409d12"]),
            "BUG: unable to handle page fault for address: # | "
            "queue_folios_pte_range walk_pgd_range walk_page_range_mm")

    def test_callers_in_the_driver(self) -> None:
        self.assertEqual(name_report(["BUG: unable to handle", "RIP: 0010:go+0x1/0x2 [hmmirror]",
                                      " own_abi+0x1/0x2 [hmmirror]", " vfs_ioctl+0x1/0x2"]),
                         "BUG: unable to handle | go vfs_ioctl")

    def test_warning_of_old_and_new_kernels(self) -> None:
        trace = ["Call Trace:", " unmap_page_range+0x1/0x2", " __warn+0x1/0x2", " exit_mmap+0x1/0x2"]
        old = ["WARNING: CPU: 0 PID: 88 at mm/memory.c:1623 zap_pte_range+0x1/0x2",
               "RIP: 0010:zap_pte_range+0x1/0x2", *trace]
        new = ["WARNING: mm/memory.c:1630 at zap_pte_range+0x7/0x9, CPU#1: fork/88",
               "RIP: 0010:zap_pte_range+0x7/0x9", *trace]
        wanted = "WARNING: mm/memory.c | zap_pte_range unmap_page_range exit_mmap"
        self.assertEqual([name_report(old), name_report(new)], [wanted, wanted])
        # without a stack its line names the function
        self.assertEqual(name_report(new[:1]), "WARNING: mm/memory.c | zap_pte_range")

    def test_stall_has_the_whole_stack(self) -> None:
        self.assertEqual(name_report(["rcu: INFO: rcu_sched self-detected stall on CPU",
                                      " do_syscall_64+0x1/0x2",
                                      *(f" f{number}+0x1/0x2" for number in range(20))]),
                         "rcu: INFO: rcu_sched self-detected stall on CPU | " +
                         " ".join(f"f{number}" for number in range(12)))

    def test_functions_of_the_report_itself(self) -> None:
        self.assertEqual(name_report(["BUG: Bad page state in process fork  pfn:1234", "Call Trace:",
                                      " dump_stack_lvl+0x1/0x2", " bad_page+0x1/0x2",
                                      " free_pages+0x1/0x2", "---[ end trace 0 ]---",
                                      " later+0x1/0x2"]),
                         "BUG: Bad page state in process # pfn:# | free_pages")

    def test_titles(self) -> None:
        for line, title in (
                ("kernel BUG at mm/rmap.c:123!", "kernel BUG at mm/rmap.c!"),
                ("INFO: task fork:88 blocked for more than 30 seconds.",
                 "INFO: task # blocked for more than # seconds."),
                ("BUG: Bad rss-counter state mm:00000000abcd1234 type:MM_ANONPAGES val:1",
                 "BUG: Bad rss-counter state mm:# type:MM_ANONPAGES val:#"),
                ("BUG: KASAN: use-after-free in walk+0x1/0x2", "BUG: KASAN: use-after-free in walk")):
            self.assertEqual(title_of(line), title)

if __name__ == "__main__":
    unittest.main()
