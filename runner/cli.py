# SPDX-License-Identifier: GPL-2.0
"""The command line: options, --help, and what does not go together."""
from __future__ import annotations

import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Sequence

from runner import collection, formats
from runner.arch import all_archs, find_arch
from runner.errors import Failure
from runner.host import is_static
from runner.mutantlist import Selection
from runner.request import RACES, STRESS_PROGRAMS, Request
from runner.shorten import parse_calls
from runner.upstream import TIMEOUT as UPSTREAM_TIMEOUT

USAGE = """\
Usage: ./run_tests.sh [OPTION]... [TEST-GLOB | PROGRAM.c]...

Boots a kernel in QEMU, loads hmmirror.ko and runs the tests whose names match a
glob (all without one; "walk_anon" means "walk_anon.*" too), or a program of your
own that --new began. What is missing is installed, fetched and built first.

  -k, --kernel KERNEL  the kernel, one of
                         6.1          that release's linux-source package
                         all          the newest of each suite of the archive
                         6.9, 6.9.7   a release that the distribution does not have,
                                      from the mirror HMMIRROR_KERNEL_MIRROR
                         DIR          a source tree, or a built one
                         DIR@REV      a tag, branch or commit of a git repository
                         FILE[:DIR]   a kernel image, and its build folder
                         linux-image-VERSION
                                      a distribution's own kernel, by its package;
                                      /trixie after it names the suite
                         native       this machine's kernel, as root
                       may be repeated; without it: the newest linux-source of
                       the distribution
  -a, --arch ARCH      the kernel's architecture (this machine's): @ARCHS@;
                       another one is cross-compiled and emulated; may be repeated
  -c, --config CONFIG  configs/CONFIG.config or a file, added to the kernel's
                       config; a+b adds both; may be repeated for one run each
      --exclude GLOB   leave out tests that match; may be repeated
  -x, --fail-fast      end at the first failure
      --rerun-failed   the tests that failed in the last run
      --coverage       build a kernel that counts, and tell which branch outcomes
                       of mm/hmm.c and mm/migrate_device.c no test took
      --upstream[=KERNEL]
                       run the kernel tree's own hmm-tests instead, or those of
                       another release or source tree; also with --bisect
      --collection mm/PROGRAM
                       other kselftests of the kernel's tree, by its run_kselftest.sh;
                       PROGRAM can be a glob; may be repeated
      --shell          a shell in the guest, driver loaded
      --exec PROG ...  run a static program or a C file there; ends with its exit
                       status
      --count PROG ... run it in the same way, and print how many instructions lie
                       between its hmm_count_begin() and hmm_count_end()
      --new NAME       make NAME.c, a reproducer to be filled in
      --new-test SUBJECT
                       make selftests/SUBJECT.c, tests to be filled in
      --bisect GOOD BAD
                       find the commit after which the tests fail, with git bisect,
                       in a worktree of its own; goes on where it was interrupted
      --bisect-build GOOD BAD
                       the same for a kernel that does not build or boot
      --path PATH      with these: only commits that change PATH; may be repeated
      --first-parent   with these: only the first parents of merges
      --cherry-pick COMMIT, --patch FILE
                       with these: apply the fix of another bug at each step where it
                       is not in yet; may be repeated
      --at-once N      with these: test N revisions side by side, 1 to 3: the one that
                       git wants, and those of which it will want one next (as many
                       as there is room for; 1 with up to 16 cores)
      --tree DIR       the git checkout for that (the current folder)
      --bisect-step    for git bisect run: test what is checked out in that tree;
                       ends with 0 good, 1 bad, 125 cannot be tested, 129 stop
      --repeat N       run each test up to N times, until it fails
      --known FILE     failures that do not count: in each line an entry of
                       regressions/ or a test, and the reason
      --flaky N        run each failed test N times more; one that passes then is
                       shown as flaky and does not count
      --cells          list the cells (each kernel with each config) that this command
                       line runs, one name a line; with --results those that have no
                       results there
      --cell NAME      run only this one of them
      --results DIR    with --cell: leave its results in DIR/NAME; what is there already
                       is not run again
      --merge DIR...   make one run of several, or of such a DIR; names cells that are
                       missing, and then ends with 2; docs/using/ci.md
      --format FORMAT[:FILE]
                       write the results as ktap, tap, junit, json, kcidb or lava to
                       FILE, or to standard output, with what people read on standard
                       error; may be repeated; docs/using/ci.md
      --open           show report.html of the last run in a browser ($BROWSER)
      --list           the names of the tests, nothing is run
      --regressions [NAME...]
                       which bugs of the catalogue does the kernel have? Runs their
                       tests and looks at its source; all, or the entries named
      --reintroduce NAME|all
                       bring the bug back into a copy of the kernel, see whether
                       the tests catch it, and record how; with --exact S-T and
                       --stress race, see which seed is the first that finds it
      --confusion      with --reintroduce: run the whole suite with each bug, and
                       make the table of bugs brought in and bugs named; all is
                       those that have no row in it yet
      --mutate FILE    change the kernel's FILE (mm/hmm.c, mm/migrate_device.c) in one
                       place after the other, and tell which changes no test
                       notices; FILE:100-140 for some lines, FILE:FUNCTION for one
                       function; docs/developing/mutants.md
      --stress NAME    put load on the driver instead of running tests: kill, load,
                       fuzz, pressure, race (one of its races: race.NAME), or all of
                       them one after the other, or soak: kill, fuzz and pressure at
                       once; docs/records/reliability.md
      --minutes N      for how long, each (1; also less: 0.5)
      --calls N,N-N    with --stress fuzz and a seed: make only these of its calls; a
                       run with --exact that fails finds out which it takes
      --shuffle        run the tests in random order
      --seed S         make the choices of the run that printed this seed, for
                       --stress and --shuffle; S-T is a cell for each of these seeds
      --exact [SEED]   one guest, whose clock is the number of instructions that it has
                       executed: the same SEED makes the same run again, another one
                       another schedule, for tests, --exec and --stress; S-T as above;
                       docs/using/counting.md
      --replay         with --exact: start the guest in which the first test failed
                       again, with gdb, which stops it where the test fails
      --bench [OPERATION|PART...]
                       count the instructions of what the driver does, all of it or
                       the operations named (read.thp, 'to_device.*'); with several
                       -k compare these kernels. A PART is one of counts,
                       functions, growth, held, record, driver, runner, fresh; docs/using/counting.md
                       With --bisect GOOD BAD, an OPERATION: find the commit after
                       which it takes more
      --worse N%       of --bench --bisect: a commit is bad if it takes N % more than
                       GOOD (half of what BAD takes more)
      --check[=LEVEL]  all tests and static checks of this checkout, on the default
                       kernel; ci: on those that CI runs, all: on all packaged ones,
                       machine: in a whole Debian that is booted in QEMU,
                       noapt: in a chroot without apt, dpkg and static libraries
      --timeout SEC    for each test (60; with --upstream 180)
      --keep           leave what it takes to start the guest again by hand with
                       the logs, and never remove these logs
      --completion SHELL
                       print what completes this command line in bash or zsh
      --man            print the manual page; see it with | man -l -
  -v, --verbose        show the output of every test
  -h, --help           this text

Exit status: 0 no test failed, 1 a test failed, 2 it could not be run.
Environment: XDG_CACHE_HOME, HMMIRROR_ACCEL, HMMIRROR_GUESTS, HMMIRROR_GUEST_APPEND,
HMMIRROR_KERNEL_MIRROR, HMMIRROR_KERNEL_KEYRING, HMMIRROR_KCIDB_ORIGIN, NO_COLOR,
BROWSER, CC; see docs/using/running.md.
"""

