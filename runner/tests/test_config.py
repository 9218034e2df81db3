# SPDX-License-Identifier: GPL-2.0
"""Config fragments: what is read from them, and what came true."""
from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from runner.config import fragment_names, read_config, unmet
from runner.errors import Failure
from runner.packages import Need

ROOT = Path(__file__).resolve().parents[2]


class FragmentTest(unittest.TestCase):
    """Files of the user's own, and of configs/."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def fragment(self, *lines: str, name: str = "x.config") -> str:
        """A fragment with these lines."""
        path = self.folder / name
        path.write_text("".join(f"{line}\n" for line in lines))
        return str(path)

    def test_directives(self) -> None:
        config = read_config(ROOT, self.fragment(
            "# words", "# guest: append=a=b", "# guest: module=m=1", "# guest: cpus=1",
            "# guest: hugepages=20", "# guest: thp=always", "# guest: spread",
            "# guest: beside=x -y 1", "# make: LLVM=1", "# needs: a:b", "CONFIG_A=y",
            "# CONFIG_B is not set"))
        self.assertEqual(config.guest.append, ("a=b",))
        self.assertEqual(config.guest.module, ("m=1",))
        self.assertEqual((config.guest.cpus, config.guest.hugepages), (1, 20))
        self.assertEqual(config.guest.thp, "always")
        self.assertTrue(config.guest.spread)
        self.assertFalse(config.guest.slow)
        self.assertEqual(config.guest.beside, "x -y 1")
        self.assertEqual(config.make, ("LLVM=1",))
        self.assertEqual(config.needs, (Need("a", "b"),))
        self.assertEqual(config.build_lines(),
                         ["# make: LLVM=1", "CONFIG_A=y", "# CONFIG_B is not set"])

    def test_directives_that_are_not_understood(self) -> None:
        for line in ("# guest: banana=1", "# guest: cpus=0", "# guest: append=", "# make: x",
                     "# guest: hugepages=many", "# guest: thp=often", "# needs: x"):
            with self.subTest(line), self.assertRaises(Failure):
                read_config(ROOT, self.fragment(line))

    def test_two_programs_beside_the_tests(self) -> None:
        with self.assertRaises(Failure):
            read_config(ROOT, self.fragment("# guest: beside=a", "# guest: beside=b"))

    def test_names(self) -> None:
        self.assertEqual([path.name for path in read_config(ROOT, "up+nothp").fragments],
                         ["up.config", "nothp.config"])
        with self.assertRaisesRegex(Failure, "unknown config: banana; .* nothp "):
            read_config(ROOT, "banana")

    def test_path_with_what_else_has_a_meaning(self) -> None:
        name = self.fragment("CONFIG_A=y", name="a +[b]*.config")
        self.assertEqual(fragment_names(name), [name])
        self.assertEqual(read_config(ROOT, name).build_lines(), ["CONFIG_A=y"])

    def test_own_fragments_are_understood(self) -> None:
        for path in (ROOT / "configs").glob("*.config"):
            with self.subTest(path.name):
                read_config(ROOT, path.stem)

    def test_unmet(self) -> None:
        self.assertEqual(unmet("CONFIG_A=y\nCONFIG_B=y\n", [
            "CONFIG_A=y", "CONFIG_GONE=y", "# CONFIG_B is not set", "# CONFIG_C is not set",
            "# make: X=1"]), ["CONFIG_GONE=y", "CONFIG_B=n"])


if __name__ == "__main__":
    unittest.main()
