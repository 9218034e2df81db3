# SPDX-License-Identifier: GPL-2.0
"""A guest in QEMU, or this machine in its place, and the line on which its agent speaks.

The agent's side of the protocol is described in guest/agent.c.
"""
from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from runner.arch import Arch, GuestHardware
from runner.cache import hash_text
from runner.errors import Failure
from runner.host import Host
from runner.kernel import Kernel
from runner.splats import taint_letters

# A /dev/kvm that opens proves nothing: guests can hang in it for ever. So one is started with a
# watchdog, once for each kernel of this machine.
KVM_PATIENCE = 8
COHERENT_MB = 64
# the agent sends what a kernel has counted as one line
LONGEST_LINE = 64 << 20


@dataclass(frozen=True)
class GuestPlan:
    """What a guest is started with."""

    kernel: Kernel
    image: Path
    hardware: GuestHardware
    # words for the kernel's command line, from the environment
    append: str = ""
    # the image has all commands for the agent: those that came in on the line would come at
    # another instruction in each run
    has_commands: bool = False

    def late_cpus(self) -> List[str]:
        """Words that leave the CPUs but the first to the guest's init."""
        if self.hardware.accelerator == "kvm" or not self.kernel.arch.boots_on_one_cpu:
            return []
        return ["maxcpus=1"]

    def command(self) -> List[str]:
        """QEMU's command line, but for the serial lines."""
        arch = self.kernel.arch
        # secret memory is off by default before 6.5
        words = [f"console={arch.console}", "loglevel=5", "panic=-1", "oops=panic",
                 "random.trust_cpu=on", "printk.devkmsg=on", "secretmem.enable=1",
                 *arch.kernel_words(self.hardware), *self.late_cpus(), *self.kernel.config.guest.append, self.append]
        return [arch.qemu, "-nodefaults", "-no-reboot", "-display", "none",
                *arch.qemu_options(self.hardware), "-kernel", str(self.kernel.image),
                "-initrd", str(self.image), "-append", " ".join(word for word in words if word)]


