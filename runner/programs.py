# SPDX-License-Identifier: GPL-2.0
"""Builds what runs in the guest: the driver, the agent, the suite, and programs of the user's own."""
from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

from runner import packages, source
from runner.arch import Arch, native_arch
from runner.build import compiler_id, driver_state, link_words, optional_words
from runner.cache import files_below, hash_files, hash_text
from runner.errors import Failure
from runner.host import Host, make_flags
from runner.kernel import Kernel
from runner.toolchain import Toolchain, toolchain

# the image has the libraries; all symbols are found before the program forks for a test
LINK = "LINK=-Wl,-z,now -s"
# away from all other programs: breakpoints of --replay go by the address
AGENT_ADDRESS = "-Wl,-Ttext-segment=0x60000000"
# of libhmmirror
LIBRARIES = ("-lnuma",)


@dataclass(frozen=True)
class Driver:
    """A module for one kernel, and which probes of that kernel held."""

    module: Path
    features: Path


@dataclass(frozen=True)
class Suite:
    """Test programs, built once for all kernels."""

    programs: Path
    # of each test its program
    tests: Dict[str, str]


async def build_driver(host: Host, kernel: Kernel) -> Driver:
    """hmmirror.ko for a kernel, built from a copy, as kbuild writes beside the source."""
    origin = host.testing.driver or host.root / "driver"
    entry = host.cache.entry("driver", hash_text(f"{kernel.id} {origin}\n"))
    state = f"{hash_files([origin])}.{driver_state(host, kernel)}"
    driver = Driver(entry.path / "hmmirror.ko", entry.path / "src/compat/features.h")
    if entry.is_current(state):
        return driver
    await packages.require(host, packages.KERNEL)
    async with entry.make(state, "building hmmirror.ko", host.terminal) as fresh:
        if fresh:
            copy_changed(host, origin, entry.path / "src")
            with host.cache.temporary("driver") as folder:
                log = folder / "log"
                await host.run_or_fail(
                    f"building hmmirror.ko for {kernel.name}",
                    ["make", "-C", str(entry.path / "src"), f"KDIR={kernel.build}",
                     *make_flags(host), *kernel.config.make], log)
                warnings = [line for line in log.read_text(errors="replace").splitlines()
                            if ": warning: " in line and not line.startswith("make")]
                for line in warnings[:3]:
                    host.terminal.say(line)
            shutil.copyfile(entry.path / "src/hmmirror.ko", driver.module)
    return driver


def copy_changed(host: Host, origin: Path, to: Path) -> None:
    """Copies a folder. A file that is the same keeps its date, so that make has little to do.

    A file that is gone in the origin means a fresh start.
    """
    names = [str(path.relative_to(origin)) for path in files_below(origin)]
    listed = to / ".list"
    if listed.exists() and listed.read_text(encoding="utf-8").splitlines() != names:
        shutil.rmtree(to)
    to.mkdir(parents=True, exist_ok=True)
    listed.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    for name in names:
        here, there = origin / name, to / name
        if there.exists() and there.read_bytes() == here.read_bytes():
            continue
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(here, there)


async def build_files(host: Host, name: str, what: str, origin: Sequence[Path],
                      arch: Optional[Arch], command: Callable[[Toolchain, List[str], Path],
                                                      List[str]],
                      libraries: Sequence[str] = ()) -> Path:
    """The folder of a cache entry that one command makes of these files and folders.

    Each checkout has its own: another one's run may have replaced the files before ours reads them.
    So has each architecture. The command gets what compiles, what links a program (see
    link_words() for these libraries), and the folder.
    """
    arch = arch or native_arch()
    whose = f"{host.root}\n" if arch.is_native else f"{host.root}\n{arch.name}\n"
    entry = host.cache.entry(name, hash_text(whose))
    await packages.require(host, packages.cross(arch))
    state = hash_text(f"{await compiler_id(host, arch.prefix)}\n{hash_files(origin)}\n")
    if not entry.is_current(state):
        await packages.require(host, packages.SUITE)
        tools = await toolchain(host, arch)
        async with entry.make(state, f"building {what}", host.terminal) as fresh:
            if fresh:
                link = await link_words(host, arch, *libraries)
                with host.cache.temporary(name) as folder:
                    await host.run_or_fail(f"building {what}", command(tools, link, entry.path),
                                           folder / "log")
    return entry.path


async def build_agent(host: Host, arch: Optional[Arch] = None) -> Path:
    """The program that runs tests in the guest."""
    folder = host.root / "guest"
    origin = [*sorted(folder.glob("*.[ch]")), host.root / "driver/uapi"]
    sources = [str(path) for path in sorted(folder.glob("*.c"))]
    threads = await optional_words(host, arch or native_arch(), "pthread")
    built = await build_files(host, "agent", "the guest agent", origin, arch, lambda tools, link, to: [
        *tools.gcc, "-O2", "-Wall", "-Wextra", *link, AGENT_ADDRESS, "-o", str(to / "agent"), *sources,
        *threads])
    return built / "agent"


