# SPDX-License-Identifier: GPL-2.0
"""--replay: the guest of a failed test once more, under gdb, up to the failure.

A run with --exact repeats to the instruction. So the guest in which a test failed is started again
with the same image, and gdb stops it by QEMU's stub: at a warning or a panic of the kernel, else
where the agent has seen a test fail. Then the test's process is gone, and what it left in the
kernel is there. The run is the same up to the first stop. A breakpoint that is passed on the way
takes a part of the guest's time, so each of these is at an address where only failures come by.
"""
from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from runner.guest import GuestPlan
from runner.results import Ledger
from runner.suite import Machine

# guest/init tells where the module was loaded
LOADED = re.compile(r"hmmirror-guest: hmmirror [^\n]* (0x[0-9a-f]+)")
# of the kernel, and of guest/agent.c
STOPS = ("panic", "__warn", "test_failed")


@dataclass
class Replay:
    """Waits for the first test that fails, and keeps what its guest was started with."""

    machine: Machine
    ledger: Ledger
    logs: Path
    # what gdb is to read, once a test has failed
    script: Optional[Path] = None

    async def on_guest(self, plan: GuestPlan, console: Path) -> None:
        """A guest has ended, which was started as the plan says."""
        failed = self.ledger.failed()
        if self.script or not failed:
            return
        image = self.logs / "replay.initramfs"
        shutil.copyfile(plan.image, image)
        found = LOADED.search(console.read_text(encoding="utf-8", errors="replace"))
        self.script = self.logs / "replay.gdb"
        self.script.write_text(self._script(plan, image, failed[0], found[1] if found else ""),
                               encoding="utf-8")

    def _script(self, plan: GuestPlan, image: Path, test: str, loaded: str) -> str:
        machine = self.machine
        arch = machine.kernel.arch
        image_at = [str(image) if word == str(plan.image) else word for word in plan.command()]
        qemu = [*image_at, "-serial", f"file:{self.logs / 'replay.console'}",
                "-chardev", f"file,id=agent,path={self.logs / 'replay.results'}",
                *arch.agent_line, "-S", "-gdb", "stdio"]
        vmlinux = machine.kernel.build / "vmlinux"
        lines = [f"# {test} of this run, under gdb: gdb -q -x {self.logs}/replay.gdb",
                 "set pagination off", "set confirm off"]
        if vmlinux.is_file():
            lines.append(f"file {shlex.quote(str(vmlinux))}")
        if loaded:
            lines.append(f"add-symbol-file {shlex.quote(str(machine.driver.module))} {loaded}")
        lines += [f"add-symbol-file {shlex.quote(str(machine.agent))}",
                  f"target remote | {shlex.join(qemu)}",
                  *(f"break {function}" for function in STOPS), "continue"]
        return "".join(f"{line}\n" for line in lines)

    def finish(self) -> None:
        """Starts gdb on a terminal; elsewhere says how to."""
        terminal = self.machine.host.terminal
        if not self.script:
            terminal.say("no test failed, so there is nothing to replay")
            return
        (self.logs / "keep").touch()
        command = ["gdb", "-q", "-x", str(self.script)]
        if sys.stdin.isatty() and sys.stdout.isatty():
            terminal.say(f"starting gdb; later: {shlex.join(command)}")
            subprocess.run(command, check=False)
            return
        terminal.say(f"replay: {shlex.join(command)}")
