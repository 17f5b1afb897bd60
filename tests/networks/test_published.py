import io
import zipfile

import pytest
import torch
from published_checkpoint import published_weights
from torch.nn import functional

from isp_meta.errors import WeightsFileError
from isp_meta.networks import UNet, load_published


def by_the_book(weights, x):
    """The paper's U-Net, step by step, from a checkpoint."""

    def block(x, name):
        for number in (1, 2):
            x = functional.pad(x, (1, 1, 1, 1), mode="replicate")
            x = functional.conv2d(x, weights[f"{name}conv{number}.weight"])
            norm = {
                key: weights[f"{name}norm{number}.{key}"][:, None, None]
                for key in ("running_mean", "running_var", "weight", "bias")
            }
            x = (x - norm["running_mean"]) / (norm["running_var"] + 1e-5).sqrt()
            x = (x * norm["weight"] + norm["bias"]).clamp(min=0)
        return x

    def half(x):
        return x.unflatten(-1, (-1, 2)).amax(-1).unflatten(-2, (-1, 2)).amax(-2)

    def double(x, name):
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        spread = torch.einsum("bihw,ioyx->bohywx", x, weight).flatten(4, 5).flatten(2, 3)
        return spread + bias[:, None, None]

    one = block(x, "encoder1.enc1")
    two = block(half(one), "encoder2.enc2")
    three = block(half(two), "encoder3.enc3")
    four = block(half(three), "encoder4.enc4")
    x = block(half(four), "bottleneck.bottleneck")
    x = block(torch.cat((double(x, "upconv4"), four), 1), "decoder4.dec4")
    x = block(torch.cat((double(x, "upconv3"), three), 1), "decoder3.dec3")
    x = block(torch.cat((double(x, "upconv2"), two), 1), "decoder2.dec2")
    x = block(torch.cat((double(x, "upconv1"), one), 1), "decoder1.dec1")
    x = torch.einsum("bihw,oi->bohw", x, weights["conv.weight"][..., 0, 0])
    return x + weights["conv.bias"][:, None, None]


def wrapped(weights, form):
    if form == "DataParallel":
        return {f"module.{name}": value for name, value in weights.items()}
    if form == "of a training":
        return {"epoch": 3, "state_dict": wrapped(weights, "DataParallel")}
    return weights


@pytest.mark.parametrize("form", ["as published", "DataParallel", "of a training"])
@pytest.mark.parametrize(
    ("inputs", "outputs", "head"), [(6, 9, "linear"), (7, 3, "sigmoid")], ids=["sampler", "raw"]
)
def test_published_names_load_and_compute_what_the_book_says(inputs, outputs, head, form, tmp_path):
    weights = published_weights(inputs, outputs, 4)
    path = tmp_path / "best.pt"
    torch.save(wrapped(weights, form), path)
    network = load_published(path)
    assert (network.inputs, network.outputs, network.width) == (inputs, outputs, 4)
    assert not network.training
    x = torch.rand(2, inputs, 32, 48, generator=torch.Generator().manual_seed(1)).double()
    expected = by_the_book({n: w.double() for n, w in weights.items()}, x)
    expected = expected.sigmoid() if head == "sigmoid" else expected
    assert float(expected.std()) > 0.05
    result = network.double()(x)
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-6)


def test_state_dict_is_the_published_one():
    made = UNet(7, 3, 32).state_dict()
    wanted = published_weights(7, 3, 32)
    assert {n: tuple(w.shape) for n, w in made.items()} == {
        n: tuple(w.shape) for n, w in wanted.items()
    }


def test_weights_of_half_the_precision_become_whole(tmp_path):
    weights = {name: w.half() if w.ndim else w for name, w in published_weights(7, 3, 2).items()}
    network = load_published(saved(tmp_path, weights))
    assert {w.dtype for w in network.parameters()} == {torch.float32}
    assert torch.equal(network.conv.weight, weights["conv.weight"].float())


def refused(path):
    """The text of the refusal."""
    with pytest.raises(WeightsFileError) as caught:
        load_published(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def saved(tmp_path, content):
    path = tmp_path / "best.pt"
    torch.save(content, path)
    return path


def test_refuses_layers_of_two_widths(tmp_path):
    weights = published_weights(7, 3, 2)
    weights["upconv2.bias"] = published_weights(7, 3, 4)["upconv2.bias"]
    text = refused(saved(tmp_path, weights))
    assert "upconv2.bias is (8,), not (4,)" in text


@pytest.mark.parametrize(("inputs", "outputs"), [(3, 9), (6, 3), (13, 3)])
def test_refuses_what_is_neither_sampler_nor_reconstructor(inputs, outputs, tmp_path):
    text = refused(saved(tmp_path, published_weights(inputs, outputs, 2)))
    assert f"takes {inputs} channels and gives {outputs}" in text


def test_refuses_tensors_that_the_file_does_not_hold(tmp_path):
    weights = {
        name: torch.zeros((), dtype=w.dtype).expand(w.shape)
        for name, w in published_weights(7, 3, 8).items()
    }
    text = refused(saved(tmp_path, weights))
    assert "describes larger tensors than it holds" in text


def test_refuses_a_missing_and_an_unknown_layer(tmp_path):
    weights = published_weights(7, 3, 2)
    kept = weights.pop("conv.bias")
    assert "lacks conv.bias" in refused(saved(tmp_path, weights))
    weights |= {"conv.bias": kept, "conv.scale": kept}
    assert "unknown conv.scale" in refused(saved(tmp_path, weights))
    others = {f"layer{n}.weight": torch.zeros(1) for n in range(9)}
    assert "lacks" in refused(saved(tmp_path, others))


def test_refuses_weights_that_are_not_finite(tmp_path):
    weights = published_weights(7, 3, 2)
    weights["upconv2.bias"][0] = float("nan")
    assert "upconv2.bias is not finite" in refused(saved(tmp_path, weights))


@pytest.mark.parametrize(
    "content", [{}, [torch.zeros(3)], torch.zeros(3), {"a": 1}, {3: torch.zeros(1)}, None]
)
def test_refuses_what_is_no_set_of_weights(tmp_path, content):
    refused(saved(tmp_path, content))


def test_refuses_no_file_and_a_folder(tmp_path):
    assert "no such file" in refused(tmp_path / "best.pt")
    assert "no such file" in refused(tmp_path)


def test_refuses_truncated_and_foreign_bytes(tmp_path):
    path = saved(tmp_path, published_weights(7, 3, 2))
    data = path.read_bytes()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.txt", "no checkpoint")
    garbage = bytes(range(256)) * 4
    forms = [b"", b"\x80", b"\x80\x02.", b"\xff\xd8\xff\xe0", garbage, archive.getvalue()]
    forms += [data[:cut] for cut in range(1, len(data), len(data) // 23)]
    for form in forms:
        path.write_bytes(form)
        refused(path)


class Payload:
    """Makes unpickling call something."""

    def __reduce__(self):
        return (pytest.fail, ("code of the file was run",))


def test_runs_no_code_of_the_file(tmp_path):
    refused(saved(tmp_path, {"conv.bias": Payload()}))
