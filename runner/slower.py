# SPDX-License-Identifier: GPL-2.0
"""--bench --bisect: finds the commit that made an operation take more instructions.

The session, the worktree and what git does are those of --bisect. A revision is bad if its count
is over a limit, which lies between those of the two ends.
"""
from __future__ import annotations

from pathlib import Path

from runner import packages
from runner.bisect import Bisection, NothingToTell, Session, search
from runner.counting import KIB, Selection, count_operations
from runner.counts import MARKED
from runner.errors import UnfitKernel
from runner.host import Host
from runner.request import Request
from runner.step import BAD, GOOD, SKIPPED, Laps, StepResult, build_machine, refuse_unclean
from runner.worktrees import Worktrees, find_history

# of the range, if the operation does not need a longer one
SIZE = 1024 * KIB


class CountBisection(Bisection):
    """The search for a commit after which an operation takes more."""

    def __init__(self, host: Host, session: Session, worktree: Worktrees) -> None:
        super().__init__(host, session, worktree, ())
        self.operation = session.request.globs[0]
        # instructions; a revision that takes more is bad. 0: nobody knows yet
        self.limit = 0

    async def examine(self, host: Host, tree: Path, folder: Path, laps: Laps) -> StepResult:
        """Counts the operation with what is checked out."""
        refuse_unclean(host, tree, self.session.request.arch)
        try:
            machine = await build_machine(host, self.session.request, tree, laps)
            with host.cache.temporary("count") as work:
                counts = await count_operations(
                    machine, Selection((self.operation,), (SIZE,)), folder, work)
        except UnfitKernel as failure:
            return StepResult(SKIPPED, laps.seconds, str(laps), str(failure))
        laps.end("guest")
        for (name, _), reason in counts.skipped.items():
            return StepResult(SKIPPED, laps.seconds, str(laps), f"no {name}: {reason}")
        if len(counts.counts) != 1:
            raise NothingToTell(f"--bench --bisect: {self.operation} stands for several operations; "
                                f"name one: {' '.join(name for name, _ in counts.counts)}")
        total = next(iter(counts.counts.values())).total
        word = BAD if self.limit and total > self.limit else GOOD
        return StepResult(word, laps.seconds, str(laps), f"{total} instructions",
                          {self.operation: [str(total), ""]})

    async def check_ends(self) -> None:
        """Does BAD take more than GOOD? Sets the limit between them."""
        totals = []
        for end, ahead in ((GOOD, BAD), (BAD, "")):
            result = await self.end_result(end, ahead)
            if not result.tests:
                raise NothingToTell(f"{end.upper()} cannot be counted: {result.why}; see "
                                    f"{self.folder / end}")
            totals.append(int(result.tests[self.operation][0]))
        good, bad = totals
        more = 100 * (bad / good - 1)
        worse = self.session.request.worse or max(more / 2, MARKED / 2)
        if more <= worse:
            raise NothingToTell(f"BAD is not {worse:.1f} % worse: {self.operation} takes {good} "
                                f"instructions on GOOD and {bad} on BAD ({more:+.1f} %)")
        self.limit = int(good * (1 + worse / 100))
        self.session.logs.write("tests", f"{self.operation}\n")
        self.host.terminal.say(f"{self.operation} takes {good} instructions on GOOD and {bad} on BAD "
                               f"({more:+.1f} %); a commit is bad above {self.limit}")


async def bisect_counts(host: Host, request: Request) -> int:
    """--bench --bisect GOOD BAD OPERATION; the exit status."""
    await packages.require(host, packages.BISECT)
    return await search(host, request, find_history(request),
                        lambda session, worktree: CountBisection(host, session, worktree))
