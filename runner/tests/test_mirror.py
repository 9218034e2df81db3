# SPDX-License-Identifier: GPL-2.0
"""A mirror of kernel.org's tarballs: in a folder, and behind a web server of our own."""
from __future__ import annotations

import functools
import hashlib
import http.server
import os
import shutil
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

from runner import mirror, source
from runner.cache import Cache
from runner.errors import Failure, UnfitKernel
from runner.host import Host, Testing
from runner.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
NAME = "linux-6.9.7.tar.xz"


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files without a word."""

    def log_message(self, format: str, *args: object) -> None:  # pylint: disable=redefined-builtin
        pass


class CuttingHandler(QuietHandler):
    """Promises more of a tarball than it sends."""

    def send_header(self, keyword: str, value: str) -> None:
        if keyword == "Content-Length" and self.path.endswith(".xz"):
            value = str(int(value) + 1000)
        super().send_header(keyword, value)


class MirrorTest(unittest.IsolatedAsyncioTestCase):
    """A mirror with one release."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        terminal = Terminal()
        # no package of this machine's decides here
        self.host = Host(ROOT, Cache(self.folder / "cache", terminal), terminal,
                         Testing(missing=["no-such-program"]))
        self.mirror = self.folder / "a mirror"
        self.home = self.mirror / "v6.x"
        self.home.mkdir(parents=True)
        tree = self.folder / "linux-6.9.7"
        tree.mkdir()
        (tree / "Makefile").write_text("VERSION = 6\n")
        subprocess.run(["tar", "-C", str(self.folder), "-cJf", str(self.home / NAME), tree.name],
                       check=True)
        self.write_sums(hashlib.sha256((self.home / NAME).read_bytes()).hexdigest())
        self.use(str(self.mirror))

    def use(self, address: str, **more: str) -> None:
        """Sets the environment until the test ends."""
        patch = mock.patch.dict(os.environ, {mirror.VARIABLE: address, **more})
        patch.start()
        self.addCleanup(patch.stop)

    def write_sums(self, checksum: str) -> None:
        """sha256sums.asc, as kernel.org has it."""
        (self.home / mirror.SUMS).write_text(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n"
            f"{'0' * 64}  ChangeLog-6.9.7\n{checksum}  {NAME}\n{'1' * 64}  linux-6.9.8.tar.xz\n"
            "-----BEGIN PGP SIGNATURE-----\n\nnone\n-----END PGP SIGNATURE-----\n")

    def serve(self, handler: type = QuietHandler) -> str:
        """The mirror behind a web server; its address."""
        server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(handler, directory=str(self.mirror)))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()
        self.addCleanup(stop)
        return f"http://127.0.0.1:{server.server_address[1]}/"

    async def check_fetched(self) -> None:
        """The release comes into the cache, and is taken from there the next time."""
        release = await source.get_release(self.host, "6.9.7")
        self.assertEqual((release.version, (release.path / "Makefile").read_text()),
                         ("6.9.7", "VERSION = 6\n"))
        shutil.rmtree(self.mirror)
        self.assertEqual(await source.get_release(self.host, "6.9.7"), release)

    async def check_fails(self, words: str, release: str = "6.9.7") -> None:
        """One line, and nothing stays behind."""
        with self.assertRaisesRegex(Failure, words):
            await source.get_release(self.host, release)
        self.assertEqual(list((self.host.cache.path / "tmp").iterdir()), [])
        self.assertFalse((self.host.cache.path / "source").exists())

    async def test_folder(self) -> None:
        await self.check_fetched()

    async def test_web_server(self) -> None:
        self.use(self.serve())
        await self.check_fetched()

    async def test_wrong_checksum(self) -> None:
        right = hashlib.sha256((self.home / NAME).read_bytes()).hexdigest()
        self.write_sums("a" * 64)
        await self.check_fails(f"{NAME} .* is damaged: its sha256 is {right}, and .* {'a' * 64}")
        self.use(self.serve())
        await self.check_fails("is damaged")

    async def test_release_that_is_not_there(self) -> None:
        for address in (str(self.mirror), self.serve()):
            self.use(address)
            await self.check_fails("there is no linux 6.9.9 in .* does not name", "6.9.9")
            await self.check_fails("has no v6.x/linux-6.9.8.tar.xz", "6.9.8")
            await self.check_fails("has no v7.x/sha256sums.asc", "7.0.1")

    async def test_what_ends_too_early(self) -> None:
        self.use(self.serve(CuttingHandler))
        await self.check_fails(r"cannot download .*: it ended after \d+ of \d+ bytes")

    async def test_nobody_answers(self) -> None:
        self.use("http://127.0.0.1:9")
        await self.check_fails("cannot download http://127.0.0.1:9/v6.x/sha256sums.asc: .*refused")

    async def test_address_that_is_none(self) -> None:
        self.use("/nowhere")
        await self.check_fails("HMMIRROR_KERNEL_MIRROR=/nowhere: no such folder")
        self.use("gopher://example.org")
        await self.check_fails("give a URL with http")

    async def test_without_a_mirror(self) -> None:
        self.use("")
        await self.check_fails("6.9.7: .* set HMMIRROR_KERNEL_MIRROR")

    async def test_too_old(self) -> None:
        with self.assertRaisesRegex(UnfitKernel, "needs 5.0 or newer"):
            await source.get_release(self.host, "4.19.1")

    @unittest.skipUnless(shutil.which("gpg") and shutil.which("gpgv"), "needs gpg and gpgv")
    async def test_signature(self) -> None:
        home = self.folder / "gpg"
        home.mkdir(mode=0o700)
        gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", ""]
        try:
            for name in ("one", "two"):
                subprocess.run([*gpg, "--quick-gen-key", f"{name}@example.org", "ed25519"],
                               check=True, capture_output=True)
                subprocess.run([*gpg, "-o", str(self.folder / name), "--export",
                                f"{name}@example.org"], check=True)
            plain = self.folder / "plain"
            checksum = hashlib.sha256((self.home / NAME).read_bytes()).hexdigest()
            plain.write_text(f"{checksum}  {NAME}\n")
            (self.home / mirror.SUMS).unlink()
            subprocess.run([*gpg, "-u", "one@example.org", "-o", str(self.home / mirror.SUMS),
                            "--clearsign", str(plain)], check=True)
        finally:
            subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
        self.use(str(self.mirror), **{mirror.KEYRING: str(self.folder / "two")})
        await self.check_fails("has no good signature by a key of .*two")
        self.use(str(self.mirror), **{mirror.KEYRING: str(self.folder / "nobody's")})
        await self.check_fails("no such file")
        self.use(str(self.mirror), **{mirror.KEYRING: str(self.folder / "one")})
        # what stands before the signed text is not signed
        sums = self.home / mirror.SUMS
        sums.write_text(f"{'b' * 64}  {NAME}\n{sums.read_text()}")
        await self.check_fetched()


if __name__ == "__main__":
    unittest.main()
