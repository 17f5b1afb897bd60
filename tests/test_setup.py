"""The native build: which CUDA compilers it takes, and which PyTorch it can be built against."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# All that csrc takes from PyTorch's headers, looked up in those of the oldest release promised.
OLDEST_TORCH = "2.10"
NAMES = {
    *("AOTITorchError", "AOTI_TORCH_SUCCESS", "aoti_torch_get_current_cuda_stream"),
    *("STABLE_TORCH_LIBRARY_FRAGMENT", "STABLE_TORCH_LIBRARY_IMPL", "TORCH_BOX"),
    *("STD_TORCH_CHECK", "torch::headeronly::ScalarType"),
    *("torch::stable::Tensor", "torch::stable::contiguous", "torch::stable::new_empty"),
    *("torch::stable::parallel_for",),
}


def described(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What setup.py says when it is asked for no more than a name."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["setup.py", "--name"])
    runpy.run_path("setup.py", run_name="__main__")
    return capsys.readouterr().out


def old_nvcc(folder: Path, generations: str, standard: str) -> None:
    """A compiler that knows some generations, and C++ up to a standard."""
    program = folder / "bin" / "nvcc"
    program.parent.mkdir()
    program.write_text(
        f"#!/bin/sh\ncase $1 in\n--list-gpu-arch) printf '%s\\n' {generations} ;;\n"
        f"-std={standard}|--dryrun) echo '#$ LIBRARIES=\"-L/nowhere\"' >&2 ;;\n"
        "*) exit 1 ;;\nesac\n",
        encoding="utf-8",
    )
    program.chmod(0o755)


class TestOldCompilers:
    def test_one_without_the_newest_generation_builds_for_the_others(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        old_nvcc(tmp_path, "compute_80 compute_90", "c++20")
        monkeypatch.setenv("CUDA_HOME", str(tmp_path))
        monkeypatch.delenv("ISP_META_CUDA", raising=False)
        said = described(monkeypatch, capsys)
        assert f"built by {tmp_path}/bin/nvcc for sm_80, sm_90\n" in said

    @pytest.mark.parametrize("wish", ["", "1"])
    def test_one_without_the_standard_is_named_and_left_out(
        self,
        wish: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        old_nvcc(tmp_path, "compute_80 compute_90", "c++17")
        monkeypatch.setenv("CUDA_HOME", str(tmp_path))
        monkeypatch.setenv("ISP_META_CUDA", wish)
        if wish:
            with pytest.raises(SystemExit, match=f"{tmp_path}/bin/nvcc is too old"):
                described(monkeypatch, capsys)
        else:
            said = described(monkeypatch, capsys)
            assert f"left out ({tmp_path}/bin/nvcc is too old" in said


def test_what_is_taken_from_pytorch_is_in_the_oldest_promised() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'"torch>={OLDEST_TORCH}"' in project, "look NAMES up in the headers of that release"
    taken = set()
    for path in sorted((ROOT / "csrc").rglob("*.[hc]*")):
        text = re.sub(r"//.*", "", path.read_text(encoding="utf-8"))
        taken |= set(re.findall(r"torch::(?:stable|headeronly)::\w+", text))
        taken |= set(re.findall(r"\b(?:AOTI|aoti_|STABLE_|STD_TORCH|TORCH_)\w+", text))
    assert taken == NAMES
