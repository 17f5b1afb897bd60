"""What a picture carries and how near recovery comes, as plots: python examples/plots.py

Writes demo-output/plots.png; takes matplotlib (pip install 'isp-meta[plot]').
"""

from pathlib import Path

from matplotlib.figure import Figure

import isp_meta
from isp_meta.comparison import compare
from isp_meta.data import sample_path
from isp_meta.pictures import part_of, plot
from isp_meta.registration import upright

folder = Path("demo-output")
folder.mkdir(exist_ok=True)
isp_meta.embed(sample_path(), folder / "plots.jpg", overwrite=True)
carried = isp_meta.read_metadata(folder / "plots.jpg")
frame = isp_meta.recover(carried)
figures, recovered, truth = compare(sample_path(), carried, estimate=frame)

figure = Figure(figsize=(12, 9), layout="constrained")
(picture, part), (error, _) = places = figure.subplots(2, 2)
figure.suptitle(f"{figures.bits_per_pixel:.3f} bits a pixel, {figures.psnr:.2f} dB")
plot.sampling_map(frame, picture)
plot.superpixels(part_of(frame, slice(384, 528), slice(640, 832)), part)
orientation = frame.camera.orientation
plot.error_map(upright(recovered, orientation), upright(truth, orientation), error)
places[1, 1].hist(recovered.flatten(1).T.numpy(), 64, histtype="step", color=["r", "g", "b"])
places[1, 1].set_title("recovered raw")
places[1, 1].set_yscale("log")
figure.savefig(folder / "plots.png")
print(folder / "plots.png")
