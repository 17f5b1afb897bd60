"""What of an installation works. Nothing is needed for the answer but Python itself."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Literal

from .. import __version__
from ..processors import available

__all__ = ["Finding", "examine"]

Status = Literal["works", "missing", "broken"]

REBUILD = "install the package again; in a checkout: pip install --no-build-isolation -e ."

# Modules by their names for pip.
_NEEDED = {
    **{"numpy": "numpy", "scipy": "scipy", "pillow": "PIL", "rawpy": "rawpy", "kornia": "kornia"},
    **{"tifffile": "tifffile", "imagecodecs": "imagecodecs", "safetensors": "safetensors"},
    **{"tomli-w": "tomli_w", "typer": "typer", "rich": "rich", "fsspec": "fsspec"},
}
_OPTIONAL = {
    "pyexiv2": ("exif", "EXIF of raw files that are no TIFF; GPL-3.0"),
    "onnx": ("onnx", "isp-meta export"),
    "onnxscript": ("onnx", "isp-meta export"),
    "onnxruntime": ("onnx", "running what isp-meta export writes"),
    "matplotlib": ("plot", "plots of stages and samples"),
    "ray": ("ray", "isp-meta batch --engine ray"),
    "tensorboard": ("train", "curves of isp-meta train"),
}


@dataclass(frozen=True)
class Finding:
    """One part of an installation.

    Attributes:
        part: its name. group: the heading it stands under.
        status: whether it works, is not there, or is there and fails.
        detail: version, place, or what is wrong.
        essential: nothing goes on without it.
        remedy: what to do where it does not work, if anything need be done.
    """

    part: str
    group: str
    status: Status
    detail: str
    essential: bool = False
    remedy: str = ""


def examine() -> list[Finding]:
    """All that can be told about this installation; never raises for a part that fails."""
    return [*_system(), *_native(), *_cuda(), *_files(), *_needed(), *_optional(), *_tools()]


def _tried(part: str, group: str, check: Callable[[], str], remedy: str = "") -> Finding:
    """A part that the work cannot do without, as its check finds it."""
    try:
        return Finding(part, group, "works", check(), essential=True)
    except Exception as error:  # a broken library may raise anything at all
        detail = " ".join(f"{type(error).__name__}: {error}".split())
        status: Status = "missing" if isinstance(error, ModuleNotFoundError) else "broken"
        lacking = (getattr(error, "name", None) or "isp_meta").partition(".")[0]
        if remedy == REBUILD and lacking != "isp_meta":
            remedy = f"install {lacking} first"
        return Finding(part, group, status, detail, True, remedy)


def _system() -> Iterator[Finding]:
    place = Path(__file__).parent
    yield Finding("isp_meta", "system", "works", f"{__version__} in {place}")
    yield Finding("python", "system", "works", f"{platform.python_version()} ({sys.executable})")
    yield Finding("system", "system", "works", platform.platform())
    yield Finding("processor", "system", "works", f"{_processor()}, {available()} cores for us")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def _native() -> Iterator[Finding]:
    yield _tried("torch", "native", _torch, "pip install torch")
    yield _tried("operators", "native", _operators, REBUILD)
    yield _tried("coder", "native", _coder, REBUILD)


def _torch() -> str:
    import torch

    return f"{torch.__version__}, {torch.get_num_threads()} threads"


def _operators() -> str:
    import torch

    from ..ops import associate

    total = associate(torch.zeros(1, 9, 4, 4), 2).sum()
    if total != 16:
        raise ArithmeticError(f"association sums to {total:g}, not to 1 a pixel")
    native = import_module("isp_meta._ops")
    loops = "AVX2" if native.AVX2 else "baseline"
    kernels = "CUDA kernels built in" if native.CUDA else "built without CUDA kernels"
    return f"{loops} loops, {kernels}"


def _coder() -> str:
    import numpy as np

    from .. import _payload

    index = np.arange(4, dtype=np.int64)
    stream = _payload.encode_positions(index, 2, 2, 0, False)
    if not np.array_equal(_payload.decode_positions(stream, 2, 2, 0, 4), index):
        raise ArithmeticError("positions are not decoded as they were encoded")
    return "decodes what it encodes"


def _cuda() -> Iterator[Finding]:
    """Never essential: all work can be done without a GPU."""
    try:
        import torch

        if not torch.cuda.is_available():
            built = (
                f"torch for CUDA {torch.version.cuda}" if torch.version.cuda else "a CPU's torch"
            )
            yield Finding("cuda", "native", "missing", f"no GPU seen ({built})")
            return
        name = torch.cuda.get_device_name()
        if not import_module("isp_meta._ops").CUDA:
            remedy = "with nvcc there, ISP_META_CUDA=1 pip install --force-reinstall isp-meta"
            detail = f"{name}, but the operators have no CUDA kernels"
            yield Finding("cuda", "native", "missing", detail, remedy=remedy)
            return
        from ..ops import associate

        total = associate(torch.zeros(1, 9, 4, 4, device="cuda"), 2).sum().item()
        status: Status = "works" if total == 16 else "broken"
        yield Finding("cuda", "native", status, f"{name}, CUDA {torch.version.cuda}")
    except Exception as error:  # told above, where it is torch or the operators
        detail = " ".join(f"{type(error).__name__}: {error}".split())
        yield Finding("cuda", "native", "broken", detail)


def _files() -> Iterator[Finding]:
    yield _tried("weights", "files", _weights, REBUILD)
    yield _tried("sample", "files", _sample, REBUILD)
    yield _tried("stages", "files", _stages, REBUILD)


def _weights() -> str:
    from ..networks.shipped import DEPTH, FEATURES, shipped_depth, shipped_features

    networks = {FEATURES: shipped_features(), DEPTH: shipped_depth()}
    return "; ".join(
        f"{name}, {sum(tensor.numel() for tensor in network.parameters()):,} parameters"
        for name, network in networks.items()
    )


def _sample() -> str:
    from ..data import sample_path

    return f"{sample_path().name}, {sample_path().stat().st_size:,} bytes"


def _stages() -> str:
    from ..pipeline.plugins import installed

    found = installed()
    if found.broken:
        raise ImportError("; ".join(found.broken))
    others = sorted({offer.package for offer in found.offers} - {"isp-meta"})
    return f"{len(found.offers)} stages" + (f", some of {', '.join(others)}" if others else "")


def _needed() -> Iterator[Finding]:
    for package, module in _NEEDED.items():

        def check(package: str = package, module: str = module) -> str:
            found = import_module(module)
            version = metadata.version(package)
            if package == "rawpy":
                return f"{version}, LibRaw {'.'.join(map(str, found.libraw_version))}"
            return version

        yield _tried(package, "libraries", check, f"pip install {package}")


def _optional() -> Iterator[Finding]:
    for package, (extra, use) in _OPTIONAL.items():
        try:
            detail = f"{metadata.version(package)}: {use}"
            yield Finding(package, "optional", "works", detail)
        except metadata.PackageNotFoundError:
            remedy = f"pip install 'isp-meta[{extra}]'"
            yield Finding(package, "optional", "missing", use, remedy=remedy)


def _tools() -> Iterator[Finding]:
    path = shutil.which("nvcc")
    detail = f"{path or 'not found'}: builds the CUDA kernels"
    yield Finding("nvcc", "tools", "works" if path else "missing", detail)
