import pytest

from isp_meta.training.config import ScheduleConfig
from isp_meta.training.schedule import share_of_rate


def shares(steps, count, **config):
    return [share_of_rate(step, steps, ScheduleConfig(**config)) for step in range(count)]


def test_a_constant_rate_after_the_warm_up():
    assert shares(10, 6, warmup=4) == [0.25, 0.5, 0.75, 1, 1, 1]


def test_a_cosine_falls_from_the_warm_up_to_its_end():
    found = shares(12, 101, kind="cosine", warmup=2)[2:]
    assert found[0] == 1
    assert found[5] == pytest.approx(0.505)
    assert found[10] == pytest.approx(0.01)
    assert found == sorted(found, reverse=True)
    assert found[-1] == pytest.approx(0.01)


def test_a_trapezoid_falls_over_its_last_steps_alone():
    found = shares(20, 20, kind="trapezoid", warmup=2, decay=4)
    assert found[:2] == [0.5, 1]
    assert found[2:16] == [1] * 14
    assert found[16:] == pytest.approx([0.7525, 0.505, 0.2575, 0.01])


def test_a_longer_trapezoid_is_the_same_up_to_its_decay():
    short = shares(20, 16, kind="trapezoid", warmup=2, decay=4)
    assert short == shares(40, 16, kind="trapezoid", warmup=2, decay=4)
