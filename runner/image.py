# SPDX-License-Identifier: GPL-2.0
"""The guest's initramfs: busybox, the agent, the module, and the programs that are to run."""
from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Iterable, List, Mapping, Optional, Sequence, Tuple

from runner.errors import Failure
from runner.host import Host, is_static
from runner.kernel import Kernel, Kind
from runner.packages import find_busybox
from runner.programs import Driver
from runner.toolchain import Toolchain, toolchain

# what a kernel that is not ours can have as modules
WANTED_MODULES = ("zram", "lzo-rle", "lzo", "hwpoison-inject")
ZRAM_MB = 256
DECOMPRESSORS = {".xz": ["xz", "-dc"], ".zst": ["zstd", "-dcq"], ".gz": ["gzip", "-dc"]}


@dataclass(frozen=True)
class Payload:
    """What goes into an image."""

    kernel: Kernel
    driver: Driver
    agent: Path
    programs: Tuple[Path, ...]
    # of hmmirror.ko
    module_words: Tuple[str, ...]
    # what init does: run what the host asks for, or give a shell
    mode: str = "run"
    # the agent and the tests start out on one CPU
    one_cpu: bool = False
    # moves timers against tests
    seed: int = 0


async def make_image(host: Host, payload: Payload, folder: Path, image: Path) -> None:
    """Writes an initramfs. folder is for the files meanwhile."""
    root = folder / "root"
    for name in ("bin", "dev", "proc", "sys", "tmp", "modules", "tests"):
        (root / name).mkdir(parents=True)
    tools = await toolchain(host, payload.kernel.arch)
    busybox, own = tools.busybox(), find_busybox()
    if not busybox or not own:
        raise Failure("no busybox; install busybox-static")
    put(busybox, root / "bin/busybox")
    # this machine's, which has the same applets, can be run here
    applets = (await host.capture([str(own), "--list"])).split()
    links = [f"bin/{applet}" for applet in applets if applet != "busybox"]
    shutil.copy(host.root / "guest/init", root / "init")
    (root / "init").chmod(0o755)
    put(payload.agent, root / "bin/agent")
    put(payload.driver.module, root / "modules/hmmirror.ko")
    modules = await add_modules(host, payload.kernel, root / "modules")
    beside = payload.kernel.config.guest.beside
    if beside:
        add_program(host, tools, beside.split()[0], root)
    for program in payload.programs:
        put(program, root / "tests" / program.name)
    add_libraries(tools, [*payload.programs, payload.agent, busybox], root)
    (root / "guest.conf").write_text(guest_conf(payload, modules), encoding="utf-8")
    # what goes with a kernel in the place of an applet is no link
    await pack(host, root, image, {name: "busybox" for name in links
                                   if not (root / name).exists()})
    shutil.rmtree(root)


def agent_words(payload: Payload) -> List[str]:
    """The options of the agent."""
    words = ["-1"] if payload.one_cpu and not payload.kernel.config.guest.spread else []
    return words + (["-s", str(payload.seed)] if payload.seed else [])


def guest_conf(payload: Payload, modules: Iterable[str]) -> str:
    """What init reads."""
    guest = payload.kernel.config.guest
    values = {
        "MODE": payload.mode,
        "AGENT_LINE": f"/dev/{payload.kernel.arch.agent_device}",
        "AGENT_ARGS": " ".join(agent_words(payload)),
        "BESIDE": guest.beside,
        "SEED": str(payload.seed),
        "MODULES": " ".join(modules),
        "MODULE_ARGS": " ".join(payload.module_words),
        "HUGEPAGES": str(guest.hugepages),
        "THP": guest.thp,
        "ZRAM_MB": str(ZRAM_MB),
    }
    return "".join(f"{key}={shlex.quote(value)}\n" for key, value in values.items())


def put(origin: Path, to: Path) -> None:
    """Puts a file there, executable; by a link where that can be had."""
    to.unlink(missing_ok=True)
    try:
        if not os.access(origin, os.X_OK):
            raise OSError
        os.link(origin, to)
    except OSError:
        shutil.copyfile(origin, to)
        to.chmod(0o755)


def add_program(host: Host, tools: Toolchain, name: str, root: Path) -> None:
    """Adds one of this machine's programs, with its libraries."""
    if not tools.arch.is_native:
        raise Failure(f"{name} would be this machine's program, which does not run in a guest of "
                      f"{tools.arch.name}; leave out the -c that wants it beside the tests")
    found = host.which(name)
    if not found:
        raise Failure(f"there is no {name} on this machine; install it")
    # it can be one of busybox's, too
    put(Path(found), root / "bin" / name)
    add_libraries(tools, [Path(found)], root)


