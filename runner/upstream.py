# SPDX-License-Identifier: GPL-2.0
"""The kernel's own hmm-tests, unmodified: those of the tree under test, or of another one.

They are compiled together with a main() of ours, which lists tests and runs one by its name, so
that each of them has a process, a time limit and a verdict of its own.
"""
from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional

from runner import packages, source
from runner.arch import Arch, native_arch
from runner.build import compiler_id, link_words, optional_words
from runner.cache import hash_files, hash_text
from runner.config import read
from runner.errors import Failure, UnfitKernel
from runner.host import Host
from runner.kernel import Kernel, leftover, tree_version
from runner.programs import Driver, Suite
from runner.toolchain import toolchain

NEEDS_TABLE = "guest/upstream/needs.txt"
# what newer ones are linked with
HELPERS = ("vm_util", "hugepage_settings", "thp_settings")
# a benchmark of 7.x moves up to 128 huge pages to a coherent device, and less than 2 GiB
COHERENT_MB = 320
# the tests have limits of their own, up to 120 s
TIMEOUT = 180


@dataclass(frozen=True)
class UpstreamTests:
    """The hmm-tests of a tree."""

    name: str
    tree: Path
    folder: Path

    @property
    def abi(self) -> str:
        """The numbers of their ioctls, as a parameter of the driver.

        Until 5.19 a snapshot had the number that a migration back has had since.
        """
        text = read(self.tree / "lib/test_hmm_uapi.h")
        return "5.10" if re.search(r"HMM_DMIRROR_SNAPSHOT\s.*0x03", text) else ""


def coherent_mb(arch: Arch) -> int:
    """Memory that each coherent device needs for them."""
    return max(COHERENT_MB, 3 * arch.coherent_mb)


async def find_tests(host: Host, kernel: Kernel, tests_of: str) -> UpstreamTests:
    """The tests of a release or tree, or of the kernel under test."""
    if not tests_of:
        if not kernel.source:
            raise Failure(f"--upstream needs the source tree of linux {kernel.name}; name the tests "
                          "with --upstream=X.Y or --upstream=DIR")
        name, tree = kernel.name, kernel.source
    elif re.match(r"\d.*\.\d", tests_of) and not Path(tests_of).exists():
        name, tree = tests_of, (await source.get_release(host, tests_of)).path
    else:
        if not (Path(tests_of) / "Makefile").is_file():
            raise Failure(f"--upstream={tests_of}: no such tree; give a release (6.1) or a source "
                          "tree")
        tree = Path(tests_of).resolve()
        name = tree_version(tree)
    for folder in (tree / "tools/testing/selftests" / part for part in ("mm", "vm")):
        if (folder / "hmm-tests.c").is_file():
            return UpstreamTests(name, tree, folder)
    # a bisection can come to such a revision
    failure = Failure if tests_of else UnfitKernel
    raise failure(f"linux {name} has no hmm-tests; they are there since 5.8; --upstream=X.Y takes "
                  "those of another release")


async def build_tests(host: Host, tests: UpstreamTests, arch: Arch) -> Suite:
    """Compiles them, and lists their names; this machine's do that for another architecture."""
    await packages.require(host, packages.cross(arch))
    shims = host.root / "guest/upstream"
    entry = host.cache.entry("upstream",
                             hash_text(f"{tests.tree} {await compiler_id(host, arch.prefix)}\n"))
    program = entry.path / "hmm-tests"
    state = hash_files([tests.folder, tests.tree / "lib/test_hmm_uapi.h", shims,
                        *sorted((host.root / "selftests").glob("hmm_*.h"))])
    if not entry.is_current(state):
        await packages.require(host, [*packages.KERNEL, *packages.SUITE,
                                      *packages.of_sources(tests.folder / "hmm-tests.c")])
        async with entry.make(state, "building hmm-tests", host.terminal) as fresh:
            if fresh:
                with host.cache.temporary("upstream") as scratch:
                    await compile_tests(host, tests, entry.path, program, scratch / "log", arch)
                if arch.is_native:
                    listed = await host.capture([str(program), "--list"], check=True)
                    (entry.path / "tests").write_text(listed, encoding="utf-8")
    if not arch.is_native:
        own = await build_tests(host, tests, native_arch())
        return Suite(entry.path, own.tests)
    # helpers of newer trees tell what they found before main() begins
    names = [line for line in read(entry.path / "tests").splitlines()
             if line and not line.startswith("#")]
    return Suite(entry.path, {name: program.name for name in names})


