"""Folders of pictures in, a training set on disk out."""

from __future__ import annotations

import contextlib
import fnmatch
import multiprocessing
import os
import secrets
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from ..errors import ImageFileError, IspMetaError, OutputError, TrainingSetError
from ..frame import Frame
from ..pipeline import Pipeline
from ..scenes import find_scenes, read_scene, seeded
from ..workers import workers as one_thread_each
from .manifest import MANIFEST, Manifest, Shard, sha256_of
from .renderings import InputKind, Recipe, crop_count, render

__all__ = ["Prepared", "prepare"]

PathLike = str | os.PathLike[str]
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Prepared:
    """What :func:`prepare` made.

    Attributes:
        folder: of the set.
        scenes, crops: in it, by split.
        size: of its shards, bytes.
        skipped: name of a picture and why it is not in the set.
    """

    folder: Path
    scenes: Mapping[str, int]
    crops: Mapping[str, int]
    size: int
    skipped: Mapping[str, str]


@dataclass(frozen=True)
class _Scene:
    path: Path
    name: str
    sha256: str
    split: str
    shard: Path


def prepare(
    folders: PathLike | Iterable[PathLike],
    out: PathLike,
    *,
    renderings: int = 8,
    crop: int = 192,
    crops: int = 16,
    share_val: float = 0.0,
    val: Iterable[str] = (),
    inputs: Iterable[InputKind] = ("16bit", "8bit", "jpeg"),
    preset: PathLike | Iterable[PathLike] = "random",
    exposure: tuple[float, float] = (-1.0, 1.0),
    shrink: int = 1,
    seed: int = 0,
    workers: int = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Prepared:
    """Renders scenes in many ways and stores crops of sRGB and raw to train on.

    Each scene (:func:`isp_meta.scenes.read_scene`) is rendered several times, whole, so that local
    tone mapping and JPEG see all of it. Chance decides, for each rendering, its exposure, camera,
    orientation and what kind of file the sRGB picture comes from. One picture a worker is in memory
    at a time. The set depends on the pictures, their names and the settings, not on the number of
    workers. Nothing is left behind by a failure or an interruption.

    Args:
        folders: of pictures, each searched as by :func:`isp_meta.scenes.find_scenes`.
        out: folder to make.
        renderings: of each scene, >= 1.
        crop: side of the stored crops, pixels; give more than training asks for, so that it can
            move its own about. Smaller pictures are continued by reflection, those with a side of
            less than half of it are skipped.
        crops: at most so many from one rendering, spread evenly; no more than cover it once.
        share_val: share of the scenes set aside for validation, in [0, 1).
        val: scenes to set aside in place of a share: names as in "folder/sub/001.png", with
            wildcards, or the last part of one, with or without its ending. A split is by scene.
        inputs: kinds of sRGB picture, drawn from evenly: "16bit", "8bit", and "jpeg" of quality 80
            to 100 with 4:4:4 or 4:2:0 chroma. They take the place of Quantize and Jpeg stages.
        preset: cameras to render by, drawn from evenly: a function's name in
            :mod:`isp_meta.presets` or a pipeline's TOML file.
        exposure: stops by which raw is scaled at random, darkest and brightest. A picture that
            saturates is not made darker, and at most 5 % of one are made to saturate.
        shrink: raw is averaged over blocks of so many pixels a side first.
        seed: of all that is random.
        workers: processes. More than one needs the usual ``if __name__ == "__main__"`` in a script.
        overwrite: replaces a training set, and nothing else.
        progress: called with what is being done.

    Returns:
        Prepared: counts, and what was skipped: damaged, too small, or the same picture again.

    Raises:
        ImageFileError: a folder without pictures. TrainingSetError: no scene is left to train on,
        a name in ``val`` fits none, or a worker died. OutputError: the set cannot be written.
        PipelineFileError, ValueError: a setting out of range.
    """
    step = progress or (lambda _text: None)
    listed = [folders] if isinstance(folders, (str, os.PathLike)) else list(folders)
    cameras = [preset] if isinstance(preset, (str, os.PathLike)) else list(preset)
    recipe = Recipe(
        renderings=renderings,
        crop=crop,
        crops=crops,
        inputs=tuple(inputs),
        presets=tuple(map(_named_or_text, cameras)),
        exposure=exposure,
        shrink=shrink,
        seed=seed,
    )
    if not 0 <= share_val < 1 or workers < 1:
        raise ValueError("share_val must be in [0, 1), workers at least 1")
    target = Path(out)
    _check_target(target, listed, overwrite)
    step("looking for pictures")
    names = _named(listed)
    held_out = _held_out(list(names), share_val, list(val), seed)
    with _new_folder(target, overwrite) as temporary:
        rows = _rows(names, held_out, recipe, temporary, workers, step)
        settings = {**asdict(recipe), "share_val": share_val, "val": list(val)}
        manifest = _manifest(rows, settings, recipe)
        if not any(shard.split == "train" for shard in manifest.shards):
            reasons = [f"{row['name']}: {row['skipped']}" for row in rows if "skipped" in row]
            raise TrainingSetError(f"no picture is left to train on ({'; '.join(reasons[:3])})")
        io.write_atomic(temporary / MANIFEST, manifest.encode())
    return _summary(target, manifest)


def _named_or_text(preset: PathLike) -> str:
    """A preset's name as it is, a pipeline's file as its text, which every worker can read."""
    if Path(preset).suffix.lower() != ".toml":
        return str(preset)
    return Pipeline.from_toml(preset).to_toml()


def _check_target(out: Path, folders: Sequence[PathLike], overwrite: bool) -> None:
    if not out.parent.is_dir():
        raise OutputError(f"{out}: cannot write, its folder does not exist; make it first")
    if not os.path.lexists(out) or (out.is_dir() and not any(out.iterdir())):
        return
    if not overwrite:
        raise OutputError(f"{out}: exists already", remedy="overwrite")
    if not Manifest.is_there(out):
        raise OutputError(f"{out}: is no training set and will not be replaced; name another")
    whole = out.resolve()
    if any(whole == p or whole in p.parents for p in (Path(f).resolve() for f in folders)):
        raise OutputError(f"{out}: holds the pictures that it would be made from; name another")


def _named(folders: Sequence[PathLike]) -> dict[str, Path]:
    """Every scene by a name that does not tell where on this machine it lies."""
    names: dict[str, Path] = {}
    for folder in folders:
        top = Path(folder)
        for path in find_scenes(top):
            inner = path.relative_to(top).parts if path != top else ()
            name = "/".join([top.resolve().name, *inner])
            while name in names and not path.samefile(names[name]):
                name = f"{name}~"
            names[name] = path
    return names


def _held_out(names: Sequence[str], share: float, val: Sequence[str], seed: int) -> set[str]:
    if not val:
        ranked = sorted(names, key=lambda name: seeded(seed, name).initial_seed())
        return set(ranked[: min(round(share * len(names)), len(names) - 1)])
    if share:
        raise ValueError("give share_val or val, not both")
    found: set[str] = set()
    for wanted in val:
        fitting = {name for name in names if _fits(name, wanted)}
        if not fitting:
            raise TrainingSetError(f"val: no picture is called {wanted!r}")
        found |= fitting
    return found


def _fits(name: str, wanted: str) -> bool:
    last = name.rpartition("/")[2]
    forms = (name, last, last.rpartition(".")[0])
    return any(fnmatch.fnmatchcase(form, wanted) for form in forms)


@contextlib.contextmanager
def _new_folder(out: Path, overwrite: bool) -> Iterator[Path]:
    """A folder beside ``out`` that takes its name once it is complete, or disappears."""
    temporary = out.with_name(f".{secrets.token_hex(8)}.tmp")
    replaced = temporary.with_suffix(".old")
    try:
        with _refused(out):
            temporary.mkdir()
        yield temporary
        with _refused(out):
            if overwrite and Manifest.is_there(out):
                out.rename(replaced)
            temporary.rename(out)
    except OutputError as error:
        raise OutputError(str(error).replace(str(temporary), str(out))) from error
    finally:
        if replaced.exists() and not out.exists():
            replaced.rename(out)
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)


