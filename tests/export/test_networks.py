from typing import ClassVar

import onnx
import pytest
import torch
from onnxruntime import InferenceSession
from torch import nn

import isp_meta.ops  # noqa: F401 what a loaded program calls
from isp_meta import Frame
from isp_meta.camera import Camera
from isp_meta.errors import ExportError, OutputError
from isp_meta.export import OPSET, TensorReconstructor, TensorSampler, export_network
from isp_meta.networks import UNet
from isp_meta.networks.shipped import shipped_features
from isp_meta.reconstruct import UNetReconstructor
from isp_meta.samplers import LearnedSampler, SuperpixelSampler

# None of them was traced or checked; multiples of a network's grid and others, smaller and larger.
SIZES = [(16, 32), (23, 9), (65, 48), (80, 131)]


def pictures(size, takes, seed=0):
    """Smooth, as photographs are, with noise."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(size[0]) / 9, torch.arange(size[1]) / 13, indexing="ij")
    made = {}
    for name, channels in takes.items():
        noise = 0.1 * torch.rand(1, channels, *size, generator=generator)
        phase = torch.rand(channels, 1, 1, generator=generator) * 6
        made[name] = (0.45 + 0.4 * torch.sin(x + phase) * torch.cos(y - phase) + noise).clamp(0, 1)
    return made


@pytest.fixture(scope="module")
def unet():
    """Of weights that tell pixels apart."""
    torch.manual_seed(3)
    return UNet(7, 3, width=4, head="sigmoid").eval()


def same_at_all_sizes(session, network, takes):
    for size in SIZES:
        given = pictures(size, takes)
        (found,) = session.run(None, {name: picture.numpy() for name, picture in given.items()})
        with torch.no_grad():
            true = network(*given.values())
        torch.testing.assert_close(torch.from_numpy(found), true, rtol=0, atol=1e-4)


def test_the_shipped_features_as_onnx_for_sizes_never_traced(tmp_path):
    network = shipped_features()
    path = tmp_path / "features.onnx"
    export_network(network, path, {"srgb": 3}, "features")
    model = onnx.load(path)
    onnx.checker.check_model(model)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", OPSET)]
    assert [output.name for output in model.graph.output] == ["features"]
    same_at_all_sizes(InferenceSession(path), network, {"srgb": 3})
    with pytest.raises(OutputError, match="exists already"):
        export_network(network, path, {"srgb": 3})


def test_a_reconstructor_as_onnx_keeps_the_samples(tmp_path, unet):
    module = TensorReconstructor(UNetReconstructor(unet)).eval()
    export_network(module, tmp_path / "unet.onnx")
    session = InferenceSession(tmp_path / "unet.onnx")
    same_at_all_sizes(session, module, module.takes)
    given = pictures((40, 24), module.takes)
    given["mask"] = (given["mask"] > 0.6).float()
    given["kept"] *= given["mask"]
    (found,) = session.run(None, {name: picture.numpy() for name, picture in given.items()})
    at = given["mask"].bool().expand(-1, 3, -1, -1)
    assert torch.equal(torch.from_numpy(found)[at], given["kept"][at])


def test_a_sampler_as_onnx_chooses_the_same_pixels(tmp_path):
    module = TensorSampler(SuperpixelSampler()).eval()
    export_network(module, tmp_path / "sampler.onnx")
    session = InferenceSession(tmp_path / "sampler.onnx")
    assert {o.domain for o in onnx.load(tmp_path / "sampler.onnx").opset_import} == {""}
    same_at_all_sizes(session, module, module.takes)


def test_a_saved_program_calls_the_native_operators(tmp_path):
    torch.manual_seed(4)
    sampler = LearnedSampler(UNet(6, 9, width=4)).eval()
    export_network(TensorSampler(sampler), tmp_path / "sampler.pt2")
    program = torch.export.load(tmp_path / "sampler.pt2")
    called = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert "isp_meta.argmax_pool.default" in called
    for size in SIZES:
        given = pictures(size, TensorSampler.takes)
        chosen = program.module()(given["srgb"], given["raw"])
        frame = Frame(Camera(), raw=given["raw"][0], srgb=given["srgb"][0])
        expected = sampler(frame).index
        assert torch.equal(chosen[chosen >= 0].unique(), expected)


def test_the_mode_and_weights_of_a_network_stay(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Dropout(0.5)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    export_network(network, tmp_path / "x.pt2", {"picture": 3})
    assert all(module.training for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


class Cursed(nn.Module):
    takes: ClassVar = {"picture": 1}

    def forward(self, picture):
        return picture * (2.0 if torch.compiler.is_exporting() else 1.0)


class Sizes(nn.Module):
    takes: ClassVar = {"picture": 1}

    def forward(self, picture):
        return picture[..., : int(picture.sum())]


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_what_errs_or_cannot_be_traced_is_not_written(suffix, tmp_path):
    path = tmp_path / f"x{suffix}"
    with pytest.raises(ExportError, match=r"errs by .* at 50x34 pixels and is not written"):
        export_network(Cursed(), path)
    with pytest.raises(ExportError, match="cannot be traced") as refused:
        export_network(Sizes(), path)
    assert "\n" not in str(refused.value)
    assert not path.exists()


def test_wrong_arguments_are_named(tmp_path, unet):
    with pytest.raises(ValueError, match=r"must end in \.onnx or \.pt2"):
        export_network(unet, tmp_path / "x.pt", {"inputs": 7})
    with pytest.raises(ValueError, match="takes is needed"):
        export_network(unet, tmp_path / "x.onnx")
