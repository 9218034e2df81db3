# SPDX-License-Identifier: GPL-2.0
"""From a prepared kernel to verdicts: which tests, in how many guests."""
from __future__ import annotations

import asyncio
import json
import re
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Awaitable, Callable, Dict, List, Optional, Sequence, Tuple

from runner import devicetree, packages
from runner.arch import Arch, GuestHardware
from runner.errors import Failure, UnfitKernel
from runner.follow import TAIL, Follower, Listener, Outcome, Queue, Test
from runner.guest import COHERENT_MB, Agent, GuestPlan, check_native, choose_accelerator, \
    qemu_release, read_word, shell_command, start_guest, start_native, taint_note, tsc_khz
from runner.host import Host
from runner.image import Payload, make_image, pack
from runner.kernel import Kernel, Kind
from runner.names import matches
from runner.packages import Need
from runner.programs import Driver, Suite, build_own
from runner.request import Environment, Request
from runner.results import Ending, Ledger
from runner.toolchain import toolchain

# where the guest has its programs
GUEST_FOLDER = Path("/tests")
# tests that a second guest has to have, to be worth its boot
LEAST_SHARE = 64
# The QEMU in which several CPUs of such a guest were seen to come up and to repeat. 7.2 waits for
# the second one for ever; what is between was not tried.
EXACT_CPUS_SINCE = (10, 0)
# a second of a guest that counts instructions can take so many of ours
EXACT_SLOWNESS = 30
# a guest that is lost before it has begun a test is tried again so often
MOST_IDLE = 3


def select(names: Sequence[str], globs: Sequence[str], excluded: Sequence[str] = ()) -> List[str]:
    """The names that match a glob, all without one, but not those that are excluded."""
    for glob in [*globs, *excluded]:
        if not any(matches(name, [glob]) for name in names):
            raise Failure(f"no test matches '{glob}'; --list shows the names")
    chosen = [name for name in names if not globs or matches(name, globs)]
    return [name for name in chosen if not matches(name, excluded)]


def suite_tests(suite: Suite, request: Request) -> List[Test]:
    """The tests of the suite that the request names."""
    names = select(list(suite.tests), request.globs, request.excluded)
    return [Test(name, suite.programs / suite.tests[name], (name,), request.timeout, forked=True)
            for name in names]


async def own_tests(host: Host, request: Request, suite: Optional[Suite],
                    folder: Path, arch: Optional[Arch] = None) -> List[Test]:
    """The user's own programs as tests, built into a folder."""
    tests: List[Test] = []
    for file in request.own_files:
        program = await build_own(host, file, folder, arch)
        names = [test.name for test in tests]
        if program.name in names or (suite and (suite.programs / program.name).exists()):
            raise Failure(f"{file}: there is another program of that name; rename it")
        tests.append(Test(program.name, program, (program.name,), request.timeout, own=True))
    return tests


def repeated(tests: Sequence[Test], times: int) -> List[Test]:
    """NAME, NAME@2, NAME@3, ..., a round of all after another."""
    rounds = list(tests)
    for number in range(2, times + 1):
        rounds += [replace(test, name=f"{test.name}@{number}") for test in tests]
    return rounds


def guests_that_fit(host: Host, environment: Environment, archs: Sequence[Arch]) -> int:
    """How many guests run side by side, as cores and memory allow."""
    if environment.guests:
        if not re.fullmatch("[1-9][0-9]?", environment.guests):
            raise Failure(f"HMMIRROR_GUESTS={environment.guests}: a number is wanted, 1 to 99")
        return int(environment.guests)
    meminfo = Path("/proc/meminfo").read_text(encoding="utf-8")
    found = re.search(r"^MemAvailable: *(\d+) kB", meminfo, re.M)
    room = int(found[1]) // 1024 // max(arch.memory_mb for arch in archs) if found else 1
    return max(1, min(host.jobs, room))


@dataclass(frozen=True)
class Exact:
    """Guests whose time is the number of their instructions, and in which nothing else differs."""

    # what random numbers are made from
    seed: int = 0
    # a plugin of QEMU, with its arguments
    plugin: str = ""
    # without it, as many CPUs as the config has, if this QEMU can run them so
    one_cpu: bool = True


