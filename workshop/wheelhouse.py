"""Collect all that an attendee's computer needs, for an installation without a network.

    python workshop/wheelhouse.py                                      for a computer like this one
    python workshop/wheelhouse.py --platform windows --python 3.12     for that one
    python workshop/wheelhouse.py --platform macos kit/mac             into that folder

The folder can be carried on a USB stick or served in the room. Its INSTALL.txt says what to do with
it, and its install.py does it. This command needs a network, and pip takes the wheels from the
index that it is set to; `constraints.txt` fixes the versions.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from repository import read_settings  # noqa: E402

WORKSHOP = ROOT / "workshop"
# What the lessons and the exercises need besides the package.
EXTRAS = "lab,app"
# What setup.py reads or puts into the wheel.
SOURCES = ["movrec", "nbs", "images", "setup.py", "pyproject.toml", "settings.ini", "README.md"]
SOURCES += ["LICENSE", "NOTICE", "MANIFEST.in"]


# Some packages need a certain micro version, 3.11.5 say: wheels are collected for the latest one
# there may be, and which is the first that will do is found out afterwards.
LATEST_MICRO = 99


# ---- for which computer --------------------------------------------------------------------------


@dataclass(frozen=True)
class Platform:
    """A kind of computer: what its wheels are called, and what packages may ask of it."""

    label: str
    tags: tuple[str, ...]
    system: str
    machine: str
    sys_platform: str
    os_name: str


def linux(label: str, machine: str) -> Platform:
    """A Linux whose C library is at least version 2.28, that of 2018."""
    tags = (f"manylinux_2_{minor}_{machine}" for minor in range(28, 16, -1))
    tags = (*tags, f"manylinux2014_{machine}", f"linux_{machine}")
    return Platform(label, tags, "Linux", machine, "linux", "posix")


PLATFORMS = {
    "linux": linux("Linux on an Intel or AMD processor", "x86_64"),
    "linux-arm": linux("Linux on an ARM processor", "aarch64"),
    "macos": Platform(
        "macOS 14 or later on an Apple processor",
        ("macosx_14_0_arm64",),  # pip takes wheels for earlier versions as well
        "Darwin", "arm64", "darwin", "posix",
    ),
    "macos-intel": Platform(
        "macOS 14 or later on an Intel processor",
        ("macosx_14_0_x86_64",),
        "Darwin", "x86_64", "darwin", "posix",
    ),
    "windows": Platform(
        "Windows on an Intel or AMD processor", ("win_amd64",), "Windows", "AMD64", "win32", "nt"
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Target:
    """A kind of computer and its version of Python."""

    name: str
    python: str

    @property
    def platform(self) -> Platform:
        return PLATFORMS[self.name]

    def __str__(self) -> str:
        return f"{self.platform.label} with Python {self.python}"

    def markers(self) -> dict[str, str]:
        """What a requirement such as `pywinpty; os_name == "nt"` is decided by."""
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.{LATEST_MICRO}",
            "os_name": self.platform.os_name,
            "platform_machine": self.platform.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": self.platform.system,
            "platform_version": "",
            "python_full_version": f"{self.python}.{LATEST_MICRO}",
            "python_version": self.python,
            "sys_platform": self.platform.sys_platform,
        }

    def pip_options(self) -> list[str]:
        """What tells `pip download` to collect for that computer instead of this one."""
        options = ["--only-binary=:all:", "--implementation=cp"]
        options.append(f"--python-version={self.python}.{LATEST_MICRO}")
        return options + [f"--platform={tag}" for tag in self.platform.tags]


def this_platform() -> str | None:
    """The name of the platform that this computer is, if it is one of ours."""
    here = (platform.system(), platform.machine())
    return next((name for name, it in PLATFORMS.items() if (it.system, it.machine) == here), None)


# ---- collecting ----------------------------------------------------------------------------------


def run_pip(*arguments: str) -> None:
    """Run pip; where it fails, end with what it says, in a sentence of ours if we know one."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, stderr=subprocess.PIPE, encoding="utf-8", errors="replace")
    if done.returncode:
        raise PipError(done.stderr)


class PipError(Exception):
    """pip could not do what it was asked to; the text is all that it said about it."""

    @property
    def package(self) -> str | None:
        """The package of which pip found no wheel that fits, if that was it."""
        said = r"(?:No matching distribution found for|Cannot install) ([\w.-]+)"
        found = re.search(said, str(self))
        return found and found[1]


