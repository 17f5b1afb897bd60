"""Pictures a band of rows at a time, and coarse grids seen at a picture's rows.

A band's intermediates stay in one core's cache, and take no memory worth speaking of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..processors.workers import workers

__all__ = [
    "CELLS",
    "Bands",
    "area_means",
    "at_pixels",
    "channel",
    "gaussian",
    "in_bands",
    "is_recorded",
    "mixed",
    "of_bands",
    "row_bands",
    "weighted_sum",
]

Bands = list[tuple[int, int]]
T = TypeVar("T")

CELLS = 64
"""Along each side, where something is measured in a picture as a whole: noise and glints do not
count, and no picture takes longer than another."""

# Pixels of a band.
_BAND = 1 << 16


def row_bands(picture: Tensor, *parameters: Tensor, multiple: int = 1) -> Bands:
    """(first, last + 1) rows of each band.

    One band where autograd or a tracer records what is done, for each follows its own thread alone,
    and on a GPU.

    Args:
        picture: (..., H, W).
        parameters: whatever else may be learned.
        multiple: of which every band's first row is one.
    """
    height, width = picture.shape[-2:]
    if torch.compiler.is_compiling() or picture.device.type != "cpu":
        return [(0, height)]
    if any(is_recorded(tensor) for tensor in (picture, *parameters)):
        return [(0, height)]
    rows = max(_BAND // (width * multiple), 1) * multiple
    return [(top, min(top + rows, height)) for top in range(0, height, rows)]


def is_recorded(tensor: Tensor) -> bool:
    """Whether autograd, forward differentiation or ``torch.vmap`` follows what is done to it."""
    return (
        (torch.is_grad_enabled() and tensor.requires_grad)
        or torch._C._functorch.is_functorch_wrapped_tensor(tensor)
        or torch.autograd.forward_ad.unpack_dual(tensor).tangent is not None  # type: ignore[no-untyped-call]
    )


def of_bands(make: Callable[[int, int], T], bands: Bands) -> list[T]:
    """``make(first, last + 1)`` of each band, one core a band."""
    if len(bands) == 1:
        return [make(*bands[0])]
    inference = torch.is_inference_mode_enabled()

    def work(band: tuple[int, int]) -> T:
        # Whether gradients are recorded is each thread's own affair.
        with torch.inference_mode() if inference else torch.no_grad():
            return make(*band)

    with workers() as pool:
        return list(pool.map(work, bands))


def in_bands(make: Callable[[int, int], Tensor], like: Tensor, bands: Bands) -> Tensor:
    """The picture that ``make(first, last + 1)`` gives band by band, of the form of ``like``."""
    if len(bands) == 1:
        return make(*bands[0])
    whole = torch.empty_like(like, memory_format=torch.contiguous_format)

    def fill(top: int, bottom: int) -> None:
        whole[..., top:bottom, :] = make(top, bottom)

    of_bands(fill, bands)
    return whole


def area_means(picture: Tensor, cells: int = CELLS) -> Tensor:
    """Means over as many cells for every picture: sums of pixels by the area they share with each.

    Args:
        picture: (..., H, W), any size from 1x1.
        cells: along each side.

    Returns:
        (..., cells, cells)
    """
    planes = picture.reshape(-1, *picture.shape[-2:])
    for _ in ("columns", "rows"):
        size = planes.shape[-1]
        edge = torch.arange(cells + 1, device=picture.device).to(picture.dtype) * (size / cells)
        pixel = torch.arange(size, device=picture.device).to(picture.dtype).unsqueeze(1)
        share = torch.minimum(pixel + 1, edge[1:]) - torch.maximum(pixel, edge[:-1])
        weight = share.clamp(min=0) * (cells / size)
        # As in gaussian; the first product leaves the picture's rows as its columns.
        planes = torch.bmm(planes, weight.expand(planes.shape[0], -1, -1)).mT
    return planes.reshape(*picture.shape[:-2], cells, cells)


def at_pixels(grid: Tensor, dim: int, first: int, last: int, block: int) -> Tensor:
    """A grid of block averages, interpolated linearly at the centers of pixels along one axis.

    Args:
        grid: averages over ``block`` pixels each along ``dim``, the first from pixel 0 on.
        dim: -1 or -2.
        first, last: pixels wanted, ``last`` excluded.
        block: pixels a block, >= 1.

    Returns:
        Like ``grid``, with ``last - first`` along ``dim``; beyond the outermost blocks' centers
        level.
    """
    pixel = torch.arange(first, last, device=grid.device).to(grid.dtype)
    place = ((pixel + 0.5) / block - 0.5).clamp(0, grid.shape[dim] - 1)
    below = place.long()
    above = (below + 1).clamp(max=grid.shape[dim] - 1)
    share = place - below
    return torch.lerp(
        grid.index_select(dim, below),
        grid.index_select(dim, above),
        share.unsqueeze(-1) if dim == -2 else share,
    )


def gaussian(grid: Tensor, sigma: Tensor) -> Tensor:
    """A coarse grid smoothed by a Gaussian of any width; windows end at the border.

    Args:
        grid: (..., H, W).
        sigma: (), standard deviation in cells, > 0.
    """
    planes = grid.reshape(-1, *grid.shape[-2:])
    for _ in ("columns", "rows"):
        place = torch.arange(planes.shape[-1], device=grid.device).to(grid.dtype)
        weight = torch.exp(-0.5 * ((place - place.unsqueeze(1)) / sigma) ** 2)
        weight = weight / weight.sum(1, keepdim=True)
        # torch.matmul would fold dimensions as sizes allow, which a tracer cannot follow.
        planes = torch.bmm(weight.expand(planes.shape[0], -1, -1), planes.mT)
    return planes.reshape(grid.shape)


def channel(planes: Tensor, number: int) -> Tensor:
    """(..., 1, H, W): a copy of one channel; a view's strides hinder a tracer."""
    one = planes[..., number : number + 1, :, :]
    return one.clone(memory_format=torch.contiguous_format)


def mixed(planes: Tensor, matrix: Tensor) -> Tensor:
    """(..., n, H, W): combinations of the channels of (..., m, H, W), by a matrix (n, m)."""
    if not torch.compiler.is_compiling():
        return torch.einsum("ij,...jhw->...ihw", matrix, planes)
    # The product of matrices behind einsum would ask how many pictures there are.
    flat = planes.reshape(-1, *planes.shape[-3:])
    return F.conv2d(flat, matrix[..., None, None]).view(*planes.shape[:-3], -1, *planes.shape[-2:])


def weighted_sum(picture: Tensor, weights: Tensor) -> Tensor:
    """(..., 1, H, W): the three channels of (..., 3, H, W), each times its weight of (3,)."""
    total = picture[..., :1, :, :] * weights[0]
    total = torch.addcmul(total, picture[..., 1:2, :, :], weights[1])
    return torch.addcmul(total, picture[..., 2:, :, :], weights[2])
