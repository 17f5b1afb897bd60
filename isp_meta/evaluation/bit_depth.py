"""Bit-depth recovery measured on a folder of pictures, in the form of the paper's Table 4.

truth ─ degrade ─┬─ blind methods ───────────────────┐
                 └─ samples ─ payload ─ recovery ────┴─▶ PSNR, SSIM, bits a pixel, seconds
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import imagecodecs
import numpy as np
import torch
from torch import Tensor

from .. import codec, io
from ..baselines.blind import BLIND
from ..bit_depth.bins import code_at, from_container, kept, middles
from ..bit_depth.files import code_psnr, missing_bits, reconstructor_of
from ..camera import Camera
from ..errors import ImageFileError, IspMetaError
from ..frame import Frame, Reconstructor, Sampler
from ..io import RAW_SUFFIXES
from ..metrics import ssim
from ..networks.shipped import DEPTH
from ..reconstruct import BitDepthReconstructor
from ..samplers import (
    LargestErrorSampler,
    RandomSampler,
    SuperpixelSampler,
    TypicalErrorSampler,
    UniformSampler,
)
from ..samples import Samples
from ..scenes import find_scenes, read_scene, scene_name
from .results import Record, Results
from .tables import markdown_table, mean

__all__ = ["KIND", "evaluate", "methods", "table"]

KIND = "bit depth"
"""Of its results."""

Progress = Callable[[str], None]
Blind = Callable[[Tensor, int, int], Tensor]

_SAMPLERS: dict[str, Callable[[Reconstructor, int], Sampler]] = {
    "uniform": lambda _recovery, cell: UniformSampler(cell),
    "random": lambda _recovery, cell: RandomSampler(0, 1 / cell**2),
    "superpixel": lambda _recovery, cell: SuperpixelSampler(cell),
    "largest-error": LargestErrorSampler,
    "typical-error": TypicalErrorSampler,
}
_FORMS = {"psnr": ".2f", "ssim": ".4f", "bits_per_pixel": ".3f", "seconds": ".2f"}
# The bits make no difference to what puts them back.
_WITH = {
    name: codec.Depth(8, 4, name, "" if name == "local-rbf" else DEPTH)
    for name in get_args(codec.Recovery)
}


@dataclass(frozen=True)
class _Method:
    """A way back: blind, or a sampler and what makes the most of its samples."""

    name: str
    blind: Blind | None = None
    sampler: Sampler | None = None
    recovery: Reconstructor | None = None
    fine_tune: int = 0


def methods(names: Iterable[str], cell: int = 8, fine_tune: Sequence[int] = (0,)) -> list[_Method]:
    """Methods by name: ``blind`` (all of them), one of those, ``SAMPLER+RECOVERY``, ``network``.

    Args:
        names: a sampler is uniform, random, superpixel, largest-error or typical-error, a recovery
            local-rbf, network or guided (the one guided by the other); ``network`` alone sees no
            sample, and local-rbf knows no error without samples.
        cell: side of a sampler's cell, pixels.
        fine_tune: numbers of steps that a network with samples is tuned for, each a method.

    Raises:
        ValueError: an unknown name.
    """
    found: list[_Method] = []
    for name in names:
        sampling, _, recovery = name.rpartition("+")
        if name == "blind":
            found += [_Method(each, blind) for each, blind in BLIND.items()]
        elif name in BLIND:
            found.append(_Method(name, BLIND[name]))
        elif (
            recovery not in _WITH
            or (sampling not in _SAMPLERS and name != "network")
            or (recovery == "local-rbf" and sampling.endswith("-error"))
        ):
            raise ValueError(
                f"there is no method {name!r}; blind ({', '.join(BLIND)}), network, or one of "
                f"{', '.join(_SAMPLERS)} + one of {', '.join(_WITH)}"
            )
        else:
            way = reconstructor_of(_WITH[recovery])
            sampler = _SAMPLERS[sampling](way, cell) if sampling else None
            tunings = fine_tune if sampling and recovery == "network" else (0,)
            for steps in tunings:
                full = f"{name}, fine-tuned {steps} steps" if steps else name
                found.append(_Method(full, None, sampler, way, steps))
    return found


def evaluate(
    folder: str | os.PathLike[str],
    bits: int,
    true_bits: int,
    chosen: Sequence[_Method],
    *,
    cell: int = 8,
    progress: Progress | None = None,
) -> Results:
    """Measures methods on every picture of a folder.

    Args:
        folder: PNG, TIFF, JPEG of at least ``true_bits``; of raw files the demosaiced linear raw.
        bits: that are left. true_bits: that are to be found again, at most 16.
        chosen: of :func:`methods`.
        cell: that they were made for.
        progress: called with the picture and method at work.

    Returns:
        Records of one picture and method: ``psnr`` (dB against a peak of 2ᴮ - 1), ``ssim``,
        ``bits_per_pixel`` of the whole payload, ``seconds`` of recovery; or ``error``. Methods
        ``store:...`` keep the missing bits without loss.

    Raises:
        ImageFileError: no picture. ValueError: bits do not fit.
    """
    depth = codec.Depth(true_bits, bits)
    files = {scene_name(path, folder): path for path in find_scenes(folder)}
    settings = {"scenes": list(files), "from": bits, "to": true_bits, "cell": cell}
    found = Results(settings, kind=KIND)
    for name, path in files.items():
        try:
            truth = read_codes(path, true_bits)
            for record in _measured(truth, depth, chosen, progress, name):
                found.add({"scene": name, **record})
        except IspMetaError as error:
            found.add({"scene": name, "error": str(error)})
    return found


def table(results: Results) -> str:
    """Markdown: a row a method, means over pictures."""
    settings, measured = results.settings, [r for r in results.records if "error" not in r]
    rows = []
    for method in dict.fromkeys(record["method"] for record in measured):
        run = [record for record in measured if record["method"] == method]
        means = [(mean([run], figure).value, form) for figure, form in _FORMS.items()]
        cells = ["" if value is None else format(value, form) for value, form in means]
        rows.append([method, *cells])
    columns = ["method", "PSNR, dB", "SSIM", "metadata, bit a pixel", "s"]
    return (
        f"{len(settings['scenes'])} pictures, {settings['from']} to {settings['to']} bits, "
        f"1 sample in {settings['cell']}x{settings['cell']} pixels. Means over pictures.\n\n"
        f"{markdown_table(columns, rows, 1)}\n"
    )


def read_codes(path: Path, bits: int) -> Tensor:
    """(3, H, W) int32 codes of the highest bits of a picture.

    Raises:
        ImageFileError, RawFileError: it cannot be read, or has fewer bits.
    """
    if path.suffix.lower() in RAW_SUFFIXES:
        raw: Tensor = read_scene(path).require("raw", "evaluate")
        return from_container((raw * 65535).round(), 16, bits)
    stored = io.decode_image(io.read_bytes(path, ImageFileError), str(path), deep=True)
    room = 8 if stored.dtype == torch.uint8 else 16
    if room < bits:
        raise ImageFileError(f"{path}: has {room} bits a sample, {bits} are to be found again")
    return from_container(stored, room, bits)


@torch.no_grad()
def _measured(
    truth: Tensor,
    depth: codec.Depth,
    chosen: Sequence[_Method],
    progress: Progress | None,
    name: str,
) -> Iterator[Record]:
    left = kept(truth, depth)
    peak = float(2**depth.true - 1)
    for method in chosen:
        if progress:
            progress(f"{name}: {method.name}")
        samples = _samples(method, truth, left, depth)
        start = time.perf_counter()
        codes = _codes(method, left, samples, depth)
        seconds = time.perf_counter() - start
        yield {
            "method": method.name,
            "psnr": code_psnr(codes, truth, depth.true),
            "ssim": ssim(codes.double() / peak, truth.double() / peak),
            "bits_per_pixel": None if samples is None else _payload_bits(samples, truth, depth),
            "seconds": seconds,
        }
    for kind, size in _lossless(truth, left, depth).items():
        yield {"method": f"store:{kind}", "bits_per_pixel": 8 * size / truth[0].numel()}


def _samples(method: _Method, truth: Tensor, left: Tensor, depth: codec.Depth) -> Samples | None:
    if method.sampler is None:
        return None
    frame = Frame(srgb=middles(left, depth.left), raw=middles(truth, depth.true))
    samples: Samples = method.sampler(frame)
    return samples


def _codes(method: _Method, left: Tensor, samples: Samples | None, depth: codec.Depth) -> Tensor:
    if method.blind is not None:
        return method.blind(left.long(), depth.left, depth.true).int()
    recovery = method.recovery
    assert recovery is not None
    frame = Frame(srgb=middles(left, depth.left), samples=samples)
    if method.fine_tune and isinstance(recovery, BitDepthReconstructor):
        recovery = recovery.fine_tune(frame, method.fine_tune, held_out=0.2)
    return code_at(recovery(frame), left, depth)


def _payload_bits(samples: Samples, truth: Tensor, depth: codec.Depth) -> float:
    """Of the whole payload, as it would be stored, bits a pixel."""
    pixels = io.eight_bits((kept(truth, depth) << (16 - depth.left)).to(torch.int32))
    payload = codec.Payload(
        missing_bits(samples, truth, depth),
        Camera(),
        codec.Binding.of(pixels, bytes(32)),
        depth.steps,
        depth=depth,
    )
    return 8 * len(codec.encode(payload)) / truth[0].numel()


def _lossless(truth: Tensor, left: Tensor, depth: codec.Depth) -> dict[str, int]:
    """Bytes of the missing bits, kept without loss in three ways."""
    missing = truth & ((1 << depth.taken) - 1)
    low, high, whole = (
        np.ascontiguousarray(
            codes.movedim(0, -1).numpy().astype(np.uint8 if bits <= 8 else np.uint16)
        )
        for codes, bits in ((missing, depth.taken), (left, depth.left), (truth, depth.true))
    )
    histogram = torch.bincount(missing.flatten(), minlength=1).double()
    share = histogram[histogram > 0] / histogram.sum()
    entropy = float(-(share * share.log2()).sum()) * missing.numel() / 8
    whole_size, high_size = (
        len(imagecodecs.jpegxl_encode(codes, lossless=True, effort=5)) for codes in (whole, high)
    )
    return {
        "entropy of the missing bits": round(entropy),
        "PNG of the missing bits": len(imagecodecs.png_encode(low, level=9)),
        "JPEG XL, whole less high bits": max(0, whole_size - high_size),
    }
