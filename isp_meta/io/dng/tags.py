"""Tags of TIFF-based raw files, of DNG above all: what LibRaw knows but does not pass on."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from fractions import Fraction
from io import BytesIO

import numpy as np
import tifffile

from ...camera import EDITOR_TAGS, EditorTag
from ..exif import FIELDS, plain_text, ratio_text
from ..gps import gps_texts

__all__ = [
    "CFA",
    "LINEAR_RAW",
    "MAIN_TEXTS",
    "Tag",
    "TiffTags",
    "last_byte",
    "open_tiff",
    "quiet",
    "raw_page",
    "read_tags",
]

CFA, LINEAR_RAW = 32803, 34892  # PhotometricInterpretation of a mosaic and of demosaiced raw


class Tag:
    """Codes of the DNG tags used here (DNG specification 1.7.1, chapters 4 to 6)."""

    NEW_SUBFILE_TYPE = 254
    IMAGE_WIDTH = 256
    IMAGE_LENGTH = 257
    BITS_PER_SAMPLE = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    FILL_ORDER = 266
    MAKE = 271
    MODEL = 272
    STRIP_OFFSETS = 273
    ORIENTATION = 274
    SAMPLES_PER_PIXEL = 277
    ROWS_PER_STRIP = 278
    STRIP_BYTE_COUNTS = 279
    PLANAR_CONFIGURATION = 284
    SOFTWARE = 305
    ARTIST = 315
    PREDICTOR = 317
    TILE_WIDTH = 322
    TILE_LENGTH = 323
    TILE_OFFSETS = 324
    TILE_BYTE_COUNTS = 325
    SAMPLE_FORMAT = 339
    JPEG_TABLES = 347
    COPYRIGHT = 33432
    CFA_REPEAT_PATTERN_DIM = 33421
    CFA_PATTERN = 33422
    EXIF_IFD = 34665
    GPS_IFD = 34853
    DNG_VERSION = 50706
    DNG_BACKWARD_VERSION = 50707
    UNIQUE_CAMERA_MODEL = 50708
    CFA_PLANE_COLOR = 50710
    CFA_LAYOUT = 50711
    LINEARIZATION_TABLE = 50712
    BLACK_LEVEL_REPEAT_DIM = 50713
    BLACK_LEVEL = 50714
    BLACK_LEVEL_DELTA_H = 50715
    BLACK_LEVEL_DELTA_V = 50716
    WHITE_LEVEL = 50717
    DEFAULT_SCALE = 50718
    DEFAULT_CROP_ORIGIN = 50719
    DEFAULT_CROP_SIZE = 50720
    COLOR_MATRIX = (50721, 50722, 52531)
    CAMERA_CALIBRATION = (50723, 50724, 52530)
    CALIBRATION_ILLUMINANT = (50778, 50779, 52529)
    ANALOG_BALANCE = 50727
    AS_SHOT_NEUTRAL = 50728
    AS_SHOT_WHITE_XY = 50729
    BASELINE_EXPOSURE = 50730
    BAYER_GREEN_SPLIT = 50733
    LENS_INFO = 50736
    ANTI_ALIAS_STRENGTH = 50738
    ACTIVE_AREA = 50829
    PROFILE_NAME = 50936
    PROFILE_HUE_SAT_MAP_DIMS = 50937
    PROFILE_HUE_SAT_MAP_DATA = (50938, 50939)
    PROFILE_TONE_CURVE = 50940
    FORWARD_MATRIX = (50964, 50965, 52532)
    RAW_IMAGE_DIGEST = 50972
    SUB_TILE_BLOCK_SIZE = 50974
    ROW_INTERLEAVE_FACTOR = 50975
    PROFILE_LOOK_TABLE_DIMS = 50981
    PROFILE_LOOK_TABLE_DATA = 50982
    OPCODE_LIST = (51008, 51009, 51022)
    NOISE_PROFILE = 51041
    PROFILE_HUE_SAT_MAP_ENCODING = 51107
    PROFILE_LOOK_TABLE_ENCODING = 51108
    BASELINE_EXPOSURE_OFFSET = 51109
    NEW_RAW_IMAGE_DIGEST = 51111
    DEFAULT_USER_CROP = 51125
    COLUMN_INTERLEAVE_FACTOR = 52547


_KNOWN = {
    code
    for value in vars(Tag).values()
    for code in (value if isinstance(value, tuple) else (value,))
    if isinstance(code, int)
} - {Tag.EXIF_IFD, Tag.GPS_IFD}
# How a directory's own pixels are stored: those of a thumbnail say nothing of the raw picture's.
_OF_ONE_PICTURE = {
    Tag.BITS_PER_SAMPLE,
    Tag.COMPRESSION,
    Tag.FILL_ORDER,
    Tag.STRIP_OFFSETS,
    Tag.SAMPLES_PER_PIXEL,
    Tag.ROWS_PER_STRIP,
    Tag.STRIP_BYTE_COUNTS,
    Tag.PLANAR_CONFIGURATION,
    Tag.PREDICTOR,
    Tag.TILE_WIDTH,
    Tag.TILE_LENGTH,
    Tag.TILE_OFFSETS,
    Tag.TILE_BYTE_COUNTS,
    Tag.SAMPLE_FORMAT,
    Tag.JPEG_TABLES,
    Tag.SUB_TILE_BLOCK_SIZE,
    Tag.ROW_INTERLEAVE_FACTOR,
    Tag.COLUMN_INTERLEAVE_FACTOR,
}
_NAMES_OF_TIFFFILE = {"ISO": "ISOSpeedRatings", "SubSecTimeOriginal": "SubsecTimeOriginal"}
MAIN_TEXTS = {"Software": Tag.SOFTWARE, "Artist": Tag.ARTIST, "Copyright": Tag.COPYRIGHT}
_RATIONALS = (5, 10)  # TIFF types RATIONAL and SRATIONAL
_MOST_VALUES = 1 << 20  # of one tag: a profile's table has some 100,000
_MOST_SUB_DIRECTORIES = 16


@dataclass(frozen=True)
class TiffTags:
    """What a TIFF-based raw file says of itself.

    Attributes:
        numbers: tag code to values; the raw picture's own directory goes before the main one, but
            for an orientation that the main one turns by.
        texts: tag code to text.
        exif: text under the names of :data:`isp_meta.io.exif.FIELDS`.
        gps: text under the names of :data:`isp_meta.io.gps.FIELDS`.
        size: number of bytes that the file must have to hold the raw picture and its EXIF.
        byte_order: "<" or ">".
        editing: what editors are told, as stored; tag code to value.
    """

    numbers: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    texts: Mapping[int, str] = field(default_factory=dict)
    exif: Mapping[str, str] = field(default_factory=dict)
    gps: Mapping[str, str] = field(default_factory=dict)
    size: int = 0
    byte_order: str = "<"
    editing: Mapping[int, EditorTag] = field(default_factory=dict)

    @property
    def is_dng(self) -> bool:
        """Whether the DNG rules apply to these tags."""
        return Tag.DNG_VERSION in self.numbers


class _Quiet(logging.Filter):
    """Keeps libraries' complaints about a damaged file to ourselves: we raise our own error."""

    active: ContextVar[bool] = ContextVar("isp_meta_quiet", default=False)

    def filter(self, record: logging.LogRecord) -> bool:
        return not self.active.get()


