"""What needs no PyTorch does not wait for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CALL = """
import sys
from isp_meta.cli import main

sys.argv[0] = "isp-meta"
try:
    main()
finally:
    assert "torch" not in sys.modules, "PyTorch was loaded"
"""

COMMANDS = {
    "help": ["--help"],
    "a command's help": ["embed", "--help"],
    "version": ["--version"],
    "verify": ["verify", "photo.jpg"],
    "inspect": ["inspect", "photo.jpg"],
    "inspect as JSON": ["inspect", "photo.jpg", "--json"],
    "extract": ["extract", "photo.jpg", "-o", "out.ispmeta"],
    "strip": ["strip", "photo.jpg", "-o", "out.jpg"],
    "batch verify": ["batch", "verify", ".", "-o", "out"],
    "attach": ["attach", "photo.jpg", "photo.jpg", "-o", "out.jpg"],
}


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_a_command_does_without_torch(arguments: list[str], photo: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(photo.read_bytes())
    called = [sys.executable, "-c", CALL, *arguments]
    done = subprocess.run(called, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout
