"""A payload: all that travels in a JPEG, as one value and as bytes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast, get_args

import numpy as np
from numpy.typing import NDArray

from ..camera import Camera
from ..errors import PayloadCorrupt, PictureMismatch
from ..samples import LocalRBFModel, ParametricModel, Samples
from . import sections
from .binding import Binding, Pixels
from .camera import pack_camera, unpack_camera
from .depth import Depth
from .editing import pack_editing, unpack_editing
from .enhancement import Enhancement
from .header import Header
from .local_rbf import pack_local_rbf, unpack_local_rbf
from .mosaic import Mosaic
from .parametric import pack_parametric, unpack_parametric
from .positions import pack_positions, unpack_positions
from .reader import Reader, as_array, as_tensors, text_field
from .steps import Steps, quantize
from .values import Coding, check_room, needs_pixels, pack_values, unpack_values

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Coding", "Payload", "decode", "decode_arrays", "encode"]

_KNOWN = frozenset({b"CAMR", b"IDNT", b"BIND", b"MEAN", b"POSN", b"VALU"})
_OPTIONAL = frozenset({b"pARA", b"lRBF", b"CTRL", b"mOSA", b"DPTH", b"eNHA", b"eDIT"})


@dataclass(frozen=True, eq=False)
class Payload:
    """Samples of a raw picture, and what recovery must know beside them.

    Attributes:
        samples: raw pixels, with the model that they have, if any.
        camera: the sensor and its calibration; what serves rendering alone is not kept.
        binding: the finished picture that they belong to.
        steps: that values are stored in.
        demosaic, sampler: short names of what made the raw picture and chose the pixels.
        parametric: how to undo the rendering without samples, or None.
        mosaic: all of the sensor's codes, or None.
        depth: the picture is one of fewer bits, and values are the missing ones, as parts of
            2ⁿ - 1, in place of raw; or None.
        enhancement: of what :class:`isp_meta.reconstruct.LocalRBFReconstructor` makes of the
            samples, or None.

    Raises:
        ValueError: the binding is of a picture of another size, the mosaic of another pattern than
            the camera, or the steps are not the depth's; control values beside a depth; tags for
            editors that are for another size.
    """

    samples: Samples
    camera: Camera
    binding: Binding
    steps: Steps = field(default_factory=Steps)
    demosaic: str = ""
    sampler: str = ""
    parametric: ParametricModel | None = None
    mosaic: Mosaic | None = None
    depth: Depth | None = None
    enhancement: Enhancement | None = None

    def __post_init__(self) -> None:
        kept = (self.samples.width, self.samples.height)
        bound = (self.binding.width, self.binding.height)
        if kept != bound:
            raise ValueError(
                f"samples of {kept[0]}x{kept[1]} pixels cannot travel in a picture of "
                f"{bound[0]}x{bound[1]}"
            )
        if self.mosaic is not None and self.mosaic.cfa != self.camera.cfa:
            raise ValueError(f"a mosaic of {self.mosaic.cfa} is none of {self.camera.cfa}")
        editing = self.camera.editing
        if editing is not None and editing.size != kept[::-1]:
            raise ValueError("editors' tags are for a picture of another size")
        if self.depth is not None and self.samples.control:
            raise ValueError("missing bits are no control values")
        if self.depth is not None and self.steps != self.depth.steps:
            raise ValueError(f"{self.depth.taken} missing bits need {self.depth.steps}")

    def tensors(self) -> Payload:
        """The same with tensors for the arrays that :func:`decode_arrays` put there."""
        return dataclasses.replace(
            self,
            samples=as_tensors(self.samples),
            parametric=as_tensors(self.parametric),
            enhancement=as_tensors(self.enhancement),
        )

    def told(self) -> Samples:
        """The samples, with all else that is known of the raw that they are of."""
        return dataclasses.replace(
            self.samples, enhancement=self.enhancement, demosaic=self.demosaic
        )

    def rounded(self) -> Payload:
        """What :func:`decode` gives back of :func:`encode`, whatever the coding, on the CPU.

        Values are in ``steps``, models as coarse as stored; what the format does not keep is gone.

        Raises:
            ValueError: sample values outside [0, 1], or a camera that the format cannot hold.
        """
        samples, camera = self.samples, self.camera
        samples = dataclasses.replace(
            samples,
            index=samples.index.cpu(),
            value=quantize(samples.value.detach().cpu(), self.steps),
            model=samples.model and samples.model.rounded(),
            enhancement=None,
            demosaic="",
        )
        return dataclasses.replace(
            self,
            samples=samples,
            camera=unpack_camera(pack_camera(camera), camera.orientation).replace(
                editing=camera.editing
            ),
            parametric=self.parametric and self.parametric.rounded(),
            enhancement=self.enhancement and self.enhancement.rounded(),
        )


def encode(payload: Payload, *, coding: Coding = "range", pixels: Tensor | None = None) -> bytes:
    """A payload's bytes, the same for equal payloads on every machine.

    But for editors' tags, which zlib deflates: its versions differ.

    Args:
        coding: "range" can be read whatever became of the picture. "predicted" is smaller, but only
            the very pixels that the payload is bound to give it back. "packed" stores every number
            in a fixed number of bits, for readers without a range coder.
        pixels: (3, H, W) uint8, the finished picture as decoded, for "predicted".

    Raises:
        ValueError: sample values outside [0, 1], a field that the format cannot hold, or pixels
            other than those of ``payload.binding``.

    Source: docs/format.md.
    """
    if coding not in get_args(Coding):
        raise ValueError(f"coding must be predicted, range or packed, not {coding!r}")
    if coding == "predicted" and (pixels is None or not payload.binding.holds(pixels)):
        raise ValueError("coding predicted needs the pixels that the payload is bound to")
    samples = payload.samples
    header = Header(
        width=samples.width,
        height=samples.height,
        cell=samples.cell,
        count=len(samples),
        steps=payload.steps,
        orientation=payload.camera.orientation,
    )
    content = {
        b"CAMR": pack_camera(payload.camera),
        b"IDNT": text_field(payload.sampler) + text_field(payload.demosaic),
        b"BIND": payload.binding.pack_digests(),
        b"MEAN": payload.binding.means,
        b"POSN": pack_positions(samples, header, packed=coding == "packed"),
        b"VALU": pack_values(samples, header, coding, pixels),
    }
    if payload.camera.editing is not None:
        content[b"eDIT"] = pack_editing(payload.camera.editing)
    if payload.parametric is not None:
        content[b"pARA"] = pack_parametric(payload.parametric)
    if samples.model is not None:
        content[b"lRBF"] = pack_local_rbf(samples.model)
    if samples.control:
        content[b"CTRL"] = b""
    if payload.mosaic is not None:
        content[b"mOSA"] = payload.mosaic.pack()
    if payload.depth is not None:
        content[b"DPTH"] = payload.depth.pack()
    if payload.enhancement is not None:
        content[b"eNHA"] = payload.enhancement.pack()
    return sections.join(header, content)


def decode(data: bytes, pixels: Callable[[], Pixels] | None = None) -> Payload:
    """The payload of bytes that :func:`encode` made, on the CPU.

    Args:
        pixels: gives the picture that carries it, (3, H, W) uint8; asked only where values were
            predicted from it.

    Raises:
        PayloadCorrupt: no payload, damaged, or of a version that this reader does not know.
        PictureMismatch: predicted values, and the picture's pixels are not those any more.
    """
    return decode_arrays(data, pixels).tensors()


def decode_arrays(data: bytes, pixels: Callable[[], Pixels] | None = None) -> Payload:
    """What :func:`decode` gives, with NumPy's arrays for tensors: PyTorch need not be loaded.

    Whatever is wrong with the bytes is found here. :meth:`Payload.tensors` makes the rest of it.

    Args:
        pixels: gives the picture that carries it, (3, H, W) uint8; asked only where values were
            predicted from it.

    Raises:
        PayloadCorrupt: no payload, damaged, or of a version that this reader does not know.
        PictureMismatch: predicted values, and the picture's pixels are not those any more.
    """
    header, content = sections.split(bytes(data), _KNOWN, _OPTIONAL)
    camera = unpack_camera(content[b"CAMR"], header.orientation)
    if (stored := content.get(b"eDIT")) is not None:
        camera = camera.replace(editing=unpack_editing(stored, (header.height, header.width)))
    names = Reader(content[b"IDNT"], "section IDNT of the raw metadata")
    sampler, demosaic = names.text(), names.text()
    names.finish()
    binding = Binding.unpack(content[b"BIND"], content[b"MEAN"], header)
    check_room(content[b"VALU"], header)
    picture = _bound(pixels, binding) if needs_pixels(content[b"VALU"]) else None
    index = unpack_positions(content[b"POSN"], header)
    value = unpack_values(content[b"VALU"], index, header, picture)
    size = header.height, header.width, header.cell
    model, control = _unpack_model(content)
    samples = Samples(cast("Tensor", index), cast("Tensor", value), *size, model, control)
    stored = content.get(b"pARA")
    parametric = None if stored is None else unpack_parametric(stored)
    stored = content.get(b"mOSA")
    mosaic = None if stored is None else Mosaic.unpack(stored, camera.cfa)
    stored = content.get(b"DPTH")
    depth = None if stored is None else Depth.unpack(stored)
    if depth is not None and samples.control:
        raise PayloadCorrupt("sections DPTH and CTRL of the metadata exclude each other")
    if depth is not None and header.steps != depth.steps:
        raise PayloadCorrupt("section DPTH of the metadata does not fit the steps of its values")
    stored = content.get(b"eNHA")
    enhancement = None if stored is None else Enhancement.unpack(stored)
    return Payload(
        samples,
        camera,
        binding,
        header.steps,
        demosaic,
        sampler,
        parametric,
        mosaic,
        depth,
        enhancement,
    )


def _unpack_model(content: Mapping[bytes, bytes]) -> tuple[LocalRBFModel | None, bool]:
    """The model that samples are for, and whether their values are controls."""
    stored, control = content.get(b"lRBF"), content.get(b"CTRL")
    if control:
        raise PayloadCorrupt("section CTRL of the raw metadata must be empty")
    if control is not None and stored is None:
        raise PayloadCorrupt("section CTRL of the raw metadata needs an lRBF section beside it")
    return None if stored is None else unpack_local_rbf(stored), control is not None


def _bound(pixels: Callable[[], Pixels] | None, binding: Binding) -> NDArray[np.uint8]:
    """The pixels that a binding is for.

    Raises:
        PictureMismatch: there are none, or others.
    """
    if pixels is None:
        raise PictureMismatch(
            "the raw metadata's values are predicted from the picture's pixels; "
            "they cannot be read without the picture"
        )
    picture = pixels()
    if not binding.holds(picture):
        raise PictureMismatch(
            "the raw metadata's values are predicted from pixels that the picture does not have: "
            "it was compressed again or edited since, or its decoder is another one than the "
            "writer's; only those very pixels give the values back"
        )
    return as_array(picture)
