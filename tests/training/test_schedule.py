import math

import pytest

from isp_meta.training.config import ScheduleConfig
from isp_meta.training.schedule import Schedule


def test_a_constant_rate_after_the_warm_up():
    schedule = Schedule(ScheduleConfig(warmup=4), 10)
    assert [schedule.share(step) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]


def test_a_cosine_falls_from_the_warm_up_to_its_end():
    schedule = Schedule(ScheduleConfig(kind="cosine", warmup=2, final=0.1), 12)
    shares = [schedule.share(step) for step in range(2, 13)]
    assert shares[0] == 1
    assert shares[5] == pytest.approx(0.55)
    assert shares[10] == pytest.approx(0.1)
    assert shares == sorted(shares, reverse=True)
    assert schedule.share(100) == pytest.approx(0.1)


def test_a_plateau_lowers_the_rate_when_nothing_gets_better():
    config = ScheduleConfig(kind="plateau", patience=2, factor=0.5)
    schedule = Schedule(config, 10)
    shares = []
    for psnr in (30, 31, 31, 30, 32, 31, math.nan, 31, 31):
        schedule.validated(psnr)
        shares.append(schedule.share(0))
    assert shares == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125]
    other = Schedule(config, 10)
    other.load_state_dict(schedule.state_dict())
    assert other.state_dict() == schedule.state_dict()
    assert other.share(0) == 0.125


def test_validations_change_no_other_schedule():
    schedule = Schedule(ScheduleConfig(kind="constant", patience=1), 10)
    for _ in range(5):
        schedule.validated(1.0)
    assert schedule.share(5) == 1
