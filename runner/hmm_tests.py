# SPDX-License-Identifier: GPL-2.0
"""The kernel's own hmm-tests on a machine that is ready: which of them run, and how."""
from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import List, Optional, Sequence

from runner import upstream
from runner.errors import UnfitKernel
from runner.follow import Test
from runner.host import Host
from runner.kernel import Kernel
from runner.request import Request
from runner.suite import Run, select


async def choose_tests(host: Host, request: Request, run: Run, tree: Optional[Path] = None,
                       names: Sequence[str] = ()) -> List[Test]:
    """Builds them, and sets the machine up for them.

    tree: the source whose tests they are, if it is not that of the kernel. names: those that are
    wanted, else what the request's globs match.
    """
    kernel: Kernel = run.machine.kernel
    found = await upstream.find_tests(host, replace(kernel, source=tree) if tree else kernel,
                                      request.tests_of)
    suite = await upstream.build_tests(host, found, kernel.arch)
    if found.abi:
        run.machine.module_words = (f"test_abi={found.abi}",)
    run.machine.coherent_mb = upstream.coherent_mb(kernel.arch)
    # they need huge pages of the system to the end, and have none set aside
    run.machine.movable = True
    run.excuse = partial(upstream.excuse, run.machine.driver, found,
                         upstream.read_lacks(host.root))
    request.known.check_tests(list(suite.tests))
    for name in names:
        if name not in suite.tests:
            raise UnfitKernel(f"{name} is not among the hmm-tests of {found.name}")
    chosen = names or select(list(suite.tests), request.globs, request.excluded)
    return [Test(name, suite.programs / suite.tests[name], (name,), request.timeout, forked=True)
            for name in chosen]
