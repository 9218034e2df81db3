# SPDX-License-Identifier: GPL-2.0
"""What --check=noapt does on this side."""
from __future__ import annotations

import json
import unittest

from runner.noapt import differences, results_of


class NoaptTest(unittest.TestCase):
    """Results here and there."""

    def test_differences(self) -> None:
        tests = [{"name": "a.b", "result": "passed"}, {"name": "a.c", "result": "failed"}]
        here = results_of(json.dumps({"cells": [{"tests": tests}]}))
        self.assertEqual([], differences(here, dict(here)))
        self.assertEqual(["a.b: passed here, skipped there", "a.c: failed here, not run there",
                          "a.d: not run here, passed there"],
                         differences(here, {"a.b": "skipped", "a.d": "passed"}))


if __name__ == "__main__":
    unittest.main()
