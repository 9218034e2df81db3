# SPDX-License-Identifier: GPL-2.0
"""Architectures: each has one file, and only that names it."""
from __future__ import annotations

import os
import re
import struct
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from typing import List
from unittest import mock

from runner import devicetree, upstream
from runner.arch import Arch, GuestHardware, all_archs, find_arch, native_arch
from runner.config import base_fragments, read_config
from runner.errors import Failure
from runner.guest import GuestPlan
from runner.host import is_static
from runner.kernel import Kernel, Kind, resolve_build
from runner.toolchain import NEEDED, Toolchain

ROOT = Path(__file__).resolve().parents[2]
NAMES = re.compile(r"x86|amd64|arm64|aarch64|powerpc|ppc64|\bppc_|pseries", re.I)
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)


def elf_header(machine: int) -> bytes:
    """The beginning of a file for a machine of 64 bits, little endian."""
    return b"\x7fELF\x02\x01\x01" + b"\0" * 9 + struct.pack("<HH", 2, machine)


def megabytes(size: str) -> int:
    """512 of 512M, 4096 of 4G."""
    return int(size[:-1]) << (10 if size[-1] == "G" else 0)


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
                     *(ROOT / "selftests").rglob("*.[ch]"), *(ROOT / "stress").glob("*.[ch]"),
                     *(ROOT / "bench").glob("*.[ch]"), *(ROOT / "driver").rglob("*.[ch]"),
                     *(ROOT / "configs").glob("*.config")]:
            if "compat" in path.parts or path == ROOT / "lib/cpu.h":
                continue
            text = path.read_text(encoding="utf-8")
            if path.suffix in (".c", ".h"):
                text = COMMENT.sub("", text)
            elif path.suffix == ".config":
                text = re.sub("(?m)^#.*", "", text)
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
        for arch in all_archs().values():
            words = arch.qemu_options(GuestHardware(2, "tcg", 64))
            total = words[words.index("-m") + 1].split(",")[0]
            sizes = re.findall(r"memory-backend-ram,id=m\d,size=(\d+[MG])", " ".join(words))
            with self.subTest(arch.name):
                self.assertEqual(sum(map(megabytes, sizes)), megabytes(total))

    def test_coherent_devices_are_behind_the_kernels_memory(self) -> None:
        for name, base in (("arm64", 1 << 30), ("ppc64le", 0)):
            arch = find_arch(name)
            most = upstream.coherent_mb(arch)
            hardware = GuestHardware(2, "tcg", most)
            mem = re.search(r"mem=(\d+M)", " ".join(arch.kernel_words(hardware)))
            total = re.search(r"-m (\d+M)", " ".join(arch.qemu_options(hardware)))
            assert mem and total
            for address in arch.coherent_addresses:
                with self.subTest(f"{name} {address:#x}"):
                    self.assertGreaterEqual(address, base + (megabytes(mem[1]) << 20))
                    self.assertLessEqual(address + (most << 20), base + (megabytes(total[1]) << 20))

    def test_coherent_devices_do_not_overlap(self) -> None:
        for arch in all_archs().values():
            first, second = sorted(arch.coherent_addresses)
            with self.subTest(arch.name):
                self.assertLessEqual(first + (upstream.coherent_mb(arch) << 20), second)

    def test_persistent_memory_is_behind_the_rest(self) -> None:
        for arch in all_archs().values():
            most = upstream.coherent_mb(arch)
            used = [(address, most) for address in arch.coherent_addresses] + list(arch.pmem)
            ends = [0, *(address + (size << 20) for address, size in sorted(used))]
            total = re.search(r"-m (\d+M)", " ".join(arch.qemu_options(GuestHardware(2, "tcg", most))))
            for (address, _), before in zip(sorted(used), ends):
                with self.subTest(f"{arch.name} {address:#x}"):
                    self.assertLessEqual(before, address)
            if arch.pmem and total:
                self.assertLessEqual(ends[-1], (1 << 30) + (megabytes(total[1]) << 20))

    def test_device_tree(self) -> None:
        self.assertEqual(devicetree.commands(Path("tree"), 0x340000000, 1024)[-1][-4:],
                         ["0x3", "0x40000000", "0x0", "0x40000000"])
        arch = find_arch("arm64")
        hardware = GuestHardware(2, "tcg", 64, device_tree=Path("tree"))
        self.assertIn("-dtb tree", " ".join(arch.qemu_options(hardware)))

    def test_words_for_the_kernel(self) -> None:
        def words(accelerator: str, movable: bool = False) -> List[str]:
            hardware = GuestHardware(2, accelerator, 64, movable)
            kernel = Kernel("6.12", Kind.TREE, find_arch("arm64"))
            return GuestPlan(kernel, Path("image"), hardware).command()[-1].split()

        self.assertIn("maxcpus=1", words("tcg"))
        self.assertNotIn("maxcpus=1", words("kvm"))
        self.assertEqual(set(words("tcg", movable=True)) - set(words("tcg")), {"movablecore=5120M"})

    def test_image(self) -> None:
        arch = find_arch("arm64")
        with tempfile.TemporaryDirectory() as folder:
            image = Path(folder) / "Image"
            image.write_bytes(b"MZ" + b"\0" * 54 + b"ARM\x64" + b"\0" * 100 +
                              b"Linux version 6.12.117 (root@host) ...\0")
            self.assertTrue(arch.is_image(image))
            self.assertEqual(arch.image_release(image), "6.12.117")
            self.assertFalse(find_arch("x86_64").is_image(image))
            self.assertFalse(find_arch("ppc64le").is_image(image))

    def test_image_that_is_an_elf_file(self) -> None:
        arch = find_arch("ppc64le")
        with tempfile.TemporaryDirectory() as folder:
            image = Path(folder) / "vmlinux"
            image.write_bytes(elf_header(21) + b"\0" * 100 + b"Linux version 7.3.0 (root@host) ...\0")
            self.assertTrue(arch.is_image(image))
            self.assertEqual(arch.image_release(image), "7.3.0")
            # every architecture has a file of that name
            image.write_bytes(elf_header(62))
            self.assertFalse(arch.is_image(image))

    def test_build_for_another_one(self) -> None:
        # a vmlinux is in every build
        arch = find_arch("ppc64le")
        with tempfile.TemporaryDirectory() as folder:
            build = Path(folder)
            (build / "include/config").mkdir(parents=True)
            (build / "include/config/kernel.release").write_text("7.3.0\n", encoding="utf-8")
            (build / ".config").write_text("".join(f"CONFIG_{name}=y\n"
                                                   for name in arch.needed_options), encoding="utf-8")
            (build / "vmlinux").write_bytes(elf_header(21))
            self.assertEqual(resolve_build(build, arch).image, build / "vmlinux")
            with self.assertRaisesRegex(Failure, "is a build for ppc64le; give -a ppc64le"):
                resolve_build(build, find_arch("arm64"))
            (build / "vmlinux").write_bytes(elf_header(183))
            with self.assertRaisesRegex(Failure, "has no vmlinux for ppc64le; build it"):
                resolve_build(build, arch)

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
        for name, option, archs in (("4k", "ARM64_4K", "arm64 and ppc64le"),
                                    ("16k", "ARM64_16K", "arm64"),
                                    ("64k", "ARM64_64K", "arm64 and ppc64le")):
            config = read_config(ROOT, name, find_arch("arm64"))
            self.assertEqual(config.build_lines()[0], f"CONFIG_{option}_PAGES=y")
            with self.assertRaisesRegex(Failure, f"-c {name} is for {archs} only.* give -a arm64"):
                read_config(ROOT, name, find_arch("x86_64"))
        self.assertEqual(read_config(ROOT, "4k", find_arch("ppc64le")).build_lines(),
                         ["CONFIG_PPC_4K_PAGES=y"])

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

    def test_program_that_needs_a_dynamic_linker(self) -> None:
        # whatever that is called: /lib64/ld64.so.2 on powerpc
        for bits, order in ((64, "<"), (64, ">"), (32, "<")):
            header = struct.pack(f"{order}HHI", 2, 21, 1)
            header += struct.pack(order + ("QQQ" if bits == 64 else "III"), 0, 64, 0)
            header += struct.pack(f"{order}IHHHHHH", 0, 64, 56, 2, 0, 0, 0)
            start = b"\x7fELF" + bytes([bits // 32, 1 if order == "<" else 2, 1]) + b"\0" * 9 + header
            for kind, static in ((3, False), (4, True)):
                headers = b"".join(struct.pack(f"{order}I", number).ljust(56, b"\0")
                                   for number in (1, kind))
                with tempfile.TemporaryDirectory() as folder, self.subTest(f"{bits} {order} {kind}"):
                    program = Path(folder) / "program"
                    program.write_bytes(start.ljust(64, b"\0") + headers)
                    self.assertEqual(is_static(program), static)

    def test_libraries_that_readelf_shows(self) -> None:
        text = ("      [Requesting program interpreter: /lib/ld-linux-aarch64.so.1]\n"
                " 0x0000000000000001 (NEEDED)             Shared library: [libnuma.so.1]\n"
                " 0x000000000000000e (SONAME)             Library soname: [libx.so.1]\n")
        self.assertEqual(["".join(words) for words in NEEDED.findall(text)],
                         ["/lib/ld-linux-aarch64.so.1", "libnuma.so.1"])


if __name__ == "__main__":
    unittest.main()
