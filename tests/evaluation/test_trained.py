import json
from pathlib import Path

import pytest
import torch
from published_checkpoint import published_weights

import isp_meta
from isp_meta.errors import WeightsFileError
from isp_meta.evaluation import Weights
from isp_meta.evaluation.trained import load
from isp_meta.networks.shipped import shipped_features
from isp_meta.reconstruct import UNetReconstructor
from isp_meta.reconstruct.features import FeatureReconstructor
from isp_meta.samplers import FreeFormSampler, LearnedSampler
from isp_meta.training import TrainingConfig, checkpoint, systems


def export(folder, **changes):
    """What a training writes, with random weights."""
    table = {"sampler": {"width": 2}, "reconstructor": {"width": 2}}
    for section, values in changes.items():
        table[section] = {**table.get(section, {}), **values}
    config = TrainingConfig.from_dict(table)
    parts = dict(zip(("sampler", "reconstructor"), systems.build(config), strict=True))
    about = {"config": config.to_dict(), "step": 3, "figures": {"psnr": 40.0}}
    for name, part in parts.items():
        if part is not None:
            path = folder / f"{name}.safetensors"
            checkpoint.export(path, part.network, {"part": name, **about})
    return parts


def test_networks_are_read_as_they_were_trained(tmp_path):
    parts = export(tmp_path, sampler={"inputs": "raw"}, run={"seed": 7})
    (sampler, nothing), (none, reconstructor) = (
        load(tmp_path / f"{name}.safetensors") for name in ("sampler", "reconstructor")
    )
    assert nothing is none is None
    assert isinstance(sampler, LearnedSampler)
    assert isinstance(reconstructor, UNetReconstructor)
    assert sampler.inputs == "raw"
    for part, read in zip(parts.values(), (sampler, reconstructor), strict=True):
        assert not read.training
        states = part.network.state_dict(), read.network.state_dict()
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_folder_holds_both_networks_and_facts_for_tables(tmp_path):
    export(tmp_path, samples={"kind": "free_form"}, loss={"meta": 0.0})
    weights = Weights.load("main", tmp_path)
    assert isinstance(weights.sampler, FreeFormSampler)
    assert isinstance(weights.reconstructor, UNetReconstructor)
    assert weights.about["files"] == ["sampler.safetensors", "reconstructor.safetensors"]
    assert len(set(weights.about["sha256"])) == 2
    assert (weights.about["samples"], weights.about["meta_loss"]) == ("free_form", False)
    json.dumps(weights.about)


def test_a_training_without_sampler_leaves_one_file(tmp_path):
    export(tmp_path, samples={"kind": "uniform"})
    weights = Weights.load("main", tmp_path)
    assert weights.sampler is None
    assert weights.about["meta_loss"] is True


def test_the_networks_that_ship_are_weights_too():
    folder = Path(isp_meta.__file__).parent / "weights"
    weights = Weights.load("shipped", folder / "features-1.safetensors")
    assert isinstance(weights.reconstructor, FeatureReconstructor)
    found = weights.reconstructor.network.features.state_dict()
    assert all(torch.equal(found[k], v) for k, v in shipped_features().state_dict().items())


def test_files_that_hold_no_network_are_refused_by_name(tmp_path):
    with pytest.raises(WeightsFileError, match="holds none of sampler"):
        Weights.load("main", tmp_path)
    with pytest.raises(WeightsFileError, match=r"none\.safetensors"):
        Weights.load("main", tmp_path / "none.safetensors")
    export(tmp_path)
    whole = (tmp_path / "sampler.safetensors").read_bytes()
    for data in (b"\0", whole[:7], whole[:100], whole[: len(whole) // 2], b"\xff" * 64):
        (tmp_path / "cut.safetensors").write_bytes(data)
        with pytest.raises(WeightsFileError, match=r"cut\.safetensors"):
            load(tmp_path / "cut.safetensors")


def test_weights_of_another_network_are_refused(tmp_path):
    export(tmp_path)
    data = (tmp_path / "reconstructor.safetensors").read_bytes()
    size = int.from_bytes(data[:8], "little")
    for old, new in (('\\"width\\": 2', '\\"width\\": 3'), ('\\"reconstructor\\"}', '\\"x\\"}')):
        header = data[8 : 8 + size].decode()
        assert old.replace("}", "") in header
        header = header.replace(old.replace("}", ""), new.replace("}", "")).encode()
        path = tmp_path / "other.safetensors"
        path.write_bytes(len(header).to_bytes(8, "little") + header + data[8 + size :])
        with pytest.raises(WeightsFileError, match=r"other\.safetensors"):
            load(path)


def test_checkpoints_of_the_papers_code_are_read_by_what_they_hold(tmp_path):
    torch.save(published_weights(6, 9, 2), tmp_path / "best_sampler.pt")
    torch.save(published_weights(7, 3, 4), tmp_path / "best_reconstructor.pt")
    weights = Weights.load("nam", tmp_path)
    assert isinstance(weights.sampler, LearnedSampler)
    assert isinstance(weights.reconstructor, UNetReconstructor)
    assert (weights.sampler.cell, weights.sampler.inputs) == (8, "both")
    assert (weights.sampler.network.width, weights.reconstructor.network.width) == (2, 4)
    assert (weights.sampler.network.head, weights.reconstructor.network.head) == (
        "linear",
        "sigmoid",
    )
    assert not weights.sampler.training
    assert not weights.reconstructor.training
    assert weights.about["files"] == ["best_sampler.pt", "best_reconstructor.pt"]
    assert weights.about["meta_loss"] is None
    alone = (tmp_path / "best_reconstructor.pt").rename(tmp_path / "mine.pth")
    assert Weights.load("nam", alone).sampler is None
    assert Weights.load("nam", tmp_path).reconstructor is None


def test_what_a_training_of_ours_wrote_goes_before_a_checkpoint(tmp_path):
    export(tmp_path)
    torch.save(published_weights(7, 3, 4), tmp_path / "best_reconstructor.pt")
    weights = Weights.load("both", tmp_path)
    assert weights.about["files"] == ["sampler.safetensors", "reconstructor.safetensors"]
    assert weights.reconstructor.network.width == 2
