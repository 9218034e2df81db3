# SPDX-License-Identifier: GPL-2.0
"""--reintroduce: brings the known bugs of regressions/ back, and records what they do to the tests.

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
from functools import partial
from pathlib import Path
from typing import Awaitable, Callable, Dict, List, Optional, Sequence, Tuple

from runner import packages
from runner.build import KCONFIG, ccache, image_target, prepare, take_image, tree_words
from runner.cache import Entry, Logs
from runner.catalogue import Bug, all_bugs, catalogue, choose, globs_of
from runner.config import Config, read, read_config
from runner.confusion import Record, all_records, confusion_table, seen
from runner.diagnosis import know
from runner.errors import Failure, UnfitKernel
from runner.host import Host, make_flags
from runner.kernel import Kernel, resolve
from runner.names import OWN_NAMES, matches
from runner.programs import Driver, Suite, build_agent, build_driver, build_suite
from runner.request import Request
from runner.results import FAIL, OK, SKIP, Ledger
from runner.seeds import NothingToFind, Search
from runner.signature import Signature, both, read_signature, symptoms_of
from runner.suite import Machine, Run, suite_tests

# failed tests that a row names
SHOWN = 3
# tests of one program that hang or crash with a bug before its others are left out
GIVE_UP = 3
# the confusion table
TABLE = "docs/records/confusion.md"
# what it is made from
SEEN = "docs/records/confusion"

# Every command that kbuild notes is compared with the one it would give now. A build can itself be a
# copy of another one in the cache, and have that one's paths in what objtool was made with.
COPY_SCRIPT = r'''
cp -al "$1" "$3/source" 2> /dev/null || { rm -rf -- "$3/source"; cp -a "$1" "$3/source"; } || exit
cp -a "$2" "$3/build" || exit
ln -sfn "$3/source" "$3/build/source"
find "$3/build" \( -name '*.cmd' -o -name '*.d' -o -name Makefile -o -name '*.mod' \
	-o -name "$4" -o -name modules.order \) -type f -print0 |
	FROM_SRC=$1 BUILDS=$(dirname "$(dirname "$2")") TO=$3 xargs -0r perl -e '
		local $/;
		for my $name (@ARGV) {
			open(my $file, "+<", $name) or die "$name: $!";
			my ($seen, $changed) = (stat $file)[8, 9];
			my $text = <$file>;
			$text =~ s/\Q$ENV{BUILDS}\E\/[0-9a-f]+\/build/$ENV{TO}\/build/g;
			$text =~ s/\Q$ENV{FROM_SRC}\E/$ENV{TO}\/source/g;
			seek($file, 0, 0);
			truncate($file, 0);
			print $file $text;
			close($file) or die "$name: $!";
			utime($seen, $changed, $name);
		}'
'''


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
                if await self.host.run(f"{bug.name} on linux {self.kernel.name}",
                                       bug.spatch(file), spatch_log):
                    return f"spatch fails; see {spatch_log}"
                before, after = read(self.tree / name), read(file)
                if before != after:
                    with log.with_suffix(".diff").open("a", encoding="utf-8") as diff:
                        diff.writelines(difflib.unified_diff(
                            before.splitlines(True), after.splitlines(True), f"a/{name}",
                            f"b/{name}"))
                    self.replace(name, file)
                    changed = True
        return "" if changed else "the semantic patch finds nothing to change"

    def objects(self, name: str) -> List[Path]:
        """What make makes of a C file."""
        path = self.build / name
        return [path.with_suffix(".o"), path.parent / f".{path.stem}.o.cmd"]

    def replace(self, name: str, file: Path) -> None:
        """Puts another file in the place of one of the tree's, until mend()."""
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

    async def compile(self, label: str, log: Path, more_words: Sequence[str] = ()) -> int:
        """Builds what was patched; as build_kernel() does it, or all is built again."""
        env, words = ccache(self.host, self.kernel)
        target = image_target(replace(self.kernel, build=self.build))
        return await self.host.run(label, [
            "make", "-C", str(self.tree), f"O={self.build}",
            f"KBUILD_KCONFIG={self.build / KCONFIG}", *make_flags(self.host),
            *self.kernel.config.make, *tree_words(self.tree), *words, *more_words, target], log,
            env=env)


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
    # with --confusion: what the whole suite said with each bug
    record: Optional[Record] = None
    # some have been left out for that
    has_rows: bool = False
    _start: float = field(default_factory=time.monotonic)

    @property
    def release(self) -> str:
        """6.1 of 6.1.192."""
        return self.kernel.label

    async def run(self, bugs: Sequence[Bug]) -> None:
        """Each bug in turn, in those of them whose tests pass without."""
        bugs = self._to_be_seen(bugs)
        if not bugs:
            return
        if self.request.by_seeds:
            await self._each(bugs, self._by_seeds)
            return
        self.host.terminal.step(f"the tests on linux {self.kernel.name} as it is")
        without = await self._tests("without-bugs", self.kernel.image, self._globs(bugs))
        sound = self._sound(bugs, without)
        if sound:
            await self._each(sound, partial(self._reintroduce, without=without))

    async def _each(self, bugs: Sequence[Bug],
                    look_for: Callable[[Bug, Copy], Awaitable[None]]) -> None:
        """Looks for each bug in a copy of the kernel, which has no other."""
        entry = self.host.cache.entry("reintroduce", self.kernel.id)
        async with self.host.cache.lock(f"copy-{self.kernel.id}",
                                        f"with the copy of linux {self.kernel.name}",
                                        self.host.terminal):
            copy = Copy(self.host, self.kernel, entry)
            await copy.make()
            for bug in bugs:
                try:
                    await look_for(bug, copy)
                finally:
                    copy.mend()

    def _globs(self, bugs: Sequence[Bug]) -> List[str]:
        return [] if self.request.confusion else globs_of(bugs)

    def _to_be_seen(self, bugs: Sequence[Bug]) -> List[Bug]:
        """Those that this kernel was built to show."""
        shown = []
        for bug in bugs:
            lacking = self.kernel.lacks(bug.needs)
            if self.record and bug.name not in self.request.globs and self.record.has(bug):
                self._tell(f"left out    {bug.name:<36} {self.release:<6} {'':>6}  it has its row; "
                           "name it to bring it in once more")
                self.has_rows = True
            elif lacking:
                self._tell(f"left out    {bug.name:<36} {self.release:<6} {'':>6}  the kernel is built "
                           f"without {' '.join(lacking)}; give a config that has it with -c")
            else:
                shown.append(bug)
        return shown

    def _sound(self, bugs: Sequence[Bug], without: Ledger) -> List[Bug]:
        """Only where the tests pass without the bug does a failure say something."""
        sound = []
        for bug in bugs:
            word, rest = result(bug, without)
            if word == OK:
                sound.append(bug)
            else:
                self._row(bug, False, f"without the bug: {word} {rest}")
        return sound

    async def _reintroduce(self, bug: Bug, copy: Copy, without: Ledger) -> None:
        self._start = time.monotonic()
        if self.record:
            self.record.drop(bug)
        image = await self._kernel_with(bug, copy)
        if not image:
            return
        self.host.terminal.step(f"{bug.name} on linux {self.kernel.name}: testing")
        try:
            ledger = await self._tests(bug.name, image, self._globs([bug]), bug.tests)
        except UnfitKernel:
            # a guest that does not come up is no verdict: the machine can be too busy
            self._row(bug, False, f"see {self.logs / f'{bug.name}.{self.release}'}")
            return
        failed = [name for name in ledger.failed() if passed(without, name)]
        mine = [name for name in failed if matches(name, bug.tests)] or failed
        if not failed:
            self._row(bug, False, f"see {self.logs / f'{bug.name}.{self.release}'}")
            return
        await self._record(bug, image, without, ledger, failed)
        if self.record:
            self.record.add(seen(bug, self.release, ledger.verdicts.values(), failed,
                                 know(all_bugs(catalogue(self.host)), copy.tree)))
        more = f" and {len(failed) - SHOWN} more" if len(failed) > SHOWN else ""
        self._row(bug, True, " ".join(mine[:SHOWN]) + more)

    async def _kernel_with(self, bug: Bug, copy: Copy) -> Optional[Path]:
        """The image of a kernel with the bug; nothing, and a row, if there is none."""
        label = f"{bug.name} on linux {self.kernel.name}"
        log = self.logs / f"{bug.name}.{self.release}.log"
        self.host.terminal.step(label)
        problem = await copy.patch(bug, log)
        if problem:
            self._row(bug, False, problem)
            return None
        if await copy.compile(f"{label}: building", log):
            self._row(bug, False, f"it does not build; see {log}")
            return None
        image = copy.entry.path / "image"
        await take_image(self.host, self.kernel, copy.build, image)
        return image

    async def _by_seeds(self, bug: Bug, copy: Copy) -> None:
        """Looks for a race: which of the seeds finds it?"""
        self._start = time.monotonic()
        image = await self._kernel_with(bug, copy)
        if not image:
            return
        search = Search(self.request, Machine(self.host, self.kernel, self.driver, self.agent),
                        self.logs / f"{bug.name}.{self.release}")
        try:
            found = await search.find(image, self.request.seeds)
        except NothingToFind as reason:
            self._row(bug, False, f"{self.request.stress} cannot run here: {reason}")
            return
        except UnfitKernel:
            # as in _reintroduce()
            self._row(bug, False, f"see {search.logs}")
            return
        none = f"by none of {len(self.request.seeds)} seeds"
        self._row(bug, bool(found), str(found or "; ".join([none, *search.notes])))

    async def _record(self, bug: Bug, image: Path, without: Ledger, ledger: Ledger,
                      failed: Sequence[str]) -> None:
        """Writes the signature: what failed with the bug only, and did so twice."""
        self.host.terminal.step(f"{bug.name} on linux {self.kernel.name}: recording")
        names = [name for name in failed if name not in OWN_NAMES]
        try:
            again = (await self._tests(f"{bug.name}-again", image, names, bug.tests)).verdicts \
                if names else {}
        except UnfitKernel:
            return
        first = {name: symptoms_of(ledger.verdicts[name]) for name in failed}
        second = {name: symptoms_of(verdict) for name, verdict in again.items()
                  if verdict.result == FAIL}
        second.update({name: first[name] for name in failed if name in OWN_NAMES})
        ran = {name for name, verdict in ledger.verdicts.items()
               if verdict.result in (OK, FAIL) and passed(without, name)} | set(OWN_NAMES)
        signature = read_signature(bug.signature_file) or Signature()
        signature.record(self.release, ran, both(first, second))
        signature.keep([*self.suite.tests, *OWN_NAMES])
        if not signature.tests:
            self._tell(f"nothing of {bug.name} failed twice; its signature is not recorded")
            return
        try:
            bug.signature_file.write_text(signature.text(), encoding="utf-8")
        except OSError as error:
            self._tell(f"{bug.signature_file} cannot be written: {error.strerror}")

    async def _tests(self, name: str, image: Path, globs: Sequence[str],
                     mine: Sequence[str] = ()) -> Ledger:
        folder = self.logs / f"{name}.{self.release}"
        folder.mkdir()
        whole = self.request.confusion
        with (folder / "output").open("w", encoding="utf-8") as out:
            ledger = Ledger(folder, lambda line: print(line, file=out))
            machine = Machine(self.host, replace(self.kernel, image=image), self.driver, self.agent,
                              guests=None if whole else 1)
            tests = suite_tests(self.suite, replace(self.request, globs=list(globs)))
            if whole:
                # not too late to be run, if too many tests hang
                tests.sort(key=lambda test: not matches(test.name, mine))
            await Run(machine, ledger, folder, patient=True, give_up=GIVE_UP).run(tests)
        return ledger

    def _row(self, bug: Bug, caught: bool, rest: str) -> None:
        seconds = int(time.monotonic() - self._start)
        word = "caught" if caught else "NOT CAUGHT"
        self.caught += caught
        self.missed += not caught
        self._tell(f"{word:<10}  {bug.name:<36} {self.release:<6} {seconds:>4} s  {rest}")
        with (self.logs / "bugs").open("a", encoding="utf-8") as file:
            file.write(f"{bug.name}\t{self.release}\t{word}\t{seconds}\t{rest}\n")

    def _tell(self, line: str) -> None:
        self.host.terminal.out(line)
        with (self.logs / "summary").open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def recorded(host: Host) -> Dict[str, Signature]:
    """All signatures as they are now."""
    found = {bug.name: read_signature(bug.signature_file) for bug in all_bugs(catalogue(host))}
    return {name: signature for name, signature in found.items() if signature}


