from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from programs import EXIFTOOL

from isp_meta.data import sample_path
from isp_meta.frame import Frame
from isp_meta.io import read_raw


@pytest.fixture(scope="session")
def sample() -> Frame:
    return read_raw(sample_path())


@pytest.fixture(scope="session")
def exiftool() -> Callable[[Path], str]:
    tool = EXIFTOOL.path()

    def validate(path: Path) -> str:
        command = [tool, "-validate", "-warning", "-a", str(path)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return validate
