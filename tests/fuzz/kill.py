"""Kills what writes files at random moments, and lets the disk be full.

    python tests/fuzz/kill.py --times 200
    python tests/fuzz/kill.py --times 200 --disk     # on a small tmpfs of its own; needs root

After each, every file is as it was or whole under its final name, and nothing else has that name.
Every other kill waits until the command writes a file.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from isp_meta import CaptureOptions, attach, embed, extract, recover, strip, write_dng
from isp_meta.data import sample_path
from isp_meta.errors import OutputError

RAW = "photo.dng"
_FILLER = ".filler"
_DISK = 1 << 24


def _embed(folder: Path) -> None:
    embed(folder / RAW, folder / "photo.jpg", CaptureOptions(effort=0), overwrite=True)


def _embed_with_sidecar(folder: Path) -> None:
    embed(
        folder / RAW,
        folder / "photo.jpg",
        CaptureOptions(effort=0, carrier="sidecar"),
        overwrite=True,
    )


def _attach(folder: Path) -> None:
    attach(folder / "photo.jpg", in_place=True)


def _strip(folder: Path) -> None:
    strip(folder / "photo.jpg", in_place=True)


def _extract(folder: Path) -> None:
    extract(folder / "photo.jpg", overwrite=True)


def _recover(folder: Path) -> None:
    write_dng(folder / "recovered.dng", recover(folder / "photo.jpg"), overwrite=True, linear=True)


@dataclass(frozen=True)
class Scene:
    """A command and the folder that it starts from.

    Attributes:
        command: what is killed.
        before, after: content of each file by name, when it starts and when it is done.
        seconds: that it takes.
    """

    command: Callable[[Path], None]
    before: dict[str, bytes]
    after: dict[str, bytes]
    seconds: float

    @classmethod
    def of(cls, command: Callable[[Path], None], before: dict[str, bytes]) -> Scene:
        """Runs the command once."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            _lay(folder, before)
            start = time.monotonic()
            child = _fork(command, folder)
            _, status = os.waitpid(child, 0)
            seconds = time.monotonic() - start
            if status:
                raise AssertionError(f"{command.__name__} failed: {status}")
            return cls(command, before, contents(folder), seconds)


def contents(folder: Path) -> dict[str, bytes]:
    """Files of a folder by name, temporary ones left out: what a user takes for a picture."""
    return {
        path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")
    }


def scenes() -> Iterator[Scene]:
    """All commands that write."""
    raw = {RAW: sample_path().read_bytes()}
    whole = Scene.of(_embed, raw)
    yield whole
    pair = Scene.of(_embed_with_sidecar, raw)
    yield pair
    yield Scene.of(_embed, whole.after | {"photo.jpg": b"an older photograph"})
    yield Scene.of(_attach, pair.after)
    yield Scene.of(_strip, whole.after)
    yield Scene.of(_extract, whole.after)
    yield Scene.of(_recover, whole.after | {"recovered.dng": b"an older recovery"})


def _lay(folder: Path, files: dict[str, bytes]) -> None:
    for path in folder.iterdir():
        path.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _fork(
    command: Callable[[Path], None], folder: Path, longest: int = resource.RLIM_INFINITY
) -> int:
    child = os.fork()
    if child:
        return child
    status = 1
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (longest, longest))
    with contextlib.suppress(OutputError):
        command(folder)
        status = 0
    os._exit(status)


def _is_writing(folder: Path) -> bool:
    return any(path.name.startswith(".") for path in folder.iterdir())


def kill_once(scene: Scene, folder: Path, chance: random.Random) -> str:
    """Kills the command at a random moment; what was left: "before", "after" or "between".

    Raises:
        AssertionError: a file that is neither as before nor as after.
    """
    _lay(folder, scene.before)
    child = _fork(scene.command, folder)
    if chance.random() < 0.5:
        time.sleep(chance.uniform(0, 1.05) * scene.seconds)
    else:
        end = time.monotonic() + 2 * scene.seconds
        while time.monotonic() < end and not _is_writing(folder):
            time.sleep(0.0002)  # one that looked all the time would slow the command down
        time.sleep(chance.uniform(0, 0.003))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return what_is_left(scene, folder)


def what_is_left(scene: Scene, folder: Path) -> str:
    """Which of its states a folder is in.

    Raises:
        AssertionError: a file that is neither as before nor as after.
    """
    left = contents(folder)
    for name in scene.before.keys() | left.keys():
        allowed = [scene.before.get(name), scene.after.get(name)]
        if left.get(name) not in allowed:
            raise AssertionError(f"{scene.command.__name__}: {name} is no whole file")
    if left.get("photo.jpg") != scene.before.get("photo.jpg") and left != scene.after:
        # The sidecar is written first: a picture never stands there without it.
        raise AssertionError(f"{scene.command.__name__}: a picture without its sidecar")
    return "before" if left == scene.before else "after" if left == scene.after else "between"


def starve_once(scene: Scene, folder: Path, room: int, *, is_small: bool) -> str:
    """Runs the command with no more room on the disk than that; what was left.

    Args:
        room: bytes.
        is_small: the folder's disk holds _DISK bytes, and is filled up. Else no file may be longer,
            which a process can ask of any disk.

    Raises:
        AssertionError: a file that is neither as before nor as after, or a temporary one.
    """
    _lay(folder, scene.before)
    if is_small:
        disk = os.statvfs(folder)
        (folder / _FILLER).write_bytes(bytes(max(0, disk.f_bavail * disk.f_frsize - room)))
        room = resource.RLIM_INFINITY
    child = _fork(scene.command, folder, room)
    os.waitpid(child, 0)
    (folder / _FILLER).unlink(missing_ok=True)
    if _is_writing(folder):
        raise AssertionError(f"{scene.command.__name__}: leaves a temporary file")
    return what_is_left(scene, folder)


@contextlib.contextmanager
def working_folder(is_small: bool) -> Iterator[Path]:
    """An empty folder, on a disk of _DISK bytes where asked for."""
    with tempfile.TemporaryDirectory() as folder:
        if not is_small:
            yield Path(folder)
            return
        mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", folder]
        subprocess.run(mount, check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=100, help="kills of each command")
    parser.add_argument("--disk", action="store_true", help="work on a small tmpfs; needs root")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    left: Counter[str] = Counter()
    with working_folder(options.disk) as folder:
        for scene in scenes():
            name, written = scene.command.__name__, scene.after.items() - scene.before.items()
            size = max(len(content) for _, content in written)
            for _ in range(options.times):
                left[f"{name} killed: {kill_once(scene, folder, chance)}"] += 1
                room = chance.randrange(size)
                state = starve_once(scene, folder, room, is_small=options.disk)
                left[f"{name} out of room: {state}"] += 1
    for outcome, count in sorted(left.items()):
        print(f"{count:6,}  {outcome}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
