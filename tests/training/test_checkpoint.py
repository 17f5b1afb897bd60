import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from isp_meta.errors import OutputError, TrainingError
from isp_meta.training import checkpoint

STATE = {"step": 3, "networks": {"weight": torch.arange(4.0)}, "figures": {"psnr": 30.5}}


def test_a_checkpoint_comes_back(tmp_path):
    path = tmp_path / "last.pt"
    checkpoint.save_atomic(path, STATE)
    state = checkpoint.load(path)
    assert state["networks"].pop("weight").equal(torch.arange(4.0))
    assert state == {"format": 1, "step": 3, "networks": {}, "figures": {"psnr": 30.5}}
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


def test_a_newer_one_replaces_it_whole_or_not_at_all(tmp_path):
    path = tmp_path / "last.pt"
    checkpoint.save_atomic(path, STATE)
    checkpoint.save_atomic(path, {"step": 4})
    with pytest.raises((AttributeError, TypeError, pickle.PicklingError)):
        checkpoint.save_atomic(path, {"step": 5, "function": lambda: None})
    assert checkpoint.load(path)["step"] == 4
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


def test_a_missing_folder(tmp_path):
    with pytest.raises(OutputError, match="folder does not exist"):
        checkpoint.save_atomic(tmp_path / "none" / "last.pt", STATE)


class Hostile:
    """Touches a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_of_a_hostile_file_runs(tmp_path):
    path, touched = tmp_path / "last.pt", tmp_path / "touched"
    torch.save({"format": 1, "step": Hostile(touched)}, path)
    with pytest.raises(TrainingError, match=r"last\.pt: is damaged"):
        checkpoint.load(path)
    assert not touched.exists()
    torch.load(path, weights_only=False)
    assert touched.exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02", b"text\n", "half"])
def test_a_damaged_file(tmp_path, content):
    path = tmp_path / "last.pt"
    if content == "half":
        checkpoint.save_atomic(path, STATE)
        content = path.read_bytes()[:300]
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"last\.pt: is damaged"):
        checkpoint.load(path)


def test_a_file_of_something_else(tmp_path):
    path = tmp_path / "last.pt"
    for other in (torch.zeros(3), {"format": 2}, {}):
        torch.save(other, path)
        with pytest.raises(TrainingError, match="no checkpoint of a training"):
            checkpoint.load(path)
    with pytest.raises(TrainingError, match=r"none\.pt: No such file"):
        checkpoint.load(tmp_path / "none.pt")


def test_an_export_holds_weights_and_what_they_are(tmp_path):
    path = tmp_path / "sampler.safetensors"
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    network.to(memory_format=torch.channels_last)
    for _ in range(2):  # the second replaces the first
        checkpoint.export(path, network, {"step": 7, "figures": {"psnr": 30.5}})
    with safe_open(path, "pt") as file:
        assert {key: json.loads(value) for key, value in file.metadata().items()} == {
            "step": 7,
            "figures": {"psnr": 30.5},
        }
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert found.keys() == network.state_dict().keys()
    assert all(found[name].equal(value) for name, value in network.state_dict().items())
