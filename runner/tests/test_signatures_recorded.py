# SPDX-License-Identifier: GPL-2.0
"""What is recorded in regressions/: is each bug told from all others by what it does to the tests?"""
from __future__ import annotations

import unittest
from pathlib import Path
from typing import Dict, FrozenSet

from runner.catalogue import all_bugs
from runner.diagnosis import Known, explain
from runner.signature import Symptom, read_signature

ROOT = Path(__file__).resolve().parents[2]


class RecordedTest(unittest.TestCase):
    """All signatures, without any source."""

    def test_each_bug_has_its_own_name(self) -> None:
        knowns = [Known(bug, read_signature(bug.signature_file))
                  for bug in all_bugs(ROOT / "regressions")]
        self.assertTrue(any(known.signature for known in knowns))
        tests = {test for known in knowns if known.signature for test in known.signature.tests}
        for known in knowns:
            for kernel in known.signature.kernels if known.signature else ():
                assert known.signature
                failed: Dict[str, FrozenSet[Symptom]] = {}
                for test, seen in known.signature.tests.items():
                    here = frozenset(symptom for symptom, where in seen.items() if kernel in where)
                    if here:
                        failed[test] = here
                found = explain(failed, tests - set(failed), knowns, kernel)
                with self.subTest(entry=known.bug.name, kernel=kernel):
                    self.assertEqual(found.unexplained, [])
                    for finding in found.findings:
                        self.assertEqual([bug.name for bug in finding.bugs], [known.bug.name])


if __name__ == "__main__":
    unittest.main()
