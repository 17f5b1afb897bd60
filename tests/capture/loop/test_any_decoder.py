import pytest
import torch

from isp_meta.baselines import RBFReconstructor
from isp_meta.capture.loop import ClosedLoopSampler, close_loop
from isp_meta.capture.loop.any_decoder import BlackBox, moved_samples
from isp_meta.decoder import LocalRBFSetting
from isp_meta.frame import Reconstructor
from isp_meta.networks import UNet
from isp_meta.reconstruct import LocalRBFReconstructor, ResidualUNetReconstructor, UNetReconstructor
from isp_meta.reconstruct.residual_unet import ResidualUNet
from isp_meta.samplers import LearnedSampler, RandomSampler, UniformSampler
from isp_meta.samples import Samples

SETTING = LocalRBFSetting("log_gain", "rational", 16.0, 0.2)


@pytest.fixture
def residual():
    torch.manual_seed(0)
    return ResidualUNetReconstructor(ResidualUNet(UNet(13, 3, 2))).eval()


@pytest.fixture
def unet():
    torch.manual_seed(0)
    return UNetReconstructor(UNet(7, 3, 2, "sigmoid")).eval()


class Nearest(Reconstructor):
    """The value of the sample nearest in color."""

    def forward(self, frame):
        srgb, samples = frame.srgb.flatten(1).T, frame.samples
        near = torch.cdist(srgb, srgb[samples.index]).argmin(1)
        return samples.value[near].T.reshape(frame.srgb.shape)


def measured(frame, samples):
    return torch.equal(samples.value, frame.raw.reshape(3, -1)[:, samples.index].T)


@pytest.mark.parametrize(
    "reconstructor",
    [Nearest(), RBFReconstructor(16), LocalRBFReconstructor(8, setting=SETTING)],
    ids=lambda r: type(r).__name__,
)
def test_any_reconstructor_is_served_by_moves(reconstructor, scene, missed):
    frame = scene(32, 48, 8)
    samples = ClosedLoopSampler(UniformSampler(8), 1, reconstructor)(frame)
    assert measured(frame, samples)
    assert (samples.model, samples.control, samples.cell) == (None, False, 8)
    assert len(samples) == len(frame.samples)
    before, after = (
        missed(reconstructor(frame.replace(samples=s)), frame.raw) for s in (frame.samples, samples)
    )
    assert after < 0.9 * before
    # More rounds try more.
    more = ClosedLoopSampler(UniformSampler(8), 2, reconstructor)(frame)
    assert measured(frame, more)
    assert missed(reconstructor(frame.replace(samples=more)), frame.raw) <= after


def test_the_truth_is_hidden_from_what_is_tried(scene):
    class Curious(Nearest):
        def forward(self, frame):
            assert frame.raw is None
            return super().forward(frame)

    assert len(ClosedLoopSampler(UniformSampler(8), 1, Curious())(scene(32, 48)))


def test_the_error_falls_with_every_move_and_is_what_is_missed(scene, residual):
    frame = scene(45, 59, 8)
    box = BlackBox(residual, frame)
    before = box.missed(frame.samples)
    steps = list(moved_samples(box, frame.samples, before, 2, 1e9))
    errors = [float(before.sum()), *(error for _, error in steps)]
    assert len(errors) > 3
    assert errors == sorted(set(errors), reverse=True)
    assert errors[-1] == float(box.missed(steps[-1][0]).sum())


def test_moves_that_meet_are_only_kept_where_the_whole_gains(scene):
    class Contrary(Nearest):
        """Any two moves at once spoil the picture, wherever they are."""

        def forward(self, frame):
            moved = int((~torch.isin(frame.samples.index, start.index)).sum())
            return super().forward(frame) * (0.0 if moved > 1 else 1.0)

    frame = scene(64, 96, 8)
    start, box = frame.samples, BlackBox(Contrary(), frame)
    before = box.missed(start)
    steps = list(moved_samples(box, start, before, 1, 1e9))
    assert all(error < float(before.sum()) for _, error in steps)
    for samples, _ in steps:
        assert int((~torch.isin(samples.index, start.index)).sum()) == 1


def test_the_default_is_served_by_its_own_way(scene):
    frame = scene(64, 96)
    plain, named = (
        ClosedLoopSampler(UniformSampler(8), 1, r)(frame) for r in (None, LocalRBFReconstructor())
    )
    assert plain.model is not None
    assert torch.equal(plain.index, named.index)
    assert torch.equal(plain.model.cubic, named.model.cubic)


