# SPDX-License-Identifier: GPL-2.0
"""Which Debian package has what a job needs, and installing those that are missing."""
from __future__ import annotations

import glob
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Sequence

from runner.arch import Arch
from runner.errors import Failure
from runner.host import SBIN, Host


@dataclass(frozen=True)
class Need:
    """A program, or a file if it begins with a slash, and the package that has it."""

    what: str
    package: str


def needs(words: str) -> List[Need]:
    """Reads "gcc:gcc /usr/include/numa.h:libnuma-dev"."""
    return [Need(*word.rsplit(":", 1)) for word in words.split()]


KERNEL = needs("gcc:gcc make:make bc:bc bison:bison flex:flex cpio:cpio perl:perl xz:xz-utils "
               "/usr/include/stdio.h:libc6-dev /usr/include/gelf.h:libelf-dev")
SUITE = needs("gcc:gcc make:make /usr/include/stdio.h:libc6-dev /usr/include/numa.h:libnuma-dev")
HUGETLBFS = needs("/usr/include/hugetlbfs.h:libhugetlbfs-dev")
GUEST = needs("busybox:busybox-static")
FETCH = needs("xz:xz-utils")
DISTRO = needs("depmod:kmod")
REINTRODUCE = needs("spatch:coccinelle")
SERIES = needs("unifdef:unifdef git:git")
GIT = needs("git:git")
# "make install" of a kernel tree's selftests
KSELFTEST_INSTALL = needs("rsync:rsync")
MACHINE = needs("mmdebstrap:mmdebstrap mkfs.ext4:e2fsprogs unshare:util-linux")
SIGNATURE = needs("gpgv:gpgv")
REPLAY = needs("gdb:gdb")
BISECT = GIT + needs("ccache:ccache")
CHECK = needs("shellcheck:shellcheck sparse:sparse bats:bats perl:perl pgrep:procps jq:jq mypy:mypy "
              "xmllint:libxml2-utils") + BISECT + REINTRODUCE + SERIES + REPLAY

NO_NETWORK = re.compile(
    r"could not (resolve|connect)|failed to fetch|unable to connect|"
    r"connection (failed|timed out|refused)|network is unreachable|temporary failure", re.I)
NO_PACKAGE = re.compile(
    r"unable to locate package|no installation candidate|unable to find a source", re.I)
NO_ROOM = re.compile(r"no space left|don.t have enough free space", re.I)


def cross(arch: Arch) -> List[Need]:
    """What compiles for another architecture than this machine's."""
    if arch.is_native:
        return []
    # no name of a package has an underscore
    return [Need(f"{arch.prefix}gcc", f"gcc-{arch.triplet.replace('_', '-')}"),
            Need(f"/usr/{arch.triplet}/include/stdio.h", f"libc6-dev-{arch.debian}-cross")]


def compiler(arch: Arch) -> List[Need]:
    """What compiles for an architecture."""
    return cross(arch) or needs("gcc:gcc")


def has(host: Host, what: str) -> bool:
    """Is this program or file there?"""
    if what in host.testing.missing:
        return False
    if what.startswith("/"):
        return Path(what).exists()
    return host.which(what) is not None


def find_busybox() -> Optional[Path]:
    """A busybox for the guest. One that is linked dynamically gets its libraries there."""
    found = shutil.which("busybox", path=os.environ.get("PATH", "") + SBIN)
    return Path(found) if found else None


def of_sources(*files: Path) -> List[Need]:
    """What test programs of kernel trees include besides what the suite does."""
    return HUGETLBFS if any("<hugetlbfs.h>" in file.read_text(encoding="utf-8", errors="replace")
                            for file in files) else []


async def require(host: Host, wanted: Sequence[Need]) -> None:
    """Installs the packages that are missing; prints the command where only root may."""
    missing: List[str] = []
    for need in wanted:
        if not has(host, need.what) and need.package not in missing:
            missing.append(need.package)
    if not missing:
        return
    names = " ".join(missing)
    if not has(host, "apt-get"):
        lacking = [need for need in wanted if not has(host, need.what)]
        raise Failure(f"these are missing: {' '.join(need.what for need in lacking)}; "
                      f"{install_hint(read_os_release(host), lacking)}")
    if not host.is_root():
        raise Failure("packages are missing; as root: "
                      f"apt-get install --no-install-recommends {names}")
    await require_lists(host)
    with host.cache.temporary("packages") as folder:
        log = folder / "log"
        async with host.cache.lock("packages", "installing packages", host.terminal):
            argv = ["apt-get", "install", "-y", "-q", "--no-install-recommends",
                    "-o", "DPkg::Lock::Timeout=300", *missing]
            if await host.run(f"installing {names}", argv, log,
                              env={"DEBIAN_FRONTEND": "noninteractive"}):
                raise apt_failure(host, log, names)
    for need in wanted:
        if not has(host, need.what):
            raise Failure(f"{need.package} is installed and there is still no {need.what}; "
                          "check the package")
    host.terminal.say(f"installed {names}")


