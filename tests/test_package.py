"""What ``isp_meta`` offers, and that it is loaded when it is asked for."""

from __future__ import annotations

import ast
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

import isp_meta
from isp_meta.cli import installation as doctor
from isp_meta.io.toml_file import tomllib

ROOT = Path(__file__).parent.parent


def run(script):
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("package", [isp_meta, isp_meta.io], ids=lambda package: package.__name__)
def test_names_for_type_checkers_are_those_at_run_time(package):
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    read = {
        (line.module, alias.name)
        for line in block.body
        for alias in line.names
        if alias.asname == alias.name
    }
    modules = getattr(package, "_MODULES", ())
    members = {(module, name) for module, names in package._MEMBERS.items() for name in names}
    assert read == {*members, *((None, module) for module in modules)}
    assert sorted(package.__all__) == sorted([*(name for _, name in members), *modules])


def test_importing_the_package_loads_no_torch():
    run("import sys, isp_meta; assert not {'torch', 'numpy'} & set(sys.modules)")


def test_modules_are_there_without_a_further_import():
    run("import isp_meta; isp_meta.stages.Gamma; isp_meta.comparison.compare; isp_meta.io.read_raw")


def test_a_function_is_not_hidden_by_a_module_that_is_loaded():
    run(
        "import pkgutil, importlib, isp_meta\n"
        "names = (*isp_meta._MEMBERS, *isp_meta._MODULES)\n"
        "for name in names: importlib.import_module('isp_meta.' + name)\n"
        "for name in isp_meta._HOME: assert callable(getattr(isp_meta, name)), name"
    )


def test_a_function_of_files_is_not_hidden_by_a_module_that_is_loaded():
    run(
        "import importlib, isp_meta.io as io\n"
        "for name in io._MEMBERS: importlib.import_module('isp_meta.io.' + name)\n"
        "for name in io.__all__:\n"
        "    assert type(getattr(io, name)).__name__ != 'module', name"
    )


def test_star_gives_what_is_listed():
    names = {}
    exec("from isp_meta import *", names)
    assert set(isp_meta.__all__) <= set(names)
    assert set(isp_meta.__all__) <= set(dir(isp_meta))


def test_names_that_are_not_there():
    with pytest.raises(AttributeError, match="module 'isp_meta' has no attribute 'nothing'"):
        isp_meta.nothing  # noqa: B018
    with pytest.raises(ImportError, match="nothing"):
        exec("from isp_meta import nothing")


def test_classes_are_pickled_by_name():
    assert pickle.loads(pickle.dumps(isp_meta.Frame)) is isp_meta.Frame


def test_every_dependency_is_examined_and_its_license_told():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = {re.match(r"[\w-]+", entry)[0] for entry in project["dependencies"]}
    asked = {re.match(r"[\w-]+", entry)[0] for extra in extras.values() for entry in extra}
    assert needed - {"torch", "tomli"} == set(doctor._NEEDED)
    for package, (extra, _) in doctor._OPTIONAL.items():
        assert any(entry.startswith(package) for entry in extras[extra]), package
    text = (ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8")
    assert [name for name in needed | asked if not re.search(rf"\b{name}\b", text)] == ["isp-meta"]
