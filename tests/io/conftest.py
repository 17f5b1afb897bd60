from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from isp_meta.data import sample_path
from isp_meta.frame import Frame
from isp_meta.io import read_raw


@pytest.fixture(scope="session")
def sample() -> Frame:
    return read_raw(sample_path())


@pytest.fixture(scope="session")
def exiftool() -> Callable[[Path], str]:
    tool = shutil.which("exiftool")
    if tool is None:
        pytest.fail("exiftool is missing: install the Debian package libimage-exiftool-perl")

    def validate(path: Path) -> str:
        command = [tool, "-validate", "-warning", "-a", str(path)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return validate