def read_os_release(host: Host) -> str:
    """What this distribution says of itself; empty if it says nothing."""
    for file in (host.testing.os_release, Path("/etc/os-release"), Path("/usr/lib/os-release")):
        if file and file.is_file():
            return file.read_text(encoding="utf-8", errors="replace")
    return ""


def install_hint(os_release: str, lacking: Sequence[Need]) -> str:
    """How to install what is missing where there is no apt.

    dnf and zypper take the file that is wanted, and apk a command, so no list of names of packages
    has to be right here. Debian's names are for the others.
    """
    words = re.findall(r'^ID(?:_LIKE)?="?([^"\n]*)"?$', os_release, re.M)
    families = set(" ".join(words).split())
    # busybox is in another folder on each
    files = [need.what if need.what.startswith("/") or need.what == "busybox"
             else f"/usr/bin/{need.what}" for need in lacking]
    if families & {"fedora", "rhel", "centos"}:
        return f"as root: dnf install {' '.join(files)}"
    if families & {"suse", "opensuse"}:
        return f"as root: zypper install {' '.join(files)}".replace(" busybox", " busybox-static")
    debian = " ".join(dict.fromkeys(need.package for need in lacking))
    if "alpine" in families:
        commands = [f"cmd:{need.what}" if need.what != "busybox" else need.package
                    for need in lacking if not need.what.startswith("/")]
        headers = [need for need in lacking if need.what.startswith("/")]
        rest = f"; of {' '.join(need.what for need in headers)} the packages are called " \
               f"{' '.join(dict.fromkeys(need.package for need in headers))} on Debian" \
            if headers else ""
        return (f"as root: apk add {' '.join(commands)}" if commands else "install them") + rest
    if "arch" in families:
        return (f"pacman -F {' '.join(Path(file).name for file in files)} names the packages "
                "(after pacman -Fy), and pacman -S installs them")
    return f"install what these packages of Debian hold: {debian}"


async def require_lists(host: Host) -> None:
    """Updates apt's package lists if there are none, as on a fresh machine."""
    if not await has_lists(host):
        await update_lists(host, again=False)


async def has_lists(host: Host) -> bool:
    """Has apt package lists?"""
    found = re.search(r"^d='(.*)'", await host.capture(
        ["apt-config", "shell", "d", "Dir::State::lists/d"]), re.M)
    return bool(found and glob.glob(f"{glob.escape(found[1])}*_Packages*"))


async def update_lists(host: Host, again: bool = True) -> None:
    """Runs apt-get update, as root; with again unset only if no other run just did."""
    if not host.is_root():
        raise Failure("apt has no package lists; as root: apt-get update")
    with host.cache.temporary("lists") as folder:
        log = folder / "log"
        async with host.cache.lock("packages", "updating the package lists", host.terminal):
            if not again and await has_lists(host):
                return
            if await host.run("updating the package lists",
                              ["apt-get", "update", "-q", "-o", "DPkg::Lock::Timeout=300"], log):
                raise apt_failure(host, log, "the package lists")
        text = log.read_text(errors="replace")
        if re.search(r"^W: (Failed to fetch|Some index files failed)", text, re.M) and \
                not re.search(r"^(Get|Hit):", text, re.M):
            raise apt_failure(host, log, "the package lists")


def apt_failure(host: Host, log: Path, what: str) -> Failure:
    """One line for what apt said in many."""
    text = log.read_text(errors="replace")
    if NO_ROOM.search(text):
        return Failure(f"cannot get {what}: the disk is full; free some space")
    kept = host.keep_log(log, "apt")
    if NO_NETWORK.search(text):
        return Failure(f"cannot download {what}: no network to the machine's package sources; "
                       f"see {kept}")
    if NO_PACKAGE.search(text):
        return Failure(f"the machine's package sources do not have all of {what}; see {kept}")
    return Failure(f"apt could not get {what}; see {kept}")
