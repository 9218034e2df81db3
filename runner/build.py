# SPDX-License-Identifier: GPL-2.0
"""Builds a kernel in the cache."""
from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import AsyncIterator, Dict, List, Set, Tuple

from runner import compiler, packages
from runner.arch import Arch
from runner.cache import Entry, hash_text, try_lock
from runner.compiler import Compiler
from runner.config import Config, base_fragments, read, unmet
from runner.errors import CompilerTooNew, Failure
from runner.host import Host, make_flags
from runner.kernel import Kernel, Kind, compiler_words, driver_words, has_option, require_options

# HMM_MIRROR has no prompt in most kernels, so a Kconfig on top of the tree's own selects it.
OVERLAY = """
config HMMIRROR_OVERLAY
\tdef_bool y
\tselect HMM_MIRROR
\tselect MMU_NOTIFIER
"""
# In 5.3 nothing of ours selects migrate_vma() any more; without this it always fails.
SELECT_MIGRATE_VMA = "\tselect MIGRATE_VMA_HELPER\n"
KCONFIG = "Kconfig.hmmirror"
# no program that is built reads these
UNUSED = (".git", "Documentation", "LICENSES", "tools/testing")
CONFIGURES = re.compile(r"^\./(Makefile |\S*/Kconfig\S* |(scripts|kernel/configs|arch/\w+/configs)/)",
                        re.M)
# what is linked into a kernel is no concern of a module's
KERNEL_ONLY = re.compile(r"^\./(arch|block|crypto|drivers|fs|init|io_uring|ipc|kernel|lib|mm|net|"
                         r"security|sound|virt)/\S*\.[cS] ")
# Counting branches needs CONFIG_CONSTRUCTORS, which adds two fields near the end of struct module.
# Nearly all files include that, and few look at what is there: if nothing else that can matter is
# behind, only those are built again.
SPARED = re.compile(
    r"#ifdefCONFIG_CONSTRUCTORSctor_fn_t\*ctors;unsignedintnum_ctors;#endif"
    r"#ifdefCONFIG_FUNCTION_ERROR_INJECTION[^#]*#endif"
    r"(#ifdefCONFIG_DYNAMIC_DEBUG_CORE[^#]*#endif)?}____cacheline_aligned.*")
COMPILER_ERROR = re.compile(r"^[^ :]+:\d+:\d+: (fatal )?error: ", re.M)


async def compiler_id(host: Host, prefix: str = "") -> str:
    """Of the compiler, for names in the cache."""
    return (await host.capture([f"{prefix}{compiler.DEFAULT}", "--version"])).split("\n")[0]


async def link_words(host: Host, arch: Arch, *libraries: str) -> List[str]:
    """-static where these libraries can be linked so. Elsewhere they are in the guest's image.

    Fedora, for instance, has libc.a in a package of its own and no libnuma.a. What other
    architectures get is Debian's.
    """
    if not arch.is_native:
        return ["-static"]
    with host.cache.temporary("static") as folder:
        (folder / "main.c").write_text("int main(void) { return 0; }\n", encoding="utf-8")
        await host.capture(["gcc", "-static", "-o", str(folder / "main"), str(folder / "main.c"),
                            # all of it: nothing here calls it
                            "-Wl,--whole-archive", *libraries, "-Wl,--no-whole-archive",
                            "-Wl,--allow-multiple-definition"])
        return ["-static"] if (folder / "main").exists() else []


async def optional_words(host: Host, arch: Arch, *names: str) -> List[str]:
    """-lNAME of libraries that are a part of glibc since 2.34.

    Since then an empty archive stands for each, which can be missing like other archives.
    """
    await packages.require(host, packages.compiler(arch))
    words = []
    for name in names:
        for file in (f"lib{name}.so", f"lib{name}.a"):
            found = await host.capture([f"{arch.prefix}gcc", f"-print-file-name={file}"])
            if "/" in found:
                words.append(f"-l{name}")
                break
    return words