SHORT = {"-k": "--kernel", "-a": "--arch", "-c": "--config", "-x": "--fail-fast",
         "-v": "--verbose", "-h": "--help"}
MODES = ("upstream", "shell", "list", "open", "man", "regressions", "reintroduce", "bench", "check")
# those that take only kernels of this machine's architecture
NATIVE_MODES = ("mutate", "bench", "bench-bisect", "count", "check", "collection")
# those of which results come
TESTING = ("suite", "regressions", "upstream", "collection", "stress")
# a bug that hangs is to be caught within a minute
TIMEOUTS = {"exec": 0, "count": 0, "reintroduce": 30, "mutate": 3, "upstream": UPSTREAM_TIMEOUT,
            "collection": collection.TIMEOUT}
DEFAULT_TIMEOUT = 60
MOST_SEEDS = 10000


def usage() -> str:
    """--help, with the architectures that there are."""
    return USAGE.replace("@ARCHS@", " or ".join(sorted(all_archs())))


class HelpWanted(Exception):
    """--help was given."""


@dataclass
class Raw:
    """Values as they were given, to be checked together."""

    timeout: str = ""
    repeat: str = ""
    minutes: str = ""
    seed: str = ""
    flaky: str = ""
    worse: str = ""
    at_once: str = ""


def parse(arguments: Sequence[str]) -> Request:
    """Reads the command line, and refuses what does not go together."""
    parser = Parser(list(arguments))
    parser.request.words = list(arguments)
    parser.parse()
    sort_out_files(parser.request)
    check(parser.request, parser.raw)
    return parser.request


