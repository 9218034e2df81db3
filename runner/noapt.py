# SPDX-License-Identifier: GPL-2.0
"""--check=noapt: a distribution that has neither apt nor dpkg, and no static libraries.

It is a Debian in a folder from which these were taken, with a user who is not root, and without
network. The kernel is this machine's default one, in the same place of the cache: a kernel that is
in the cache is not built again there, but the driver and all programs are.
"""
from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Sequence, Tuple

from runner import packages
from runner.arch import native_arch
from runner.build import compiler_id, prepare
from runner.config import Config
from runner.debian import copy_checkout, inside_words, make_root
from runner.errors import Failure
from runner.host import Host
from runner.kernel import Kernel, resolve
from runner.packages import Need

CLONE = "/home/user/hmmirror"
KNOWN = ".ci/known"
# Without these nothing can be linked: libgcc.a is the compiler's own, and glibc's libc.so is a
# linker script that names libc_nonshared.a.
ARCHIVES = ("libc_nonshared.a", "libgcc.a")
# one that needs the C library, as on Alpine
OTHER_PACKAGES = {"busybox-static": "busybox"}
STRIP = f"""\
set -e
useradd -m -s /bin/bash user
find /usr -name '*.a' {' '.join(f'! -name {name}' for name in ARCHIVES)} -delete
for package in $(dpkg-query -W -f '${{Package}}\\n' | grep -E '^(apt|dpkg|libapt-pkg.*)$'); do
	dpkg -L "$package"
done | while read -r file; do
	[ -d "$file" ] || rm -f "$file"
done
rm -rf /var/lib/dpkg /var/lib/apt /var/cache/apt /etc/apt /etc/dpkg /usr/lib/apt /usr/lib/dpkg
"""
GONE = "! command -v apt apt-get apt-cache dpkg dpkg-deb dpkg-query && " \
    "[ \"$(find /usr -name '*.a' -printf '%f\\n' | sort -u | xargs)\" = " \
    f"'{' '.join(ARCHIVES)}' ]"
NO_STATIC = "echo 'int main(void) { return 0; }' > main.c && ! gcc -static -o main main.c"
OWN = """\
#include <numa.h>
#include <pthread.h>
#include "hmmirror_lib.h"

static void *work(void *arg)
{
	return arg;
}

int main(void)
{
	pthread_t thread;

	return numa_available() < 0 || pthread_create(&thread, NULL, work, NULL) ||
	       pthread_join(thread, NULL);
}
"""
SHOWN = 30

# tells that a step was good or not, with what it printed
Tell = Callable[[str, bool, Sequence[str]], None]


async def check_noapt(host: Host, tell: Tell) -> None:
    """Makes the distribution and goes through all steps."""
    if not host.is_root():
        raise Failure("--check=noapt makes a Debian of its own, which only root can; run it as root")
    await packages.require(host, packages.MACHINE)
    kernel = await prepare(host, await resolve(host, ""), Config())
    async with host.cache.lock("noapt-in-use", "checking without apt", host.terminal):
        root = await make_noapt_root(host)
        place = Place(host, root, kernel, tell)
        place.prepare()
        await place.visit()


async def make_noapt_root(host: Host) -> Path:
    """The folder with the distribution's files."""
    arch = native_arch()
    wanted = [*packages.KERNEL, *packages.SUITE, *packages.GUEST, *packages.FETCH,
              Need(arch.qemu, arch.qemu_package)]
    names = {"python3", *(OTHER_PACKAGES.get(need.package, need.package) for need in wanted)}
    # another compiler would build the kernel once more
    return await make_root(host, host.cache.entry("noapt"), sorted(names), await compiler_id(host),
                           STRIP)


def results_of(text: str) -> Dict[str, str]:
    """How each test ended, by its name; of results.json with one cell."""
    cell = json.loads(text)["cells"][0]
    return {test["name"]: test["result"] for test in cell["tests"]}


def differences(here: Dict[str, str], there: Dict[str, str]) -> List[str]:
    """A line for each test that did not end the same."""
    return [f"{name}: {here.get(name, 'not run')} here, {there.get(name, 'not run')} there"
            for name in sorted({*here, *there}) if here.get(name) != there.get(name)]


