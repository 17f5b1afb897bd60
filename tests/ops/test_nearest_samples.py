"""Nearest samples against all distances, sorted."""

from __future__ import annotations

import pytest
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from isp_meta.ops import Buckets, nearest_samples, reference

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
native = torch.ops.isp_meta


def scattered(count: int, height: int, width: int, device: str = "cpu") -> Tensor:
    generator = torch.Generator().manual_seed(count)
    index = torch.randperm(height * width, generator=generator)[:count].sort().values
    return torch.stack([index // width, index % width], 1).to(device)


def grid(height: int, width: int, cell: int, device: str = "cpu") -> Tensor:
    """Where all are as far as others."""
    y, x = torch.arange(0, height, cell), torch.arange(0, width, cell)
    return torch.cartesian_prod(y, x).to(device)


@pytest.mark.parametrize("device", DEVICES)
class TestNearestSamples:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("count", [1, 7, 36, 100])
    @pytest.mark.parametrize(
        "place",
        [
            scattered(100, 12, 13),
            scattered(400, 90, 70),
            scattered(100, 1, 3000),
            grid(80, 80, 8),
            grid(30, 30, 3),
            # All but one in a corner; and a line.
            torch.cat([scattered(200, 15, 15), torch.tensor([[300, 299]])]),
            torch.stack([torch.arange(120), torch.zeros(120, dtype=torch.int64)], 1),
        ],
        ids=lambda place: f"{len(place)}",
    )
    def test_is_what_sorting_gives(
        self, place: Tensor, count: int, dtype: torch.dtype, device: str
    ) -> None:
        generator = torch.Generator().manual_seed(1)
        most = place.amax(0)
        inside = torch.rand(60, 2, generator=generator) * (most + 1)
        middles = torch.cartesian_prod(*(torch.arange(4) * 8 + 3.5 for _ in range(2)))
        beyond = torch.tensor([[-50.0, -9.0], [9000.0, 9000.0], [-1.0, 2.0], [5.0, 8000.0]])
        position = torch.cat([inside, middles, beyond, place[:5].float()]).to(device, dtype)
        found = nearest_samples(place.to(device), position, count)
        assert torch.equal(found, reference.nearest_samples(place.to(device), position, count))

    def test_finds_what_a_tree_finds(self, device: str) -> None:
        place = scattered(5000, 500, 640, device)
        position = torch.rand(2000, 2, dtype=torch.float64, device=device) * 500
        distance, found = cKDTree(place.cpu()).query(position.cpu(), 20)
        got = nearest_samples(place, position, 20, Buckets.of(place))
        assert (got.cpu().numpy() == found).all()
        assert distance.max() > 20

    def test_order_of_the_samples_tells_which_of_equal_ones_is_first(self, device: str) -> None:
        place = grid(24, 24, 4, device).flip(0)
        position = torch.tensor([[10.0, 10.0]], device=device)
        assert nearest_samples(place, position, 4).tolist() == [[14, 15, 20, 21]]

    def test_no_positions(self, device: str) -> None:
        place = grid(24, 24, 4, device)
        none = torch.zeros(0, 2, device=device)
        assert nearest_samples(place, none, 4).shape == (0, 4)

    def test_opcheck(self, device: str) -> None:
        buckets = Buckets.of(grid(24, 24, 4, device))
        position = torch.tensor([[10.0, 10.0]], device=device)
        arguments = (*buckets[:3], position, *buckets[3:], 4)
        torch.library.opcheck(native.nearest_samples.default, arguments)

    def test_threads_do_not_matter(self, device: str) -> None:
        place, seen = scattered(5000, 500, 640, device), []
        position = torch.rand(3000, 2, device=device) * 500
        before = torch.get_num_threads()
        try:
            for threads in (1, 2, 5):
                torch.set_num_threads(threads)
                seen.append(nearest_samples(place, position, 20))
        finally:
            torch.set_num_threads(before)
        assert all(torch.equal(seen[0], other) for other in seen)

    def test_what_does_not_fit_stays_inside_memory(self, device: str) -> None:
        place, number, start, cols, side = Buckets.of(grid(24, 24, 4, device))
        given = (place, number, start, torch.zeros(3, 2, device=device), cols, side, 4)
        wrong = [(0, place[:, :1]), (0, place.int()), (1, number[1:]), (2, start[1:]), (4, 0)]
        wrong += [(3, given[3][:, :1]), (3, given[3].long()), (5, 0), (6, 0), (6, 37), (6, 129)]
        if device == "cpu":
            wrong += [(1, number + 1), (1, number - 1), (2, start.flip(0)), (2, start + 1)]
        for at, value in wrong:
            with pytest.raises(RuntimeError):
                native.nearest_samples(*given[:at], value, *given[at + 1 :])


def test_rejects_what_does_not_fit() -> None:
    place, position = grid(24, 24, 4), torch.zeros(3, 2)
    cases = [
        (ValueError, r"place must be \(36, 2\)", (place[:, :1], position, 4)),
        (TypeError, "place is torch.int32", (place.int(), position, 4)),
        (ValueError, r"position must be \(M, 2\)", (place, position[0], 4)),
        (TypeError, "position is torch.int64", (place, position.long(), 4)),
        (ValueError, "count must be 1 to 36, not 37", (place, position, 37)),
        (ValueError, "count must be 1 to 36, not 0", (place, position, 0)),
        (ValueError, "place is negative", (place - 1, position, 4)),
    ]
    for error, text, arguments in cases:
        with pytest.raises(error, match=text):
            nearest_samples(*arguments)
