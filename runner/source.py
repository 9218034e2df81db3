# SPDX-License-Identifier: GPL-2.0
"""Kernel source trees of the distribution's linux-source packages."""
from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional

from runner import apt, packages
from runner.errors import Failure
from runner.host import Host

VERSION_FILE = ".hmmirror-version"
APT_LISTS = (Path("/var/lib/apt/lists"), Path("/etc/apt/sources.list.d"))


@dataclass(frozen=True)
class Release:
    """A packaged release in the cache. Its tree never changes."""

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
    """The packaged release whose tree in the cache this is."""
    home = (host.cache.path / "source").resolve()
    return cached_release(host, path.name[len("linux-"):]) if path.parent == home else None


async def get_release(host: Host, name: str) -> Release:
    """The source tree of a release, from the cache or from apt."""
    release = cached_release(host, name)
    if release:
        return release
    await packages.require(host, packages.FETCH)
    chosen = await apt.own(host)
    if not await chosen.field(f"linux-source-{name}", "Version"):
        chosen = await apt.other_suites(host)
        if not await chosen.field(f"linux-source-{name}", "Version"):
            raise await no_release(chosen, name)
    async with host.cache.lock(f"source-{name}", f"fetching linux-source-{name}", host.terminal):
        release = cached_release(host, name)
        if not release:
            await fetch_release(host, chosen, name)
            release = cached_release(host, name)
    if not release:
        raise Failure(f"linux-source-{name} was fetched and is not in {host.cache.path}")
    return release


async def no_release(chosen: apt.Apt, name: str) -> Failure:
    """Why there is no such release, and which there are."""
    offered = " ".join(await chosen.releases())
    have = f"; they have: {offered} " if offered else " "
    return Failure(f"there is no linux-source-{name} in the package sources{have}"
                   "(or give a tree with -k DIR)")


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
        (tree / VERSION_FILE).write_text(f"{version}\n", encoding="utf-8")
        home = host.cache.path / "source"
        home.mkdir(exist_ok=True)
        tree.rename(home / f"linux-{name}")


def is_full(log: Path) -> bool:
    """Did apt find no room?"""
    return bool(packages.NO_ROOM.search(log.read_text(errors="replace")))


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
    found = sorted((release for release in there if release),
                   key=lambda release: apt.version_key(re.sub(r"[^0-9.]", "", release.name)))
    if found:
        return found[-1].path
    if tree and (tree / "tools/testing/selftests").is_dir():
        return tree
    return (await get_release(host, await default_release(host))).path
