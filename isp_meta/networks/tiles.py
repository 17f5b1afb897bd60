"""Networks over pictures of any size, one tile after the other.

        ┌───────── halo ─────────┐
inputs ─┤ ┌─ tile ─┐             │─▶ network ─▶ the tile of it ─▶ result
        └────────────────────────┘
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

__all__ = ["Foldable", "ReadWindow", "Window", "evaluating", "run_tiled", "tile_windows"]


class Window(NamedTuple):
    """Rows ``top`` to ``bottom`` and columns ``left`` to ``right`` of a picture, ends exclusive."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        """(height, width), pixels."""
        return self.bottom - self.top, self.right - self.left

    def grown(self, by: int, size: tuple[int, int], multiple: int = 1) -> Window:
        """The window with a border around it, as far as a picture of that size goes.

        Args:
            by: width of the border, pixels.
            size: (height, width) of the picture.
            multiple: rows and columns of the first pixel are rounded down to it, of the last up.
        """
        top, left = (max(0, start - by) // multiple * multiple for start in self[::2])
        bottom, right = (
            min(length, -(-(stop + by) // multiple) * multiple)
            for stop, length in zip(self[1::2], size, strict=True)
        )
        return Window(top, bottom, left, right)

    def of(self, picture: Tensor) -> Tensor:
        """That part of a (..., H, W) picture; a view."""
        return picture[..., self.top : self.bottom, self.left : self.right]

    def within(self, outer: Window) -> Window:
        """The same pixels, counted from the first pixel of a window that holds them."""
        return Window(
            self.top - outer.top,
            self.bottom - outer.top,
            self.left - outer.left,
            self.right - outer.left,
        )


ReadWindow = Callable[[Window], Tensor]


@runtime_checkable
class Foldable(Protocol):
    """A network that can make a cheaper copy of itself for evaluation."""

    def folded(self, dtype: torch.dtype | None) -> nn.Module:
        """A copy with the same result, which takes ``dtype`` where that is given."""


def tile_windows(window: Window, side: int, multiple: int = 1) -> Iterator[Window]:
    """Divides a window into tiles of about the same size, row after row.

    Args:
        window: what to divide.
        side: largest side of a tile, pixels; a smaller one than ``multiple`` counts as that.
        multiple: sides of all tiles but the last of a row or column are multiples of it.
    """

    def spans(start: int, stop: int) -> list[tuple[int, int]]:
        length = stop - start
        count = -(-length // max(multiple, side // multiple * multiple))
        step = -(-length // (count * multiple)) * multiple
        return [(at, min(stop, at + step)) for at in range(start, stop, step)]

    columns = spans(window.left, window.right)
    for top, bottom in spans(window.top, window.bottom):
        for left, right in columns:
            yield Window(top, bottom, left, right)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Puts a network into evaluation mode; afterwards each of its modules is as it was."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@torch.no_grad()
def run_tiled(
    network: nn.Module,
    inputs: Tensor | ReadWindow,
    size: tuple[int, int] | None = None,
    *,
    window: Window | None = None,
    tile: int = 1024,
    halo: int | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Runs a network over a picture, in evaluation mode and without gradients.

    The result is that of the whole picture at once where the halo covers what the network sees
    around a pixel. Memory is that of one tile beside inputs and result: a :class:`UNet` of width w
    takes about 34 w bytes a pixel of a tile and its halo, 1.6 GB for width 32 and the tile here.

    Args:
        network: (1, C, h, w) -> (1, C', h, w) for any h and w. Its attributes ``halo`` and
            ``multiple`` say how far it sees and to which grid it pools, pixels; without them it is
            taken for a U-Net: 96 and 16. A :class:`Foldable` network is run folded.
        inputs: (C, H, W), or a function that gives (C, h, w) of a window, so that the whole never
            has to exist.
        size: (H, W), where inputs is a function.
        window: the part of the picture to compute; None: all of it.
        tile: largest side of a tile without its halo, pixels, >= 1.
        halo: border computed around a tile and thrown away, pixels; None: the network's.
        dtype: in which the network computes, torch.bfloat16 or torch.float16; None: its own.
            That of autocast where the network is not foldable.

    Returns:
        (C', h, w) of the window, float32 (float64 from a network that gives it), on the device of a
        tensor of inputs; of a function's, on the network's.

    Raises:
        ValueError: tile, halo, size or window do not fit; the network gives another size than it
            got.
    """
    if isinstance(inputs, Tensor):
        whole, size = inputs, (inputs.shape[-2], inputs.shape[-1])
        read: ReadWindow = lambda part: part.of(whole)  # noqa: E731
    elif size is None:
        raise ValueError("size is needed where inputs is a function")
    else:
        read = inputs
    halo = getattr(network, "halo", 96) if halo is None else halo
    multiple = getattr(network, "multiple", 16)
    window = window or Window(0, size[0], 0, size[1])
    _check(size, window, tile, halo)
    result: Tensor | None = None
    with _prepared(network, dtype) as run:
        for part in tile_windows(window, tile, multiple):
            around = part.grown(halo, size, multiple)
            output = run(read(around))
            if output.shape[-2:] != around.size:
                raise ValueError(f"the network made {tuple(output.shape)} of {around.size} pixels")
            output = part.within(around).of(output)
            if result is None:
                device = inputs.device if isinstance(inputs, Tensor) else output.device
                result = output.new_empty(output.shape[0], *window.size, device=device)
            part.within(window).of(result).copy_(output)
    assert result is not None
    return result


@contextmanager
def _prepared(
    network: nn.Module, dtype: torch.dtype | None
) -> Iterator[Callable[[Tensor], Tensor]]:
    """What makes (C', h, w) of (C, h, w), while it is in use."""
    like = next(network.parameters(), torch.empty(0))
    if isinstance(network, Foldable):
        # Autocast would pad, which is most of what a small network does, in float32.
        network, like, dtype = network.folded(dtype), like.to(dtype or like.dtype), None

    def run(inputs: Tensor) -> Tensor:
        batch = inputs[None].to(like, memory_format=torch.channels_last)
        with torch.autocast(like.device.type, dtype, enabled=dtype is not None):
            output: Tensor = network(batch)[0]
        return output if output.dtype == torch.float64 else output.float()

    with evaluating(network):
        yield run


def _check(size: tuple[int, int], window: Window, tile: int, halo: int) -> None:
    if tile < 1 or halo < 0:
        raise ValueError(f"tile must be >= 1 and halo >= 0, not {tile} and {halo}")
    top, bottom, left, right = window
    if not (0 <= top < bottom <= size[0] and 0 <= left < right <= size[1]):
        raise ValueError(f"{window} is no part of a picture of {size[1]}x{size[0]}")
