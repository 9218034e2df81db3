# SPDX-License-Identifier: GPL-2.0
"""--exec and --shell: a program or a shell in the guest, with the driver loaded."""
from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import List, Optional, Sequence

from runner.build import prepare
from runner.config import read_config
from runner.errors import Failure
from runner.follow import TAIL, Follower, Listener, Queue, Test
from runner.guest import run_shell, start_guest
from runner.host import Host
from runner.kernel import Kind, resolve
from runner.programs import build_agent, build_driver, build_own
from runner.request import Request
from runner.results import Ending, Ledger
from runner.suite import GUEST_FOLDER, Machine, Place, add_commands, exact_of, keep_guest, \
    no_guest


async def prepare_machine(host: Host, request: Request) -> Machine:
    """The one kernel that the request names."""
    arch = request.arch
    kernel = await resolve(host, request.kernels[0] if request.kernels else "", arch)
    config = read_config(host.root, request.configs[0] if request.configs else "", arch)
    kernel = await prepare(host, kernel, config)
    if kernel.kind is Kind.NATIVE:
        raise Failure(f"--{request.mode} is for a guest; on this machine just run it")
    machine = Machine(host, kernel, await build_driver(host, kernel),
                      await build_agent(host, arch), exact=exact_of(request))
    await machine.require()
    return machine


async def run_command(host: Host, request: Request) -> int:
    """--exec PROG ...: its output and its status."""
    machine = await prepare_machine(host, request)
    with host.cache.temporary("exec") as folder:
        program = Path(request.command[0])
        if request.own_files:
            program = await build_own(host, request.own_files[0], folder,
                                      machine.kernel.arch)
        return await run_in_guest(machine, request, folder, program, request.command[1:])


async def run_shell_mode(host: Host, request: Request) -> int:
    """--shell.

    A serial line loses what is sent before anybody reads, so commands that do not come from a
    terminal go in as a file.
    """
    machine = await prepare_machine(host, request)
    with host.cache.temporary("shell") as folder:
        if sys.stdin.isatty():
            plan = await machine.plan(folder, (), mode="shell")
            host.terminal.say("a shell in the guest; exit ends it, Ctrl-A X kills it")
            return await run_shell(plan)
        script = folder / "script"
        script.write_text(sys.stdin.read(), encoding="utf-8")
        return await run_in_guest(machine, replace(request, timeout=0), folder, Path("/bin/sh"),
                                  [str(GUEST_FOLDER / "script")], script)


async def run_in_guest(machine: Machine, request: Request, folder: Path, program: Path,
                       arguments: Sequence[str], file: Optional[Path] = None) -> int:
    """Runs one program and ends with its status; 1 if all that failed is the kernel under it.

    file is what is put into the guest, if it is not the program itself.
    """
    host = machine.host
    logs = host.cache.new_logs()
    if request.keep:
        logs.keep()
    plan = await machine.plan(folder, [file or program])
    test = Test("exec", program, arguments, request.timeout)
    where = GUEST_FOLDER if not file else None
    if machine.exact:
        plan = await add_commands(machine, plan, [test], folder / "exact", folder, where)
    host.terminal.step(f"booting linux {machine.kernel.name} ({plan.hardware.accelerator})")
    console, errors = logs.path / "console.1", folder / "qemu.err"
    endings: List[Ending] = []
    agent = await start_guest(plan, console, errors)
    follower = Follower(agent, 0, where, Queue([test], 1),
                        Ledger(logs.path, host.terminal.out), host.terminal,
                        logs.path / "results", Listener(on_output=host.terminal.out,
                                                        on_end=endings.append),
                        slow=machine.kernel.config.guest.slow, judged=False)
    try:
        outcome = await follower.follow()
    finally:
        await agent.stop()
    if not endings:
        if not outcome.current:
            raise no_guest(machine, outcome, console, errors)
        for line in follower.console.tail(TAIL):
            host.terminal.say(line)
        raise Failure(f"{outcome.lost} while {program.name} ran; see {console}")
    if request.keep:
        await keep_guest(machine, plan, logs.path, Place(0, 1), [test], folder)
    status = status_of(host, endings[0], program.name, request.timeout)
    report = follower.console.reports.get("exec")
    if report:
        host.terminal.say(f"the kernel: {report}")
        for line in follower.console.lines_of("exec"):
            host.terminal.say(line)
        host.terminal.say(f"see {console}")
        if status == 0:
            host.terminal.say("the kernel reported a bug under the program, so the status is 1")
            return 1
    return status


def status_of(host: Host, ending: Ending, name: str, timeout: int) -> int:
    """The program's exit status, as a shell would give it."""
    if ending.how == "exit":
        return ending.number
    if ending.how == "signal":
        host.terminal.say(f"{name} was killed by signal {ending.number}")
        return 128 + ending.number
    host.terminal.say(f"{name} did not end within {timeout} s")
    return 124