def exact_of(request: Request) -> Optional[Exact]:
    """What --exact asks for."""
    return Exact(request.seed or 0, one_cpu=False) if request.exact else None


@dataclass
class Machine:
    """A kernel with all that is needed to run tests on it."""

    host: Host
    kernel: Kernel
    driver: Driver
    agent: Path
    environment: Environment = field(default_factory=Environment.read)
    coherent_mb: int = COHERENT_MB
    # does the kernel have to make huge pages again and again?
    movable: bool = False
    # of hmmirror.ko
    module_words: Tuple[str, ...] = ()
    # how many guests may run side by side; None: as many as fit
    guests: Optional[int] = None
    exact: Optional[Exact] = None

    @property
    def is_native(self) -> bool:
        """Is it the machine that we run on?"""
        return self.kernel.kind is Kind.NATIVE

    @property
    def folder(self) -> Optional[Path]:
        """Where its programs are for the agent; None: where they are for us."""
        return None if self.is_native else GUEST_FOLDER

    @property
    def coherent_size_mb(self) -> int:
        """Of each coherent device."""
        return max(self.coherent_mb, self.kernel.arch.coherent_mb)

    async def require(self) -> None:
        """What has to be there before the first guest starts."""
        if self.is_native:
            check_native(self.host, self.kernel)
        else:
            arch = self.kernel.arch
            await packages.require(self.host,
                                   [Need(arch.qemu, arch.qemu_package), *packages.GUEST,
                                    *([devicetree.NEED] if arch.pmem else [])])
            await toolchain(self.host, arch)

    def all_module_words(self) -> Tuple[str, ...]:
        """The parameters of hmmirror.ko."""
        words = [f"spm_addr_dev{i}={address:#x}"
                 for i, address in enumerate(self.kernel.arch.coherent_addresses)]
        words.append(f"spm_size_mb={self.coherent_size_mb}")
        return (*words, *self.kernel.config.guest.module, *self.module_words)

    def guests_for(self, tests: int) -> int:
        """How many guests so many tests are good for."""
        if self.is_native or self.exact:
            return 1
        most = self.guests or guests_that_fit(self.host, self.environment, [self.kernel.arch])
        least = 1 if self.environment.guests else LEAST_SHARE
        return max(1, min(most, tests // least))

    async def plan(self, folder: Path, programs: Sequence[Path], mode: str = "run",
                   one_cpu: bool = False) -> GuestPlan:
        """Makes the image in a folder, and says how guests are started with it."""
        payload = Payload(self.kernel, self.driver, self.agent, tuple(programs),
                          self.all_module_words(), mode, one_cpu,
                          self.exact.seed if self.exact else 0)
        image = folder / "initramfs"
        await make_image(self.host, payload, folder, image)
        if self.exact:
            return await self.exact_plan(self.exact, image)
        hardware = GuestHardware(self.kernel.config.guest.cpus, "tcg", self.coherent_size_mb,
                                 self.movable)
        plan = GuestPlan(self.kernel, image, hardware, self.environment.append)
        accelerator = await choose_accelerator(
            self.host, replace(plan, hardware=replace(hardware, accelerator="kvm")), folder)
        has_tsc = accelerator == "tcg" and self.kernel.arch.has_tsc
        khz = await tsc_khz(self.host, self.agent) if has_tsc else None
        hardware = replace(hardware, accelerator=accelerator, tsc_khz=khz)
        return replace(plan, hardware=await devicetree.describe(
            self.host, self.kernel.arch, hardware, folder))

    async def exact_plan(self, exact: Exact, image: Path) -> GuestPlan:
        """For a guest whose clock is the number of its instructions."""
        if not self.kernel.arch.module_addresses:
            raise Failure(f"a guest of {self.kernel.arch.name} cannot count instructions; leave "
                          "--exact, --count and --bench out there")
        cpus = 1
        if not exact.one_cpu and \
                await qemu_release(self.host, self.kernel.arch.qemu) >= EXACT_CPUS_SINCE:
            cpus = self.kernel.config.guest.cpus
        hardware = GuestHardware(cpus, "icount", self.coherent_size_mb, seed=exact.seed,
                                 plugin=exact.plugin)
        return GuestPlan(self.kernel, image, hardware, self.environment.append)


class FailFast(Exception):
    """A test has failed, and the user wants to know no more."""


@dataclass
class Run:
    """Tests on one machine, until all have a verdict."""

    machine: Machine
    ledger: Ledger
    logs: Path
    listener: Listener = field(default_factory=Listener)
    keep: bool = False
    fail_fast: bool = False
    # a guest that is lost ends the run
    stop_at_loss: bool = False
    # see Queue
    give_up: int = 0
    every_run: bool = False
    # a guest that does not come up is tried once more: a busy machine can be slow, and a
    # bisection must not go wrong for that
    patient: bool = False
    excuse: Callable[[str], str] = lambda name: ""
    on_counts: Optional[Callable[[str, str], None]] = None
    # a guest has ended: how it was started, and its console
    on_guest: Optional[Callable[[GuestPlan, Path], Awaitable[None]]] = None
    # tests that are not in the order of their programs
    one_by_one: bool = False
    # waits for a place among other runs, and gives it up afterwards
    place: Optional[Callable[[], Awaitable[Callable[[], None]]]] = None

    async def run(self, tests: Sequence[Test], one_cpu: bool = True,
                  more_programs: Sequence[Path] = ()) -> None:
        """Runs these tests, in as many guests as they are good for."""
        host = self.machine.host
        count = self.machine.guests_for(len(tests))
        # a guest that has its commands already runs them all
        queue = Queue(tests, count, self.one_by_one, self.give_up,
                      self.every_run or bool(self.machine.exact))
        leave = await self.place() if self.place else None
        try:
            with host.cache.temporary("work") as folder:
                plan: Optional[GuestPlan] = None
                if not self.machine.is_native:
                    programs = dict.fromkeys([test.program for test in tests])
                    plan = await self.machine.plan(folder, [*programs, *more_programs],
                                                   one_cpu=one_cpu)
                self._announce(plan, count)
                await self._run_guests(queue, plan, folder, count)
        finally:
            if leave:
                leave()

    def _announce(self, plan: Optional[GuestPlan], count: int) -> None:
        terminal, kernel = self.machine.host.terminal, self.machine.kernel
        if not plan:
            terminal.step(f"running on this machine's kernel, {kernel.name}")
            note = taint_note(read_word("/proc/sys/kernel/tainted"))
            if note:
                terminal.say(note)
            return
        guests = f", {count} guests" if count > 1 else ""
        terminal.step(f"booting linux {kernel.name} ({plan.hardware.accelerator}){guests}")

    async def _run_guests(self, queue: Queue, plan: Optional[GuestPlan], folder: Path,
                          count: int) -> None:
        tasks = [asyncio.ensure_future(self._run_guest(Place(number, count), queue, plan, folder))
                 for number in range(count)]
        try:
            await asyncio.gather(*tasks)
        except FailFast:
            pass
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _run_guest(self, place: Place, queue: Queue, plan: Optional[GuestPlan],
                         folder: Path) -> None:
        """One guest after another, while there are tests for it."""
        idle = boots = number = 0
        given: List[Test] = []
        while not queue.is_empty(place.number):
            number += 1
            console = self.logs / f"console.{place.console(number)}"
            errors = folder / f"qemu.{place.number}.err"
            given_plan = plan
            if plan and self.machine.exact:
                given_plan = await add_commands(self.machine, plan, queue.left(place.number),
                                                folder / "exact", folder)
            follower = await self._follow(place, queue, given_plan, console, errors)
            outcome = follower.outcome
            given += follower.handed_out
            if self.on_guest and given_plan and not outcome.lost:
                await self.on_guest(given_plan, console)
            if not outcome.lost:
                if outcome.ended:
                    continue
                break
            if not outcome.current and not outcome.ended and not outcome.ready:
                boots += 1
                if not (self.patient and boots == 1):
                    raise no_guest(self.machine, outcome, console, errors)
            elif outcome.current or queue.is_empty(place.number):
                follower.lost_test()
                if self.on_guest and given_plan:
                    await self.on_guest(given_plan, console)
                if self.fail_fast:
                    raise FailFast
                if self.stop_at_loss:
                    queue.clear()
            else:
                idle += 1
                if idle > MOST_IDLE:
                    raise no_guest(self.machine, outcome, console, errors)
        if self.keep and plan:
            await keep_guest(self.machine, plan, self.logs, place, given, folder)

    async def _follow(self, place: Place, queue: Queue, plan: Optional[GuestPlan], console: Path,
                      errors: Path) -> Follower:
        agent = await self._start(plan, console, errors)
        follower = Follower(agent, place.number, self.machine.folder, queue, self.ledger,
                            self.machine.host.terminal, self.logs / "results",
                            self._listener(place), slow=self.machine.kernel.config.guest.slow,
                            excuse=self.excuse)
        if self.machine.exact:
            follower.slowness = EXACT_SLOWNESS
        try:
            await follower.follow()
        finally:
            await agent.stop()
        return follower

    async def _start(self, plan: Optional[GuestPlan], console: Path, errors: Path) -> Agent:
        if plan:
            return await start_guest(plan, console, errors)
        machine = self.machine
        return await start_native(machine.host, machine.driver.module, machine.agent,
                                  machine.module_words, console, errors)

    def _listener(self, place: Place) -> Listener:
        listener = self.listener
        if self.fail_fast:
            show = listener.on_end

            def stop_at_failure(ending: Ending) -> None:
                if show:
                    show(ending)
                if self.ledger.failed():
                    raise FailFast
            listener = replace(listener, on_end=stop_at_failure)
        if self.on_counts:
            on_counts = self.on_counts
            listener = replace(listener, on_counts=lambda line: on_counts(str(place.number), line))
        return listener


@dataclass(frozen=True)
class Place:
    """One of several guests side by side."""

    number: int
    of: int

    def console(self, number: int) -> int:
        """The number of its console's log: 1, 2, ..., or with several guests 101, 102, ..., 201."""
        return number if self.of == 1 else 100 * (self.number + 1) + number

    @property
    def suffix(self) -> str:
        """Of the files that --keep leaves."""
        return "" if self.of == 1 else f".{self.number + 1}"


def no_guest(machine: Machine, outcome: Outcome, console: Path, errors: Path) -> Failure:
    """The guest does not come up; what QEMU and the kernel said last is shown."""
    said = errors.read_text(errors="replace").splitlines() if errors.exists() else []
    log = console.read_text(errors="replace").splitlines()[-TAIL:] if console.exists() else []
    for line in [*said, *log]:
        machine.host.terminal.say(line)
    return UnfitKernel(f"the guest does not come up with linux {machine.kernel.name}: "
                       f"{outcome.lost}; see {console}")


async def add_commands(machine: Machine, plan: GuestPlan, tests: Sequence[Test], image: Path,
                       folder: Path, programs: Optional[Path] = GUEST_FOLDER) -> GuestPlan:
    """A copy of the plan's image whose agent runs these tests without a word from us.

    programs is where the guest has their programs; None: where they say.
    """
    shutil.copyfile(plan.image, image)
    script = Path(tempfile.mkdtemp(dir=folder))
    commands = [test.command(programs) for test in tests]
    (script / "commands").write_text("".join(f"{line}\n" for line in [*commands, "quit"]),
                                     encoding="utf-8")
    await pack(machine.host, script, image, append=True)
    return replace(plan, image=image, has_commands=True)


async def keep_guest(machine: Machine, plan: GuestPlan, logs: Path, place: Place,
                     given: Sequence[Test], folder: Path) -> None:
    """--keep: what QEMU was given, with the tests that it ran, to be started by hand."""
    (logs / "keep").touch()
    plan = await add_commands(machine, plan, given, logs / f"initramfs{place.suffix}", folder)
    command = shell_command(plan)
    (logs / f"qemu.cmd{place.suffix}").write_text(f"{command}\n", encoding="utf-8")


def failed_in_last_run(host: Host) -> List[str]:
    """Names of the tests that failed in the newest run that left results."""
    for folder in sorted((host.cache.path / "logs").iterdir(), reverse=True):
        file = folder / "results.json"
        if file.is_file():
            results: Dict[str, List[Dict[str, List[Dict[str, str]]]]] = \
                json.loads(file.read_text(encoding="utf-8"))
            names = [test["name"].split("@")[0] for cell in results["cells"]
                     for test in cell["tests"] if test["result"] == "failed"]
            return list(dict.fromkeys(names))
    raise Failure("--rerun-failed: no run has left results yet; run the tests first")
