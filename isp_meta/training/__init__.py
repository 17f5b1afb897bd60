"""Training: sets of renderings on disk, and what is trained on them."""

from .config import TrainingConfig
from .dataset import CropDataset
from .depth_dataset import DepthDataset
from .manifest import Manifest, Shard
from .prepare import Prepared, prepare
from .trainer import Interrupted, Trainer

__all__ = [
    "CropDataset",
    "DepthDataset",
    "Interrupted",
    "Manifest",
    "Prepared",
    "Shard",
    "Trainer",
    "TrainingConfig",
    "prepare",
]
