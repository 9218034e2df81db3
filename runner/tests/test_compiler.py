# SPDX-License-Identifier: GPL-2.0
"""How a gcc that is newer than a kernel is recognised, and the words of make for a compiler."""
from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from runner.compiler import Compiler, too_new
from runner.kernel import compiler_in


class SignTest(unittest.TestCase):
    """Lines of gcc, in both ways in which it quotes."""

    def test_c23(self) -> None:
        for quotes in ("''", "\u2018\u2019"):
            line = (f"./include/linux/stddef.h:11:9: error: cannot use keyword {quotes[0]}false"
                    f"{quotes[1]} as enumeration constant\n")
            self.assertEqual(too_new(f"  CC      a.o\n{line}"),
                             (f"cannot use keyword {quotes[0]}false{quotes[1]} as enumeration "
                              "constant", 15))
            line = (f"./include/linux/types.h:35:33: error: {quotes[0]}bool{quotes[1]} cannot be "
                    f"defined via {quotes[0]}typedef{quotes[1]}\n")
            self.assertEqual((too_new(line) or ("", 0))[1], 15)

    def test_warning_that_is_an_error(self) -> None:
        for name, since in (("unterminated-string-initialization", 15),
                            ("calloc-transposed-args", 14), ("enum-int-mismatch", 13),
                            ("use-after-free", 12), ("dangling-pointer=", 12),
                            ("stringop-overread", 11)):
            self.assertEqual(too_new(f"a.c:1:2: error: some words [-Werror={name}]\n"),
                             (f"-Werror={name}", since))
            self.assertIsNone(too_new(f"a.c:1:2: warning: some words [-W{name}]\n"))

    def test_mistake_in_the_source(self) -> None:
        for words in ("expected ';' before 'return'", "'x' undeclared (first use in this function)",
                      "implicit declaration of function 'f' [-Werror=implicit-function-declaration]",
                      "unused variable 'x' [-Werror=unused-variable]"):
            self.assertIsNone(too_new(f"mm/hmm.c:1:2: error: {words}\n"))

    def test_of_several_the_oldest_gcc_counts(self) -> None:
        text = ("a.c:1:2: error: a [-Werror=unterminated-string-initialization]\n"
                "b.c:1:2: error: b [-Werror=use-after-free]\n")
        self.assertEqual(too_new(text), ("-Werror=use-after-free", 12))


class CompilerTest(unittest.TestCase):
    """A compiler."""

    def test_make_words(self) -> None:
        self.assertEqual(Compiler("gcc", "").make_words, ())
        self.assertEqual(Compiler("gcc-12", "").make_words, ("CC=gcc-12", "HOSTCC=gcc-12"))
        self.assertEqual(Compiler("ccache /opt/bin/gcc-9.5", "").make_words,
                         ("CC=ccache /opt/bin/gcc-9.5", "HOSTCC=ccache /opt/bin/gcc-9.5"))
        # what builds for another architecture cannot build kbuild's own programs
        self.assertEqual(Compiler("x86_64-linux-gnu-gcc", "").make_words,
                         ("CC=x86_64-linux-gnu-gcc",))

    def test_what_built_a_kernel(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder) / ".config"
            self.assertEqual(compiler_in(config), "")
            for line in ('CONFIG_CC_VERSION_TEXT="gcc (Debian 12.2.0-14) 12.2.0"',
                         "# Compiler: gcc (Debian 12.2.0-14) 12.2.0"):
                config.write_text(f"#\n{line}\nCONFIG_CC_IS_GCC=y\n")
                self.assertEqual(compiler_in(config), "gcc (Debian 12.2.0-14) 12.2.0")


if __name__ == "__main__":
    unittest.main()
