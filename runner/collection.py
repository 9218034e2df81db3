# SPDX-License-Identifier: GPL-2.0
"""--collection mm/GLOB: other kselftests of the kernel's tree, by its own run_kselftest.sh.

They are built from a copy, because their makefiles write beside the source, and linked
statically. In the guest each program is a test; each line of its own KTAP is one, too.
"""
from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

from runner import packages
from runner.arch import native_arch
from runner.build import compiler_id, link_words
from runner.cache import hash_files, hash_text
from runner.errors import Failure, UnfitKernel
from runner.follow import Test
from runner.host import Host, make_flags
from runner.kernel import Kernel, leftover

SELFTESTS = "tools/testing/selftests"
# what programs of mm/ take from the tree besides their own folder and headers of userspace
BESIDES = (f"{SELFTESTS}/kselftest", "tools/include", f"tools/arch/{native_arch().srcarch}/include",
           "include/vdso", "mm/gup_test.h", "lib/test_hmm_uapi.h", "scripts/subarch.include")
# mm/ was vm/ until 6.3
FORMER = {"mm": "vm"}
# their own limit is in the file settings, for which a guest has no timeout(1)
TIMEOUT = 180
ARCHIVE = "kselftest.tar"


@dataclass(frozen=True)
class Collection:
    """Programs of one folder of the kernel's selftests."""

    # mm, as the user knows it, and where it is
    name: str
    folder: Path
    tree: Path

    def programs(self, globs: Sequence[str]) -> List[str]:
        """Those whose source matches."""
        names = sorted(path.stem for path in self.folder.glob("*.c"))
        chosen = [name for name in names if any(fnmatchcase(name, glob) for glob in globs)]
        for glob in globs:
            if not any(fnmatchcase(name, glob) for name in names):
                raise Failure(f"--collection {self.name}/{glob}: {self.folder} has no such program")
        return chosen


def split(value: str) -> Tuple[str, str]:
    """mm and GLOB of mm/GLOB."""
    name, slash, glob = value.partition("/")
    if not re.fullmatch("[a-z_]+", name) or not slash or not glob or "/" in glob:
        raise Failure(f"--collection {value}: COLLECTION/PROGRAM is wanted, such as mm/ksm_tests; "
                      "PROGRAM can be a glob")
    return name, glob


def find_collections(kernel: Kernel, wanted: Sequence[Tuple[str, str]]) \
        -> List[Tuple[Collection, List[str]]]:
    """The folders, with the globs of each."""
    if not kernel.source:
        raise Failure(f"--collection needs the source tree of linux {kernel.name}")
    globs: Dict[str, List[str]] = {}
    for name, glob in wanted:
        globs.setdefault(name, []).append(glob)
    found = []
    for name, of_it in globs.items():
        folders = [kernel.source / SELFTESTS / one for one in (name, FORMER.get(name, name))]
        folder = next((one for one in folders if (one / "Makefile").is_file()), None)
        if not folder:
            raise UnfitKernel(f"linux {kernel.name} has no {SELFTESTS}/{name}")
        found.append((Collection(name, folder, kernel.source), of_it))
    return found


async def build(host: Host, collection: Collection, names: Sequence[str], folder: Path) \
        -> Dict[str, str]:
    """Builds programs, and packs those that could be built into ARCHIVE with the tree's runner.

    Returns why the others could not be. folder is for the archive and for scripts.
    """
    compiler = await compiler_id(host)
    entry = host.cache.entry("upstream", hash_text(f"{collection.folder} {compiler} collection\n"))
    state = hash_files([collection.folder, collection.tree / SELFTESTS / "kselftest_harness.h"])
    label = f"building {SELFTESTS}/{collection.folder.name}"
    copy = entry.path / "tree"
    here = copy / SELFTESTS / collection.folder.name
    failures: Dict[str, str] = {}
    async with host.cache.lock(f"collection-{entry.path.name}", label):
        if not entry.is_current(state):
            await packages.require(host, [
                *packages.KERNEL, *packages.SUITE,
                *packages.of_sources(*(collection.folder / f"{name}.c" for name in names))])
            async with entry.make(state, label, host.terminal) as fresh:
                if fresh:
                    await prepare_copy(host, collection, entry.path, copy)
        link = await link_words(host, native_arch())
        for name in names:
            log = folder / f"{name}.log"
            if not (here / name).exists() and await host.run(
                    f"{label}: {name}", build_command(host, entry.path, here, name, link), log):
                failures[name] = reason_of(log)
        pack(copy / SELFTESTS, here.name, [name for name in names if name not in failures], folder)
    return failures