def passed(without: Ledger, name: str) -> bool:
    """Did a test pass without the bug? What the runner itself finds is only told if it fails."""
    verdict = without.verdicts.get(name)
    return verdict.result == OK if verdict else name in OWN_NAMES


async def reintroduce(host: Host, request: Request, kernels: Sequence[str]) -> int:
    """--reintroduce: each entry on each kernel that it goes with."""
    bugs = choose(host, request.globs)
    await packages.require(host, packages.REINTRODUCE)
    logs = host.cache.new_logs()
    config = read_config(host.root, request.configs[0] if request.configs else "", request.arch)
    caught = missed = 0
    has_rows = False
    for name in kernels:
        done = await reintroduce_on(host, request, logs, name, config, bugs)
        if done:
            caught, missed = caught + done.caught, missed + done.missed
            has_rows |= done.has_rows
    host.terminal.clear()
    if not caught + missed and not has_rows:
        raise Failure(f"none of these can be reintroduced into {' '.join(kernels)}; the line "
                      "kernels: in regressions/*/about has where")
    if request.confusion:
        table, every = host.root / TABLE, all_bugs(catalogue(host))
        rows = [row for record in all_records(host.root / SEEN) for row in record.rows(every)]
        table.write_text(confusion_table(rows, every, recorded(host)), encoding="utf-8")
        host.terminal.out(f"table: {table}")
    host.terminal.out(f"logs: {logs.path}")
    last = f"{caught} caught, {missed} not caught"
    host.terminal.out(last)
    with (logs.path / "summary").open("a", encoding="utf-8") as file:
        file.write(f"{last}\n")
    return 1 if missed else 0


async def reintroduce_on(host: Host, request: Request, logs: Logs, name: str, config: Config,
                         bugs: Sequence[Bug]) -> Optional[Reintroduction]:
    """On one kernel; nothing if no entry goes with it."""
    kernel = await resolve(host, name, request.arch)
    if not kernel.is_ours:
        raise Failure("--reintroduce builds kernels; -k takes a source tree or a release, not "
                      f"{name}")
    assert kernel.source
    here = [bug for bug in bugs if kernel.release in bug.kernels]
    if not here:
        return None
    kernel = await prepare(host, kernel, config)
    driver = await build_driver(host, kernel)
    agent = await build_agent(host, request.arch)
    await Machine(host, kernel, driver, agent).require()
    suite = await build_suite(host, kernel.source, request.arch)
    work = Reintroduction(host, request, logs.path, kernel, driver, agent, suite)
    if request.confusion:
        work.record = Record(host.root / SEEN / f"{kernel.label}.json", kernel.label)
    await work.run(here)
    return work
