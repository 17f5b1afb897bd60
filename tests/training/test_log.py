import json

import pytest

from isp_meta.errors import OutputError
from isp_meta.training.log import JsonLog


def test_a_line_for_each_record(tmp_path):
    path = tmp_path / "log.jsonl"
    log = JsonLog(path)
    log({"step": 1, "loss": 0.5})
    assert path.read_text() == '{"step": 1, "loss": 0.5}\n'
    log({"step": 2, "psnr": float("inf"), "loss": float("nan")})
    assert json.loads(path.read_text().splitlines()[1]) == {"step": 2, "psnr": None, "loss": None}


def test_going_on_drops_what_will_come_again(tmp_path):
    path = tmp_path / "log.jsonl"
    lines = ['{"step": 1}\n', '{"step": 2}\n', "[]\n", "{}\n", '{"step": 3}\n', '{"step": 1']
    path.write_text("".join(lines))
    JsonLog(path, step=2)({"step": 3})
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n{"step": 3}\n'
    JsonLog(path)
    assert path.read_text() == ""


def test_a_missing_folder(tmp_path):
    with pytest.raises(OutputError, match="folder does not exist"):
        JsonLog(tmp_path / "none" / "log.jsonl")
