"""A whole tree to JPEGs that carry their raw, and back: python examples/batch.py

Writes into demo-output/batch/. The tree is two copies of the sample that comes with the package.
"""

import shutil
from pathlib import Path

from isp_meta import CaptureOptions, batch
from isp_meta.data import sample_path

folder = Path("demo-output/batch")


def show(row: batch.Row | None, summary: batch.Summary) -> None:
    """Called before the first file, and after each of them."""
    if row is not None:
        print(f"{row.name}: {row.status} in {row.seconds:.1f} s; {summary.rate:.2f} MP/s so far")


# Processes begin by loading this file; only the first of them is to start a batch.
if __name__ == "__main__":
    for name in ("first", "second"):
        (folder / "raw" / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(sample_path(), folder / "raw" / name / f"{name}.dng")
    small = batch.Embed(CaptureOptions(sampler="uniform", effort=0))
    batch.run(small, folder / "raw", folder / "jpeg", jobs=2, report=show)
    again = batch.run(small, folder / "raw", folder / "jpeg", jobs=2)
    print(f"once more: {again.done} done, {again.skipped} skipped")
    back = batch.run(batch.Recover(), folder / "jpeg", folder / "recovered", jobs=2, report=show)
    assert back.failed == 0
