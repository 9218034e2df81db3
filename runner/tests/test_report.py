# SPDX-License-Identifier: GPL-2.0
"""report.html: what is in it, and what a browser makes of it.

The browser is Debian's chromium, by its DevTools protocol on a pipe.
"""
from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from runner.publish import publish
from runner.report import quote
from runner.results import FAIL, FLAKY, OK, SKIP, XFAIL, About, Cell, Ledger, Verdict

UGLY = f"</script><b>&\"'x.c:1:{'long_' * 12}:Expected"


class Texts(HTMLParser):
    """Tags and texts of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: List[Tuple[str, Dict[str, Optional[str]]]] = []
        self.texts: List[str] = []

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


class Report(unittest.TestCase):
    """Two kernels with all kinds of tests, and an earlier run of one of them."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.logs = Path(folder.name)
        self.leave("1", [self.cell("6.1", [Verdict("a.was", OK, 1), Verdict("a.bad", FAIL, 1)])],
                   "2026-11-20T00:00:00Z")

    def cell(self, name: str, verdicts: List[Verdict]) -> Dict[str, Any]:
        """A cell of results.json."""
        ledger = Ledger(self.logs, lambda line: None)
        for verdict in verdicts:
            ledger.record(verdict)
        ledger.consoles["a.bad"] = [f"[ 1.0] WARNING: {UGLY}"]
        ledger.consoles["b.good"] = [f"line {number}" for number in range(300)]
        cell = Cell(name, name, name, f"{name}.192", state="done", ledger=ledger)
        cell.diagnosis = {"bugs": [{"entry": "some-bug", "word": "is", "fix": "mm: fix it",
                                    "commit": "abc", "tests": ["a.bad"]}], "unexplained": []}
        return cell.as_json()

    def leave(self, name: str, cells: List[Dict[str, Any]],
              started: str = "2026-11-21T00:00:00Z") -> Path:
        """A run; its page."""
        (self.logs / name).mkdir()
        publish(self.logs, self.logs / name, About("suite", started, 3, command="./run_tests.sh"),
                cells)
        return self.logs / name / "report.html"

    def two_kernels(self) -> Path:
        """The page of this run."""
        verdicts = [Verdict("a.was", FAIL, 3, UGLY), Verdict("b.good", OK, 1),
                    Verdict("a.bad", FAIL, 7, "", [f"# x.c:1:bad:{UGLY}"], bugs=["some-bug"]),
                    Verdict("b.skip", SKIP, 1, "no such thing"), Verdict("c.skip", SKIP, 1),
                    Verdict("d.flaky", FLAKY, 1, again=3, passed_again=2),
                    Verdict(f"e.{'long' * 30}.known", XFAIL, 1, known="on its way")]
        return self.leave("2", [self.cell("6.1", verdicts),
                                self.cell("7.3", [Verdict("b.good", OK, 1)])])


