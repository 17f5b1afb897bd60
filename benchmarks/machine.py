"""What the figures were measured on: python benchmarks/machine.py"""

from __future__ import annotations

import os
import platform
import re
import resource
import time
from pathlib import Path

import torch

import isp_meta


class Others:
    """What processes other than this one and its children use of the machine from here on."""

    MOST = 0.1

    def __init__(self) -> None:
        self._clock, self._busy, self._own = self._now()

    def cores(self) -> float:
        """Mean of cores; what a hypervisor took away counts."""
        clock, busy, own = self._now()
        passed = clock - self._clock
        return max(0.0, (busy - self._busy) - (own - self._own)) / passed if passed else 0.0

    def busy(self) -> bool:
        """Whether figures measured meanwhile are not worth keeping."""
        return self.cores() > self.MOST

    @staticmethod
    def _now() -> tuple[float, float, float]:
        """Seconds by the clock, of all cores at work, and of them in this process and children."""
        fields = Path("/proc/stat").read_text(encoding="ascii").split(maxsplit=11)[1:9]
        user, nice, system, _idle, _waiting, *interrupted = map(int, fields)
        total = (user + nice + system + sum(interrupted)) / os.sysconf("SC_CLK_TCK")
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return time.monotonic(), total, sum(u.ru_utime + u.ru_stime for u in used)


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