async def build_suite(host: Host, tree: Optional[Path] = None, arch: Optional[Arch] = None) -> Suite:
    """The test programs. tree is the kernel's under test, for its harness if there is no other.

    Programs of another architecture do not run here to list their tests; this machine's do.
    """
    arch = arch or native_arch()
    tools = await toolchain(host, arch)
    origin = host.testing.suite or host.root / "selftests"
    harness = await source.harness_tree(host, tree)
    compiler = await compiler_id(host, arch.prefix)
    entry = host.cache.entry("suite", hash_text(f"{harness} {compiler} {origin} {LINK}\n"))
    state = hash_files([origin, host.root / "lib", host.root / "driver/uapi",
                        host.root / "selftests/hmm_serve.h"])
    programs = entry.path / "bin"
    if not entry.is_current(state):
        await packages.require(host, packages.SUITE)
        async with entry.make(state, "building the suite", host.terminal) as fresh:
            if fresh:
                programs.mkdir(exist_ok=True)
                make = ["make", "-C", str(origin), *tools.make_words, f"KSRC={harness}",
                        f"OUTPUT={programs}", LINK]
                with host.cache.temporary("suite") as folder:
                    await host.run_or_fail("building the suite", [*make, *make_flags(host)],
                                           folder / "log")
                if arch.is_native:
                    await list_tests(host, make, entry.path)
    if not arch.is_native:
        return Suite(programs, (await build_suite(host, tree)).tests)
    lines = (entry.path / "tests").read_text(encoding="utf-8").splitlines()
    tests = dict(line.split("\t")[::-1] for line in lines)
    return Suite(programs, tests)


async def list_tests(host: Host, make: Sequence[str], entry: Path) -> None:
    """Writes which test is in which program, a line each."""
    out = await host.capture([*make, "-s", "print-programs"], check=True)
    lines: List[str] = []
    for name in (Path(word).name for word in out.split()):
        listed = await host.capture([str(entry / "bin" / name), "--list"], check=True)
        lines += [f"{name}\t{test}\n" for test in listed.splitlines()]
    if not lines:
        raise Failure("the suite lists no tests; see selftests/Makefile")
    (entry / "tests").write_text("".join(lines), encoding="utf-8")


async def build_library(host: Host, arch: Arch) -> Path:
    """libhmmirror.a for programs of the user's own."""
    name = "libhmmirror.a"
    origin = [host.root / "lib", host.root / "driver/uapi"]
    built = await build_files(host, "lib", "the library", origin, arch, lambda tools, _, to: [
        "make", "-C", str(to), *tools.make_words, *make_flags(host),
        "-f", str(host.root / "lib/libhmmirror.mk"), f"OUTPUT={to}", str(to / name)])
    return built / name


async def build_own(host: Host, file: Path, folder: Path, arch: Optional[Arch] = None) -> Path:
    """A program of the user's own, from one C file that may use the library."""
    arch = arch or native_arch()
    library = await build_library(host, arch)
    tools = await toolchain(host, arch)
    program = folder / file.stem
    log = folder / f"{file.stem}.log"
    link = await link_words(host, arch, *LIBRARIES)
    status = await host.run(f"building {file.name}", [
        *tools.gcc, "-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-D_GNU_SOURCE=", *link,
        "-I", str(host.root / "lib"), "-I", str(host.root / "driver/uapi"), "-o", str(program),
        str(file), str(library), *LIBRARIES, *await optional_words(host, arch, "pthread")], log)
    text = log.read_text(errors="replace")
    if status:
        if "No space left on device" in text or host.cache.is_full():
            raise host.cache.disk_full(f"building {file.name}")
        lines = [line for line in text.splitlines()
                 if "statically linked applications requires" not in line]
        for line in lines[:20]:
            host.terminal.say(line)
        raise Failure(f"{file} does not compile")
    # what the linker says of libraries is not about the file
    if str(file) in text:
        for line in text[text.index(str(file)):].splitlines()[:20]:
            if not re.match(r"/usr/\S*\bld\b", line):
                host.terminal.say(line)
    return program


async def build_stress(host: Host, arch: Optional[Arch] = None) -> Path:
    """The folder with the programs of --stress."""
    origin = [host.root / "stress", host.root / "lib", host.root / "driver/uapi"]
    threads = await optional_words(host, arch or native_arch(), "pthread")

    def command(tools: Toolchain, link: List[str], to: Path) -> List[str]:
        return ["make", "-C", str(host.root / "stress"), *tools.make_words, f"OUTPUT={to}",
                f"LINK={' '.join(link)}", f"THREADS={' '.join(threads)}", *make_flags(host)]
    return await build_files(host, "stress", "the stress programs", origin, arch, command, LIBRARIES)


def new_program(host: Host, name: str, template: str, kind: str) -> Path:
    """Begins a C file in the current folder from a template."""
    stem = name[:-2] if name.endswith(".c") else name
    if not stem or not stem[0].isalnum() or not stem.replace("-", "").replace("_", "").isalnum():
        raise Failure(f"--{kind} {name}: a plain name is wanted, of letters, digits, - and _")
    file = Path(f"{stem}.c") if kind == "new" else host.root / "selftests" / f"{stem}.c"
    if file.exists():
        raise Failure(f"{file} is there already and stays as it is; give another name")
    text = (host.root / template).read_text(encoding="utf-8").replace("@NAME@", stem)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        file.unlink(missing_ok=True)
        raise Failure(f"cannot write to {os.getcwd()}; go to a folder of your own") from error
    return file
