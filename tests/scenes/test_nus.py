import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
import scipy.io

from isp_meta import io, presets
from isp_meta.errors import ImageFileError, OutputError
from isp_meta.scenes import read_scene
from isp_meta.scenes.nus import PAPER_CAMERAS, lay_out_nus
from isp_meta.training import prepare

SONY = PAPER_CAMERAS[2]
SETTINGS = {"cameras": [SONY], "shrink": 2}


@pytest.fixture
def download(tmp_path, make_frame):
    """Ten raw files of one camera as the set names them, one of them damaged, and its .mat."""
    folder = tmp_path / "download" / "SonyA57_RAW"
    folder.mkdir(parents=True)
    names = [f"SonyA57_{number:04d}" for number in range(1, 11)]
    for seed, name in enumerate(names):
        frame = make_frame(66, 104, seed=seed)
        raw = presets.minimal()(frame).raw
        io.write_dng(folder / f"{name}.dng", frame.replace(raw=raw))
    (folder / f"{names[4]}.dng").write_bytes(b"II*\0damaged")
    (folder / "Canon600D_0001.dng").write_bytes(b"of another camera")
    (folder / "SonyA57_0001_mask.txt").write_text("1,2,3,4")
    colors = np.linspace([0.3, 0.8, 0.4], [0.6, 0.7, 0.5], 10)
    truth = {
        "groundtruth_illuminants": colors,
        "all_image_names": np.array([[name] for name in names], dtype=object),
    }
    scipy.io.savemat(folder.parent / "SonyA57_gt.mat", truth)
    return folder.parent


def laid_out(folder):
    return {path.stem: path for path in folder.rglob("*.tif")}


def test_the_layout_is_what_prepare_reads(download, tmp_path):
    out = tmp_path / "nus"
    seen = []
    skipped = lay_out_nus(download, out, **SETTINGS, shares=(0.2, 0.3), progress=seen.append)
    assert seen == [f"SonyA57_{number:04d}" for number in range(1, 11)]
    assert list(skipped) == ["SonyA57_0005"]
    made = laid_out(out)
    assert len(made) == 9
    counts = [
        len(list((out / "SonyA57" / part).glob("*.tif"))) for part in ("train", "val", "test")
    ]
    lacking = [5 - counts[0], 2 - counts[1], 3 - counts[2]]
    assert sorted(lacking) == [0, 0, 1]
    frame = read_scene(made["SonyA57_0001"])
    assert frame.raw.shape == (3, 32, 48)
    assert frame.camera.as_shot_neutral == pytest.approx((0.3 / 0.8, 1.0, 0.5))
    assert frame.camera.color_matrix == io.known_camera("SONY", "SLT-A57").color_matrix
    whole = read_scene(download / "SonyA57_RAW" / "SonyA57_0001.dng", shrink=2).raw
    assert whole.shape == (3, 33, 52)
    assert frame.raw == pytest.approx(whole[:, :32, 2:50], abs=0.51 / 65535)
    parts = [out / "SonyA57" / part for part in ("train", "val")]
    prepared = prepare(parts, tmp_path / "set", renderings=1, crop=16, crops=1, val=["val/*"])
    assert prepared.scenes == {"train": counts[0], "val": counts[1]}


def test_a_picture_is_cut_to_the_size_of_the_paper(download, tmp_path):
    small = [dataclasses.replace(SONY, height=16, width=32)]
    lay_out_nus(download, tmp_path / "nus", cameras=small, shrink=2)
    assert {read_scene(p).raw.shape for p in laid_out(tmp_path / "nus").values()} == {(3, 16, 32)}


def test_the_split_is_repeatable_and_may_be_given(download, tmp_path):
    def parts(out, **settings):
        lay_out_nus(download, tmp_path / out, **SETTINGS, **settings)
        return {name: path.parent.name for name, path in laid_out(tmp_path / out).items()}

    assert parts("a") == parts("b")
    assert parts("a") != parts("c", seed=1)
    given = {"train": ["SonyA57_0002"], "test": ["SonyA57_0001", "SonyA57_0005", "missing"]}
    assert parts("d", split=given) == {"SonyA57_0002": "train", "SonyA57_0001": "test"}


def test_without_ground_truth_the_camera_is_believed(download, tmp_path):
    (download / "SonyA57_gt.mat").unlink()
    lay_out_nus(download, tmp_path / "nus", **SETTINGS)
    path = laid_out(tmp_path / "nus")["SonyA57_0001"]
    assert json.loads(path.with_suffix(".json").read_text())["illuminant"] == "as shot"
    assert read_scene(path).camera.as_shot_neutral == pytest.approx((0.5, 1.0, 0.625), abs=1e-4)


def test_an_interrupted_run_goes_on(download, tmp_path):
    lay_out_nus(download, tmp_path / "nus", **SETTINGS)
    made = laid_out(tmp_path / "nus")
    made["SonyA57_0001"].write_bytes(b"kept")
    made["SonyA57_0002"].unlink()
    lay_out_nus(download, tmp_path / "nus", **SETTINGS)
    assert laid_out(tmp_path / "nus") == made
    assert made["SonyA57_0001"].read_bytes() == b"kept"


@pytest.mark.parametrize("data", [b"", b"nothing", b"MATLAB 5.0 MAT-file".ljust(200)])
def test_damaged_ground_truth_is_refused(download, tmp_path, data):
    (download / "SonyA57_gt.mat").write_bytes(data)
    with pytest.raises(ImageFileError, match=r"SonyA57_gt\.mat: damaged"):
        lay_out_nus(download, tmp_path / "nus", **SETTINGS)


def test_wrong_calls(download, tmp_path):
    with pytest.raises(ImageFileError, match=r"no raw files SamsungNX2000_\*"):
        lay_out_nus(download, tmp_path / "nus")
    for shares in ((-0.1, 0.1), (0.5, 0.5)):
        with pytest.raises(ValueError, match="shares"):
            lay_out_nus(download, tmp_path / "nus", shares=shares)
    with pytest.raises(ValueError, match="keys"):
        lay_out_nus(download, tmp_path / "nus", split={"Train": []})
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="cannot write"):
        lay_out_nus(download, tmp_path / "file", **SETTINGS)


def test_the_program_says_what_is_wrong_in_one_line(tmp_path):
    command = [sys.executable, "-m", "isp_meta.scenes.nus", tmp_path, tmp_path / "nus"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