class Parser:
    """One pass over the words."""

    def __init__(self, words: List[str]) -> None:
        self.words = words
        self.request = Request()
        self.raw = Raw()
        request, raw = self.request, self.raw
        self.with_value: Dict[str, Callable[[str], None]] = {
            "--kernel": request.kernels.append,
            "--config": request.configs.append,
            "--arch": request.archs.append,
            "--exclude": request.excluded.append,
            "--timeout": lambda value: setattr(raw, "timeout", value),
            "--repeat": lambda value: setattr(raw, "repeat", value),
            "--minutes": lambda value: setattr(raw, "minutes", value),
            "--calls": self.set_calls,
            "--seed": lambda value: setattr(raw, "seed", value),
            "--known": lambda value: setattr(request, "known_file", value),
            "--flaky": lambda value: setattr(raw, "flaky", value),
            "--cell": lambda value: setattr(request, "cell", value),
            "--results": lambda value: setattr(request, "results", Path(value).absolute()),
            "--format": lambda value: request.formats.append(formats.split(value)),
            "--at-once": lambda value: setattr(raw, "at_once", value),
            "--path": request.paths.append,
            "--cherry-pick": request.picks.append,
            "--patch": lambda value: request.patches.append(Path(value)),
            "--tree": lambda value: setattr(request, "tree", Path(value)),
            "--worse": lambda value: setattr(raw, "worse", value),
            "--new": lambda value: self.set_named_mode("new", value),
            "--new-test": lambda value: self.set_named_mode("new-test", value),
            "--collection": self.add_collection,
            "--completion": self.set_completion,
            "--stress": self.set_stress,
            "--mutate": self.set_mutate,
        }
        self.flags = {"--coverage": "coverage", "--keep": "keep", "--verbose": "verbose",
                      "--fail-fast": "fail_fast", "--rerun-failed": "rerun_failed",
                      "--shuffle": "shuffle", "--confusion": "confusion", "--cells": "list_cells",
                      "--first-parent": "first_parent", "--replay": "replay"}

    def parse(self) -> None:
        """Until no words are left."""
        while self.words:
            word = self.words.pop(0)
            if word == "--":
                self.request.globs += self.words
                return
            if not word.startswith("-"):
                self.request.globs.append(word)
                continue
            self.option(word)

    def option(self, word: str) -> None:
        """One option, with its values."""
        given, equals, value = word.partition("=")
        if given == "--check":
            self.request.level = value
        elif word.startswith("--") and equals and given != "--upstream":
            self.words.insert(0, value)
        elif given == "--upstream" and equals:
            if not value:
                raise Failure("--upstream= names no release and no tree; see --help")
            self.request.tests_of = value
        name = SHORT.get(given, given) if word.startswith("--") or not equals else word
        if name in self.with_value:
            if not self.words:
                raise Failure(f"{given} needs a value; see --help")
            self.with_value[name](self.words.pop(0))
        elif name in self.flags:
            setattr(self.request, self.flags[name], True)
        elif name[2:] in MODES:
            self.set_mode(name[2:])
        elif name == "--exact":
            self.set_exact()
        elif name == "--bisect-step":
            self.set_mode("bisect-step")
        elif name in ("--bisect", "--bisect-build"):
            ends = self.words[:2]
            if len(ends) < 2 or any(end.startswith("-") for end in ends):
                raise Failure(f"{name} needs two revisions, a good one and a bad one; see --help")
            self.set_mode("bench-bisect" if self.request.mode == "bench" else "bisect")
            self.request.bisect_build = name == "--bisect-build"
            self.request.ends = (ends[0], ends[1])
            del self.words[:2]
        elif name == "--merge":
            self.set_mode("merge")
            while self.words and not self.words[0].startswith("-"):
                self.request.merged.append(Path(self.words.pop(0)))
        elif name in ("--exec", "--count"):
            if not self.words:
                raise Failure(f"{name} needs a value; see --help")
            self.set_mode(name[2:])
            self.request.command, self.words[:] = list(self.words), []
        elif name == "--help":
            raise HelpWanted
        else:
            raise Failure(f"unknown option: {given}; see --help")

    def set_exact(self) -> None:
        """--exact [SEED]."""
        self.request.exact = True
        if self.words and re.fullmatch("[0-9]+(-[0-9]+)?", self.words[0]):
            self.raw.seed = self.words.pop(0)

    def set_mode(self, mode: str) -> None:
        """There is one. A bisection can be on the kernel's own tests, or on counts, too."""
        if mode == "bench-bisect":
            self.request.mode = mode
            return
        both = {mode, self.request.mode}
        self.request.upstream |= mode == "upstream"
        if "upstream" in both and both & {"bisect", "bisect-step"}:
            [self.request.mode] = both - {"upstream"}
            return
        if both == {"reintroduce", "stress"}:
            # by seeds; check_failures() sees that they are there
            self.request.mode = "reintroduce"
            return
        if self.request.mode != "suite":
            raise Failure(f"--{self.request.mode} and --{mode} exclude each other; give one")
        self.request.mode = mode

    def set_named_mode(self, mode: str, name: str) -> None:
        """--new and --new-test."""
        self.set_mode(mode)
        self.request.new_name = name

    def add_collection(self, name: str) -> None:
        """--collection FOLDER/GLOB."""
        if self.request.mode != "collection":
            self.set_mode("collection")
        self.request.collection.append(collection.split(name))

    def set_completion(self, shell: str) -> None:
        """--completion SHELL."""
        self.set_mode("completion")
        self.request.shell = shell

    def set_stress(self, name: str) -> None:
        """--stress NAME."""
        if self.request.stress:
            raise Failure(f"--stress {self.request.stress} and --stress {name} exclude each other; "
                          "give one")
        self.set_mode("stress")
        self.request.stress = name

    def set_calls(self, text: str) -> None:
        """--calls N,N-N."""
        parse_calls(text)
        self.request.calls = text

    def set_mutate(self, name: str) -> None:
        """--mutate FILE."""
        self.set_mode("mutate")
        self.request.mutate = Selection.parse(name)


