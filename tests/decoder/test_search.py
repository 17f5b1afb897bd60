from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from isp_meta.decoder.search import search, settings


def test_the_best_is_found_with_its_ridge_and_few_trials_decide_little():
    wanted = replace(list(settings(8.0, ["cubic", "color"]))[57], ridge=0.05)
    seen = []

    def error(setting, step):
        seen.append(step)
        same = [getattr(setting, n) == getattr(wanted, n) for n in ("kernel", "guess")]
        off = abs(setting.position_scale - wanted.position_scale)
        off += abs(setting.color_scale - wanted.color_scale)
        return off + 5 * (2 - sum(same)) + abs(setting.ridge - wanted.ridge)

    with ThreadPoolExecutor(2) as pool:
        found = search(settings(8.0, ["cubic", "color"]), error, pool)
    assert found == wanted
    assert [seen.count(step) for step in (16, 4, 1)] == [80, 24, 4]


def test_a_candidate_alone_is_taken_with_a_ridge():
    (first, *_) = settings(8.0, ["cubic"])
    with ThreadPoolExecutor(1) as pool:
        assert search([first], lambda setting, _: -setting.ridge, pool).ridge == 20 * first.ridge
