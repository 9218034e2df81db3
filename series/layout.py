# SPDX-License-Identifier: GPL-2.0
"""Where each file of these sources goes in a kernel tree, and what is changed on the way."""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Dict, List, Sequence, Set

from runner.errors import Failure
from series.ctext import words
from series.reduce import Reducer, prune
from series.steps import partial, without

DRIVER = "lib/test_hmmirror"
TESTS = "tools/testing/selftests/mm/hmmirror"
UAPI = "lib/test_hmm_uapi.h"
# main() of the programs: the tree's harness has one, and ways to choose tests
NOT_IN_TREE = ("selftests/hmm_main.h", "selftests/hmm_serve.h", "selftests/template.c")
# what TEST_HMMIRROR depends on, or what that selects; and a macro of that architecture
OPTIONS = ("CONFIG_DEVICE_PRIVATE", "CONFIG_ZONE_DEVICE", "CONFIG_X86_64", "__swp_entry_to_pmd")
OTHER_ARCHITECTURES = ("CONFIG_ARM64",)
# for hmm-tests of other releases than the tree's
OTHER_RELEASES = ("hmmirror_test_abi_5_10", "test_abi")
# files above all layers, which name what is in many of them
TOPS = ("main.c", "abi/calls.h", "abi/query.c")

# words that mean something else in the tree; the first part is an expression
WORDS = (
    (r" \(docs/[\w/-]+\.md\)", ""),
    (r"docs/[\w/-]+\.md", "Documentation/mm/hmmirror.rst"),
    (r"\bdriver/uapi\b", f"{DRIVER}/uapi"),
    (r"\bselftests/common/", "common/"),
)


@dataclass(frozen=True)
class Step:
    """One patch that adds files."""

    message: str
    # globs of the driver's files that are there from here on
    driver: Sequence[str] = ()
    # globs of programs
    programs: Sequence[str] = ()
    library: bool = False
    documentation: bool = False


STEPS = (
    Step("mirror", driver=("main.c", "helpers.h", "core/*", "hooks/*", "uapi/*", "abi/calls.h",
                           "abi/query.c", "abi/range.c", "abi/hooks.*")),
    Step("memory", driver=("memory/*", "abi/migrate.c")),
    Step("access", driver=("access/*", "abi/copy.c", "abi/dma.c", "abi/exclusive.c")),
    Step("test-abi", driver=("abi/test_abi.*",)),
    Step("library", library=True),
    Step("walk", programs=("walk_*",)),
    Step("migrate", programs=("migrate*", "device_*", "fork", "regress")),
    Step("use", programs=("copy", "dma*", "exclusive", "mirror", "inject", "testabi")),
    Step("abi", programs=("abi*", "fail_*")),
    Step("documentation", documentation=True),
)


@dataclass
class Sources:
    """These sources as the tree has them: of the driver, of the library, of the tests."""

    driver: Dict[str, str] = field(default_factory=dict)
    library: Dict[str, str] = field(default_factory=dict)
    tests: Dict[str, str] = field(default_factory=dict)

    @property
    def programs(self) -> List[str]:
        """Their names."""
        return sorted(name[:-2] for name in self.tests if name.endswith(".c") and "/" not in name)


def read_sources(root: Path, tree: Path, reducer: Reducer) -> Sources:
    """Reads and adapts all files."""
    uapi = (tree / UAPI).read_text(encoding="utf-8")
    out = Sources()
    for name, text in reducer.reduce(root / "driver").items():
        if name == "uapi/test_abi.h":
            continue
        # a call that this kernel's header lacks
        lacks = {word for word in re.findall(r"\bHMM_DMIRROR_\w+", text) if not words(uapi, word)}
        text = without(text, lacks | set(OTHER_RELEASES)) if name.endswith((".c", ".h")) else text
        if (tree / "include/linux/slab.h").read_text(encoding="utf-8").find("kzalloc_obj(") >= 0:
            text = newest_alloc(text)
        out.driver[name] = adapt(prune(text) if name.endswith(".c") else text, "../test_hmm_uapi.h")
    for path in sorted((root / "lib").glob("*.[ch]")):
        out.library[path.name] = adapt(read(path), "lib/test_hmm_uapi.h")
    for path in sorted([*(root / "selftests").glob("*.[ch]"),
                        *(root / "selftests/common").glob("*.[ch]")]):
        name = str(path.relative_to(root / "selftests"))
        if f"selftests/{name}" not in NOT_IN_TREE:
            out.tests[name] = adapt(read(path), "lib/test_hmm_uapi.h")
    return out


def newest_alloc(text: str) -> str:
    """Memory for one object, as trees say it that have kzalloc_obj()."""
    def call(found: "re.Match[str]") -> str:
        gfp = "" if found[3] == "GFP_KERNEL" else f", {found[3]}"
        return f"{found[1]}_obj({found[2]}{gfp})"
    return re.sub(r"\b(kv?[mz]alloc)\(sizeof\((\*[\w.>-]+)\), ([\w |]+)\)", call, text)