def sort_out_files(request: Request) -> None:
    """The user's own C files stand among the globs."""
    words, request.globs = request.globs, []
    for word in words:
        if word.endswith(".c") and Path(word).is_file():
            request.own_files.append(Path(word).resolve())
        elif "/" in word:
            raise Failure(f"{word}: no such C file; tests are named without slashes, --list shows "
                          "them")
        else:
            request.globs.append(word)


def check(request: Request, raw: Raw) -> None:
    """Values, and options that need or exclude others."""
    mode = request.mode
    if raw.timeout and not re.fullmatch("[1-9][0-9]{0,4}", raw.timeout):
        raise Failure(f"--timeout {raw.timeout}: seconds are wanted, 1 to 99999")
    request.timeout = int(raw.timeout or TIMEOUTS.get("upstream" if request.upstream else mode,
                                                      DEFAULT_TIMEOUT))
    if raw.repeat and not re.fullmatch("[1-9][0-9]{0,3}", raw.repeat):
        raise Failure(f"--repeat {raw.repeat}: a number is wanted, 1 to 9999")
    request.repeat = int(raw.repeat or 1)
    check_arch(request)
    check_bisect(request, raw)
    check_failures(request, raw)
    check_formats(request)
    check_cells(request)
    if request.coverage and mode != "suite":
        raise Failure(f"--coverage and --{mode} exclude each other; give one")
    if request.rerun_failed and (mode != "suite" or request.globs or request.own_files):
        raise Failure("--rerun-failed takes the tests of the last run; give no others with it")
    given = [*request.globs, *map(str, request.own_files)]
    if given and mode in ("shell", "exec", "count", "new", "new-test", "stress", "check", "open",
                          "man", "completion", "collection"):
        raise Failure(f"--{mode} takes no test names; got {given[0]}")
    if mode in ("shell", "exec", "count", "new", "new-test") and \
            (len(request.kernels) > 1 or "all" in request.kernels or len(request.configs) > 1 or
             len(request.archs) > 1):
        raise Failure(f"--{mode} works on one kernel; give one -k, one -a and one -c")
    if mode == "regressions":
        request.entries, request.globs = request.globs or ["all"], []
        request.mode = "suite"
    if mode == "reintroduce":
        if not request.globs:
            raise Failure("--reintroduce wants the name of a regression, or all; they are the folders "
                          "of regressions/")
    if mode in ("reintroduce", "mutate") and len(request.configs) > 1:
        raise Failure(f"--{mode} takes one -c")
    if mode in ("reintroduce", "bisect", "bisect-step") and len(request.archs) > 1:
        raise Failure(f"--{mode} takes one -a")
    if mode == "mutate" and request.own_files:
        raise Failure(f"--mutate takes tests of the suite; got {request.own_files[0]}")
    if request.upstream and request.own_files:
        raise Failure(f"--upstream takes no program; got {request.own_files[0]}")
    if mode in ("exec", "count"):
        check_command(request)
    check_stress(request, raw)
    check_seed(request, raw)


