# SPDX-License-Identifier: GPL-2.0
"""Kernel source trees of releases: linux-source packages, and tarballs of kernel.org."""
from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional

from runner import apt, mirror, packages
from runner.errors import Failure, UnfitKernel
from runner.host import Host

VERSION_FILE = ".hmmirror-version"
OLDEST = [5, 0]
# the oldest whose kselftest harness the suite can be built with
OLDEST_HARNESS = [5, 10]
MORE = (f"set {mirror.VARIABLE} to a mirror of kernel.org's tarballs (a URL or a folder), or give a "
        "tree with -k DIR or -k DIR@REV")
APT_LISTS = (Path("/var/lib/apt/lists"), Path("/etc/apt/sources.list.d"))


@dataclass(frozen=True)
class Release:
    """A release in the cache. Its tree never changes."""

    name: str
    version: str
    path: Path


async def default_release(host: Host) -> str:
    """X.Y of what "linux-source" stands for: the newest kernel of the distribution itself.

    apt takes a while to answer, so the answer is kept until apt's lists change.
    """
    memo = host.cache.path / "default-release"
    if memo.exists() and "APT_CONFIG" not in os.environ and memo.stat().st_size and \
            all(not path.exists() or memo.stat().st_mtime > path.stat().st_mtime
                for path in APT_LISTS):
        return memo.read_text(encoding="utf-8").strip()
    machine = await apt.own(host)
    releases = await machine.current_releases() or await machine.releases()
    if not releases:
        raise Failure("the machine's package sources have no linux-source; give a tree with -k DIR")
    memo.write_text(f"{releases[-1]}\n", encoding="utf-8")
    return releases[-1]


async def all_releases(host: Host) -> List[str]:
    """Of each suite the release that linux-source stands for there now."""
    if not host.which("apt-cache"):
        raise Failure("-k all: no apt here to get kernel sources from; give trees with -k DIR")
    releases = await (await apt.other_suites(host)).current_releases(all_suites=True)
    if not releases:
        raise Failure("-k all: the machine's package sources have no linux-source; "
                      "give trees with -k DIR")
    return releases


def cached_release(host: Host, name: str) -> Optional[Release]:
    """A tree that is there is taken, also when the suite has a newer version by now.

    So results stay comparable until somebody removes it.
    """
    path = host.cache.path / "source" / f"linux-{name}"
    try:
        version = (path / VERSION_FILE).read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return Release(name, version, path)


def release_at(host: Host, path: Path) -> Optional[Release]:
    """The release whose tree in the cache this is."""
    home = (host.cache.path / "source").resolve()
    return cached_release(host, path.name[len("linux-"):]) if path.parent == home else None


def is_release(name: str) -> bool:
    """X.Y or X.Y.Z?"""
    return bool(re.fullmatch(r"\d+\.\d+(\.\d+)?", name))


async def get_release(host: Host, name: str) -> Release:
    """The source tree of a release: from the cache, from apt, or from a mirror of kernel.org."""
    release = cached_release(host, name)
    if release:
        return release
    await packages.require(host, packages.FETCH)
    chosen = await find_package(host, name)
    async with host.cache.lock(f"source-{name}", f"fetching linux {name}", host.terminal):
        release = cached_release(host, name)
        if not release:
            await (fetch_release(host, chosen, name) if chosen else fetch_tarball(host, name))
            release = cached_release(host, name)
    if not release:
        raise Failure(f"linux {name} was fetched and is not in {host.cache.path}")
    return release


async def find_package(host: Host, name: str) -> Optional[apt.Apt]:
    """The apt that has this release; nothing if a mirror of kernel.org has to have it."""
    if name.count(".") > 1:
        if not mirror.address():
            raise Failure(f"linux {name}: the package sources have X.Y only; {MORE}")
        return None
    if mirror.address() and not host.which("apt-cache"):
        return None
    chosen = await apt.own(host)
    if await chosen.field(f"linux-source-{name}", "Version"):
        return chosen
    chosen = await apt.other_suites(host)
    if await chosen.field(f"linux-source-{name}", "Version"):
        return chosen
    if mirror.address():
        return None
    offered = " ".join(await chosen.releases())
    have = f"; they have: {offered}" if offered else ""
    raise Failure(f"there is no linux-source-{name} in the package sources{have}; {MORE}")


