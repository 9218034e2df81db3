# SPDX-License-Identifier: GPL-2.0
"""Releases from a mirror of kernel.org's tarballs, which the user names.

HMMIRROR_KERNEL_MIRROR is a URL or a folder that holds, as kernel.org does,

    v6.x/linux-6.9.tar.xz
    v6.x/sha256sums.asc

The checksum is always compared. It proves that the tarball is the one that the mirror means; who
the mirror has it from is only known with HMMIRROR_KERNEL_KEYRING, the keys one of which has to have
signed the checksums.
"""
from __future__ import annotations

import hashlib
import os
import re
import sys
from pathlib import Path
from typing import Optional

from runner import download, packages
from runner.errors import Failure
from runner.host import Host

VARIABLE = "HMMIRROR_KERNEL_MIRROR"
KEYRING = "HMMIRROR_KERNEL_KEYRING"
SUMS = "sha256sums.asc"


def address() -> str:
    """The mirror; empty if there is none."""
    return os.environ.get(VARIABLE, "").rstrip("/")


def folder_of(release: str) -> str:
    """The folder of a mirror that has a release: v6.x."""
    return f"v{release.split('.')[0]}.x"


async def get_tarball(host: Host, release: str, folder: Path) -> Path:
    """The tarball of X.Y or X.Y.Z, verified; downloaded into a folder unless it is local."""
    name = f"linux-{release}.tar.xz"
    sums = await get_file(host, release, SUMS, folder)
    if not sums:
        raise Failure(f"{address()} has no {folder_of(release)}/{SUMS}; {VARIABLE} wants a mirror of "
                      "kernel.org's pub/linux/kernel")
    wanted = checksum_in(await signed_text(host, sums, folder), name)
    if not wanted:
        raise Failure(f"there is no linux {release} in {address()}: {folder_of(release)}/{SUMS} does "
                      f"not name {name}")
    tarball = await get_file(host, release, name, folder)
    if not tarball:
        raise Failure(f"{address()} has no {folder_of(release)}/{name}, which {SUMS} names; try "
                      "another mirror")
    host.terminal.step(f"verifying {name}")
    got = checksum_of(tarball)
    if got != wanted:
        raise Failure(f"{name} of {address()} is damaged: its sha256 is {got}, and {SUMS} has "
                      f"{wanted}")
    return tarball


async def get_file(host: Host, release: str, name: str, folder: Path) -> Optional[Path]:
    """A file of the mirror; nothing if the mirror does not have it."""
    where = f"{address()}/{folder_of(release)}/{name}"
    if not re.match(r"\w+://", where):
        if not Path(address()).is_dir():
            raise Failure(f"{VARIABLE}={address()}: no such folder; give a URL or a folder")
        return Path(where).absolute() if Path(where).is_file() else None
    if not re.match("(https?|ftp|file)://", where):
        raise Failure(f"{VARIABLE}={address()}: give a URL with http or https, or a folder")
    log, file = folder / "download.log", folder / name
    status = await host.run(f"downloading {name}",
                            [sys.executable, "-m", download.__name__, where, str(file)], log,
                            env={"PYTHONPATH": str(host.root)})
    if status == download.MISSING:
        return None
    if status:
        said = (log.read_text(errors="replace").strip().splitlines() or ["no reason given"])[-1]
        if "No space left on device" in said or host.cache.is_full():
            raise host.cache.disk_full(f"downloading {name}")
        raise Failure(f"cannot download {where}: {said}")
    return file


async def signed_text(host: Host, sums: Path, folder: Path) -> str:
    """The text of the checksums; with a keyring only what one of its keys has signed."""
    keyring = os.environ.get(KEYRING)
    if not keyring:
        return sums.read_text(encoding="utf-8", errors="replace")
    if not Path(keyring).is_file():
        raise Failure(f"{KEYRING}={keyring}: no such file; give a keyring for gpgv")
    await packages.require(host, packages.SIGNATURE)
    verified, log = folder / "verified", folder / "gpgv.log"
    status = await host.run(f"verifying {SUMS}", [
        "gpgv", "--keyring", str(Path(keyring).absolute()), "--output", str(verified), str(sums)], log)
    if status or not verified.is_file():
        said = re.findall(r"^gpgv: (.*)$", log.read_text(errors="replace"), re.M)
        raise Failure(f"{SUMS} of {address()} has no good signature by a key of {keyring}: "
                      f"{(said or ['no reason given'])[-1]}")
    return verified.read_text(encoding="utf-8", errors="replace")


def checksum_in(text: str, name: str) -> str:
    """The sha256 of a file in the list; empty if it is not there."""
    found = re.search(rf"^([0-9a-f]{{64}}) [ *]{re.escape(name)}\r?$", text, re.M)
    return found[1] if found else ""


def checksum_of(file: Path) -> str:
    """Its sha256."""
    digest = hashlib.sha256()
    with file.open("rb") as data:
        for block in iter(lambda: data.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
