# SPDX-License-Identifier: GPL-2.0
"""python3 -m series.trial TREE: applies a series to a copy of the tree, and builds it.

The copy is made of hard links and of a finished build of that tree, so only what is new is built.
--help has the options.
"""
from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

from runner import packages, upstream
from runner.build import KCONFIG, prepare, tree_words
from runner.check import SPARSE_SKIPPED, sparse_ran, sparse_refused
from runner.collection import ARCHIVE, SELFTESTS, script as collection_script
from runner.config import Config
from runner.errors import Failure
from runner.follow import Test
from runner.guest import COHERENT_MB
from runner.host import Host, make_flags
from runner.kernel import Kernel, resolve
from runner.programs import Driver, build_agent
from runner.regressions import COPY_SCRIPT
from runner.results import WORDS, Cell, Ledger, Verdict, totals
from runner.suite import Machine, Run
from series.__main__ import ROOT, make_series, probed
from series.layout import DRIVER, STEPS, TESTS
from series.options import Parser, call

# without the menu the driver cannot be chosen
CHOSEN = "CONFIG_TEST_HMMIRROR=m"
CONFIG = f"CONFIG_RUNTIME_TESTING_MENU=y\n{CHOSEN}\n"
BAD = "warning:|error:"
# the first patch adds all patterns to MAINTAINERS
IGNORED = "FILE_PATH_CHANGES"
TARGET = TESTS.split("selftests/")[1]
MODULE = "hmmirror.o"
# of a program under run_kselftest.sh, which is in the file settings for machines that have timeout(1)
PROGRAM_PATIENCE = 900

# what a step did: its name; whether all is well, or None if it cannot be done here; and what was
# printed
Tell = Callable[[str, Optional[bool], Sequence[str]], None]