async def fetch_release(host: Host, chosen: apt.Apt, name: str) -> None:
    """Downloads and unpacks a package. Nothing is installed, so no root is needed."""
    package = f"linux-source-{name}"
    label = f"downloading {package}"
    with host.cache.temporary("source") as folder:
        log = folder / "log"
        if await chosen.download(label, folder, log, [package]):
            # the lists can be older than what the archive keeps
            if not (chosen.is_own and host.is_root()) or is_full(log):
                raise packages.apt_failure(host, log, package)
            await packages.update_lists(host)
            if await chosen.download(label, folder, log, [package]):
                raise packages.apt_failure(host, log, package)
        deb = next(folder.glob(f"{package}_*.deb"), None)
        if not deb:
            raise packages.apt_failure(host, log, package)
        version = (await host.capture(["dpkg-deb", "-f", str(deb), "Version"])).strip()
        tree = folder / "tree"
        tree.mkdir()
        await host.run_or_fail(f"unpacking {package} {version}", [
            "bash", "-c", 'set -o pipefail; dpkg-deb --fsys-tarfile "$1" | tar -xO "$2" |'
            ' xz -dc -T0 | tar -x --strip-components=1 -C "$3"', "-",
            str(deb), f"./usr/src/{package}.tar.xz", str(tree)], log)
        deb.unlink()
        take_tree(host, tree, name, version)


async def fetch_tarball(host: Host, name: str) -> None:
    """Downloads, verifies and unpacks a release of kernel.org."""
    if apt.version_key(name) < OLDEST:
        raise UnfitKernel(f"linux {name} is too old; the driver needs 5.0 or newer")
    with host.cache.temporary("source") as folder:
        tarball = await mirror.get_tarball(host, name, folder)
        tree = folder / "tree"
        tree.mkdir()
        await host.run_or_fail(f"unpacking linux {name}", [
            "bash", "-c", 'set -o pipefail; xz -dc -T0 < "$1" |'
            ' tar -x --strip-components=1 --no-same-owner -C "$2"', "-", str(tarball), str(tree)],
            folder / "log")
        take_tree(host, tree, name, name)


def take_tree(host: Host, tree: Path, name: str, version: str) -> None:
    """Moves a complete tree to where trees are."""
    (tree / VERSION_FILE).write_text(f"{version}\n", encoding="utf-8")
    home = host.cache.path / "source"
    home.mkdir(exist_ok=True)
    tree.rename(home / f"linux-{name}")


def is_full(log: Path) -> bool:
    """Did apt find no room?"""
    return bool(packages.NO_ROOM.search(log.read_text(errors="replace")))


def number_of(release: Release) -> List[int]:
    """Sorts releases by age."""
    return apt.version_key(re.sub(r"[^0-9.]", "", release.name))


async def harness_tree(host: Host, tree: Optional[Path]) -> Path:
    """A tree whose kselftest harness the suite is built with.

    The distribution's own, so that it stays the same when others are fetched; else the newest in
    the cache, else that of the kernel under test.
    """
    memo = host.cache.path / "default-release"
    if memo.exists():
        release = cached_release(host, memo.read_text(encoding="utf-8").strip())
        if release:
            return release.path
    there = [cached_release(host, path.name[len("linux-"):])
             for path in (host.cache.path / "source").glob("linux-*")]
    found = sorted((release for release in there if release), key=number_of)
    if found and number_of(found[-1]) >= OLDEST_HARNESS:
        return found[-1].path
    if tree and (tree / "tools/testing/selftests").is_dir():
        return tree
    return (await get_release(host, await default_release(host))).path
