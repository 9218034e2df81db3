# SPDX-License-Identifier: GPL-2.0
"""--check=machine: a Debian as a user has it, in QEMU, and what a user does there.

The suite's guests have an init of ours and little else. This machine has systemd, the
distribution's kernel, its headers and its compiler, and a user with a clone and sudo.
"""
from __future__ import annotations

import asyncio
import re
import shlex
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, List, Optional, Sequence, Tuple

from runner import apt, packages
from runner.arch import Arch, GuestHardware, native_arch
from runner.debian import copy_checkout, inside, make_root
from runner.errors import Failure
from runner.guest import COHERENT_MB, Agent, known_accelerator, start_qemu, tsc_khz
from runner.host import Host
from runner.packages import Need
from runner.programs import build_agent
from runner.splats import Console

# beside the kernel and its headers
PACKAGES = ("systemd-sysv", "udev", "kmod", "sudo", "python3", "debhelper", "dh-dkms", "dkms")
TOTALS = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$")
AGENT = "usr/local/sbin/hmmirror-agent"
# the folder of this machine in which the steps leave their output
SHARE = "/share"
CLONE = "home/user/hmmirror"
COLLECTION = "/opt/hmmirror"
IMAGE_GB = 8
BOOT_SECONDS = 600
# under emulation; a step that takes longer hangs
STEP_SECONDS = 600
SUITE_SECONDS = 5400
SHOWN = 30

UNIT = f"""\
[Unit]
Description=Runs what the host asks for
RequiresMountsFor={SHARE}

[Service]
ExecStart=/{AGENT} /dev/@LINE@
"""
FILES = {
    "etc/hostname": "machine\n",
    "etc/hosts": "127.0.0.1 localhost machine\n",
    "etc/fstab": f"share {SHARE} 9p trans=virtio,version=9p2000.L 0 0\n",
    "etc/sudoers.d/user": "user ALL=(ALL) NOPASSWD: ALL\n",
    "etc/systemd/system/hmmirror-agent.service": UNIT,
}
WANTS = "etc/systemd/system/multi-user.target.wants/hmmirror-agent.service"
# neither the module nor a device is left
GONE = "! ls -d /sys/module/hmmirror /dev/hmm_dmirror* 2> /dev/null"
# a module that does nothing, under the name of the kernel's own driver
OTHER_DRIVER = ("obj-m := test_hmm.o", "#include <linux/module.h>\nMODULE_LICENSE(\"GPL\");")

# tells that a step was good or not, with what it printed
Tell = Callable[[str, bool, Sequence[str]], None]


class Lost(Exception):
    """The machine cannot go on."""


async def check_machine(host: Host, tell: Tell) -> None:
    """Makes the machine and goes through all steps."""
    if not host.is_root():
        raise Failure("--check=machine makes a Debian of its own, which only root can; run it as root")
    arch = native_arch()
    await packages.require(host, [Need(arch.qemu, arch.qemu_package), *packages.MACHINE])
    agent = await build_agent(host)
    logs = host.cache.new_logs()
    (logs.path / "share").mkdir()
    async with host.cache.lock("machine-in-use", "checking its machine", host.terminal):
        root = await make_machine_root(host, arch)
        await prepare_clone(host, root, agent, arch)
        with host.cache.temporary("machine") as folder:
            machine = Machine(host, arch, folder, logs.path, tell)
            await machine.make_disk(root, await tsc_khz(host, agent) if arch.has_tsc else None)
            await visit(machine)
    host.terminal.out(f"logs: {logs.path}")


async def make_machine_root(host: Host, arch: Arch) -> Path:
    """The folder with the machine's files, made once for each version of the kernel's package."""
    wanted = [*packages.KERNEL, *packages.SUITE, *packages.FETCH]
    kernel = f"linux-image-{arch.debian}"
    names = sorted({*PACKAGES, kernel, f"linux-headers-{arch.debian}",
                    *(need.package for need in wanted)})
    await packages.require_lists(host)
    version = await apt.Apt(host).field(kernel, "Version")
    return await make_root(host, host.cache.entry("machine"), names, version)


