# SPDX-License-Identifier: GPL-2.0
"""A distribution's own kernel: its image, modules and headers packages, unpacked in the cache.

Nothing is installed on this machine.
"""
from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Set, Tuple

from runner import apt, packages
from runner.errors import Failure
from runner.host import Host

KERNEL_PACKAGE = re.compile(r"linux-(image|modules|binary|headers|kbuild)-")


@dataclass(frozen=True)
class PackagedKernel:
    """What its packages bring."""

    image: Path
    headers: Path
    modules: Optional[Path]


async def choose_apt(host: Host, name: str, suite: str) -> apt.Apt:
    """The machine's apt if it has the package, else that of other suites."""
    chosen = await apt.own(host)
    if suite or not await chosen.field(name, "Version"):
        chosen = await apt.other_suites(host, suite)
    if not await chosen.field(name, "Version"):
        where = f" of {suite}" if suite else ""
        raise Failure(f"there is no package {name} in the package sources{where}; apt-cache search "
                      "linux-image shows what there is")
    return chosen


async def kernel_packages(chosen: apt.Apt, *names: str) -> List[str]:
    """These packages, and the kernel packages that they depend on."""
    todo, found = list(names), []
    seen: Set[str] = set()
    while todo:
        seen.update(todo)
        found += todo
        depends = re.findall(r"^Depends: (.*)$", await chosen.show(*todo), re.M)
        wanted = sorted({re.split(r"[ |(]", word.strip())[0]
                         for line in depends for word in line.split(",")})
        todo = [name for name in wanted if KERNEL_PACKAGE.match(name) and name not in seen]
    return found


async def unpack(host: Host, chosen: apt.Apt, *names: str) -> Path:
    """The folder into which these packages, and what they need, are unpacked."""
    version = await chosen.field(names[0], "Version")
    entry = host.cache.entry("package", f"{names[0]}-{version}")
    if entry.is_current("ok"):
        return entry.path
    await packages.require(host, packages.DISTRO)
    wanted = await kernel_packages(chosen, *names)
    async with entry.make("ok", f"fetching {names[0]}", host.terminal) as fresh:
        if fresh:
            with host.cache.temporary("package") as folder:
                log = folder / "log"
                label = f"downloading {wanted[0]} and what goes with it"
                if await chosen.download(label, folder, log, wanted):
                    raise packages.apt_failure(host, log, " ".join(wanted))
                for deb in sorted(folder.glob("*.deb")):
                    await host.run_or_fail(f"unpacking {deb.name}",
                                           ["dpkg-deb", "-x", str(deb), str(entry.path)], log)
                    deb.unlink()
            await relocate(host, entry.path)
    return entry.path


async def relocate(host: Host, folder: Path) -> None:
    """Headers name each other by absolute paths, and modprobe wants an index."""
    for headers in folder.glob("usr/src/linux-headers-*"):
        for file in (headers / "Makefile", headers / ".kernelvariables"):
            if file.is_file():
                text = file.read_text(encoding="utf-8")
                file.write_text(re.sub(r"([ =])/usr/(src|lib)/", rf"\1{folder}/usr/\2/", text),
                                encoding="utf-8")
        for link in headers.iterdir():
            if link.is_symlink() and os.readlink(link).startswith("/"):
                target = f"{folder}{os.readlink(link)}"
                link.unlink()
                link.symlink_to(target)
    for modules in [*folder.glob("lib/modules/*"), *folder.glob("usr/lib/modules/*")]:
        if (modules / "kernel").is_dir():
            base = modules.parent.parent.parent
            await host.capture(["depmod", "-b", str(base), modules.name])


async def get_kernel(host: Host, argument: str) -> PackagedKernel:
    """NAME or NAME/SUITE, such as linux-image-6.1.0-56-ARCH."""
    name, _, suite = argument.partition("/")
    chosen = await choose_apt(host, name, suite)
    # a meta package can look like a kernel's, and the real one is what it leads to
    real = [found for found in await kernel_packages(chosen, name)
            if re.match(r"linux-image-\d+\.\d", found)]
    if not real:
        raise Failure(f"{name} brings no kernel; give a linux-image package")
    release = re.sub(r"^linux-image-|-unsigned$", "", real[-1])
    if not await chosen.field(f"linux-headers-{release}", "Version"):
        raise Failure(f"{real[-1]} has no linux-headers-{release} beside it; give an image and its "
                      "build folder: -k FILE:DIR")
    folder = await unpack(host, chosen, real[-1], f"linux-headers-{release}")
    images = [folder / f"boot/vmlinuz-{release}", folder / f"usr/lib/modules/{release}/vmlinuz",
              folder / f"lib/modules/{release}/vmlinuz"]
    modules = [folder / f"usr/lib/modules/{release}", folder / f"lib/modules/{release}"]
    image = next((path for path in images if path.is_file()), None)
    if not image:
        raise Failure(f"{real[-1]} brings no kernel image; give an image and its build folder: "
                      "-k FILE:DIR")
    return PackagedKernel(image, folder / f"usr/src/linux-headers-{release}",
                          next((path for path in modules if (path / "kernel").is_dir()), None))


async def installed(host: Host, release: str) -> Tuple[Optional[Path], Optional[Path]]:
    """Modules and headers of a kernel that is installed; the headers from apt if they are not."""
    home = Path("/lib/modules") / release
    modules = home if (home / "kernel").is_dir() else None
    if (home / "build/.config").exists():
        return modules, home / "build"
    package = f"linux-headers-{release}"
    if not host.which("apt-cache"):
        return modules, None
    chosen = apt.Apt(host)
    if not await chosen.field(package, "Version"):
        return modules, None
    return modules, await unpack(host, chosen, package) / f"usr/src/{package}"


def check_headers(name: str, build: Path) -> None:
    """A newer release's headers have programs for its own C library."""
    fixdep = build / "scripts/basic/fixdep"
    if not fixdep.exists():
        return
    done = subprocess.run([str(fixdep)], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if b"GLIBC_" in done.stderr + done.stdout:
        raise Failure(f"the headers of linux {name} hold programs for a newer Debian than this; run "
                      "it there, or give a release (-k X.Y) or a tree")
