"""A denoiser trained through random cameras: python examples/train_denoiser.py [RAW] [--steps N]

Two small networks see the same raw crops with the same noise for the same number of steps: one
through a camera that is always the same, one through another camera for every picture. Both are
then tried behind cameras that neither has seen, on a part of the photograph that neither has seen.
Writes demo-output/train_denoiser.png: noisy, trained on one camera, on many, without noise.
"""

import argparse
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from isp_meta import Frame, Pipeline, presets, read_raw
from isp_meta.data import sample_path
from isp_meta.io.image import to_uint8
from isp_meta.metrics import psnr
from isp_meta.stages import BlackLevel, SensorNoise

CROP, BATCH = 64, 16


class RawCrops(Dataset[Tensor]):
    """Crops of a mosaic, (1, CROP, CROP) each, at even places: the pattern stays the same."""

    def __init__(self, mosaic: Tensor, number: int) -> None:
        self.mosaic, self.number = mosaic, number

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, index: int) -> Tensor:
        generator = torch.Generator().manual_seed(index)
        height, width = self.mosaic.shape[1:]
        top, left = (
            2 * int(torch.randint((size - CROP) // 2, (), generator=generator))
            for size in (height, width)
        )
        return self.mosaic[:, top : top + CROP, left : left + CROP]


class Denoiser(nn.Module):
    """Four convolutions that find the noise."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 3, 3, padding=1),
        )

    def forward(self, srgb: Tensor) -> Tensor:
        """(N, 3, H, W) with noise to the same without."""
        return srgb - self.layers(srgb)


def pairs(camera: Pipeline, frame: Frame, noise: SensorNoise) -> tuple[Tensor, Tensor]:
    """What the camera makes of a mosaic with noise, and of the same without."""
    with torch.no_grad():
        return camera(noise(frame)).srgb, camera(frame).srgb


def main() -> None:
    """Trains both, tries both."""
    parser = argparse.ArgumentParser(description="A denoiser trained through random cameras.")
    parser.add_argument("raw", type=Path, nargs="?", default=sample_path())
    parser.add_argument("--steps", type=int, default=120)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    frame = BlackLevel()(read_raw(arguments.raw))
    width = frame.mosaic.shape[2] * 3 // 8 * 2
    seen, unseen = frame.mosaic[..., :width], frame.mosaic[..., width:]

    def mosaics(batch: Tensor) -> Frame:
        return Frame(frame.camera, mosaic=batch)

    noise = SensorNoise(shot=2e-3, read=1e-5)
    fixed = presets.minimal()[1:]
    trained = {}
    for name in ("one camera", "random cameras"):
        torch.manual_seed(1)
        network = Denoiser()
        optimizer = torch.optim.Adam(network.parameters(), 2e-3)
        crops = DataLoader(RawCrops(seen, arguments.steps * BATCH), BATCH)
        for step, batch in enumerate(crops):
            camera = fixed if name == "one camera" else presets.random(pictures=len(batch))[1:]
            noisy, clean = pairs(camera, mosaics(batch), noise)
            loss = (network(noisy) - clean).abs().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % 50 == 0:
                print(f"{name}, step {step}: loss {loss.item():.4f}")
        trained[name] = network.eval()

    torch.manual_seed(2)
    held = RawCrops(unseen, 32)
    batch = torch.stack([held[index] for index in range(len(held))])
    tests = {"the one camera": fixed, "cameras never seen": presets.random(pictures=32)[1:]}
    print(f"{'PSNR in dB behind':22}{'noisy':>16}" + "".join(f"{name:>16}" for name in trained))
    for name, camera in tests.items():
        noisy, clean = pairs(camera, mosaics(batch), noise)
        with torch.no_grad():
            found = [noisy, *(network(noisy).clamp(0, 1) for network in trained.values())]
        print(f"{name:22}" + "".join(f"{psnr(picture, clean):16.2f}" for picture in found))
    shown = torch.cat([torch.cat(list(p[:6]), 1) for p in (*found, clean)], 2)
    target = Path("demo-output/train_denoiser.png")
    target.parent.mkdir(exist_ok=True)
    Image.fromarray(to_uint8(shown).movedim(0, -1).numpy()).save(target)
    print(target)


if __name__ == "__main__":
    main()