async def prepare(host: Host, kernel: Kernel, config: Config) -> Kernel:
    """The kernel with a build folder and an image, built if need be."""
    kernel = replace(kernel, config=config)
    await packages.require(host, [*config.needs, *packages.cross(kernel.arch)])
    if kernel.is_ours:
        return await build_kernel(host, kernel)
    if config.build_lines():
        raise Failure(f"-c {config.name}: this kernel is built already; give a source tree or a "
                      "release")
    if not (kernel.build / ".config").exists():
        raise Failure(f"no kernel headers in {kernel.build}; install "
                      f"linux-headers-{os.uname().release}")
    prefix = kernel.arch.prefix
    version = (await host.capture([f"{prefix}{compiler.DEFAULT}", "-dumpversion"])).strip() or "0"
    chosen = await compiler.choose(host, prefix)
    marks = [str(kernel.build)]
    if chosen.given and not kernel.option("CC_IS_CLANG"):
        words = (*driver_words(kernel), *chosen.make_words)
        marks.append(chosen.version)
    else:
        words = compiler_words(host, kernel, version)
    for name in (".config", "Module.symvers"):
        with contextlib.suppress(OSError):
            marks.append(str((kernel.build / name).stat().st_mtime_ns))
    return replace(kernel, config=config.with_make(*words), id=hash_text("\n".join(marks)))


async def tree_files(host: Host, tree: Path) -> str:
    """Name, date and size of the source files, a line each."""
    prune: List[str] = []
    for name in UNUSED:
        prune += ["-o", "-path", f"./{name}"]
    text = await host.capture(["find", ".", "(", *prune[1:], ")", "-prune", "-o",
                               "-type", "f", "-printf", "./%P %T@ %s\n"], cwd=tree)
    return "".join(sorted(text.splitlines(keepends=True)))


def kernel_id(host: Host, kernel: Kernel, version: str, lines: List[str],
              shared: bool = False) -> str:
    """Names the cache entry. All revisions of a bisection are built in a shared one."""
    assert kernel.source
    overlay = OVERLAY if shared else overlay_text(kernel.source)
    base = "".join(map(read, base_fragments(host.root, kernel.arch)))
    return hash_text(f"{kernel.source} {version}\n{overlay}{base}"
                     + "".join(f"{line}\n" for line in lines))


def overlay_text(tree: Path) -> str:
    """The tree's Kconfig, and ours behind it."""
    text = read(tree / "Kconfig")
    # another Kconfig makes another entry of the cache: only kernels that have the option get it
    options = tree / "mm/Kconfig"
    helper = options.exists() and "\nconfig MIGRATE_VMA_HELPER\n" in read(options)
    return re.sub(r"^mainmenu .*", 'mainmenu "hmmirror"', text, flags=re.M) + OVERLAY \
        + (SELECT_MIGRATE_VMA if helper else "")


async def build_kernel(host: Host, kernel: Kernel, shared: bool = False) -> Kernel:
    """Builds a package's or a tree's kernel, unless that has been done.

    shared: the entry is that of all revisions of this tree, for a bisection; a build that fails
    on top of another revision's is tried once more from nothing.

    If gcc is too new for the kernel, the newest of the older ones that are installed builds it.
    """
    assert kernel.source
    await packages.require(host, [*packages.KERNEL, *packages.cross(kernel.arch)])
    if kernel.kind is Kind.PACKAGE:
        files, state = "", kernel.commit or kernel.name
    else:
        files = await tree_files(host, kernel.source)
        state = hash_text(files)
    kernel = replace(kernel, state=state)
    prefix = kernel.arch.prefix
    chosen = await compiler.choose(host, prefix)
    if any(re.match("(LLVM|CC)=", word) for word in kernel.config.make):
        # a fragment names the compiler
        chosen = replace(await compiler.describe(host, prefix), given=True)
    limit = sys.maxsize
    while True:
        try:
            return await build_with(host, kernel, chosen, files, shared)
        except CompilerTooNew as failure:
            if chosen.given:
                raise
            limit = min(limit, failure.since)
            before = await compiler.older(host, limit, prefix)
            if not before:
                package = await compiler.package_before(host, limit, prefix)
                raise Failure(f"{failure}; install an older gcc: apt-get install "
                              f"--no-install-recommends {package}") from failure
            host.terminal.say(f"{chosen.command} is too new for linux {kernel.name} "
                              f"({failure.sign}); {before.command} builds it")
            chosen, limit = before, before.number


