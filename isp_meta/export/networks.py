"""Samplers, reconstructors and their networks as one tensor program each."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.fx.experimental import _config as tracing

from ..errors import ExportError
from ..io import check_target, write_atomic
from ..networks.tiles import evaluating
from ..ops import reference
from ..reconstruct import TrainableReconstructor
from ..samplers import LearnedSampler, SuperpixelSampler
from . import graph

__all__ = ["TensorReconstructor", "TensorSampler", "export_network"]

# A network's sums are long; samples are compared as whole numbers.
_TOLERANCE = 1e-4

_ops = torch.ops.isp_meta
# ONNX has none of our operators, but all that their definitions in plain PyTorch are made of.
_DEFINITIONS: dict[Any, Callable[..., Any]] = {
    _ops.accumulate.default: reference.accumulate,
    _ops.argmax_pool.default: reference.argmax_pool,
    _ops.associate.default: reference.associate,
    _ops.associate_features.default: reference.associate_features,
    _ops.distribute.default: reference.distribute,
}


class TensorSampler(nn.Module):
    """A sampler by superpixels, tensor to tensor, the whole picture at once.

    Args:
        sampler: whose choice it is.
    """

    takes: ClassVar = {"srgb": 3, "raw": 3}
    gives = "chosen"

    def __init__(self, sampler: SuperpixelSampler | LearnedSampler) -> None:
        super().__init__()
        self.sampler = sampler

    def forward(self, srgb: Tensor, raw: Tensor) -> Tensor:
        """Chooses one pixel a cell.

        Args:
            srgb, raw: (1, 3, H, W) in [0, 1]; H and W at least 2.

        Returns:
            (1, ceil(H / cell), ceil(W / cell)) int64 flat index of a pixel, -1 for none;
            ``Samples.at(chosen.flatten(), raw[0], cell)`` are the samples.
        """
        return self.sampler.cells(srgb, raw)


class TensorReconstructor(nn.Module):
    """A reconstructor that is a network, tensor to tensor, the whole picture at once.

    Args:
        reconstructor: whose network it is; nothing is fine-tuned.
    """

    takes: ClassVar = {"srgb": 3, "kept": 3, "mask": 1}
    gives = "recovered"

    def __init__(self, reconstructor: TrainableReconstructor) -> None:
        super().__init__()
        self.reconstructor = reconstructor

    def forward(self, srgb: Tensor, kept: Tensor, mask: Tensor) -> Tensor:
        """Rebuilds raw.

        Args:
            srgb: (1, 3, H, W) in [0, 1].
            kept: (1, 3, H, W), raw where it was kept, else 0.
            mask: (1, 1, H, W), 1 where raw was kept, else 0.

        Returns:
            (1, 3, H, W) in [0, 1]; ``kept`` where there is a sample.
        """
        found = self.reconstructor.network(self.reconstructor.inputs(srgb, kept, mask))
        return torch.where(mask > 0, kept, found)


def export_network(
    network: nn.Module,
    path: str | os.PathLike[str],
    takes: Mapping[str, int] | None = None,
    gives: str | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Writes a network as a program whose height and width are free.

    The file is written once what it holds gave what the network gives, at two sizes. An
    ``.onnx`` model, of operator set 18, needs nothing of isp_meta. A ``.pt2``, for
    ``torch.export.load``, calls our native operators: ``import isp_meta.ops`` comes first.

    Args:
        network: such as :class:`TensorSampler`, :class:`TensorReconstructor`, or one of
            :mod:`isp_meta.networks`; it runs in evaluation mode, as float32 on the CPU.
        path: target, ``.onnx`` or ``.pt2``.
        takes: channels of each input (1, C, H, W), by its name; by default the network's ``takes``.
        gives: name of the output; by default the network's ``gives``.
        overwrite: replaces an existing file.

    Raises:
        ValueError: another ending; or a network that does not say itself what it takes.
        OutputError: the file cannot be written.
        ExportError: the network cannot be traced, or errs in that form; or the packages of the
            extra ``isp-meta[onnx]`` are not installed.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".onnx", ".pt2"):
        raise ValueError(f"{path}: must end in .onnx or .pt2")
    takes = takes or getattr(network, "takes", None)
    if not takes:
        raise ValueError("takes is needed: channels of each input by its name")
    result = gives or str(getattr(network, "gives", "result"))
    check_target(path, overwrite=overwrite)
    with evaluating(network), torch.no_grad():
        program = _trace(network, _examples(takes, graph.TRACED))
        data = _onnx(program, takes, result) if suffix == ".onnx" else _saved(program)
        for size in (graph.TRACED, graph.CHECKED):
            examples = _examples(takes, size)
            true = network(*examples.values())
            found = graph.run(data, examples) if suffix == ".onnx" else _loaded(data, examples)
            error = graph.error(found, true)
            if not error <= _TOLERANCE:
                raise ExportError(
                    f"the program errs by {error:.2g} at {size[1]}x{size[0]} pixels and is not "
                    "written"
                )
    write_atomic(path, data, overwrite=overwrite)


def _examples(takes: Mapping[str, int], size: tuple[int, int]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.rand(1, n, *size, generator=generator) for name, n in takes.items()}


def _trace(network: nn.Module, examples: Mapping[str, Tensor]) -> torch.export.ExportedProgram:
    try:
        return graph.traced(network, list(examples.values()))
    except Exception as refusal:  # the tracer's errors have no common type
        raise ExportError(f"the network cannot be traced: {graph.cause(refusal)}") from refusal


def _onnx(program: torch.export.ExportedProgram, takes: Mapping[str, int], gives: str) -> bytes:
    with graph.quiet(), tracing.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
        plain = program.run_decompositions(_DEFINITIONS)
    return graph.onnx_bytes(plain, list(takes), [gives])


def _saved(program: torch.export.ExportedProgram) -> bytes:
    file = BytesIO()
    torch.export.save(program, file)
    return file.getvalue()


def _loaded(data: bytes, examples: Mapping[str, Tensor]) -> Tensor:
    found: Tensor = torch.export.load(BytesIO(data)).module()(*examples.values())
    return found