class PageTest(Report):
    """The file."""

    def test_nothing_comes_from_elsewhere(self) -> None:
        page = self.two_kernels().read_text()
        parser = Texts()
        parser.feed(page)
        for tag, attributes in parser.tags:
            self.assertNotIn("src", attributes, tag)
            self.assertNotIn(tag, ("link", "iframe", "img"))
            self.assertFalse(re.match("[a-z]+:", attributes.get("href") or ""), attributes)
        self.assertNotIn("url(", page)
        self.assertNotIn("@import", page)

    def test_what_tests_print_is_text(self) -> None:
        page = self.two_kernels().read_text()
        parser = Texts()
        parser.feed(page)
        self.assertNotIn("b", [tag for tag, _ in parser.tags])
        self.assertEqual(page.count("</script>"), 2)
        self.assertIn(UGLY, "".join(parser.texts))

    def test_map_is_readable_without_colour(self) -> None:
        parser = Texts()
        parser.feed(self.two_kernels().read_text())
        for text in ("✗ 2/2", "✓ 1 – 1", "– 1", "! 1/1", "✓ 1"):
            self.assertIn(text, parser.texts)
        labels = [attributes.get("aria-label") for _, attributes in parser.tags]
        self.assertIn("b on 6.1: 1 passed, 1 skipped", labels)

    def test_changes_since_the_last_run(self) -> None:
        page = self.two_kernels().read_text()
        self.assertIn("Since the last run of 6.1, 2026-11-20T00:00:00Z", page)
        self.assertIn('href="#t/0/a.was">a.was</a> failed, was passed', page)
        self.assertNotIn("Since the last run of 7.3", page)
        results = json.loads((self.logs / "2/results.json").read_text())
        self.assertEqual(results["cells"][0]["since"]["changes"],
                         [{"test": "a.was", "before": "passed", "now": "failed"}])
        self.assertIsNone(results["cells"][1]["since"])

    def test_later_runs_are_not_earlier(self) -> None:
        self.leave("9", [self.cell("6.1", [Verdict("a.was", FAIL, 1)])], "2026-11-30T00:00:00Z")
        self.two_kernels()
        results = json.loads((self.logs / "2/results.json").read_text())
        self.assertEqual(results["cells"][0]["since"]["started"], "2026-11-20T00:00:00Z")

    def test_coverage_and_counts_are_linked(self) -> None:
        for name, kernel in ("10", "6.1.192"), ("11", "6.1.192"), ("12", "7.3.192"), ("13", ""):
            (self.logs / name).mkdir()
            (self.logs / name / "report.html").touch()
            kernels = json.dumps({"kernels": [{"kernel": kernel}]}) if kernel else "{"
            (self.logs / name / "counts.json").write_text(kernels)
        logs = self.logs / "of a cell"
        (logs / "coverage").mkdir(parents=True)
        cell = {**self.cell("6.1", [Verdict("a", OK, 1)]), "logs": str(logs)}
        page = self.leave("2", [cell]).read_text()
        self.assertIn('<a href="../11/report.html">6.1: instructions, by --bench</a>', page)
        self.assertIn('<a href="../of%20a%20cell/coverage">6.1: coverage</a>', page)
        page = self.leave("3", [self.cell("5.4", [Verdict("a", OK, 1)])]).read_text()
        self.assertNotIn("instructions", page)
        self.assertNotIn("coverage", page)

    def test_one_kernel_and_none(self) -> None:
        self.assertIn('class="flow"', self.leave("2", [self.cell("6.1", [Verdict("a", OK, 1)])])
                      .read_text())
        broken = Cell("7.3", "7.3", "7.3", reason="building linux 7.3 failed").as_json()
        page = self.leave("3", [broken]).read_text()
        self.assertIn("7.3 cannot be run: building linux 7.3 failed", page)

    def test_console_is_cut(self) -> None:
        self.two_kernels()
        tests = json.loads((self.logs / "2/results.json").read_text())["cells"][0]["tests"]
        self.assertEqual([len(test["console"]) for test in tests], [0, 20, 1, 0, 0, 0, 0])

    def test_fragments_are_those_of_the_script(self) -> None:
        self.assertEqual(quote("a.b@2 é/"), "a.b%402%20%C3%A9%2F")


class Browser:
    """A page in Chromium."""

    def __init__(self, page: Path, width: int, profile: Path) -> None:
        to_us, from_it = os.pipe()
        to_it, from_us = os.pipe()
        # it reads commands from 3 and answers on 4
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{to_it} 4>&{from_it}', "-", "chromium", "--headless",
             "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
             f"--user-data-dir={profile}", f"--window-size={width},900", page.as_uri()],
            pass_fds=(to_it, from_it), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_it)
        os.close(from_it)
        self._in, self._out = os.fdopen(to_us, "rb"), os.fdopen(from_us, "wb")
        self._number = 0
        self._session = ""
        targets = self.call("Target.getTargets")["targetInfos"]
        target = next(one["targetId"] for one in targets if one["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=target,
                                  flatten=True)["sessionId"]
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900,
                  deviceScaleFactor=1, mobile=False)
        # before, it has an empty page
        assert self.wait("document.readyState === 'complete' && location.protocol === 'file:'")

    def call(self, method: str, **parameters: Any) -> Dict[str, Any]:
        """A command of the protocol."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        self._out.flush()
        while True:
            text = bytearray()
            while not text.endswith(b"\0"):
                byte = self._in.read(1)
                if not byte:
                    raise EOFError("chromium has ended")
                text += byte
            answer: Dict[str, Any] = json.loads(text[:-1])
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: Dict[str, Any] = answer["result"]
                return result

    def run(self, script: str) -> Any:
        """The value of an expression."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, script: str) -> bool:
        """Does an expression come true? Some things that a key does come later."""
        end = time.monotonic() + 10
        while not self.run(script):
            if time.monotonic() > end:
                return False
        return True

    def press(self, key: str) -> None:
        """A key, down and up."""
        code = {"Enter": 13, "Escape": 27, "Tab": 9, "ArrowRight": 39, "ArrowDown": 40}.get(key, 0)
        words = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code,
                  **words)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def close(self) -> None:
        """Ends it."""
        self.process.kill()
        self.process.wait()
        self._in.close()
        self._out.close()


