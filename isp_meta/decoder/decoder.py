"""The machine that both ends share: what recovery does by default, and what capture tries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, TypeVar

import torch
from torch import Tensor

from ..camera import LINEAR
from ..io import remosaic
from ..ops import local_rbf
from ..processors.workers import workers
from ..samples import Correction, PictureFilter, Samples
from .guess import GUESSES, FirstGuess, fit_guesses, log_gain, times_gain
from .guide import Guide
from .mosaic import DemosaicedRaw
from .search import LeftOut, search, settings
from .specks import lift_specks
from .systems import LocalRBFSetting, NearestSamples, block_side, block_sums, spacing_of

if TYPE_CHECKING:
    from ..networks import FeatureNetwork

__all__ = ["Decoder"]

Result = TypeVar("Result")


class Decoder:
    """What is made of a picture and samples of its raw.

    Args:
        guide: the picture; decoders of one picture share it, and what it knows.
        samples: at least one, of that picture, on its device.
        formula: the first guess. setting: of the systems that correct it.
        neighbors: samples in each block's system, 1 to 96.
        cfa: of the sensor, as :attr:`isp_meta.Camera.cfa`.

    Attributes:
        SHARE: of demosaicing where nothing corrects the mosaic: smoother than all of it, and nearer
            than none.

    Source: SAM's five-dimensional interpolation (Punnappurath and Brown, WACV 2021), localized; the
    leave-one-out errors from one factorization as in Rippa, *Adv. Comput. Math.* 11, 1999.
    """

    SHARE: ClassVar[float] = 0.5

    def __init__(
        self,
        guide: Guide,
        samples: Samples,
        formula: FirstGuess,
        setting: LocalRBFSetting,
        neighbors: int,
        cfa: str = LINEAR,
    ) -> None:
        self.guide, self.samples, self.formula = guide, samples, formula
        self.setting, self.neighbors = setting, min(neighbors, len(samples))
        self.cfa = cfa
        self.side = block_side(samples)

    @classmethod
    def of(
        cls,
        guide: Guide,
        samples: Samples,
        *,
        features: FeatureNetwork | None = None,
        setting: LocalRBFSetting | None = None,
        neighbors: int = 36,
        trials: int = 16384,
        cfa: str = LINEAR,
    ) -> Decoder:
        """By the model that the samples bring, or by what suits them best.

        Args:
            guide, samples: as of the class.
            features: trained, for a first guess more, which is tried as the others are.
            setting: this one instead of the best; with the cubic where the samples are too few for
                its first guess.
            neighbors: samples in each block's system.
            trials: samples left out, one by one, to choose the setting; 0 takes the first.
            cfa: of the sensor; without it, nothing is known of its mosaic.
        """
        if samples.model is not None:
            formula = FirstGuess.of(samples.model, guide.srgb)
            chosen = LocalRBFSetting.of(samples.model)
            return cls(guide, samples, formula, chosen, samples.model.neighbors, cfa)
        value = samples.value.to(guide.srgb)
        guesses = fit_guesses(guide, samples.index, value, features)
        if setting is None:
            # A value needs no guess.
            spacing = spacing_of(samples)
            candidates = list(settings(spacing, guesses))
            values = settings(spacing, GUESSES[:1])
            candidates += [replace(candidate, target="value") for candidate in values]
            setting = candidates[0]
            if len(samples) > 1 and trials:
                points = guide.points(samples.index)
                nearest = NearestSamples(samples.index, samples.width)
                with workers() as pool:
                    left_out = LeftOut.of(points, value, guesses, nearest, neighbors, trials, pool)
                    if len(left_out.around):
                        setting = search(candidates, left_out.error, pool)
        if setting.guess not in guesses:
            setting = replace(setting, guess=GUESSES[0])
        return cls(guide, samples, guesses[setting.guess].formula, setting, neighbors, cfa)

    def with_samples(self, samples: Samples) -> Decoder:
        """Other samples of the picture by their own model, or by what was found for these.

        A model of the same first guess shares what the guide has worked out of it.
        """
        if samples.model is not None:
            return Decoder.of(self.guide, samples, cfa=self.cfa)
        return self._with(samples)

    def corrected(
        self, enhancement: Correction | None, adaptive_filter: PictureFilter | None = None
    ) -> Decoder:
        """The same with what is stored of its error."""
        return self._with(
            replace(self.samples, enhancement=enhancement, adaptive_filter=adaptive_filter)
        )

    def _with(self, samples: Samples) -> Decoder:
        rest = self.formula, self.setting, self.neighbors, self.cfa
        return Decoder(self.guide, samples, *rest)

    @property
    def demosaiced(self) -> DemosaicedRaw | None:
        """How its raw was made of a Bayer mosaic, where that is known."""
        return DemosaicedRaw.of(self.cfa, self.samples.demosaic)

    @property
    def guess(self) -> Tensor:
        """(3, H, W), the first guess."""
        return self.guide.guess(self.formula, last=self.samples.model is not None)

    @cached_property
    def points(self) -> Tensor:
        """(N, 7) position, color and surroundings of the samples."""
        return self.guide.points(self.samples.index)

    @cached_property
    def nearest(self) -> NearestSamples:
        """Finds samples."""
        return NearestSamples(self.samples.index, self.samples.width)

    @cached_property
    def known(self) -> Tensor:
        """(N, 3) what the systems interpolate: log-gains against the guess, or values."""
        value = self.samples.value.to(self.guide.srgb)
        if self.setting.target == "value":
            return value
        return log_gain(value, self.guess.view(3, -1)[:, self.samples.index].T).contiguous()

    @torch.no_grad()
    def raw(self, *, last: bool = False) -> Tensor:
        """(3, H, W) in [0, 1], equal to measured samples at their pixels.

        Args:
            last: nothing else of the picture will be asked for, see :meth:`Guide.let_go`.
        """
        raw, enhancement, demosaiced = self.estimate(), self.samples.enhancement, self.demosaiced
        if last:
            self.guide.let_go()
        base, share = self.base(raw), self.SHARE
        if enhancement is not None:
            base, share = enhancement.apply(base), enhancement.share
        if demosaiced is None:
            raw = base
        else:
            demosaiced.colors(base, raw, share)
        if not self.samples.control:
            raw.view(3, -1)[:, self.samples.index] = self.samples.value.T.to(raw)
        return raw

    @torch.no_grad()
    def estimate(self) -> Tensor:
        """(3, H, W) in [0, 1] of the systems; own colors are those of the mosaic found in that."""
        raw = self.guide.srgb.new_empty(self.guide.srgb.shape)

        def work(rows: tuple[int, int]) -> None:
            raw[:, slice(*rows)] = self._rows(*rows)

        self.each_strip(work)
        lift_specks(raw, self.guide.strips())
        if (demosaiced := self.demosaiced) is not None:
            demosaiced.put_own(demosaiced.fit(raw), raw)
        return raw

    @torch.no_grad()
    def base(self, estimate: Tensor) -> Tensor:
        """What an enhancement corrects: an estimate's mosaic (1, H, W), or itself, filtered.

        Args:
            estimate: of :meth:`estimate`.
        """
        demosaiced, found = self.demosaiced, self.samples.adaptive_filter
        cfa = "" if demosaiced is None else demosaiced.cfa
        if found is not None:
            estimate = found.apply(estimate, self.guide.srgb, cfa)
        return remosaic(estimate, cfa) if cfa else estimate

    @torch.no_grad()
    def missed(self, truth: Tensor, counts: Tensor | None = None, step: int = 1) -> Tensor:
        """(h, w) squared error of each block, of all its pixels and colors, of the systems alone.

        Args:
            truth: (3, H, W) raw. counts: (H, W) bool, which pixels are looked at; None: all.
            step: looks at every step-th strip of the picture only.
        """
        side = self.side

        def work(rows: tuple[int, int]) -> Tensor:
            error = (self._rows(*rows) - truth[:, slice(*rows)]).square_().sum(0)
            if counts is not None:
                error *= counts[slice(*rows)]
            return block_sums(error, side)

        return torch.cat(self.each_strip(work, step))

    def each_strip(self, work: Callable[[tuple[int, int]], Result], step: int = 1) -> list[Result]:
        """What is made of every step-th strip of whole blocks, by all workers."""
        # Worked out before, so that no two workers do it.
        _ = self.known, self.nearest, self.points
        with workers() as pool:
            return list(pool.map(work, self.guide.strips(self.side)[::step]))

    def systems(self, top: int, bottom: int) -> tuple[Tensor, Tensor, Tensor]:
        """Guide, points and neighbors of some rows of blocks, as :mod:`isp_meta.ops` takes them."""
        guide, points, side = self.guide.rows(top, bottom), self.points.clone(), self.side
        points[:, 0] -= top
        shape = -(-(bottom - top) // side), -(-guide.shape[2] // side)
        down, across = (torch.arange(n).to(points) * side + (side - 1) / 2 for n in shape)
        nearest = self.nearest(torch.cartesian_prod(down + top, across), self.neighbors)
        return guide[None], points, nearest.view(1, *shape, -1)

    def _rows(self, top: int, bottom: int) -> Tensor:
        """(3, bottom - top, W) raw of some rows of blocks, as the systems have it."""
        guide, points, nearest = self.systems(top, bottom)
        found = local_rbf(guide, points, self.known, nearest, self.side, self.setting.basis)[0]
        if self.setting.target == "value":
            return found.clamp_(0, 1)
        return times_gain(self.guess[:, top:bottom].clone(), found)