def read(path: Path) -> str:
    """The text of a file."""
    return path.read_text(encoding="utf-8")


def adapt(text: str, uapi: str) -> str:
    """The words and includes of the tree."""
    for expression, replacement in WORDS:
        text = re.sub(expression, replacement, text)
    text = text.replace('#include "hmm_main.h"', "TEST_HARNESS_MAIN")
    if uapi.startswith(".."):
        return re.sub(r'#include "(uapi/)?test_abi\.h"', f'#include "{uapi}"', text)
    text = re.sub(r'#include "test_abi\.h"', f"#include <{uapi}>", text)
    return re.sub(r'#include "hmmirror\.h"', f"#include <{DRIVER}/uapi/hmmirror.h>", text)


class Layout:
    """The files of the tree after each step."""

    def __init__(self, sources: Sources, texts: Path, config: str) -> None:
        self.sources = sources
        self.texts = texts
        self.config = config

    def at(self, number: int) -> Dict[str, str]:
        """Paths and contents after the first number steps; files of the tree's own apart."""
        steps = STEPS[:number]
        files = self.driver([glob for step in steps for glob in step.driver])
        if any(step.library for step in steps):
            files.update({f"{TESTS}/lib/{name}": text
                          for name, text in self.sources.library.items()})
        globs = [glob for step in steps for glob in step.programs]
        if globs:
            files.update(self.tests(globs))
        if any(step.documentation for step in steps):
            files["Documentation/mm/hmmirror.rst"] = read(self.texts / "hmmirror.rst")
        return files

    def driver(self, globs: Sequence[str]) -> Dict[str, str]:
        """The files of the driver that are there."""
        names = [name for name in self.sources.driver
                 if any(fnmatch(name, glob) for glob in globs)]
        present = partial(self.sources.driver, names, TOPS)
        objects = sorted((f"{name[:-2]}.o" for name in names if name.endswith(".c")),
                         key=lambda name: ("/" in name, name))
        makefile = read(self.texts / "driver.Makefile") + \
            listed("hmmirror-y :=", "hmmirror-y +=", objects)
        files = {f"{DRIVER}/{name}": text for name, text in present.items()}
        files[f"{DRIVER}/Makefile"] = makefile
        return files

    def tests(self, globs: Sequence[str]) -> Dict[str, str]:
        """The programs that are there, with what they share."""
        programs = [name for name in self.sources.programs
                    if any(fnmatch(name, glob) for glob in globs)]
        needed = closure(self.sources.tests, [f"{name}.c" for name in programs])
        files = {f"{TESTS}/{name}": self.sources.tests[name] for name in sorted(needed)}
        # lib.mk reads one line as well, but a list is easier to change
        text = read(self.texts / "selftests.Makefile").replace(
            "@PROGRAMS@\n", "".join(f"TEST_GEN_PROGS += {name}\n" for name in programs))
        files[f"{TESTS}/Makefile"] = text
        files[f"{TESTS}/.gitignore"] = read(self.texts / "gitignore")
        files[f"{TESTS}/settings"] = read(self.texts / "settings")
        files[f"{TESTS}/config"] = self.config
        return files


def listed(first: str, further: str, words_: Sequence[str]) -> str:
    """A make variable, a line for each folder."""
    folders: Dict[str, List[str]] = {}
    for word in words_:
        folders.setdefault(word.rpartition("/")[0], []).append(word)
    lines = []
    for number, group in enumerate(folders.values()):
        line = first if not number else further
        for word in group:
            if len(line) + len(word) > 90:
                lines.append(line)
                line = further
            line += f" {word}"
        lines.append(line)
    return "".join(f"{line}\n" for line in lines)


def closure(files: Dict[str, str], names: Sequence[str]) -> Set[str]:
    """These files with all that they include, and the C files beside those headers."""
    needed: Set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name in needed:
            continue
        if name not in files:
            raise Failure(f"series: there is no {name}")
        needed.add(name)
        for header in re.findall(r'^#include "([^"]+)"', files[name], re.M):
            for found in (header, f"common/{header}"):
                if found in files:
                    pending.append(found)
                    if found[:-1] + "c" in files:
                        pending.append(found[:-1] + "c")
    # some headers are about several C files of one name: expect.h is about expect_walk.c
    for name in list(needed):
        stem = name[:-2]
        pending += [other for other in files if other.startswith(f"{stem}_") and
                    name.startswith("common/") and other.endswith(".c")]
    return needed | closure(files, pending) if set(pending) - needed else needed


def config_of(text: str) -> str:
    """The options of the suite; TEST_HMMIRROR selects some."""
    lines = [line for line in text.splitlines() if line != "CONFIG_HMM_MIRROR=y"]
    return "".join(f"{line}\n" for line in sorted([*lines, "CONFIG_TEST_HMMIRROR=m"]))