def check_arch(request: Request) -> None:
    """Architectures that there are, and what runs on another one than this machine's."""
    archs = [find_arch(name) for name in request.archs]
    foreign = [arch.name for arch in archs if not arch.is_native]
    if foreign and (request.mode in NATIVE_MODES or request.exact):
        option = "exact" if request.exact else request.mode
        raise Failure(f"--{option} works on this machine's architecture only, and not with "
                      f"-a {foreign[0]}")


def check_bisect(request: Request, raw: Raw) -> None:
    """What goes with a bisection only."""
    mode = request.mode
    if raw.worse and mode != "bench-bisect":
        raise Failure("--worse is for --bench --bisect; see --help")
    if mode in ("bisect", "bisect-step", "bench-bisect"):
        if request.kernels:
            raise Failure(f"--{mode} tests a git checkout; give it with --tree and not with -k")
        if len(request.configs) > 1:
            raise Failure(f"--{mode} works with one config; give one -c")
        if mode == "bench-bisect":
            check_worse(request, raw)
        elif not request.globs and not request.own_files and not request.bisect_build:
            raise Failure(f"--{mode} needs the tests that decide; name them")
        if request.bisect_build and (request.globs or request.own_files or request.upstream):
            raise Failure("--bisect-build takes no tests: the kernel is to build and boot")
    if raw.at_once and not re.fullmatch("[123]", raw.at_once):
        raise Failure(f"--at-once {raw.at_once}: a number is wanted, 1 to 3")
    request.at_once = int(raw.at_once or 0)
    if mode in ("bisect", "bench-bisect"):
        for patch in request.patches:
            if not patch.is_file():
                raise Failure(f"--patch {patch}: no such file")
        return
    for option, given in (("--at-once", raw.at_once), ("--path", request.paths), ("--first-parent", request.first_parent),
                          ("--cherry-pick", request.picks), ("--patch", request.patches)):
        if given:
            raise Failure(f"{option} is for --bisect; see --help")
    if mode == "bisect-step":
        return
    if request.tree:
        raise Failure("--tree is for --bisect; without it the kernel is given with -k")
    if request.repeat != 1 and mode != "suite":
        raise Failure(f"--repeat is for tests, and not for --{mode}")


