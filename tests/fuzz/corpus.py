"""The corpus that is kept: inputs of targets.py that between them reach all the code known so far.

python tests/fuzz/corpus.py FOLDER     # keeps the files of a folder in place of those
"""

from __future__ import annotations

import argparse
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

ARCHIVE = Path(__file__).with_name("corpus.tar.xz")


def kept() -> Iterator[tuple[str, bytes]]:
    """Name and content of each input."""
    with tarfile.open(ARCHIVE) as archive:
        for member in archive:
            file = archive.extractfile(member)
            assert file is not None
            yield member.name, file.read()


def keep(inputs: dict[str, bytes]) -> None:
    """Writes the archive; the same bytes for the same inputs."""
    with tarfile.open(ARCHIVE, "w:xz", preset=9) as archive:
        for name, content in sorted(inputs.items()):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    # libFuzzer names what it finds by its SHA-1; the others are made by every run.
    keep({path.name: path.read_bytes() for path in folder.iterdir() if len(path.name) == 40})


if __name__ == "__main__":
    main()
