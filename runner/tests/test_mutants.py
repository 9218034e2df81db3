# SPDX-License-Identifier: GPL-2.0
"""Mutants of a C file: which there are, and that the file with them still is the same program."""
from __future__ import annotations

import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import FrozenSet, List, Tuple

from runner.errors import Failure
from runner.mutantlist import Listed, Selection, order, read_list
from runner.mutants import NAME, Mutant, Mutated, compiled, mutate, reached

# What the kernel's headers give to a mutated file, for a program of ours.
HEADERS = """
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#undef __always_inline
#define __always_inline inline
#define READ_ONCE(x) (x)
#define MODULE_PARAM_PREFIX ""
#define KBUILD_MODNAME ""
struct kernel_param { int dummy; };
struct kernel_param_ops { int (*set)(const char *, const struct kernel_param *);
                          int (*get)(char *, const struct kernel_param *); };
#define module_param_cb(name, ops, arg, mode) const void *const param_##name = ops
static int param_set_uint(const char *text, const struct kernel_param *param);
static int param_get_uint(char *text, const struct kernel_param *param) { return 0; }
"""
MAIN = f"""
#include <stdio.h>
static int param_set_uint(const char *text, const struct kernel_param *param)
{{
\t{NAME}_number = strtoul(text, NULL, 0);
\treturn 0;
}}
int main(int argc, char **argv)
{{
\tchar text[4096];

\t{NAME}_set(argv[1], NULL);
\tprintf("%d ", subject(atoi(argv[2]), atoi(argv[3])));
\ttext[{NAME}_get(text, NULL)] = 0;
\tprintf("%s", text);
\treturn 0;
}}
"""


def changes(body: str) -> List[str]:
    """The changes in a function of these statements."""
    return [mutant.change for mutant in mutate(f"int f(int a, int b)\n{{\n{body}\n}}\n").mutants]


class FindTest(unittest.TestCase):
    """Which changes there are."""

    def test_conditions_and_their_terms(self) -> None:
        self.assertEqual(["not (a && !(b || g(a)))", "not (a)", "not (!(b || g(a)))", "not (b)",
                          "not (g(a))", "-EINVAL for -EBUSY"],
                         changes("if (a && !(b || g(a)))\n\treturn -EBUSY;"))

    def test_a_single_term_once(self) -> None:
        self.assertEqual(["not (!a)"], changes("if (!a)\n\tgoto out;"))
        self.assertEqual(["not (a < b)"], changes("if (unlikely((a < b)))\n\treturn 0;"))

    def test_conditions_in_values(self) -> None:
        self.assertEqual(["not (a)"], changes("int c = a ? 1 : 2;"))
        self.assertEqual(["not (a == b)"], changes("int c = 1 + (a == b);"))
        self.assertEqual(["not (a && b)", "not (a)", "not (b)"], changes("return a && b;"))
        self.assertEqual(["not (g(a))"], changes("return (g(a) ? 1 : 2) | b;"))
        self.assertEqual(["without h(a || b)", "not (a || b)", "not (a)", "not (b)"],
                         changes("h(a || b);"))

    def test_statements(self) -> None:
        self.assertEqual(["without *p = 0", "without a->b |= 4", "without a[1]++", "without --b",
                          "without g(a, b)"],
                         changes("*p = 0;\na->b |= 4;\na[1]++;\n--b;\ng(a,\n  b);"))

    def test_what_is_left_alone(self) -> None:
        self.assertEqual([], changes("int c = a, d = g(b);\nstruct s s = { .a = !a };\n"
                                     "pte_t *p = q;\nWARN_ON_ONCE(!a);\nBUG_ON(a && b);\n"
                                     "mmap_assert_locked(a);\nreturn g(a);"))
        self.assertEqual([], [mutant.change for mutant in mutate(
            "static int x = 1;\n#define F(a) if (a) b = 1\nint g(int a);\n"
            "struct s { int a; } s = { .a = 1 };\n").mutants])

    def test_loops(self) -> None:
        self.assertEqual(["not (a < b)", "without p++"],
                         changes("for (a = 0; a < b; a++, p++)\n\t;"))
        self.assertEqual(["without a++", "not (a == -EBUSY)", "-EINVAL for -EBUSY"],
                         changes("do {\n\ta++;\n} while (a == -EBUSY);"))
        self.assertEqual([], changes("while (1)\n\tbreak;"))

    def test_error_codes(self) -> None:
        self.assertEqual(["-EFAULT for -EINVAL", "-EINVAL for -EFAULT", "-EINVAL for -EFAULT #2"],
                         changes("return -EINVAL;\nreturn -EFAULT;\nreturn -EFAULT;"))
        self.assertEqual([], changes("return a -EFAULT;\nreturn g(a) - EFAULT;"))

    def test_the_second_of_its_words(self) -> None:
        self.assertEqual(["without g()", "without g() #2"], changes("g();\ng();"))

    def test_lines_and_functions(self) -> None:
        text = "/*\n * {\n */\nint f(void)\n{\n\tg(\"}\");\n}\n\nint h(int a)\n{\n\tif (a)\n\t\tg();\n}\n"
        self.assertEqual([(6, "f"), (11, "h"), (12, "h")],
                         [(mutant.line, mutant.function) for mutant in mutate(text).mutants])

    def test_comments_do_not_count(self) -> None:
        self.assertEqual(["not (a || b)", "not (a)", "not (b)"],
                         changes("if (a || /* or so */ b) /* { */\n\treturn 0;"))

    def test_what_is_not_understood(self) -> None:
        for body in ("if a\n\treturn;", "a = 1", "a = (1;", "return a ? b;", "else b = 1;"):
            with self.assertRaises(Failure, msg=body):
                changes(body)


