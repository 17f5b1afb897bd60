"""The decoder's systems, taken apart: what each pixel of a block makes of its neighbors' values.

    prediction(p) = phi(p) C⁻¹ v,    phi(p)_k = c(x_p, x_k),    C_jk = c(x_j, x_k) + ridge [j = k]

Linear in the values v, so that the best ones solve a linear system, put together of one small
matrix a block.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...reconstruct.local_rbf import LocalRBFSetting

__all__ = ["Systems", "in_blocks"]


def in_blocks(picture: Tensor, side: int) -> Tensor:
    """(h * w, side², C) pixels by block, of (C, H, W) whose sides are multiples of a block's."""
    channels, height, width = picture.shape
    parts = picture.view(channels, height // side, side, width // side, side)
    return parts.permute(1, 3, 2, 4, 0).reshape(-1, side * side, channels)


def _square_distance(left: Tensor, right: Tensor) -> Tensor:
    """(B, P, K) between (B, P, D) and (B, K, D)."""
    squared = torch.bmm(left, right.transpose(1, 2)).mul_(-2)
    squared += left.square().sum(2)[:, :, None]
    squared += right.square().sum(2)[:, None]
    return squared.clamp_(min=0)


def _radial(kernel: str, squared: Tensor) -> Tensor:
    """As :class:`isp_meta.ops.RadialBasis` has it, written over the squared distance."""
    if kernel == "rational":
        return squared.add_(1).reciprocal_()
    return squared.sqrt_().neg_().exp_()


class Systems:
    """Systems of some blocks.

    Args:
        setting: kernel, scales and ridge.
        points: (B, K, 7) position and guide of each block's neighbors.
        pixels: (B, P, 7) the same of its pixels.

    Attributes:
        covariance: (B, P, K), phi. factor: (B, K, K) lower Cholesky factor of C.

    Source: :func:`isp_meta.ops.local_rbf`, whose prediction these make.
    """

    def __init__(self, setting: LocalRBFSetting, points: Tensor, pixels: Tensor) -> None:
        scale = points.new_tensor([setting.position_scale] * 2 + [setting.color_scale] * 5)
        origin = points.mean(1, keepdim=True)
        points, pixels = (points - origin) / scale, (pixels - origin) / scale
        matrix = _radial(setting.kernel, _square_distance(points, points))
        # Rounding of the squares leaves the diagonal a little off what it is by definition.
        matrix.diagonal(dim1=1, dim2=2).fill_(1 + setting.ridge)
        self.factor = torch.linalg.cholesky(matrix)
        self.covariance = _radial(setting.kernel, _square_distance(pixels, points))

    def predict(self, values: Tensor) -> Tensor:
        """(B, P, 3) at the pixels, of (B, K, 3) values of the neighbors."""
        return torch.bmm(self.covariance, torch.cholesky_solve(values, self.factor))

    def normal_equations(self, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Of the weighted squares by which predictions miss a target, as a function of the values.

        Args:
            target: (B, P, 3). weight: (B, P).

        Returns:
            (B, K, K) matrices and (B, K, 3) right sides.
        """
        # What each value adds to each pixel. Squared as a whole, so that rounding leaves no matrix
        # indefinite by more than its own precision: conjugate gradients would run away along it.
        share = torch.cholesky_solve(self.covariance.transpose(1, 2).contiguous(), self.factor)
        weighted = share * weight[:, None]
        return torch.bmm(weighted, share.transpose(1, 2)), torch.bmm(weighted, target)