@contextlib.contextmanager
def _refused(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{out}: cannot write, {error.strerror or error}") from error


def _rows(
    names: Mapping[str, Path],
    held_out: set[str],
    recipe: Recipe,
    folder: Path,
    workers: int,
    step: Progress,
) -> list[dict[str, Any]]:
    """What became of each scene, in the order of ``names``."""
    rows: dict[str, dict[str, Any]] = {}
    tasks: list[_Scene] = []
    first: dict[str, str] = {}
    for number, (name, path) in enumerate(names.items()):
        step(f"reading {number + 1} of {len(names)}")
        try:
            digest = sha256_of(path)
        except OSError as error:
            rows[name] = {"name": name, "skipped": f"cannot read it ({error.strerror})"}
            continue
        if digest in first:
            reason = f"is the same picture as {first[digest]}"
            rows[name] = {"name": name, "sha256": digest, "skipped": reason}
            continue
        first[digest] = name
        split = "val" if name in held_out else "train"
        shard = folder / f"{split}-{number:05d}.npy"
        tasks.append(_Scene(path, name, digest, split, shard))
    for done, row in enumerate(_worked(tasks, recipe, workers), 1):
        step(f"rendered {done} of {len(tasks)} scenes")
        rows[row["name"]] = row
    return [rows[name] for name in names]


def _worked(tasks: list[_Scene], recipe: Recipe, workers: int) -> Iterator[dict[str, Any]]:
    """A row for each scene, as they come."""
    if min(workers, len(tasks)) <= 1:
        # As in the workers: sums over a picture must not depend on the number of threads.
        with one_thread_each():
            for scene in tasks:
                yield _work(scene, recipe)
        return
    # A forked child can hang in the threads that PyTorch had started before.
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    pool = ProcessPoolExecutor(min(workers, len(tasks)), context, _begin, (stop,))
    try:
        futures: list[Future[dict[str, Any]]] = [pool.submit(_work, s, recipe) for s in tasks]
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


def _work(scene: _Scene, recipe: Recipe) -> dict[str, Any]:
    """Makes the shard of one scene; a scene that cannot be used is told of in its row."""
    row: dict[str, Any] = {"name": scene.name, "sha256": scene.sha256}
    try:
        frame = read_scene(scene.path, shrink=recipe.shrink)
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


def _write(scene: _Scene, frame: Frame, recipe: Recipe, count: int) -> list[dict[str, Any]]:
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


def _manifest(
    rows: Sequence[Mapping[str, Any]], settings: Mapping[str, Any], recipe: Recipe
) -> Manifest:
    shards = [Shard(**row["shard"]) for row in rows if "shard" in row]
    sources = [
        {key: value["file"] if key == "shard" else value for key, value in row.items()}
        for row in rows
    ]
    return Manifest(settings, recipe.crop, shards, sources)


def _summary(folder: Path, manifest: Manifest) -> Prepared:
    splits = {
        split: [shard for shard in manifest.shards if shard.split == split]
        for split in ("train", "val")
    }
    return Prepared(
        folder,
        {split: len(shards) for split, shards in splits.items()},
        {split: sum(shard.crops for shard in shards) for split, shards in splits.items()},
        sum(shard.size for shard in manifest.shards),
        {row["name"]: row["skipped"] for row in manifest.sources if "skipped" in row},
    )
