"""Commands, run in this process or as the installed program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from isp_meta import embed, io, read_metadata
from isp_meta.cli import app

PROGRAM = Path(sys.executable).with_name("isp-meta")


@dataclass(frozen=True)
class Result:
    """What a command did.

    Attributes:
        code: its exit code. out: its standard output. lines: those of its standard error.
    """

    code: int
    out: str
    lines: list[str]

    def failed(self, code: int, *texts: str) -> bool:
        """Whether it ended with that code and one line of error that holds the texts."""
        (line,) = self.lines
        assert line.startswith("error: "), line
        assert "Traceback" not in line
        assert all(text in line for text in texts), line
        return self.code == code


Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    def run(*arguments: str | Path) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Result(result.exit_code, result.stdout, result.stderr.splitlines())

    return run


@pytest.fixture
def run_program() -> Run:
    """Runs the installed ``isp-meta``, as a user without a superuser's way past permissions."""

    def run_program(
        *arguments: str | Path, stdout: int = subprocess.PIPE, **options: object
    ) -> Result:
        prefix = []
        if os.geteuid() == 0:
            prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
        result = subprocess.run(
            [*prefix, PROGRAM, *arguments],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        return Result(result.returncode, result.stdout, result.stderr.splitlines())

    return run_program


@pytest.fixture(scope="session")
def small(tmp_path_factory, make_frame) -> Path:
    """A folder with photo.dng and photo.jpg, which carries its raw; not to be changed."""
    folder = tmp_path_factory.mktemp("small")
    frame = make_frame(192, 256, orientation=6)
    raw = frame.replace(raw=((frame.codes - 64) / (4095 - 64)).expand(3, -1, -1))
    io.write_dng(folder / "photo.dng", raw)
    embed(folder / "photo.dng", folder / "photo.jpg")
    return folder


@pytest.fixture
def count(small) -> int:
    """How many samples photo.jpg carries."""
    return len(read_metadata(small / "photo.jpg").payload.samples)


@pytest.fixture
def photo(small, tmp_path) -> Path:
    """A copy of photo.jpg, alone in its folder."""
    shutil.copy(small / "photo.jpg", tmp_path)
    return tmp_path / "photo.jpg"


@pytest.fixture
def raw(small, tmp_path) -> Path:
    """A copy of photo.dng, alone in its folder."""
    shutil.copy(small / "photo.dng", tmp_path)
    return tmp_path / "photo.dng"


@pytest.fixture
def names(tmp_path) -> Callable[[], list[str]]:
    """What is in the test's folder."""
    return lambda: sorted(path.name for path in tmp_path.iterdir())
