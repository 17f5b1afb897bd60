import json
import shutil

import numpy as np
import pytest
import torch

from isp_meta.errors import TrainingSetError
from isp_meta.training import CropDataset


@pytest.fixture
def folder(crops_folder, tmp_path):
    """A copy that may be damaged."""
    return shutil.copytree(crops_folder, tmp_path / "set")


def shard_of(folder, number=0):
    return folder / json.loads((folder / "manifest.json").read_text())["shards"][number]["file"]


def same(one, other):
    return torch.equal(one["srgb"], other["srgb"]) and torch.equal(one["raw"], other["raw"])


# --- items


def test_items_are_pairs_of_srgb_and_raw(crops_folder):
    crops = CropDataset(crops_folder, crop=12)
    assert len(crops) == 3 * 3 * 5
    for index in range(len(crops)):
        item = crops[index]
        assert set(item) == {"srgb", "raw"}
        for picture in item.values():
            assert (picture.shape, picture.dtype) == ((3, 12, 12), torch.float32)
            assert 0 <= picture.min() < picture.max() <= 1


def test_the_stored_values_come_back_to_the_last_bit(crops_folder):
    crops = CropDataset(crops_folder, crop=16, augment=False)
    stored = np.load(shard_of(crops_folder))
    for index, crop in enumerate(stored):
        pair = torch.cat([crops[index]["srgb"], crops[index]["raw"]])
        assert torch.equal((pair.double() * 65535).round(), torch.from_numpy(crop.astype(float)))


def test_without_augmentation_an_item_is_the_middle(crops_folder):
    whole = CropDataset(crops_folder, crop=16, augment=False)[3]
    middle = CropDataset(crops_folder, crop=10, augment=False)[(5, 3)]
    assert torch.equal(middle["raw"], whole["raw"][:, 3:13, 3:13])
    assert torch.equal(middle["srgb"], whole["srgb"][:, 3:13, 3:13])


def test_augmentation_cuts_flips_and_transposes_both_alike(crops_folder):
    whole = CropDataset(crops_folder, crop=16, augment=False)[7]
    crops = CropDataset(crops_folder, crop=15)
    found = set()
    for epoch in range(400):
        item = crops[(epoch, 7)]
        places = [
            (top, left, transpose, rows, columns)
            for top in range(2)
            for left in range(2)
            for transpose in range(2)
            for rows in range(2)
            for columns in range(2)
            if same(item, turned(whole, top, left, transpose, rows, columns))
        ]
        assert len(places) == 1
        found.add(places[0])
    assert len(found) == 32


def turned(item, top, left, transpose, rows, columns):
    def turn(picture):
        cut = picture[:, top : top + 15, left : left + 15]
        cut = cut.mT if transpose else cut
        return cut.flip([1] * rows + [2] * columns)

    return {name: turn(picture) for name, picture in item.items()}


def test_an_item_depends_on_seed_epoch_and_index_alone(crops_folder):
    first, second = CropDataset(crops_folder, crop=8), CropDataset(crops_folder, crop=8)
    for index in reversed(range(len(second))):
        second[(3, index)]
    assert all(same(first[(2, index)], second[(2, index)]) for index in range(len(first)))
    assert same(first[4], first[(0, 4)])
    other = CropDataset(crops_folder, crop=8, seed=1)
    assert not all(same(first[index], other[index]) for index in range(len(first)))
    assert not all(same(first[(0, index)], first[(1, index)]) for index in range(len(first)))


def test_indices_out_of_range(crops_folder):
    crops = CropDataset(crops_folder, "val", crop=8)
    for index in (-1, len(crops)):
        with pytest.raises(IndexError, match="among 15"):
            crops[index]


# --- order


