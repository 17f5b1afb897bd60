"""What a raw file tells raw editors beyond its pixels: tags of DNG, kept as they were stored."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..printing import Brief

__all__ = ["EDITOR_TAGS", "EditorTag", "EditorTags", "Form"]

# NumPy types, big-endian, of the numbers of TIFF's field types; a fraction is two of them.
_LAYOUTS = {
    1: ">u1",
    2: ">u1",
    3: ">u2",
    4: ">u4",
    5: ">u4",
    6: ">i1",
    7: ">u1",
    8: ">i2",
    9: ">i4",
    10: ">i4",
    11: ">f4",
    12: ">f8",
}
_ASCII, _UNDEFINED, _FRACTIONS = 2, 7, (5, 10)


class Form(NamedTuple):
    """What a tag is called, and what it may hold.

    Attributes:
        name: the DNG specification's.
        kind: "numbers", all finite; "unknowns", which may be 0/0; "text" or "opcodes".
        counts: how many numbers there may be; (): any.
    """

    name: str
    kind: str = "numbers"
    counts: tuple[int, ...] = ()


EDITOR_TAGS: Mapping[int, Form] = {
    50708: Form("UniqueCameraModel", "text"),
    50709: Form("LocalizedCameraModel", "text"),
    50717: Form("WhiteLevel", counts=(1, 3)),
    50718: Form("DefaultScale", counts=(2,)),
    50719: Form("DefaultCropOrigin", counts=(2,)),
    50720: Form("DefaultCropSize", counts=(2,)),
    50721: Form("ColorMatrix1", counts=(9,)),
    50722: Form("ColorMatrix2", counts=(9,)),
    50723: Form("CameraCalibration1", counts=(9,)),
    50724: Form("CameraCalibration2", counts=(9,)),
    50727: Form("AnalogBalance", counts=(3,)),
    50730: Form("BaselineExposure", counts=(1,)),
    50731: Form("BaselineNoise", counts=(1,)),
    50732: Form("BaselineSharpness", counts=(1,)),
    50733: Form("BayerGreenSplit", counts=(1,)),
    50734: Form("LinearResponseLimit", counts=(1,)),
    50736: Form("LensInfo", "unknowns", (4,)),
    50738: Form("AntiAliasStrength", counts=(1,)),
    50739: Form("ShadowScale", counts=(1,)),
    50778: Form("CalibrationIlluminant1", counts=(1,)),
    50779: Form("CalibrationIlluminant2", counts=(1,)),
    50780: Form("BestQualityScale", counts=(1,)),
    50931: Form("CameraCalibrationSignature", "text"),
    50932: Form("ProfileCalibrationSignature", "text"),
    50934: Form("AsShotProfileName", "text"),
    50935: Form("NoiseReductionApplied", counts=(1,)),
    50936: Form("ProfileName", "text"),
    50937: Form("ProfileHueSatMapDims", counts=(2, 3)),
    50938: Form("ProfileHueSatMapData1"),
    50939: Form("ProfileHueSatMapData2"),
    50940: Form("ProfileToneCurve"),
    50941: Form("ProfileEmbedPolicy", counts=(1,)),
    50942: Form("ProfileCopyright", "text"),
    50964: Form("ForwardMatrix1", counts=(9,)),
    50965: Form("ForwardMatrix2", counts=(9,)),
    50981: Form("ProfileLookTableDims", counts=(2, 3)),
    50982: Form("ProfileLookTableData"),
    51008: Form("OpcodeList1", "opcodes"),
    51009: Form("OpcodeList2", "opcodes"),
    51022: Form("OpcodeList3", "opcodes"),
    51041: Form("NoiseProfile", counts=(2, 6)),
    51107: Form("ProfileHueSatMapEncoding", counts=(1,)),
    51108: Form("ProfileLookTableEncoding", counts=(1,)),
    51109: Form("BaselineExposureOffset", counts=(1,)),
    51110: Form("DefaultBlackRender", counts=(1,)),
    51125: Form("DefaultUserCrop", counts=(4,)),
    52529: Form("CalibrationIlluminant3", counts=(1,)),
    52530: Form("CameraCalibration3", counts=(9,)),
    52531: Form("ColorMatrix3", counts=(9,)),
    52532: Form("ForwardMatrix3", counts=(9,)),
    52537: Form("ProfileHueSatMapData3"),
}
"""The tags that are kept, by their code: none tells whose camera it was, or where.

Source: DNG specification 1.7.1, chapters 4 to 6.
"""


@dataclass(frozen=True, repr=False)
class EditorTag(Brief):
    """A tag's value, as its file held it.

    Attributes:
        type: TIFF's field type, 1 to 12.
        data: its numbers one after the other, big-endian; of a fraction first the numerator.
    """

    type: int
    data: bytes

    @classmethod
    def of(cls, type: int, numbers: object) -> EditorTag:
        """A tag of numbers; of fractions (numerator, denominator, numerator, ...).

        Raises:
            KeyError: another type. OverflowError: a number is out of the type's range.
        """
        return cls(type, np.asarray(numbers, _LAYOUTS[type]).tobytes())

    @property
    def layout(self) -> str:
        """NumPy type of its numbers."""
        return _LAYOUTS[self.type]

    @property
    def numbers(self) -> tuple[float, ...]:
        """Its values; a fraction by 0 is nan."""
        stored: list[float] = np.frombuffer(self.data, self.layout).tolist()
        if self.type not in _FRACTIONS:
            return tuple(stored)
        pairs = zip(stored[::2], stored[1::2], strict=True)
        return tuple(n / d if d else math.nan for n, d in pairs)

    @property
    def text(self) -> str:
        """Of a text: what stands before its end."""
        return self.data.split(b"\0")[0].decode(errors="replace")

    def fits(self, form: Form) -> bool:
        """Whether it has the type and the number of values that a tag of that form has."""
        if self.type not in _LAYOUTS or not self.data:
            return False
        if form.kind == "opcodes":
            return self.type == _UNDEFINED
        if form.kind == "text":
            return self.type in (1, _ASCII) and self.data.isascii() and self.data[-1] == 0
        size = np.dtype(self.layout).itemsize * (2 if self.type in _FRACTIONS else 1)
        count, rest = divmod(len(self.data), size)
        if rest or self.type in (_ASCII, _UNDEFINED) or count not in (form.counts or (count,)):
            return False
        return form.kind == "unknowns" or all(map(math.isfinite, self.numbers))


@dataclass(frozen=True, eq=False, repr=False)
class EditorTags(Brief):
    """The tags that a raw file has for editors.

    Attributes:
        size: (height, width) of the picture that they are for: all of it is the ActiveArea, and
            places in the tags count from its first pixel.
        tags: by code, in increasing order, those of :data:`EDITOR_TAGS` alone.

    Raises:
        ValueError: another code, or a value that such a tag does not have.
    """

    size: tuple[int, int]
    tags: Mapping[int, EditorTag]

    def __post_init__(self) -> None:
        for code, tag in self.tags.items():
            if code not in EDITOR_TAGS:
                raise ValueError(f"editors' tags have no code {code}")
            if not tag.fits(EDITOR_TAGS[code]):
                raise ValueError(f"{EDITOR_TAGS[code].name} has a value that it cannot have")
        object.__setattr__(self, "tags", dict(sorted(self.tags.items())))

    @property
    def names(self) -> tuple[str, ...]:
        """What the tags are called."""
        return tuple(EDITOR_TAGS[code].name for code in self.tags)