@pytest.mark.parametrize("effort", [1, 2])
def test_the_same_each_time(scene, residual, effort):
    frame = scene(32, 48)
    one, other = (ClosedLoopSampler(RandomSampler(3), effort, residual)(frame) for _ in range(2))
    assert torch.equal(one.index, other.index)
    assert torch.equal(one.value, other.value)
    assert one.control == other.control


@pytest.mark.parametrize("size", [(1, 1), (1, 23), (9, 3)])
@pytest.mark.parametrize("kind", ["unet", "residual"])
def test_small_pictures(scene, kind, size, missed, request):
    reconstructor, frame = request.getfixturevalue(kind), scene(32, 48)
    frame = frame.replace(
        **{n: getattr(frame, n)[:, : size[0], : size[1]] for n in ("raw", "srgb")}
    )
    frame = frame.replace(samples=UniformSampler(4)(frame))
    samples = ClosedLoopSampler(UniformSampler(4), 2, reconstructor)(frame)
    after = missed(reconstructor(frame.replace(samples=samples)), frame.raw)
    assert after <= missed(reconstructor(frame), frame.raw)


def test_a_learned_start(scene, residual, missed):
    torch.manual_seed(1)
    frame = scene(48, 64)
    sampler = LearnedSampler(UNet(6, 9, 2)).eval()
    start = sampler(frame)
    native = ClosedLoopSampler(sampler, 1)(frame)
    assert native.model is not None
    assert len(native) >= len(start)
    for effort in (1, 2):
        samples = ClosedLoopSampler(sampler, effort, residual)(frame)
        assert len(samples) == len(start)
        before, after = (
            missed(residual(frame.replace(samples=s)), frame.raw) for s in (start, samples)
        )
        assert after < before


def test_says_what_it_does_and_how_far_it_came(scene, residual):
    steps: list[str] = []
    close_loop(scene(48, 64), 2, steps.append, reconstructor=residual)
    assert steps[:2] == ["reconstructing", "moving samples"]
    assert steps[-1].startswith("moving samples (+")


def test_an_interrupt_keeps_the_best_so_far(scene, residual):
    frame, steps = scene(48, 64), []

    def stop(text):
        steps.append(text)
        if text.startswith("moving samples (") and text != steps[-2]:
            raise KeyboardInterrupt

    def error(samples):
        return float(BlackBox(residual, frame).missed(samples).sum())

    samples = close_loop(frame, 2, stop, reconstructor=residual)
    assert steps[-1] == "keeping the best so far"
    assert error(samples) < error(frame.samples)


def test_an_interrupt_before_there_is_anything_to_keep_is_one(scene, residual):
    def stop(_step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        close_loop(scene(32, 48), 1, stop, reconstructor=residual)


def test_what_does_not_count_attracts_no_sample(scene, residual, missed):
    frame = scene(64, 96)
    counts = torch.zeros(64, 96, dtype=torch.bool)
    counts[:, 48:] = True
    samples = close_loop(frame, 2, counts=counts, reconstructor=residual)
    come = samples.index[~torch.isin(samples.index, frame.samples.index)]
    assert len(come)
    assert bool((come % 96 >= 48).all())
    before, after = (residual(frame.replace(samples=s)) for s in (frame.samples, samples))
    assert missed(after[:, counts], frame.raw[:, counts]) < missed(
        before[:, counts], frame.raw[:, counts]
    )


def test_only_so_many_bits_may_be_spent(scene, residual):
    frame = scene(64, 96)
    none, few, many = (
        close_loop(frame, 1, room=room, reconstructor=residual) for room in (0, 20, 1e9)
    )
    moved = [int((~torch.isin(s.index, frame.samples.index)).sum()) for s in (none, few, many)]
    assert moved[0] == 0 < moved[1] < moved[2]


def test_nothing_sampled_is_left_alone(scene, residual):
    frame = scene(32, 48)
    none = Samples.at(torch.zeros(0, dtype=torch.int64), frame.raw)
    assert close_loop(frame.replace(samples=none), 2, reconstructor=residual) is none


def test_control_values_are_no_start(scene):
    frame = scene(64, 64)
    controls = frame.replace(samples=close_loop(frame, 2))
    with pytest.raises(ValueError, match="control values already; an effort of 0 keeps them"):
        close_loop(controls, 1)
    assert close_loop(controls, 0) is controls.samples
