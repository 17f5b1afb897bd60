"""Who may import whom, read from the source: see CONTRIBUTING.md."""

import ast
import re
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "isp_meta"

# From the ground up. Whatever stands on one floor may import from those below, and from no other.
FLOORS: list[set[str]] = [
    {"_ops", "_payload", "data", "lazily", "processors", "weights"},
    {"colorimetry", "errors", "metrics", "ops", "optics", "printing"},
    {"camera", "samples"},
    {"frame"},
    {"stage"},
    {"carriers", "networks"},
    {"codec", "io", "registration", "samplers", "stages"},
    {"decoder", "pipeline"},
    {"presets", "reconstruct"},
    {"export", "recovery"},
    {"capture"},
    {"batch", "bit_depth", "comparison"},
    {"pictures"},
    {"report"},
    # The workshop: what only the command line uses.
    {"baselines", "scenes"},
    {"training"},
    {"evaluation"},
    {"cli"},
]
# Modules that are no folders, beside __init__.
MOST_LOOSE = 9
VALUES = {"camera", "colorimetry", "errors", "frame", "optics", "samples", "stage"}
THIRD_PARTY_OF = {
    **{part: {"torch", "numpy"} for part in VALUES},
    "ops": {"torch"},
    "printing": set(),
}
ONE_DOOR = {
    "rawpy": {"io/libraw.py", "io/makers.py", "io/known_cameras.py"},
    "pyexiv2": {"io/exif.py"},
}


def part_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py").removesuffix(".pyi")


def base_of(path, node):
    """Absolute name of the module that a `from` names."""
    folder = ["isp_meta", *path.relative_to(PACKAGE).parts[:-1]]
    base = folder[: len(folder) - node.level + 1] if node.level else []
    return ".".join([*base, *([node.module] if node.module else [])])


def imports(path):
    """Absolute dotted names of all that a file imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = base_of(path, node)
            # `from . import x` and `from isp_meta import x` may name a module, and so a room.
            if module.count("."):
                yield module
            else:
                yield from (f"{module}.{alias.name}" for alias in node.names)


PYTHON_FILES = sorted([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.pyi")])
NATIVE_FILES = sorted(p for p in (ROOT / "csrc").rglob("*") if p.suffix in {".h", ".cpp", ".cu"})
every_python_file = pytest.mark.parametrize(
    "path", PYTHON_FILES, ids=lambda path: str(path.relative_to(PACKAGE))
)


def floor_of(part):
    """Number of the floor that a room or a loose module stands on; None: on none."""
    return next((n for n, rooms in enumerate(FLOORS) if part in rooms), None)


def faults(path):
    """What a file does against the plan of the house, a line each."""
    part = part_of(path)
    if part.startswith("__") or path.suffix == ".pyi":
        return  # What the package offers is loaded from any floor; stubs import nothing.
    here = floor_of(part)
    if here is None:
        yield f"{part} stands on no floor"
        return
    for name in imports(path):
        top, _, rest = name.partition(".")
        room = rest.partition(".")[0]
        if top != "isp_meta" or room in (part, "__version__"):
            continue
        there = floor_of(room)
        if there is None:
            yield f"{part} imports {name}, which stands on no floor"
        elif there >= here:
            yield f"{part} imports {name} from {'its own floor' if there == here else 'above'}"


@every_python_file
def test_a_room_imports_from_the_floors_below_alone(path):
    assert list(faults(path)) == []


def test_nothing_stands_on_two_floors():
    rooms = [room for floor in FLOORS for room in floor]
    assert len(rooms) == len(set(rooms))


def test_contributors_read_of_these_floors():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (.+?) \|", text, re.MULTILINE)
    told = [(int(floor), set(re.findall(r"`(\w+)`", rooms))) for floor, rooms in rows]
    assert told[::-1] == list(enumerate(FLOORS, 1))


def test_few_modules_stand_loose():
    loose = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert len(loose) <= MOST_LOOSE


def circle(files):
    """Modules that lead back to the first of them, by what they import while they are loaded."""
    known = {dotted(path): path for path in files if path.stem != "__init__"}
    graph = {name: known.keys() & set(at_load(path)) for name, path in known.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def dotted(path):
    """Name of a file's module."""
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)


def at_load(path):
    """Modules that a file may import on its own level: not in functions, nor for type checkers."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield base_of(path, node)
            yield from (f"{base_of(path, node)}.{alias.name}" for alias in node.names)


def test_no_modules_import_each_other_in_a_circle():
    assert circle(PYTHON_FILES) == []


@every_python_file
def test_the_lowest_layers_lean_on_torch_and_numpy_alone(path):
    if part_of(path) not in THIRD_PARTY_OF:
        return
    allowed = THIRD_PARTY_OF[part_of(path)] | set(sys.stdlib_module_names) | {"isp_meta"}
    for name in imports(path):
        assert name.partition(".")[0] in allowed, f"{part_of(path)} must not import {name}"


@pytest.mark.parametrize(("library", "doors"), ONE_DOOR.items())
def test_few_files_alone_import(library, doors):
    users = {
        str(path.relative_to(PACKAGE))
        for path in PYTHON_FILES
        if any(name.partition(".")[0] == library for name in imports(path))
    }
    assert users <= doors


@pytest.mark.parametrize(
    "path", [*PYTHON_FILES, *NATIVE_FILES], ids=lambda path: str(path.relative_to(ROOT))
)
def test_files_stay_under_400_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < 400


@every_python_file
def test_functions_stay_under_60_lines(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            documented = ast.get_docstring(node) is not None
            start = node.body[0].end_lineno if documented else node.lineno
            length = node.end_lineno - start
            assert length < 60, f"{node.name} has {length} lines of code"


@pytest.fixture
def house(tmp_path, monkeypatch):
    """Builds a house of a few files, in place of ours."""
    package = tmp_path / "isp_meta"

    def build(**files):
        paths = []
        for name, text in files.items():
            paths.append(package / f"{name.replace('__', '/')}.py")
            paths[-1].parent.mkdir(parents=True, exist_ok=True)
            paths[-1].write_text(text)
        return paths

    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", package)
    return build


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("io__raw", "def f():\n    from ..capture import embed", "from above"),
        ("io__raw", "from ..stages.gamma import Gamma", "from its own floor"),
        ("io__raw", "from isp_meta import cli", "from above"),
        ("io__raw", "from .. import cellar", "stands on no floor"),
        ("helpers", "", "helpers stands on no floor"),
        ("attic__box", "", "attic stands on no floor"),
    ],
)
def test_a_fault_is_found(house, file, text, fault):
    (path,) = house(**{file: text})
    (found,) = faults(path)
    assert fault in found


def test_a_circle_is_found(house):
    first = house(
        io__raw="from .tags import Tag", io__tags="from . import dng", io__dng="import os"
    )
    assert circle(first) == []
    assert circle([*first, *house(io__dng="from .raw import read")][:3])


def test_the_reader_of_imports_sees_every_form(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    path = tmp_path / "stages" / "forged.py"
    path.parent.mkdir()
    path.write_text(
        "import rawpy.enhance\n"
        "from .. import io\n"
        "from ..samplers.uniform import Uniform\n"
        "from . import gamma\n"
        "def late():\n"
        "    from isp_meta import codec\n"
        "    import isp_meta.carriers as c\n"
    )
    assert set(imports(path)) == {
        "rawpy.enhance",
        "isp_meta.io",
        "isp_meta.samplers.uniform",
        "isp_meta.stages",
        "isp_meta.codec",
        "isp_meta.carriers",
    }
