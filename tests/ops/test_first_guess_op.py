"""The first guess against its definition, over devices, dtypes, layouts and shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from isp_meta import ops
from isp_meta.ops import FineLayers, reference
from isp_meta.ops.first_guess import _checked

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
# One pixel, one line, fewer pixels than a vector, one more than a tile, more rows than a strip.
SIZES = [(1, 1), (1, 13), (3, 5), (5, 65), (70, 9), (21, 150)]
# Of colors alone, with contrast, with a network.
PARTS = [1, 2, 3]
native = torch.ops.isp_meta


class GuessPicture(NamedTuple):
    """A picture and what lies beside it."""

    srgb: Tensor
    contrast: Tensor | None = None
    told: Tensor | None = None
    layers: FineLayers | None = None

    @property
    def arguments(self) -> tuple[Tensor, ...]:
        return self.srgb, *_checked(*self)

    @property
    def features(self) -> int:
        return 4 + 29 * (self.contrast is not None) + 24 * (self.told is not None)


class GuessFormula(NamedTuple):
    cubic: Tensor
    table: Tensor
    weights: Tensor


def first_guess(picture: GuessPicture, formula: GuessFormula, *rows: int) -> Tensor:
    return ops.first_guess(picture.srgb, *formula, *picture[1:], *rows)


def guess_features(picture: GuessPicture, index: Tensor, *rows: int) -> Tensor:
    return ops.guess_features(picture.srgb, index, *picture[1:], *rows)


def true_guess(picture: GuessPicture, formula: GuessFormula) -> Tensor:
    return reference.first_guess(picture.srgb, *formula, *picture[1:])


def true_features(picture: GuessPicture, index: Tensor) -> Tensor:
    return reference.guess_features(picture.srgb, index, *picture[1:])


def case(
    height: int,
    width: int,
    parts: int = 3,
    dtype: torch.dtype = torch.float64,
    device: str = "cpu",
    larger: int = 1,
) -> tuple[GuessPicture, GuessFormula]:
    """A picture, some of it at its limits, and weights; the planes beside it a little larger."""
    generator = torch.Generator().manual_seed(100 * height + width)

    def rand(*shape: int) -> Tensor:
        found = torch.rand(shape, generator=generator, dtype=torch.float64)
        return found.to(device, dtype)

    def small(channels: int, factor: int) -> Tensor:
        sides = (-(-side // factor) + larger for side in (height, width))
        return 2 * rand(channels, *sides) - 1

    srgb = (1.2 * rand(3, height, width) - 0.1).clamp(0, 1)
    contrast = small(9, 4) if parts > 1 else None
    told = small(24, 2).bfloat16() if parts > 2 else None
    shapes = ((8, 7, 3, 3), (8,), (24, 8), (24,))
    layers = FineLayers(*(rand(*shape) - 0.5 for shape in shapes)) if parts > 2 else None
    picture = GuessPicture(srgb, contrast, told, layers)
    table, weights = rand(3, 6, 6, 6) - 0.5, (rand(3, picture.features) - 0.5) / 8
    return picture, GuessFormula(rand(3, 20) / 3 - 0.05, table, weights)


def wide(picture: GuessPicture) -> GuessPicture:
    contrast = None if picture.contrast is None else picture.contrast.double()
    return picture._replace(srgb=picture.srgb.double(), contrast=contrast)


def exact(formula: GuessFormula) -> GuessFormula:
    return GuessFormula(formula.cubic.double(), formula.table.double(), formula.weights.double())


def close(result: Tensor, expected: Tensor) -> None:
    tolerance = TOLERANCE[result.dtype]
    torch.testing.assert_close(result.double(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("device", DEVICES)
class TestFirstGuess:
    @pytest.mark.parametrize("dtype", TOLERANCE)
    @pytest.mark.parametrize("size", SIZES, ids=str)
    @pytest.mark.parametrize("parts", PARTS)
    def test_values(
        self, parts: int, size: tuple[int, int], dtype: torch.dtype, device: str
    ) -> None:
        picture, formula = case(*size, parts, dtype, device)
        result = first_guess(picture, formula)
        assert result.dtype == dtype
        expected = true_guess(wide(picture), exact(formula))
        close(result, expected)
        assert size == (1, 1) or float(expected.std()) > 0.05
        index = torch.arange(0, size[0] * size[1], 2, device=device)
        if parts > 1:
            features = guess_features(picture, index)
            assert features.dtype == dtype
            close(features, true_features(wide(picture), index))

    @pytest.mark.parametrize("parts", PARTS)
    def test_rows_are_those_of_the_whole(self, parts: int, device: str) -> None:
        picture, formula = case(150, 90, parts, torch.float32, device)
        whole = first_guess(picture, formula)
        for top, bottom in ((0, 1), (3, 77), (64, 128), (149, 150)):
            assert torch.equal(first_guess(picture, formula, top, bottom), whole[:, top:bottom])

    def test_features_of_some_rows_and_of_any_pixels_are_those_of_all(self, device: str) -> None:
        picture, _ = case(150, 90, 3, torch.float32, device)
        whole = guess_features(picture, torch.arange(150 * 90, device=device))
        for top, bottom, step in ((0, 150, 1), (3, 77, 7), (64, 128, 91), (149, 150, 1)):
            index = torch.arange(top * 90, bottom * 90, step, device=device)
            found = guess_features(picture, index, top, bottom)
            assert torch.equal(found, whole[index])
        twice = torch.tensor([5, 5, 6], device=device)
        assert torch.equal(guess_features(picture, twice), whole[twice])
        assert guess_features(picture, twice[:0]).shape == (0, 53)

    def test_layouts(self, device: str) -> None:
        picture, formula = case(21, 35, device=device)

        def strided(tensor: Tensor) -> Tensor:
            return torch.stack([tensor, tensor + 1], -1)[..., 0]

        other = picture._replace(
            srgb=picture.srgb.mT.contiguous().mT,
            contrast=strided(picture.contrast),
            told=strided(picture.told),
        )
        parts = (strided(getattr(formula, name)) for name in ("cubic", "table", "weights"))
        expected = first_guess(picture, formula)
        assert torch.equal(first_guess(other, GuessFormula(*parts)), expected)

    def test_planes_no_larger_than_needed_go_on_as_they_are_at_their_edges(
        self, device: str
    ) -> None:
        for size in ((8, 16), (7, 13), (64, 130)):
            picture, formula = case(*size, device=device, larger=0)
            close(first_guess(picture, formula), true_guess(picture, formula))

    def test_gains_are_limited_either_way_and_clipped_colors_are_told(self, device: str) -> None:
        picture, formula = case(4, 4, 1, device=device)
        formula = formula._replace(weights=torch.zeros_like(formula.weights))
        for gain, factor in ((50.0, 2.0), (-50.0, -2.0)):
            formula = formula._replace(table=torch.full_like(formula.table, gain))
            result = first_guess(picture, formula)
            plain = first_guess(
                picture, formula._replace(table=torch.full_like(formula.table, factor))
            )
            assert torch.equal(result, plain)
        codes = torch.tensor([254.0, 253.0], dtype=torch.float64, device=device) / 255
        picture = GuessPicture(codes.expand(3, 1, 2).contiguous())
        weights = torch.zeros_like(formula.weights)
        weights[:, 3] = 1
        plain = formula._replace(cubic=formula.cubic / 8, table=torch.zeros_like(formula.table))
        bright, dark = first_guess(picture, plain._replace(weights=weights))[0, 0]
        without = first_guess(picture, plain)[0, 0]
        assert float(bright) > float(without[0])
        assert float(dark) == float(without[1])


@pytest.mark.parametrize("device", DEVICES)
class TestRegistrations:
    def test_gradients_are_refused(self, device: str) -> None:
        picture, formula = case(9, 9, device=device)
        picture.srgb.requires_grad_()
        for name, result in (
            ("first_guess", first_guess(picture, formula)),
            ("guess_features", guess_features(picture, torch.arange(9, device=device))),
        ):
            with pytest.raises(NotImplementedError, match=rf"^{name} has no gradient: detach"):
                result.sum().backward()
        index = torch.arange(9, device=device)
        told = true_guess(picture, formula).sum()
        told = told + true_features(picture, index).sum()
        (slopes,) = torch.autograd.grad(told, picture.srgb)
        assert bool((slopes != 0).any())

    def test_opcheck(self, device: str) -> None:
        picture, formula = case(5, 7, device=device)
        parts = formula.cubic, formula.table, formula.weights
        index = torch.arange(8, 14, device=device)
        for operator, arguments in (
            (native.first_guess, (*picture.arguments, *parts, 1, 4)),
            (native.guess_features, (*picture.arguments, index, 1, 4)),
        ):
            torch.library.opcheck(operator.default, arguments)

    def test_threads_do_not_matter(self, device: str) -> None:
        picture, formula = case(203, 310, dtype=torch.float32, device=device)
        index = torch.arange(0, 203 * 310, 5, device=device)
        before, seen = torch.get_num_threads(), []
        try:
            for threads in (1, 2, 5):
                torch.set_num_threads(threads)
                seen.append([first_guess(picture, formula), guess_features(picture, index)])
        finally:
            torch.set_num_threads(before)
        for other in seen[1:]:
            assert all(torch.equal(a, b) for a, b in zip(seen[0], other, strict=True))

    def test_what_does_not_fit_stays_inside_memory(self, device: str) -> None:
        picture, formula = case(9, 13, device=device, larger=0)
        given = (*picture.arguments, formula.cubic, formula.table, formula.weights, 0, 9)
        index = torch.arange(13, device=device)
        wrong = [
            (0, given[0][None]),
            (0, given[0][:2]),
            (0, given[0].float()),
            (0, given[0][:, :0]),
        ]
        wrong += [(1, given[1][:8]), (1, given[1][:, 1:]), (2, given[2][..., 1:]), (2, given[1])]
        wrong += [(3, given[3][1:]), (4, given[4][:, 1:]), (5, given[5][:, 1:]), (7, -1), (7, 9)]
        wrong += [(5, given[5][:, :1, :1, :1]), (6, given[6][:, 1:]), (6, given[6][:2]), (8, 10)]
        calls = [
            lambda i=i, value=value: native.first_guess(*given[:i], value, *given[i + 1 :])
            for i, value in wrong
        ]
        calls.append(lambda: native.guess_features(*given[:4], index[None], 0, 9))
        calls.append(lambda: native.guess_features(*given[:4], index.int(), 0, 9))
        if device == "cpu":
            calls.append(lambda: native.guess_features(*given[:4], index.flip(0), 0, 9))
            calls.append(lambda: native.guess_features(*given[:4], index, 1, 9))
            calls.append(lambda: native.guess_features(*given[:4], index + 105, 0, 9))
        for call in calls:
            with pytest.raises(RuntimeError):
                call()


def test_rejects_what_does_not_fit() -> None:
    picture, formula = case(9, 13)
    index = torch.arange(4)

    def shown(**parts: object) -> Callable[[], object]:
        return lambda: first_guess(picture._replace(**parts), formula)

    def weighed(**parts: object) -> Callable[[], object]:
        return lambda: first_guess(picture, formula._replace(**parts))

    layers, small, alone = picture.layers, picture.srgb[:, 7:], GuessPicture(picture.srgb)
    cases = [
        (ValueError, r"picture must be \(3, H, W\)", shown(srgb=picture.srgb[None])),
        (ValueError, r"picture must be \(B, 3, H, W\)", shown(srgb=picture.srgb[:2])),
        (TypeError, "picture is torch.int64", shown(srgb=picture.srgb.long())),
        (ValueError, "told and layers go together", shown(told=None)),
        (ValueError, "told and layers go together", shown(contrast=None)),
        (ValueError, r"must be \(9, h, w\), at least \(3, 4\)", shown(contrast=small)),
        (ValueError, r"contrast must be \(9, ", shown(contrast=picture.contrast[1:])),
        (TypeError, "contrast is torch.float32", shown(contrast=picture.contrast.float())),
        (TypeError, "told is torch.float32", shown(told=picture.told.float())),
        (ValueError, r"a layer must be \(8,\)", shown(layers=layers._replace(first_bias=index))),
        (ValueError, r"cubic must be \(3, 20\)", weighed(cubic=formula.cubic[:, 1:])),
        (TypeError, "weights is torch.float32", weighed(weights=formula.weights.float())),
        (ValueError, "table must be ", weighed(table=formula.table[:, 1:])),
        (ValueError, "2 to 256 knots, not 1", weighed(table=formula.table[:, :1, :1, :1])),
        (ValueError, r"weights must be \(3, 57\)", weighed(weights=formula.weights[:, 1:])),
        (ValueError, "rows 3 to 3 of a picture of 9", lambda: first_guess(picture, formula, 3, 3)),
        (ValueError, "rows 0 to 10", lambda: guess_features(picture, index, 0, 10)),
        (TypeError, "index is torch.int32", lambda: guess_features(picture, index.int())),
        (TypeError, "contrast must be a torch.Tensor", lambda: guess_features(alone, index)),
    ]
    for error, text, call in cases:
        with pytest.raises(error, match=text):
            call()
