# SPDX-License-Identifier: GPL-2.0
"""make series: how the driver loses compat/, and how it is before all of it is there."""
from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Callable, Dict, List, Tuple
from unittest import mock

from runner.errors import Failure
from runner.host import Host
from series import __main__ as series
from series import trial
from series.layout import TOPS, newest_alloc
from series.options import call
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


class CommandLineTest(unittest.TestCase):
    """python3 -m series and python3 -m series.trial."""

    def run_main(self, main: Callable[[], int], *words: str) -> Tuple[int, str, str]:
        """The exit status and what is printed, to standard output and to standard error."""
        out, err = io.StringIO(), io.StringIO()
        with tempfile.TemporaryDirectory() as cache, \
                mock.patch.dict(os.environ, XDG_CACHE_HOME=cache), \
                mock.patch.object(sys, "argv", ["series", *words]), \
                contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = main()
            except SystemExit as end:
                status = int(end.code or 0)
        return status, out.getvalue(), err.getvalue()

    def test_help(self) -> None:
        """It says how to call it, with all options."""
        for name, main, options in (
                ("series", series.main, ("TREE", "OUT")),
                ("series.trial", trial.main, ("TREE", "--each", "--allmodconfig", "--run",
                                              "--expect RESULTS.JSON"))):
            status, out, err = self.run_main(main, "--help")
            self.assertEqual((status, err), (0, ""))
            self.assertTrue(out.startswith(f"usage: python3 -m {name} [-h]"), out)
            for option in options:
                self.assertIn(option, out)

    def test_mistakes(self) -> None:
        """A mistake is one line and the status 2."""
        cases: List[Tuple[Callable[[], int], List[str], str]] = [
            (series.main, [], "required: TREE"),
            (series.main, ["7.3", "out", "more"], "unrecognized arguments: more"),
            (trial.main, [], "required: TREE"),
            (trial.main, ["--each"], "required: TREE"),
            (trial.main, ["7.3", "--al"], "unrecognized arguments: --al"),
            (trial.main, ["7.3", "--expect"], "--expect: expected one argument"),
            (trial.main, ["7.3", "--expect=x"], "--expect goes with --run"),
            (trial.main, ["7.3", "--run", "--expect=/nowhere/x"],
             "cannot read /nowhere/x: No such file or directory")]
        for main, words, wanted in cases:
            status, out, err = self.run_main(main, *words)
            self.assertEqual((status, out), (2, ""), words)
            self.assertRegex(err, r"\Aseries: [^\n]*\n\Z")
            self.assertIn(wanted, err)

    def test_not_a_tree(self) -> None:
        """A folder that is none is known before anything is installed or built."""
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch.dict(os.environ, PATH="/nowhere"):
            for main in (series.main, trial.main):
                status, out, err = self.run_main(main, folder)
                self.assertEqual((status, out), (2, ""))
                self.assertRegex(err, rf"\Aseries: {folder} is not a kernel tree[^\n]*\n\Z")

    def test_signal(self) -> None:
        """A signal ends what was started, and is in the exit status."""
        async def work(host: Host, _: argparse.Namespace) -> int:
            log = host.cache.path / "log"
            running = asyncio.ensure_future(
                host.run("waiting", ["sh", "-c", "echo $$; exec sleep 600"], log))
            while not log.exists() or not log.read_text(encoding="utf-8").endswith("\n"):
                await asyncio.sleep(0.01)
            started.append(int(log.read_text(encoding="utf-8")))
            os.kill(os.getpid(), signal.SIGTERM)
            return await running
        started: List[int] = []
        self.assertEqual(self.run_main(lambda: call(ROOT, trial.parse, work), "7.3"),
                         (128 + signal.SIGTERM, "", "waiting\nseries: interrupted\n"))
        with self.assertRaises(ProcessLookupError):
            os.kill(started[0], 0)

    def test_options(self) -> None:
        """Each goes where it belongs."""
        self.assertEqual(vars(trial.parse(["7.3"])), {
            "tree": "7.3", "each": False, "allmodconfig": False, "run": False, "expect": None})
        words = ["--run", "--expect", "a", "--each", "7.3", "--allmodconfig"]
        self.assertEqual(vars(trial.parse(words)), {
            "tree": "7.3", "each": True, "allmodconfig": True, "run": True, "expect": Path("a")})


class TrialTest(unittest.TestCase):
    """What python3 -m series.trial reads and looks for."""

    def test_verdicts(self) -> None:
        """Those of the first cell; a file that has none is a failure with a reason."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "results.json"
            file.write_text(json.dumps({"cells": [{"tests": [{"name": "a.b", "result": "ok"}]}]}),
                            encoding="utf-8")
            self.assertEqual(trial.verdicts_of(file), {"a.b": "ok"})
            for text in ("no JSON", "[]", "{}", '{"cells": []}', '{"cells": [1]}',
                         '{"cells": [{"tests": [{"name": "a.b"}]}]}'):
                file.write_text(text, encoding="utf-8")
                with self.assertRaisesRegex(Failure, "is not a results.json of a run"):
                    trial.verdicts_of(file)
            file.write_bytes(b"\xff\xfe\xfd")
            with self.assertRaisesRegex(Failure, "is not a results.json of a run"):
                trial.verdicts_of(file)
            with self.assertRaisesRegex(Failure, "cannot read .*: Is a directory"):
                trial.verdicts_of(Path(folder))

    def test_unbuilt(self) -> None:
        """Every C file must have its object, and the module."""
        with tempfile.TemporaryDirectory() as folder:
            sources, objects = Path(folder) / "sources", Path(folder) / "objects"
            for name in ("main.c", "core/walk.c", "core/walk.h"):
                (sources / name).parent.mkdir(parents=True, exist_ok=True)
                (sources / name).touch()
            (objects / "core").mkdir(parents=True)
            self.assertEqual(trial.unbuilt(sources, objects),
                             ["core/walk.o", "main.o", "hmmirror.o"])
            for name in ("main.o", "core/walk.o"):
                (objects / name).touch()
            self.assertEqual(trial.unbuilt(sources, objects), ["hmmirror.o"])
            (objects / "hmmirror.o").touch()
            self.assertEqual(trial.unbuilt(sources, objects), [])


if __name__ == "__main__":
    unittest.main()
