# SPDX-License-Identifier: GPL-2.0
"""The driver's folders are layers, and its files keep to them.

Reads the sources of driver/ and fails on an include that goes up, on a circle of modules, and
on what belongs into driver/compat/ only. A call needs a declaration, and declarations are in
headers, so calls go where includes go.
"""

import re
import tempfile
import unittest
from pathlib import Path
from typing import Dict, Iterator, List, Set, Tuple

DRIVER = Path(__file__).resolve().parents[2] / "driver"

# Top to bottom. main.c is above all, and every file may use the ABI headers of uapi/.
LAYERS = ["abi", "access", "memory", "core", "hooks", "compat"]

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
CONDITION = re.compile(r"^\s*#\s*(if|ifdef|ifndef|elif)\b.*$", re.MULTILINE)
VERSION = re.compile(r"\b(LINUX_VERSION_CODE|KERNEL_VERSION)\b")
EXTERN = re.compile(r"^extern\b", re.MULTILINE)


def sources(driver: Path) -> Iterator[Tuple[str, str]]:
    """Each C file of a driver: its name below the driver's folder, and its text."""
    for path in sorted(driver.rglob("*.[ch]")):
        name = path.relative_to(driver).as_posix()
        # made by builds: compat/features.h, hmmirror.mod.c
        if name == "compat/features.h" or name.endswith(".mod.c"):
            continue
        yield name, path.read_text(encoding="utf-8")


def layer(name: str) -> str:
    """The folder of a file; empty for main.c."""
    return name.split("/")[0] if "/" in name else ""


def rank(name: str) -> int:
    """0 for what is above all layers, then 1 for the highest."""
    folder = layer(name)
    if folder == "uapi":
        return len(LAYERS) + 1
    return LAYERS.index(folder) + 1 if folder in LAYERS else 0


def module(name: str) -> str:
    """A .c and its .h are one module."""
    return name.rsplit(".", 1)[0]


def include_faults(driver: Path) -> List[str]:
    """Includes that go up, leave the driver, or lead to no file."""
    faults = []
    for name, text in sources(driver):
        if layer(name) and layer(name) not in LAYERS + ["uapi"]:
            faults.append(f"{name}: no layer is named {layer(name)}")
            continue
        if layer(name) == "compat" or layer(name) == "uapi":
            continue
        for target in INCLUDE.findall(text):
            if not (driver / target).is_file():
                faults.append(f"{name}: {target} is not below driver/")
            elif rank(target) < rank(name) or rank(target) == 0:
                faults.append(f"{name}: {target} is in a higher layer")
    return faults


def compat_include_faults(driver: Path) -> List[str]:
    """Of compat/, whose files include each other by relative names."""
    faults = []
    for name, text in sources(driver):
        if layer(name) != "compat":
            continue
        for target in INCLUDE.findall(text):
            found = ((driver / name).parent / target).resolve()
            try:
                rest = found.relative_to(driver.resolve()).as_posix()
            except ValueError:
                rest = ""
            if layer(rest) not in ("compat", "uapi"):
                faults.append(f"{name}: {target} is in a higher layer")
    return faults


def circles(driver: Path) -> List[str]:
    """Modules that lead back to themselves."""
    uses: Dict[str, Set[str]] = {}
    for name, text in sources(driver):
        if layer(name) != "compat":
            uses.setdefault(module(name), set()).update(
                module(target) for target in INCLUDE.findall(text)
                if module(target) != module(name) and layer(target) != "compat")
    found: List[str] = []
    done: Set[str] = set()

    def visit(one: str, path: List[str]) -> None:
        if one in path:
            found.append(" > ".join(path[path.index(one):] + [one]))
            return
        if one in done:
            return
        for other in sorted(uses.get(one, set())):
            visit(other, path + [one])
        done.add(one)

    for start in sorted(uses):
        visit(start, [])
    return found


