import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from one_of_several import CASES, train
from small_crops import small_config

from isp_meta.errors import TrainingError
from isp_meta.training import Trainer, checkpoint, distributed
from isp_meta.training.systems import build

WORKER = Path(__file__).with_name("one_of_several.py")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """What two processes made, and what one made meanwhile."""
    two, one = tmp_path_factory.mktemp("two"), tmp_path_factory.mktemp("one")
    port = str(free_port())
    workers = []
    for rank in "01":
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2"}
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GLOO_SOCKET_IFNAME": "lo"}
        environment = {**os.environ, **place, **meeting, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-W", "error", str(WORKER), str(two)]
        pipes = {"stderr": subprocess.PIPE, "text": True}
        workers.append(subprocess.Popen(command, env=environment, **pipes))
    try:
        for case in CASES:
            train(one, case)
        for worker in workers:
            _, complaint = worker.communicate(timeout=300)
            assert worker.returncode == 0, complaint
    finally:
        for worker in workers:
            worker.kill()
    return two, one


def log(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("case", CASES)
def test_two_processes_do_what_one_does(folders, case):
    two, one = (checkpoint.load(folder / case / "last.pt") for folder in folders)
    assert two["step"] == one["step"] == 4
    for part in ("networks", "average"):
        assert two[part].keys() == one[part].keys()
        for name, value in two[part].items():
            difference = torch.as_tensor(value - one[part][name]).abs().max()
            assert difference < 1e-9, (part, name)
    lines = [*zip(*(log(folder / case) for folder in folders), strict=True)]
    assert len(lines) == 4 + 2
    for left, right in lines:
        assert left.keys() == right.keys()
        for name in left.keys() - {"seconds"}:
            assert left[name] == pytest.approx(right[name], rel=1e-6, abs=1e-9)


def test_a_signal_to_one_stops_all_after_the_same_step(folders):
    told = {(folders[0] / f"interrupted-{rank}").read_text() for rank in "01"}
    assert len(told) == 1
    number, step = map(int, told.pop().split())
    assert number == signal.SIGTERM
    assert checkpoint.load(folders[0] / "interrupted" / "last.pt")["step"] == step


def test_what_cannot_be_shared_out_is_refused(monkeypatch, tmp_path):
    def refused(**sections):
        config = small_config(tmp_path, **sections)
        with pytest.raises(TrainingError) as error:
            Trainer(*build(config), config)
        return str(error.value)

    monkeypatch.setattr("isp_meta.training.trainer.world_size", lambda: 3)
    assert refused() == "[run] batch: 4 is no multiple of 3 processes"
    sections = {"run": {"batch": 6}, "meta": {"pictures": 4}}
    assert refused(**sections) == "[meta] pictures: 4 is no multiple of 3 processes"


def test_one_process_alone_needs_no_group():
    assert (distributed.world_size(), distributed.rank()) == (1, 0)
    values = [torch.ones(2), torch.zeros(())]
    distributed.sum_over_processes(values)
    assert values[0].tolist() == [1, 1]
    with distributed.processes("cpu") as device:
        assert device == torch.device("cpu")
        distributed.barrier()
    assert not torch.distributed.is_initialized()
