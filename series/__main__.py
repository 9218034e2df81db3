# SPDX-License-Identifier: GPL-2.0
"""python3 -m series TREE [OUT]: writes a patch series against a kernel tree."""
from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, List, Sequence, Set, Tuple

from runner.build import prepare
from runner.config import Config
from runner.errors import Failure
from runner.host import Host
from runner.kernel import resolve
from runner.packages import SERIES, require
from runner.programs import build_driver
from series.layout import (DRIVER, OPTIONS, OTHER_ARCHITECTURES, STEPS, Layout, config_of, read,
                           read_sources)
from series.options import Parser, call
from series.patches import Repository
from series.reduce import Reducer
from series.tree import FILES, OLD_DRIVER, Tree

ROOT = Path(__file__).resolve().parent.parent
TEXTS = ROOT / "series/tree"
MESSAGES = TEXTS / "messages"


def identity() -> Dict[str, str]:
    """Author and committer: who git says it is."""
    out = {}
    for word in ("AUTHOR", "COMMITTER"):
        done = subprocess.run(["git", "var", f"GIT_{word}_IDENT"], cwd=ROOT, capture_output=True,
                              text=True, check=False)
        name, _, rest = done.stdout.partition(" <")
        if done.returncode or not name:
            raise Failure("git does not know who you are; git config user.name and user.email")
        out[f"GIT_{word}_NAME"], out[f"GIT_{word}_EMAIL"] = name, rest.split(">")[0]
    return out


def date() -> str:
    """That of the checkout's last commit, so that the same sources give the same series."""
    done = subprocess.run(["git", "log", "-1", "--format=%cI"], cwd=ROOT, capture_output=True,
                          text=True, check=False)
    return done.stdout.strip() or "2026-01-01T00:00:00Z"


async def probed(host: Host, tree: str) -> Tuple[Path, Set[str], Set[str]]:
    """The tree, what it has, and what it lacks: the driver's probes for a kernel built of it."""
    found = await resolve(host, tree)
    # before anything is installed, it is known whether there is such a tree
    await require(host, SERIES)
    kernel = await prepare(host, found, Config())
    if not kernel.source:
        raise Failure(f"{tree} is not a source tree")
    driver = await build_driver(host, kernel)
    have = {line.split()[1][len("HAVE_"):] for line in read(driver.features).splitlines()
            if line.startswith("#define HAVE_")}
    every = {path.stem.upper() for path in (ROOT / "driver/compat/probes").glob("*.c")}
    return kernel.source, have, every - have


def make_series(tree: Path, have: Set[str], lacks: Set[str], to: Path) -> List[Path]:
    """Writes the patches."""
    reducer = Reducer(have, lacks, OPTIONS, OTHER_ARCHITECTURES)
    layout = Layout(read_sources(ROOT, tree, reducer), TEXTS,
                    config_of(read(ROOT / "selftests/config")))
    own = Tree(tree, TEXTS)
    modes = {name: (tree / name).stat().st_mode & 0o777 for name in FILES}
    with tempfile.TemporaryDirectory(prefix="series.") as folder:
        repository = Repository(Path(folder), identity(), date())
        for number in range(len(STEPS) + 1):
            files = {**own.at(number), **layout.at(number)} if number else own.at(0)
            message = read(MESSAGES / STEPS[number - 1].message) if number else "base\n"
            repository.commit(files, message, modes)
        lines = (files[OLD_DRIVER].count("\n"),
                 sum(text.count("\n") for name, text in files.items() if name.startswith(DRIVER)))
        own.replace_driver(files)
        message = read(MESSAGES / "replace")
        for word, number in zip(("@OLD_LINES@", "@NEW_LINES@"), lines):
            message = message.replace(word, f"{number:,}")
        repository.commit(files, message, modes)
        return repository.format(to, read(MESSAGES / "cover"))


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = Parser("series", "Writes a patch series that puts driver and suite into a kernel tree.")
    parser.add_argument("out", metavar="OUT", nargs="?", default=str(ROOT / "build/series"),
                        help="where the patches go (build/series)")
    return parser.parse_args(words)


async def run(host: Host, arguments: argparse.Namespace) -> int:
    """Makes the series that the command line asks for."""
    tree, have, lacks = await probed(host, arguments.tree)
    for path in make_series(tree, have, lacks, Path(arguments.out).resolve()):
        host.terminal.out(str(path))
    return 0


def main() -> int:
    """The exit status."""
    return call(ROOT, parse, run)


if __name__ == "__main__":
    sys.exit(main())