class ProgramTest(unittest.TestCase):
    """The file with all mutants, compiled."""

    SUBJECT = """#include <errno.h>
static int subject(int a, int b)
{
	int i, sum = 0, late;

	late = 1000;
	if (a < 0)
		return -EINVAL;
	else if (a == 1 && b)
		sum = 100;
	else
		sum += 10;
#ifdef NOT_THERE
	sum = 7;
#endif
	for (i = 0; i < b; i++)
		sum++;
	if (late != 1000)
		return 4;
	return a > 5 ? sum : -sum;
}
"""

    folder: "tempfile.TemporaryDirectory[str]"
    program: Path
    mutated: Mutated
    preprocessed: str

    @classmethod
    def setUpClass(cls) -> None:
        cls.mutated = mutate(cls.SUBJECT)
        cls.folder = tempfile.TemporaryDirectory()
        source, cls.program = Path(cls.folder.name) / "a.c", Path(cls.folder.name) / "a"
        text = cls.mutated.text.replace("#include <linux/moduleparam.h>\n", HEADERS)
        source.write_text(text + MAIN, encoding="utf-8")
        subprocess.run(["gcc", "-O2", "-Wall", "-Werror", "-Wno-unused-but-set-variable",
                        "-Wno-unused-variable", "-o", str(cls.program), str(source)], check=True)
        cls.preprocessed = subprocess.run(["gcc", "-E", str(source)], check=True,
                                          capture_output=True, text=True).stdout

    @classmethod
    def tearDownClass(cls) -> None:
        cls.folder.cleanup()

    def run_it(self, mutant: int, a: int, b: int) -> Tuple[int, FrozenSet[int]]:
        out = subprocess.run([str(self.program), str(mutant), str(a), str(b)], check=True,
                             capture_output=True, text=True).stdout.split()
        return int(out[0]), reached(out[1])

    def number(self, change: str) -> int:
        return next(mutant.number for mutant in self.mutated.mutants if mutant.change == change)

    def test_without_a_mutant(self) -> None:
        self.assertEqual([-22, -102, -12, 12], [self.run_it(0, a, 2)[0] for a in (-1, 1, 2, 6)])

    def test_each_mutant_changes_an_answer(self) -> None:
        inputs = [(-1, 2), (1, 0), (1, 2), (6, 2)]
        right = [self.run_it(0, a, b)[0] for a, b in inputs]
        here = compiled(self.preprocessed)
        for mutant in self.mutated.mutants:
            if mutant.number in here:
                self.assertNotEqual(right, [self.run_it(mutant.number, a, b)[0]
                                            for a, b in inputs], mutant)

    def test_an_else_stays_where_it_is(self) -> None:
        self.assertEqual(-10, self.run_it(self.number("without sum = 100"), 1, 0)[0])
        self.assertEqual(-2, self.run_it(self.number("without sum = 100"), 1, 2)[0])
        self.assertEqual(-2, self.run_it(self.number("without sum += 10"), 2, 2)[0])

    def test_a_variable_without_its_only_assignment(self) -> None:
        # the compiler must not take the value that is left out
        number = self.number("without late = 1000")
        self.assertEqual(4, self.run_it(number, 2, 2)[0])

    def test_what_is_reached(self) -> None:
        numbers = self.run_it(0, -1, 0)[1]
        self.assertEqual({self.number("without late = 1000"), self.number("not (a < 0)"),
                          self.number("-EFAULT for -EINVAL")}, numbers)
        self.assertIn(self.number("without sum++"), self.run_it(0, 2, 1)[1])
        self.assertNotIn(self.number("without sum++"), self.run_it(0, 2, 0)[1])

    def test_what_is_compiled(self) -> None:
        everything = {mutant.number for mutant in self.mutated.mutants}
        self.assertEqual({self.number("without sum = 7")},
                         everything - compiled(self.preprocessed))

    def test_lines_keep_their_numbers(self) -> None:
        self.assertEqual("#line 2", self.mutated.text.split(NAME + "(a")[0].split(
            "static int subject")[0].splitlines()[-1])


