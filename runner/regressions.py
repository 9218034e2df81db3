# SPDX-License-Identifier: GPL-2.0
"""--regressions and --reintroduce: the catalogue of known bugs in regressions/, see its README.

A bug is brought back into a copy of a kernel's tree and of its finished build, both made once for
each kernel. The sources are hard links, and the paths that kbuild has noted are changed to those of
the copy, so that only what is patched is built again.
"""
from __future__ import annotations

import contextlib
import difflib
import os
import shutil
import time
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from runner import packages
from runner.build import KCONFIG, ccache, image_target, prepare, take_image, tree_words
from runner.cache import Entry, Logs
from runner.config import Config, read, read_config
from runner.errors import Failure, UnfitKernel
from runner.host import Host, make_flags
from runner.kernel import Kernel, resolve, tree_version
from runner.programs import Driver, Suite, build_agent, build_driver, build_suite
from runner.request import Request
from runner.results import FAIL, OK, SKIP, Ledger
from runner.suite import Machine, Run, matches, suite_tests

# failed tests that a row names
SHOWN = 3

# Every command that kbuild notes is compared with the one it would give now.
COPY_SCRIPT = r'''
cp -al "$1" "$3/source" 2> /dev/null || { rm -rf -- "$3/source"; cp -a "$1" "$3/source"; } || exit
cp -a "$2" "$3/build" || exit
ln -sfn "$3/source" "$3/build/source"
find "$3/build" \( -name '*.cmd' -o -name '*.d' -o -name Makefile -o -name '*.mod' \
	-o -name "$4" -o -name modules.order \) -type f -print0 |
	FROM_SRC=$1 FROM_BUILD=$2 TO=$3 xargs -0r perl -e '
		local $/;
		for my $name (@ARGV) {
			open(my $file, "+<", $name) or die "$name: $!";
			my ($seen, $changed) = (stat $file)[8, 9];
			my $text = <$file>;
			$text =~ s/\Q$ENV{FROM_BUILD}\E/$ENV{TO}\/build/g;
			$text =~ s/\Q$ENV{FROM_SRC}\E/$ENV{TO}\/source/g;
			seek($file, 0, 0);
			truncate($file, 0);
			print $file $text;
			close($file) or die "$name: $!";
			utime($seen, $changed, $name);
		}'
'''


@dataclass(frozen=True)
class Bug:
    """An entry of the catalogue."""

    name: str
    folder: Path
    files: Tuple[str, ...]
    tests: Tuple[str, ...]
    kernels: Tuple[str, ...]

    @staticmethod
    def read(folder: Path) -> Bug:
        """Reads the header of "about": lines of "key: value" up to the first empty one."""
        fields: Dict[str, List[str]] = {}
        for line in read(folder / "about").splitlines():
            if not line:
                break
            key, _, value = line.partition(":")
            fields.setdefault(key, []).extend(value.split())
        return Bug(folder.name, folder, *(tuple(fields.get(key, ()))
                                          for key in ("files", "tests", "kernels")))


def catalogue(host: Host) -> Path:
    """Where the entries are."""
    return host.testing.catalogue or host.root / "regressions"


def choose(host: Host, globs: Sequence[str]) -> List[Bug]:
    """The entries that are named, all without a name."""
    folder = catalogue(host)
    names = sorted(path.parent.name for path in folder.glob("*/about"))
    if not names:
        raise Failure(f"{folder} has no entries")
    chosen: List[str] = []
    for glob in globs or ["*"]:
        hits = [name for name in names if glob == "all" or fnmatchcase(name, glob)]
        if not hits:
            raise Failure(f"no regression is called '{glob}'; they are the folders of regressions/")
        chosen += [name for name in hits if name not in chosen]
    return [Bug.read(folder / name) for name in chosen]


def globs_of(bugs: Sequence[Bug]) -> List[str]:
    """The tests of these entries."""
    return sorted({glob for bug in bugs for glob in bug.tests})


def result(bug: Bug, ledger: Ledger) -> Tuple[str, str]:
    """ok, FAIL or SKIP for an entry, and the tests that say so."""
    found = [verdict for name, verdict in ledger.verdicts.items() if matches(name, bug.tests)]
    failed = [verdict.name for verdict in found if verdict.result == FAIL]
    skipped = sum(verdict.result == SKIP for verdict in found)
    if failed:
        return FAIL, " ".join(failed)
    passed = len(found) - skipped
    if passed:
        return OK, f"{passed} passed, {skipped} skipped"
    return SKIP, f"{skipped} skipped"


def show(host: Host, names: Sequence[str], ledger: Ledger) -> None:
    """The entries by name, behind the tests."""
    for bug in choose(host, names):
        word, rest = result(bug, ledger)
        ledger.tell(f"{word:<4}  {bug.name:<40} {rest}")


