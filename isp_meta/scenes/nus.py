"""The paper's pictures, laid out from a download of the NUS 8-camera set.

python -m isp_meta.scenes.nus DOWNLOAD OUT

DOWNLOAD/**/SonyA57_0001.ARW, DOWNLOAD/**/SonyA57_gt.mat
    ─▶ OUT/SonyA57/{train,val,test}/SonyA57_0001.{tif,json}

Public are the raw files and the colors of their illuminants, the three cameras, that pictures were
at a quarter of the sensor's scale, and their sizes. Not public are the paper's own pictures, which
of them were for training, validation and test, how they were shrunk, and the settings of the
software camera. So the split here is ours: figures on it and the paper's are not of the same test
pictures.

Source: Cheng, Prasad and Brown, "Illuminant estimation for color constancy: why spatial-domain
methods work and the role of the color distribution", JOSA A 31(5), 2014; Nam et al., CVPR 2022,
section 4.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io
from torch import Tensor

from .. import io
from ..errors import ImageFileError, IspMetaError, OutputError
from ..io import RAW_SUFFIXES
from .read import read_scene, seeded

__all__ = ["PAPER_CAMERAS", "NusCamera", "lay_out_nus"]

_MULTIPLE = 16  # Of the sides of the paper's pictures.
_SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class NusCamera:
    """A camera of the set.

    Attributes:
        name: in the names of the set's files.
        make, model: under which LibRaw knows it.
        height, width: of the paper's pictures.
    """

    name: str
    make: str
    model: str
    height: int
    width: int


PAPER_CAMERAS = (
    NusCamera("SamsungNX2000", "SAMSUNG", "NX2000", 912, 1360),
    NusCamera("OlympusEPL6", "OLYMPUS", "E-PL6", 864, 1152),
    NusCamera("SonyA57", "SONY", "SLT-A57", 816, 1216),
)
"""The three of the paper."""


def lay_out_nus(
    download: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    cameras: Sequence[NusCamera] = PAPER_CAMERAS,
    shrink: int = 4,
    shares: tuple[float, float] = (0.1, 0.1),
    split: Mapping[str, Sequence[str]] | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> dict[str, str]:
    """Develops the raw files of some cameras to linear pictures of a quarter of their scale.

    Each is demosaiced, averaged over blocks, cut in the middle to the paper's size or the largest
    multiple of 16 below it, and written as a 16-bit TIFF with a JSON file as
    :func:`isp_meta.scenes.linear_camera` reads it. Its illuminant is the set's ground truth where
    ``NAME_gt.mat`` is in the download, else what the camera chose. The chart in each picture stays
    in it. What is there already is not made again, so that an interrupted run can go on.

    Args:
        download: folder with the raw files, anywhere in it.
        out: folder to write to; made if missing.
        cameras: which.
        shrink: pixels a side of the blocks.
        shares: of validation and of test, drawn at random by name.
        split: names of pictures (without ending) for "train", "val" and "test", in place of a
            draw; those it does not name are left out.
        seed: of the draw.
        progress: called with the name of each picture.

    Returns:
        Why a raw file was skipped, by its name.

    Raises:
        ImageFileError: no raw file of a camera, or a damaged ``.mat``. OutputError: cannot write.
        ValueError: shares or split out of range.
    """
    if min(shares) < 0 or sum(shares) >= 1 or not set(split or ()) <= set(_SPLITS):
        raise ValueError(
            "shares must be >= 0 and sum to less than 1, split's keys train, val, test"
        )
    skipped = {}
    for camera in cameras:
        files = _raw_files(Path(download), camera)
        colors = _ground_truth(Path(download), camera)
        parts = _drawn([path.stem for path in files], shares, seed) if split is None else split
        part_of = {name: part for part, names in parts.items() for name in names}
        for path in files:
            if path.stem not in part_of:
                continue
            if progress is not None:
                progress(path.stem)
            folder = Path(out) / camera.name / part_of[path.stem]
            try:
                _develop(path, folder, camera, colors.get(path.stem), shrink)
            except OutputError:
                raise
            except IspMetaError as error:
                skipped[path.stem] = str(error)
    return skipped


def _raw_files(download: Path, camera: NusCamera) -> list[Path]:
    found = {
        path.stem: path
        for path in sorted(download.rglob(f"{camera.name}_*"))
        if path.suffix.lower() in RAW_SUFFIXES
    }
    if not found:
        raise ImageFileError(f"{download}: holds no raw files {camera.name}_*; download them first")
    return [found[name] for name in sorted(found)]


def _ground_truth(download: Path, camera: NusCamera) -> dict[str, list[float]]:
    """Color of each picture's illuminant, by its name; nothing without the file."""
    path = next(iter(sorted(download.rglob(f"{camera.name}_gt.mat"))), None)
    if path is None:
        return {}
    try:
        truth = scipy.io.loadmat(path)
        names = [str(np.ravel(name)[0]) for name in np.ravel(truth["all_image_names"])]
        colors = np.asarray(truth["groundtruth_illuminants"], np.float64)
        if colors.shape != (len(names), 3) or not (np.isfinite(colors) & (colors > 0)).all():
            raise ValueError("its illuminants are not 3 positive numbers a picture")
    except Exception as error:  # hostile bytes make SciPy raise nearly anything
        raise ImageFileError(f"{path}: damaged ({error}); download it again") from error
    return dict(zip(names, colors.tolist(), strict=True))


