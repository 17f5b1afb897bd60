"""A JPEG that still carries its raw.

isp_meta.embed("photo.dng", "photo.jpg")    # renders, samples about 1.5 % of the raw, embeds
frame = isp_meta.recover("photo.jpg")       # frame.raw: (3, H, W), linear
isp_meta.write_dng("recovered.dng", frame)

What the package offers is loaded when it is first asked for: `import isp_meta` alone does not load
PyTorch.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what _MEMBERS says, for programs that read without running
    from . import ops as ops
    from . import presets as presets
    from . import reconstruct as reconstruct
    from . import samplers as samplers
    from . import stages as stages
    from .camera import Camera as Camera
    from .capture import Embedded as Embedded
    from .capture import embed as embed
    from .errors import IspMetaError as IspMetaError
    from .fitting import Fit as Fit
    from .fitting import fit as fit
    from .frame import Frame as Frame
    from .frame import Reconstructor as Reconstructor
    from .frame import Sampler as Sampler
    from .frame import Samples as Samples
    from .io import read_raw as read_raw
    from .io import write_dng as write_dng
    from .pipeline import Pipeline as Pipeline
    from .rate import Rate as Rate
    from .recovery import Metadata as Metadata
    from .recovery import read_metadata as read_metadata
    from .recovery import recover as recover
    from .stage import Stage as Stage
    from .transfer import attach as attach
    from .transfer import extract as extract
    from .transfer import strip as strip
    from .unprocessing import unprocess as unprocess

__version__ = "0.1.0"

# What each module gives; those that give nothing are offered themselves.
_MEMBERS: dict[str, tuple[str, ...]] = {
    "camera": ("Camera",),
    "capture": ("Embedded", "embed"),
    "errors": ("IspMetaError",),
    "fitting": ("Fit", "fit"),
    "frame": ("Frame", "Reconstructor", "Sampler", "Samples"),
    "io": ("read_raw", "write_dng"),
    "ops": (),
    "pipeline": ("Pipeline",),
    "presets": (),
    "rate": ("Rate",),
    "reconstruct": (),
    "recovery": ("Metadata", "read_metadata", "recover"),
    "samplers": (),
    "stage": ("Stage",),
    "stages": (),
    "transfer": ("attach", "extract", "strip"),
    "unprocessing": ("unprocess",),
}
_HOME = {name: module for module, names in _MEMBERS.items() for name in names}

__all__ = sorted([*_HOME, *(module for module, names in _MEMBERS.items() if not names)])


def __getattr__(name: str) -> object:
    """A name or module of the package, loaded now (PEP 562)."""
    if name in _HOME:
        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    elif find_spec(f"{__name__}.{name}"):
        value = import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
