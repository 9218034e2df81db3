# SPDX-License-Identifier: GPL-2.0
"""Entry: reads the command line, and does what it asks for."""
from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Optional

from runner import bisect, cli, formats, mutate, regressions, step
from runner.arch import find_arch
from runner.bench import bench
from runner.cache import Cache
from runner.catalogue import all_bugs, catalogue, choose, globs_of
from runner.cell import CellRun
from runner.check import check
from runner.errors import Failure, Interrupted, UnfitKernel, is_disk_full
from runner.exec import run_command, run_shell_mode
from runner.host import Host, Testing
from runner.known import read_known
from runner.matrix import expand, run_matrix
from runner.programs import build_suite, new_program
from runner.provenance import describe_project
from runner.request import Request
from runner.results import FAIL, About, Cell, totals, write_results
from runner.suite import failed_in_last_run, select
from runner.terminal import Terminal

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = "run_tests.sh"
# that end a run; the status is 128 and the number
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def find_cache(terminal: Terminal) -> Cache:
    """$XDG_CACHE_HOME/hmmirror or ~/.cache/hmmirror."""
    home = os.environ.get("XDG_CACHE_HOME")
    if not home:
        if not os.environ.get("HOME"):
            raise Failure("HOME is not set; set it or XDG_CACHE_HOME")
        home = str(Path(os.environ["HOME"]) / ".cache")
    return Cache(Path(home).absolute() / "hmmirror", terminal)


async def dispatch(host: Host, request: Request) -> int:
    """Does it; returns the exit status."""
    mode = request.mode
    if mode == "list":
        return await list_tests(host, request)
    if mode in ("new", "new-test"):
        return begin_program(host, request)
    if mode == "bisect":
        return await bisect.bisect(host, request)
    if mode == "bisect-step":
        return await step.bisect_step(host, request)
    if mode == "shell":
        return await run_shell_mode(host, request)
    if mode == "exec":
        return await run_command(host, request)
    if mode == "bench":
        return await bench(host, request, request.globs)
    if mode == "check":
        return await check(host, request.level)
    about = About(mode, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), seed=request.seed,
                  command=shlex.join([f"./{PROGRAM}", *request.words]))
    if mode == "reintroduce":
        # named before anything is fetched
        choose(host, request.globs)
        return await regressions.reintroduce(host, request, await expand(host, request.kernels))
    if mode == "mutate":
        return await mutate.mutate(host, request, await expand(host, request.kernels))
    if request.entries:
        request = replace(request, globs=globs_of(choose(host, request.entries)))
    if request.known_file:
        names = [bug.name for bug in all_bugs(catalogue(host))]
        request = replace(request, known=read_known(Path(request.known_file), names))
    if request.rerun_failed:
        request = replace(request, globs=failed_in_last_run(host))
        if not request.globs:
            host.terminal.say("no test failed in the last run")
            return 0
    kernels = await expand(host, request.kernels)
    kernels = await expand(host, request.kernels)
    about.hmmirror = await describe_project(host)
    if len(kernels) * max(1, len(request.archs)) * max(1, len(request.configs)) > 1:
        return await run_matrix(host, request, kernels, about)
    return await run_one(host, request, kernels[0], about)


async def list_tests(host: Host, request: Request) -> int:
    """--list."""
    names = [file.stem for file in request.own_files]
    if request.wants_suite:
        suite = await build_suite(host)
        names += select(list(suite.tests), request.globs, request.excluded)
    for name in names:
        host.terminal.out(name)
    return 0


def begin_program(host: Host, request: Request) -> int:
    """--new and --new-test."""
    if request.mode == "new":
        file = new_program(host, request.new_name, "runner/reproducer.c", "new")
        host.terminal.say(f"made {file}; it runs as it is:\n  ./run_tests.sh --exec {file}")
    else:
        file = new_program(host, request.new_name, "selftests/template.c", "new-test")
        host.terminal.say(f"made {file.relative_to(host.root)}; it runs as it is:\n"
                          f"  ./run_tests.sh {file.stem}")
    return 0


async def run_one(host: Host, request: Request, kernel: str, about: About) -> int:
    """One kernel with one config."""
    begun = time.monotonic()
    arch = find_arch(request.archs[0] if request.archs else "")
    logs = host.cache.new_logs()
    if request.keep:
        logs.keep()
    config = request.configs[0] if request.configs else ""
    cell = Cell("")
    run = CellRun(host, request, cell, kernel, config, arch, logs.path)
    stopped: Optional[Failure] = None
    results: Optional[Dict[str, Any]] = None
    try:
        await run.run()
    except Failure as failure:
        stopped = failure
    finally:
        cell.label = cell.kernel or "the default kernel"
        about.seconds = int(time.monotonic() - begun)
        with contextlib.suppress(OSError):
            results = write_results(logs.path, about, [cell])
    if not stopped:
        assert cell.ledger
        host.terminal.out(f"logs: {logs.path}")
        cell.ledger.tell(totals([cell]))
    if results:
        formats.deliver(results, request.formats)
    if stopped:
        raise stopped
    return 1 if cell.count(FAIL) else 0


async def run_until_signal(host: Host, request: Request) -> int:
    """Ends what is under way when a signal comes."""
    loop = asyncio.get_running_loop()
    work = asyncio.ensure_future(dispatch(host, request))
    got: List[int] = []

    def on_signal(number: int) -> None:
        if not got:
            got.append(number)
            work.cancel()
    for number in SIGNALS:
        loop.add_signal_handler(number, on_signal, number)
    try:
        return await work
    except asyncio.CancelledError:
        if got:
            raise Interrupted(128 + got[0]) from None
        raise


def main(arguments: List[str]) -> int:
    """Returns the exit status."""
    terminal = Terminal()
    stepping = "--bisect-step" in arguments
    try:
        request = cli.parse(arguments)
        terminal.aside = any(not file for _, file in request.formats)
        cache = find_cache(terminal)
        host = Host(ROOT, cache, terminal, Testing.from_environment(os.environ))
        return asyncio.run(run_until_signal(host, request))
    except cli.HelpWanted:
        print(cli.usage(), end="")
        return 0
    except Interrupted as interrupted:
        terminal.say(f"{PROGRAM}: interrupted")
        return interrupted.status
    except Failure as failure:
        terminal.say(f"{PROGRAM}: {failure}")
        if stepping:
            return 125 if isinstance(failure, UnfitKernel) else step.STOP
        return failure.status
    except OSError as error:
        if not is_disk_full(error):
            raise
        terminal.say(f"{PROGRAM}: the disk is full: {error.filename or 'the cache'}; free some space "
                     "or set XDG_CACHE_HOME")
        return step.STOP if stepping else 2
    except BrokenPipeError:
        return 2


if __name__ == "__main__":
    # whoever reads our output and goes away ends us without a word
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main(sys.argv[1:]))