async def compile_tests(host: Host, tests: UpstreamTests, folder: Path, program: Path,
                        log: Path, arch: Arch) -> None:
    """One program of their source, what it is linked with, and our main()."""
    headers: Optional[Path] = folder / "headers/usr/include"
    if leftover(tests.tree, arch):
        headers = tests.tree / "usr/include"
    else:
        (folder / "headers").mkdir(exist_ok=True)
        await host.run_or_fail("kernel headers for hmm-tests", [
            "make", "-C", str(tests.tree), f"O={folder / 'headers'}",
            *arch.make_words, "headers"], log)
    words: List[str] = ["-isystem", str(headers)] if headers and headers.is_dir() else []
    tools = await toolchain(host, arch)
    shims = host.root / "guest/upstream"
    words += [str(tests.folder / f"{name}.c") for name in HELPERS
              if (tests.folder / f"{name}.c").is_file()]
    if "<hugetlbfs.h>" in read(tests.folder / "hmm-tests.c"):
        # whole: a static link leaves out the constructor that finds the mounts
        words += ["-Wl,--whole-archive", "-lhugetlbfs", "-Wl,--no-whole-archive"]
    if "pidfd_open" in read(tests.folder.parent / "kselftest_harness.h"):
        words += ["-Wl,--wrap=syscall", str(shims / "pidfd.c")]
    words += ["-Wl,--wrap=alarm,--wrap=poll", str(shims / "patience.c")]
    libraries = ["-lhugetlbfs"] if "-lhugetlbfs" in words else []
    link = await link_words(host, arch, *libraries)
    await host.run_or_fail(f"building the hmm-tests of {tests.name}", [
        *tools.gcc, "-O2", *link, "-D_GNU_SOURCE=", f'-DHMM_TESTS="{tests.folder}/hmm-tests.c"',
        "-I", str(tests.tree), "-I", str(tests.tree / "tools/testing/selftests"),
        "-I", str(tests.tree / "tools/include"), "-I", str(tests.folder),
        "-I", str(host.root / "selftests"), "-o", str(program), str(shims / "hmm_tests.c"), *words,
        *await optional_words(host, arch, "rt", "pthread")], log)


@dataclass(frozen=True)
class Lack:
    """What a test takes for granted, and why it is skipped without."""

    test: str
    # one of these probes must hold, or with ! before them none
    probes: str
    reason: str
    # only of tests whose source has this
    source: str = ""

    def holds(self, features: str, source: str) -> bool:
        """Is it lacking on a kernel with these features, for tests with this source?"""
        wanted = not self.probes.startswith("!")
        has = re.search(rf"^#define HAVE_({self.probes.lstrip('!')}) ", features, re.M) is not None
        return has != wanted and re.search(self.source, source) is not None


def read_lacks(root: Path) -> List[Lack]:
    """The table of what the tests take for granted."""
    rows = [line.split("\t") for line in read(root / NEEDS_TABLE).splitlines()
            if line and not line.startswith("#")]
    return [Lack(*row) for row in rows]


def excuse(driver: Driver, tests: UpstreamTests, lacks: List[Lack], name: str) -> str:
    """Why a test that failed is a skip on this kernel; empty if it is none."""
    for lack in lacks:
        if lack.test == name.split(".")[-1] and \
                lack.holds(read(driver.features), read(tests.folder / "hmm-tests.c")):
            return lack.reason
    return ""
