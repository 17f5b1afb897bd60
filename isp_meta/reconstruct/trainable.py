"""Reconstructors that are networks: what running, training and fine-tuning them ask for."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from ..frame import Frame, Reconstructor
from ..networks.tiles import ReadWindow, Window, run_tiled
from ..samples import Samples
from .fine_tune import FineTuning, fine_tune
from .inputs import picture_and_samples
from .planes import sample_planes

__all__ = ["Online", "TrainableReconstructor"]

_Tuned = TypeVar("_Tuned", bound="TrainableReconstructor")


@dataclass(frozen=True, eq=False)
class Online:
    """What a network can learn from the samples of a picture alone.

        loss = sum(weight * |network(inputs) - target|) / (3 * sum(weight))

    Attributes:
        inputs: (B, C, H, W). target: (B, 3, H, W). weight: (B, 1, H, W), >= 0.
    """

    inputs: Tensor
    target: Tensor
    weight: Tensor

    def pictures(self, part: slice) -> Online:
        """Some of the B; views."""
        return Online(self.inputs[part], self.target[part], self.weight[part])


class TrainableReconstructor(Reconstructor):
    """A network that makes raw of a picture and its samples.

    Args:
        network: (B, C, H, W) -> (B, 3, H, W) raw in [0, 1], for any H and W; holds all parameters.
        fine_tune_steps: steps of fine-tuning on the samples of each frame before it is
            reconstructed, >= 0; the paper's are 10.
        fine_tune_lr, held_out, seed: of that, as in :meth:`fine_tune`.
        dtype: in which the network runs on a frame and is tuned, torch.bfloat16 say; None: its own.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(
        self,
        network: nn.Module,
        fine_tune_steps: int = 0,
        fine_tune_lr: float = 1e-4,
        *,
        held_out: float = 0.1,
        seed: int = 0,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        FineTuning(fine_tune_steps, fine_tune_lr, held_out, seed)  # checks them
        self.network = network
        self.fine_tune_steps, self.fine_tune_lr = fine_tune_steps, fine_tune_lr
        self.held_out, self.seed, self.dtype = held_out, seed, dtype

    @abstractmethod
    def inputs(self, srgb: Tensor, kept: Tensor, mask: Tensor) -> Tensor:
        """What the network reads; no parameters, differentiable in kept and mask.

        Args:
            srgb: (B, 3, H, W) in [0, 1].
            kept: (B, 3, H, W), mask * raw.
            mask: (B, 1, H, W), 1 where raw is known, else 0.

        Returns:
            (B, C, H, W).
        """

    def online(
        self, srgb: Tensor, kept: Tensor, mask: Tensor, generator: torch.Generator | None = None
    ) -> Online:
        """What fine-tuning and the inner loop of training minimize: the error at the samples.

        Args:
            srgb, kept, mask: as in :meth:`inputs`.
            generator: for a reconstructor that draws what it leaves out.

        Source: L_O of Nam et al., CVPR 2022, Eq. 7.
        """
        return Online(self.inputs(srgb, kept, mask), kept, mask)

    def window_reader(self, srgb: Tensor, samples: Samples) -> ReadWindow:
        """What tells the network's inputs, (C, h, w), in a window of a picture.

        Args:
            srgb: (3, H, W). samples: of that picture.
        """

        def read(window: Window) -> Tensor:
            kept, mask = (plane.to(srgb) for plane in sample_planes(samples, window))
            return self.inputs(window.of(srgb)[None], kept[None], mask[None])[0]

        return read

    @torch.no_grad()
    def forward(self, frame: Frame) -> Tensor:
        """(3, H, W) in [0, 1], equal to measured samples at their pixels.

        Raises:
            PipelineOrderError: srgb or samples is empty. ValueError: no sample, or of another size;
            control values, which are no raw.
        """
        srgb, samples = picture_and_samples(frame, type(self).__name__)
        tuned = self
        if self.fine_tune_steps:
            steps, lr = self.fine_tune_steps, self.fine_tune_lr
            tuned = self.fine_tune(frame, steps, lr, held_out=self.held_out, seed=self.seed)
        size = (samples.height, samples.width)
        reader = tuned.window_reader(srgb, samples)
        raw = run_tiled(tuned.network, reader, size, dtype=self.dtype).to(srgb).clamp_(0, 1)
        raw.flatten(1)[:, samples.index.to(raw.device)] = samples.value.T.to(raw)
        return raw

    def fine_tune(
        self: _Tuned,
        frame: Frame,
        steps: int = 10,
        lr: float = 1e-4,
        *,
        held_out: float = 0.1,
        seed: int = 0,
        pixels: int = 2**18,
        tile: int = 256,
    ) -> _Tuned:
        """A copy tuned to one picture by its samples; this one stays as it is.

        Each step sees the whole picture, as in the paper, or, of a larger one, other random tiles.
        So memory has a bound, whatever the size: a U-Net of width w takes about 160 w bytes a pixel
        of what it sees at once. Tuning ends early where three steps in a row bring the samples held
        out no nearer. Batch normalization keeps the statistics of training. The same seed gives the
        same copy on CPU. PyTorch's global generator is neither read nor changed.

        Args:
            frame: with ``srgb`` and ``samples``.
            steps: of Adam, >= 0. lr: its rate, > 0.
            held_out: share of the samples, in [0, 1), that is withheld from inputs and loss; the
                step is kept at which they are met best, and the untuned network where no step meets
                them better by more than chance. 0 tunes to the end, as the paper does; so does a
                picture of fewer than two samples.
            seed: of what is drawn.
            pixels: largest picture that is seen whole, and what a step sees of a larger one, >= 1.
            tile: side of the tiles of a larger one, pixels, >= 1; one is kept at a time.

        Returns:
            A reconstructor of the same class, that does not tune again.

        Raises:
            PipelineOrderError: srgb or samples is empty. ValueError: no sample, or of another size;
            control values, which tell no network what the sensor measured; an argument out of
            range.

        Source: Nam et al., CVPR 2022, section 3.3.
        """
        settings = FineTuning(steps, lr, held_out, seed, pixels, tile)
        srgb, samples = picture_and_samples(frame, f"fine-tuning a {type(self).__name__}")
        tuned = fine_tune(self, srgb, samples, settings)
        tuned.fine_tune_steps = 0
        return tuned

    def extra_repr(self) -> str:
        """Text inside the parentheses of ``repr``."""
        return f"fine_tune_steps={self.fine_tune_steps}, fine_tune_lr={self.fine_tune_lr:g}"
