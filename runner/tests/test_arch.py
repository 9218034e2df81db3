# SPDX-License-Identifier: GPL-2.0
"""Architectures: each has one file, and only that names it."""
from __future__ import annotations

import os
import re
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from unittest import mock

from runner.arch import Arch, GuestHardware, all_archs, find_arch, native_arch
from runner.config import base_fragments, read_config
from runner.errors import Failure
from runner.toolchain import NEEDED, Toolchain

ROOT = Path(__file__).resolve().parents[2]
NAMES = re.compile(r"x86|amd64|arm64|aarch64", re.I)
COMMENT = re.compile(r"//.*|/\*.*?\*/", re.S)


def foreign_arch() -> Arch:
    """One that this machine does not have."""
    return next(arch for arch in all_archs().values() if not arch.is_native)


class ArchTest(unittest.TestCase):
    """All of them."""

    def test_each_is_found_by_its_file(self) -> None:
        files = {path.stem for path in (ROOT / "runner/arch").glob("[a-z]*.py")}
        self.assertEqual(set(all_archs()), files)
        self.assertEqual(find_arch("arm64").name, "arm64")
        self.assertEqual(find_arch(""), native_arch())
        with self.assertRaisesRegex(Failure, "unknown architecture: banana; .* arm64 "):
            find_arch("banana")

    def test_machine_that_is_not_known(self) -> None:
        name = os.uname_result(("Linux", "host", "6.1", "#1", "sparc64"))
        with mock.patch("os.uname", return_value=name), self.assertRaisesRegex(Failure, "sparc64"):
            native_arch()

    def test_nothing_else_names_one(self) -> None:
        for path in [*(ROOT / "runner").glob("*.py"), *(ROOT / "guest").rglob("*.[ch]"),
                     ROOT / "guest/init", *(ROOT / "lib").glob("*.[ch]"),
                     *(ROOT / "selftests").rglob("*.[ch]")]:
            text = path.read_text(encoding="utf-8")
            if path.suffix in (".c", ".h"):
                text = COMMENT.sub("", text)
            with self.subTest(path.relative_to(ROOT)):
                self.assertEqual(NAMES.findall(text), [])

    def test_what_make_is_told(self) -> None:
        self.assertEqual(native_arch().make_words, ())
        arch = foreign_arch()
        self.assertEqual(arch.make_words, (f"ARCH={arch.kbuild_name}",
                                           f"CROSS_COMPILE={arch.triplet}-"))
        self.assertEqual(read_config(ROOT, "", arch).make, arch.make_words)
        self.assertEqual(read_config(ROOT, "").make, ())

    def test_memory_of_the_nodes_is_that_of_the_guest(self) -> None:
        # QEMU says so of any other only when it is started
        words = find_arch("arm64").qemu_options(GuestHardware(2, "tcg", 64))
        sizes = re.findall(r"memory-backend-ram,id=m\d,size=(\d+)M", " ".join(words))
        self.assertEqual(f"{sum(map(int, sizes))}M", words[words.index("-m") + 1])

    def test_coherent_devices_are_behind_the_kernels_memory(self) -> None:
        arch = find_arch("arm64")
        hardware = GuestHardware(2, "tcg", 320)
        base, mem = 1 << 30, re.search(r"mem=(\d+)M", " ".join(arch.kernel_words(hardware)))
        total = re.search(r"-m (\d+)M", " ".join(arch.qemu_options(hardware)))
        assert mem and total
        for address in arch.coherent_addresses:
            self.assertGreaterEqual(address, base + (int(mem[1]) << 20))
            self.assertLessEqual(address + (320 << 20), base + (int(total[1]) << 20))

    def test_image(self) -> None:
        arch = find_arch("arm64")
        with tempfile.TemporaryDirectory() as folder:
            image = Path(folder) / "Image"
            image.write_bytes(b"MZ" + b"\0" * 54 + b"ARM\x64" + b"\0" * 100 +
                              b"Linux version 6.12.117 (root@host) ...\0")
            self.assertTrue(arch.is_image(image))
            self.assertEqual(arch.image_release(image), "6.12.117")
            self.assertFalse(find_arch("x86_64").is_image(image))

    def test_vmlinux(self) -> None:
        # as --mutate keeps it, to be run by hand
        arch = find_arch("x86_64")
        with tempfile.TemporaryDirectory() as folder:
            image = Path(folder) / "vmlinux"
            image.write_bytes(b"\x7fELF" + b"\0" * 12 + b"\2\0\x3e\0" + b"\0" * 600 + b"Linux version %s\0"
                              b"Linux version 7.3.0-rc7 (root@host) ...\0")
            self.assertTrue(arch.is_image(image))
            self.assertEqual(arch.image_release(image), "7.3.0-rc7")
            image.write_bytes(b"\x7fELF" + b"\0" * 12 + b"\1\0\x3e\0" + b"\0" * 600)
            self.assertFalse(arch.is_image(image))


class FragmentTest(unittest.TestCase):
    """Fragments of one architecture."""

    def test_page_sizes(self) -> None:
        for name in ("4k", "16k", "64k"):
            config = read_config(ROOT, name, find_arch("arm64"))
            self.assertEqual(config.build_lines(), [f"CONFIG_ARM64_{name.upper()}_PAGES=y"])
            with self.assertRaisesRegex(Failure, f"-c {name} is for arm64 only.* give -a arm64"):
                read_config(ROOT, name, find_arch("x86_64"))

    def test_base_of_an_architecture_is_behind_that_of_all(self) -> None:
        names = [str(path.relative_to(ROOT / "configs"))
                 for path in base_fragments(ROOT, find_arch("arm64"))]
        self.assertEqual(names, ["base.config", "arm64/base.config"])


class ToolchainTest(unittest.TestCase):
    """What programs for the guest are built with."""

    def test_of_this_machine(self) -> None:
        tools = Toolchain(native_arch())
        self.assertEqual((tools.gcc, tools.make_words), (["gcc"], ["CC=gcc"]))

    def test_of_another(self) -> None:
        arch = replace(foreign_arch(), triplet="a-b-c")
        tools = Toolchain(arch, Path("/root-of-it"))
        self.assertEqual(tools.gcc, ["a-b-c-gcc", "-isystem", "/root-of-it/usr/include",
                                     "-L/root-of-it/usr/lib/a-b-c", "-L/root-of-it/lib/a-b-c"])
        self.assertIn("AR=a-b-c-ar", tools.make_words)

    def test_libraries_that_readelf_shows(self) -> None:
        text = ("      [Requesting program interpreter: /lib/ld-linux-aarch64.so.1]\n"
                " 0x0000000000000001 (NEEDED)             Shared library: [libnuma.so.1]\n"
                " 0x000000000000000e (SONAME)             Library soname: [libx.so.1]\n")
        self.assertEqual(["".join(words) for words in NEEDED.findall(text)],
                         ["/lib/ld-linux-aarch64.so.1", "libnuma.so.1"])


if __name__ == "__main__":
    unittest.main()
