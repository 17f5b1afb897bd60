import os

import pytest
import torch

from isp_meta import presets
from isp_meta.comparison import measure
from isp_meta.errors import ImageFileError, OutputError, ResultsError
from isp_meta.evaluation import (
    Benchmark,
    FileInput,
    Method,
    Rendering,
    Results,
    benchmark,
    training_free,
)
from isp_meta.frame import Sampler
from isp_meta.reconstruct import LocalRBFReconstructor
from isp_meta.samplers import UniformSampler
from isp_meta.scenes import read_scene

MINIMAL = Rendering("minimal", presets.minimal())


class Counted(Sampler):
    """Uniform samples, and how often they were taken."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def forward(self, frame):
        self.count += 1
        return UniformSampler()(frame)


class Refusing(Sampler):
    def forward(self, frame):
        raise ValueError("too small")


def plan(*methods, **more):
    default = Method("uniform", "local-rbf", UniformSampler(), LocalRBFReconstructor())
    return Benchmark(methods or (default,), (MINIMAL,), **more)


def named(sampling, sampler):
    return Method(sampling, "local-rbf", sampler, LocalRBFReconstructor())


def test_a_record_holds_what_capture_and_recovery_give(folder):
    results = benchmark(folder, plan(note="two of ours"))
    assert [record["scene"] for record in results.records] == ["a.tif", "more/b.tif"]
    assert results.settings["scenes"] == ["a.tif", "more/b.tif"]
    assert results.settings["note"] == "two of ours"
    record = results.records[0]
    scene = read_scene(folder / "a.tif")
    frame = scene.replace(srgb=FileInput(8)(MINIMAL(scene)))
    method = training_free()[1]
    kept = method.capture(frame)
    fidelity = measure(method.rebuild(kept).raw, scene)
    assert record["psnr"] == pytest.approx(fidelity.psnr)
    assert record["psnr_unclipped"] == pytest.approx(fidelity.psnr_unclipped)
    assert 0.05 < record["unclipped"] < 0.95
    assert record["ssim"] == pytest.approx(fidelity.ssim)
    assert record["samples"] == 48
    assert record["bits_positions"] + record["bits_values"] == kept.stored.content
    assert record["bits_per_pixel"] == pytest.approx(kept.stored.content / (48 * 64))
    assert record["bits_per_pixel_total"] > record["bits_per_pixel"] > 0
    assert record["seconds_reconstruction"] > 0 == record["seconds_fine_tuning"]
    assert (record["height"], record["width"]) == (48, 64)


def test_every_combination_is_measured_once(folder):
    found = benchmark(
        folder,
        Benchmark(
            [named("uniform", UniformSampler()), named("coarse", UniformSampler(16))],
            [MINIMAL, Rendering("other", presets.karaimer_brown())],
            [FileInput(16), FileInput(8), FileInput(8, 90)],
        ),
    )
    keys = {(r["scene"], r["rendering"], r["input"], r["method"]) for r in found.records}
    assert len(keys) == len(found.records) == 2 * 2 * 2 * 3
    by_input = {
        name: sum(r["psnr"] for r in found.records if r["input"] == name)
        for name in ("16bit", "8bit", "jpeg90")
    }
    assert by_input["jpeg90"] < by_input["8bit"] < by_input["16bit"] + 1


def test_methods_that_share_a_sampler_share_its_samples(folder):
    sampler = Counted()
    methods = (named("a", sampler), named("b", sampler))
    results = benchmark(folder / "a.tif", plan(*methods))
    assert sampler.count == 1
    assert len({record["psnr"] for record in results.records}) == 1


def test_fine_tuning_is_for_methods_that_can_be_tuned(folder, unet):
    unet.held_out = 0.0  # two steps of an untrained network are no better than chance
    methods = (
        Method("uniform", "unet", UniformSampler(), unet),
        Method("none", "unet", None, unet),
        named("uniform", UniformSampler()),
    )
    results = benchmark(folder / "a.tif", plan(*methods, fine_tune=(0, 2)))
    found = [(r["method"], r["fine_tune"]) for r in results.records]
    assert found == [
        *(("uniform+unet", 0), ("uniform+unet", 2)),
        *(("none+unet", 0), ("uniform+local-rbf", 0)),
    ]
    assert results.records[0]["psnr"] != results.records[1]["psnr"]
    assert results.records[1]["seconds_fine_tuning"] > 0
    assert results.records[2]["samples"] == 0


def test_a_broken_scene_is_a_record_and_not_the_end(folder):
    (folder / "0.png").write_bytes(b"broken")
    results = benchmark(folder, plan())
    assert "0.png" in results.records[0]["error"]
    assert [r["scene"] for r in results.records] == ["0.png", "a.tif", "more/b.tif"]
    assert all("error" not in r for r in results.records[1:])


def test_a_method_that_fails_is_a_record_and_not_the_end(folder):
    results = benchmark(folder, plan(named("bad", Refusing()), named("good", UniformSampler())))
    assert [r.get("error") for r in results.records[:2]] == ["ValueError: too small", None]


def test_results_are_handed_over_after_each_scene(folder):
    seen = []
    benchmark(folder, plan(), done=lambda results: seen.append(len(results.records)))
    assert seen == [1, 2]


def test_what_is_done_is_not_measured_again(folder):
    sampler = Counted()
    first = benchmark(folder, plan(named("a", sampler)))
    again = benchmark(folder, plan(named("a", sampler), named("b", sampler)), results=first)
    assert sampler.count == 4
    assert [(r["scene"], r["method"]) for r in again.records] == [
        (scene, f"{name}+local-rbf") for name in "ab" for scene in ("a.tif", "more/b.tif")
    ]
    # All is there: nothing is even read.
    os.truncate(folder / "a.tif", 10)
    finished = benchmark(folder, plan(named("a", sampler)), results=again)
    assert sampler.count == 4
    assert all("error" not in record for record in finished.records)


def test_what_failed_is_measured_again(folder):
    whole = (folder / "a.tif").read_bytes()
    os.truncate(folder / "a.tif", 10)
    first = benchmark(folder, plan())
    (folder / "a.tif").write_bytes(whole)
    again = benchmark(folder, plan(), results=first)
    assert len(again.records) == 2
    assert all("error" not in record for record in again.records)


def test_results_of_other_settings_are_refused(folder):
    first = benchmark(folder, plan(settings={"cell": 8}))
    with pytest.raises(ResultsError, match="cell: 8, not 16"):
        benchmark(folder, plan(settings={"cell": 16}), results=first)
    with pytest.raises(ResultsError, match="bits: 14, not 12"):
        benchmark(folder, plan(settings={"cell": 8}, bits=12), results=first)


def test_scenes_are_shrunk_first(folder):
    (record, _) = benchmark(folder, plan(shrink=2)).records
    assert (record["height"], record["width"]) == (24, 32)


def test_results_survive_their_file(folder, tmp_path):
    results = benchmark(folder, plan(), done=lambda found: found.write(tmp_path / "r.json"))
    again = Results.read(tmp_path / "r.json")
    assert again.records == results.records
    assert again.settings == results.settings


def test_maps_are_drawn_where_something_was_measured(folder, tmp_path):
    first = benchmark(folder, plan(), maps=tmp_path / "maps")
    paths = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.glob("maps/**/*.png"))
    assert paths == ["maps/a.tif/minimal-8bit.png", "maps/more/b.tif/minimal-8bit.png"]
    benchmark(folder, plan(), results=first, maps=tmp_path / "later")
    assert not (tmp_path / "later").exists()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot make this folder"):
        benchmark(folder, plan(), maps=tmp_path / "file")


def test_progress_names_what_is_at_work(folder):
    seen = []
    benchmark(folder, plan(), progress=seen.append)
    assert "2/2 more/b.tif, minimal, 8bit, uniform+local-rbf" in seen


@pytest.mark.parametrize(
    "wrong",
    [
        {"methods": ()},
        {"renderings": (MINIMAL, MINIMAL)},
        {"inputs": ()},
        {"fine_tune": ()},
        {"fine_tune": (-1,)},
    ],
)
def test_a_plan_that_cannot_be_is_refused(wrong):
    good = {"methods": [named("a", UniformSampler())], "renderings": [MINIMAL]}
    with pytest.raises(ValueError, match="must be"):
        Benchmark(**{**good, **wrong})


def test_a_folder_without_scenes_is_refused(tmp_path):
    with pytest.raises(ImageFileError):
        benchmark(tmp_path, plan())


def test_the_random_state_is_left_alone(folder):
    torch.manual_seed(5)
    expected = torch.random.get_rng_state()
    benchmark(folder / "a.tif", Benchmark(training_free()[2:4], [MINIMAL]))
    assert torch.equal(torch.random.get_rng_state(), expected)