def check_worse(request: Request, raw: Raw) -> None:
    """What goes with --bench --bisect only."""
    if request.bisect_build:
        raise Failure("--bench goes with --bisect, and not with --bisect-build")
    if len(request.globs) != 1 or request.own_files:
        raise Failure("--bench --bisect needs the one operation that became slower; --bench shows "
                      "their names")
    if raw.worse:
        found = re.fullmatch(r"([0-9]{1,3}(\.[0-9]{1,2})?)%?", raw.worse)
        if not found or not float(found[1]):
            raise Failure(f"--worse {raw.worse}: percent are wanted, such as 5%")
        request.worse = float(found[1])


def check_failures(request: Request, raw: Raw) -> None:
    """What is done about failures."""
    mode = request.mode
    if raw.flaky and not re.fullmatch("[1-9][0-9]?", raw.flaky):
        raise Failure(f"--flaky {raw.flaky}: a number is wanted, 1 to 99")
    request.flaky = int(raw.flaky or 0)
    for option, given in (("--known", request.known_file), ("--flaky", raw.flaky)):
        if given and mode not in ("suite", "regressions", "upstream"):
            raise Failure(f"{option} is for tests, and not for --{mode}")
    if request.flaky and request.repeat != 1:
        raise Failure("--flaky and --repeat exclude each other: one looks for tests that pass when "
                      "they are run again, the other for those that fail")
    if request.confusion and (mode != "reintroduce" or request.stress):
        raise Failure("--confusion goes with --reintroduce, and not with --stress; see --help")
    if mode == "reintroduce" and request.stress and not request.exact:
        raise Failure("--reintroduce --stress looks for a race by seeds; say which, as with "
                      "--exact 1-100")


def check_cells(request: Request) -> None:
    """What several machines share."""
    if request.mode == "merge":
        if not request.merged:
            raise Failure("--merge wants the folders of runs; see --help")
        if request.globs or request.kernels or request.configs or request.archs:
            raise Failure("--merge takes the folders of runs, and no tests, kernels, configs or "
                          "architectures")
    for option, given in (("--cells", request.list_cells), ("--cell", request.cell)):
        if given and request.mode not in TESTING:
            raise Failure(f"{option} is for tests, and not for --{request.mode}")
        if given and request.rerun_failed:
            raise Failure(f"{option} and --rerun-failed exclude each other: machines have different "
                          "last runs")
    if request.list_cells and request.cell:
        raise Failure("--cells and --cell exclude each other: one lists, the other runs")
    if request.results and not request.list_cells and not request.cell:
        raise Failure("--results goes with --cell or --cells; see --help")


def check_formats(request: Request) -> None:
    """Results come of tests, and of nothing else."""
    if request.formats and request.mode not in (*TESTING, "merge"):
        raise Failure(f"--format is for tests, and not for --{request.mode}")
    formats.check_formats(request.formats)


