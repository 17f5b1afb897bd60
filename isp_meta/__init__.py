"""A JPEG that still carries its raw.

isp_meta.embed("photo.dng", "photo.jpg")    # renders, samples about 1.5 % of the raw, embeds
frame = isp_meta.recover("photo.jpg")       # frame.raw: (3, H, W), linear
isp_meta.write_dng("recovered.dng", frame)

What the package offers is loaded when it is first asked for: `import isp_meta` alone does not load
PyTorch.
"""

from typing import TYPE_CHECKING

from .lazily import offers

if TYPE_CHECKING:  # what _MEMBERS says, for programs that read without running
    from . import ops as ops
    from . import presets as presets
    from . import reconstruct as reconstruct
    from . import samplers as samplers
    from . import stages as stages
    from .camera import Camera as Camera
    from .capture import CaptureOptions as CaptureOptions
    from .capture.embed import Embedded as Embedded
    from .capture.embed import embed as embed
    from .comparison import Comparison as Comparison
    from .comparison.compare import compare as compare
    from .errors import IspMetaError as IspMetaError
    from .frame import Frame as Frame
    from .frame import Reconstructor as Reconstructor
    from .frame import Sampler as Sampler
    from .io import RawLayout as RawLayout
    from .io import read_raw as read_raw
    from .io import write_dng as write_dng
    from .pipeline import Pipeline as Pipeline
    from .presets.fit import Fit as Fit
    from .presets.fit import fit as fit
    from .presets.unprocess import unprocess as unprocess
    from .recovery import Metadata as Metadata
    from .recovery import attach as attach
    from .recovery import extract as extract
    from .recovery import read_metadata as read_metadata
    from .recovery import strip as strip
    from .recovery.recover import recover as recover
    from .recovery.verify import verify as verify
    from .samples import Samples as Samples
    from .stage import Stage as Stage

__version__ = "0.1.0"

# Modules that are offered themselves, and what others give.
_MODULES = ("ops", "presets", "reconstruct", "samplers", "stages")
_MEMBERS: dict[str, tuple[str, ...]] = {
    "camera": ("Camera",),
    "capture": ("CaptureOptions",),
    "capture.embed": ("Embedded", "embed"),
    "comparison": ("Comparison",),
    "comparison.compare": ("compare",),
    "errors": ("IspMetaError",),
    "frame": ("Frame", "Reconstructor", "Sampler"),
    "io": ("RawLayout", "read_raw", "write_dng"),
    "pipeline": ("Pipeline",),
    "presets.fit": ("Fit", "fit"),
    "presets.unprocess": ("unprocess",),
    "recovery": ("Metadata", "attach", "extract", "read_metadata", "strip"),
    "recovery.recover": ("recover",),
    "recovery.verify": ("verify",),
    "samples": ("Samples",),
    "stage": ("Stage",),
}
_HOME = {name: module for module, names in _MEMBERS.items() for name in names}

__all__ = sorted([*_HOME, *_MODULES])


__getattr__ = offers(__name__, _MEMBERS)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
