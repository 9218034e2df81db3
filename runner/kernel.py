# SPDX-License-Identifier: GPL-2.0
"""What -k stands for, and whether that kernel can run the suite."""
from __future__ import annotations

import enum
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Iterable, List, Optional, Tuple

from runner import distro, revision, source
from runner.arch import Arch, all_archs, native_arch
from runner.config import Config
from runner.errors import Failure, UnfitKernel
from runner.host import Host

VERSION_LINE = re.compile(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *= *(.*?) *$", re.M)


class Kind(enum.Enum):
    """Where a kernel comes from."""

    # a release, or a commit checked out by us: in the cache, and nobody changes the tree
    PACKAGE = "package"
    TREE = "tree"
    BUILT = "built"
    NATIVE = "native"


@dataclass(frozen=True)
class Kernel:
    """A kernel that is to be tested.

    A package and a tree are built by us: until then, build, image, id and state are empty.
    """

    name: str
    kind: Kind
    arch: Arch = field(default_factory=native_arch)
    # the source tree; a kernel that was built by others can come without
    source: Optional[Path] = None
    # the build folder, which modules are built against
    build: Path = Path()
    image: Path = Path()
    # where its modules are installed, if they are
    modules: Optional[Path] = None
    config: Config = field(default_factory=Config)
    # names the cache entries that belong to it
    id: str = ""
    # of the source that it was built from
    state: str = ""
    # of DIR@REV
    commit: str = ""

    @property
    def is_ours(self) -> bool:
        """Is it built by us?"""
        return self.kind in (Kind.PACKAGE, Kind.TREE)

    @property
    def release(self) -> str:
        """6.1 of 6.1.192-2."""
        found = re.match(r"\d+\.\d+", self.name)
        return found[0] if found else self.name

    @property
    def label(self) -> str:
        """The release with the config, by which signatures of bugs are recorded: 6.1+debug."""
        return "+".join(filter(None, [self.release, self.arch.mark, self.config.name]))

    def lacks(self, options: Iterable[str]) -> List[str]:
        """Which of these options, CONFIG_NAME, it was not built with, as far as that is known."""
        config = self.build / ".config"
        return [name for name in options if config.is_file() and not has_option(config, name)]

    @property
    def compiler(self) -> str:
        """What built it, by its .config: "gcc (Debian 12.2.0-14) 12.2.0"."""
        return compiler_in(self.build / ".config")

    def option(self, name: str) -> bool:
        """Was it built with CONFIG_NAME=y?"""
        return has_option(self.build / ".config", f"CONFIG_{name}")


async def resolve(host: Host, name: str, arch: Optional[Arch] = None) -> Kernel:
    """The kernel that an argument of -k names; the distribution's newest for an empty one.

    arch is that of -a; this machine's without.
    """
    arch = arch or native_arch()
    if name == "native":
        if not arch.is_native:
            raise Failure(f"-k native is this machine's kernel, which is not {arch.name}; leave out -a")
        release = os.uname().release
        build = host.testing.native or Path(f"/lib/modules/{release}/build")
        return Kernel(f"{release} (native)", Kind.NATIVE, build=build)
    if name.startswith("linux-image-"):
        if not arch.is_native:
            raise Failure(f"-k {name}: packages are taken for this machine's architecture only; give a "
                          f"release or a tree with -a {arch.name}")
        return await resolve_package(host, name, arch)
    if not name:
        return await resolve_release(host, await source.default_release(host), arch)
    at = revision.split(name)
    if at:
        return await resolve_revision(host, *at, arch)
    if re.match(r"\d.*\.\d", name) and not Path(name).exists():
        if not source.is_release(name):
            raise Failure(f"unknown kernel: {name}; releases are given as X.Y or X.Y.Z (see --help)")
        return await resolve_release(host, name, arch)
    return await resolve_path(host, name, arch)


async def resolve_release(host: Host, name: str, arch: Arch) -> Kernel:
    """A linux-source package, or a tarball of kernel.org."""
    release = await source.get_release(host, name)
    return Kernel(release.version, Kind.PACKAGE, arch, release.path)


async def resolve_revision(host: Host, folder: Path, name: str, arch: Arch) -> Kernel:
    """A commit of a git repository; what is in it is looked at before it is checked out."""
    found = await revision.find(host, folder, name)
    if not found.has("kernel/fork.c"):
        raise Failure(f"{found.name} is not a kernel tree; -k DIR@REV takes a kernel's repository")
    if not found.has("mm/hmm.c"):
        raise UnfitKernel(f"{found.name} has no mm/hmm.c; the driver needs 5.0 or newer")
    tree = await revision.check_out(host, found)
    return Kernel(f"{tree_version(tree)} ({found.name})", Kind.PACKAGE, arch, tree,
                  commit=found.commit)


async def resolve_path(host: Host, name: str, arch: Arch) -> Kernel:
    """A source tree, a build folder, or an image with its build folder."""
    first, _, second = name.partition(":")
    if Path(name).exists():
        first, second = name, ""
    path = Path(first)
    if not path.exists():
        raise Failure(f"unknown kernel: {name}; give a release (6.1), a source or build tree, a "
                      f"git revision (DIR@REV), {a_or_an(arch.image_target)} or native")
    path = path.resolve()
    if path.is_file():
        return await resolve_image(host, path, Path(second) if second else None, arch)
    if (path / "Kconfig").is_file() and (path / "mm").is_dir() and \
            (path / "kernel/fork.c").is_file() and (path / "Kbuild").is_file():
        release = source.release_at(host, path)
        return Kernel(release.version, Kind.PACKAGE, arch, release.path) if release \
            else resolve_tree(path, arch)
    if (path / ".config").is_file() and (path / "include/config/kernel.release").is_file():
        return resolve_build(path, arch)
    raise Failure(f"{path} is not a kernel tree; -k takes the top folder of a source or build tree")


def leftover(tree: Path, arch: Optional[Arch] = None) -> str:
    """What a build left in a tree. kbuild builds elsewhere only from a clean one."""
    for name in (".config", "include/config", "include/generated",
                 f"arch/{(arch or native_arch()).srcarch}/include/generated"):
        if (tree / name).exists():
            return name
    return ""


def resolve_tree(tree: Path, arch: Optional[Arch] = None) -> Kernel:
    """A source tree, which is used as it is if it was built in place."""
    arch = arch or native_arch()
    left = leftover(tree, arch)
    if left:
        if (tree / "include/config/kernel.release").is_file() and (tree / "vmlinux").is_file():
            return resolve_build(tree, arch)
        raise Failure(f"{tree} is not clean, {left} is there; clean it (make mrproper, which "
                      "removes .config too) and it is built in the cache, or build it (make) and "
                      "it is used as it is")
    if not (tree / "mm/hmm.c").is_file():
        raise UnfitKernel(f"{tree} has no mm/hmm.c; the driver needs 5.0 or newer")
    return Kernel(tree_version(tree), Kind.TREE, arch, tree)


def tree_version(tree: Path) -> str:
    """What its Makefile says, without running make."""
    with (tree / "Makefile").open(encoding="utf-8", errors="replace") as file:
        fields: Dict[str, str] = dict(VERSION_LINE.findall("".join(file.readline() for _ in range(6))))
    numbers = [fields.get(key, "") for key in ("VERSION", "PATCHLEVEL", "SUBLEVEL")]
    version = ".".join(number for number in numbers if number)
    return f"{version}{fields.get('EXTRAVERSION', '')}"


def resolve_build(build: Path, arch: Arch) -> Kernel:
    """A folder in which a kernel was built."""
    name = (build / "include/config/kernel.release").read_text(encoding="utf-8").strip()
    image = build / arch.image
    if has_option(build / ".config", arch.direct_image_option) and (build / "vmlinux").is_file():
        image = build / "vmlinux"
    if not image.is_file() or (image.name == arch.image and not arch.is_image(image)):
        for other in all_archs().values():
            if (build / other.image).is_file() and other.is_image(build / other.image):
                raise Failure(f"{build} is a build for {other.name}; give -a {other.name}")
        lacking = (f"neither a vmlinux that QEMU can start nor {a_or_an(arch.image_target)}"
                   if arch.direct_image_option else f"no {arch.image_target} for {arch.name}")
        raise Failure(f"{build} has {lacking}; build it (make)")
    require_options(build / ".config", str(build), arch)
    return Kernel(name, Kind.BUILT, arch, source_of(build), build, image)


def source_of(build: Path) -> Optional[Path]:
    """The source of a build folder, if it is there."""
    if (build / "source").exists():
        return (build / "source").resolve()
    return build if (build / "Kconfig").is_file() else None


async def resolve_image(host: Host, image: Path, build: Optional[Path],
                        arch: Arch) -> Kernel:
    """An image: its build folder is given, or around it, or installed with it."""
    if not arch.is_image(image):
        raise Failure(f"{image} is not {a_or_an(arch.image_target)}; give the kernel's {arch.image}")
    modules = None
    if not build and str(image).endswith(f"/{arch.image}"):
        build = Path(str(image)[:-len(arch.image) - 1])
    if not build:
        release = arch.image_release(image)
        modules, build = await distro.installed(host, release)
        if not build:
            raise Failure(f"no build folder for {image} in /lib/modules/{release}/build; install "
                          f"linux-headers-{release} or give it: -k {image}:DIR")
    if not (build / ".config").is_file() or \
            not (build / "include/config/kernel.release").is_file():
        raise Failure(f"{build} is not a kernel's build folder; give it as -k {image}:DIR")
    return image_kernel(image, build.resolve(), modules, arch)


async def resolve_package(host: Host, name: str, arch: Arch) -> Kernel:
    """A distribution's own kernel, unpacked in the cache."""
    found = await distro.get_kernel(host, name)
    kernel = image_kernel(found.image, found.headers, found.modules, arch)
    distro.check_headers(kernel.name, kernel.build)
    return kernel


def image_kernel(image: Path, build: Path, modules: Optional[Path], arch: Arch) -> Kernel:
    """A kernel of which we have the image; a distribution's headers say less than that."""
    require_options(build / ".config", str(build), arch)
    tree = (build / "source").resolve() if (build / "source").exists() else None
    return Kernel(arch.image_release(image), Kind.BUILT, arch, tree, build, image, modules)


def a_or_an(noun: str) -> str:
    """The noun with its article."""
    return f"{'an' if noun[0] in 'AEIOU' else 'a'} {noun}"


def has_option(config: Path, option: str) -> bool:
    """Does this .config have OPTION=y?"""
    try:
        text = config.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return f"\n{option}=y\n" in f"\n{text}\n"


def compiler_in(config: Path) -> str:
    """The compiler that a .config names; before 5.8 in a comment."""
    try:
        text = config.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    found = re.search(r'^(?:CONFIG_CC_VERSION_TEXT="(.*)"|# Compiler: (.*))$', text, re.M)
    return found[1] or found[2] if found else ""


def require_options(config: Path, what: str, arch: Arch) -> None:
    """Names the options that a kernel lacks to run the suite."""
    lines = set(config.read_text(encoding="utf-8", errors="replace").splitlines())
    missing = [f"CONFIG_{name}=y" for name in arch.needed_options
               if f"CONFIG_{name}=y" not in lines]
    if missing:
        raise UnfitKernel(f"the kernel of {what} cannot run the suite; it needs "
                          f"{' '.join(missing)}")


def driver_words(kernel: Kernel) -> List[str]:
    """What the driver's make has to be told of a kernel that others built."""
    # type data for a module wants pahole, and nothing here reads it
    return ["CONFIG_DEBUG_INFO_BTF_MODULES="] if kernel.option("DEBUG_INFO_BTF_MODULES") else []


def compiler_words(host: Host, kernel: Kernel, gcc_version: str) -> Tuple[str, ...]:
    """What the compiler of a kernel that others built means for the driver's make."""
    words = driver_words(kernel)
    if kernel.option("CC_IS_CLANG"):
        words.append("LLVM=1")
    variables = kernel.build / ".kernelvariables"
    text = variables.read_text(encoding="utf-8") if variables.is_file() else ""
    found = re.search(r"^CC *[:?]*=.*[) ](gcc-(\d+))$", text, re.M)
    if found and not host.which(found[1]):
        # an older one does not know all of its options
        if int(gcc_version.split(".")[0]) < int(found[2]):
            raise Failure(f"linux {kernel.name} was built with {found[1]}; install that, or run "
                          "this on the Debian release that has it")
        words.append(f"CC={kernel.arch.prefix}gcc")
    return tuple(words)