async def build_with(host: Host, kernel: Kernel, chosen: Compiler, files: str,
                     shared: bool) -> Kernel:
    """Builds it with one compiler. That a gcc was too new for this version is remembered."""
    kernel = replace(kernel, config=kernel.config.with_make(*chosen.make_words))
    identity = kernel_id(host, kernel, chosen.version, kernel.config.build_lines(), shared)
    entry = host.cache.entry("kernel", identity)
    kernel = replace(kernel, id=identity, build=entry.path / "build", image=entry.path / "image")
    if entry.is_current(kernel.state):
        return kernel
    memo = entry.path / "too-new"
    if memo.exists() and not chosen.given:
        name, sign, since = read(memo).splitlines()
        if name == kernel.name:
            raise CompilerTooNew(f"{chosen.version} is too new for linux {kernel.name} ({sign})",
                                 sign, int(since))
    async with entry.make(kernel.state, f"building linux {kernel.name}", host.terminal) as fresh:
        if fresh:
            with host.cache.temporary("kernel") as folder:
                async with turn(host, builds_that_fit(host)):
                    try:
                        await Builder(host, kernel, chosen, entry, folder / "log",
                                      files).build(shared)
                    except CompilerTooNew as failure:
                        memo.write_text(f"{kernel.name}\n{failure.sign}\n{failure.since}\n",
                                        encoding="utf-8")
                        raise
    return kernel


def builds_that_fit(host: Host) -> int:
    """How many kernels are built at a time: each takes all cores, many have room for another."""
    return (host.jobs + 15) // 16


@contextlib.asynccontextmanager
async def turn(host: Host, count: int) -> AsyncIterator[None]:
    """Waits until fewer than count other builds are under way."""
    handles = [os.open(host.cache.path / "lock" / f"build.{i}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC,
                       0o666) for i in range(count)]
    try:
        while not any(try_lock(handle) for handle in handles):
            host.terminal.step("waiting for its turn")
            await asyncio.sleep(0.5)
        yield
    finally:
        for handle in handles:
            os.close(handle)


