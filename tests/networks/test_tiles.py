import pytest
import torch
from torch import nn

from isp_meta.networks import UNet, Window, run_tiled
from isp_meta.networks.tiles import tile_windows


def picture(channels, height, width, seed=0):
    return torch.rand(channels, height, width, generator=torch.Generator().manual_seed(seed))


class Blur(nn.Module):
    """Sees 2 pixels far, pools to no grid, and adds how large a picture it was given."""

    halo = 2
    multiple = 1

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 1, 5, padding=2, padding_mode="replicate")
        self.dropout = nn.Dropout(0.5)
        self.sizes = []

    def forward(self, x):
        self.sizes.append(tuple(x.shape[-2:]))
        return self.dropout(self.layer(x))


@pytest.mark.parametrize("tile", [16, 50, 100, 1000])
@pytest.mark.parametrize("size", [(1, 1), (5, 3), (17, 33), (30, 241), (300, 9)])
def test_tiles_of_a_unet_give_the_whole(size, tile, shake):
    network = shake(UNet(3, 2, 2)).eval()
    x = picture(3, *size)
    with torch.no_grad():
        whole = network(x[None])[0]
    tiled = run_tiled(network, x, tile=tile)
    assert tiled.shape == (2, *size)
    torch.testing.assert_close(tiled, whole, rtol=0, atol=2e-5)


def test_a_halo_too_narrow_is_seen_so_that_equality_above_means_something(shake):
    network = shake(UNet(3, 2, 2)).eval()
    x = picture(3, 48, 256)
    whole = run_tiled(network, x)
    narrow = run_tiled(network, x, tile=64, halo=0)
    assert float((narrow - whole).abs().max()) > 0.01
    # Most of what a pixel sees is near: 48 pixels are 10 times nearer to the whole than none.
    wide = run_tiled(network, x, tile=64, halo=48)
    assert float((wide - whole).abs().mean()) < 0.1 * float((narrow - whole).abs().mean())


@pytest.mark.parametrize("tile", [1, 7, 64])
def test_a_network_says_its_own_halo_and_grid(tile):
    torch.manual_seed(0)
    network = Blur().eval()
    x = picture(3, 20, 31)
    with torch.no_grad():
        whole = network(x[None])[0]
    network.sizes.clear()
    torch.testing.assert_close(run_tiled(network, x, tile=tile), whole, rtol=0, atol=1e-6)
    assert max(max(size) for size in network.sizes) <= tile + 4


def test_inputs_may_come_window_by_window_and_never_whole(shake):
    network = shake(UNet(3, 2, 2))
    x = picture(3, 208, 230)
    asked = []

    def read(window):
        asked.append(window.size)
        return window.of(x)

    result = run_tiled(network, read, (208, 230), tile=104, halo=32)
    assert torch.equal(result, run_tiled(network, x, tile=104, halo=32))
    assert len(asked) == 9
    assert max(map(max, asked)) <= 96 + 2 * 32


def test_a_window_alone_is_that_part_of_the_whole(shake):
    network = shake(UNet(3, 2, 2))
    x = picture(3, 150, 260)
    window = Window(33, 71, 129, 250)
    part = run_tiled(network, x, window=window, tile=32)
    assert part.shape == (2, 38, 121)
    torch.testing.assert_close(part, window.of(run_tiled(network, x)), rtol=0, atol=2e-5)


def test_evaluates_without_gradients_and_leaves_every_flag_as_it_was():
    network = Blur().train()
    network.layer.eval()
    x = picture(3, 9, 9).requires_grad_()
    first, second = run_tiled(network, x), run_tiled(network, x)
    assert torch.equal(first, second)  # dropout is off
    assert not first.requires_grad
    assert torch.is_grad_enabled()
    assert [m.training for m in network.modules()] == [True, False, True]
    assert not torch.equal(network(x[None]), network(x[None]))
    network.layer = nn.Conv2d(1, 1, 1)  # does not fit
    with pytest.raises(RuntimeError, match="channels"):
        run_tiled(network, x)
    network.layer.eval()
    assert [m.training for m in network.modules()] == [True, False, True]


def test_batch_norm_statistics_stay(shake):
    network = shake(UNet(3, 2, 2)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    run_tiled(network, picture(3, 40, 40), tile=16)
    assert network.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("make", [Blur, lambda: UNet(3, 1, 4, "sigmoid")], ids=["autocast", "fold"])
def test_computes_in_bfloat16_and_answers_in_float32(make):
    torch.manual_seed(0)
    network = make()
    x = picture(3, 40, 40)
    exact, rough = run_tiled(network, x), run_tiled(network, x, dtype=torch.bfloat16)
    assert rough.dtype == torch.float32
    assert not torch.equal(rough, exact)
    torch.testing.assert_close(rough, exact, rtol=0, atol=0.02)


def test_float64_stays(shake):
    network = shake(UNet(3, 2, 2)).double()
    x = picture(3, 30, 30).double()
    result = run_tiled(network, x, tile=16)
    assert result.dtype == torch.float64
    torch.testing.assert_close(result, network.eval()(x[None])[0].detach(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("side", [1, 5, 16, 33, 1000])
@pytest.mark.parametrize("multiple", [1, 8])
def test_tiles_cover_every_pixel_once(side, multiple):
    window = Window(16, 57, 8, 100)
    hits = torch.zeros(70, 110, dtype=torch.int64)
    for tile in tile_windows(window, side, multiple):
        tile.of(hits).add_(1)
        assert (tile.top - window.top) % multiple == (tile.left - window.left) % multiple == 0
        assert max(tile.size) <= max(side, multiple)
    assert bool((window.of(hits) == 1).all())
    assert int(hits.sum()) == window.size[0] * window.size[1]


def test_windows_grow_to_the_border_and_count_from_one_another():
    window = Window(20, 30, 40, 61)
    assert window.grown(3, (100, 62)) == (17, 33, 37, 62)
    assert window.grown(3, (100, 200), 16) == (16, 48, 32, 64)
    assert window.grown(99, (35, 200)) == (0, 35, 0, 160)
    assert window.within(Window(16, 48, 32, 64)) == (4, 14, 8, 29)
    assert window.size == (10, 21)


@pytest.mark.parametrize(
    "arguments",
    [
        {"tile": 0},
        {"halo": -1},
        {"window": Window(0, 0, 0, 5)},
        {"window": Window(0, 11, 0, 5)},
        {"window": Window(-1, 5, 0, 5)},
        {"window": Window(0, 5, 4, 13)},
    ],
)
def test_refuses_arguments_out_of_range(arguments):
    with pytest.raises(ValueError, match=r"tile|part of a picture"):
        run_tiled(Blur(), picture(3, 10, 12), **arguments)


def test_refuses_a_function_without_a_size():
    with pytest.raises(ValueError, match="size is needed"):
        run_tiled(Blur(), lambda window: window.of(picture(3, 9, 9)))


def test_refuses_a_network_that_changes_the_size():
    with pytest.raises(ValueError, match="the network made"):
        run_tiled(nn.Conv2d(3, 1, 3), picture(3, 10, 12))