@dataclass
class Copy:
    """A copy of a kernel's tree and build, in an entry that is held."""

    host: Host
    kernel: Kernel
    entry: Entry

    @property
    def tree(self) -> Path:
        """The copy of the source."""
        return self.entry.path / "source"

    @property
    def build(self) -> Path:
        """The copy of the build folder."""
        return self.entry.path / "build"

    @property
    def patched(self) -> Path:
        """A list of the files that are patched, which is there while a bug is."""
        return self.entry.path / "patched"

    async def make(self) -> None:
        """Makes it, or mends what a run that was killed has left."""
        if self.entry.is_current(self.kernel.state):
            self.mend()
            return
        async with self.entry.make(self.kernel.state, "copying a kernel", self.host.terminal):
            for path in (self.tree, self.build):
                shutil.rmtree(path, ignore_errors=True)
            with self.host.cache.temporary("copy") as folder:
                await self.host.run_or_fail(f"copying linux {self.kernel.name}", [
                    "bash", "-c", COPY_SCRIPT, "copy", str(self.kernel.source),
                    str(self.kernel.build), str(self.entry.path), KCONFIG], folder / "log")

    async def patch(self, bug: Bug, log: Path) -> str:
        """Brings a bug in; returns why it cannot be, empty if it was."""
        self.patched.touch()
        changed = False
        with self.host.cache.temporary("patch") as folder:
            for name in bug.files:
                if not (self.tree / name).exists():
                    continue
                file = folder / Path(name).name
                shutil.copyfile(self.tree / name, file)
                spatch_log = log.with_suffix(".spatch")
                if await self.host.run(f"{bug.name} on linux {self.kernel.name}", [
                        "spatch", "--very-quiet", "--no-includes", "--in-place", "--sp-file",
                        str(bug.folder / "bug.cocci"), str(file)], spatch_log):
                    return f"spatch fails; see {spatch_log}"
                before, after = read(self.tree / name), read(file)
                if before != after:
                    with log.with_suffix(".diff").open("a", encoding="utf-8") as diff:
                        diff.writelines(difflib.unified_diff(
                            before.splitlines(True), after.splitlines(True), f"a/{name}",
                            f"b/{name}"))
                    self._replace(name, file)
                    changed = True
        return "" if changed else "the semantic patch finds nothing to change"

    def objects(self, name: str) -> List[Path]:
        """What make makes of a C file."""
        path = self.build / name
        return [path.with_suffix(".o"), path.parent / f".{path.stem}.o.cmd"]

    def _replace(self, name: str, file: Path) -> None:
        for path in self.objects(name):
            if path.exists():
                new = path.with_name(f"{path.name}.new")
                shutil.copy2(path, new)
                new.rename(path.with_name(f"{path.name}.good"))
        with self.patched.open("a", encoding="utf-8") as listed:
            listed.write(f"{name}\n")
        # the original is a hard link to the tree's own
        (self.tree / name).unlink()
        shutil.copyfile(file, self.tree / name)

    def mend(self) -> None:
        """Takes the bug out again. make sees new objects, and links the kernel again."""
        if not self.patched.exists():
            return
        assert self.kernel.source
        for name in read(self.patched).splitlines():
            with contextlib.suppress(FileNotFoundError):
                (self.tree / name).unlink()
            try:
                os.link(self.kernel.source / name, self.tree / name)
            except OSError:
                shutil.copy2(self.kernel.source / name, self.tree / name)
            for path in self.objects(name):
                good = path.with_name(f"{path.name}.good")
                if good.exists():
                    good.rename(path)
                    os.utime(path)
        self.patched.unlink()

    async def compile(self, label: str, log: Path) -> int:
        """Builds what was patched; as build_kernel() does it, or all is built again."""
        env, words = ccache(self.host, self.kernel)
        target = image_target(replace(self.kernel, build=self.build))
        return await self.host.run(label, [
            "make", "-C", str(self.tree), f"O={self.build}",
            f"KBUILD_KCONFIG={self.build / KCONFIG}", *make_flags(self.host),
            *self.kernel.config.make, *tree_words(self.tree), *words, target], log, env=env)


