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
import webbrowser
from dataclasses import replace
from pathlib import Path
from typing import Any, Coroutine, Dict, List, Optional, Sequence

from runner import bisect, cli, formats, mutate, regressions, slower, step
from runner.arch import find_arch
from runner.bench import bench
from runner.cache import Cache
from runner.catalogue import all_bugs, catalogue, choose, globs_of
from runner.cell import CellRun
from runner.cells import CellPlan, find_plan, finished, leave, plan_cells, status_of
from runner.check import check
from runner.counting import run_count
from runner.errors import Failure, Interrupted, UnfitKernel, is_disk_full
from runner.exec import run_command, run_shell_mode
from runner.host import Host, Testing
from runner.known import read_known
from runner.manual import candidates, completion, manual, place_of
from runner.matrix import common_suites, expand, run_matrix
from runner.merge import merge
from runner.programs import Suite, build_suite, new_program
from runner.provenance import describe_project
from runner.publish import publish
from runner.request import Request
from runner.results import FAIL, About, Cell, totals, totals_of
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
    if mode == "bench-bisect":
        return await slower.bisect_counts(host, request)
    if mode == "bisect-step":
        return await step.bisect_step(host, request)
    if mode == "shell":
        return await run_shell_mode(host, request)
    if mode == "exec":
        return await run_command(host, request)
    if mode == "count":
        return await run_count(host, request)
    if mode == "bench":
        return await bench(host, request, request.globs)
    if mode == "check":
        return await check(host, request.level)
    if mode == "man":
        print(manual(cli.usage()), end="")
        return 0
    if mode == "completion":
        print(completion(request.shell), end="")
        return 0
    if mode == "open":
        return open_report(host)
    if mode == "merge":
        return await merge(host, request)
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
    seeds: List[Optional[int]] = [*request.seeds] or [None]
    plans = plan_cells(await expand(host, request.kernels), request.archs or [""],
                       request.configs or [""], seeds)
    about.planned = [plan.name for plan in plans]
    if request.list_cells:
        return list_cells(host, request, plans, about.command)
    about.hmmirror = await describe_project(host)
    if request.cell:
        return await run_cell(host, request, plans, about)
    if len(plans) > 1:
        return await run_matrix(host, request, plans, about)
    return await run_one(host, request, plans[0], about)


def list_cells(host: Host, request: Request, plans: Sequence[CellPlan], command: str) -> int:
    """--cells; with --results those that have no results there."""
    for plan in plans:
        if not request.results or not finished(request.results / plan.name, command):
            host.terminal.out(plan.name)
    return 0


async def run_cell(host: Host, request: Request, plans: Sequence[CellPlan], about: About) -> int:
    """--cell; nothing is run if there are results of it already."""
    plan = find_plan(plans, request.cell)
    about.seed = plan.seed
    results = finished(request.results / plan.name, about.command) if request.results else None
    if results and request.results:
        host.terminal.out(f"{plan.name} has been run: {request.results / plan.name}")
        host.terminal.out(totals_of(results))
        formats.deliver(results, request.formats)
        return status_of(results)
    suites = await common_suites(host, request, plans, [plan.arch])
    return await run_one(host, replace(request, seed=plan.seed), plan, about,
                         suites.get(plan.arch))


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


def open_report(host: Host) -> int:
    """--open."""
    for folder in sorted((host.cache.path / "logs").iterdir(), reverse=True):
        report = folder / "report.html"
        if report.is_file():
            host.terminal.out(str(report))
            if not webbrowser.open(report.as_uri()):
                raise Failure("no browser is found; open that file in one, or set BROWSER")
            return 0
    raise Failure("--open: no run has left a report yet; run the tests first")


async def run_one(host: Host, request: Request, plan: CellPlan, about: About,
                  suite: Optional[Suite] = None) -> int:
    """One kernel with one config."""
    begun = time.monotonic()
    logs = host.cache.new_logs()
    if request.keep:
        logs.keep()
    cell = Cell(plan.label, plan.name, plan.kernel, seed=plan.seed)
    run = CellRun(host, request, cell, plan.kernel, plan.config, find_arch(plan.arch), logs.path,
                  suite)
    stopped: Optional[Failure] = None
    results: Optional[Dict[str, Any]] = None
    try:
        await run.run()
    except Failure as failure:
        stopped = failure
    finally:
        if len(about.planned) == 1:
            cell.label = cell.kernel or plan.label
        about.seconds = int(time.monotonic() - begun)
        with contextlib.suppress(OSError):
            results = publish(host.cache.path / "logs", logs.path, about, [cell.as_json()])
    if not stopped:
        assert cell.ledger
        cell.ledger.tell_failures()
        host.terminal.out(f"logs: {logs.path}")
        cell.ledger.tell(totals([cell]))
    if results and request.results:
        leave(logs.path, request.results / plan.name)
    if results:
        formats.deliver(results, request.formats)
    if stopped:
        raise stopped
    if run.replay:
        run.replay.finish()
    return 1 if cell.count(FAIL) else 0


async def run_until_signal(doing: Coroutine[Any, Any, int]) -> int:
    """Ends what is under way when a signal comes."""
    loop = asyncio.get_running_loop()
    work = asyncio.ensure_future(doing)
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
    if arguments[:1] == ["--complete"]:
        print(*candidates(cli.usage(), place_of(ROOT), arguments[1:]), sep="\n")
        return 0
    terminal = Terminal()
    stepping = "--bisect-step" in arguments
    try:
        request = cli.parse(arguments)
        terminal.aside = any(not file for _, file in request.formats)
        cache = find_cache(terminal)
        host = Host(ROOT, cache, terminal, Testing.from_environment(os.environ))
        return asyncio.run(run_until_signal(dispatch(host, request)))
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
