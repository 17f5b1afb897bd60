"""What a neighborhood sees beyond the edges of a picture."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["cropped", "extended"]


def cropped(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """The top left part of (..., H, W), of (height, width).

    A view; but traced it is a copy, for a slice would ask whether the size is odd, and the graph
    serve such sizes alone.
    """
    if not torch.compiler.is_compiling():
        return picture[..., : size[0], : size[1]]
    rows, columns = (torch.arange(lines, device=picture.device) for lines in size)
    return picture.index_select(-2, rows).index_select(-1, columns)


def extended(plane: Tensor, dim: int, start: int, stop: int) -> Tensor:
    """Lines of a picture that goes on beyond its edges, mirrored about the outermost line.

    Mirroring so keeps the parity of a Bayer pattern. A single line is repeated.

    Args:
        plane: any shape, no side empty.
        dim: of the lines.
        start, stop: the first line and the one after the last; may be negative or beyond the size.

    Returns:
        As ``plane``, with stop - start lines; a view where no line lies beyond an edge.
    """
    size = plane.shape[dim]
    # Not min(), which a tracer does not simplify where it can decide the comparison.
    first, end = max(start, 0), size if stop > size else stop
    if (first, end) == (start, stop):
        return plane.narrow(dim, start, stop - start)
    line = torch.arange(start, stop, device=plane.device)
    # A tensor, since ONNX takes no divisor that only the picture's size gives.
    period = torch.full_like(line, max(2 * (size - 1), 1))
    phase = line.remainder(period)
    source = torch.minimum(phase, period - phase).clamp(max=size - 1)
    before, after = source[: first - start], source[end - start :]
    parts = [plane.narrow(dim, first, end - first)]
    if len(before):
        parts.insert(0, plane.index_select(dim, before))
    if len(after):
        parts.append(plane.index_select(dim, after))
    return torch.cat(parts, dim)
