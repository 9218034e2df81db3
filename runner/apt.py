# SPDX-License-Identifier: GPL-2.0
"""apt: the machine's own, and one inside the cache for the other suites of the same archive.

The one inside the cache needs no root and leaves the machine's apt as it is. Signatures are
checked as ever.
"""
from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from runner import packages
from runner.errors import Failure
from runner.host import Host

SUITES = ("bullseye", "bookworm", "trixie", "sid", "experimental")
SECURITY_SUITES = ("bullseye-security", "bookworm-security", "trixie-security")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# seconds that the lists of other suites are good for
MAX_AGE = 24 * 3600


@dataclass(frozen=True)
class Apt:
    """An apt, by the options that every one of its commands gets."""

    host: Host
    options: Tuple[str, ...] = ()

    @property
    def is_own(self) -> bool:
        """Is it the machine's own?"""
        return not self.options

    async def show(self, *names: str, all_versions: bool = False) -> str:
        """The records of these packages, of the version that apt would install or of all."""
        which = "--all-versions" if all_versions else "--no-all-versions"
        return await self.host.capture(["apt-cache", *self.options, "show", which, *names])

    async def field(self, package: str, name: str) -> str:
        """A field of a package's record, empty if there is none."""
        found = re.search(rf"^{name}: (.*)$", await self.show(package), re.M)
        return found[1] if found else ""

    async def releases(self) -> List[str]:
        """X.Y of all linux-source packages."""
        text = await self.host.capture(["apt-cache", *self.options, "search", "--names-only",
                                        r"^linux-source-[0-9.]+$"])
        return sorted(re.findall(r"^linux-source-([0-9.]+) ", text, re.M), key=version_key)

    async def current_releases(self, all_suites: bool = False) -> List[str]:
        """X.Y that "linux-source" stands for, also in suites that apt would not take it from."""
        text = await self.show("linux-source", all_versions=all_suites)
        found = re.findall(r"^Depends:.*linux-source-([0-9.]+)", text, re.M)
        return sorted(set(found), key=version_key)

    async def download(self, label: str, folder: Path, log: Path, names: Sequence[str]) -> int:
        """Downloads packages into a folder, and returns the status of apt-get."""
        return await self.host.run(
            label, ["apt-get", *self.options, "download", "-q", *names], log, cwd=folder)


def version_key(release: str) -> List[int]:
    """Sorts 5.10 behind 5.9."""
    return [int(part) for part in release.split(".") if part]


async def own(host: Host) -> Apt:
    """The machine's apt, with package lists."""
    if not host.which("apt-cache"):
        raise Failure("no apt here to get a kernel from; give a source tree with -k DIR, or an "
                      "image and its build folder with -k FILE:DIR")
    await packages.require_lists(host)
    return Apt(host)


async def other_suites(host: Host, default_suite: str = "") -> Apt:
    """The apt inside the cache; default_suite is preferred."""
    folder = host.cache.path / "apt"
    main = await archive(host, "Debian")
    security = await archive(host, "Debian-Security")
    if not main:
        return Apt(host)
    write_sources(folder, main, security)
    options = own_options(folder)
    if default_suite:
        options += ("-o", f"APT::Default-Release={default_suite}")
    await update(host, folder, options, "reading the package lists of other suites")
    return Apt(host, options)


def own_options(folder: Path) -> Tuple[str, ...]:
    """What makes apt-get and apt-cache work in a folder."""
    settings = {
        "Dir::State": folder, "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status", "Dir::Cache": folder / "cache",
        "Dir::Etc::sourcelist": folder / "sources.list", "Dir::Etc::sourceparts": "/dev/null",
        # some machines switch apt's cache off, and each question then takes seconds
        "Dir::Cache::pkgcache": folder / "cache/pkgcache.bin",
        "Dir::Cache::srcpkgcache": folder / "cache/srcpkgcache.bin",
        "Dir::Etc::preferencesparts": "/dev/null", "Acquire::Languages": "none",
        "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled": "false",
    }
    return tuple(word for key, value in settings.items() for word in ("-o", f"{key}={value}"))


async def archive(host: Host, label: str) -> Optional[str]:
    """The archive's address, as the machine's own sources have it."""
    text = await host.capture(["apt-get", "indextargets", "Created-By: Packages",
                               "--format", "$(LABEL) $(REPO_URI)"])
    found = re.search(rf"^{label} (.*)$", text, re.M)
    return found[1] if found else None


async def foreign(host: Host, name: str) -> Apt:
    """An apt inside the cache for packages of another architecture, as Debian calls that.

    It has this machine's own archives, so libraries are those of the release whose compiler
    builds the programs. The machine's dpkg does not learn of the architecture.
    """
    if not host.which("apt-get"):
        raise Failure(f"no apt here to get libraries of {name} from; tests of another architecture "
                      "than this machine's need Debian or a derivative")
    folder = host.cache.path / f"apt-{name}"
    text = await host.capture(["apt-get", "indextargets", "Created-By: Packages",
                               "--format", "$(LABEL) $(REPO_URI) $(CODENAME)"])
    found = dict.fromkeys(re.findall(r"^Debian\S* (\S+) (\S+)$", text, re.M))
    if not found:
        raise Failure("apt has no archive of Debian to get libraries of another architecture from; "
                      "add one to its sources")
    make_folders(folder)
    signed = f"signed-by={KEYRING} " if KEYRING.exists() else ""
    (folder / "sources.list").write_text("".join(
        f"deb [{signed}arch={name}] {uri} {suite} main\n" for uri, suite in found), encoding="utf-8")
    options = (*own_options(folder), "-o", f"APT::Architecture={name}",
               "-o", f"APT::Architectures::={name}")
    await update(host, folder, options, "reading the package lists of another architecture")
    return Apt(host, options)


def write_sources(folder: Path, main: str, security: Optional[str]) -> None:
    """The sources.list of the apt inside the cache."""
    make_folders(folder)
    signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
    lines = [f"deb {signed}{main} {suite} main\n" for suite in SUITES]
    if security:
        lines += [f"deb {signed}{security} {suite} main\n" for suite in SECURITY_SUITES]
    (folder / "sources.list").write_text("".join(lines), encoding="utf-8")


def make_folders(folder: Path) -> None:
    """What an apt needs of a folder."""
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()


async def update(host: Host, folder: Path, options: Tuple[str, ...], label: str) -> None:
    """Reads the lists of an apt inside the cache, at most once a day."""
    updated = folder / "updated"
    async with host.cache.lock(folder.name, label, host.terminal):
        if updated.exists() and time.time() - updated.stat().st_mtime < MAX_AGE:
            return
        with host.cache.temporary("apt") as scratch:
            log = scratch / "log"
            # a suite that is gone is no reason to do without the others
            await host.run(label, ["apt-get", *options, "update", "-q"], log)
            if not any((folder / "lists").glob("*_Packages*")):
                raise packages.apt_failure(host, log, label.replace("reading ", ""))
        updated.touch()