@dataclass
class Reintroduction:
    """Bugs brought back into one kernel, and looked for."""

    host: Host
    request: Request
    logs: Path
    kernel: Kernel
    driver: Driver
    agent: Path
    suite: Suite
    caught: int = 0
    missed: int = 0
    _start: float = field(default_factory=time.monotonic)

    @property
    def release(self) -> str:
        """6.1 of 6.1.192."""
        assert self.kernel.source
        return ".".join(tree_version(self.kernel.source).split(".")[:2])

    async def run(self, bugs: Sequence[Bug]) -> None:
        """Each bug in turn, in those of them whose tests pass without."""
        sound = await self._sound(bugs)
        if not sound:
            return
        entry = self.host.cache.entry("reintroduce", self.kernel.id)
        async with self.host.cache.lock(f"copy-{self.kernel.id}",
                                        f"with the copy of linux {self.kernel.name}",
                                        self.host.terminal):
            copy = Copy(self.host, self.kernel, entry)
            await copy.make()
            for bug in sound:
                try:
                    await self._reintroduce(bug, copy)
                finally:
                    copy.mend()

    async def _sound(self, bugs: Sequence[Bug]) -> List[Bug]:
        """Only where the tests pass without the bug does a failure say something."""
        self.host.terminal.step(f"the tests on linux {self.kernel.name} as it is")
        ledger = await self._tests("without-bugs", self.kernel.image, globs_of(bugs))
        sound = []
        for bug in bugs:
            word, rest = result(bug, ledger)
            if word == OK:
                sound.append(bug)
            else:
                self._row(bug, False, f"without the bug: {word} {rest}")
        return sound

    async def _reintroduce(self, bug: Bug, copy: Copy) -> None:
        self._start = time.monotonic()
        label = f"{bug.name} on linux {self.kernel.name}"
        log = self.logs / f"{bug.name}.{self.release}.log"
        self.host.terminal.step(label)
        problem = await copy.patch(bug, log)
        if problem:
            self._row(bug, False, problem)
            return
        if await copy.compile(f"{label}: building", log):
            self._row(bug, False, f"it does not build; see {log}")
            return
        image = copy.entry.path / "image"
        await take_image(self.host, self.kernel, copy.build, image)
        self.host.terminal.step(f"{label}: testing")
        try:
            ledger: Optional[Ledger] = await self._tests(bug.name, image, bug.tests)
        except UnfitKernel:
            # a guest that does not come up is no verdict: the machine can be too busy
            ledger = None
        failed = ledger.failed() if ledger else []
        if failed:
            more = f" and {len(failed) - SHOWN} more" if len(failed) > SHOWN else ""
            self._row(bug, True, " ".join(failed[:SHOWN]) + more)
        else:
            self._row(bug, False, f"see {self.logs / f'{bug.name}.{self.release}'}")

    async def _tests(self, name: str, image: Path, globs: Sequence[str]) -> Ledger:
        folder = self.logs / f"{name}.{self.release}"
        folder.mkdir()
        with (folder / "output").open("w", encoding="utf-8") as out:
            ledger = Ledger(folder, lambda line: print(line, file=out))
            machine = Machine(self.host, replace(self.kernel, image=image), self.driver, self.agent,
                              guests=1)
            tests = suite_tests(self.suite, replace(self.request, globs=list(globs)))
            await Run(machine, ledger, folder, stop_at_loss=True).run(tests)
        return ledger

    def _row(self, bug: Bug, caught: bool, rest: str) -> None:
        seconds = int(time.monotonic() - self._start)
        word = "caught" if caught else "NOT CAUGHT"
        self.caught += caught
        self.missed += not caught
        line = f"{word:<10}  {bug.name:<36} {self.release:<6} {seconds:>4} s  {rest}"
        self.host.terminal.out(line)
        with (self.logs / "summary").open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
        with (self.logs / "bugs").open("a", encoding="utf-8") as file:
            file.write(f"{bug.name}\t{self.release}\t{word}\t{seconds}\t{rest}\n")


async def reintroduce(host: Host, request: Request, kernels: Sequence[str]) -> int:
    """--reintroduce: each entry on each kernel that it goes with."""
    bugs = choose(host, request.globs)
    await packages.require(host, packages.REINTRODUCE)
    logs = host.cache.new_logs()
    config = read_config(host.root, request.configs[0] if request.configs else "")
    caught = missed = 0
    for name in kernels:
        done = await reintroduce_on(host, request, logs, name, config, bugs)
        if done:
            caught, missed = caught + done.caught, missed + done.missed
    host.terminal.clear()
    if not caught + missed:
        raise Failure(f"none of these can be reintroduced into {' '.join(kernels)}; the line "
                      "kernels: in regressions/*/about has where")
    host.terminal.out(f"logs: {logs.path}")
    last = f"{caught} caught, {missed} not caught"
    host.terminal.out(last)
    with (logs.path / "summary").open("a", encoding="utf-8") as file:
        file.write(f"{last}\n")
    return 1 if missed else 0


async def reintroduce_on(host: Host, request: Request, logs: Logs, name: str, config: Config,
                         bugs: Sequence[Bug]) -> Optional[Reintroduction]:
    """On one kernel; nothing if no entry goes with it."""
    kernel = await resolve(host, name)
    if not kernel.is_ours:
        raise Failure("--reintroduce builds kernels; -k takes a source tree or a release, not "
                      f"{name}")
    assert kernel.source
    release = ".".join(tree_version(kernel.source).split(".")[:2])
    here = [bug for bug in bugs if release in bug.kernels]
    if not here:
        return None
    kernel = await prepare(host, kernel, config)
    driver = await build_driver(host, kernel)
    agent = await build_agent(host)
    await Machine(host, kernel, driver, agent).require()
    suite = await build_suite(host, kernel.source)
    work = Reintroduction(host, request, logs.path, kernel, driver, agent, suite)
    await work.run(here)
    return work
