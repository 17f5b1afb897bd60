"""What the documentation shows runs as it stands, page by page.

A block that cannot run here says why in its fence: ```sh skip="trains for hours"
"""

import contextlib
import io
import pkgutil
import re
import shlex
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from isp_meta import CaptureOptions, embed, presets, read_raw, stages
from isp_meta.cli import main
from isp_meta.data import sample_path
from isp_meta.io import encode_jpeg, write_mosaic
from isp_meta.io.toml_file import tomllib

ROOT = Path(__file__).parent.parent
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
REFERENCE = sorted((ROOT / "docs/reference").glob("*.md"))
# Nobody outside the package calls what these hold.
NO_REFERENCE = {"cli", "lazily", "printing"}
FENCE = re.compile(r'^```(\w*)(?: skip="([^"]+)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^\$? ?(isp-meta|python3?|pip|make|torchrun|import|from) \S", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, why it is not run ("": it is), its text."""

    language: str
    skip: str
    text: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = [Block(*parts) for parts in FENCE.findall(text)]
    assert 2 * len(found) == len(re.findall("^ *```", text, re.MULTILINE)), "an unreadable fence"
    return found


RUN = {"python", "pycon", "sh", "toml"}
CPP = [*(ROOT / "csrc").rglob("*.[ch]*"), *(ROOT / "examples").rglob("*.cpp")]
WITH_CODE = [page for page in PAGES if RUN & {b.language for b in blocks(page) if not b.skip}]


@pytest.fixture(scope="module")
def samples(tmp_path_factory) -> Path:
    """Files under the names that pages use: a raw file of 384x256 and what is made of it."""
    folder = tmp_path_factory.mktemp("samples")
    (folder / "photos").mkdir()
    whole = read_raw(sample_path())
    for name, row in (("photo", 256), ("photos/one", 0), ("photos/two", 512)):
        codes = whole.codes[:, row : row + 256, 384:768]
        write_mosaic(folder / f"{name}.dng", replace(whole, codes=codes))
    frame = presets.camera()(read_raw(folder / "photo.dng"))
    (folder / "camera.jpg").write_bytes(encode_jpeg(frame.srgb))
    embed(folder / "photo.dng", folder / "embedded.jpg", CaptureOptions(effort=0))
    return folder


# What a page takes for granted, beside photo.dng: name there, name in `samples`.
LAID = {
    "README.md": {"camera.jpg": "camera.jpg"},
    "batch.md": {"photos": "photos"},
    "carriers.md": {"photo.jpg": "embedded.jpg", "edited.jpg": "embedded.jpg"},
    "evaluation.md": {"photos/one.dng": "photos/one.dng"},
    "faq.md": {"photo.jpg": "embedded.jpg"},
    "report.md": {"photo.jpg": "embedded.jpg"},
    "training.md": {"photos": "photos", "pictures/one.jpg": "camera.jpg"},
}


def lay(page: str, samples: Path, folder: Path) -> None:
    for name, source in {"photo.dng": "photo.dng", **LAID.get(page, {})}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        if (samples / source).is_dir():
            shutil.copytree(samples / source, folder / name)
        else:
            shutil.copy(samples / source, folder / name)


def run_python(text: str, names: dict, page: str) -> None:
    exec(compile(text, page, "exec"), names)


def run_console(text: str, names: dict, page: str) -> None:
    """A line after >>> that raises what the line below says."""
    (expression, said) = re.fullmatch(r">>> (.+)\n(.+)\n", text).groups()
    with pytest.raises(Exception) as caught:  # noqa: PT011 which one it says itself
        eval(compile(expression, page, "eval"), names)
    assert f"{type(caught.value).__name__}: {caught.value}" == said


def run_shell(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of ``isp-meta``, each in this process, as a shell would cut them up."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        target = words[words.index(">") + 1] if ">" in words else None
        words = words[: words.index(">")] if target else words
        assert words[0] == "isp-meta", f"not a command of ours: {line}"
        assert not set("|&;<$`") & set("".join(words)), f"more of a shell than runs here: {line}"
        monkeypatch.setattr(sys, "argv", words)
        said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        with contextlib.redirect_stdout(said), pytest.raises(SystemExit) as end:
            main()
        said.flush()
        assert end.value.code in (0, None), f"{line}: exit code {end.value.code}"
        if target:
            Path(target).write_bytes(said.buffer.getvalue())


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.name)
def test_blocks_of_a_page_run_in_order(page, samples, tmp_path, monkeypatch):
    lay(page.name, samples, tmp_path)
    monkeypatch.chdir(tmp_path)
    names = {"__name__": page.stem}
    for block in blocks(page):
        if block.skip:
            continue
        if block.language == "python":
            run_python(block.text, names, page.name)
        elif block.language == "pycon":
            run_console(block.text, names, page.name)
        elif block.language == "sh":
            run_shell(block.text, monkeypatch)
        elif block.language == "toml":
            tomllib.loads(block.text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_code_passes_for_text(page):
    for block in blocks(page):
        assert block.language in {*RUN, "text", "cpp"}, f"{page.name}: ```{block.language}"
        if block.language == "cpp":  # what is built elsewhere, to the letter
            assert any(block.text in file.read_text(encoding="utf-8") for file in CPP), block.text
        assert block.language != "text" or not COMMAND.search(block.text), block.text


def test_what_is_not_run_is_little_and_says_why():
    skipped = [(page.name, block) for page in PAGES for block in blocks(page) if block.skip]
    for name, block in skipped:
        print(f"{name}: {block.text.splitlines()[0]}: {block.skip}")
    run = [block for page in PAGES for block in blocks(page) if block.language in RUN]
    assert len(skipped) <= 16
    assert len(run) > 4 * len(skipped)


def test_the_reference_has_every_room_and_nothing_twice():
    pages = [page.read_text(encoding="utf-8") for page in REFERENCE]
    shown = [name for text in pages for name in re.findall("^::: (.+)$", text, re.MULTILINE)]
    assert len(shown) == len(set(shown))
    for name in shown:
        pkgutil.resolve_name(name)
    rooms = {module.name for module in pkgutil.iter_modules([str(ROOT / "isp_meta")])}
    public = {room for room in rooms if not room.startswith("_")} - NO_REFERENCE
    assert public <= {name.split(".")[1] for name in shown}
    assert {getattr(stages, name).__module__ for name in stages.__all__} <= set(shown)


def test_names_that_pages_tell_of_exist():
    texts = [*PAGES, *REFERENCE, ROOT / "SECURITY.md", ROOT / "CHANGELOG.md"]
    for page in texts:
        for name in re.findall(r"(?<!torch\.ops\.)\bisp_meta(?:\.\w+)+", page.read_text("utf-8")):
            pkgutil.resolve_name(name)


def test_the_site_leads_to_every_page():
    nav = re.findall(
        r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE
    )
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    assert sorted(nav) == sorted(pages | {"tutorial.md"})  # which is made of the notebook


def test_links_lead_to_files():
    root = [ROOT / name for name in ("SECURITY.md", "CHANGELOG.md", "THIRD_PARTY.md")]
    for page in [*PAGES, *REFERENCE, *root]:
        links = re.findall(r"\]\((?!\w+:)([^)#\s]+)", page.read_text(encoding="utf-8"))
        lost = [link for link in links if not (page.parent / link).exists()]
        assert lost == ["tutorial.md"] * len(lost), page.name
