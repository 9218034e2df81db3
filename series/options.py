# SPDX-License-Identifier: GPL-2.0
"""The command lines of this package: a mistake is one line and the status 2, as in run_tests.sh."""
from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any, Callable, Coroutine, NoReturn, Sequence

from runner.errors import Failure, Interrupted
from runner.host import Host
from runner.terminal import Terminal

TREE = "a release (7.3), or the folder of a source tree or build"


class Parser(argparse.ArgumentParser):
    """argparse, without the usage before each error."""

    def __init__(self, module: str, about: str) -> None:
        # an abbreviation would change its meaning with the next option that is added
        super().__init__(prog=f"python3 -m {module}", description=about, allow_abbrev=False)
        self.add_argument("tree", metavar="TREE", help=TREE)

    def error(self, message: str) -> NoReturn:
        """What is wrong with a command line."""
        raise Failure(f"{message}; see --help")


def call(root: Path, parse: Callable[[Sequence[str]], argparse.Namespace],
         work: Callable[[Host, argparse.Namespace], Coroutine[Any, Any, int]]) -> int:
    """Does what the command line asks for; the exit status."""
    from runner.__main__ import find_cache, run_until_signal
    try:
        arguments = parse(sys.argv[1:])
        terminal = Terminal()
        host = Host(root, find_cache(terminal), terminal)
        return asyncio.run(run_until_signal(work(host, arguments)))
    except Interrupted as interrupted:
        print("series: interrupted", file=sys.stderr)
        return interrupted.status
    except Failure as failure:
        print(f"series: {failure}", file=sys.stderr)
        return failure.status
