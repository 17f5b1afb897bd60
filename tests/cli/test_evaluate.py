from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from published_checkpoint import published_weights

from isp_meta import Pipeline, io
from isp_meta.stages import BlackLevel, Demosaic
from isp_meta.training import TrainingConfig, checkpoint, systems

QUICK = ("--methods", "uniform+local-rbf")


@pytest.fixture
def folder(tmp_path, make_frame) -> Path:
    """Two scenes of 48x64."""
    place = tmp_path / "scenes"
    place.mkdir()
    for seed in range(2):
        raw = Pipeline([BlackLevel(), Demosaic()])(make_frame(48, 64, seed=seed)).raw
        (place / f"{seed}.tif").write_bytes(io.encode_tiff(raw, space=None))
    return place


@pytest.fixture
def weights(tmp_path) -> Path:
    return exported(tmp_path / "run", "unet")


def exported(place: Path, kind: str) -> Path:
    """A folder as a training leaves it, of small random networks."""
    place.mkdir()
    reconstructor = {"width": 2, "kind": kind}
    config = TrainingConfig.from_dict({"sampler": {"width": 2}, "reconstructor": reconstructor})
    for name, part in zip(("sampler", "reconstructor"), systems.build(config), strict=True):
        about = {"part": name, "config": config.to_dict(), "step": 1, "figures": {}}
        checkpoint.export(place / f"{name}.safetensors", part.network, about)
    return place


def records(output):
    return json.loads((output / "results.json").read_text())["records"]


def test_json_markdown_and_maps(run, folder, tmp_path):
    out = tmp_path / "out"
    arguments = ("--input", "16bit,jpeg90", "--rendering", "minimal,local-tone", "--maps")
    result = run("evaluate", folder, "-o", out, *QUICK, *arguments, "--note", "a split")
    assert (result.code, result.lines) == (0, [])
    found = {(r["scene"], r["rendering"], r["input"], r["method"]) for r in records(out)}
    assert found == {
        (scene, rendering, file, "uniform+local-rbf")
        for scene in ("0.tif", "1.tif")
        for rendering in ("minimal", "local-tone")
        for file in ("16bit", "jpeg90")
    }
    shown = (out / "results.md").read_text()
    assert shown.strip() in result.out
    assert "a split" in shown
    assert shown.count("uniform+local-rbf") == 4
    with Image.open(out / "maps" / "0.tif" / "local-tone-jpeg90.png") as picture:
        assert picture.width > 640


def test_trained_networks(run, folder, weights, tmp_path):
    out = tmp_path / "out"
    names = "main:learned+unet,none+unet,uniform+unet,learned+local-rbf,trained"
    arguments = ("--methods", names, "--weights", f"main={weights}", "--fine-tune", "0,1")
    assert run("evaluate", folder / "0.tif", "-o", out, *arguments).code == 0
    assert [(r["method"], r["fine_tune"]) for r in records(out)] == [
        *(("main:learned+unet", 0), ("main:learned+unet", 1), ("main:none+unet", 0)),
        *(("main:uniform+unet", 0), ("main:uniform+unet", 1), ("main:learned+local-rbf", 0)),
    ]
    shown = (out / "results.md").read_text()
    assert "sampling and fine-tuning" in shown
    assert "| main:learned+unet | both | superpixels | yes | 1 |" in shown
    settings = json.loads((out / "results.json").read_text())["settings"]
    assert len(settings["weights"]["main"]["sha256"]) == 2


def test_checkpoints_of_the_papers_authors(run, folder, tmp_path):
    place = tmp_path / "published"
    place.mkdir()
    torch.save(published_weights(6, 9, 2), place / "best_sampler.pt")
    torch.save(published_weights(7, 3, 2), place / "best_reconstructor.pt")
    arguments = ("--methods", "trained", "--weights", f"nam={place}", "--fine-tune", "0,1")
    assert run("evaluate", folder / "0.tif", "-o", tmp_path / "out", *arguments).code == 0
    plain, tuned = records(tmp_path / "out")
    assert {r["method"] for r in (plain, tuned)} == {"nam:learned+unet"}
    assert (plain["fine_tune"], tuned["fine_tune"]) == (0, 1)
    assert 0 < plain["samples"] <= 48
    # One step of an untrained network is no better than chance, and is not kept.
    assert plain["psnr"] == tuned["psnr"]
    shown = (tmp_path / "out" / "results.md").read_text()
    assert "| nam:learned+unet | both | superpixels | ? | 1 |" in shown


