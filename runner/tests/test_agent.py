# SPDX-License-Identifier: GPL-2.0
"""The agent that runs in the guest, started here with stdin and stdout as its line.

Nothing here needs root, a guest, or the driver.
"""
import os
import queue
import re
import shutil
import subprocess
import tempfile
import time
import threading
import unittest
from pathlib import Path
from typing import List, Optional, Set

ROOT = Path(__file__).resolve().parents[2]
# Longer than any answer takes, also on a busy machine.
PATIENCE = 60.0


class Agent:
    """A running agent; the test reads its lines one by one."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen(
            [str(program), "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            bufsize=1, start_new_session=True)
        self.lines: "queue.Queue[Optional[str]]" = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def send(self, command: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def line(self) -> Optional[str]:
        """The next line without its time; None at the end."""
        line = self.lines.get(timeout=PATIENCE)
        return line and re.sub(r" \d+ ms$", "", line)

    def test(self, command: str) -> List[str]:
        """The lines from begin to end."""
        self.send(command)
        lines: List[str] = []
        while not lines or not lines[-1].startswith("end "):
            line = self.line()
            if line is None:
                raise AssertionError(f"the agent ended after {lines}")
            lines.append(line)
        return lines

    def close(self) -> int:
        assert self.process.stdin and self.process.stdout
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        status = self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)
        self.process.stdout.close()
        return status


class AgentTest(unittest.TestCase):
    """Tests of the suite that stands in for selftests/, and of the shell."""

    folder: "tempfile.TemporaryDirectory[str]"
    agent_path: Path
    fake: Path

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory()
        cls.agent_path = Path(cls.folder.name) / "agent"
        cls.fake = Path(cls.folder.name) / "fake"
        flags = ["gcc", "-O2", "-Wall", "-Wextra", "-static", "-o"]
        sources = [str(file) for file in sorted((ROOT / "guest").glob("*.c"))]
        subprocess.run([*flags, str(cls.agent_path), *sources], check=True)
        subprocess.run([*flags, str(cls.fake), str(ROOT / "runner/tests/suite/fake.c")], check=True)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.folder.cleanup()

    def setUp(self) -> None:
        self.agent = Agent(self.agent_path)
        self.addCleanup(self.agent.close)
        self.assertRegex(self.agent.line() or "", r"^ready \d+$")

    def fork(self, test: str, seconds: int = 60) -> List[str]:
        return self.agent.test(f"fork {seconds}\t{test}\t{self.fake}")

    def shell(self, script: str, seconds: int = 60) -> List[str]:
        return self.agent.test(f"run {seconds}\tshell\t/bin/sh\t-c\t{script}")

    def assert_gone(self, word: str) -> None:
        """No process has the word in its command line."""
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                line = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            self.assertNotIn(os.fsencode(word), line)

    def test_both_ways_give_the_same_answers(self) -> None:
        for test in "fake.pass", "fake.fail", "fake.skip", "fake.die", "fake.silent", "fake.lies":
            with self.subTest(test):
                forked = self.fork(test)
                run = self.agent.test(f"run 60\t{test}\t{self.fake}\t{test}")
                self.assertEqual(forked, run)
        self.assertEqual(self.fork("fake.pass"), ["begin", "end ok"])
        self.assertEqual(self.fork("fake.die")[-1], "end signal 6")

    def test_the_command_after_the_next_waits(self) -> None:
        for _ in range(3):
            self.agent.send(f"fork 60\tfake.pass\t{self.fake}")
        self.agent.send("quit")
        for _ in range(3):
            lines = [self.agent.line() for _ in range(2)]
            self.assertEqual(lines, ["begin", "end ok"])
        self.assertIsNone(self.agent.line())
        self.assertEqual(self.agent.close(), 0)

    def test_fork_without_a_program(self) -> None:
        self.fork("fake.pass")
        self.assertEqual(self.agent.test("fork 60\tfake.skip@2")[1:], self.fork("fake.skip")[1:])

    def test_one_server_for_all_tests(self) -> None:
        parents: Set[str] = set()
        for seconds in 41, 42:
            lines = self.fork("agent.tells", seconds)
            self.assertIn(f"| # {seconds} seconds", lines)
            parents.update(line for line in lines if line.startswith("| # parent "))
        self.assertEqual(len(parents), 1)

    def test_each_program_keeps_its_server(self) -> None:
        other = self.fake.with_name("other")
        shutil.copy(self.fake, other)
        parents: List[str] = []
        for program in (self.fake, other) * 2:
            lines = self.agent.test(f"fork 60\tagent.tells\t{program}")
            parents += [line for line in lines if line.startswith("| # parent ")]
        self.assertEqual(parents[:2], parents[2:])
        self.assertEqual(len(set(parents)), 2)
        # what ends the processes of a test ends all servers
        self.fork("agent.daemons")
        self.assert_gone(str(other))
        self.assertEqual(self.agent.test(f"fork 60\tfake.pass\t{other}"), ["begin", "end ok"])

    def test_the_log_names_every_test(self) -> None:
        if not os.access("/dev/kmsg", os.R_OK | os.W_OK):
            self.skipTest("only root reads and writes the kernel's log")
        # more than the kernel takes from an open file in five seconds
        names = [f"logs.{os.getpid()}.{number}" for number in range(15)]
        for name in names:
            self.agent.test(f"run 60\t{name}\t/bin/sh\t-c\techo {name} > /dev/kmsg")
        self.agent.close()
        log = subprocess.run(["dmesg"], capture_output=True, text=True, check=True).stdout
        self.assertEqual([name for name in names if f"hmmirror-test: under {name}\n" not in log], [])

    def test_time_limit(self) -> None:
        self.assertEqual(self.fork("fake.hang", 1)[-1], "end timeout")
        self.assertEqual(self.fork("agent.stops", 1)[-1], "end timeout")
        self.assertEqual(self.shell("sleep 777", 1)[-1], "end timeout")
        self.assert_gone("777")
        self.assertEqual(self.fork("fake.pass")[-1], "end ok")

    def test_output_limit(self) -> None:
        self.assertEqual(self.fork("fake.flood")[-1], "end output")
        self.assertEqual(self.fork("fake.pass")[-1], "end ok")

    def test_no_limits_with_0_seconds(self) -> None:
        lines = self.shell("seq 100000; exit 7", 0)
        self.assertEqual(lines[-2:], ["| 100000", "end exit 7"])

    @staticmethod
    def is_running(pid: str) -> bool:
        """Is there such a process, and not only its exit status?"""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] != "Z"

    def test_a_dead_server_costs_one_verdict(self) -> None:
        self.assertEqual(self.fork("fake.pass")[-1], "end ok")
        self.assertEqual(self.fork("agent.kills_parent")[-1], "end signal 9")
        self.assertEqual(self.fork("fake.pass")[-1], "end ok")

    def test_a_server_that_dies_between_tests_costs_none(self) -> None:
        lines = self.fork("agent.tells")
        parent = next(line.split()[-1] for line in lines if line.startswith("| # parent "))
        os.kill(int(parent), 9)
        while self.is_running(parent):
            time.sleep(0.01)
        self.assertEqual(self.fork("fake.pass"), ["begin", "end ok"])

    def test_no_server(self) -> None:
        self.assertEqual(self.agent.test("fork 9\ta.b\t/none"),
                         ["begin", "| /none: No such file or directory", "end exit 127"])
        self.assertEqual(self.agent.test("fork 9\ta.b\t/bin/false")[-1], "end exit 1")

    def test_leftovers_are_killed(self) -> None:
        self.assertEqual(self.fork("agent.daemons")[-1], "end ok")
        self.assert_gone(str(self.fake))
        self.assertEqual(self.shell("setsid sleep 778 > /dev/null 2>&1 &")[-1], "end exit 0")
        self.assert_gone("778")

    def test_descriptors(self) -> None:
        self.assertEqual(self.fork("agent.closes"), ["begin", "end exit 0"])

    def test_a_forked_test_sees_what_a_started_one_sees(self) -> None:
        forked = self.fork("agent.tells")
        run = self.agent.test(f"run 60\tagent.tells\t{self.fake}\tagent.tells")
        self.assertNotEqual(forked, run)
        self.assertEqual(*([line for line in lines if not line.startswith("| # parent ")]
                           for lines in (forked, run)))

    def test_files(self) -> None:
        file = Path(self.folder.name) / "file"
        file.write_text("old\n", encoding="utf-8")
        self.agent.send(f"write {file}\tsome words")
        self.agent.send(f"read {file}")
        self.assertEqual(self.agent.line(), "text some words")
        self.agent.send(f"read {file}.none")
        self.assertEqual(self.agent.line(), f"no {file}.none: No such file or directory")
        self.agent.send(f"write {file}.none\tx")
        self.assertEqual(self.agent.line(), f"no {file}.none: No such file or directory")
        self.assertEqual(self.fork("fake.pass"), ["begin", "end ok"])

    def test_bad_commands(self) -> None:
        for command in "", "run", "run 5", "run 5\tname", "fork 5\tname\t/bin/true\tname", "walk 5\ta\t/b":
            with self.subTest(command):
                agent = Agent(self.agent_path)
                self.assertRegex(agent.line() or "", r"^ready \d+$")
                agent.send(command)
                self.assertIsNone(agent.line())
                self.assertEqual(agent.close(), 2)


if __name__ == "__main__":
    unittest.main()
