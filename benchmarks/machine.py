"""What the figures were measured on: python benchmarks/machine.py"""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import torch

import isp_meta


def machine(device: str = "cpu") -> dict[str, str | float]:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    gpu = {"gpu": torch.cuda.get_device_name()} if device == "cuda" else {}
    return {
        **gpu,
        "machine": platform.node(),
        "cpu": names[0] if names else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "isp_meta": isp_meta.__version__,
        "load": os.getloadavg()[0],
    }


def describe(values: dict[str, str | float]) -> str:
    """One line, and a warning where others keep the machine busy."""
    line = (
        f"{values['machine']}: {values.get('gpu', '')} {values['cpu']}, {values['cores']} cores, "
        f"{values['threads']} threads; {values['system']}; Python {values['python']}, "
        f"torch {values['torch']}, isp_meta {values['isp_meta']}"
    )
    if float(values["load"]) > 0.5:
        line += f"\nbusy (load {values['load']:.1f}): the times below are not to be relied on"
    return line


def recorded(values: dict[str, str | float]) -> Path:
    """Where the figures of this processor are kept."""
    name = re.sub(r"[^a-z0-9]+", "-", str(values.get("gpu", values["cpu"])).lower()).strip("-")
    return Path(__file__).resolve().parent / "results" / f"{name}.json"


if __name__ == "__main__":
    print(describe(machine()))