def test_a_trained_sampler_with_the_reconstructor_that_ships(run, folder, weights, tmp_path):
    names = "learned+features,learned-effort-1+features"
    arguments = ("--methods", names, "--weights", f"main={weights}")
    assert run("evaluate", folder / "0.tif", "-o", tmp_path / "out", *arguments).code == 0
    plain, fitted = records(tmp_path / "out")
    assert [r["method"] for r in (plain, fitted)] == [f"main:{name}" for name in names.split(",")]
    assert plain["samples"] <= fitted["samples"] < 1.1 * plain["samples"]
    assert plain["bits_per_pixel"] < fitted["bits_per_pixel"]


def test_the_loop_is_closed_around_that_very_network(run, folder, tmp_path):
    weights = exported(tmp_path / "run", "residual-unet")
    tried = [f"{s}+residual-unet" for s in ("uniform", "uniform-effort-1", "learned-effort-1")]
    names = ",".join([*tried, "uniform-effort-1+sam"])
    arguments = ("--methods", names, "--weights", f"main={weights}", "--fine-tune", "0,1")
    assert run("evaluate", folder / "0.tif", "-o", tmp_path / "out", *arguments).code == 0
    found = {(r["method"], r["fine_tune"]): r for r in records(tmp_path / "out")}
    assert list(found) == [
        *((f"main:{name}", steps) for name in tried for steps in (0, 1)),
        ("uniform-effort-1+sam", 0),
    ]
    plain, moved = (found[f"main:{name}", 0] for name in tried[:2])
    assert moved["psnr"] > plain["psnr"]
    assert moved["bits_positions"] > plain["bits_positions"]


def test_what_recovery_misses_is_counted_where_it_is_stored(run, folder, tmp_path):
    names = "uniform-effort-1+features,uniform-effort-1+features-enhanced,random+features-enhanced"
    out = tmp_path / "out"
    assert run("evaluate", folder / "0.tif", "-o", out, "--methods", names).code == 0
    plain, enhanced, _ = records(out)
    assert plain["bits_enhancement"] == 0 < enhanced["bits_enhancement"]
    assert enhanced["bits_per_pixel"] > plain["bits_per_pixel"]


def test_a_network_that_starts_from_a_first_guess(run, folder, tmp_path):
    weights = exported(tmp_path / "mine", "residual-unet")
    out = tmp_path / "out"
    result = run("evaluate", folder, "-o", out, "--methods", "trained", "--weights", weights)
    assert result.code == 0
    assert {r["method"] for r in records(out)} == {"mine:learned+residual-unet"}
    assert all(r["psnr"] > 20 for r in records(out))


