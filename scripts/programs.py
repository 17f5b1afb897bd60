"""The programs of other people that tests and benchmarks run: where they are, and who they are.

    python scripts/programs.py

prints the Debian packages of those that the tests need and do not find. A name in PATH is no proof:
``convert`` is ImageMagick's, GraphicsMagick's or a wrapper, and Ubuntu's ``chromium-browser`` may
only say where to get one. So each is asked for its version, and what answers otherwise is passed
over for the next of that name in PATH.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# Seconds to answer in.
PATIENCE = 60


@dataclass(frozen=True)
class Found:
    """A program on this machine: its path and its version."""

    path: str
    version: str


@dataclass(frozen=True)
class Program:
    """One that somebody else made.

    Attributes:
        name: the project's own. package: Debian's.
        commands: what it may be called, the best first.
        option: asks for the version.
        answer: regular expression of a line that only this program prints, with the version as its
            group.
        oldest: lowest version that will do: of Ubuntu 22.04's time, the first with Python 3.10.
    """

    name: str
    package: str
    commands: tuple[str, ...]
    option: str
    answer: str
    oldest: tuple[int, ...] = ()

    def __str__(self) -> str:
        oldest = ".".join(map(str, self.oldest))
        return f"{self.name} {oldest} or later" if oldest else self.name

    def find(self) -> Found | None:
        """The first in PATH that says it is the program, and is not too old; None if none does."""
        return _find(self, tuple(os.get_exec_path()))

    def path(self) -> str:
        """Where it is.

        Raises:
            FileNotFoundError: it is missing; the error names its package, and what was passed over.
        """
        found = self.find()
        if found is None:
            others = ", ".join(_candidates(self, os.get_exec_path()))
            instead = f"; {others} is another program, or too old" if others else ""
            raise FileNotFoundError(f"{self} is missing: apt-get install {self.package}{instead}")
        return found.path


NUMBER = r"(\d+(?:\.\d+)+(?:-\d+)?)"
EXIFTOOL = Program(
    "ExifTool", "libimage-exiftool-perl", ("exiftool",), "-ver", f"{NUMBER}$", (12, 40)
)
EXIV2 = Program("Exiv2", "exiv2", ("exiv2",), "--version", f"exiv2 {NUMBER}", (0, 27))
JPEGTRAN = Program(
    "jpegtran",
    "libjpeg-turbo-progs",
    ("jpegtran",),
    "-version",
    f"libjpeg-turbo version {NUMBER}",
    (2, 1),
)
# Its version 7 is called magick, and 6 is called convert.
IMAGEMAGICK = Program(
    "ImageMagick",
    "imagemagick",
    ("magick", "convert"),
    "-version",
    f"Version: ImageMagick {NUMBER}",
    (6, 9),
)
CHROMIUM = Program(
    "Chromium",
    "chromium",
    ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    "--version",
    f"(?:Chromium|Google Chrome) {NUMBER}",
    (100,),
)
VALGRIND = Program(
    "valgrind", "valgrind", ("valgrind",), "--version", f"valgrind-{NUMBER}", (3, 18)
)
RAWTHERAPEE = Program(
    "RawTherapee", "rawtherapee", ("rawtherapee-cli",), "-v", f"RawTherapee, version {NUMBER}"
)
DARKTABLE = Program(
    "darktable",
    "darktable",
    ("darktable-cli",),
    "--version",
    f"this is darktable(?:-cli)? {NUMBER}",
)

# Raw editors, which tests run where they are installed. With all that they need they are several
# hundred megabytes; LibRaw and Adobe's SDK, which every test has, read the same files.
EDITORS = (DARKTABLE, RAWTHERAPEE)
# What the tests need, and make check-speed.
TESTS = (EXIFTOOL, EXIV2, JPEGTRAN, IMAGEMAGICK, CHROMIUM, VALGRIND)


@functools.cache
def _find(program: Program, folders: Sequence[str]) -> Found | None:
    for file in _candidates(program, folders):
        version = _version(program, file)
        if version and tuple(map(int, re.findall(r"\d+", version))) >= program.oldest:
            return Found(file, version)
    return None


def _candidates(program: Program, folders: Sequence[str]) -> Iterator[str]:
    """Files that are called like it."""
    for command in program.commands:
        for folder in folders:
            file = shutil.which(command, path=folder)
            if file is not None:
                yield file


def _version(program: Program, file: str) -> str | None:
    try:
        said = subprocess.run(
            [file, program.option],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=PATIENCE,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(f"^{program.answer}", said, re.MULTILINE)
    return found and found[1]


if __name__ == "__main__":
    for program in TESTS:
        if program.find() is None:
            print(program.package)