for _logger in (tifffile.logger(), logging.getLogger("imagecodecs")):
    _logger.addFilter(_Quiet())


@contextmanager
def quiet() -> Iterator[None]:
    """tifffile and imagecodecs log nothing meanwhile."""
    token = _Quiet.active.set(True)
    try:
        yield
    finally:
        _Quiet.active.reset(token)


@contextmanager
def open_tiff(data: bytes) -> Iterator[tifffile.TiffFile]:
    """Opens a TIFF held in memory; tifffile logs nothing meanwhile.

    Raises:
        Exception: whatever tifffile makes of hostile bytes; the caller wraps it.
    """
    with quiet(), tifffile.TiffFile(BytesIO(data)) as tif:
        yield tif


def raw_page(tif: tifffile.TiffFile) -> tifffile.TiffPage:
    """The directory of the raw picture: DNG may put it below that of a thumbnail."""
    main = tif.pages.first
    pages = [main]
    for position in range(min(len(main.subifds or ()), _MOST_SUB_DIRECTORIES)):
        page = main.pages[position] if main.pages is not None else None
        if isinstance(page, tifffile.TiffPage):
            pages.append(page)
    raw = [page for page in pages if page.photometric in (CFA, LINEAR_RAW)]
    return max(raw, key=lambda p: (p.subfiletype == 0, p.imagewidth * p.imagelength), default=main)


def last_byte(page: tifffile.TiffPage) -> int:
    """Number of bytes that a file must have to hold the page's pixels; 0 without any (DCP)."""
    if not page.dataoffsets:
        return 0
    segments = zip(page.dataoffsets, page.databytecounts, strict=True)
    return max((offset + count for offset, count in segments if count), default=0)


