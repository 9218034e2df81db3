# SPDX-License-Identifier: GPL-2.0
"""Names of kernels, and what a tree tells without being built."""
from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from runner.build import KERNEL_ONLY, SPARED, tree_files, tree_words
from runner.cache import Cache
from runner.host import Host
from runner.kernel import Kernel, Kind, has_option, leftover, tree_version
from runner.cells import short_name
from runner.terminal import Terminal


class TreeTest(unittest.TestCase):
    """A tree's own files."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.tree = Path(folder.name)

    def write(self, name: str, text: str) -> None:
        """A file of the tree."""
        (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
        (self.tree / name).write_text(text)

    def test_version(self) -> None:
        self.write("Makefile", "# SPDX\nVERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 0\n"
                   "EXTRAVERSION = -rc7\nNAME = Baby\nVERSION = 9\n")
        self.assertEqual(tree_version(self.tree), "7.3.0-rc7")
        self.write("Makefile", "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 192\nEXTRAVERSION =\n")
        self.assertEqual(tree_version(self.tree), "6.1.192")

    def test_host_programs_that_define_a_variable_twice(self) -> None:
        self.assertNotIn("HOSTCFLAGS=-fcommon", tree_words(self.tree))
        self.write("scripts/dtc/dtc-lexer.l", "extern YYLTYPE yylloc;\n")
        self.assertNotIn("HOSTCFLAGS=-fcommon", tree_words(self.tree))
        self.write("scripts/dtc/dtc-lexer.l", "YYLTYPE yylloc;\n")
        self.assertIn("HOSTCFLAGS=-fcommon", tree_words(self.tree))

    def test_leftover(self) -> None:
        self.assertEqual(leftover(self.tree), "")
        self.write("include/generated/x.h", "")
        self.assertEqual(leftover(self.tree), "include/generated")

    def test_option(self) -> None:
        self.write(".config", "CONFIG_AB=y\n# CONFIG_C is not set\nCONFIG_D=m\n")
        found = [name for name in ("A", "AB", "C", "D") if has_option(self.tree / ".config",
                                                                      f"CONFIG_{name}")]
        self.assertEqual(found, ["AB"])


class StateTest(unittest.IsolatedAsyncioTestCase):
    """What makes a tree another one, for the build in the cache."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.tree = Path(folder.name) / "tree"
        self.host = Host(self.tree, Cache(Path(folder.name) / "cache", Terminal()), Terminal())

    async def changes(self, name: str) -> bool:
        """Does a change of this file change the state?"""
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("one")
        before = await tree_files(self.host, self.tree)
        path.write_text("another")
        return await tree_files(self.host, self.tree) != before

    async def test_every_file_that_a_config_can_build(self) -> None:
        for name in ("mm/hmm.c", "drivers/gpu/drm/a.c", "drivers/net/a.c", "drivers/usb/a.c",
                     "drivers/media/a.c", "drivers/staging/a.c", "arch/arm64/mm/a.c",
                     "sound/core/a.c", "Kconfig", "scripts/a.sh"):
            with self.subTest(name):
                self.assertTrue(await self.changes(name))

    async def test_files_that_no_build_reads(self) -> None:
        for name in ("Documentation/a.rst", ".git/index", "tools/testing/selftests/a.c"):
            with self.subTest(name):
                self.assertFalse(await self.changes(name))


class NameTest(unittest.TestCase):
    """What the user sees."""

    def test_release(self) -> None:
        self.assertEqual(Kernel("6.12.117-1~deb12u1", Kind.PACKAGE).release, "6.12")

    def test_short_name(self) -> None:
        self.assertEqual(short_name("/a/linux/bzImage:/b/c"), "bzImage")
        self.assertEqual(short_name("linux-image-amd64"), "linux-image-amd64")
        self.assertEqual(short_name("/a/my tree"), "my tree")

    def test_what_a_module_does_not_depend_on(self) -> None:
        for name in ("mm/hmm.c", "arch/x86/mm/fault.c", "drivers/gpu/drm/drm_mm.c"):
            self.assertTrue(KERNEL_ONLY.match(f"./{name} 1.5 10"), name)
        for name in ("include/linux/mm.h", "scripts/mod/modpost.c", "mm/internal.h", "Makefile"):
            self.assertFalse(KERNEL_ONLY.match(f"./{name} 1.5 10"), name)

    def test_struct_module_of_a_kernel_that_counts(self) -> None:
        self.assertTrue(SPARED.fullmatch(
            "#ifdefCONFIG_CONSTRUCTORSctor_fn_t*ctors;unsignedintnum_ctors;#endif"
            "#ifdefCONFIG_FUNCTION_ERROR_INJECTIONx;#endif}____cacheline_aligned__randomize_layout"))


if __name__ == "__main__":
    unittest.main()
