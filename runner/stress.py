# SPDX-License-Identifier: GPL-2.0
"""--stress: programs that run for a time and at random, in the place of tests."""
from __future__ import annotations

from pathlib import Path
from typing import List, Tuple

from runner.follow import Test
from runner.host import Host
from runner.programs import build_stress
from runner.request import SOAK_PROGRAMS, STRESS_PROGRAMS, Request
from runner.suite import Machine

# what takes longer than it was to take hangs
GRACE = 120
# of a time that does not pass faster or more slowly on another machine
EXACT_GRACE = 15
LEAST_SECONDS = 5
# of a guest's own time, where a second takes several
LEAST_EXACT_SECONDS = 1
FUZZ = "fuzz"
# tells of each process, too
ALL_CALLS = "all"


def seconds_of(minutes: float, exact: bool = False) -> int:
    """For how long each of them runs. Hundredths of a minute are whole numbers of 0.6 s."""
    return max(LEAST_EXACT_SECONDS if exact else LEAST_SECONDS,
               round(minutes * 100) * 6 // 10)


async def stress_tests(host: Host, request: Request, machine: Machine) \
        -> Tuple[List[Test], List[Path]]:
    """The programs as tests, and what else has to be in the guest."""
    folder = await build_stress(host, machine.kernel.arch)
    chosen, _, race = request.stress.partition(".")
    names = STRESS_PROGRAMS if chosen == "all" else (chosen,)
    seconds = seconds_of(request.minutes, request.exact)
    tests = []
    for name in names:
        words = [str(request.seed), str(seconds)]
        # only a guest's module may come and go
        if name == "load" and not machine.is_native:
            words += ["/modules/hmmirror.ko", " ".join(machine.all_module_words())]
        if name == FUZZ and (request.calls or request.exact):
            words.append(request.calls or ALL_CALLS)
        if race:
            words.append(race)
        grace = EXACT_GRACE if request.exact else GRACE
        tests.append(Test(f"stress.{name}", folder / name, words, seconds + grace))
    more = SOAK_PROGRAMS if chosen == "soak" else ()
    return tests, [folder / name for name in more]
