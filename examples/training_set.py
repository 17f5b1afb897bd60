"""A training set of raw files and pictures: python examples/training_set.py [FOLDER]

Writes demo-output/training_set/, the set, and demo-output/training_set.png: sixteen of its crops,
sRGB with raw below it, encoded for display. Without FOLDER it takes the sample that comes with the
package.
"""

import sys
from pathlib import Path

import torch

from isp_meta.data import sample_path
from isp_meta.io import encode_png
from isp_meta.stages import srgb_encode
from isp_meta.training import CropDataset, prepare

folder = Path("demo-output")
folder.mkdir(exist_ok=True)
made = prepare(
    sys.argv[1] if len(sys.argv) > 1 else sample_path(),
    folder / "training_set",
    renderings=4,
    crop=160,
    crops=6,
    overwrite=True,
)
print(f"{made.crops['train']} crops, {made.size / 1e6:.0f} MB, skipped: {dict(made.skipped)}")

crops = CropDataset(made.folder, crop=128, seed=1)
items = [crops[place] for place in crops.batch_indices(step=0, batch=16)]
columns = [torch.cat([item["srgb"], srgb_encode(item["raw"])], 1) for item in items]
rows = [torch.cat(columns[start : start + 8], 2) for start in (0, 8)]
(folder / "training_set.png").write_bytes(encode_png(torch.cat(rows, 1)))
print(folder / "training_set.png")
