# SPDX-License-Identifier: GPL-2.0
"""What builds programs for the guest, and what they need to run there.

For this machine's architecture that is this machine's own. For another one it is Debian's cross
compiler with its C library, and packages of that architecture, unpacked in the cache.
"""
from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from runner import apt, packages
from runner.arch import Arch
from runner.errors import Failure
from runner.host import Host

# what the suite is linked with, and what the guest boots with
FOREIGN = ("libnuma1", "libnuma-dev", "libhugetlbfs0", "libhugetlbfs-dev", "busybox-static")
NEEDED = re.compile(r"^\s*0x\S+ \(NEEDED\).*\[(\S+)\]$|program interpreter: (\S+)\]$", re.M)


@dataclass(frozen=True)
class Toolchain:
    """Compiles and links for one architecture."""

    arch: Arch
    # unpacked packages of that architecture; None for this machine's
    root: Optional[Path] = None

    @property
    def gcc(self) -> List[str]:
        """The compiler, with where it finds the libraries of other packages."""
        if not self.root:
            return ["gcc"]
        return [f"{self.arch.prefix}gcc", "-isystem", str(self.root / "usr/include"),
                *(f"-L{folder}" for folder in self.library_folders[:-1])]

    @property
    def make_words(self) -> List[str]:
        """The same, for a make of programs."""
        words = [f"CC={' '.join(self.gcc)}"]
        if self.root:
            words += [f"AR={self.arch.prefix}ar", f"OBJCOPY={self.arch.prefix}objcopy",
                      f"CROSS_COMPILE={self.arch.prefix}"]
        return words

    @property
    def library_folders(self) -> List[Path]:
        """Where shared libraries are on this machine."""
        assert self.root
        triplet = self.arch.triplet
        return [self.root / "usr/lib" / triplet, self.root / "lib" / triplet,
                Path("/usr") / triplet / "lib"]

    def busybox(self) -> Optional[Path]:
        """A busybox for the guest."""
        if not self.root:
            return packages.find_busybox()
        for folder in ("bin", "usr/bin"):
            if (self.root / folder / "busybox").is_file():
                return self.root / folder / "busybox"
        return None

    def libraries(self, programs: Sequence[Path]) -> List[Tuple[Path, str]]:
        """Shared libraries that programs need: where each is, and where the guest wants it."""
        return self._foreign_libraries(programs) if self.root else own_libraries(programs)

    def _foreign_libraries(self, programs: Sequence[Path]) -> List[Tuple[Path, str]]:
        found: List[Tuple[Path, str]] = []
        left, known = list(programs), set()
        while left:
            shown = subprocess.run([f"{self.arch.prefix}readelf", "-W", "-dl", str(left.pop())],
                                   capture_output=True, text=True, check=False).stdout
            for words in NEEDED.findall(shown):
                name = "".join(words)
                if Path(name).name in known:
                    continue
                known.add(Path(name).name)
                file = next((folder / Path(name).name for folder in self.library_folders
                             if (folder / Path(name).name).exists()), None)
                if not file:
                    raise Failure(f"there is no {name} of {self.arch.name}, which a program needs; link "
                                  "it with -static")
                found.append((file, name if "/" in name else f"/lib/{name}"))
                left.append(file)
        return found


def own_libraries(programs: Sequence[Path]) -> List[Tuple[Path, str]]:
    """As the dynamic linker of this machine finds them."""
    listed = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True,
                            check=False).stdout
    # "NAME => FILE (0x...)", and the dynamic linker without an arrow
    return [(Path(file), file)
            for file in sorted(set(re.findall(r"(?:=>\s+|^\s+)(/\S+) ", listed, re.M)))]


async def toolchain(host: Host, arch: Arch) -> Toolchain:
    """Has the compiler and, for another architecture than this machine's, the libraries."""
    if arch.is_native:
        return Toolchain(arch)
    await packages.require(host, packages.cross(arch))
    entry = host.cache.entry(f"root-{arch.name}")
    state = " ".join(FOREIGN)
    if not entry.is_current(state):
        label = f"fetching libraries of {arch.name}"
        async with entry.make(state, label, host.terminal) as fresh:
            if fresh:
                await unpack(host, arch, label, entry.path)
    return Toolchain(arch, entry.path)


async def unpack(host: Host, arch: Arch, label: str, to: Path) -> None:
    """Downloads the packages and unpacks them, without installing anything."""
    foreign = await apt.foreign(host, arch.debian)
    with host.cache.temporary("root") as folder:
        log = folder / "log"
        if await foreign.download(label, folder, log, FOREIGN):
            raise packages.apt_failure(host, log, " ".join(FOREIGN))
        for deb in sorted(folder.glob("*.deb")):
            await host.run_or_fail(f"unpacking {deb.name}",
                                   ["dpkg-deb", "-x", str(deb), str(to)], log)
