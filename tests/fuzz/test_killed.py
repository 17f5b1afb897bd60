"""A few of the kills that ``tests/fuzz/kill.py`` deals out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("kill.py")


def test_no_moment_to_die_leaves_half_a_file():
    # A process of its own: a fork of one that has threads may wait for them forever.
    done = subprocess.run(
        [sys.executable, SCRIPT, "--times", "4"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    counts = dict(reversed(line.split(None, 1)) for line in done.stdout.splitlines())
    assert sum(map(int, counts.values())) == 7 * 2 * 4
    # Both what kept a file from being written and what came too late to do so.
    assert any(key.endswith("killed: before") for key in counts)
    assert any(key.endswith("out of room: before") for key in counts)
