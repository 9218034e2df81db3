# SPDX-License-Identifier: GPL-2.0
"""How to install what is missing where there is no apt."""
from __future__ import annotations

import unittest

from runner.packages import install_hint, needs

LACKING = needs("bison:bison /usr/include/numa.h:libnuma-dev busybox:busybox-static")


class HintTest(unittest.TestCase):
    """By what /etc/os-release says."""

    def test_files_for_dnf_and_zypper(self) -> None:
        self.assertEqual(install_hint('ID="rocky"\nID_LIKE="rhel centos fedora"\n', LACKING),
                         "as root: dnf install /usr/bin/bison /usr/include/numa.h busybox")
        self.assertEqual(install_hint('ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', LACKING),
                         "as root: zypper install /usr/bin/bison /usr/include/numa.h busybox-static")

    def test_commands_for_apk(self) -> None:
        self.assertEqual(install_hint("ID=alpine\n", LACKING),
                         "as root: apk add cmd:bison busybox-static; of /usr/include/numa.h the "
                         "packages are called libnuma-dev on Debian")

    def test_others(self) -> None:
        self.assertIn("pacman -F bison numa.h busybox", install_hint("ID=arch\n", LACKING))
        for text in ("", "ID=nixos\n", "VERSION_ID=fedora\n"):
            self.assertEqual(install_hint(text, LACKING),
                             "install what these packages of Debian hold: bison libnuma-dev "
                             "busybox-static")


if __name__ == "__main__":
    unittest.main()
