# SPDX-License-Identifier: GPL-2.0
"""The check of a bug in a source: how it is read, what it searches, which expression decides."""
from __future__ import annotations

import unittest
from typing import Dict

from runner.errors import Failure
from runner.sourcecheck import BUG, FIXED, UNKNOWN, Answer, bodies, parse, without_comments

SOURCE = """\
/* not_here(page) in a comment */
int walk(struct page *page);

static inline void stub(void) { walked(page); }

static int
walk(struct page *page)
{
	const char *text = "/* no comment */";

	if (!anon(page) ||	// may be of hugetlb
	    hugetlb(page))
		return -1;
	return other(page);
}

static int other(struct page *page)
{
	return 0;
}
"""


def answer(check: str, **files: str) -> Answer:
    """What a check says of a tree with one file, a.c, or with these."""
    tree: Dict[str, str] = {f"{name}.c": text
                            for name, text in (files or {"a": without_comments(SOURCE)}).items()}
    return parse(check, "check").answer(tree.get)


class SearchTest(unittest.TestCase):
    """What is searched."""

    def test_function_is_its_definition(self) -> None:
        found = bodies(without_comments(SOURCE), ["walk"])
        self.assertEqual(len(found), 1)
        self.assertIn('text = "/* no comment */"', found[0])
        self.assertNotIn("may be of hugetlb", found[0])
        self.assertNotIn("return 0", found[0])

    def test_definition_on_one_line(self) -> None:
        self.assertEqual(bodies(SOURCE, ["stub"]), ["static inline void stub(void) { walked(page); }"])

    def test_name_in_a_longer_one(self) -> None:
        self.assertEqual(bodies(SOURCE, ["alk", "wal"]), [])

    def test_line_ends_are_blanks(self) -> None:
        self.assertEqual(answer("file: a.c\nfunction: walk\nfixed: !anon\\(page\\) \\|\\| hugetlb\\("),
                         Answer(FIXED))

    def test_without_function_the_file(self) -> None:
        self.assertEqual(answer("file: a.c\nbug: return 0").word, BUG)
        self.assertEqual(answer("file: a.c\nbug: not_here").word, UNKNOWN)


class AnswerTest(unittest.TestCase):
    """What decides."""

    def test_first_expression_that_is_found(self) -> None:
        self.assertEqual(answer("file: a.c\nfunction: walk\nfixed: hugetlb\nbug: anon").word, FIXED)
        self.assertEqual(answer("file: a.c\nfunction: walk\nfixed: ksm\nbug: anon").word, BUG)
        self.assertEqual(answer("file: a.c\nfunction: walk\nbug: anon\nfixed: hugetlb").word, BUG)

    def test_bug_in_one_place_is_there(self) -> None:
        check = "file: a.c\nfunction: walk\nfixed: hugetlb\n\n# two\nfile: a.c\nfunction: other\nbug: 0"
        self.assertEqual(answer(check).word, BUG)
        check = "file: a.c\nfunction: walk other\nfixed: hugetlb\nbug: return 0"
        self.assertEqual(answer(check).word, BUG)

    def test_place_that_says_nothing(self) -> None:
        check = "file: a.c\nfunction: walk\nfixed: hugetlb\n\nfile: a.c\nfunction: other\nbug: 1"
        self.assertEqual(answer(check).word, FIXED)

    def test_why_it_cannot_tell(self) -> None:
        self.assertEqual(answer("file: b.c\nbug: x"), Answer(UNKNOWN, "the source has no b.c"))
        self.assertEqual(answer("file: a.c b.c\nfunction: f g\nbug: x"),
                         Answer(UNKNOWN, "the source has no f() or g()"))
        self.assertEqual(answer("file: a.c\nfunction: walk\nbug: ksm"),
                         Answer(UNKNOWN, "the source looks different"))

    def test_given(self) -> None:
        check = "file: a.c\nfunction: walk\ngiven: b.c lock lock\\(\nbug: anon"
        self.assertEqual(answer(check, a=SOURCE, b="void lock(void)\n{\n\tlock(x);\n}\n").word, BUG)
        self.assertEqual(answer(check, a=SOURCE, b="int f(void)\n{\n}\n"),
                         Answer(UNKNOWN, "lock() of the source is without what the bug needs"))


class ParseTest(unittest.TestCase):
    """What is written wrongly is said with its line."""

    def test_bad_lines(self) -> None:
        for text, message in (("file: a.c\nbogus: x", "check:2: a line is"),
                              ("file: a.c\nbug:", "check:2: a line is"),
                              ("file: a.c\nbug: (", "check:2: not a regular expression"),
                              ("file: a.c\ngiven: b.c f", "check:2: 'given:' needs"),
                              ("bug: x", "check: each block needs"),
                              ("file: a.c", "check: each block needs")):
            with self.assertRaises(Failure) as caught:
                parse(text, "check")
            self.assertIn(message, str(caught.exception))


if __name__ == "__main__":
    unittest.main()