class Agent:
    """The agent at work: commands go to it, and lines come from it."""

    def __init__(self, process: asyncio.subprocess.Process, console: Path,
                 deaf: bool = False) -> None:
        self._process = process
        self.console = console
        # it has all commands already, and a clock of its own
        self.deaf = deaf

    def send(self, line: str) -> None:
        """Sends a command, unless the agent has all of them already."""
        if not self.deaf and self._process.stdin and not self._process.stdin.is_closing():
            self._process.stdin.write(f"{line}\n".encode())

    async def read(self, limit: Optional[float]) -> Optional[str]:
        """The next line, None at the end; asyncio.TimeoutError after limit seconds."""
        assert self._process.stdout
        line = await asyncio.wait_for(self._process.stdout.readline(), limit)
        return line.decode(errors="replace").rstrip("\r\n") if line.endswith(b"\n") else None

    async def stop(self) -> None:
        """Ends it at once."""
        if self._process.returncode is None:
            for kill in (os.killpg, os.kill):
                try:
                    kill(self._process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        await self._process.wait()


async def start_guest(plan: GuestPlan, console: Path, errors: Path) -> Agent:
    """Starts a guest."""
    return await start_qemu(plan.kernel.arch, plan.command(), console, errors, plan.has_commands)


async def start_qemu(arch: Arch, command: Sequence[str], console: Path, errors: Path,
                     deaf: bool = False) -> Agent:
    """Starts QEMU. A second serial line is the agent's; it dies with us, even if we are killed."""
    console.touch()
    command = [*command, "-serial", f"file:{console}",
               "-chardev", "stdio,id=agent,signal=off", *arch.agent_line]
    with errors.open("wb") as err:
        process = await asyncio.create_subprocess_exec(
            "setpriv", "--pdeathsig", "KILL", *command, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=err, limit=LONGEST_LINE, start_new_session=True)
    return Agent(process, console, deaf)


async def run_shell(plan: GuestPlan) -> int:
    """A shell in a guest: the user's terminal is the first serial line."""
    command = [*plan.command(), "-serial", "mon:stdio", "-chardev", "null,id=agent",
               *plan.kernel.arch.agent_line]
    # Ctrl-C is the guest's
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    process = await asyncio.create_subprocess_exec("setpriv", "--pdeathsig", "KILL", *command)
    return await process.wait()


def shell_command(plan: GuestPlan) -> str:
    """The command that starts a guest by hand, as a line of shell."""
    return shlex.join([*plan.command(), "-serial", "file:console.again",
                       "-chardev", "stdio,id=agent,signal=off", *plan.kernel.arch.agent_line])


async def qemu_release(host: Host, qemu: str) -> Tuple[int, int]:
    """7, 2 of this machine's QEMU."""
    return release_in(await host.capture([qemu, "--version"], check=True))


def release_in(version: str) -> Tuple[int, int]:
    """7, 2 of "QEMU emulator version 7.2.22 (Debian ...)"."""
    found = re.search(r"version (\d+)\.(\d+)", version)
    if not found:
        raise Failure(f"QEMU does not tell its version: {version.strip()}")
    return int(found[1]), int(found[2])


async def tsc_khz(host: Host, agent: Path) -> Optional[int]:
    """The rate of this machine's time stamp counter, which an emulated guest has, too."""
    out = (await host.capture([str(agent), "-t"])).strip()
    return int(out) if out.isdigit() else None


def known_accelerator(host: Host) -> str:
    """kvm or tcg if that is known; empty if nobody has tried yet whether a guest boots in KVM."""
    given = os.environ.get("HMMIRROR_ACCEL")
    if given:
        if given not in ("kvm", "tcg"):
            raise Failure(f"HMMIRROR_ACCEL={given}: it is kvm or tcg")
        return given
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    memo = accelerator_memo(host)
    return memo.read_text(encoding="utf-8").strip() if memo.exists() else ""


def accelerator_memo(host: Host) -> Path:
    """The file that keeps the answer for this machine and its kernel."""
    marks = []
    for name in ("/etc/machine-id", "/proc/version", "/proc/sys/kernel/hostname"):
        try:
            marks.append(Path(name).read_text(encoding="utf-8"))
        except OSError:
            pass
    return host.cache.path / f"kvm-{hash_text(''.join(marks))}"


async def choose_accelerator(host: Host, plan: GuestPlan, folder: Path) -> str:
    """kvm where a guest comes up in it, else tcg. The image of the plan is tried."""
    known = known_accelerator(host)
    if known:
        return known
    host.terminal.step("trying KVM")
    agent = await start_guest(plan, folder / "kvm.log", folder / "kvm.err")
    try:
        answer = "kvm" if await agent.read(KVM_PATIENCE) is not None else "tcg"
    except asyncio.TimeoutError:
        answer = "tcg"
    finally:
        await agent.stop()
    accelerator_memo(host).write_text(f"{answer}\n", encoding="utf-8")
    if answer == "tcg":
        host.terminal.say("KVM is there and no guest boots in it; software emulation is used")
    return answer


class NativeAgent(Agent):
    """The agent on this machine, whose kernel has the driver loaded."""

    def __init__(self, process: asyncio.subprocess.Process, console: Path, host: Host,
                 log: asyncio.subprocess.Process) -> None:
        super().__init__(process, console)
        self._host = host
        self._log = log

    async def stop(self) -> None:
        """This machine is left as it was."""
        await super().stop()
        if self._log.returncode is not None:
            return
        await mark(self.console, "module.unload")
        removed = await asyncio.create_subprocess_exec(
            "rmmod", "hmmirror", stderr=subprocess.DEVNULL, env=sbin_environment())
        if await removed.wait():
            self._host.terminal.say("hmmirror is still in use; rmmod hmmirror when it is not")
        # what the kernel says while the module goes belongs to module.unload
        await asyncio.sleep(0.2)
        self._log.kill()
        await self._log.wait()


def check_native(host: Host, kernel: Kernel) -> None:
    """Can the driver be loaded into this machine's kernel?"""
    if not host.is_root():
        raise Failure("-k native loads a module into this kernel; run it as root")
    if Path("/sys/module/hmmirror").is_dir():
        raise Failure("hmmirror is loaded already; rmmod hmmirror and run this again")
    refuse_test_hmm()
    if not kernel.option("HMM_MIRROR"):
        raise Failure("this kernel has no CONFIG_HMM_MIRROR=y; run the suite in QEMU, without "
                      "-k native")


def refuse_test_hmm() -> None:
    """The kernel's own driver has devices of the same names, and the tests would open those."""
    loaded = Path("/sys/module/test_hmm")
    if (loaded / "initstate").exists():
        raise Failure("test_hmm is loaded, and its devices have the names of ours; rmmod test_hmm and "
                      "run this again")
    if loaded.is_dir():
        raise Failure("test_hmm is built into this kernel, and its devices have the names of ours; "
                      "run the suite in QEMU, without -k native")
    nodes = sorted(Path("/dev").glob("hmm_dmirror*"))
    if nodes:
        raise Failure(f"{nodes[0]} is left of another driver; remove /dev/hmm_dmirror* and run this "
                      "again")


def refused(said: str, module: Path) -> Failure:
    """What insmod's words mean, and what to do."""
    said = said.strip()
    reason = said.rpartition(": ")[2]
    if reason in ("Key was rejected by service", "Required key not available"):
        return Failure("this kernel loads only modules with a signature that it trusts, as secure "
                       f"boot wants it ({reason}); sign {module} with such a key and run this again, "
                       "switch secure boot off, or run without -k native")
    if reason == "Operation not permitted":
        if read_word("/proc/sys/kernel/modules_disabled") == "1":
            return Failure("this kernel loads no more modules until it is booted again "
                           "(kernel.modules_disabled is 1); boot it without that setting")
        return Failure(f"this kernel is locked down, as secure boot does it ({reason}), or this is a "
                       f"container; sign {module} with a key that the kernel trusts and run this "
                       "again, switch secure boot off, or run without -k native")
    return Failure(f"the driver does not load: {said}; see dmesg")


def read_word(path: str) -> str:
    """A setting of this kernel; empty if it has none."""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def taint_note(word: str) -> str:
    """What to say about a kernel whose taint was set before; empty if it was not."""
    taint = int(word) if word.isdigit() else 0
    if not taint:
        return ""
    return (f"note: this kernel is tainted already ({taint_letters(0, taint)}); a test fails only for "
            "what it adds")


async def start_native(host: Host, module: Path, agent: Path, words: Sequence[str],
                       console: Path, errors: Path) -> NativeAgent:
    """Loads the module into this machine's kernel and starts the agent beside us.

    The kernel's log goes into the console from before the module is loaded, so that what the
    kernel says meanwhile belongs to module.load.
    """
    console.touch()
    with console.open("ab") as out:
        log = await asyncio.create_subprocess_exec("dmesg", "--follow-new", stdout=out,
                                                   stderr=subprocess.DEVNULL,
                                                   env=sbin_environment())
    await mark(console, "module.load")
    loading = await asyncio.create_subprocess_exec(
        "insmod", str(module), *words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=sbin_environment())
    said, _ = await loading.communicate()
    if loading.returncode:
        log.kill()
        await log.wait()
        raise refused(said.decode(errors="replace"), module)
    with errors.open("wb") as err:
        process = await asyncio.create_subprocess_exec(
            "setpriv", "--pdeathsig", "KILL", str(agent), "-", stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=err, limit=LONGEST_LINE, start_new_session=True)
    return NativeAgent(process, console, host, log)


async def mark(console: Path, name: str) -> None:
    """Writes into the kernel's log what comes next, and waits until the log has been read so far."""
    line = f"hmmirror-test: begin {name}"
    try:
        Path("/dev/kmsg").write_text(f"<4>{line}\n", encoding="utf-8")
    except OSError:
        pass
    for _ in range(10):
        if line in console.read_text(encoding="utf-8", errors="replace"):
            return
        await asyncio.sleep(0.1)


def sbin_environment() -> Dict[str, str]:
    """The environment, with a PATH that has sbin."""
    return dict(os.environ, PATH=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
