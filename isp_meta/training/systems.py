"""What the names of a training's config stand for: networks, samplers, reconstructors."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from ..errors import TrainingError
from ..frame import Frame
from ..networks import DepthNetwork, FeatureNetwork, UNet
from ..networks.shipped import shipped_features
from ..processors import available
from ..reconstruct.bit_depth import BitDepthReconstructor
from ..reconstruct.features import ClosedFormNetwork, FeatureReconstructor
from ..reconstruct.residual_unet import ResidualUNet, ResidualUNetReconstructor
from ..reconstruct.trainable import TrainableReconstructor
from ..reconstruct.unet import UNetReconstructor
from ..samplers.choice import Choice
from ..samplers.free_form import FreeFormSampler
from ..samplers.learned import LearnedSampler
from ..samples import Samples
from .batches import Crops
from .config import ReconstructorConfig, TrainingConfig
from .dataset import CropDataset
from .depth_dataset import DepthDataset
from .distributed import world_size
from .manifest import Manifest

__all__ = ["RECONSTRUCTORS", "TrainableSampler", "build", "crops"]


class TrainableSampler(Protocol):
    """A sampler whose choice has a gradient."""

    network: nn.Module

    def choose(self, srgb: Tensor, raw: Tensor) -> Choice:
        """Mask and L_S of a batch."""

    def __call__(self, frame: Frame) -> Samples:
        """Samples of a picture."""


def _unet_reconstructor(config: ReconstructorConfig) -> TrainableReconstructor:
    return UNetReconstructor(UNet(7, 3, config.width, head="sigmoid"))


def _residual_unet_reconstructor(config: ReconstructorConfig) -> TrainableReconstructor:
    return ResidualUNetReconstructor(ResidualUNet(UNet(13, 3, config.width)))


def _feature_reconstructor(config: ReconstructorConfig) -> TrainableReconstructor:
    return FeatureReconstructor(ClosedFormNetwork(FeatureNetwork(width=config.width)))


def _shipped_reconstructor(_config: ReconstructorConfig) -> TrainableReconstructor:
    """For a sampler that is trained for the decoder as it is; the network is everybody's."""
    return FeatureReconstructor(ClosedFormNetwork(copy.deepcopy(shipped_features())))


def _depth_reconstructor(config: ReconstructorConfig) -> TrainableReconstructor:
    return BitDepthReconstructor(DepthNetwork(config.width))


def _depth_unet_reconstructor(config: ReconstructorConfig) -> TrainableReconstructor:
    return BitDepthReconstructor(UNet(7, 3, config.width, head="sigmoid"))


RECONSTRUCTORS: dict[str, Callable[[ReconstructorConfig], TrainableReconstructor]] = {
    "unet": _unet_reconstructor,
    "residual-unet": _residual_unet_reconstructor,
    "features": _feature_reconstructor,
    "shipped": _shipped_reconstructor,
    "depth": _depth_reconstructor,
    "depth-unet": _depth_unet_reconstructor,
}
"""Kind in the config ─▶ reconstructor."""


def build(
    config: TrainingConfig,
) -> tuple[LearnedSampler | FreeFormSampler | None, TrainableReconstructor]:
    """Sampler and reconstructor with fresh weights, the same ones for the same seed.

    Returns:
        The sampler is None where the config's samples need no network.

    Raises:
        TrainingError: a kind that does not exist.
    """
    with torch.random.fork_rng([]):
        torch.manual_seed(config.run.seed)
        return _sampler(config), _reconstructor(config.reconstructor)


def crops(
    config: TrainingConfig, progress: Callable[[str], None] | None = None
) -> tuple[Crops, Crops]:
    """The crops to train on and those to validate on.

    A training set that is not there yet is made, if the config's ``[prepare]`` says of what.

    Args:
        config: of the training.
        progress: called with what is being done.

    Raises:
        TrainingError: the config names no training set, or one that was made otherwise than it
            says. TrainingSetError: it cannot be read. And what
            :func:`isp_meta.training.prepare.prepare` raises.
    """
    data, seed = config.data, config.run.seed
    if not data.folder:
        raise TrainingError("[data] folder: must name a training set; isp-meta prepare makes one")
    if config.prepare.pictures:
        _prepare(config, progress)
    try:
        if data.bits:
            return DepthDataset.split(data.folder, data.val.split(), data.crop, data.depths, seed)
        train = CropDataset(data.folder, "train", data.crop, seed=seed)
        return train, CropDataset(data.folder, "val", data.crop, augment=False)
    except ValueError as error:
        raise TrainingError(f"[data] {error}") from error


def _prepare(config: TrainingConfig, progress: Callable[[str], None] | None) -> None:
    folder = config.data.folder
    if Manifest.is_there(Path(folder)):
        config.prepare.check(folder)
    elif world_size() > 1:
        raise TrainingError(f"{folder}: is not there yet; make it first, with isp-meta prepare")
    else:
        workers = config.run.threads or available()
        config.prepare.make(folder, workers=workers, progress=progress)


def _sampler(config: TrainingConfig) -> LearnedSampler | FreeFormSampler | None:
    if not config.samples.trains_sampler:
        return None
    sees = config.sampler.inputs
    inputs = 6 if sees == "both" else 3
    clip = config.sampler.clip or None
    if config.samples.kind == "free_form":
        network = UNet(inputs, 1, config.sampler.width)
        return FreeFormSampler(network, config.samples.share, sees, clip=clip)
    network = UNet(inputs, 9, config.sampler.width)
    return LearnedSampler(network, config.samples.cell, sees, clip=clip)


def _reconstructor(config: ReconstructorConfig) -> TrainableReconstructor:
    if config.kind not in RECONSTRUCTORS:
        kinds = ", ".join(RECONSTRUCTORS)
        raise TrainingError(f"[reconstructor] kind: must be one of {kinds}, not {config.kind!r}")
    return RECONSTRUCTORS[config.kind](config)
