# SPDX-License-Identifier: GPL-2.0
"""make series: how the driver loses compat/, and how it is before all of it is there."""
from __future__ import annotations

import shutil
import tempfile
import unittest
from pathlib import Path
from typing import Dict

from runner.errors import Failure
from series.layout import TOPS, newest_alloc
from series.reduce import Reducer
from series.steps import partial, without

ROOT = Path(__file__).resolve().parents[2]
COMPAT_TOP = "#ifndef HMMIRROR_COMPAT_A_H\n#define HMMIRROR_COMPAT_A_H\n"
COMPAT_END = "#endif /* HMMIRROR_COMPAT_A_H */\n"


def reduced(compat: str, code: str, *have: str) -> Dict[str, str]:
    """What becomes of a driver with one header of compat/ and one C file."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "compat").mkdir()
        (Path(folder) / "compat/a.h").write_text(COMPAT_TOP + compat + COMPAT_END, encoding="utf-8")
        (Path(folder) / "main.c").write_text(code, encoding="utf-8")
        return Reducer(set(have), {"B"} - set(have), ["CONFIG_C"]).reduce(Path(folder))


@unittest.skipUnless(shutil.which("unifdef"), "unifdef is not installed")
class ReduceTest(unittest.TestCase):
    """Rules of series/reduce.py."""

    NO_B = """static inline const char *compat_no_b(void)
{
#ifdef HAVE_B
	return NULL;
#else
	return "no b";
#endif
}
"""

    def test_constant_removes_branch(self) -> None:
        """What a kernel has needs no check."""
        code = """int f(void)
{
	/* without it there is nothing to do */
	if (compat_no_b())
		return -1;
	return 0;
}
"""
        self.assertEqual(reduced(self.NO_B, code, "B")["main.c"],
                         "int f(void)\n{\n\treturn 0;\n}\n")
        self.assertIn("without it there is nothing to do */\n\treturn -1;",
                      reduced(self.NO_B, code)["main.c"])

    def test_else_is_kept(self) -> None:
        """Of an if with an else, one is left."""
        code = """int f(int a)
{
	if (a == 1)
		return 1;
	else if (!compat_no_b())
		return 2;
	else
		return 3;
}
"""
        self.assertIn("\telse\n\t\treturn 2;\n}", reduced(self.NO_B, code, "B")["main.c"])
        self.assertIn("\telse\n\t\treturn 3;\n}", reduced(self.NO_B, code)["main.c"])

    def test_parts_of_a_condition(self) -> None:
        """Only the known part of a condition goes."""
        code = "int f(int a)\n{\n\tif (a == 1 && !compat_no_b())\n\t\treturn 1;\n\treturn 0;\n}\n"
        self.assertIn("\tif (a == 1)\n", reduced(self.NO_B, code, "B")["main.c"])
        self.assertNotIn("if", reduced(self.NO_B, code)["main.c"])

    def test_options_that_are_depended_on(self) -> None:
        """IS_ENABLED() of such an option is true."""
        code = "int f(void)\n{\n\treturn IS_ENABLED(CONFIG_C) ? 1 : IS_ENABLED(CONFIG_D);\n}\n"
        self.assertIn("\treturn 1;\n", reduced("", code)["main.c"])

    def test_expression_is_put_in(self) -> None:
        """An argument that has the name of a parameter is not replaced once more."""
        compat = "static inline int compat_x(struct s *map)\n{\n\treturn use(&map->x);\n}\n"
        code = "int f(struct t *t)\n{\n\treturn compat_x(&t->map);\n}\n"
        self.assertIn("\treturn use(&t->map.x);\n", reduced(compat, code)["main.c"])

    def test_address_that_is_an_argument(self) -> None:
        compat = "static inline struct u *compat_x(struct s *p)\n{\n\treturn get(p);\n}\n"
        code = "int f(struct t *t)\n{\n\treturn compat_x(&t->a)->b;\n}\n"
        self.assertIn("\treturn get(&t->a)->b;\n", reduced(compat, code)["main.c"])

    def test_longer_function_moves(self) -> None:
        """Above the function that uses it, without its prefix."""
        compat = """/* Counts. */
static inline int compat_count(int a,
			       int b)
{
	int n = a;

	while (n < b)
		n++;
	return n;
}
"""
        code = "int f(void)\n{\n\treturn compat_count(1,\n\t\t\t    2);\n}\n"
        text = reduced(compat, code)["main.c"]
        self.assertTrue(text.startswith("/* Counts. */\nstatic int count(int a,\n\t\t int b)\n"), text)
        self.assertIn("return count(1,\n\t\t     2);", text)

    def test_code_that_is_left(self) -> None:
        """A C file of compat/ that the kernel still needs is an error."""
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "compat").mkdir()
            (Path(folder) / "compat/a.c").write_text("int f(void)\n{\n\treturn 0;\n}\n",
                                                     encoding="utf-8")
            with self.assertRaises(Failure):
                Reducer(set(), set(), []).reduce(Path(folder))

    def test_driver_of_a_kernel_without_anything(self) -> None:
        """It still needs compat/, and the rules say so."""
        lacks = {path.stem.upper() for path in (ROOT / "driver/compat/probes").glob("*.c")}
        with self.assertRaises(Failure):
            Reducer(set(), lacks, []).reduce(ROOT / "driver")


class StepsTest(unittest.TestCase):
    """Rules of series/steps.py."""

    def test_statement(self) -> None:
        """An if goes as a whole, with its comment."""
        code = """int f(void)
{
	int a = 0;

	/* why */
	if (a > missing)
		return 1;
	for (a = 0; a < 3; a++)
		g(a);
	return 0;
}
"""
        self.assertEqual(without(code, ["missing"]), code.replace(
            "\t/* why */\n\tif (a > missing)\n\t\treturn 1;\n", ""))

    def test_parameter_and_row(self) -> None:
        """A parameter goes with its description, a row of a table alone."""
        code = """module_param(missing, int, 0444);
MODULE_PARM_DESC(missing, "it; and more");
module_param(b, int, 0444);

static const struct part *parts[] = {
	&missing,
	&b,
};
"""
        self.assertEqual(without(code, ["missing"]), """module_param(b, int, 0444);

static const struct part *parts[] = {
	&b,
};
""")

    def test_case(self) -> None:
        """A case goes up to the next one."""
        code = """int f(int a)
{
	switch (a) {
	case ONE:
		return 1;
	case TWO:
		return missing();
	default:
		return 0;
	}
}
"""
        self.assertEqual(without(code, ["missing"]),
                         code.replace("\tcase TWO:\n\t\treturn missing();\n", ""))

    def test_partial(self) -> None:
        """Only files above all layers do without something."""
        files = {"main.c": '#include "b.h"\n\nint f(void)\n{\n\tb();\n\treturn 0;\n}\n',
                 "b.h": "void b(void);\n", "b.c": "void b(void)\n{\n}\n"}
        self.assertIn("main.c", TOPS)
        self.assertEqual(partial(files, ["main.c"], TOPS)["main.c"],
                         "\nint f(void)\n{\n\treturn 0;\n}\n")
        self.assertEqual(partial(files, list(files), TOPS), files)

    def test_alloc(self) -> None:
        """GFP_KERNEL need not be said."""
        self.assertEqual(newest_alloc("a = kzalloc(sizeof(*a), GFP_KERNEL);"), "a = kzalloc_obj(*a);")
        self.assertEqual(newest_alloc("a = kvzalloc(sizeof(*a->b), GFP_X | Y);"),
                         "a = kvzalloc_obj(*a->b, GFP_X | Y);")


if __name__ == "__main__":
    unittest.main()