async def prepare_clone(host: Host, root: Path, agent: Path, arch: Arch) -> None:
    """The user's clone of this checkout, with what "make" makes.

    It is built here, by the machine's compiler and with its headers: there the test programs would
    take an hour, and the module ten minutes. -k native builds the driver once more, there.
    """
    clone = root / CLONE
    with host.cache.temporary("clone") as folder:
        await inside(host, root, "adding a user",
                     "id user > /dev/null 2>&1 || useradd -m -s /bin/bash user", folder / "log")
        for name, text in FILES.items():
            text = text.replace("@LINE@", arch.agent_device)
            (root / name).write_text(text, encoding="utf-8")
        wants = root / WANTS
        wants.parent.mkdir(exist_ok=True)
        wants.unlink(missing_ok=True)
        wants.symlink_to("../hmmirror-agent.service")
        shutil.copy(agent, root / AGENT)
        (root / SHARE[1:]).mkdir(exist_ok=True)
        copy_checkout(host.root, clone)
        await inside(host, root, "the user's clone", f"chown -R user:user /{CLONE} && "
                     + user("sudo ./run_tests.sh --list"), folder / "log")
        await inside(host, root, "installing the test programs, building the module",
                     f"cd /{CLONE} && make install-tests INSTALL_PATH={COLLECTION} "
                     'KSRC="$(ls -d ~root/.cache/hmmirror/source/linux-*)" && '
                     'make module KDIR="$(ls -d /lib/modules/*/build)" && chown -R user:user .',
                     folder / "log")
        await inside(host, root, "making and installing the packages",
                     f"cd /{CLONE} && make deb KSRC=\"$(ls -d ~root/.cache/hmmirror/source/linux-*)\" && "
                     "dpkg -i build/deb/*.deb && chown -R user:user .", folder / "log")


def user(command: str) -> str:
    """What the user types in the clone."""
    return f"runuser -l user -c {shlex.quote(f'cd hmmirror && {command}')}"


@dataclass
class Answer:
    """How a command of the machine ended."""

    status: int
    output: List[str]
    seconds: float


@dataclass
class Machine:
    """The machine, on or off."""

    host: Host
    arch: Arch
    folder: Path
    logs: Path
    tell: Tell
    _boots: int = 0
    _command: List[str] = field(default_factory=list)

    async def make_disk(self, root: Path, khz: Optional[int]) -> None:
        """Makes the disk of the folder, and the command that starts the machine."""
        disk = self.folder / "disk"
        for name in ("vmlinuz", "initrd.img"):
            found = sorted((root / "boot").glob(f"{name}-*"))
            if not found:
                raise Failure(f"the Debian in {root} has no {name}; remove {root.parent} and run "
                              "this again")
            shutil.copy(found[-1], self.folder / name)
        with disk.open("wb") as file:
            file.truncate(IMAGE_GB << 30)
        await self.host.run_or_fail("making the machine's disk", [
            "mkfs.ext4", "-q", "-F", "-d", str(root), str(disk)], self.folder / "log")
        accelerator = known_accelerator(self.host) or "tcg"
        hardware = GuestHardware(2, accelerator, COHERENT_MB,
                                 tsc_khz=khz if accelerator == "tcg" else None)
        words = ["root=/dev/vda", "rw", f"console={self.arch.console}", "panic=-1", "oops=panic",
                 "random.trust_cpu=on", *self.arch.kernel_words(hardware)]
        self._command = [
            self.arch.qemu, "-nodefaults", "-no-reboot", "-display", "none",
            *self.arch.qemu_options(hardware), "-kernel", str(self.folder / "vmlinuz"),
            "-initrd", str(self.folder / "initrd.img"), "-append", " ".join(words),
            "-drive", f"file={disk},format=raw,if=virtio,cache=unsafe",
            "-virtfs", f"local,path={self.logs / 'share'},mount_tag=share,security_model=none"]

    async def boot(self) -> Boot:
        """Switches it on."""
        self._boots += 1
        console = self.logs / f"console.{self._boots}"
        self.host.terminal.step(f"booting the machine ({self._boots})")
        agent = await start_qemu(self.arch, self._command, console,
                                 self.logs / f"qemu.{self._boots}.err")
        return Boot(self, agent, Console(console), self._boots)