def check_command(request: Request) -> None:
    """--exec and --count take a static program, or a C file."""
    option = f"--{request.mode}"
    name = request.command[0]
    path = Path(name)
    if name.endswith(".c") and path.is_file():
        request.own_files = [path.resolve()]
        return
    if not path.is_file() or not path.stat().st_mode & 0o111:
        raise Failure(f"{option} {name}: no such program; give the path of a static one, or of a C "
                      "file")
    if not is_static(path):
        raise Failure(f"{option} {name}: it is linked dynamically; link it with -static")


def check_stress(request: Request, raw: Raw) -> None:
    """What goes with --stress only."""
    if request.mode != "stress" and not request.by_seeds:
        if raw.minutes:
            raise Failure("--minutes is for --stress; for tests there is --timeout")
        if request.calls:
            raise Failure("--calls is for --stress fuzz")
        return
    if request.by_seeds and request.stress in ("all", "soak"):
        raise Failure(f"--reintroduce looks in one program by seeds, and not in --stress "
                      f"{request.stress}; give race or race.NAME")
    names = [*STRESS_PROGRAMS, "soak", *(f"race.{race}" for race in RACES)]
    if request.stress not in [*names, "all"]:
        raise Failure(f"--stress {request.stress}: there is no such run; it is one of "
                      f"{' '.join(names)}, or all")
    if raw.minutes:
        if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,2})?", raw.minutes) or not float(raw.minutes):
            raise Failure(f"--minutes {raw.minutes}: minutes are wanted, 0.1 to 9999")
        request.minutes = float(raw.minutes)
    if request.calls:
        if request.stress != "fuzz" or not raw.seed:
            raise Failure("--calls goes with --stress fuzz, and with the seed of the run whose calls "
                          "these are")


def check_seed(request: Request, raw: Raw) -> None:
    """What is left to chance."""
    if request.shuffle and request.mode not in ("suite", "upstream"):
        raise Failure(f"--shuffle is for tests, and not for --{request.mode}")
    if request.replay and not request.exact:
        raise Failure("--replay is for --exact: only such a run fails again in the same way")
    if request.exact:
        check_exact(request)
    elif not request.shuffle and request.mode != "stress":
        if raw.seed:
            raise Failure("--seed is for --stress and --shuffle; nothing else is left to chance")
        return
    found = re.fullmatch("([0-9]{1,18})(?:-([0-9]{1,18}))?", raw.seed)
    if raw.seed and not found:
        raise Failure(f"--seed {raw.seed}: a number is wanted, up to 18 digits, or two with a - "
                      "between them")
    first, last = (int(found[1]), int(found[2] or found[1])) if found else \
        (random.randrange(1 << 30),) * 2
    if not first <= last < first + MOST_SEEDS:
        raise Failure(f"--seed {raw.seed}: that is no range of up to {MOST_SEEDS} seeds")
    request.seeds = list(range(first, last + 1))
    request.seed = first if first == last else None
    if request.replay and (request.mode not in ("suite", "upstream") or request.seed is None or
                           len(request.kernels) > 1 or len(request.configs) > 1):
        raise Failure("--replay is for tests on one kernel, with one -c and one seed")
    if request.exact and request.mode == "exec" and request.seed is None:
        raise Failure("--exact of a single program takes one seed; give a .c file among the tests "
                      "for several")


def check_exact(request: Request) -> None:
    """What goes with --exact."""
    if request.mode == "reintroduce" and not request.stress:
        raise Failure("--reintroduce --exact looks for a race by seeds; say in what, with --stress "
                      "race or race.NAME")
    if request.mode not in ("suite", "upstream", "exec", "stress", "reintroduce"):
        raise Failure(f"--exact is for tests, --exec and --stress, and not for --{request.mode}")
    if "native" in request.kernels:
        raise Failure("--exact wants a guest, whose clock QEMU is; leave -k native out")
    if request.flaky:
        raise Failure("--exact and --flaky exclude each other: what fails fails each time")