class Builder:
    """One build of a kernel, in an entry that is held."""

    def __init__(self, host: Host, kernel: Kernel, chosen: Compiler, entry: Entry, log: Path,
                 files: str) -> None:
        assert kernel.source
        self.host = host
        self.kernel = kernel
        self.compiler = chosen
        self.tree = kernel.source
        self.entry = entry
        self.log = log
        self.files = files
        self.make_words = [*kernel.config.make, *tree_words(self.tree)]

    async def build(self, shared: bool) -> None:
        """Configures, compiles, and takes the image."""
        build = self.kernel.build
        build.mkdir(parents=True, exist_ok=True)
        if not self.files:
            self.files = await tree_files(self.host, self.tree)
        seeded = await self.seed()
        await self.forget_objects()
        again = (build / "vmlinux").exists()
        await self.configure_if_changed()
        if seeded:
            await self.spare_constructors()
        status = await self.make()
        if status and shared and again and \
                not COMPILER_ERROR.search(self.log.read_text(errors="replace")):
            self.host.terminal.say(f"linux {self.kernel.name} does not build on top of another; "
                                   "once more from nothing")
            shutil.rmtree(build)
            build.mkdir()
            (self.entry.path / "configured").unlink(missing_ok=True)
            await self.configure_if_changed()
            status = await self.make()
        if status:
            raise self.failed()
        await take_image(self.host, self.kernel, build, self.kernel.image)

    def failed(self) -> Failure:
        """Why make failed. What an older gcc would do without is shown only if none is tried."""
        found = compiler.too_new(self.log.read_text(errors="replace"))
        if not found or self.host.cache.is_full():
            return self.host.failed(f"building linux {self.kernel.name}", self.log)
        kept = self.host.keep_log(self.log, "failed")
        return CompilerTooNew(f"{self.compiler.version} is too new for linux {self.kernel.name} "
                              f"({found[0]}); see {kept}", *found)

    async def make(self) -> int:
        """Runs make for the image and the modules."""
        env, words = ccache(self.host, self.kernel)
        return await self.host.run(
            f"building linux {self.kernel.name}",
            [*self.command(), *make_flags(self.host), *words,
             image_target(self.kernel), "modules"], self.log,
            # errors are known by their text
            env=dict(env, LC_MESSAGES="C"), counts_files=True)

    def command(self) -> List[str]:
        """make, and what it always has to be told."""
        return ["make", "-C", str(self.tree), f"O={self.kernel.build}",
                f"KBUILD_KCONFIG={self.kernel.build / KCONFIG}", *self.make_words]

    async def seed(self) -> bool:
        """Starts a build with fragments as a copy of the one without, if that is there.

        kbuild makes anew what the other options and variables touch. The compiler must be the
        same; and one that is being built is not waited for.
        """
        build = self.kernel.build
        if (build / ".config").exists() or self.kernel.kind is not Kind.PACKAGE:
            return False
        if any(re.match(r"# make: (LLVM|HOSTCC|CC|LD|AR|CROSS_COMPILE|ARCH)=", line)
               for line in self.kernel.config.build_lines()):
            return False
        base = self.host.cache.entry("kernel", kernel_id(self.host, self.kernel,
                                                         self.compiler.version, []))
        if base.path == self.entry.path or not base.is_current(self.kernel.state):
            return False
        copy = self.entry.path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        label = f"copying the build of linux {self.kernel.name}"
        # objtool's commands have the folder in them, and all objects depend on it
        script = ('cp -a --reflink=auto "$1/build" "$2" && { grep -rlIFZ "$1/build" "$2" || :; } |'
                  ' FROM=$1/build TO=$3 xargs -0r perl -pi -e \'s/\\Q$ENV{FROM}\\E/$ENV{TO}/g\'')
        handle = os.open(self.host.cache.path / "lock" / f"kernel-{base.path.name}",
                         os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            if not try_lock(handle) or await self.host.run(
                    label, ["bash", "-c", script, "-", str(base.path), str(copy), str(build)],
                    self.log):
                shutil.rmtree(copy, ignore_errors=True)
                return False
            shutil.copy2(base.path / "files", self.entry.path / "files")
        finally:
            os.close(handle)
        build.rmdir()
        copy.rename(build)
        return True

    async def forget_objects(self) -> None:
        """Removes what was made from files that have changed.

        make goes by dates, and a file that is put back as it was has an old one. For anything but
        a C file all objects go, unless the file is newer than the build.
        """
        known = self.entry.path / "files"
        new = self.entry.path / "files.new"
        new.write_text(self.files, encoding="utf-8")
        if known.exists():
            before = set(read(known).splitlines())
            after = set(self.files.splitlines())
            built_at = known.stat().st_mtime
            changed: Set[str] = {line.rsplit(" ", 2)[0] for line in before ^ after}
            for name in changed:
                path = self.tree / name
                if name.endswith(".c"):
                    (self.kernel.build / f"{name[:-2]}.o").unlink(missing_ok=True)
                elif not path.exists() or path.stat().st_mtime <= built_at:
                    await self.host.capture(["find", str(self.kernel.build), "-name", "*.o",
                                             "-delete"])
                    break
        new.rename(known)

    async def configure_if_changed(self) -> None:
        """Writes .config, unless nothing that decides about it has changed."""
        config = self.kernel.config
        lines = [line for line in self.files.splitlines(keepends=True) if CONFIGURES.match(line)]
        base = base_fragments(self.host.root, self.kernel.arch)
        state = hash_text("".join([*lines, *map(read, [*base, *config.fragments]),
                                   " ".join(config.make), "\n"]))
        stamp = self.entry.path / "configured"
        if (self.kernel.build / ".config").exists() and stamp.exists() and \
                read(stamp).strip() == state:
            return
        stamp.unlink(missing_ok=True)
        await self.configure()
        stamp.write_text(f"{state}\n", encoding="utf-8")

    async def configure(self) -> None:
        """tinyconfig, what every kernel of ours has, and the fragments on top."""
        build, config = self.kernel.build, self.kernel.config
        name = f"linux {self.kernel.name}"
        (build / KCONFIG).write_text(overlay_text(self.tree), encoding="utf-8")
        await self.host.run_or_fail(f"configuring {name}", [*self.command(), "tinyconfig"], self.log)
        with (build / ".config").open("a", encoding="utf-8") as file:
            for path in (*base_fragments(self.host.root, self.kernel.arch), *config.fragments):
                file.write(read(path))
        await self.host.run_or_fail(f"configuring {name}", [*self.command(), "olddefconfig"],
                                    self.log)
        names = " ".join(path.name for path in config.fragments)
        require_options(build / ".config", name + (f" with {names}" if names else ""),
                        self.kernel.arch)
        missed = unmet(read(build / ".config"), config.build_lines())
        if missed:
            self.host.terminal.say(f"note: {name} cannot have {' '.join(missed)}")

    async def spare_constructors(self) -> None:
        """Keeps what a seeded build has, where only CONFIG_CONSTRUCTORS is new; see SPARED."""
        build = self.kernel.build
        config = read(build / ".config")
        if not has_option(build / ".config", "CONFIG_CONSTRUCTORS") or \
                re.search(r"^CONFIG_(FUNCTION_ERROR_INJECTION|DYNAMIC_DEBUG_CORE)=y$", config, re.M):
            return
        found = re.search(r"^#ifdef CONFIG_CONSTRUCTORS.*?^}[^\n]*",
                          read(self.tree / "include/linux/module.h"), re.M | re.S)
        if not found:
            return
        text = re.sub(r"^\s*/\*.*\*/$", "", found[0], flags=re.M)
        if not SPARED.fullmatch(re.sub(r"\s", "", text)):
            return
        await self.host.run_or_fail(f"configuring linux {self.kernel.name}",
                                    [*self.command(), "syncconfig"], self.log)
        for path in (build / "include/config").rglob("*"):
            if path.name.lower().startswith("constructors"):
                os.utime(path, (946684800, 946684800))
        for path in [build / "init/main.o", build / "kernel/module.o",
                     *(build / "kernel/module").glob("*.o"), *build.rglob("*.mod.o"),
                     *build.rglob("*.lds")]:
            path.unlink(missing_ok=True)


def tree_words(tree: Path) -> List[str]:
    """What make has to be told about a tree."""
    # Only Module.symvers is wanted from "make modules". A tree to which somebody added drivers
    # (Ubuntu's) can have some that do not link in a small kernel.
    words = ["KBUILD_MODPOST_WARN=1"]
    lexer = tree / "scripts/dtc/dtc-lexer.l"
    # a variable in two host programs' objects, which gcc has not merged since 10
    if lexer.is_file() and re.search(r"^YYLTYPE yylloc;", read(lexer), re.M):
        words.append("HOSTCFLAGS=-fcommon")
    return words


def ccache(host: Host, kernel: Kernel) -> Tuple[Dict[str, str], List[str]]:
    """For a tree of the user's own, which will be built again; on a first build it only costs."""
    # git would be asked whether the tree has changes, and what depends on the answer be built anew
    words = ["LOCALVERSION="] if kernel.kind is Kind.TREE or kernel.commit else []
    if kernel.kind is not Kind.TREE or not host.which("ccache"):
        return {}, words
    env = {"CCACHE_DIR": os.environ.get("CCACHE_DIR", str(host.cache.path / "ccache")),
           # a header that was just checked out is not one that changes under the compiler
           "CCACHE_SLOPPINESS": os.environ.get("CCACHE_SLOPPINESS",
                                               "include_file_mtime,include_file_ctime")}
    make = kernel.config.make
    if not any(word.startswith("LLVM=") for word in make):
        default = f"CC={kernel.arch.prefix}gcc"
        command = [word[len("CC="):] for word in [default, *make] if word.startswith("CC=")][-1]
        if not command.startswith("ccache "):
            words.insert(0, f"CC=ccache {command}")
    return env, words


def image_target(kernel: Kernel) -> str:
    """QEMU starts a vmlinux as it is if it can; nothing needs to be packed and unpacked."""
    direct = has_option(kernel.build / ".config", kernel.arch.direct_image_option)
    return "vmlinux" if direct else kernel.arch.image_target


async def take_image(host: Host, kernel: Kernel, build: Path, image: Path) -> None:
    """Copies what QEMU starts out of a build folder."""
    if image_target(replace(kernel, build=build)) == "vmlinux":
        objcopy = f"{kernel.arch.prefix}objcopy"
        await host.capture([objcopy, "--strip-all", str(build / "vmlinux"), str(image)], check=True)
    else:
        shutil.copyfile(build / kernel.arch.image, image)


def driver_state(host: Host, kernel: Kernel) -> str:
    """Changes when the driver has to be built again for this kernel.

    For a tree that somebody works on it does so with headers, config, symbols and build scripts,
    but not with C files.
    """
    if kernel.kind is not Kind.TREE:
        return kernel.state
    files = read(host.cache.path / "kernel" / kernel.id / "files").splitlines()
    parts = [line for line in files if not KERNEL_ONLY.match(line)]
    for name in ("Module.symvers", "include/generated/autoconf.h", "include/generated/bounds.h",
                 "include/generated/utsrelease.h"):
        parts.append(read(kernel.build / name))
    return hash_text("\n".join(parts))