def build_wheel(folder: Path) -> None:
    """Build movrec's own wheel, from a copy, so that the working tree is left as it is."""
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / "movrec"
        copy.mkdir()
        for name in SOURCES:
            if (ROOT / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
                shutil.copytree(ROOT / name, copy / name, ignore=ignored)
            else:
                shutil.copy(ROOT / name, copy)
        run_pip("wheel", "--quiet", "--no-deps", f"--wheel-dir={folder}", str(copy))


def wheels_in(folder: Path) -> dict[str, Path]:
    """The wheels of a folder, by the name of their package."""
    return {parse_wheel_filename(path.name)[0]: path for path in folder.glob("*.whl")}


def metadata_of(wheel: Path) -> Message:
    """What a wheel says of itself."""
    with zipfile.ZipFile(wheel) as archive:
        # At the top: a package may carry others within it, with their metadata.
        metadata_file = re.compile(r"[^/]+\.dist-info/METADATA")
        (name,) = filter(metadata_file.fullmatch, archive.namelist())
        return BytesParser().parsebytes(archive.read(name))


def requirements_of(wheel: Path, extra: str, target: Target) -> Iterator[Requirement]:
    """What a wheel, or one of its extras, needs on that computer."""
    for line in metadata_of(wheel).get_all("Requires-Dist", []):
        requirement = Requirement(line)
        environment = {**target.markers(), "extra": extra}
        if requirement.marker is None or requirement.marker.evaluate(environment):
            yield requirement


def first_python(wheels: Sequence[Path], target: Target) -> str:
    """The first version of Python, 3.11.5 say, that all of the wheels accept."""
    accepted = [SpecifierSet(metadata_of(wheel).get("Requires-Python", "")) for wheel in wheels]
    versions = (f"{target.python}.{micro}" for micro in range(LATEST_MICRO + 1))
    return next(version for version in versions if all(version in some for some in accepted))


def download(requirements: Sequence[Requirement], folder: Path, target: Target) -> None:
    """Download the wheels of some packages for that computer, without what they need in turn."""
    wanted: dict[str, SpecifierSet] = {}
    for requirement in requirements:
        name = canonicalize_name(requirement.name)
        wanted[name] = wanted.get(name, SpecifierSet()) & requirement.specifier
    print(f"==> {len(wanted)} more: {', '.join(sorted(wanted))}", flush=True)
    constraints = f"--constraint={ROOT / 'constraints.txt'}"
    quiet = [] if sys.stdout.isatty() else ["--quiet"]
    options = [*quiet, "--no-deps", f"--dest={folder}", constraints, *target.pip_options()]
    try:
        run_pip("download", *options, *(f"{name}{versions}" for name, versions in wanted.items()))
    except PipError as error:
        if error.package is None:
            raise
        raise SystemExit(
            f"pip finds no wheel of {error.package} that fits {target} and constraints.txt: "
            "no wheelhouse can be made for these computers."
        ) from None


def collect(requirements: Sequence[str], folder: Path, target: Target) -> None:
    """Download wheels into a folder until all that they need is there.

    pip itself would do this in one step, but decides conditions such as `sys_platform == "win32"`
    by the computer that it runs on. So the requirements are followed here, for the other one.
    """
    waiting = [Requirement(requirement) for requirement in requirements]
    followed: set[tuple[str, str]] = set()
    while waiting:
        there = wheels_in(folder)
        missing = [item for item in waiting if canonicalize_name(item.name) not in there]
        if missing:
            download(missing, folder, target)
        there = wheels_in(folder)
        found: list[Requirement] = []
        for item in waiting:
            wheel = there[canonicalize_name(item.name)]
            check_version(item, wheel)
            for extra in {"", *item.extras}:
                if (item.name, extra) not in followed:
                    followed.add((item.name, extra))
                    found += requirements_of(wheel, extra, target)
        waiting = found


def check_version(requirement: Requirement, wheel: Path) -> None:
    """End where the wheel that was collected is not one that is needed."""
    version = parse_wheel_filename(wheel.name)[1]
    if not requirement.specifier.contains(version, prereleases=True):
        raise SystemExit(
            f"{requirement} is needed, but {wheel.name} was collected: "
            f"write the version of {requirement.name} that fits into constraints.txt."
        )


# ---- the folder ----------------------------------------------------------------------------------


def copy_handouts(folder: Path) -> None:
    """Copy what else an attendee gets: the sheet; exercises and slides, if they have been made."""
    shutil.copy(WORKSHOP / "cheatsheet.html", folder)
    if (WORKSHOP / "slides").is_dir():
        shutil.copytree(WORKSHOP / "slides", folder / "slides")
    for path in sorted((WORKSHOP / "exercises").glob("[0-9]*.ipynb")):
        text = path.read_text(encoding="utf-8")
        copy = folder / "exercises" / path.name
        (copy.parent / "images").mkdir(parents=True, exist_ok=True)
        for name in re.findall(r"\.\./\.\./images/([\w.-]+)", text):
            shutil.copy(ROOT / "images" / name, copy.parent / "images")
        # The folder goes its own way, and its pictures with it.
        copy.write_text(text.replace("../../images/", "images/"), encoding="utf-8", newline="\n")


INSTALL = """\
movrec {version}, for an installation without a network
{rule}

For: {target}. {count} packages, {size:.0f} MB.

1. Copy this whole folder to your computer. It needs some {needed:.1f} GB of free space.
2. Open a terminal in the folder and type

       {python} install.py

   It looks whether your Python and the files are right, makes the folder movrec-workshop in your
   home folder and installs all of it there. Another folder: {python} install.py FOLDER
3. It ends by printing the command that opens the notebooks.

"{python}" is not found, or install.py says that the version does not fit? This folder is for
Python {version_of_python} alone, from {first_python} on. Install that version, or ask for
the folder that is made for yours.

With a network of your own you need none of this: pip install "movrec[{extras}]"
"""

RUN_PYTHON = {"Windows": "py -{python}", "Darwin": "python{python}", "Linux": "python{python}"}


def megabytes(paths: Sequence[Path]) -> float:
    """The size of some files together."""
    return sum(path.stat().st_size for path in paths) / 1e6


def files_below(folder: Path) -> list[Path]:
    """All files of a folder, in the order of their names."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def write_texts(folder: Path, target: Target, version: str) -> None:
    """Write what is to be read, what install.py reads, and the checksums of it all."""
    wheels = list((folder / "wheels").glob("*.whl"))
    title = f"movrec {version}, for an installation without a network"
    first = first_python(wheels, target)
    unpacked = sum(item.file_size for path in wheels for item in zipfile.ZipFile(path).infolist())
    text = INSTALL.format(
        version=version,
        rule="=" * len(title),
        target=target,
        count=len(wheels),
        size=megabytes(wheels),
        needed=unpacked / 1e9 + megabytes(wheels) / 1e3,
        python=RUN_PYTHON[target.platform.system].format(python=target.python),
        version_of_python=target.python,
        first_python=first,
        extras=EXTRAS,
    )
    (folder / "INSTALL.txt").write_text(text, encoding="utf-8", newline="\n")
    kit = {
        "requirement": f"movrec[{EXTRAS}]=={version}",
        "python": target.python,
        "first_python": first,
        "system": target.platform.system,
        "machine": target.platform.machine,
        "for": str(target),
    }
    (folder / "kit.json").write_text(json.dumps(kit, indent=1) + "\n", encoding="utf-8")
    shutil.copy(WORKSHOP / "install.py", folder)
    sums = "".join(
        f"{sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in files_below(folder)
    )
    (folder / "SHA256SUMS").write_text(sums, encoding="utf-8", newline="\n")


def sha256(path: Path) -> str:
    """The checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make(folder: Path, target: Target) -> None:
    """Make the folder; it is there when it is complete, and not before."""
    if folder.exists():
        raise SystemExit(f"{folder} is there already: delete it, or name another folder.")
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # of a run that was ended by force
    try:
        (part / "wheels").mkdir(parents=True)
        version = read_settings()["version"]
        print(f"==> Collecting movrec {version} for {target}", flush=True)
        build_wheel(part / "wheels")
        collect([f"movrec[{EXTRAS}]=={version}"], part / "wheels", target)
        copy_handouts(part)
        write_texts(part, target, version)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def summary(folder: Path) -> str:
    """How much there is in the folder, and which wheels are the large ones."""
    wheels = sorted((folder / "wheels").glob("*.whl"), key=lambda path: -path.stat().st_size)
    large = (f"{path.name.split('-')[0]} {megabytes([path]):.0f} MB" for path in wheels[:4])
    text = (
        f"{folder}: {len(wheels)} wheels, {megabytes(files_below(folder)):.0f} MB in all "
        f"({', '.join(large)}, …). What to do with it stands in its INSTALL.txt."
    )
    cuda = megabytes([path for path in wheels if path.name.startswith("nvidia_")])
    if cuda:
        text += (
            f"\n{cuda:.0f} MB of it are CUDA, which torch brings with it and nobody needs here: "
            'workshop/README.md says under "On bad Wi-Fi" how to do without.'
        )
    return text


def main() -> None:
    """Make the wheelhouse that the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    settings = read_settings()
    first, last = (int(settings[key].split(".")[1]) for key in ("min_python", "max_python"))
    parser.add_argument("folder", nargs="?", type=Path, metavar="OUT", help="the folder to make")
    parser.add_argument(
        "--platform", choices=PLATFORMS, default=this_platform(), help="default: this computer's"
    )
    parser.add_argument(
        "--python",
        choices=[f"3.{minor}" for minor in range(first, last + 1)],
        default=here,
        help=f"the version of Python there; default: this one's, {here}",
    )
    arguments = parser.parse_args()
    if arguments.platform is None:
        parser.error("this kind of computer is none of ours: name one with --platform")
    target = Target(arguments.platform, arguments.python)
    folder = arguments.folder or Path(f"wheelhouse-{target.name}-py{target.python}")
    try:
        make(folder, target)
    except PipError as error:
        raise SystemExit(f"pip failed:\n{error}") from None
    except KeyboardInterrupt:
        raise SystemExit("Interrupted: nothing is left of the unfinished folder.") from None
    print(summary(folder))


if __name__ == "__main__":
    main()
