"""Pipelines, samplers and networks as tensor programs: for torch.compile, torch.export and ONNX."""

from .graph import OPSET
from .networks import TensorReconstructor, TensorSampler, export_network
from .pipelines import TensorPipeline, onnx

__all__ = [
    "OPSET",
    "TensorPipeline",
    "TensorReconstructor",
    "TensorSampler",
    "export_network",
    "onnx",
]
