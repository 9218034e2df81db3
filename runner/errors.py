# SPDX-License-Identifier: GPL-2.0
"""What can stop a run. A message says what is wrong and what to do."""
from __future__ import annotations

import errno


class Failure(Exception):
    """The run cannot go on. Its text is the one line that the user gets."""

    status = 2


class UnfitKernel(Failure):
    """The kernel under test cannot be tested. A bisection skips such a revision."""


class UnfitDriver(UnfitKernel):
    """The driver cannot be built for a kernel, or does not load in it."""


class CompilerTooNew(UnfitKernel):
    """gcc refuses the kernel for what gcc says since a release only."""

    def __init__(self, text: str, sign: str, since: int) -> None:
        super().__init__(text)
        self.sign = sign
        self.since = since


class DiskFull(Failure):
    """There is no room left where the cache is."""


class Interrupted(Exception):
    """A signal ended the run."""

    def __init__(self, status: int) -> None:
        super().__init__(f"signal {status - 128}")
        self.status = status


def is_disk_full(error: OSError) -> bool:
    """Does this error come from a file system that has no room?"""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
