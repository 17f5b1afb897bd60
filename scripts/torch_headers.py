"""C++ headers of a release of PyTorch: python scripts/torch_headers.py VERSION FOLDER

pip fetches its wheel, of which the headers alone are kept: FOLDER/torch/include. For checking that
what is built against one release could be built against another.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path


def main() -> None:
    """Fetches, unpacks, and leaves nothing else behind."""
    version, folder = sys.argv[1], Path(sys.argv[2])
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        # Any Python's wheel has the same ones.
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--no-cache-dir",
        ]
        command += ["--only-binary=:all:", "--python-version=3.12", f"--dest={temporary}"]
        if subprocess.run([*command, f"torch=={version}"]).returncode:
            sys.exit(f"pip fetches no torch {version}")
        (wheel,) = Path(temporary).glob("torch-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            names = [n for n in archive.namelist() if n.startswith("torch/include/")]
            archive.extractall(temporary, names)
        folder.mkdir(exist_ok=True)
        Path(temporary, "torch").rename(folder / "torch")


if __name__ == "__main__":
    main()
