# SPDX-License-Identifier: GPL-2.0
"""What a series changes in files that the tree has."""
from __future__ import annotations

import re
from pathlib import Path
from typing import Callable, Dict, List

from runner.errors import Failure
from series.layout import DRIVER, STEPS, TESTS, read

KCONFIG = "lib/Kconfig.debug"
MAKEFILE = "lib/Makefile"
MAINTAINERS = "MAINTAINERS"
TARGETS = "tools/testing/selftests/Makefile"
INDEX = "Documentation/mm/index.rst"
OLD_DRIVER = "lib/test_hmm.c"
MM_CONFIG = "tools/testing/selftests/mm/config"
MM_SCRIPT = "tools/testing/selftests/mm/test_hmm.sh"
FILES = (KCONFIG, MAKEFILE, MAINTAINERS, TARGETS, INDEX, OLD_DRIVER, MM_CONFIG, MM_SCRIPT)
SECTION = "HMM - Heterogeneous Memory Management\n"


def behind(text: str, expression: str, line: str, where: str) -> str:
    """Puts lines behind the first match."""
    found = re.search(expression, text, re.M)
    if not found:
        raise Failure(f"series: {where} of this tree has nothing like {expression!r}")
    return text[:found.end()] + line + text[found.end():]


def replaced(text: str, expression: str, new: str, where: str) -> str:
    """Replaces the one match."""
    out, count = re.subn(expression, lambda _: new, text, flags=re.M)
    if not count:
        raise Failure(f"series: {where} of this tree has nothing like {expression!r}")
    return out


class Tree:
    """Edits of one tree."""

    def __init__(self, path: Path, texts: Path) -> None:
        self.path = path
        self.texts = texts

    def at(self, number: int) -> Dict[str, str]:
        """The tree's own files after the first number steps."""
        files = {name: read(self.path / name) for name in FILES}
        edits: List[Callable[[Dict[str, str]], None]] = [self.add_driver]
        if any(step.programs for step in STEPS[:number]):
            edits.append(self.add_target)
        if any(step.documentation for step in STEPS[:number]):
            edits.append(self.add_page)
        if number:
            for edit in edits:
                edit(files)
        return files

    def add_driver(self, files: Dict[str, str]) -> None:
        """Kconfig, Makefile, and all patterns of MAINTAINERS."""
        entry = read(self.texts / "Kconfig")
        files[KCONFIG] = behind(files[KCONFIG], r"^config TEST_HMM\n(?:.*\n)*?(?=^config )",
                                f"{entry}\n", KCONFIG)
        files[MAKEFILE] = behind(files[MAKEFILE], r"^obj-\$\(CONFIG_TEST_HMM\).*\n",
                                 f"obj-$(CONFIG_TEST_HMMIRROR) += {Path(DRIVER).name}/\n", MAKEFILE)
        text = files[MAINTAINERS]
        start = text.find(f"\n{SECTION}") + 1
        end = text.find("\n\n", start)
        if not start or end < 0:
            raise Failure("series: MAINTAINERS of this tree has no HMM")
        section = text[start:end + 1]
        section = behind(section, r"^F:\tDocumentation/mm/hmm\.rst\n",
                         "F:\tDocumentation/mm/hmmirror.rst\n", MAINTAINERS)
        section = behind(section, r"^F:\tlib/test_hmm\*\n", f"F:\t{DRIVER}/\n", MAINTAINERS)
        section = behind(section, r"^F:\ttools/testing/selftests/mm/\*hmm\*\n", f"F:\t{TESTS}/\n",
                         MAINTAINERS)
        files[MAINTAINERS] = text[:start] + section + text[end + 1:]

    @staticmethod
    def add_target(files: Dict[str, str]) -> None:
        """The collection among the others."""
        files[TARGETS] = behind(files[TARGETS], r"^TARGETS \+= mm\n|^TARGETS \+= mincore\n",
                                f"TARGETS += {TESTS.split('selftests/')[1]}\n", TARGETS)

    @staticmethod
    def add_page(files: Dict[str, str]) -> None:
        """The page in its index."""
        files[INDEX] = behind(files[INDEX], r"^   hmm\n", "   hmmirror\n", INDEX)

    @staticmethod
    def replace_driver(files: Dict[str, str]) -> None:
        """test_hmm goes."""
        del files[OLD_DRIVER]
        files[KCONFIG] = replaced(files[KCONFIG], r"^config TEST_HMM\n(?:.*\n)*?(?=^config )", "",
                                  KCONFIG)
        files[KCONFIG] = replaced(files[KCONFIG], r"^\tdepends on TEST_HMM!=y\n", "", KCONFIG)
        files[KCONFIG] = replaced(
            files[KCONFIG], r"^\t  It makes the device nodes that TEST_HMM makes(?:.*\n){3}", "",
            KCONFIG)
        files[KCONFIG] = replaced(
            files[KCONFIG], r"(?<=^\t  tools/testing/selftests/mm/hmmirror)\. It can also put entries into\n"
            r"(?:.*\n){2}", " and for hmm-tests. It\n\t  can also put entries into page tables and let "
            "functions of the\n\t  kernel fail, for root only, and taints the kernel with TAINT_TEST.\n",
            KCONFIG)
        files[MAKEFILE] = replaced(files[MAKEFILE], r"^obj-\$\(CONFIG_TEST_HMM\).*\n", "", MAKEFILE)
        files[MM_CONFIG] = replaced(files[MM_CONFIG], r"^CONFIG_TEST_HMM=m$",
                                    "CONFIG_TEST_HMMIRROR=m", MM_CONFIG)
        files[MM_SCRIPT] = replaced(files[MM_SCRIPT], r'^DRIVER="test_hmm"$', 'DRIVER="hmmirror"',
                                    MM_SCRIPT)
        files[MM_SCRIPT] = replaced(files[MM_SCRIPT], "CONFIG_TEST_HMM=m", "CONFIG_TEST_HMMIRROR=m",
                                    MM_SCRIPT)
