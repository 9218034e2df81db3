# SPDX-License-Identifier: GPL-2.0
"""--format: what is written is accepted by those who define each format.

KTAP is read by kunit.py of the kernel trees in the cache, TAP by prove, KCIDB's report by the
package kcidb_io (github.com/kernelci/kcidb-io), which has the published schema: it is looked for
in HMMIRROR_TEST_KCIDB_IO, a checkout, and among Python's packages. The lines for LAVA are run by
the lava-test-case of Debian's lava-dispatcher, or of HMMIRROR_TEST_LAVA.
"""
from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any, Dict, List, Optional
from unittest import mock

from runner import formats
from runner.errors import Failure
from runner.results import FAIL, FLAKY, OK, SKIP, XFAIL, About, Cell, Ledger, Verdict, \
    write_results

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hmmirror"
LAVA = Path(os.environ.get(
    "HMMIRROR_TEST_LAVA", "/usr/lib/python3/dist-packages/lava_dispatcher/lava_test_shell"))
# of Debian, for which it has python3-jsonschema
PYTHONS = ("/usr/bin/python3", "python3")
VALIDATE = """
import json, sys
from kcidb_io.schema import V5_3
V5_3.validate(json.load(sys.stdin))
"""
# what a parser could take for something else
UGLY = ["# Subtest: other", "Subtest: other", "not ok 1 a.b", "1..7", "KTAP version 1",
        "reboot: System halted", "Kernel panic - not syncing: VFS: no root", "ok 3", "\x1b[31m<&>",
        "Bail out!"]


def kcidb_io() -> Optional[List[str]]:
    """The Python that has kcidb_io."""
    checkout = os.environ.get("HMMIRROR_TEST_KCIDB_IO", "")
    for python in PYTHONS:
        path = {"PYTHONPATH": checkout} if checkout else {}
        done = subprocess.run([python, "-c", "import kcidb_io.schema"], capture_output=True,
                              check=False, env={**os.environ, **path})
        if done.returncode == 0:
            return ["env", f"PYTHONPATH={checkout}", python]
    return None