@unittest.skipUnless(shutil.which("chromium"), "no chromium")
class BrowserTest(Report):
    """The page at work."""

    def open(self, width: int = 1440) -> Browser:
        """The page of two kernels."""
        profile = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, profile, True)
        browser = Browser(self.two_kernels(), width, Path(profile))
        self.addCleanup(browser.close)
        return browser

    def test_by_keyboard(self) -> None:
        browser = self.open()
        detail = "document.getElementById('detail').innerText"
        focus = "document.activeElement.getAttribute('aria-label')"
        # the map is one stop of Tab
        self.assertEqual(browser.run("document.querySelectorAll('a.spot[tabindex=\"0\"]').length"), 1)
        browser.run("document.querySelector('a.spot').focus()")
        self.assertTrue(browser.wait(f"{focus}.includes('a on 6.1')"))
        browser.press("ArrowDown")
        self.assertTrue(browser.wait(f"{focus}.includes('b on 6.1')"))
        browser.press("ArrowRight")
        self.assertTrue(browser.wait(f"{focus}.includes('b on 7.3')"))
        browser.press("Enter")
        self.assertTrue(browser.wait(f"{detail}.includes('b.good')"))
        browser.press("Escape")
        self.assertTrue(browser.wait("document.getElementById('detail').hidden"))
        self.assertTrue(browser.wait(f"{focus}.includes('b on 7.3')"))
        browser.press("n")
        self.assertTrue(browser.wait("location.hash === '#t/0/a.was'"))
        self.assertTrue(browser.wait(
            f"{detail}.includes('It was ok in the run of 2026-11-20T00:00:00Z.')"))
        browser.press("n")
        self.assertTrue(browser.wait(f"{detail}.includes('a.bad')"))
        said = browser.run(detail)
        for text in ("a.bad", "It is some-bug; fix: mm: fix it (abc)", f"# x.c:1:bad:{UGLY}",
                     f"[ 1.0] WARNING: {UGLY}", "./run_tests.sh -k 6.1 a.bad"):
            self.assertIn(text, said)
        browser.press("p")
        self.assertTrue(browser.wait(f"{detail}.includes('It was ok')"))
        browser.press("/")
        self.assertTrue(browser.wait("document.activeElement.id === 'filter'"))

    def test_filter(self) -> None:
        browser = self.open()
        shown = "Array.from(document.querySelectorAll('[data-subject]')).filter(" \
                "(row) => row.offsetParent).map((row) => row.dataset.subject).join(' ')"
        self.assertEqual(browser.run(shown), "a b c d e")
        browser.press("/")
        self.assertTrue(browser.wait("document.activeElement.id === 'filter'"))
        for key in "goo":
            browser.press(key)
        self.assertTrue(browser.wait(f"{shown} === 'b'"))
        browser.press("Escape")
        browser.run("document.getElementById('only').click()")
        self.assertTrue(browser.wait(f"{shown} === 'a d e'"))

    def test_narrow(self) -> None:
        browser = self.open(400)
        wide = "document.documentElement.scrollWidth"
        self.assertLessEqual(browser.run(wide), 400)
        browser.press("n")
        self.assertTrue(browser.wait("location.hash === '#t/0/a.was'"))
        self.assertLessEqual(browser.run(wide), 400)
        # a long name of a test, too
        browser.run("location.hash = document.querySelector('[data-subject=e] a').hash")
        self.assertTrue(browser.wait("document.getElementById('detail').innerText.includes('long')"))
        self.assertLessEqual(browser.run(wide), 400)
        top = browser.run("document.getElementById('detail').getBoundingClientRect().top")
        self.assertTrue(-5 < top < 450, top)


if __name__ == "__main__":
    unittest.main()
