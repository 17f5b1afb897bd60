"""Cameras with a fixed order and taste; all calibration is a camera's."""

from __future__ import annotations

from ..camera import Camera
from ..pipeline import Pipeline
from ..stage import Stage
from ..stages import (
    BlackLevel,
    CameraToWorking,
    ColorMatrix,
    DefectivePixels,
    Demosaic,
    Exposure,
    Gamma,
    HighlightCompression,
    HighlightReconstruction,
    HueSaturationMap,
    Jpeg,
    LensShading,
    LocalToneMapping,
    LookTable,
    NoiseReduction,
    Quantize,
    Saturation,
    Sharpening,
    ToneCurve,
    WhiteBalance,
    WorkingToDisplay,
)

__all__ = ["camera", "karaimer_brown", "local_tone", "minimal"]


def minimal(camera: Camera | None = None) -> Pipeline:
    """The shortest camera that makes a picture to look at: every stage global and pointwise.

    Levels, Malvar's demosaic, as-shot white balance, camera color to sRGB, a film-like tone curve,
    the sRGB transfer function, 8 bits. Needs ``codes``, gives ``mosaic``, ``raw``, ``rgb`` and
    ``srgb``.

    Args:
        camera: whose calibration is held from now on; None: each frame's own.
    """
    return _bound(
        [
            BlackLevel(),
            Demosaic("malvar"),
            WhiteBalance(),
            ColorMatrix(),
            ToneCurve.filmic(),
            Gamma(),
            Quantize(8),
        ],
        camera,
    )


def karaimer_brown(camera: Camera | None = None) -> Pipeline:
    """The software camera that rendered the paper's pictures, by the DNG specification's colors.

    Levels, demosaic, white balance, lens shading, ProPhoto, hue/saturation map, exposure, look
    table, tone curve, sRGB: all but the first three and lens shading pointwise and global. Gain
    maps act after the demosaic in place of before, so that ``raw`` is what the sensor measured; a
    table or curve that the camera's profile lacks is left out, but for a film-like tone curve.

    Args:
        camera: whose calibration is held from now on; None: each frame's own.

    Source: Karaimer and Brown, "A software platform for manipulating the camera imaging pipeline",
    ECCV 2016, figure 2; DNG specification 1.7.1, chapter 6.
    """
    return _bound(
        [
            BlackLevel(),
            Demosaic("menon"),
            WhiteBalance(),
            LensShading(field="rgb"),
            CameraToWorking("prophoto"),
            HueSaturationMap(),
            Exposure(),
            LookTable(),
            ToneCurve.of_camera(),
            WorkingToDisplay("srgb"),
            Gamma(),
            Quantize(8),
        ],
        camera,
    )


def local_tone(camera: Camera | None = None) -> Pipeline:
    """:func:`karaimer_brown` with LocalToneMapping before its tone curve.

    Nothing else differs, so that what a method loses from one to the other is what local tones
    cost it. :func:`camera` adds what else cameras do.

    Args:
        camera: whose calibration is held from now on; None: each frame's own.
    """
    plain = karaimer_brown()
    place = plain.position("ToneCurve")
    stages = [*plain[:place], LocalToneMapping(space="prophoto"), *plain[place:]]
    return _bound(stages, camera)


def camera(camera: Camera | None = None, *, jpeg_quality: float | None = None) -> Pipeline:
    """What cameras of today do: highlights rebuilt, tones mapped locally, noise down, edges up.

    Args:
        camera: whose calibration is held from now on; None: each frame's own.
        jpeg_quality: 1 to 100 adds what a JPEG of that quality loses, for simulations; None: the
            file that the picture is written to will do that.
    """
    jpeg: list[Stage] = [] if jpeg_quality is None else [Jpeg(jpeg_quality, mode="exact")]
    return _bound(
        [
            BlackLevel(),
            DefectivePixels(),
            Demosaic("menon"),
            WhiteBalance(clip=False),
            HighlightReconstruction(),
            LensShading(field="rgb", clip=False),
            CameraToWorking("prophoto", clip=False),
            HueSaturationMap(clip=False),
            Exposure(clip=False),
            LookTable(clip=False),
            WorkingToDisplay("srgb", gamut="keep"),
            NoiseReduction(luma=0.003),
            LocalToneMapping(),
            HighlightCompression(),
            ToneCurve.of_camera(),
            Saturation(1.1, space="srgb"),
            Gamma(),
            Sharpening(),
            *jpeg,
            Quantize(8),
        ],
        camera,
    )


def _bound(stages: list[Stage], camera: Camera | None) -> Pipeline:
    pipeline = Pipeline(stages)
    return pipeline if camera is None else pipeline.bind(camera)