class FormatTest(unittest.TestCase):
    """A run with a cell in which everything happened, and one that could not be run."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        ledger = Ledger(self.folder, lambda line: None)
        for verdict in (
                Verdict("a.good", OK, 5), Verdict("a.good@2", OK, 5),
                Verdict("a.bad", FAIL, 7, output=UGLY, bugs=["some-bug"]),
                Verdict("a.crash", FAIL, 8, "the guest died: # 1", ["BUG: here"]),
                Verdict("b.skip", SKIP, 1, "no such thing # here"),
                Verdict("b.known", XFAIL, 2, "killed by signal 6", known="on its # way"),
                Verdict("b.flaky", FLAKY, 3, output=["# x.c:1:b:Expected"], again=3,
                        passed_again=2),
                Verdict("own prog>", OK, 4)):
            ledger.record(verdict)
        done = Cell("6.1 x#y", "6.1+x", "6.1", "6.1.192-3", "a" * 40, "v6.1-3-gaaaaaaaaaaaa",
                    "gcc 12", "0" * 64, "x", "x86_64", "QEMU 7", "tcg", state="done",
                    ledger=ledger, logs="/logs/1")
        done.diagnosis = {"bugs": [{"entry": "some-bug", "word": "is", "fix": "mm: fix it",
                                    "commit": "b" * 40, "tests": ["a.bad"]}],
                          "unexplained": ["a.crash"]}
        unbuilt = Cell("7.3", "7.3", "7.3", "7.3", reason="building linux 7.3 failed", unfit=True,
                       arch="x86_64",
                       logs="/logs/2")
        about = About("suite", "2026-11-21T07:22:11Z", 12, command="./run_tests.sh")
        self.results: Dict[str, Any] = write_results(self.folder, about, [done, unbuilt])

    def lines(self, name: str) -> List[str]:
        """The results in a format."""
        return formats.FORMATS[name](self.results)

    def write(self, name: str) -> Path:
        """A file with them."""
        path = self.folder / f"out.{name}"
        formats.deliver(self.results, [(name, str(path))])
        return path

    def test_ktap_is_read_by_the_kernel(self) -> None:
        trees = [tree for tree in sorted(CACHE.glob("source/linux-*"))
                 if "KTAP version" in (tree / "tools/testing/kunit/kunit_parser.py").read_text()]
        if not trees:
            self.skipTest("no kernel tree of 5.18 or later is in the cache")
        path = self.write("ktap")
        for tree in trees:
            done = subprocess.run(
                ["python3", str(tree / "tools/testing/kunit/kunit.py"), "parse", str(path)],
                capture_output=True, text=True, check=False)
            said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
            self.assertIn("Ran 9 tests: passed: 5, failed: 3, skipped: 1\n", said + "\n", str(tree))
            self.assertNotIn("[ERROR]", said, str(tree))
            self.assertIn("[FAILED] a.crash", said)
            self.assertIn("6.1 x_y (8 subtests)", said)

    def test_tap_is_read_by_prove(self) -> None:
        if not shutil.which("prove"):
            self.skipTest("no prove; it is in perl")
        path = self.write("tap")
        done = subprocess.run(["prove", "-e", "cat", str(path)], capture_output=True, text=True,
                              check=False)
        self.assertNotIn("Parse errors", done.stdout)
        self.assertIn("Failed tests:  3-4, 9\n", done.stdout)
        self.assertIn("Failed 3/9 subtests", done.stdout)

    def test_kcidb_has_the_published_schema(self) -> None:
        python = kcidb_io()
        if not python:
            self.skipTest("no kcidb_io; HMMIRROR_TEST_KCIDB_IO names a checkout of kcidb-io, and "
                          "it needs python3-jsonschema")
        text = self.write("kcidb").read_text()
        done = subprocess.run([*python, "-c", VALIDATE], input=text, capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stderr[-500:])
        # and the check can fail
        done = subprocess.run([*python, "-c", VALIDATE], input=text.replace('"FAIL"', '"BAD"'),
                              capture_output=True, text=True, check=False)
        self.assertNotEqual(done.returncode, 0)

    def test_kcidb_objects_belong_together(self) -> None:
        report = formats.kcidb(self.results)
        build, unbuilt = report["builds"]
        self.assertEqual((build["status"], unbuilt["status"]), ("PASS", "FAIL"))
        self.assertEqual(report["checkouts"][0]["git_commit_name"], "v6.1-3-gaaaaaaaaaaaa")
        tests = {test["misc"]["name"]: test for test in report["tests"]}
        self.assertEqual(tests["a.good@2"]["path"], "hmmirror.a.good_2")
        self.assertEqual([tests[name]["status"] for name in
                          ("a.good", "a.bad", "b.skip", "b.known", "b.flaky")],
                         ["PASS", "FAIL", "SKIP", "FAIL", "FAIL"])
        self.assertEqual({test["build_id"] for test in tests.values()}, {build["id"]})
        [incident] = report["incidents"]
        self.assertEqual(incident["test_id"], tests["a.bad"]["id"])
        self.assertEqual(incident["issue_id"], report["issues"][0]["id"])
        ids = [thing["id"] for things in report.values() if isinstance(things, list)
               for thing in things if thing not in report["checkouts"]]
        self.assertEqual(len(ids), len(set(ids)))

    def test_kcidb_ids_are_of_a_run(self) -> None:
        before = formats.kcidb(self.results)
        self.assertEqual(before, formats.kcidb(self.results))
        self.results["started"] = "2026-11-22T07:22:11Z"
        self.assertNotEqual(before["builds"][0]["id"],
                            formats.kcidb(self.results)["builds"][0]["id"])

    def test_kcidb_origin(self) -> None:
        with mock.patch.dict(os.environ, {formats.KCIDB_ORIGIN: "ours"}):
            self.assertEqual(formats.kcidb(self.results)["builds"][0]["origin"], "ours")
        with mock.patch.dict(os.environ, {formats.KCIDB_ORIGIN: "Ours!"}), \
                self.assertRaises(Failure):
            formats.check_formats([("kcidb", "x")])

    def test_lava_takes_each_line(self) -> None:
        lines = self.lines("lava")
        self.assertEqual(lines[2], "lava-test-case 6.1+x.a.bad --result fail --measurement 7 "
                         "--units ms")
        results = [line.split()[3] for line in lines]
        self.assertEqual(results, ["pass", "pass", "fail", "fail", "skip", "pass", "pass", "pass",
                                   "pass", "fail"])
        if not (LAVA / "lava-test-case").is_file():
            self.skipTest("no lava-test-case; it is in lava-dispatcher, or HMMIRROR_TEST_LAVA "
                          "names its folder")
        # the job's own shell puts these into its PATH
        for name in ("lava-test-case", "lava-common-functions"):
            shutil.copy(LAVA / name, self.folder)
            text = (self.folder / name).read_text()
            (self.folder / name).write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}")
            (self.folder / name).chmod(0o755)
        done = subprocess.run(
            ["sh", "-e", str(self.write("lava"))], capture_output=True, text=True, check=True,
            env={"PATH": f"{self.folder}:{os.environ['PATH']}",
                 "LAVA_RESULT_DIR": str(self.folder / "lava")})
        # as its dispatcher reads it
        signals = re.findall(r"<LAVA_SIGNAL_(\S+) ([^>]+)>", done.stdout + done.stderr)
        self.assertEqual(len(signals), len(lines))
        self.assertEqual(signals[2], ("TESTCASE", "TEST_CASE_ID=6.1+x.a.bad RESULT=fail UNITS=ms "
                                      "MEASUREMENT=7"))

    def test_json_and_junit_are_those_of_the_folder(self) -> None:
        self.assertEqual(json.loads("\n".join(self.lines("json"))),
                         json.loads((self.folder / "results.json").read_text()))
        self.assertEqual("\n".join(self.lines("junit")) + "\n",
                         (self.folder / "junit.xml").read_text())

    def test_what_is_refused(self) -> None:
        for value in ("banana", ":x", ""):
            with self.assertRaises(Failure):
                formats.split(value)
        for wanted in ([("tap", ""), ("ktap", "")], [("tap", "/nowhere/x")], [("tap", "/tmp")]):
            with self.assertRaises(Failure):
                formats.check_formats(wanted)
        self.assertEqual(formats.split("junit:a:b"), ("junit", "a:b"))
        self.assertEqual(formats.split("junit:-"), ("junit", ""))


if __name__ == "__main__":
    unittest.main()