def read_tags(data: bytes) -> TiffTags | None:
    """Reads the tags of a TIFF-based raw file.

    Args:
        data: the whole file.

    Returns:
        The tags, or None if it is no TIFF or its directories are beyond reading.
    """
    if data[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return None
    try:
        with open_tiff(data) as tif:
            return _collect(tif)
    except Exception:  # hostile bytes make tifffile raise nearly anything
        return None


def _collect(tif: tifffile.TiffFile) -> TiffTags:
    main, raw = tif.pages.first, raw_page(tif)
    numbers: dict[int, tuple[float, ...]] = {}
    texts: dict[int, str] = {}
    editing: dict[int, EditorTag] = {}
    for page in (main, raw):
        for tag in page.tags:
            if tag.count > _MOST_VALUES:
                continue
            if tag.code in EDITOR_TAGS and (stored := _as_stored(tag.code, tag.dtype, tag.value)):
                editing[tag.code] = stored
            if tag.code not in _KNOWN:
                continue
            if tag.code in _OF_ONE_PICTURE and page is not raw:
                continue
            if tag.code == Tag.ORIENTATION and 2 <= numbers.get(tag.code, (1.0,))[0] <= 8:
                continue
            if isinstance(tag.value, str):
                texts[tag.code] = plain_text(tag.value)
            else:
                numbers[tag.code] = _numbers(tag, tif.byteorder)
    below = _below(main, Tag.EXIF_IFD)
    lens = _as_stored(Tag.LENS_INFO, _RATIONALS[0], below.get("LensSpecification"))
    if lens is not None:
        editing.setdefault(Tag.LENS_INFO, lens)
    # CinemaDNG has the exposure in the main directory.
    outside = {tag.name: tag.value for tag in main.tags if tag.code in FIELDS.values()}
    exif = _exif_texts({**outside, **below}, texts)
    gps = gps_texts(_below(main, Tag.GPS_IFD))
    size = max(last_byte(raw), _exif_end(tif))
    return TiffTags(numbers, texts, exif, gps, size, tif.byteorder, editing)


def _as_stored(code: int, type: int, value: object) -> EditorTag | None:
    """A tag for editors, or None if its value makes no sense."""
    form = EDITOR_TAGS[code]
    if form.kind == "text":
        text = value.decode(errors="replace") if isinstance(value, bytes) else value
        type, value = 2, (plain_text(text) + "\0").encode()
    values = value if isinstance(value, tuple | bytes | np.ndarray) else (value,)
    try:
        tag = EditorTag.of(int(type), list(values))
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
    return tag if tag.fits(form) else None


def _below(main: tifffile.TiffPage, code: int) -> dict[str, object]:
    """Values by name of a directory that a tag points to."""
    directory = main.tags.get(code)
    value = directory.value if directory is not None else None
    return value if isinstance(value, dict) else {}


def _exif_end(tif: tifffile.TiffFile) -> int:
    """Where the entries of the EXIF directory end, their values not counted; 0 without one.

    Read from the bytes, since tifffile silently drops a directory that a truncation took away.
    """
    layout = tif.tiff
    _, main = _entries(tif, tif.pages.first.offset)
    for position in range(0, len(main) - layout.tagsize + 1, layout.tagsize):
        entry = main[position : position + layout.tagsize]
        if struct.unpack_from(tif.byteorder + "H", entry)[0] == Tag.EXIF_IFD:
            start = struct.unpack(layout.offsetformat, entry[-layout.offsetsize :])[0]
            return int(start) + _entries(tif, start)[0]
    return 0


def _entries(tif: tifffile.TiffFile, start: int) -> tuple[int, bytes]:
    """Length that a directory claims, and what there is of its entries."""
    layout, file = tif.tiff, tif.filehandle
    file.seek(start)
    head = file.read(layout.tagnosize)
    entries = struct.unpack(layout.tagnoformat, head)[0] if len(head) == layout.tagnosize else 0
    length = entries * layout.tagsize
    return layout.tagnosize + length + layout.offsetsize, file.read(length)


def _numbers(tag: tifffile.TiffTag, order: str) -> tuple[float, ...]:
    value = tag.value
    if isinstance(value, np.ndarray):  # many values, of fractions but the first half of them
        if tag.dtype in _RATIONALS:
            kind = order + ("u4" if tag.dtype == _RATIONALS[0] else "i4")
            value = tag.parent.filehandle.read_array(kind, 2 * tag.count, tag.valueoffset)
        value = tuple(value.ravel().tolist())
    values = tuple(value) if isinstance(value, (tuple, bytes)) else (value,)
    if tag.dtype in _RATIONALS:
        pairs = zip(values[::2], values[1::2], strict=True)
        return tuple(n / d if d else float("nan") for n, d in pairs)
    return tuple(float(v) for v in values)


def _exif_texts(exif: Mapping[str, object], texts: Mapping[int, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in FIELDS:
        value = exif.get(_NAMES_OF_TIFFFILE.get(name, name))
        if name in MAIN_TEXTS:
            value = texts.get(MAIN_TEXTS[name])
        if isinstance(value, tuple):
            if len(value) == 2 and name != "ISO" and value[1]:
                found[name] = ratio_text(Fraction(*value))
                continue
            value = value[0] if value else None
        if value not in (None, ""):
            found[name] = plain_text(value)
    return found
