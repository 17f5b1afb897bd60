"""Folders of pictures in, a training set on disk out."""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from .. import io
from ..camera import Camera
from ..errors import OutputError, PipelineFileError, TrainingError, TrainingSetError
from ..pipeline import Pipeline
from ..presets.random_cameras import camera_between
from ..scenes import cameras_of, find_scenes, seeded
from .manifest import MANIFEST, Manifest, Shard, sha256_of
from .renderings import InputKind, Recipe
from .sections import Section
from .sections import number as in_range
from .shards import Scene, write_shards

__all__ = ["PrepareConfig", "Prepared", "prepare"]

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
class PrepareConfig(Section):
    """What a training set is made of, and how: arguments of :func:`prepare`.

    Attributes:
        pictures: folders of them; none: the set is made by ``isp-meta prepare`` alone.
        val, share_val, renderings, crop, crops, inputs, quality, presets, exposure, noise, shrink,
            seed: as there.
        camera: as there; empty: random ones.
    """

    SECTION: ClassVar[str] = "prepare"

    pictures: tuple[str, ...] = ()
    val: tuple[str, ...] = ()
    share_val: float = in_range(0.0, 0, 0.99)
    renderings: int = in_range(8, 1)
    crop: int = in_range(192, 1)
    crops: int = in_range(16, 1)
    inputs: tuple[InputKind, ...] = ("16bit", "8bit", "jpeg")
    quality: tuple[int, int] = (80, 100)
    presets: tuple[str, ...] = ("random",)
    camera: str = ""
    exposure: tuple[float, float] = (-1.0, 1.0)
    noise: tuple[float, float] | None = None
    shrink: int = in_range(1, 1)
    seed: int = in_range(0, 0)

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            _ = self.recipe
        except (ValueError, PipelineFileError) as error:
            raise TrainingError(f"[prepare] {error}") from error

    @property
    def recipe(self) -> Recipe:
        """How its renderings are made."""
        values = {item.name: getattr(self, item.name) for item in fields(Recipe)}
        return Recipe(**{**values, "presets": tuple(map(_named_or_text, self.presets))})

    def make(
        self,
        folder: PathLike,
        *,
        workers: int = 1,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> Prepared:
        """The training set; raises what :func:`prepare` raises."""
        recipe = asdict(self.recipe)
        return prepare(
            self.pictures,
            folder,
            share_val=self.share_val,
            val=self.val,
            preset=recipe.pop("presets") and self.presets,
            camera=self.camera or None,
            workers=workers,
            overwrite=overwrite,
            progress=progress,
            **recipe,
        )

    def check(self, folder: PathLike) -> None:
        """Refuses a training set that was made otherwise.

        Raises:
            TrainingError: its settings differ. TrainingSetError: it cannot be read.
        """
        settings = _settings(self.recipe, self.share_val, self.val, self.camera or None)
        made = Manifest.read(Path(folder)).settings
        for name, value in json.loads(json.dumps(settings)).items():
            if made.get(name) != value:
                raise TrainingError(
                    f"{folder}: was made with {name} {made.get(name)!r} and not {value!r}, as "
                    "[prepare] has it; make it again, or leave [prepare] out"
                )


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
    quality: tuple[int, int] = (80, 100),
    preset: PathLike | Iterable[PathLike] = "random",
    camera: PathLike | None = None,
    exposure: tuple[float, float] = (-1.0, 1.0),
    noise: tuple[float, float] | None = None,
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
        inputs: kinds of sRGB picture, drawn from evenly: "16bit", "8bit", and "jpeg" with 4:4:4
            or 4:2:0 chroma. They take the place of Quantize and Jpeg stages.
        quality: of JPEGs, lowest and highest.
        preset: cameras to render by, drawn from evenly: a function's name in
            :mod:`isp_meta.presets` or a pipeline's TOML file.
        camera: folder of raw files or linear pictures of the camera whose raw becomes of sRGB
            pictures: each time its matrix and a neutral between those of two of its pictures. None:
            a random camera's.
        exposure: stops by which raw is scaled at random, darkest and brightest. A picture that
            saturates is not made darker, and at most 5 % of one are made to saturate.
        noise: full wells, in electrons, of the noisiest and the cleanest sensor whose noise half of
            the renderings get, raw and sRGB alike. None: no noise is added.
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
    renderers = [preset] if isinstance(preset, (str, os.PathLike)) else list(preset)
    recipe = Recipe(
        renderings=renderings,
        crop=crop,
        crops=crops,
        inputs=tuple(inputs),
        quality=quality,
        presets=tuple(map(_named_or_text, renderers)),
        exposure=exposure,
        noise=noise,
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
    cameras = cameras_of(camera) if camera is not None else []
    with _new_folder(target, overwrite) as temporary:
        scenes, rows = _scenes(names, held_out, cameras, temporary, seed, step)
        for done, row in enumerate(write_shards(scenes, recipe, workers), 1):
            step(f"rendered {done} of {len(scenes)} scenes")
            rows[row["name"]] = row
        settings = _settings(recipe, share_val, val, camera)
        manifest = _manifest([rows[name] for name in names], settings, recipe)
        if not any(shard.split == "train" for shard in manifest.shards):
            skipped = [row for row in rows.values() if "skipped" in row]
            reasons = [f"{row['name']}: {row['skipped']}" for row in skipped]
            raise TrainingSetError(f"no picture is left to train on ({'; '.join(reasons[:3])})")
        io.write_atomic(temporary / MANIFEST, manifest.encode())
    return _summary(target, manifest)


def _settings(
    recipe: Recipe, share_val: float, val: Iterable[str], camera: PathLike | None
) -> dict[str, Any]:
    """What a set depends on beside its pictures, as its manifest tells it."""
    settings = {**asdict(recipe), "share_val": share_val, "val": list(val)}
    if camera is not None:
        settings["camera"] = Path(camera).resolve().name
    return settings


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


def _scenes(
    names: Mapping[str, Path],
    held_out: set[str],
    cameras: Sequence[Camera],
    folder: Path,
    seed: int,
    step: Progress,
) -> tuple[list[Scene], dict[str, dict[str, Any]]]:
    """The scenes to render, and a row for each that there is no use to try."""
    rows: dict[str, dict[str, Any]] = {}
    scenes: list[Scene] = []
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
        camera = camera_between(cameras, seeded(seed, name)) if cameras else None
        scenes.append(Scene(path, name, digest, split, shard, camera))
    return scenes, rows


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
