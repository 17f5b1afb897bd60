"""RIR: the rendering undone by a formula that was fitted at capture, without any sample.

    srgb ─▶ f⁻¹, a curve a channel ─▶ T_s⁻¹, a matrix ─(+)─▶ T_w⁻¹, gains ─▶ raw
       └──▶ h⁻¹, control points ─▶ a lattice of colors ─┘

What the formula does not see, such as the place in the picture, it cannot undo: tones that were
mapped locally, or noise reduction.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..frame import Frame, Reconstructor
from ..processors.workers import workers
from ..samples import ParametricModel
from ..stages.inverse_tone_curve import apply_curves

__all__ = ["ParametricReconstructor", "influence"]

# Nodes along a side of the lattice of colors: the levels of 8 bits, at which nothing is lost.
_NODES = ParametricModel.KNOTS
# Nodes along a side of the cubes that share a choice of control points.
_CUBE = 8
# Pixels whose temporaries stay in the cache.
_RUN = 1 << 16
# Of a step between nodes: less, and a color lies at its node.
_AT_NODE = 1e-3


def influence(colors: Tensor, points: Tensor, radius: float) -> Tensor:
    """(n, N): max(0, 1 - distance / radius)² of n colors (n, 3) from N control points (N, 3).

    Positive definite in three dimensions (Wendland, *Adv. Comput. Math.* 4, 1995).
    """
    # torch.cdist is inaccurate for points that lie close, or slow.
    squares = (colors[:, :1] - points[:, 0]).square_()
    for channel in (1, 2):
        squares += (colors[:, channel, None] - points[:, channel]).square_()
    return squares.sqrt_().mul_(-1 / radius).add_(1).clamp_(min=0).square_()


class ParametricReconstructor(Reconstructor):
    """Evaluates a :class:`ParametricModel`; samples in the frame are not looked at.

    The gamut mapping is summed at those of 256³ colors that lie next to the picture's own, and
    interpolated trilinearly between; in a picture of 8 bits there is nothing between.

    Args:
        model: from :func:`fit_parametric`, or from a payload.

    Source: Nguyen and Brown, "Raw image reconstruction using a self-contained sRGB-JPEG image with
    only 64 KB overhead", CVPR 2016.
    """

    needs = frozenset({"srgb"})
    gains: Tensor
    matrix: Tensor
    curves: Tensor
    points: Tensor
    weights: Tensor

    def __init__(self, model: ParametricModel) -> None:
        super().__init__()
        self.radius = model.radius
        for name in ("gains", "matrix", "curves", "points", "weights"):
            self.register_buffer(name, getattr(model, name))

    @torch.no_grad()
    def forward(self, frame: Frame) -> Tensor:
        """(3, H, W) in [0, 1], dtype and device of ``srgb``.

        Raises:
            PipelineOrderError: the frame has no ``srgb``. ValueError: it is not (3, H, W).
        """
        srgb: Tensor = frame.require("srgb", "ParametricReconstructor")
        if srgb.dim() != 3 or len(srgb) != 3:
            raise ValueError(f"srgb must be (3, H, W), not {tuple(srgb.shape)}")
        raw = torch.empty_like(srgb, memory_format=torch.contiguous_format)
        pixels = torch.split(srgb.flatten(1), _RUN, 1)
        with workers() as pool:
            at, between = srgb.new_zeros(2, _NODES**3, dtype=torch.bool)
            for _ in pool.map(lambda color: _mark(color, at, between), pixels):
                pass
            lattice = srgb.new_zeros(3, _NODES**3)

            def evaluate(node: Tensor) -> None:
                lattice[:, node] = self._gamut_mapping(_color(node).to(srgb)).T

            for _ in pool.map(evaluate, _cubes((at | _corners(between)).nonzero()[:, 0])):
                pass
            cube = lattice.view(1, 3, _NODES, _NODES, _NODES)

            def work(color: Tensor, out: Tensor) -> None:
                out.copy_(self._undo(color, cube))

            for _ in pool.map(work, pixels, torch.split(raw.flatten(1), _RUN, 1)):
                pass
        return raw

    def _gamut_mapping(self, colors: Tensor) -> Tensor:
        """(n, 3): what it adds to white-balanced raw at n colors (n, 3) that lie close."""
        points, weights = self.points.to(colors), self.weights.to(colors)
        middle = (colors.amin(0) + colors.amax(0)) / 2
        reach = (colors - middle).norm(dim=1).amax() + self.radius
        near = (points - middle).norm(dim=1) <= reach
        return influence(colors, points[near], self.radius) @ weights[near]

    def _undo(self, color: Tensor, cube: Tensor) -> Tensor:
        """(3, n) raw of sRGB colors (3, n), h⁻¹ from the lattice (1, 3, 256, 256, 256)."""
        linear = apply_curves(color, self.curves.to(color))
        place = color.T.mul(2).sub_(1)[None, None, None]
        mapped = functional.grid_sample(cube, place, padding_mode="border", align_corners=True)
        balanced = torch.addmm(mapped.view(3, -1), self.matrix.to(color), linear)
        return balanced.div_(self.gains.to(color)[:, None]).clamp_(0, 1)

    def extra_repr(self) -> str:
        """Size of the model, for ``repr``."""
        return f"points={len(self.points)}, radius={self.radius:g}"


# Along the lattice's last side, as grid_sample has it, runs red.
_STRIDES = (1, _NODES, _NODES**2)


def _number(place: Tensor) -> Tensor:
    """(n,) number of nodes at (3, n) places."""
    red, green, blue = (place[axis] * stride for axis, stride in enumerate(_STRIDES))
    return red + green + blue


def _mark(color: Tensor, at: Tensor, between: Tensor) -> None:
    """Marks the nodes that colors (3, n) lie at, or else the black corners of their cells."""
    place = color.clamp(0, 1) * (_NODES - 1)
    node = place.round()
    if bool((place - node).abs().amax() < _AT_NODE):
        at[_number(node.long())] = True
    else:
        between[_number(place.long().clamp_(max=_NODES - 2))] = True


def _corners(cells: Tensor) -> Tensor:
    """The nodes at corners of cells."""
    for stride in _STRIDES:
        cells = cells | cells.roll(stride)
    return cells


def _cubes(nodes: Tensor) -> tuple[Tensor, ...]:
    """Numbers of nodes, parted by the cube that they lie in."""
    places = [nodes // stride % _NODES // _CUBE for stride in _STRIDES]
    order = _number(torch.stack(places)).sort(stable=True)
    sizes = torch.unique_consecutive(order.values, return_counts=True)[1]
    return torch.split(nodes[order.indices], sizes.tolist())


def _color(node: Tensor) -> Tensor:
    """(n, 3) sRGB at nodes."""
    return torch.stack([node // stride % _NODES for stride in _STRIDES], 1) / (_NODES - 1)