def _drawn(names: Sequence[str], shares: tuple[float, float], seed: int) -> dict[str, list[str]]:
    ranked = sorted(names, key=lambda name: seeded(seed, name).initial_seed())
    val, test = (round(share * len(names)) for share in shares)
    return {"val": ranked[:val], "test": ranked[val : val + test], "train": ranked[val + test :]}


def _develop(
    path: Path, folder: Path, camera: NusCamera, color: list[float] | None, shrink: int
) -> None:
    target = folder / f"{path.stem}.tif"
    if target.exists():
        return
    frame = read_scene(path, shrink=shrink)
    raw = _cut(frame.require("raw", "lay_out_nus"), camera)
    if 0 in raw.shape:
        raise ImageFileError(f"{path}: is too small for blocks of {shrink * _MULTIPLE} pixels")
    facts = {
        "illuminant_color_raw": color or list(frame.camera.as_shot_neutral),
        "illuminant": "as shot" if color is None else "ground truth",
        "make": camera.make,
        "model": camera.model,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot write, {error.strerror}") from error
    facts_path = target.with_suffix(".json")
    io.write_atomic(facts_path, json.dumps(facts, indent=1).encode(), overwrite=True)
    io.write_tiff16(target, raw)


def _cut(raw: Tensor, camera: NusCamera) -> Tensor:
    """The middle: of the paper's size, or less, in multiples of 16."""
    height, width = raw.shape[1:]
    sides = (
        min(height - height % _MULTIPLE, camera.height),
        min(width - width % _MULTIPLE, camera.width),
    )
    top, left = (height - sides[0]) // 2, (width - sides[1]) // 2
    return raw[:, top : top + sides[0], left : left + sides[1]]


def main() -> None:
    """Entry point of ``python -m isp_meta.scenes.nus``."""
    parser = argparse.ArgumentParser(
        prog="python -m isp_meta.scenes.nus",
        description="Lay out a download of the NUS 8-camera set as the paper used it.",
    )
    parser.add_argument("download", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="of the split")
    parser.add_argument(
        "--split", type=Path, help='JSON: {"train": [names], "val": ..., "test": ...}'
    )
    given = parser.parse_args()
    try:
        split = None if given.split is None else json.loads(io.read_bytes(given.split))
        skipped = lay_out_nus(
            given.download, given.out, split=split, seed=given.seed, progress=print
        )
    except (IspMetaError, ValueError) as error:
        sys.exit(f"error: {error}")
    for reason in skipped.values():
        sys.stderr.write(f"skipped: {reason}\n")


if __name__ == "__main__":
    main()
