import io
import zipfile

import pytest
import torch
from torch.nn import functional

from isp_meta.errors import WeightsFileError
from isp_meta.networks import UNet, load_published

# The names and shapes of best_reconstructor.pt, width w: (block, channels in, channels out) over w,
# where None stands for the picture's own channels.
BLOCKS = [
    ("encoder1.enc1", None, 1),
    ("encoder2.enc2", 1, 2),
    ("encoder3.enc3", 2, 4),
    ("encoder4.enc4", 4, 8),
    ("bottleneck.bottleneck", 8, 16),
    ("decoder4.dec4", 16, 8),
    ("decoder3.dec3", 8, 4),
    ("decoder2.dec2", 4, 2),
    ("decoder1.dec1", 2, 1),
]
UPCONVS = [("upconv4", 16, 8), ("upconv3", 8, 4), ("upconv2", 4, 2), ("upconv1", 2, 1)]


def published(inputs, outputs, width, seed=0):
    """Random weights under the names of the published code, made without our network."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape, scale):
        return torch.randn(*shape, generator=generator) * scale

    weights = {}
    for block, narrow, wide in BLOCKS:
        for number, channels in ((1, narrow), (2, wide)):
            given = inputs if channels is None else channels * width
            made = wide * width
            name = f"{block}conv{number}.weight"
            weights[name] = normal(made, given, 3, 3, scale=(2 / (9 * given)) ** 0.5)
            norm = f"{block}norm{number}."
            weights[norm + "weight"] = 1 + normal(made, scale=0.2)
            weights[norm + "bias"] = normal(made, scale=0.2)
            weights[norm + "running_mean"] = normal(made, scale=0.2)
            weights[norm + "running_var"] = 0.5 + torch.rand(made, generator=generator)
            weights[norm + "num_batches_tracked"] = torch.tensor(1234)
    for name, wide, narrow in UPCONVS:
        scale = (1 / (wide * width)) ** 0.5
        weights[name + ".weight"] = normal(wide * width, narrow * width, 2, 2, scale=scale)
        weights[name + ".bias"] = normal(narrow * width, scale=0.2)
    weights["conv.weight"] = normal(outputs, width, 1, 1, scale=width**-0.5)
    weights["conv.bias"] = normal(outputs, scale=0.2)
    return weights


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
    weights = published(inputs, outputs, 4)
    path = tmp_path / "best.pt"
    torch.save(wrapped(weights, form), path)
    network = UNet(inputs, outputs, 4, head)
    load_published(path, network)
    x = torch.rand(2, inputs, 32, 48, generator=torch.Generator().manual_seed(1)).double()
    expected = by_the_book({n: w.double() for n, w in weights.items()}, x)
    expected = expected.sigmoid() if head == "sigmoid" else expected
    assert float(expected.std()) > 0.05
    result = network.double().eval()(x)
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-6)


def test_state_dict_is_the_published_one():
    made = UNet(7, 3, 32).state_dict()
    wanted = published(7, 3, 32)
    assert {n: tuple(w.shape) for n, w in made.items()} == {
        n: tuple(w.shape) for n, w in wanted.items()
    }


def refused(path, network=None):
    """The text of the refusal; the network must be as it was."""
    network = network or UNet(7, 3, 2)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(WeightsFileError) as caught:
        load_published(path, network)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def saved(tmp_path, content):
    path = tmp_path / "best.pt"
    torch.save(content, path)
    return path


def test_refuses_another_width(tmp_path):
    assert "width" in refused(saved(tmp_path, published(7, 3, 4)))


def test_refuses_the_sampler_as_reconstructor(tmp_path):
    text = refused(saved(tmp_path, published(6, 9, 2)))
    assert "encoder1.enc1conv1.weight is (2, 6, 3, 3)" in text


def test_refuses_a_missing_and_an_unknown_layer(tmp_path):
    weights = published(7, 3, 2)
    kept = weights.pop("conv.bias")
    assert "lacks conv.bias" in refused(saved(tmp_path, weights))
    weights |= {"conv.bias": kept, "conv.scale": kept}
    assert "unknown conv.scale" in refused(saved(tmp_path, weights))
    others = {f"layer{n}.weight": torch.zeros(1) for n in range(9)}
    assert "lacks" in refused(saved(tmp_path, others))


def test_refuses_weights_that_are_not_finite(tmp_path):
    weights = published(7, 3, 2)
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
    path = saved(tmp_path, published(7, 3, 2))
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