@dataclass
class Place:
    """The distribution, with a clone and a cache in it."""

    host: Host
    root: Path
    kernel: Kernel
    tell: Tell

    @property
    def binds(self) -> List[Path]:
        """What of this machine's cache is there, too."""
        assert self.kernel.source
        return [self.kernel.source, self.kernel.build.parent]

    def prepare(self) -> None:
        """The clone, and a cache that belongs to the user."""
        copy_checkout(self.host.root, self.path(CLONE))
        owned = [CLONE, str(self.host.cache.path)]
        for folder in (*self.binds, *map(Path, owned)):
            self.path(str(folder)).mkdir(parents=True, exist_ok=True)
        # the way to it is /root, for one who is not root
        for folder in self.host.cache.path.parents:
            self.path(str(folder)).chmod(0o755)
        subprocess.run(["chroot", str(self.root), "chown", "-R", "user:user", *owned], check=True)

    def path(self, there: str) -> Path:
        """A file of the distribution, as this machine sees it."""
        return self.root / there.lstrip("/")

    async def run(self, command: str, as_user: bool = True) -> Tuple[int, List[str]]:
        """What the user types in the clone, or root elsewhere: its status and what it prints."""
        words = f"cd {CLONE} && {command} < /dev/null"
        if as_user:
            words = f"runuser -u user -- sh -c {shlex.quote(words)}"
        with self.host.cache.temporary("noapt") as folder:
            log = folder / "log"
            status = await self.host.run(
                f"there: {command}", inside_words(self.root, words, self.binds, network=False), log,
                env={"HOME": "/home/user", "XDG_CACHE_HOME": str(self.host.cache.path.parent)})
            return status, log.read_text(errors="replace").splitlines()

    async def expect(self, what: str, command: str, as_user: bool = True) -> None:
        """A command that has to end with 0."""
        begun = time.monotonic()
        status, output = await self.run(command, as_user)
        self.tell(f"{what} ({time.monotonic() - begun:.0f} s)", not status, shown(output))

    async def visit(self) -> None:
        """All steps."""
        tree = f"-k {self.kernel.source}"
        await self.expect("neither apt nor dpkg, nor static libraries", GONE, as_user=False)
        await self.expect("gcc links nothing statically", NO_STATIC)
        await self.refuses(tree)
        await self.suite(tree)
        self.path(f"{CLONE}/own.c").write_text(OWN, encoding="utf-8")
        await self.expect("a C file of the user's own", f"./run_tests.sh {tree} own.c")
        await self.expect("the kernel's own hmm-tests", f"./run_tests.sh {tree} --upstream")
        await self.expect("--stress all", f"./run_tests.sh {tree} --stress all --minutes 0.1")

    async def refuses(self, tree: str) -> None:
        """A program that is missing is named, with how to install it."""
        status, output = await self.run(
            f"HMMIRROR_TEST_MISSING=bison ./run_tests.sh {tree} walk_anon")
        line = output[-1] if output else ""
        good = status == 2 and re.search(r"missing: bison; install .*\bbison$", line) is not None
        self.tell("a missing program is named", good, shown(output))

    async def suite(self, tree: str) -> None:
        """Each test ends as on this machine, and only known bugs fail."""
        begun = time.monotonic()
        command = f"./run_tests.sh {tree} --known {KNOWN} --format json:suite.json"
        status, output = await self.run(command)
        last = output[-1] if output else "no totals"
        self.tell(f"the suite: {last} ({time.monotonic() - begun:.0f} s)", not status, shown(output))
        file = self.path(f"{CLONE}/suite.json")
        there = results_of(file.read_text(encoding="utf-8")) if file.exists() else {}
        with self.host.cache.temporary("noapt") as folder:
            own = folder / "suite.json"
            words = [*shlex.split(command)[1:-1], f"json:{own}"]
            await self.host.run("the suite on this machine",
                                [str(self.host.root / "run_tests.sh"), *words], folder / "log")
            here = results_of(own.read_text(encoding="utf-8")) if own.exists() else {}
        different = differences(here, there)
        self.tell(f"{len(there)} tests end as on this machine", bool(there) and not different,
                  different)


def shown(output: Sequence[str]) -> List[str]:
    """The end of what was printed, without tests that are as they should be."""
    return [line for line in output if not line.startswith(("ok ", "SKIP "))][-SHOWN:]