def test_every_epoch_visits_each_crop_once_in_an_order_of_its_own(crops_folder):
    crops = CropDataset(crops_folder, crop=8)
    n = len(crops)
    visited = [place for step in range(2 * n // 9) for place in crops.batch_indices(step, 9)]
    assert [epoch for epoch, _ in visited] == [0] * n + [1] * n
    orders = [[index for epoch, index in visited if epoch == e] for e in (0, 1)]
    assert [sorted(order) for order in orders] == [list(range(n))] * 2
    assert orders[0] != orders[1] != list(range(n))
    assert orders[0] == crops.order(0).tolist()
    assert CropDataset(crops_folder, crop=8, seed=1).order(0).tolist() != orders[0]


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_processes_share_one_batch_out(crops_folder, world_size):
    crops = CropDataset(crops_folder, crop=8)
    for step in (0, 7, 1000):
        whole = crops.batch_indices(step, 8)
        parts = [crops.batch_indices(step, 8, world_size, rank) for rank in range(world_size)]
        assert [part[i] for i in range(8 // world_size) for part in parts] == whole


def test_a_batch_may_lie_across_epochs_or_hold_several(crops_folder):
    crops = CropDataset(crops_folder, "val", crop=8)
    assert [epoch for epoch, _ in crops.batch_indices(1, 10)] == [0] * 5 + [1] * 5
    assert {epoch for epoch, _ in crops.batch_indices(0, 64)} == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(
    "arguments", [(-1, 4), (0, 0), (0, 3, 2), (0, 4, 2, 2), (0, 4, 2, -1), (0, 4, 0, 0)]
)
def test_batches_that_cannot_be(crops_folder, arguments):
    with pytest.raises(ValueError, match="batch"):
        CropDataset(crops_folder, crop=8).batch_indices(*arguments)


# --- damage


def test_a_shard_that_is_missing_or_cut_off(folder):
    shard = shard_of(folder)
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(TrainingSetError, match=f"{shard.name}: has .* bytes in place of"):
        CropDataset(folder, crop=8)
    shard.unlink()
    with pytest.raises(TrainingSetError, match=f"{shard.name}: missing"):
        CropDataset(folder, crop=8)


def test_a_shard_that_is_something_else(folder):
    crops, shard = CropDataset(folder, crop=8), shard_of(folder)
    size = shard.stat().st_size
    for data in (b"nothing".ljust(size), np_bytes(np.zeros((15, 6, 16, 16), np.int16))):
        shard.write_bytes(data)
        with pytest.raises(TrainingSetError, match=shard.name):
            crops[0]


def np_bytes(array):
    from io import BytesIO

    buffer = BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"version": 2}, "version 2, this reads version 1"),
        ({"format": "something"}, "no manifest of a training set"),
        ({"shards": None}, "damaged"),
        ({"shards": [{"file": "a"}]}, "damaged"),
        ({"crop": "x"}, "damaged"),
        ({"crop": 0}, "damaged"),
        ({"crop": 17}, "has .* bytes in place of"),
    ],
)
def test_a_manifest_that_makes_no_sense(folder, changes, text):
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(TrainingSetError, match=text):
        CropDataset(folder, crop=8)


@pytest.mark.parametrize(
    "changes",
    [
        {"file": "../outside.npy"},
        {"file": "/etc/passwd"},
        {"crops": 0},
        {"crops": "3"},
        {"crops": 10**9},
        {"split": "test"},
        {"size": 1},
        {"more": 1},
    ],
)
def test_a_shard_row_that_makes_no_sense(folder, changes):
    path = folder / "manifest.json"
    whole = json.loads(path.read_text())
    whole["shards"][0].update(changes)
    path.write_text(json.dumps(whole))
    with pytest.raises(TrainingSetError):
        CropDataset(folder, crop=8)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff" * 9, b"[" * 100_000])
def test_a_manifest_of_hostile_bytes(folder, data):
    (folder / "manifest.json").write_bytes(data)
    with pytest.raises(TrainingSetError, match=r"manifest\.json"):
        CropDataset(folder)


def test_arguments_out_of_range(crops_folder, tmp_path):
    for crop in (0, 17):
        with pytest.raises(ValueError, match="crop must be 1 to 16"):
            CropDataset(crops_folder, crop=crop)
    with pytest.raises(ValueError, match="split must be"):
        CropDataset(crops_folder, "test", crop=8)
    with pytest.raises(TrainingSetError, match=r"manifest\.json: there is no such file"):
        CropDataset(tmp_path, crop=8)


def test_a_split_without_crops(folder):
    path = folder / "manifest.json"
    whole = json.loads(path.read_text())
    whole["shards"] = [shard for shard in whole["shards"] if shard["split"] == "train"]
    path.write_text(json.dumps(whole))
    with pytest.raises(TrainingSetError, match="no crops for val"):
        CropDataset(folder, "val", crop=8)