@dataclass
class Trial:
    """A copy of a kernel's source and build."""

    host: Host
    kernel: Kernel
    folder: Path
    tell: Tell

    @property
    def tree(self) -> Path:
        """The copy of the source."""
        return self.folder / "source"

    @property
    def build(self) -> Path:
        """The copy of the build folder."""
        return self.folder / "build"

    @property
    def programs(self) -> Path:
        """Where the tests are built: there they are found when they are installed."""
        return self.objects / "kselftest" / TARGET

    @property
    def objects(self) -> Path:
        """What the tree's selftests take for the build folder."""
        return self.folder / "objects"

    @property
    def everything(self) -> Path:
        """The build folder of allmodconfig."""
        return self.folder / "allmodconfig"

    @property
    def installed(self) -> Path:
        """Where the tests are installed."""
        return self.folder / "installed"

    async def copy(self) -> None:
        """Makes both."""
        await self.host.run_or_fail(f"copying linux {self.kernel.name}", [
            "bash", "-c", COPY_SCRIPT, "copy", str(self.kernel.source), str(self.kernel.build),
            str(self.folder), KCONFIG], self.folder / "log")

    async def run(self, what: str, argv: Sequence[str], bad: str = "error:") -> bool:
        """One step, which must end well and print nothing bad."""
        log = self.folder / "step.log"
        log.unlink(missing_ok=True)
        status = await self.host.run(what, list(argv), log)
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        wrong = [line for line in lines if re.search(bad, line)]
        good = not status and not wrong
        self.tell(what, good, wrong or lines)
        return good

    async def apply_all(self, patches: Sequence[Path]) -> bool:
        """git am of all patches, as documented, in a repository of the files that they change."""
        repository = self.folder / "am"
        names = {name for patch in patches
                 for name in re.findall(r"^--- a/(.+)$", patch.read_text("utf-8"), re.M)}
        for name in sorted(names):
            # what an earlier patch of the series adds is not there yet
            if (self.tree / name).is_file():
                (repository / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.tree / name, repository / name)
        git = ["git", "-C", str(repository), "-c", "user.name=trial",
               "-c", "user.email=trial@localhost"]
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "the tree"]):
            await self.host.run_or_fail("a repository for git am", [*git, *words],
                                        self.folder / "log")
        return await self.run("git am takes all patches", [
            *git, "am", "-q", "--empty=drop", *map(str, patches)])

    async def apply(self, patch: Path) -> bool:
        """One patch. git replaces files, so the tree that the links lead to stays as it is."""
        return await self.run(f"{patch.name} applies", [
            "git", "-C", str(self.tree), "apply", "--whitespace=error", str(patch)])

    async def style(self, patch: Path) -> bool:
        """checkpatch of that tree."""
        return await self.run(f"{patch.name} is in style", [
            "perl", str(self.tree / "scripts/checkpatch.pl"), f"--root={self.tree}", "--strict",
            "--no-summary", "--terse", "--show-types", "--ignore", IGNORED, str(patch)],
            "(WARNING|ERROR|CHECK):")

    def make(self, *words: str) -> List[str]:
        """make in the copy."""
        # only without -s does it name the files that sparse reads
        return [*self.make_in(self.build, silent="C=2" not in words),
                f"KBUILD_KCONFIG={self.build / KCONFIG}", *words]

    def make_in(self, folder: Path, silent: bool = True) -> List[str]:
        """make in the copy of the source, for a build folder."""
        return ["make", *(["-s"] if silent else []), "-C", str(self.tree), f"O={folder}",
                *make_flags(self.host), *self.kernel.config.make, *tree_words(self.tree)]

    async def build_driver(self, label: str, *words: str) -> bool:
        """Builds the module, in a folder that the copy of the build does not have."""
        config = self.build / ".config"
        text = config.read_text(encoding="utf-8")
        if not set(CONFIG.splitlines()) <= set(text.splitlines()):
            text = re.sub(r"^(# )?CONFIG_(RUNTIME_TESTING_MENU|TEST_HMMIRROR)\b.*\n", "", text,
                          flags=re.M)
            config.write_text(text + CONFIG, encoding="utf-8")
            if not await self.run(f"{label}, configured", self.make("olddefconfig")):
                return False
            if CHOSEN not in config.read_text(encoding="utf-8").splitlines():
                self.tell(f"{label}, configured", False, ["TEST_HMMIRROR cannot be had"])
                return False
        target = f"{DRIVER}/hmmirror.ko"
        what = " ".join([label, *words])
        if not await self.run(what, self.make(*words, target), BAD):
            return False
        if "C=2" in words:
            lines = (self.folder / "step.log").read_text(errors="replace").splitlines()
            refused = sparse_refused(lines)
            self.tell(f"{what}: sparse", None if refused else sparse_ran(lines),
                      [SPARSE_SKIPPED] if refused else ["make did not call sparse"])
        return True

    async def build_allmodconfig(self, label: str) -> bool:
        """Builds the driver's folder with allmodconfig, and what every object needs.

        The rest of the kernel would take hours, and the series does not change it.
        """
        self.everything.mkdir(exist_ok=True)
        make = self.make_in(self.everything)
        # anew after each patch: where one has changed Kconfig, make would ask for the new options
        if not await self.run(f"{label} configured", [*make, "allmodconfig"], BAD):
            return False
        if CHOSEN not in (self.everything / ".config").read_text("utf-8").splitlines():
            self.tell(f"{label} configured", False, [f"its .config has no {CHOSEN}"])
            return False
        # with W=1 too: with other flags the next make would build all that once more
        if not await self.run(f"{label} prepared", [*make, "W=1", "prepare"]) or \
                not await self.run(f"{label} W=1", [*make, "W=1", f"{DRIVER}/"], BAD):
            return False
        missing = unbuilt(self.tree / DRIVER, self.everything / DRIVER)
        self.tell(f"{label} W=1: every file", not missing,
                  [f"make has not built {name}" for name in missing])
        return not missing

    async def build_tests(self, label: str) -> bool:
        """Builds the collection, as the tree does."""
        self.programs.mkdir(parents=True, exist_ok=True)
        return await self.run(label, [
            "make", "-s", "-C", str(self.tree / TESTS), *make_flags(self.host), "CC=gcc",
            f"OUTPUT={self.programs}", "USERLDFLAGS=-Wl,-z,now -s"], BAD)

    async def install(self) -> bool:
        """Builds and installs the collection, as the tree does, and packs it for a guest."""
        good = await self.run(f"make TARGETS={TARGET} install", [
            "make", "-s", "-C", str(self.tree / SELFTESTS), *make_flags(self.host), "CC=gcc",
            f"O={self.objects}", f"TARGETS={TARGET}", "FORCE_TARGETS=1",
            f"INSTALL_PATH={self.installed}", "USERLDFLAGS=-Wl,-z,now -s", "install"],
            BAD)
        if good:
            await self.host.capture(["tar", "-cf", str(self.folder / ARCHIVE), "-C",
                                     str(self.installed), "."])
        return good

    async def run_tests(self, expected: Dict[str, str]) -> None:
        """Runs the installed programs with the tree's driver, by the tree's run_kselftest.sh."""
        if not await self.install():
            return
        tests = []
        for line in (self.installed / "kselftest-list.txt").read_text("utf-8").splitlines():
            collection, _, name = line.partition(":")
            script = self.folder / f"run.{name}"
            script.write_text(collection_script(collection, name), encoding="utf-8")
            script.chmod(0o755)
            tests.append(Test(name, script, (), PROGRAM_PATIENCE, nested=True))
        # the guest gets libraries for the programs that it is given, not for those in an archive
        programs = [self.installed / TARGET / test.name for test in tests]
        verdicts = await self.run_all(COHERENT_MB, tests,
                                      [self.folder / ARCHIVE, *programs])
        if expected:
            have = {name.partition(".")[2]: WORDS[verdict.result]
                    for name, verdict in verdicts.items()}
            other = [f"{name}: {have.get(name, 'no verdict')}, {expected.get(name, 'no verdict')} expected"
                     for name in sorted({*have, *expected}) if have.get(name) != expected.get(name)]
            self.tell(f"{len(expected)} verdicts are those expected", not other, other)

    async def run_upstream(self) -> None:
        """Runs hmm-tests of the tree with the tree's driver."""
        tests = await upstream.find_tests(self.host, self.kernel, "")
        suite = await upstream.build_tests(self.host, tests, self.kernel.arch)
        await self.run_all(upstream.COHERENT_MB, [
            Test(name, suite.programs / program, (name,), upstream.TIMEOUT, forked=True)
            for name, program in suite.tests.items()])

    async def run_all(self, coherent_mb: int, tests: Sequence[Test],
                      files: Sequence[Path] = ()) -> Dict[str, Verdict]:
        """Boots the kernel with these files besides, and shows what comes of these tests."""
        driver = Driver(self.build / DRIVER / "hmmirror.ko", Path())
        machine = Machine(self.host, self.kernel, driver, await build_agent(self.host),
                          coherent_mb=coherent_mb)
        await machine.require()
        logs = self.host.cache.new_logs()
        cell = Cell("")
        cell.ledger = Ledger(logs.path, self.host.terminal.out)
        await Run(machine, cell.ledger, logs.path).run(tests, more_programs=files)
        self.host.terminal.out(f"logs: {logs.path}")
        self.host.terminal.out(totals([cell]))
        return cell.ledger.verdicts