class SelectionTest(unittest.TestCase):
    """What --mutate is given."""

    def test_parts_of_a_file(self) -> None:
        mutant = Mutant(3, 120, "hmm_vma_fault", "not (a)")
        for word, has in (("mm/hmm.c", True), ("mm/hmm.c:120", True), ("mm/hmm.c:100-120", True),
                          ("mm/hmm.c:121-140", False), ("mm/hmm.c:hmm_vma_*", True),
                          ("mm/hmm.c:hmm_range_fault", False)):
            self.assertEqual(has, Selection.parse(word).has(mutant), word)
            self.assertEqual(word.replace(":120", ":120-120"), str(Selection.parse(word)))

    def test_bad_ones(self) -> None:
        for word in ("", "hmm", "mm/hmm.h", "/mm/hmm.c", "mm/hmm.c:", "mm/hmm.c:9-1", "mm/hmm.c:a b",
                     "../mm/hmm.c"):
            with self.assertRaises(Failure, msg=word):
                Selection.parse(word)


class ListTest(unittest.TestCase):
    """The list of mutants that change no answer."""

    TEXT = """# a comment
f: without g()
	nobody looks
	at it
f: not (a) #2
	[CONFIG_A] only there
h: not (b)
	[no CONFIG_A] only elsewhere
*: without nothing()
	an empty macro
"""

    def reasons(self, config: str) -> List[str]:
        listed = read_list(self.TEXT, "list", {config})
        return [listed.reason(Mutant(1, 1, function, change)) for function, change in (
            ("f", "without g()"), ("f", "not (a) #2"), ("f", "not (a)"), ("h", "not (b)"),
            ("x", "without nothing() #3"))]

    def test_reasons(self) -> None:
        self.assertEqual(["nobody looks at it", "only there", "", "", "an empty macro"],
                         self.reasons("CONFIG_A=y"))
        self.assertEqual(["nobody looks at it", "", "", "only elsewhere", "an empty macro"],
                         self.reasons("CONFIG_B=y"))

    def test_bad_lists(self) -> None:
        for text in ("f without\n\tx\n", "f: a\n", "\treason\n", "f: a\n\t[CONFIG_A]\n"):
            with self.assertRaises(Failure, msg=text):
                read_list(text, "list", set())

    def test_empty(self) -> None:
        self.assertEqual("", Listed().reason(Mutant(1, 1, "f", "not (a)")))


class OrderTest(unittest.TestCase):
    """Which test looks first."""

    def test_programs_by_turns(self) -> None:
        names = ["a1", "a2", "a3", "b1", "b2", "c1"]
        milliseconds = {"a1": 5, "a2": 1, "a3": 9, "b1": 100, "b2": 50, "c1": 7}
        self.assertEqual(["a2", "a1", "c1", "b2", "b1", "a3"], order(
            names, milliseconds, {name: name[0] for name in names}, share=2))


if __name__ == "__main__":
    unittest.main()
