# SPDX-License-Identifier: GPL-2.0
"""Debians that --check makes for itself: folders of files, from the sources of this machine's apt."""
from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import List, Sequence, Tuple

from runner import apt, packages
from runner.cache import Entry, hash_text
from runner.errors import Failure
from runner.host import Host

# not a part of a clone, or made in it
NOT_CLONED = (".git", "build")


async def sources(host: Host) -> Tuple[str, List[str]]:
    """The Debian suite of this machine's apt, and the lines of its sources."""
    await packages.require_lists(host)
    text = await host.capture(["apt-get", "indextargets", "Created-By: Packages", "--format",
                               "$(LABEL) $(REPO_URI) $(RELEASE) $(COMPONENT)"])
    signed = f"[signed-by={apt.KEYRING}] " if apt.KEYRING.exists() else ""
    found = re.findall(r"^(Debian\S*) (\S+) (\S+) (main)$", text, re.M)
    suite = next((release for label, _, release, _ in found if label == "Debian"), "")
    if not suite:
        raise Failure("this check makes a Debian, and the machine's package sources have none")
    return suite, [f"deb {signed}{uri} {release} {part}" for _, uri, release, part in found]


async def make_root(host: Host, entry: Entry, names: Sequence[str], version: str,
                    strip: str = "") -> Path:
    """The folder with the files of a Debian that has these packages.

    It is made again for another version, which is that of a package that changes often. strip is
    a shell script that runs in the new Debian.
    """
    suite, lines = await sources(host)
    # how this machine's apt reaches its sources
    dump = await host.capture(["apt-config", "dump"])
    settings = [line for line in dump.splitlines()
                if re.match(r"Acquire::(?!IndexTargets|Changelogs|cdrom)", line)]
    state = hash_text("\n".join([version, suite, *names, *lines, *settings, strip]))
    root = entry.path / "root"
    async with entry.make(state, "making a Debian", host.terminal) as fresh:
        if fresh:
            shutil.rmtree(root, ignore_errors=True)
            with host.cache.temporary("debian") as folder:
                (folder / "apt.conf").write_text("\n".join(settings) + "\n", encoding="utf-8")
                log = folder / "log"
                argv = ["mmdebstrap", "--mode=root", "--variant=minbase",
                        f"--include={','.join(names)}", f"--aptopt={folder / 'apt.conf'}",
                        suite, str(root), *lines]
                if await host.run("making a Debian", argv, log):
                    raise packages.apt_failure(host, log, "a Debian")
                if strip:
                    await inside(host, root, "removing what other distributions lack", strip, log)
    return root


async def inside(host: Host, root: Path, label: str, command: str, log: Path) -> None:
    """Runs a command in the folder, with this machine's kernel and network."""
    await host.run_or_fail(label, inside_words(root, command), log, env={"HOME": "/root"})


def inside_words(root: Path, command: str, binds: Sequence[Path] = (),
                 network: bool = True) -> List[str]:
    """A command in the folder. binds are files of this machine that are seen there, and not changed."""
    script = 'mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && for file in "${@:3}"; do ' \
        'mount --bind "$file" "$1$file" && mount -o remount,bind,ro "$1$file" || exit; done && ' \
        'exec chroot "$1" sh -c "$2"'
    alone = [] if network else ["--net"]
    return ["unshare", "--mount", *alone, "--propagation", "private", "bash", "-c", script, "-",
            str(root), command, *map(str, binds)]


def copy_checkout(origin: Path, clone: Path) -> None:
    """Replaces the files of the clone; what was built in it stays, with the dates of the files."""
    clone.mkdir(exist_ok=True)
    for old in clone.iterdir():
        if old.name in NOT_CLONED:
            continue
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        else:
            old.unlink()
    for path in origin.iterdir():
        if path.name in NOT_CLONED:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, clone / path.name, symlinks=True,
                            ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(path, clone / path.name, follow_symlinks=False)
