# SPDX-License-Identifier: GPL-2.0
"""The command lines of this package: a mistake is one line and the status 2, as in run_tests.sh."""
from __future__ import annotations

import argparse
from typing import NoReturn

from runner.errors import Failure

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
