# SPDX-License-Identifier: GPL-2.0
"""The runner's modules import each other one way: no module is reached from itself."""
from __future__ import annotations

import ast
import unittest
from pathlib import Path
from typing import Dict, List, Set

RUNNER = Path(__file__).resolve().parents[1]


def imports_of(path: Path) -> Set[str]:
    """Modules of the runner that this one imports."""
    found: Set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "runner":
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and \
                node.module.startswith("runner."):
            found.add(node.module[len("runner."):])
    return found


class ImportTest(unittest.TestCase):
    """All modules."""

    def test_no_circle(self) -> None:
        modules: Dict[str, Set[str]] = {}
        for path in [*RUNNER.glob("*.py"), *RUNNER.glob("arch/*.py")]:
            name = ".".join(path.relative_to(RUNNER).with_suffix("").parts)
            modules[name.replace(".__init__", "")] = imports_of(path)
        self.assertIn("suite", modules)

        def walk(name: str, way: List[str]) -> None:
            self.assertNotIn(name, way, " -> ".join([*way, name]))
            for other in modules.get(name, ()):
                walk(other, [*way, name])
        for name in modules:
            walk(name, [])


if __name__ == "__main__":
    unittest.main()
