"""What editors leave of the metadata: every tool at hand, on every place that can carry it.

    python benchmarks/survival.py [--record NAME]

Embeds the sample into a JPEG, PNG and TIFF, lets each tool write the picture anew under its own
name, and asks what ``isp-meta verify`` would say. ``--record`` writes the table to
benchmarks/results/survival/NAME.json; docs/carriers.md shows debian-12.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

sys.path.append(str(Path(__file__).parents[1] / "scripts"))
from programs import EXIFTOOL, EXIV2, IMAGEMAGICK, JPEGTRAN, Program

import isp_meta
from isp_meta.carriers.sidecar import sidecar_path
from isp_meta.data import sample_path
from isp_meta.errors import CarrierError, PayloadCorrupt, PayloadMissing

RESULTS = Path(__file__).parent / "results" / "survival"

# A part of the sample, with a fine enhancement: soon made, and a payload of several segments, as
# that of a whole photograph.
HEIGHT, WIDTH = 512, 768
SAMPLER, STEP = isp_meta.samplers.UniformSampler(4), 1 / 1024
CARRIERS = {
    "app11": ("JPEG, APP11", ".jpg"),
    "com": ("JPEG, comments", ".jpg"),
    "chunk": ("PNG, chunk", ".png"),
    "tag": ("TIFF, tag", ".tif"),
    "sidecar": ("sidecar", ".jpg"),
}
NOT_FOR_IT = "–"


@dataclass(frozen=True)
class Tool:
    """One way in which a picture is written anew.

    Attributes:
        name: in the table.
        program: what must be installed; None for what Python brings.
        command: its arguments, SOURCE and TARGET standing for the files; without TARGET it changes
            SOURCE itself. Without a program, a function of both.
        only: endings that it can do; all where empty.
    """

    name: str
    program: Program | None
    command: Sequence[str] | Callable[[Path, Path], None]
    only: tuple[str, ...] = ()

    @property
    def is_here(self) -> bool:
        """Whether it can run on this machine."""
        return self.program is None or self.program.find() is not None

    def run(self, source: Path, target: Path) -> None:
        """Writes the source anew, as target."""
        if self.program is None:
            self.command(source, target)
            return
        if "TARGET" not in self.command:
            shutil.copy(source, target)
            source = target
        files = {"SOURCE": str(source), "TARGET": str(target)}
        arguments = [files.get(argument, argument) for argument in self.command]
        subprocess.run([self.program.path(), *arguments], check=True, capture_output=True)


def save_by_pillow(source: Path, target: Path) -> None:
    with Image.open(source) as picture:
        picture.save(target)


def save_by_pillow_with_exif(source: Path, target: Path) -> None:
    with Image.open(source) as picture:
        picture.save(target, exif=picture.getexif())


JPEG = (".jpg",)
TRANSFORM = ("-outfile", "TARGET", "SOURCE")
TOOLS = (
    Tool("copied, renamed or sent alone", None, lambda source, target: shutil.copy(source, target)),
    Tool("exiftool: a tag set", EXIFTOOL, ("-Artist=Somebody", "-o", "TARGET", "SOURCE")),
    Tool("exiv2: a tag set", EXIV2, ("-M", "set Exif.Image.Artist Somebody", "SOURCE")),
    Tool("jpegtran -copy all -optimize", JPEGTRAN, ("-copy", "all", "-optimize", *TRANSFORM), JPEG),
    Tool(
        "jpegtran -copy all -progressive",
        JPEGTRAN,
        ("-copy", "all", "-progressive", *TRANSFORM),
        JPEG,
    ),
    Tool(
        "jpegtran -copy all -rotate 90",
        JPEGTRAN,
        ("-copy", "all", "-rotate", "90", *TRANSFORM),
        JPEG,
    ),
    Tool("ImageMagick: encoded again", IMAGEMAGICK, ("SOURCE", "-quality", "85", "TARGET")),
    Tool("ImageMagick: resized", IMAGEMAGICK, ("SOURCE", "-resize", "50%", "TARGET")),
    Tool(
        "ImageMagick: a corner painted over",
        IMAGEMAGICK,
        ("SOURCE", "-draw", "rectangle 0,0 100,100", "-quality", "95", "TARGET"),
    ),
    Tool("Pillow: saved with its EXIF", None, save_by_pillow_with_exif),
    Tool("Pillow: saved", None, save_by_pillow),
    Tool("exiftool -all=", EXIFTOOL, ("-all=", "-o", "TARGET", "SOURCE")),
    Tool("jpegtran -copy none", JPEGTRAN, ("-copy", "none", *TRANSFORM), JPEG),
    Tool("ImageMagick -strip", IMAGEMAGICK, ("SOURCE", "-strip", "TARGET")),
)
RENAMED = TOOLS[0]


def embed_all(folder: Path) -> dict[str, Path]:
    """The sample in every carrier: carrier to picture."""
    # Upright, since Pillow turns the pixels of a TIFF whose Orientation is another.
    frame = isp_meta.read_raw(sample_path())
    frame = frame.replace(
        codes=frame.codes[:, :HEIGHT, :WIDTH], camera=frame.camera.replace(orientation=1)
    )
    made = {}
    for carrier, (_, ending) in CARRIERS.items():
        path = folder / f"{carrier}{ending}"
        isp_meta.embed(
            frame, path, isp_meta.CaptureOptions(enhancement=STEP, carrier=carrier), sampler=SAMPLER
        )
        made[carrier] = path
    return made


def outcome(tool: Tool, source: Path, folder: Path) -> str:
    """What is left: a match of the metadata, "lost", "damaged", or that the tool is not for it."""
    if tool.only and source.suffix not in tool.only:
        return NOT_FOR_IT
    with tempfile.TemporaryDirectory(dir=folder) as place:
        target = Path(place) / source.name
        tool.run(source, target)
        beside = sidecar_path(source)
        if beside.exists() and tool is not RENAMED:
            shutil.copy(beside, sidecar_path(target))
        try:
            return isp_meta.read_metadata(target).match
        except PayloadMissing:
            return "lost"
        except (PayloadCorrupt, CarrierError):
            return "damaged"


def measure(folder: Path) -> dict[str, dict[str, str]]:
    """Tool to carrier to outcome, for the tools that are here."""
    made = embed_all(folder)
    return {
        tool.name: {carrier: outcome(tool, path, folder) for carrier, path in made.items()}
        for tool in TOOLS
        if tool.is_here
    }


def table(outcomes: dict[str, dict[str, str]]) -> str:
    """The outcomes in Markdown."""
    heads = [name for name, _ in CARRIERS.values()]
    lines = [f"| | {' | '.join(heads)} |", f"| --- |{' --- |' * len(heads)}"]
    for tool, row in outcomes.items():
        name = f"`{tool}`" if " -" in tool else tool
        lines.append(f"| {name} | {' | '.join(row[carrier] for carrier in CARRIERS)} |")
    return "\n".join(lines)


def versions() -> dict[str, str]:
    """Program to version, for the programs that are here."""
    here = {p.name: p.find() for p in (EXIFTOOL, EXIV2, JPEGTRAN, IMAGEMAGICK)}
    found = {name: program.version for name, program in here.items() if program is not None}
    return {"Pillow": Image.__version__, **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", metavar="NAME", help="write the table under that name")
    name = parser.parse_args().record
    with tempfile.TemporaryDirectory() as folder:
        outcomes = measure(Path(folder))
    print(table(outcomes))
    if name:
        RESULTS.mkdir(parents=True, exist_ok=True)
        result = {"versions": versions(), "outcomes": outcomes}
        text = json.dumps(result, indent=2, ensure_ascii=False) + "\n"
        (RESULTS / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
