"""``isp-meta bit-depth``: pictures of few bits that still carry the many."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .choices import Method
from .console import each, errors, progress, say, stop
from .files import TIFF, Files, check_name

if TYPE_CHECKING:
    from ..frame import Sampler

__all__ = ["app"]

app = typer.Typer(
    help="Take low bits from pictures, keep 1.5 % of them, put them all back.",
    no_args_is_help=True,
)

Pictures = Annotated[
    list[Path], typer.Argument(metavar="PICTURE...", help="PNG or TIFF.", readable=False)
]
Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", help="File, or a folder for several.", readable=False),
]
Bits = Annotated[int, typer.Option(min=1, max=15, help="Of a sample, that are left.")]
Overwrite = Annotated[bool, typer.Option(help="Replace existing files.")]


_METHOD_OF: dict[str, Method] = {"largest-error": "network", "typical-error": "guided"}


@app.command()
def degrade(
    pictures: Pictures,
    output: Output = None,
    bits: Bits = 4,
    overwrite: Overwrite = False,
) -> None:
    """Take the low bits from pictures (photo.png -> photo-4bit.png).

    \b
    Examples:
      isp-meta bit-depth degrade photo.png
      isp-meta bit-depth degrade *.png -o few/ --bits 3
    """
    from ..bit_depth import degrade_file

    def work(item: tuple[Path, Path]) -> None:
        picture, path = item
        degrade_file(picture, path, bits, overwrite=overwrite)
        say(f"{path}: {bits} bits")

    each(_pairs("degrade", pictures, output, f"-{bits}bit"), work)


@app.command()
def embed(
    pictures: Pictures,
    output: Output = None,
    bits: Bits = 4,
    true_bits: Annotated[
        int | None, typer.Option(min=2, max=16, help="Of the picture; default its file's.")
    ] = None,
    sampler: Annotated[
        Literal["largest-error", "typical-error", "uniform", "superpixel"] | None,
        typer.Option(help="Which pixels are kept; default by the method."),
    ] = None,
    cell: Annotated[int, typer.Option(min=1, max=256, help="One sample in CELL² pixels.")] = 8,
    method: Annotated[Method, typer.Option(help="What is to put the bits back.")] = "best",
    overwrite: Overwrite = False,
) -> None:
    """Take the low bits, and hide the true pixels worth keeping in what is left.

    \b
    Examples:
      isp-meta bit-depth embed photo.png
      isp-meta bit-depth embed photo.tif -o small.png --bits 8
      isp-meta bit-depth embed photo.png --bits 4 --sampler uniform --method network
    """
    from .. import samplers
    from ..bit_depth import embed as embed_file

    wanted = _METHOD_OF.get(sampler) if sampler else None
    if sampler and wanted and method not in ("best", wanted):
        stop(f"--sampler {sampler} is the one of --method {wanted}", 2)
    method = wanted or method
    made: Sampler | None = None
    if sampler == "uniform":
        made = samplers.UniformSampler(cell)
    elif sampler == "superpixel":
        made = samplers.SuperpixelSampler(cell)

    def work(item: tuple[Path, Path]) -> None:
        picture, path = item
        with progress(picture.name) as step:
            done = embed_file(
                picture,
                path,
                bits,
                true_bits=true_bits,
                sampler=made,
                cell=cell,
                method=method,
                overwrite=overwrite,
                progress=step,
            )
        say(
            f"{path}: {done.depth.left} of {done.depth.true} bits, {len(done.samples)} samples, "
            f"{done.bits_per_pixel:.3f} bit a pixel; {done.depth.recovery} gives "
            f"{done.psnr:.2f} dB"
        )

    each(_pairs("embed", pictures, output, f"-{bits}bit"), work)


@app.command()
def recover(
    pictures: Pictures,
    output: Output = None,
    fine_tune: Annotated[
        int, typer.Option(min=0, help="Steps of fine-tuning the network on the samples.")
    ] = 0,
    force: Annotated[
        bool, typer.Option("--force", help="Go on although the picture was edited since.")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Put the bits back (photo-4bit.png -> photo-4bit-recovered.png).

    \b
    Examples:
      isp-meta bit-depth recover photo-4bit.png
      isp-meta bit-depth recover small.png -o back.tif
    """
    from .. import io
    from ..bit_depth import recover as recover_file

    def work(item: tuple[Path, Path]) -> None:
        picture, path = item
        io.check_target(path, overwrite=overwrite, sources=[picture])
        with progress(picture.name) as step:
            found = recover_file(picture, fine_tune=fine_tune, force=force, progress=step)
            found.write(path, overwrite=overwrite)
        say(f"{path}: {found.depth.true} bits")

    each(_pairs("recover", pictures, output, "-recovered"), work)


@app.command()
def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Of pictures.", readable=False)],
    bits: Annotated[int, typer.Option("--from", min=1, max=15, help="Bits that are left.")] = 4,
    true_bits: Annotated[int, typer.Option("--to", min=2, max=16, help="Bits to find again.")] = 8,
    methods: Annotated[
        str,
        typer.Option(help="blind, network, SAMPLER+local-rbf, +network, +guided; by comma."),
    ] = (
        "blind,network,uniform+local-rbf,uniform+network,largest-error+network,"
        "uniform+guided,typical-error+guided"
    ),
    fine_tune: Annotated[
        str, typer.Option(metavar="STEPS", help="Of networks with samples, such as 0,10.")
    ] = "0,10",
    cell: Annotated[int, typer.Option(min=1, max=256, help="One sample in CELL² pixels.")] = 8,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="JSON file of all figures.", readable=False),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Compare ways back on every picture of a folder: PSNR, SSIM, bits, seconds.

    \b
    Examples:
      isp-meta bit-depth evaluate photos/ --from 4 --to 8
      isp-meta bit-depth evaluate photos/ --methods blind,uniform+guided -o figures.json
    """
    from .. import io
    from ..evaluation.bit_depth import evaluate as measure
    from ..evaluation.bit_depth import methods as named
    from ..evaluation.bit_depth import table
    from .methods import split

    with errors(folder):
        if output is not None:
            check_name(output, (".json",))
            io.check_target(output, overwrite=overwrite)
        steps = split(fine_tune)
        if not steps or not all(step.isdecimal() for step in steps):
            stop(f"--fine-tune {fine_tune}: must be numbers of steps, such as 0,10", 2)
        chosen = named(split(methods), cell, [int(step) for step in steps])
        with progress("evaluate") as step:
            found = measure(folder, bits, true_bits, chosen, cell=cell, progress=step)
        say(table(found).rstrip())
        for record in found.records:
            if "error" in record:
                say(f"not measured: {record['error']}")
        if output is not None:
            found.write(output)
    if any("error" in record for record in found.records):
        raise typer.Exit(1)


def _pairs(
    command: str, pictures: list[Path], output: Path | None, ending: str
) -> list[tuple[Path, Path]]:
    """Sources and targets."""
    gives = (".png", *TIFF)
    files = Files(f"bit-depth {command}", "picture", gives, carrying=command == "recover")
    made = files.targets(pictures, output, f"{ending}.png")
    return list(zip(pictures, made, strict=True))
