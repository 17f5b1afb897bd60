"""A pipeline as a plain function of tensors: for torch.compile, torch.export and ONNX."""

from __future__ import annotations

import os
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..camera import BAYER_PATTERNS, Camera
from ..errors import ExportError, PipelineOrderError
from ..frame import Frame
from ..io import check_target, write_atomic
from ..pipeline import Pipeline, blaming
from ..stage import Stage
from ..stages import Demosaic, demosaic
from ..stages.demosaic import method_for
from . import graph

__all__ = ["TensorPipeline", "onnx"]

# A model's arithmetic may round otherwise than PyTorch's; 16 bits are 1.5e-5.
_TOLERANCE = 1e-5


class TensorPipeline(nn.Module):
    """A pipeline between two fields of a frame, tensor to tensor, its camera's values constants.

        picture ─▶ Frame(camera, takes=picture) ─▶ pipeline ─▶ frame.gives

    Args:
        pipeline: bound to the camera here, see :meth:`isp_meta.Pipeline.bind`; a copy is held.
        camera: whose calibration is taken, once.
        takes: field of Frame that the tensor stands for.
        gives: field that is returned.

    Raises:
        PipelineOrderError: the pipeline needs more than ``takes``, or does not give ``gives``.
    """

    def __init__(
        self, pipeline: Pipeline, camera: Camera, takes: str = "codes", gives: str = "srgb"
    ) -> None:
        super().__init__()
        if lacking := pipeline.needs - {takes}:
            raise PipelineOrderError(f"the pipeline needs {', '.join(sorted(lacking))} too")
        if gives not in pipeline.gives:
            given = ", ".join(sorted(pipeline.gives)) or "nothing"
            raise PipelineOrderError(f"the pipeline gives {given}, but not {gives}")
        self.pipeline = pipeline.bind(camera)
        self.camera, self.takes, self.gives = camera, takes, gives

    def forward(self, picture: Tensor) -> Tensor:
        """Runs the pipeline.

        Args:
            picture: (..., C, H, W), as Frame says of ``takes``.

        Returns:
            (..., C, H, W), as Frame says of ``gives``.
        """
        frame = Frame(self.camera).replace(**{self.takes: picture})
        if not torch.compiler.is_compiling():
            frame = self.pipeline(frame, keep=(self.gives,))
            return getattr(frame, self.gives)  # type: ignore[no-any-return]
        for position, stage in enumerate(self.pipeline):
            # What compiles a graph takes no part in errors, but it shows the line.
            with (
                nullcontext() if torch.compiler.is_dynamo_compiling() else blaming(position, stage)
            ):
                frame = stage(frame)
        return getattr(frame, self.gives)  # type: ignore[no-any-return]


class _Convolution(Stage):
    """A linear demosaic of even-sided mosaics as one convolution, which every runtime has.

        mosaic ─▶ mirrored by 2 ─▶ 12 kernels of 6x6, every second pixel ─▶ pixels of the pattern

    The kernels are the responses of :func:`isp_meta.stages.demosaic` to single bright pixels.
    """

    needs = Demosaic.needs
    gives = Demosaic.gives
    kernels: Tensor

    def __init__(self, cfa: str, method: str) -> None:
        super().__init__()
        pixels = torch.zeros(36, 1, 14, 14)
        pixels[:, 0, 4:10, 4:10] = torch.eye(36).view(36, 6, 6)
        response = demosaic(pixels, cfa, method)[..., 6:8, 6:8]  # type: ignore[arg-type]
        self.register_buffer("kernels", response.permute(1, 2, 3, 0).reshape(12, 1, 6, 6))

    def forward(self, frame: Frame) -> Frame:
        """Fills ``raw``."""
        mosaic = frame.require("mosaic", by="Demosaic")
        mirrored = functional.pad(mosaic, (2, 2, 2, 2), mode="reflect")
        raw = functional.pixel_shuffle(functional.conv2d(mirrored, self.kernels, stride=2), 2)
        return frame.replace(raw=raw.clamp(0, 1))


def onnx(
    pipeline: Pipeline,
    camera: Camera,
    path: str | os.PathLike[str],
    *,
    takes: str = "codes",
    gives: str = "srgb",
    overwrite: bool = False,
) -> None:
    """Writes a pipeline as an ONNX model of operator set 18.

    Its input and output are named as the fields (raw and raw_out where both are one): (N, C, H, W)
    float32, N, H and W free, H and W 4 or more, and even where a mosaic goes in. The model is
    written once it has run in onnxruntime at two sizes and gave what PyTorch gives.

    Args:
        pipeline, camera, takes, gives: see :class:`TensorPipeline`.
        path: target, by custom ``.onnx``.
        overwrite: replaces an existing file.

    Raises:
        PipelineOrderError: see :class:`TensorPipeline`. OutputError: the file cannot be written.
        ExportError: a stage cannot be expressed in ONNX or comes out wrong; or the packages of
            the extra ``isp-meta[onnx]`` are not installed.
    """
    check_target(path, overwrite=overwrite)
    true = TensorPipeline(pipeline, camera, takes, gives).eval()
    traced = TensorPipeline(with_convolution(pipeline, camera.cfa), camera, takes, gives)
    result = gives + ("_out" if gives == takes else "")
    try:
        program = graph.traced(traced, [_example(true, 2, graph.TRACED)], dims=(0, 2, 3))
    except Exception as refusal:  # the tracer's errors have no common type
        raise ExportError(f"it cannot be expressed in ONNX: {graph.cause(refusal)}") from refusal
    data = graph.onnx_bytes(program, [takes], [result])
    for pictures, size in ((2, graph.TRACED), (1, graph.CHECKED)):
        picture = _example(true, pictures, size)
        error = graph.error(graph.run(data, {takes: picture}), true(picture))
        if not error <= _TOLERANCE:
            raise ExportError(
                f"the ONNX model errs by {error:.2g} at {size[1]}x{size[0]} pixels and is not "
                "written; export fewer stages"
            )
    write_atomic(path, data, overwrite=overwrite)


def with_convolution(pipeline: Pipeline, cfa: str) -> Pipeline:
    def exported(stage: Stage) -> Stage:
        if isinstance(stage, Pipeline):
            return with_convolution(stage, cfa)
        method = method_for(cfa, stage.method) if isinstance(stage, Demosaic) else None
        if method == "kriging" or (method and cfa not in BAYER_PATTERNS):
            raise ExportError(
                f"demosaicing a {cfa} mosaic by {method} cannot be expressed in ONNX; export what "
                "follows it, from raw on"
            )
        return _Convolution(cfa, method) if method in ("malvar", "bilinear") else stage

    return Pipeline(exported(stage) for stage in pipeline)


def _example(module: TensorPipeline, pictures: int, size: tuple[int, int]) -> Tensor:
    """(N, C, H, W) of all that the sensor may say."""
    channels = module.camera.channels if module.takes in ("codes", "mosaic") else 3
    light = torch.rand(pictures, channels, *size, generator=torch.Generator().manual_seed(0))
    return light * module.camera.white_level if module.takes == "codes" else light