def test_a_pipeline_of_ones_own(run, folder, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("".join(f'[[stage]]\nname = "{name}"\n' for name in ("WhiteBalance", "Gamma")))
    out = tmp_path / "out"
    assert run("evaluate", folder, "-o", out, *QUICK, "--rendering", path).code == 0
    assert {r["rendering"] for r in records(out)} == {"mine"}


def test_a_broken_scene_is_reported_at_the_end(run, folder, tmp_path):
    (folder / "broken.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    result = run("evaluate", folder, "-o", out, *QUICK)
    assert result.failed(1, "broken.png")
    assert len(records(out)) == 3
    assert "## Failed" in (out / "results.md").read_text()


def test_results_are_not_replaced_unasked_and_can_be_gone_on_with(run, folder, tmp_path):
    out = tmp_path / "out"
    assert run("evaluate", folder / "0.tif", "-o", out, *QUICK).code == 0
    before = records(out)
    assert run("evaluate", folder, "-o", out, *QUICK).failed(1, "results.json", "exists already")
    assert run("evaluate", folder, "-o", out, *QUICK, "--resume").code == 0
    after = records(out)
    assert after[: len(before)] == before
    assert [r["scene"] for r in after] == ["0.tif", "1.tif"]
    other = run("evaluate", folder, "-o", out, *QUICK, "--resume", "--cell", "16")
    assert other.failed(1, "other cell: 8, not 16")
    assert records(out) == after
    assert run("evaluate", folder, "-o", out, *QUICK, "--cell", "16", "--overwrite").code == 0
    assert records(out)[0]["samples"] == 12


def test_results_of_several_seeds_are_merged(run, folder, tmp_path):
    paths = []
    for seed in range(2):
        out = tmp_path / str(seed)
        arguments = ("--methods", "random+local-rbf", "--seed", str(seed))
        assert run("evaluate", folder, "-o", out, *arguments).code == 0
        paths.append(out / "results.json")
    result = run("evaluate", "--merge", *paths, "-o", tmp_path / "both")
    assert result.code == 0
    shown = (tmp_path / "both" / "results.md").read_text()
    assert "over 2 runs" in shown
    again = run("evaluate", "--merge", *paths, "-o", tmp_path / "both")
    assert again.failed(1, "results.md", "exists already")
    assert run("evaluate", folder, "-o", tmp_path / "2", *QUICK, "--bits", "12").code == 0
    other = run("evaluate", "--merge", paths[0], tmp_path / "2" / "results.json", "-o", tmp_path)
    assert other.failed(1, "results.json", "other bits: 12, not 14")


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (("--methods", "uniform"), ("--methods uniform", "superpixel+sam", "free-form", "unet")),
        (("--methods", "uniform+nothing"), ("no such method", "training-free", "none+rir")),
        (("--methods", "none+sam"), ("no such method",)),
        (("--methods", "uniform-effort-3+features"), ("no such method",)),
        (("--methods", "learned-effort-1+unet"), ("put --weights NAME=FILE before it",)),
        (("--methods", "uniform-effort-1+unet"), ("put --weights NAME=FILE before it",)),
        (("--methods", "none-effort-1+features"), ("no such method",)),
        (("--methods", "none+features-enhanced"), ("no such method",)),
        (("--methods", "uniform+sam-enhanced"), ("no such method",)),
        (("--methods", "main:uniform-effort-1+features"), ("no such method",)),
        (("--methods", "main:uniform+sam"), ("no such method",)),
        (("--methods", "learned+unet"), ("put --weights NAME=FILE before it",)),
        (("--methods", "trained"), ("takes --weights",)),
        (("--methods", ","), ("names none",)),
        (("--input", "7bit"), ("--input 7bit", "jpeg1 to jpeg100")),
        (("--input", "jpeg0"), ("--input jpeg0",)),
        (("--fine-tune", "a"), ("--fine-tune a",)),
        (("--fine-tune", ""), ("--fine-tune",)),
        (("--weights", "a b=c"), ("--weights a b=c",)),
    ],
)
def test_a_wrong_call_is_told_what_there_is(arguments, texts, run, folder, tmp_path):
    assert run("evaluate", folder, "-o", tmp_path / "out", *arguments).failed(2, *texts)
    assert not (tmp_path / "out").exists()


def test_weights_that_do_not_serve(run, folder, weights, tmp_path):
    def failed(*arguments):
        return run("evaluate", folder, "-o", tmp_path / "out", *arguments)

    sampler = weights / "sampler.safetensors"
    both = ("--weights", f"a={sampler}", "--weights", f"b={weights}")
    assert failed("--weights", sampler, "--methods", "uniform+unet").failed(
        2, "sampler.safetensors: no UNetReconstructor in it"
    )
    assert failed(*both, "--methods", "learned+unet").failed(2, "put a:, b: before it")
    assert failed(*both, "--methods", "b:free-form+unet").failed(2, "no FreeFormSampler in it")
    assert failed(*both, *both).failed(2, "is given twice")
    assert failed("--weights", tmp_path / "none").failed(1, "none")
    damaged = tmp_path / "best_sampler.pt"
    torch.save(published_weights(6, 9, 2), damaged)
    damaged.write_bytes(damaged.read_bytes()[:5000])
    assert failed("--weights", damaged).failed(1, "best_sampler.pt: damaged")
    torch.save(published_weights(3, 9, 2), damaged)
    assert failed("--weights", damaged).failed(1, "best_sampler.pt: takes 3 channels")


def test_folders_and_renderings_that_do_not_serve(run, folder, tmp_path):
    out = ("-o", tmp_path / "out", *QUICK)
    assert run("evaluate", folder, folder, *out).failed(2, "name one folder")
    assert run("evaluate", tmp_path / "none", *out).failed(1, "none")
    assert run("evaluate", folder, *out, "--rendering", "any").failed(1, "any", "karaimer-brown")
    assert run("evaluate", folder, *out, "--rendering", "a.toml").failed(1, "a.toml")
    (tmp_path / "file").touch()
    in_file = run("evaluate", folder, "-o", tmp_path / "file" / "out", *QUICK)
    assert in_file.failed(1, "cannot make this folder")
