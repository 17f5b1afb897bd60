"""The model of a rendering from a picture and its raw, as capture has both."""

from __future__ import annotations

import torch
from torch import Tensor

from ..camera import Camera
from ..samples import ParametricModel
from ..stages.inverse_tone_curve import apply_curves, fit_curves
from .octree import octree_means
from .parametric import influence

__all__ = ["fit_parametric"]

# Pixels that a fit looks at; more change nothing that can be seen.
_PIXELS = 1 << 20
# Codes nearer to black or white, and raw nearer to saturation, may be clipped.
_CLIPPED_LEVEL, _CLIPPED_RAW = 0.002, 0.99
# (max - min) / max from which on a color counts as saturated, where a gamut mapping may act.
_SATURATED = 0.5
# Of the distance from a matrix that changes nothing, relative to the channels' variance.
_MATRIX_RIDGE = 1e-4
# Of the kernel, in sRGB; and the noise of one pixel against its variance. Chosen on renderings of 3
# photographs among radii of 0.05 to 0.4 and noises of 0.02 to 0.1.
_RADIUS, _NOISE = 0.1, 0.02


def fit_parametric(
    raw: Tensor, srgb: Tensor, camera: Camera, *, points: int = 4000
) -> ParametricModel:
    """Fits how a picture was rendered, in the direction that recovery needs.

    White balance is the camera's. T_s and f⁻¹ come from unclipped pixels that are not very
    saturated; T_s⁻¹ then anew, straight from f⁻¹(srgb) to raw. What is left over, at all pixels,
    is averaged over the occupied cells of an octree of sRGB and becomes h⁻¹. Looks at 2^20 pixels
    at most, and always gives the same for the same.

    Args:
        raw: (3, H, W) linear raw-RGB in [0, 1]. srgb: (3, H, W) in [0, 1], rendered from it.
        camera: whose ``as_shot_neutral`` is balanced.
        points: most control points, 1 to 5000. A stored one takes 12 bytes, all else 3,126.

    Returns:
        The model on the CPU, rounded as metadata keep it.

    Raises:
        ValueError: shapes that differ, values that are not finite, ``points`` out of range.

    Source: Nguyen and Brown, "Raw image reconstruction using a self-contained sRGB-JPEG image with
    only 64 KB overhead", CVPR 2016; T_s and f⁻¹ in closed form in place of their alternation.
    """
    if raw.shape != srgb.shape or raw.dim() != 3 or len(raw) != 3 or not raw.numel():
        raise ValueError(
            f"raw and srgb must be (3, H, W), not {tuple(raw.shape)} and {tuple(srgb.shape)}"
        )
    if not 1 <= points <= ParametricModel.MOST_POINTS:
        raise ValueError(f"points must be 1 to {ParametricModel.MOST_POINTS}, not {points}")
    raw, level = _some(raw), _some(srgb)
    if not bool(torch.isfinite(raw).all() and torch.isfinite(level).all()):
        raise ValueError("raw and srgb must be finite")
    most = ParametricModel.LARGEST
    gains = (1 / torch.tensor(camera.as_shot_neutral, dtype=torch.float64)).clamp(1 / most, most)
    level, balanced = level.clamp(0, 1), raw * gains[:, None]
    unclipped, calm = _usable(raw, level, balanced)
    forward = _forward_matrix(level[:, calm], balanced[:, calm])
    curves = fit_curves(level[:, calm], forward @ balanced[:, calm])
    linear = apply_curves(level, curves)
    matrix = _inverse_matrix(linear[:, unclipped], balanced[:, unclipped])
    centers, weights = _gamut_mapping(level, balanced - matrix @ linear, points)
    return ParametricModel(
        gains.float(),
        matrix.clamp(-most, most).float(),
        curves.clamp(-most, most).float(),
        centers.clamp(0, 1).float(),
        weights.clamp(-most, most).float(),
        _RADIUS,
    ).rounded()


def _some(picture: Tensor) -> Tensor:
    """(3, N) float64 on the CPU: all pixels, or as many of them as the fit looks at."""
    pixels = picture.detach().flatten(1)
    count = pixels.shape[1]
    if count > _PIXELS:
        generator = torch.Generator().manual_seed(0)
        chosen = torch.randint(count, (_PIXELS,), generator=generator)
        pixels = pixels[:, chosen.to(pixels.device)]
    return pixels.cpu().double()


def _usable(raw: Tensor, level: Tensor, balanced: Tensor) -> tuple[Tensor, Tensor]:
    """(N,) each: not clipped; and neither that nor saturated. All, where there are next to none."""
    inside = (level > _CLIPPED_LEVEL) & (level < 1 - _CLIPPED_LEVEL)
    unclipped = inside.all(0) & (raw < _CLIPPED_RAW).all(0)
    if not bool(unclipped.any()):
        unclipped = torch.ones_like(unclipped)
    brightest = balanced.amax(0)
    calm = unclipped & (brightest - balanced.amin(0) <= _SATURATED * brightest)
    return unclipped, calm if 10 * calm.sum() >= unclipped.sum() else unclipped


def _forward_matrix(level: Tensor, balanced: Tensor) -> Tensor:
    """(3, 3) white-balanced raw to linear light, up to a curve for each channel.

    For each channel the mixture m · y of raw, of weights that sum to 1, that sRGB's channel tells
    best: with the least variance among pixels of like level. It is where fitting f⁻¹ to a matrix,
    and a matrix to f⁻¹, in turn would end.
    """
    identity = torch.eye(3, dtype=torch.float64)
    last = ParametricModel.KNOTS - 1
    rows = []
    for channel, own in zip(level, identity, strict=True):
        alike = (channel * last).round().long()
        count = torch.bincount(alike, minlength=last + 1).clamp(min=1)
        mean = torch.stack([torch.bincount(alike, y, minlength=last + 1) for y in balanced]) / count
        spread = balanced - mean[:, alike]
        scatter = spread @ spread.T / len(alike)
        ridge = (_MATRIX_RIDGE * scatter.diagonal().mean() + 1e-12) * identity
        # Minimizes m S m + (m - own) R (m - own), sum of m = 1, by a Lagrange multiplier.
        system = torch.nn.functional.pad(scatter + ridge, (0, 1, 0, 1), value=1.0)
        system[3, 3] = 0
        right = torch.cat([ridge @ own, torch.ones(1, dtype=torch.float64)])
        rows.append(torch.linalg.solve(system, right)[:3])
    return torch.stack(rows)


def _inverse_matrix(linear: Tensor, balanced: Tensor) -> Tensor:
    """(3, 3) linear light to white-balanced raw in least squares, near the identity."""
    identity = torch.eye(3, dtype=torch.float64)
    normal = linear @ linear.T
    ridge = (1e-9 * normal.diagonal().mean() + 1e-12) * identity
    solution: Tensor = torch.linalg.solve(normal + ridge, linear @ balanced.T + ridge)
    return solution.T


def _gamut_mapping(level: Tensor, residual: Tensor, limit: int) -> tuple[Tensor, Tensor]:
    """Control points (M, 3) and weights (M, 3) of the function through the cells' means.

    Each mean has a noise variance as its number of pixels has it. Colors are taken at the levels of
    8 bits, as recovery evaluates them: points that lie closer would pull against each other there.
    """
    last = ParametricModel.KNOTS - 1
    centers, means, count = octree_means((level * last).round() / last, residual, limit)
    kernel = influence(centers, centers, _RADIUS)
    kernel.diagonal().add_(_NOISE / count)
    weights: Tensor = torch.cholesky_solve(means, torch.linalg.cholesky(kernel))
    return centers, weights
