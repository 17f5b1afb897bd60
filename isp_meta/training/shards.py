"""The shards of a training set: each scene rendered many times, by several processes."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from io import BytesIO
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from .. import io
from ..camera import Camera
from ..errors import ImageFileError, IspMetaError, OutputError, TrainingSetError
from ..frame import Frame
from ..processors.workers import workers as one_thread_each
from ..scenes import read_scene
from .manifest import Shard, sha256_of
from .renderings import Recipe, crop_count, render

__all__ = ["Scene", "write_shards"]


@dataclass(frozen=True)
class Scene:
    """A picture, and what is to become of it.

    Attributes:
        path: of the picture.
        name: that the manifest calls it by, and that chance depends on.
        sha256: of the file.
        split: "train" or "val".
        shard: file to write.
        camera: whose raw becomes of an sRGB picture; None: a random one's.
    """

    path: Path
    name: str
    sha256: str
    split: str
    shard: Path
    camera: Camera | None


def write_shards(scenes: Sequence[Scene], recipe: Recipe, workers: int) -> Iterator[dict[str, Any]]:
    """Renders scenes and writes their crops.

    Args:
        scenes: to render.
        recipe: of the set.
        workers: processes.

    Yields:
        A row of the manifest for each scene, as they come.

    Raises:
        TrainingSetError: a worker died. OutputError: a shard cannot be written.
    """
    if min(workers, len(scenes)) <= 1:
        # As in the workers: sums over a picture must not depend on the number of threads.
        with one_thread_each():
            for scene in scenes:
                yield _work(scene, recipe)
        return
    # A forked child can hang in the threads that PyTorch had started before.
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    pool = ProcessPoolExecutor(min(workers, len(scenes)), context, _begin, (stop,))
    try:
        futures: list[Future[dict[str, Any]]] = [pool.submit(_work, s, recipe) for s in scenes]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool as error:
        raise TrainingSetError(
            "a worker died, most likely for want of memory; use fewer workers, and in a script "
            'call prepare under if __name__ == "__main__"'
        ) from error
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


class _Stopped(Exception):
    """Nobody waits for this work any more."""


_stop: Event | None = None  # Of a worker's process, which has no other way to be told.


def _begin(stop: Event) -> None:
    global _stop
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C reaches all; the first process decides.
    torch.set_num_threads(1)


def _work(scene: Scene, recipe: Recipe) -> dict[str, Any]:
    """Makes the shard of one scene; a scene that cannot be used is told of in its row."""
    row: dict[str, Any] = {"name": scene.name, "sha256": scene.sha256}
    try:
        frame = read_scene(scene.path, camera=scene.camera, shrink=recipe.shrink)
        height, width = frame.require("raw", "prepare").shape[1:]
        count = recipe.renderings * crop_count(height, width, recipe)
        if not count:
            text = f"{width}x{height} pixels are too few for crops of {recipe.crop}"
            raise ImageFileError(f"{scene.path}: {text}")
        made = _write(scene, frame, recipe, count)
    except OutputError:
        raise
    except (IspMetaError, ValueError) as error:
        reason = str(error).removeprefix(f"{scene.path}: ")
        return {**row, "skipped": reason}
    shard = Shard(
        file=scene.shard.name,
        split=scene.split,
        crops=count,
        size=scene.shard.stat().st_size,
        sha256=sha256_of(scene.shard),
    )
    return {**row, "size": [height, width], "shard": asdict(shard), "renderings": made}


def _write(scene: Scene, frame: Frame, recipe: Recipe, count: int) -> list[dict[str, Any]]:
    made = []

    def write(file: BinaryIO) -> None:
        # Written and not mapped: on a full disk a map ends the process.
        shape = (count, 6, recipe.crop, recipe.crop)
        head = BytesIO()
        header = {"descr": "<u2", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(head, header)
        file.write(head.getvalue())
        for number in range(recipe.renderings):
            if _stop is not None and _stop.is_set():
                raise _Stopped
            how, crops = render(frame, recipe, scene.name, number)
            for crop in crops:
                file.write(crop.astype("<u2").tobytes())
            made.append(how.row())

    io.write_atomic(scene.shard, write)
    return made