@dataclass
class Boot:
    """The machine from when it is switched on until it is off."""

    machine: Machine
    agent: Agent
    console: Console
    number: int
    _step: str = "boot"

    async def read(self, deadline: float, what: str) -> str:
        """A line of the agent's."""
        try:
            line = await self.agent.read(deadline - time.monotonic())
        except asyncio.TimeoutError:
            raise Lost(f"{what} takes too long") from None
        if line is None:
            raise Lost(f"the machine died under {what}")
        if line.startswith("left "):
            raise Lost(f"{what} left behind: {line[5:]}")
        return line

    async def wait_until_up(self) -> None:
        """Until the machine answers, and systemd has started everything."""
        begun = time.monotonic()
        deadline = begun + BOOT_SECONDS
        while not (await self.read(deadline, "the boot")).startswith("ready "):
            pass
        answer = await self.run("up", "systemctl is-system-running --wait; systemctl --failed",
                                STEP_SECONDS)
        good = answer.output[:1] == ["running"]
        self.judge(f"boot {self.number}: every unit starts", good, answer.output,
                   time.monotonic() - begun)

    async def run(self, name: str, command: str, seconds: float) -> Answer:
        """Runs a command as root, with its output in the shared folder."""
        self.machine.host.terminal.step(f"in the machine: {name}")
        self._step = name
        # the agent would take another status than 0 for a test that failed, and look for traces
        script = f"({command}) > {SHARE}/{name}.log 2>&1; echo status $?"
        begun = time.monotonic()
        self.agent.send(f"run 0\t{name}\t/bin/bash\t-c\t{script}")
        status = -1
        while True:
            line = await self.read(begun + seconds, name)
            if line.startswith("| status "):
                status = int(line.split()[2])
            if line.startswith("end "):
                break
        log = self.machine.logs / "share" / f"{name}.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return Answer(status, lines, time.monotonic() - begun)

    def judge(self, what: str, good: bool, output: Sequence[str], seconds: float) -> None:
        """A step is good if it did what was wanted and the kernel reported nothing meanwhile."""
        self.console.scan()
        self.console.settle(self._step)
        for name, report in self.console.reports.items():
            good = False
            output = [*output, f"the kernel, under {name}: {report}", *self.console.lines_of(name)]
        self.console.reports.clear()
        self.machine.tell(f"{what} ({seconds:.0f} s)", good, output[-SHOWN:])

    async def expect(self, what: str, name: str, command: str,
                     good: Callable[[Answer], bool] = lambda answer: not answer.status,
                     seconds: float = STEP_SECONDS) -> Answer:
        """Runs a command and judges it."""
        answer = await self.run(name, command, seconds)
        self.judge(what, good(answer), answer.output, answer.seconds)
        return answer

    async def refuses(self, what: str, name: str, before: str, line: str) -> None:
        """-k native ends with one line that says why."""
        await self.expect(f"native where {what}: one line", name,
                          f"{before}; {user('sudo ./run_tests.sh -k native walk_anon')}",
                          lambda answer: answer.status == 2 and bool(answer.output)
                          and line in answer.output[-1])

    async def shut_down(self, verb: str, last_words: str) -> None:
        """Reboot or poweroff: the machine comes to its own end."""
        begun = time.monotonic()
        self._step = verb
        self.agent.send(f"run 0\t{verb}\t/bin/systemctl\t{verb}")
        good = True
        try:
            while True:
                if await self.agent.read(begun + BOOT_SECONDS - time.monotonic()) is None:
                    break
        except asyncio.TimeoutError:
            good = False
        await self.agent.stop()
        text = self.console.path.read_text(errors="replace")
        self.judge(f"boot {self.number}: {verb}", good and last_words in text,
                   text.splitlines()[-SHOWN:], time.monotonic() - begun)


async def visit(machine: Machine) -> None:
    """All steps. A machine that is lost fails the step, and the rest cannot be had."""
    for steps in (first_boot, second_boot):
        boot = await machine.boot()
        try:
            await boot.wait_until_up()
            await steps(boot)
        except Lost as lost:
            boot.judge(str(lost), False, boot.console.tail(SHOWN), 0)
            return
        finally:
            await boot.agent.stop()


