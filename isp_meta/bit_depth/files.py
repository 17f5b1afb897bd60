"""A picture of few bits that still carries the many: PNG and TIFF of 8 and 16 bits.

picture ─┬─ its high bits ─────────────▶ middles of bins ─▶ samples ─▶ payload ─▶ picture.png
         └─ all bits ──────────────────────────────────────────┘
picture.png ─▶ middles of bins, samples ─▶ reconstructor ─▶ within the bins ─▶ all bits
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor

from .. import carriers, codec, io
from ..camera import Camera
from ..capture import CaptureOptions
from ..capture.picture_file import PictureFile
from ..errors import ImageFileError, PayloadCorrupt, PayloadMissing
from ..frame import Frame, Reconstructor, Sampler
from ..metrics import psnr
from ..networks.shipped import DEPTH, shipped_depth
from ..reconstruct import BitDepthReconstructor, GuidedBitDepthReconstructor, LocalRBFReconstructor
from ..recovery import check_match, read_metadata
from ..samplers import LargestErrorSampler, TypicalErrorSampler, UniformSampler
from ..samples import Samples
from .bins import code_at, from_container, kept, middles, replicate

__all__ = ["Embedded", "Recovered", "degrade_file", "embed", "recover"]

PathLike = str | os.PathLike[str]
Progress = Callable[[str], None]
Method = Literal["best", "guided", "network", "local-rbf"]


@dataclass(frozen=True, eq=False)
class Embedded:
    """What :func:`embed` made.

    Attributes:
        path: the picture of few bits.
        depth: how few, of how many, and what recovers them best.
        samples: kept of the true picture.
        payload_bytes: size of the metadata. file_bytes: of the picture without it.
        psnr: of what recovery will give, decibels against the true codes.
    """

    path: Path
    depth: codec.Depth
    samples: Samples
    payload_bytes: int
    file_bytes: int
    psnr: float

    @property
    def bits_per_pixel(self) -> float:
        """Bits of metadata a pixel."""
        return 8 * self.payload_bytes / (self.samples.height * self.samples.width)


@dataclass(frozen=True, eq=False)
class Recovered:
    """What :func:`recover` gives.

    Attributes:
        codes: (3, H, W) int32 of ``depth.true`` bits.
        depth: bits of the picture now, and as it came.
        samples: that it carried.
    """

    codes: Tensor
    depth: codec.Depth
    samples: Samples

    def write(self, path: PathLike, *, overwrite: bool = False) -> None:
        """Writes a PNG or TIFF of 8 bits, or 16 where there are more than 8.

        Raises:
            OutputError: it cannot be written. ValueError: another ending.
        """
        io.check_target(path, overwrite=overwrite, sources=[])
        data = _encode(Path(path), self.codes, self.depth.true, _container(self.depth.true))
        io.write_atomic(path, data, overwrite=overwrite)


def degrade_file(
    picture: PathLike, output: PathLike, bits: int, *, overwrite: bool = False
) -> None:
    """Takes the low bits from a picture: :func:`isp_meta.bit_depth.degrade` for files.

    Args:
        picture: PNG, TIFF or JPEG of 8 bits, PNG or TIFF of 16.
        output: a PNG or TIFF, of 8 bits where ``bits`` are at most so many, else of 16.
        bits: that are left. overwrite: replaces an existing file.

    Raises:
        ImageFileError: the picture cannot be read, or has no more than ``bits``.
        OutputError: the output cannot be written. ValueError: another ending.
    """
    io.check_target(output, overwrite=overwrite, sources=[picture])
    target = Path(output)
    _check_ending(target)
    left = kept(*_read(picture, None, bits))
    io.write_atomic(target, _encode(target, left, bits, _container(bits)), overwrite=overwrite)


def _read(picture: PathLike, true_bits: int | None, bits: int) -> tuple[Tensor, codec.Depth]:
    """(3, H, W) codes of a file, and what is to become of them."""
    stored = io.decode_image(io.read_bytes(picture, ImageFileError), str(picture), deep=True)
    room = 8 if stored.dtype == torch.uint8 else 16
    depth = true_bits or room
    if not bits < depth <= room:
        raise ImageFileError(
            f"{picture}: its samples have {room} bits, so that {bits} of {depth} cannot be left"
        )
    return from_container(stored, room, depth), codec.Depth(depth, bits)


def embed(
    picture: PathLike,
    output: PathLike,
    bits: int,
    *,
    true_bits: int | None = None,
    sampler: Sampler | None = None,
    cell: int = 8,
    method: Method = "best",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Embedded:
    """Takes the low bits from a picture, and keeps what is worth keeping of them beside the rest.

    Args:
        picture: PNG, TIFF or JPEG of 8 bits, PNG or TIFF of 16; gray becomes three equal colors.
            Its color profile and EXIF are not copied; the result says that it is sRGB.
        output: the PNG or TIFF of few bits to write.
        bits: that are left, 1 to 15, in a file of 8 or 16, where they repeat.
        true_bits: of the picture; default all that its file has. Lower ones are not looked at.
        sampler: default: for the network in every cell the pixel that it would get wrong most, for
            guided systems the one that it gets as wrong as those around, else a uniform grid,
            which takes the fewest bits.
        cell: side of a cell, pixels; 8 keeps 1.5 % of the pixels.
        method: that is to put the bits back: the shipped "network"; "local-rbf", which is not
            trained; those systems "guided" by the network; or the "best" for this picture, which
            each is tried for.
        overwrite: replaces an existing file.
        progress: called with the name of each step as it begins.

    Raises:
        ImageFileError: the picture cannot be read, or has no more than ``bits``.
        OutputError: the output cannot be written.
        ValueError: bits, cell or the output's ending do not fit.

    Source: Nam et al., CVPR 2022, section 4.4; the format is docs/format.md.
    """
    step = progress or (lambda _name: None)
    if method not in get_args(Method):
        raise ValueError(f"method must be one of {', '.join(get_args(Method))}, not {method!r}")
    io.check_target(output, overwrite=overwrite, sources=[picture])
    target = Path(output)
    _check_ending(target)
    step("reading")
    codes, depth = _read(picture, true_bits, bits)
    left = kept(codes, depth)
    data = _encode(target, left, bits, _container(bits))
    frame = Frame(srgb=middles(left, bits), raw=middles(codes, depth.true))
    step("choosing pixels")
    chosen = _choose(frame, codes, left, depth, sampler, cell, method)
    depth, samples = chosen.depth, chosen.samples
    step("writing")
    pixels = io.eight_bits(io.decode_image(data, str(output), deep=True))
    payload = codec.Payload(
        missing_bits(samples, codes, depth),
        Camera(),
        codec.Binding.of(pixels, carriers.scan_digest(data)),
        depth.steps,
        sampler=chosen.sampler,
        depth=depth,
    )
    packed = codec.encode(payload)
    io.write_atomic(target, carriers.insert(data, packed), overwrite=overwrite)
    return Embedded(target, depth, samples, len(packed), len(data), chosen.psnr)


@dataclass(frozen=True, eq=False)
class _Choice:
    """A way back that was tried."""

    psnr: float
    depth: codec.Depth
    samples: Samples
    sampler: str


def _choose(
    frame: Frame,
    codes: Tensor,
    left: Tensor,
    depth: codec.Depth,
    sampler: Sampler | None,
    cell: int,
    method: str,
) -> _Choice:
    """The way back that gives the most, by trying: the truth is at hand."""
    tried: list[_Choice] = []
    for recovery in get_args(codec.Recovery):
        if method not in ("best", recovery):
            continue
        network = "" if recovery == "local-rbf" else DEPTH
        way = dataclasses.replace(depth, recovery=recovery, network=network)
        reconstructor = reconstructor_of(way)
        chooser = sampler or default_sampler(reconstructor, cell)
        samples = chooser(frame)
        found = reconstructor(frame.replace(raw=None, samples=samples))
        psnr = code_psnr(code_at(found, left, depth), codes, depth.true)
        tried.append(_Choice(psnr, way, samples, type(chooser).__name__))
    return max(tried, key=lambda one: one.psnr)


def default_sampler(reconstructor: Reconstructor, cell: int) -> Sampler:
    """The sampler whose pixels a reconstructor makes the most of."""
    if isinstance(reconstructor, BitDepthReconstructor):
        return LargestErrorSampler(reconstructor, cell)
    if isinstance(reconstructor, GuidedBitDepthReconstructor):
        return TypicalErrorSampler(reconstructor, cell)
    return UniformSampler(cell)


def recover(
    picture: PathLike,
    *,
    fine_tune: int = 0,
    reconstructor: Reconstructor | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Recovered:
    """Puts the bits back into a picture that :func:`embed` made.

    Args:
        picture: PNG or TIFF.
        fine_tune: steps of fine-tuning the network on the samples first; a share of them is held
            out, and the untuned network is kept where that meets them better.
        reconstructor: in place of the one that the metadata name.
        force: goes on where the picture was edited since.
        progress: called with the name of each step as it begins.

    Raises:
        ImageFileError, CarrierError: the picture cannot be read. PayloadMissing: it carries
            nothing, or a raw. PayloadCorrupt: what it carries is damaged.
        PictureMismatch: the picture is not the one that the metadata was made for.
        WeightsFileError: a newer version made it with a network that this one does not have.
        ValueError: fine-tuning where no network reads the samples, or they would mislead it.
    """
    step = progress or (lambda _name: None)
    step("reading")
    metadata = read_metadata(picture)
    check_match(metadata, force)
    payload = metadata.payload
    if (depth := payload.depth) is None:
        raise PayloadMissing(f"{picture}: holds raw and no bits; isp-meta recover gives it")
    room = 8 if metadata.codes.dtype == torch.uint8 else 16
    if room < depth.left:
        raise PayloadCorrupt(f"{picture}: has {room} bits, its metadata is for {depth.left}")
    if not len(payload.samples):
        raise PayloadCorrupt(f"{picture}: holds no samples; nothing to recover from")
    left = from_container(metadata.codes, room, depth.left)
    samples = _true_samples(payload.samples, left, depth)
    frame = Frame(srgb=middles(left, depth.left), samples=samples)
    step("reconstructing")
    chosen = reconstructor or reconstructor_of(depth)
    if fine_tune and not isinstance(chosen, BitDepthReconstructor):
        raise ValueError(
            f"{picture}: its bits come back by {depth.recovery}, which has nothing to fine-tune; "
            "embed with the method network and uniform samples for that"
        )
    if fine_tune and payload.sampler == LargestErrorSampler.__name__:
        raise ValueError(
            f"{picture}: its samples are the pixels of the largest error, which would mislead "
            "fine-tuning; embed with uniform ones for that"
        )
    if fine_tune and isinstance(chosen, BitDepthReconstructor):
        chosen = chosen.fine_tune(frame, fine_tune, held_out=0.2)
    codes = code_at(chosen(frame), left, depth)
    return Recovered(codes, depth, samples)


def missing_bits(samples: Samples, codes: Tensor, depth: codec.Depth) -> Samples:
    """Samples as metadata keep them: the missing bits, as parts of 2ⁿ - 1.

    Args:
        codes: (3, H, W) of ``depth.true`` bits.
    """
    most = (1 << depth.taken) - 1
    missing = codes.flatten(1)[:, samples.index].T & most
    return dataclasses.replace(samples, value=missing.float() / most)


def _true_samples(stored: Samples, left: Tensor, depth: codec.Depth) -> Samples:
    low = (stored.value.double() * ((1 << depth.taken) - 1)).round().int()
    codes = (left.flatten(1)[:, stored.index].T << depth.taken) | low
    return dataclasses.replace(stored, value=middles(codes, depth.true))


def reconstructor_of(depth: codec.Depth) -> Reconstructor:
    """What puts the bits back.

    Raises:
        WeightsFileError: a network that does not ship.
    """
    if depth.recovery == "local-rbf":
        return LocalRBFReconstructor()
    network = BitDepthReconstructor(shipped_depth(depth.network), dtype=torch.bfloat16)
    return network if depth.recovery == "network" else GuidedBitDepthReconstructor(network)


def code_psnr(codes: Tensor, truth: Tensor, bits: int) -> float:
    """PSNR of codes, decibels against a peak of 2ᴮ - 1; inf where equal."""
    peak = 2**bits - 1
    return psnr(codes / peak, truth / peak)


def _container(bits: int) -> Literal[8, 16]:
    return 8 if bits <= 8 else 16


def _check_ending(path: Path) -> None:
    if path.suffix.lower() not in (".png", ".tif", ".tiff"):
        raise ValueError(f"{path}: must be a .png or .tif; a JPEG's losses are not whole bits")


def _encode(path: Path, codes: Tensor, bits: int, container: Literal[8, 16]) -> bytes:
    _check_ending(path)
    shown = io.display_values(
        replicate(codes, bits, container).to(torch.uint8 if container == 8 else torch.int32)
    )
    return PictureFile.of(path, CaptureOptions(depth=container)).encode(Frame(srgb=shown))