def feature_faults(driver: Path) -> List[str]:
    """What only compat/ may ask, or nobody."""
    faults = []
    for name, text in sources(driver):
        for match in VERSION.finditer(text):
            faults.append(f"{name}: {match.group()}; kernels are told apart by probes")
        if layer(name) in ("compat", "uapi"):
            continue
        guard = "HMMIRROR_" + module(name).replace("/", "_").upper() + "_H"
        for match in CONDITION.finditer(text):
            if match.group().split() != ["#ifndef", guard]:
                faults.append(f"{name}: {match.group().strip()}; that belongs into compat/")
        if name.endswith(".c") and EXTERN.search(text):
            faults.append(f"{name}: extern; declare it in the header of its module")
    return faults


class TestDriver(unittest.TestCase):
    """The driver as it is."""

    def test_sources_are_found(self) -> None:
        folders = {layer(name) for name, _ in sources(DRIVER)}
        self.assertEqual(folders, set(LAYERS) | {"", "uapi"})

    def test_includes_go_down(self) -> None:
        self.assertEqual(include_faults(DRIVER) + compat_include_faults(DRIVER), [])

    def test_there_is_no_circle(self) -> None:
        self.assertEqual(circles(DRIVER), [])

    def test_features_are_asked_in_compat(self) -> None:
        self.assertEqual(feature_faults(DRIVER), [])

    def test_modules_have_headers(self) -> None:
        """abi/ has one for all handlers, and compat/ one for all it supplies."""
        names = {name for name, _ in sources(DRIVER)}
        lacking = [name for name in names if name.endswith(".c") and "/" in name and
                   layer(name) not in ("abi", "compat") and module(name) + ".h" not in names]
        self.assertEqual(lacking, [])


class TestChecks(unittest.TestCase):
    """The checks find what they are for."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.driver = Path(folder.name)
        for name in LAYERS + ["uapi"]:
            (self.driver / name).mkdir()
        self.put("core/walk.h", "#ifndef HMMIRROR_CORE_WALK_H\n#define HMMIRROR_CORE_WALK_H\n")
        self.put("memory/fill.h", '#include "core/walk.h"\n')

    def put(self, name: str, text: str) -> None:
        (self.driver / name).write_text(text, encoding="utf-8")

    def test_down_and_beside_are_right(self) -> None:
        self.put("memory/migrate.c", '#include "memory/fill.h"\n#include "core/walk.h"\n')
        self.put("main.c", '#include "memory/fill.h"\n')
        self.assertEqual(include_faults(self.driver), [])
        self.assertEqual(circles(self.driver), [])
        self.assertEqual(feature_faults(self.driver), [])

    def test_up(self) -> None:
        self.put("core/walk.c", '#include "memory/fill.h"\n')
        self.assertEqual(include_faults(self.driver),
                         ["core/walk.c: memory/fill.h is in a higher layer"])
        self.assertEqual(circles(self.driver), ["core/walk > memory/fill > core/walk"])

    def test_up_from_compat(self) -> None:
        self.put("compat/mm.h", '#include "../core/walk.h"\n')
        self.assertEqual(compat_include_faults(self.driver),
                         ["compat/mm.h: ../core/walk.h is in a higher layer"])

    def test_elsewhere(self) -> None:
        self.put("core/walk.c", '#include "../other.h"\n')
        self.assertEqual(include_faults(self.driver),
                         ["core/walk.c: ../other.h is not below driver/"])

    def test_new_folder(self) -> None:
        (self.driver / "util").mkdir()
        self.put("util/list.c", "")
        self.assertEqual(include_faults(self.driver), ["util/list.c: no layer is named util"])

    def test_condition(self) -> None:
        self.put("core/walk.c", "#ifdef HAVE_FOLIO\n#endif\n")
        self.assertEqual(feature_faults(self.driver),
                         ["core/walk.c: #ifdef HAVE_FOLIO; that belongs into compat/"])

    def test_version(self) -> None:
        self.put("compat/mm.h", "#if LINUX_VERSION_CODE > 5\n#endif\n")
        self.assertEqual(len(feature_faults(self.driver)), 1)

    def test_extern(self) -> None:
        self.put("core/walk.c", "extern int hmmirror_limit;\n")
        self.assertEqual(len(feature_faults(self.driver)), 1)


if __name__ == "__main__":
    unittest.main()
