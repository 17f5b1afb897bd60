import torch

from isp_meta import io, read_raw
from isp_meta.stages import noisy_codes


def test_the_file_holds_the_codes_with_noise(run, make_frame, tmp_path):
    raw = tmp_path / "photo.dng"
    io.write_mosaic(raw, make_frame(40, 60))
    result = run("noise", raw)
    assert result.code == 0
    path = tmp_path / "photo-noisy.dng"
    assert result.out == f"{path}: {path.stat().st_size:,} bytes\n"
    expected = noisy_codes(read_raw(raw), 6000, 3, 0)
    assert torch.equal(read_raw(path).codes, expected.codes)
    assert read_raw(path).camera.noise == expected.camera.noise
    options = "--electrons", "800", "--read", "2.5", "--seed", "7"
    other = tmp_path / "other.dng"
    assert run("noise", raw, *options, "-o", other).code == 0
    assert torch.equal(read_raw(other).codes, noisy_codes(read_raw(raw), 800, 2.5, 7).codes)


def test_wrong_calls_write_nothing(run, make_frame, tmp_path):
    raw = tmp_path / "photo.dng"
    io.write_mosaic(raw, make_frame(40, 60))
    assert run("noise", raw, "--electrons", "2", "--read", "3").failed(2, "--read 3", "2")
    assert sorted(tmp_path.iterdir()) == [raw]
