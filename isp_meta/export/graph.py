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

import torch
from torch import Tensor, nn
from torch.fx.experimental import _config as tracing

from ..errors import ExportError

__all__ = ["CHECKED", "OPSET", "TRACED", "error", "onnx_bytes", "quiet", "run", "traced"]

OPSET = 18
"""ONNX operator set of the files written; runtimes know it since 2023."""

# Height and width that a model is traced at and checked at again: even, as every mosaic is.
TRACED, CHECKED = (34, 50), (64, 46)


def traced(
    module: nn.Module, examples: Sequence[Tensor], dims: Sequence[int] = (2, 3)
) -> torch.export.ExportedProgram:
    """The program of a module.

    Args:
        module: takes the examples, in their order.
        examples: (N, C, H, W) each.
        dims: of every example that are left free.

    Raises:
        Exception: of any type, as the tracer has no common one.
    """
    shapes = tuple(dict.fromkeys(dims, torch.export.Dim.DYNAMIC) for _ in examples)
    # Otherwise the program would be for sizes alone that compare as the examples' do, such as
    # those that are no multiples of 16.
    with quiet(), torch.no_grad(), tracing.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
        return torch.export.export(module, tuple(examples), dynamic_shapes=shapes)


def onnx_bytes(
    program: torch.export.ExportedProgram, takes: Sequence[str], gives: Sequence[str]
) -> bytes:
    """The ONNX model of a program.

    Args:
        program: see :func:`traced`.
        takes: names of the inputs.
        gives: names of the outputs.

    Raises:
        ExportError: it cannot be expressed in ONNX, or the extra ``isp-meta[onnx]`` is missing.
    """
    try:
        with TemporaryDirectory() as folder, quiet(), torch.no_grad():
            file = Path(folder, "model.onnx")
            torch.onnx.export(
                program,
                (),
                file,
                dynamo=True,
                opset_version=OPSET,
                input_names=list(takes),
                output_names=list(gives),
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
