"""SAM's reconstruction: radial-basis interpolation in position and color, pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..frame import Frame, Reconstructor
from ..reconstruct.inputs import picture_and_samples

__all__ = ["RBFReconstructor", "rbf_interpolate"]

# The kernels of scipy.interpolate.RBFInterpolator, under its names, at epsilon = 1.
_KERNELS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda r: -r,
    "cubic": lambda r: r**3,
    "thin_plate_spline": lambda r: torch.special.xlogy(r * r, r),
    "gaussian": lambda r: torch.exp(-r * r),
}


def rbf_interpolate(
    points: Tensor, values: Tensor, at: Tensor, kernel: str, ridge: float
) -> Tensor:
    """Solves and evaluates [K + ridge·I, P; Pᵀ, 0] [w; c] = [v; 0], P the affine terms.

    Args:
        points: (..., K, D) float64. values: (..., K, C). at: (..., Q, D). Leading axes are batch.
        kernel: linear, cubic, thin_plate_spline or gaussian.
        ridge: added to the diagonal of K, >= 0.

    Returns:
        (..., Q, C).

    Source: as ``scipy.interpolate.RBFInterpolator(smoothing=ridge, degree=1)``, which refuses
    points whose affine terms are dependent; here the smallest such solution is taken.
    """
    phi = _KERNELS[kernel]
    count, dims = points.shape[-2:]
    # Centering and scaling the affine terms changes nothing but the conditioning.
    origin = points.mean(-2, keepdim=True)
    extent = (points - origin).abs().amax((-2, -1), keepdim=True).clamp(min=1e-12)
    size = count + dims + 1
    system = points.new_zeros(*points.shape[:-2], size, size)
    system[..., :count, :count] = phi(torch.cdist(points, points))
    system[..., :count, count] = 1.0
    system[..., :count, count + 1 :] = (points - origin) / extent
    system[..., count:, :count] = system[..., :count, count:].mT
    diagonal = system.diagonal(dim1=-2, dim2=-1)
    diagonal[..., :count] += ridge
    diagonal[..., count:] -= 1e-10
    right = values.new_zeros(*values.shape[:-2], size, values.shape[-1])
    right[..., :count, :] = values
    weights = torch.linalg.solve(system, right)
    basis = [phi(torch.cdist(at, points)), torch.ones_like(at[..., :1]), (at - origin) / extent]
    value: Tensor = torch.cat(basis, -1) @ weights
    return value


class RBFReconstructor(Reconstructor):
    """Five-dimensional radial-basis interpolation from the nearest samples of every pixel.

    One dense system a pixel: seconds for 50,000 pixels, many minutes for a photograph, where
    :class:`LocalRBFReconstructor` is the one to use. It is here as the published baseline.

    Args:
        neighbors: samples in each pixel's system, nearest in the five dimensions; None: all, in
            one system for the whole picture (cubic in their number).
        kernel: linear, cubic, thin_plate_spline or gaussian.
        position_scale: pixels that weigh as much as the whole range of a color channel, > 0.
        ridge: smoothing, >= 0.

    Raises:
        ValueError: an argument out of range.

    Source: Punnappurath and Brown, *Spatially Aware Metadata for Raw Reconstruction*, WACV 2021.
    """

    _CHUNK = 4096

    def __init__(
        self,
        neighbors: int | None = 32,
        kernel: str = "linear",
        position_scale: float = 256.0,
        ridge: float = 1e-3,
    ) -> None:
        super().__init__()
        if kernel not in _KERNELS:
            raise ValueError(f"kernel must be one of {', '.join(_KERNELS)}, not {kernel!r}")
        if (neighbors is not None and neighbors < 1) or position_scale <= 0 or ridge < 0:
            raise ValueError("neighbors must be >= 1, position_scale > 0, ridge >= 0")
        self.neighbors, self.kernel = neighbors, kernel
        self.position_scale, self.ridge = position_scale, ridge

    @torch.no_grad()
    def forward(self, frame: Frame) -> Tensor:
        """(3, H, W) in [0, 1], equal to the stored samples at their pixels.

        Raises:
            ValueError: the frame holds no sample, or samples of a picture of another size.
        """
        srgb, samples = picture_and_samples(frame, "RBFReconstructor")
        _, height, width = srgb.shape
        rows, columns = torch.meshgrid(
            torch.arange(height, dtype=torch.float64),
            torch.arange(width, dtype=torch.float64),
            indexing="ij",
        )
        position = torch.stack([rows, columns]) / self.position_scale
        guide = torch.cat([position, srgb.double().cpu()]).flatten(1).T.contiguous()
        points, values = guide[samples.index.cpu()], samples.value.double().cpu()
        out = torch.empty(len(guide), 3, dtype=torch.float64)
        chunks = zip(torch.split(guide, self._CHUNK), torch.split(out, self._CHUNK), strict=True)
        if self.neighbors is None or self.neighbors >= len(samples):
            for at, target in chunks:
                target.copy_(rbf_interpolate(points, values, at, self.kernel, self.ridge))
        else:
            from scipy.spatial import cKDTree  # 0.3 s to load, which embedding need not wait for

            tree = cKDTree(points.numpy())
            for at, target in chunks:
                nearest = torch.from_numpy(tree.query(at.numpy(), self.neighbors)[1])
                nearest = nearest.view(len(at), self.neighbors)
                local = (points[nearest], values[nearest], at[:, None])
                target.copy_(rbf_interpolate(*local, self.kernel, self.ridge)[:, 0])
        out[samples.index.cpu()] = values
        return out.T.reshape(3, height, width).clamp(0, 1).to(srgb)

    def extra_repr(self) -> str:
        """Text inside the parentheses of ``repr``."""
        return (
            f"neighbors={self.neighbors}, kernel={self.kernel!r}, "
            f"position_scale={self.position_scale:g}, ridge={self.ridge:g}"
        )