def unbuilt(sources: Path, objects: Path) -> List[str]:
    """The objects of a module's C files that a build has not made, and of the module itself."""
    wanted = [f"{path.relative_to(sources).with_suffix('.o')}"
              for path in sorted(sources.rglob("*.c"))]
    return [name for name in [*wanted, MODULE] if not (objects / name).is_file()]


async def try_series(host: Host, arguments: argparse.Namespace, tell: Tell,
                     expected: Dict[str, str]) -> None:
    """The series for a tree: applied, checked, built and, if wanted, run."""
    if arguments.run:
        # now: half an hour passes until make calls it
        await packages.require(host, packages.KSELFTEST_INSTALL)
    source, have, lacks = await probed(host, arguments.tree)
    kernel = await prepare(host, await resolve(host, arguments.tree), Config())
    with host.cache.temporary("series") as folder:
        patches = make_series(source, have, lacks, folder / "patches")
        tell(f"series of {len(patches) - 1} patches for {kernel.name}", True, [])
        trial = Trial(host, kernel, folder, tell)
        await trial.copy()
        if not await trial.apply_all(patches):
            return
        for number, patch in enumerate(patches[1:], 1):
            if not await trial.apply(patch) or not await trial.style(patch):
                return
            last = number == len(patches) - 1
            has_tests = any(step.programs for step in STEPS[:number])
            driver = f"driver after patch {number}"
            if last or (arguments.each and f" b/{DRIVER}/" in patch.read_text(encoding="utf-8")):
                if not await trial.build_driver(driver, "W=1", "C=2"):
                    return
            # the first patch adds the option
            if arguments.allmodconfig and (arguments.each or last) and \
                    not await trial.build_allmodconfig(f"{driver}, allmodconfig"):
                return
            if has_tests and (arguments.each or last) and \
                    not await trial.build_tests(f"tests after patch {number}"):
                return
        if arguments.run:
            await trial.run_tests(expected)
            await trial.run_upstream()


def verdicts_of(file: Path) -> Dict[str, str]:
    """The result of each test in the first cell of a results.json."""
    try:
        cell = json.loads(file.read_text(encoding="utf-8"))["cells"][0]
        return {test["name"]: test["result"] for test in cell["tests"]}
    except OSError as error:
        raise Failure(f"cannot read {file}: {error.strerror}") from error
    except (ValueError, LookupError, TypeError) as error:
        raise Failure(f"{file} is not a results.json of a run") from error


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = Parser("series.trial", "Applies a series to a copy of a kernel tree, and builds it.")
    parser.add_argument("--each", action="store_true",
                        help="build after each patch, not only after the last")
    parser.add_argument("--allmodconfig", action="store_true",
                        help=f"build {DRIVER}/ with allmodconfig too")
    parser.add_argument("--run", action="store_true",
                        help="install the tests, boot the kernel and run them, then hmm-tests")
    parser.add_argument("--expect", metavar="RESULTS.JSON", type=Path,
                        help="with --run: compare the verdicts with those of a run from here")
    arguments = parser.parse_args(words)
    if arguments.expect and not arguments.run:
        parser.error("--expect goes with --run")
    return arguments


async def run(host: Host, arguments: argparse.Namespace) -> int:
    """Tries the series, and says how each step went; the exit status."""
    failed: List[str] = []

    def tell(what: str, good: Optional[bool], lines: Sequence[str]) -> None:
        word = "skip" if good is None else "ok" if good else "FAIL"
        print(f"{word:<4}  {what}", flush=True)
        if not good:
            if good is not None:
                failed.append(what)
            for line in lines[:40]:
                print(f"      {line}", flush=True)
    started = time.monotonic()
    # read now: an hour may pass until it is needed
    expected = verdicts_of(arguments.expect) if arguments.expect else {}
    await try_series(host, arguments, tell, expected)
    print(f"{time.monotonic() - started:.0f} s")
    return 1 if failed else 0


def main() -> int:
    """The exit status."""
    return call(ROOT, parse, run)


if __name__ == "__main__":
    sys.exit(main())
