# SPDX-License-Identifier: GPL-2.0
"""Prints build folder and source of the default kernel, which is built if need be."""
from __future__ import annotations

import asyncio

from runner.__main__ import ROOT, find_cache
from runner.build import prepare
from runner.config import Config
from runner.host import Host
from runner.kernel import resolve
from runner.terminal import Terminal


async def main() -> None:
    """Builds it."""
    terminal = Terminal()
    host = Host(ROOT, find_cache(terminal), terminal)
    kernel = await prepare(host, await resolve(host, ""), Config())
    print(kernel.build, kernel.source)


if __name__ == "__main__":
    asyncio.run(main())