async def prepare_copy(host: Host, collection: Collection, entry: Path, copy: Path) -> None:
    """The part of the tree that is wanted, by links where that works, and its headers."""
    tree = collection.tree
    shutil.rmtree(copy, ignore_errors=True)
    own = f"{SELFTESTS}/{collection.folder.name}"
    for name in (own, *BESIDES, *(f"{SELFTESTS}/{path.name}" for path
                                  in (tree / SELFTESTS).iterdir() if path.is_file())):
        if not (tree / name).exists():
            continue
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        if subprocess.run(["cp", "-al", str(tree / name), str(copy / name)], check=False,
                          stderr=subprocess.DEVNULL).returncode:
            subprocess.run(["cp", "-a", str(tree / name), str(copy / name)], check=True)
    if not leftover(tree):
        (entry / "headers").mkdir(exist_ok=True)
        await host.run_or_fail("kernel headers for its selftests", [
            "make", "-C", str(tree), f"O={entry / 'headers'}", "headers"], entry / "log")


def build_command(host: Host, entry: Path, here: Path, name: str, link: Sequence[str]) -> List[str]:
    """make for one program."""
    headers = entry / "headers/usr/include"
    words = [f"KHDR_INCLUDES=-isystem {headers}"] if headers.is_dir() else []
    return ["make", "-C", str(here), f"OUTPUT={here}", f"CC={' '.join(['gcc', *link])}", *words,
            *make_flags(host), str(here / name)]


def reason_of(log: Path) -> str:
    """What the compiler or make says."""
    text = log.read_text(errors="replace")
    found = re.search(r"(?:error: |No rule to make target|cannot find ).*", text)
    return found[0] if found else "make fails"


def pack(selftests: Path, folder: str, names: Sequence[str], to: Path) -> None:
    """The tree's runner and the programs, as kselftest_install.sh would leave them."""
    root = to / "kselftest"
    (root / folder).mkdir(parents=True)
    shutil.copytree(selftests / "kselftest", root / "kselftest")
    shutil.copy(selftests / "run_kselftest.sh", root)
    for name in [*names, "settings", "config"]:
        if (selftests / folder / name).exists():
            shutil.copy(selftests / folder / name, root / folder)
    (root / "kselftest-list.txt").write_text("".join(f"{folder}:{name}\n" for name in names),
                                             encoding="utf-8")
    subprocess.run(["tar", "-cf", str(to / ARCHIVE), "-C", str(root), "."], check=True)


SCRIPT = """\
#!/bin/sh
[ -d /tmp/kselftest ] || { mkdir /tmp/kselftest && tar -xf /tests/@ARCHIVE@ -C /tmp/kselftest; } || exit 1
# the tree's runner writes to this
[ -e /dev/stdout ] || ln -s /proc/self/fd/1 /dev/stdout
cd /tmp/kselftest && exec sh ./run_kselftest.sh -t @FOLDER@:@NAME@
"""


def script(folder: str, name: str) -> str:
    """What a guest runs for a program of ARCHIVE; folder is below tools/testing/selftests."""
    text = SCRIPT.replace("@ARCHIVE@", ARCHIVE).replace("@NAME@", name)
    return text.replace("@FOLDER@", folder)


async def tests_of(host: Host, kernel: Kernel, wanted: Sequence[Tuple[str, str]], timeout: int,
                   folder: Path) -> Tuple[List[Test], List[Path], Dict[str, str]]:
    """The tests, files that they need besides, and those that cannot be built, with the reason."""
    tests: List[Test] = []
    failures: Dict[str, str] = {}
    [(collection, globs), *more] = find_collections(kernel, wanted)
    if more:
        raise Failure("--collection takes programs of one collection")
    names = collection.programs(globs)
    unbuilt = await build(host, collection, names, folder)
    for name in names:
        full = f"{collection.name}.{name}"
        if name in unbuilt:
            failures[full] = f"it cannot be built: {unbuilt[name]}"
            continue
        file = folder / full
        file.write_text(script(collection.folder.name, name), encoding="utf-8")
        file.chmod(0o755)
        tests.append(Test(full, file, (), timeout, nested=True))
    return tests, [folder / ARCHIVE], failures
