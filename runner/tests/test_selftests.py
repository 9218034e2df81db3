# SPDX-License-Identifier: GPL-2.0
"""Every test is found by its name: rules that the sources of selftests/ must keep.

The name of a test is fixture.test or fixture.variant.test. Whoever reads one in a result
must find it with grep -rn 'TEST_F(fixture, test)', in the file that the fixture is named
after.
"""
import re
import unittest
from pathlib import Path
from typing import Dict, Iterator, List, Set, Tuple

ROOT = Path(__file__).resolve().parents[2]
SELFTESTS = ROOT / "selftests"
RENAMES = ROOT / "docs" / "records" / "renames.md"
TEMPLATE = SELFTESTS / "template.c"

# TEST_F(fixture, test) and its like, with all arguments on the line
TEST_LINE = re.compile(r"^(TEST_F(?:_TIMEOUT|_SIGNAL)?)\((\w+), (\w+)(?:, \w+)?\)$")
FIXTURE_LINE = re.compile(r"^FIXTURE\((\w+)\)$")


def programs() -> List[Path]:
    """The sources of the test programs, one each."""
    return sorted(path for path in SELFTESTS.glob("*.c") if path != TEMPLATE)


def headers_and_common() -> List[Path]:
    """What programs include or link."""
    common = SELFTESTS / "common"
    return sorted([*SELFTESTS.glob("*.h"), *common.glob("*.h"), *common.glob("*.c")])


def lines(path: Path) -> Iterator[Tuple[str, str]]:
    """Each line of a file, behind its place for a message."""
    for number, text in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        yield f"{path.relative_to(ROOT)}:{number}", text


def fixtures() -> Dict[str, Path]:
    """The file of each fixture."""
    found: Dict[str, Path] = {}
    for path in programs():
        for _, text in lines(path):
            match = FIXTURE_LINE.match(text)
            if match:
                found[match.group(1)] = path
    return found


def owner(fixture: str, names: Set[str]) -> str:
    """The program whose name is the longest prefix of a fixture's, or ''."""
    parts = fixture.split("_")
    for count in range(len(parts), 0, -1):
        name = "_".join(parts[:count])
        if name in names:
            return name
    return ""


class Names(unittest.TestCase):
    """Fixtures and tests."""

    def test_there_are_programs(self) -> None:
        """The rules below hold for something."""
        self.assertGreater(len(programs()), 50)
        self.assertGreater(len(fixtures()), 70)

    def test_fixture_is_named_after_its_file(self) -> None:
        """walk_thp_part is in walk_thp.c, and no walk_thp_part.c exists."""
        names = {path.stem for path in programs()}
        for fixture, path in fixtures().items():
            with self.subTest(fixture=fixture):
                self.assertEqual(owner(fixture, names), path.stem)

    def test_test_stands_on_one_line(self) -> None:
        """TEST_F(fixture, test) names a fixture of the same file, and no macro."""
        mine = fixtures()
        for path in programs():
            for place, text in lines(path):
                if not re.match(r"\s*(TEST|TEST_F|TEST_SIGNAL|TEST_F_\w+)\(", text):
                    continue
                with self.subTest(place=place):
                    match = TEST_LINE.match(text)
                    if match is None:
                        self.fail(f"{place}: not TEST_F(fixture, test): {text}")
                    self.assertEqual(mine.get(match.group(2)), path)

    def test_no_test_is_made_elsewhere(self) -> None:
        """No header, and nothing in common/, has a test or a fixture."""
        for path in headers_and_common():
            for place, text in lines(path):
                with self.subTest(place=place):
                    self.assertNotRegex(text, r"^\s*(TEST_F\w*|TEST|FIXTURE\w*)\(")

    def test_no_test_twice(self) -> None:
        """A name means one test in all of the collection."""
        seen: Set[Tuple[str, str]] = set()
        for path in programs():
            for place, text in lines(path):
                match = TEST_LINE.match(text)
                if match:
                    name = (match.group(2), match.group(3))
                    self.assertNotIn(name, seen, place)
                    seen.add(name)

    def test_program_says_what_it_tests(self) -> None:
        """Each program begins with a paragraph of its own."""
        for path in programs():
            with self.subTest(path=path.name):
                text = path.read_text(encoding="utf-8")
                self.assertRegex(text, r"\A// SPDX-License-Identifier: GPL-2\.0\n/\*\n \* \w")

    def test_program_includes_main_last(self) -> None:
        """hmm_main.h has the main() of each program."""
        for path in [*programs(), TEMPLATE]:
            with self.subTest(path=path.name):
                self.assertTrue(path.read_text(encoding="utf-8").endswith('\n#include "hmm_main.h"\n'))


class Assertions(unittest.TestCase):
    """ASSERT_*() and TH_LOG()"""

    def test_loop_ends_at_failure(self) -> None:
        """A loop has braces around an assertion with a message.

        The harness ends the test behind the assertion, in a statement of its own. Without
        braces that one is behind the loop, and the message is about no page at all.
        """
        loop = re.compile(r"^\t+(?:for|while) \([^{};]*(?:;[^{};]*;[^{};]*)?\)\n"
                          r"\t+(?:ASSERT|EXPECT)_[^;]*TH_LOG\(", re.M)
        for path in [*programs(), *headers_and_common(), TEMPLATE]:
            text = path.read_text(encoding="utf-8").replace("\\\n", "\n")
            match = loop.search(text)
            with self.subTest(path=path.name):
                self.assertIsNone(match, match and match.group(0))


class Renames(unittest.TestCase):
    """docs/records/renames.md"""

    def rows(self) -> List[Tuple[str, str]]:
        """Old and new names of tests."""
        text = RENAMES.read_text(encoding="utf-8")
        table = text[text.index("## Tests"):text.index("## Library")]
        found = re.findall(r"^\| (\S+) \| (\S+) \|$", table, re.M)
        return [(old, new) for old, new in found if old not in ("old", "---")]

    def test_new_names_exist(self) -> None:
        """The fixture of each new name exists."""
        known = fixtures()
        rows = self.rows()
        self.assertGreater(len(rows), 100)
        for old, new in rows:
            with self.subTest(old=old):
                self.assertIn(new.split(".")[0], known)
                self.assertEqual(old.count("*"), new.count("*"))


if __name__ == "__main__":
    unittest.main()
