"""Who may import whom, read from the source: see CONTRIBUTING.md."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "isp_meta"

VALUES = {"camera", "colorimetry", "frame", "stage", "errors"}
FAMILIES = {"stages", "samplers", "reconstruct", "codec", "carriers", "io"}
WIRING = {
    *("presets", "export", "capture", "recovery", "training", "evaluation", "libraw"),
    *("closed_loop", "fitting", "registration", "unprocessing", "scenes", "transfer"),
    *("batch", "bit_depth", "doctor", "enhancing", "picture_file", "plot", "rate", "report"),
}
BELOW_WIRING = (
    VALUES
    | FAMILIES
    | {"ops", "networks", "pipeline", "plugins", "stopwatch", "workers", "data", "_payload"}
)

# What each part of the package may import of the rest of it.
MAY_IMPORT = {
    "errors": set(),
    "camera": set(),
    "colorimetry": set(),
    "frame": {"camera", "errors"},
    "stage": {"camera", "frame", "errors"},
    "ops": {"_ops"},
    "workers": set(),
    "bands": VALUES | {"workers"},
    "stopwatch": VALUES,
    "plugins": VALUES,
    "pipeline_file": VALUES | {"plugins", "io"},
    "pipeline": VALUES | {"bands", "pipeline_file", "stopwatch"},
    "data": set(),
    "networks": {"errors", "ops"},
    **{family: VALUES | {"ops"} for family in FAMILIES},
    "reconstruct": VALUES | {"ops", "networks", "workers"},
    "samplers": VALUES | {"ops", "networks"},
    "stages": VALUES | {"ops", "workers"},
    "codec": VALUES | {"ops", "_payload"},
    **dict.fromkeys(WIRING, BELOW_WIRING | WIRING),
    "cli": BELOW_WIRING | WIRING,
    "__init__": BELOW_WIRING | WIRING,
}
THIRD_PARTY_OF = {
    **{part: {"torch", "numpy"} for part in VALUES},
    "ops": {"torch"},
}
ONE_DOOR = {
    "rawpy": {"io/raw.py", "io/known_camera.py", "io/libraw_demosaic.py"},
    "pyexiv2": {"io/exif.py"},
}


def part_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py").removesuffix(".pyi")


def imports(path):
    """Absolute dotted names of all that a file imports, wherever in it the import stands."""
    folder = ["isp_meta", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = folder[: len(folder) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            # `from . import x` and `from isp_meta import x` may name a module, and so a layer.
            if module.count("."):
                yield module
            else:
                yield from (f"{module}.{alias.name}" for alias in node.names)


PYTHON_FILES = sorted([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.pyi")])
NATIVE_FILES = sorted(p for p in (ROOT / "csrc").rglob("*") if p.suffix in {".h", ".cpp", ".cu"})
every_python_file = pytest.mark.parametrize(
    "path", PYTHON_FILES, ids=lambda path: str(path.relative_to(PACKAGE))
)


@every_python_file
def test_imports_stay_within_the_layers(path):
    part = part_of(path)
    if part.startswith("_") and part != "__init__":
        return  # Stubs of the native modules.
    allowed = MAY_IMPORT[part] | {part, "__version__"}
    for name in imports(path):
        top, _, rest = name.partition(".")
        if top == "isp_meta":
            assert rest.partition(".")[0] in allowed, f"{part} must not import {name}"


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


def test_every_part_of_the_package_has_its_place_in_the_layers():
    parts = {part_of(path) for path in PYTHON_FILES}
    assert {part for part in parts if not part.startswith("_")} <= set(MAY_IMPORT)


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