async def first_boot(boot: Boot) -> None:
    """What docs/using says about packages, about native, and about doing without the runner."""
    await packages_of_ours(boot)
    await native(boot)
    for text, name in zip(OTHER_DRIVER, ("Makefile", "test_hmm.c")):
        (boot.machine.logs / "share" / name).write_text(f"{text}\n", encoding="utf-8")
    await boot.refuses(
        "a test_hmm is loaded", "test_hmm",
        f"mkdir -p /tmp/test_hmm && cp {SHARE}/Makefile {SHARE}/test_hmm.c /tmp/test_hmm && "
        "make -C /lib/modules/$(uname -r)/build M=/tmp/test_hmm && insmod /tmp/test_hmm/test_hmm.ko",
        "test_hmm is loaded, and its devices have the names of ours")
    await boot.expect("rmmod test_hmm", "rmmod-test_hmm", "rmmod test_hmm")
    await boot.expect("make install", "install", user("sudo make install"))
    await boot.expect("modprobe hmmirror", "modprobe", "modprobe hmmirror && ls /dev/hmm_dmirror0")
    await boot.refuses("hmmirror is loaded", "loaded", "true", "hmmirror is loaded already")
    await kselftest(boot)
    await boot.expect("modprobe -r hmmirror", "unload", "modprobe -r hmmirror && " + GONE)
    await boot.shut_down("reboot", "reboot: Restarting system")


async def packages_of_ours(boot: Boot) -> None:
    """What "make deb" made, which is installed already: run and purged."""
    await boot.expect("hmmirror-tests, from the packages", "packages",
                      f"{GONE} && hmmirror-tests -t hmmirror:mirror -t hmmirror:walk_anon > /tmp/out; "
                      "status=$?; cat /tmp/out; grep -q '^ok 2 ' /tmp/out && ! grep '^not ok' /tmp/out "
                      f"&& [ $status = 0 ] && {GONE}")
    await boot.expect("purging the packages", "purge",
                      "dpkg --purge hmmirror-tests hmmirror-dkms && ! modprobe hmmirror && "
                      # the agent is of this check
                      "! find /usr /etc /var/lib /lib/modules/ -name '*hmmirror*' "
                      "! -name 'hmmirror-agent*' | grep .")


async def native(boot: Boot) -> None:
    """The suite on the machine's own kernel."""
    what = "sudo ./run_tests.sh -k native"
    command = (f"{user(what)}; status=$?; cp -rL ~root/.cache/hmmirror/logs {SHARE}/; {GONE} && "
               "exit $status")
    answer = await boot.run("native", command, SUITE_SECONDS)
    totals = [line for line in answer.output if TOTALS.match(line)]
    boot.judge(f"{what}: {totals[-1] if totals else 'no totals'}", bool(totals) and not answer.status,
               [line for line in answer.output if not line.startswith(("ok ", "SKIP "))],
               answer.seconds)


async def kselftest(boot: Boot) -> None:
    """The installed collection, with the kernel's own runner."""
    answer = await boot.run("kselftest", user(f"sudo {COLLECTION}/run_kselftest.sh"), SUITE_SECONDS)
    passed, failed, skipped = sort_tap(answer.output)
    boot.judge(f"run_kselftest.sh: {len(passed)} passed, {len(failed)} failed, {len(skipped)} skipped",
               bool(passed) and not failed and not answer.status, failed or answer.output,
               answer.seconds)


def sort_tap(lines: Sequence[str]) -> Tuple[List[str], List[str], List[str]]:
    """The tests that passed, failed and were skipped. A program can fail without one of its tests."""
    passed: List[str] = []
    failed: List[str] = []
    skipped: List[str] = []
    for line in lines:
        if re.match(r"(# )?not ok \d", line):
            failed.append(line)
        elif re.match(r"# ok \d", line):
            (skipped if "# SKIP" in line else passed).append(line)
    return passed, failed, skipped


async def second_boot(boot: Boot) -> None:
    """After the reboot: the installed module, and a kernel that is not as usual."""
    await boot.expect("modprobe and rmmod", "again",
                      f"{GONE} && modprobe hmmirror && {COLLECTION}/hmmirror/mirror && "
                      f"rmmod hmmirror && {GONE}")
    note = "note: this kernel is tainted already"
    await boot.expect("native where the taint is set: one line", "taint",
                      "echo 64 > /proc/sys/kernel/tainted; "
                      + user("sudo ./run_tests.sh -k native walk_anon"),
                      lambda answer: not answer.status
                      and sum(note in line for line in answer.output) == 1)
    await boot.refuses("the kernel is locked down", "lockdown",
                       "echo integrity > /sys/kernel/security/lockdown", "this kernel is locked down")
    await boot.refuses("a signature is enforced", "signature",
                       "echo 1 > /sys/module/module/parameters/sig_enforce",
                       "this kernel loads only modules with a signature that it trusts")
    await boot.shut_down("poweroff", "reboot: Power down")