def add_libraries(tools: Toolchain, programs: Sequence[Path], root: Path) -> None:
    """Adds the libraries of programs that are linked dynamically."""
    dynamic = [path for path in programs if not is_script(path) and not is_static(path)]
    if not dynamic:
        return
    for file, place in tools.libraries(dynamic):
        target = Path(f"{root}{place}")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy(file, target)


def is_script(path: Path) -> bool:
    """Is it something else than a program that the kernel loads?"""
    with path.open("rb") as file:
        return file.read(4) != b"\x7fELF"


async def pack(host: Host, root: Path, image: Path, links: Optional[Mapping[str, str]] = None,
               append: bool = False) -> None:
    """Makes an archive of a folder, and of symbolic links that need not be made for that."""
    try:
        with image.open("ab" if append else "wb") as out:
            write_archive(root, out, links or {})
    except OSError as error:
        raise host.cache.disk_full("making the guest's image") from error


def write_archive(root: Path, out: BinaryIO, links: Mapping[str, str]) -> None:
    """Writes the files of a folder in cpio's format "newc". The same files give the same bytes.

    So dates, owners and inode numbers of this machine do not go in.
    """
    start = out.tell()
    paths = sorted(root.rglob("*"))
    for number, path in enumerate(paths, 1):
        name = str(path.relative_to(root))
        if path.is_symlink():
            data = os.readlink(path).encode()
            write_header(out, name, number, stat.S_IFLNK | 0o777, len(data))
            out.write(data)
        elif path.is_dir():
            write_header(out, name, number, stat.S_IFDIR | 0o755, 0)
        else:
            mode = 0o755 if os.access(path, os.X_OK) else 0o644
            write_header(out, name, number, stat.S_IFREG | mode, path.stat().st_size)
            with path.open("rb") as file:
                shutil.copyfileobj(file, out)
        pad(out, 4)
    for number, (name, target) in enumerate(links.items(), len(paths) + 1):
        write_header(out, name, number, stat.S_IFLNK | 0o777, len(target))
        out.write(target.encode())
        pad(out, 4)
    write_header(out, "TRAILER!!!", 0, 0, 0)
    # another archive can follow
    pad(out, 512, start)


def write_header(out: BinaryIO, name: str, number: int, mode: int, size: int) -> None:
    """The head of a file in the archive, with its name."""
    encoded = name.encode() + b"\0"
    # inode, mode, user, group, links, date, size, 4 numbers of devices, length of the name, sum
    fields = (number, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(encoded), 0)
    out.write(b"070701" + b"".join(b"%08x" % field for field in fields) + encoded)
    pad(out, 4)


def pad(out: BinaryIO, unit: int, start: int = 0) -> None:
    """Zeros up to the next multiple of the unit."""
    out.write(bytes(-(out.tell() - start) % unit))


async def add_modules(host: Host, kernel: Kernel, to: Path) -> List[str]:
    """Adds modules that the suite can use, and what they need, in the order of loading."""
    if kernel.kind is not Kind.BUILT:
        return []
    names: List[str] = []
    for file in await module_files(host, kernel):
        name = f"{file.name.split('.ko')[0]}.ko"
        if name in names:
            continue
        command = DECOMPRESSORS.get(file.suffix, ["cat"])
        with (to / name).open("wb") as out:
            if subprocess.run([*command, str(file)], stdout=out, check=False).returncode:
                raise Failure(f"cannot unpack {file}")
        names.append(name)
    return names


async def module_files(host: Host, kernel: Kernel) -> Sequence[Path]:
    """Their files, where the kernel has them as modules."""
    files: List[Path] = []
    if kernel.modules and (kernel.modules / "modules.dep").exists():
        base = str(kernel.modules).rsplit("lib/modules/", 1)[0]
        for name in WANTED_MODULES:
            shown = await host.capture(["modprobe", "-d", base, "-S", kernel.modules.name,
                                        "--show-depends", name])
            files += [Path(path) for path in re.findall(r"^insmod (\S+)", shown, re.M)]
        return files
    for name in ("zsmalloc", "lzo_compress", *WANTED_MODULES):
        found = [path for path in kernel.build.rglob(f"{name}.ko*")
                 if re.fullmatch(rf"{name}\.ko(\.\w*z\w*)?", path.name)]
        files += found[:1]
    return files
