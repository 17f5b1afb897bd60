"""From a module to the bytes of an ONNX model, and such a model run."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ExportError

__all__ = ["CHECKED", "OPSET", "TRACED", "error", "free", "onnx_bytes", "quiet", "run"]

OPSET = 18
"""ONNX operator set of the files written; runtimes know it since 2023."""

# Height and width that a model is traced at and checked at again: even, as every mosaic is.
TRACED, CHECKED = (34, 50), (64, 46)


def free(count: int) -> tuple[dict[int, Any], ...]:
    """What leaves height and width of ``count`` inputs free while they are traced."""
    return tuple({2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC} for _ in range(count))


def onnx_bytes(
    model: nn.Module | torch.export.ExportedProgram,
    examples: Mapping[str, Tensor],
    gives: Sequence[str],
) -> bytes:
    """The ONNX model of a module, or of what it was traced to.

    Args:
        model: takes the examples, in their order.
        examples: (1, C, H, W) each, by the names of the inputs; H and W are left free.
        gives: names of the outputs.

    Raises:
        ExportError: it cannot be expressed in ONNX, or the extra ``isp-meta[onnx]`` is missing.
    """
    traced = isinstance(model, torch.export.ExportedProgram)
    try:
        with TemporaryDirectory() as folder, quiet(), torch.no_grad():
            file = Path(folder, "model.onnx")
            torch.onnx.export(
                model,
                () if traced else tuple(examples.values()),
                file,
                dynamo=True,
                opset_version=OPSET,
                input_names=list(examples),
                output_names=list(gives),
                dynamic_shapes=None if traced else free(len(examples)),
                external_data=False,
                verbose=False,
            )
            return file.read_bytes()
    except ImportError as missing:
        raise _missing(missing) from missing
    except Exception as refusal:  # the exporter's errors have no common type
        raise ExportError(f"it cannot be expressed in ONNX: {cause(refusal)}") from refusal


def run(data: bytes, pictures: Mapping[str, Tensor]) -> Tensor:
    """The first output of an ONNX model, by onnxruntime on the CPU.

    Raises:
        ExportError: it does not run, or the extra ``isp-meta[onnx]`` is missing.
    """
    try:
        from onnxruntime import InferenceSession
    except ImportError as missing:
        raise _missing(missing) from missing
    try:
        session = InferenceSession(data, providers=["CPUExecutionProvider"])
        found = session.run(None, {name: picture.numpy() for name, picture in pictures.items()})
        return torch.from_numpy(found[0])
    except Exception as refusal:  # onnxruntime's errors have no common type
        raise ExportError(f"the ONNX model does not run: {cause(refusal)}") from refusal


def error(found: Tensor, true: Tensor) -> float:
    """The largest difference but for one value in a thousand, which rounding may tip to a level."""
    if found.shape != true.shape:
        return float("inf")
    differences = (found - true).abs().flatten()
    return float(differences.kthvalue(math.ceil(0.999 * len(differences))).values)


def cause(refusal: Exception) -> str:
    """The first line of an exporter's error, or of what it came from."""
    return str(refusal.__cause__ or refusal).splitlines()[0][:200]


@contextmanager
def quiet() -> Iterator[None]:
    """Without what the exporter says to its own authors, graphs of a thousand lines included."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _missing(refusal: ImportError) -> ExportError:
    return ExportError(f"{refusal}; install isp-meta[onnx]")
