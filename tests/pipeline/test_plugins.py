"""Stages of another package, built and installed by pip, in a process that has never seen them."""

import os
import subprocess
import sys
import textwrap
from importlib import metadata

import pytest

from isp_meta import stages
from isp_meta.pipeline import plugins
from isp_meta.stage import Stage

STAGE = """
from isp_meta import Stage
from isp_meta.stage import Range

class Vignette2(Stage):
    \"\"\"Darkens all of the picture alike.\"\"\"

    needs = gives = frozenset({"rgb"})
    ranges = {"gain": Range(0, 1)}
    pointwise = True

    def __init__(self, gain: float = 0.5) -> None:
        super().__init__()
        self.hold("gain", gain)

    def forward(self, frame):
        return frame.replace(rgb=frame.rgb * self.gain)

class Gamma(Vignette2):
    \"\"\"Of the same name as one of ours.\"\"\"

def not_a_stage():
    pass
"""


def build(folder, target, name, entries, code=STAGE):
    module = name.replace("-", "_")
    folder.mkdir()
    (folder / f"{module}.py").write_text(code)
    lines = "\n".join(f'{key} = "{value}"' for key, value in entries.items())
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        f'[project]\nname = "{name}"\nversion = "1.5"\n'
        f'[project.entry-points."isp_meta.stages"]\n{lines}\n'
        f'[tool.setuptools]\npy-modules = ["{module}"]\n'
    )
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    flags = ["--no-index", "--no-build-isolation", "--no-deps", "--target", str(target)]
    subprocess.run([*install, *flags, str(folder)], check=True, cwd=folder)


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packages")
    target = folder / "installed"
    build(folder / "good", target, "good-stage", {"all": "good_stage"})
    build(
        folder / "broken",
        target,
        "broken-stage",
        {
            "missing": "broken_stage:Missing",
            "wrong": "broken_stage:not_a_stage",
            "absent": "broken_stage_two",
            "fine": "broken_stage:Vignette2",
        },
    )
    build(folder / "exits", target, "exits-stage", {"x": "exits_stage"}, "raise SystemExit('bye')")
    return target


@pytest.fixture
def run(packages, tmp_path):
    def run(code, *arguments):
        command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
        environment = os.environ | {"PYTHONPATH": str(packages)}
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
        )

    return run


def test_our_own_stages_are_found_as_any_others():
    found = plugins.installed()
    ours = {offer.name: offer for offer in found.offers if offer.package == "isp-meta"}
    assert set(ours) == {
        name
        for name in stages.__all__
        if isinstance(getattr(stages, name), type) and issubclass(getattr(stages, name), Stage)
    }
    assert found.broken == ()
    assert ours["Gamma"].stage is stages.Gamma
    assert ours["Gamma"].version == metadata.version("isp-meta")


def test_an_installed_stage_works_by_its_name_and_survives_a_file(run):
    done = run(
        """
        import torch
        from isp_meta import Frame, Pipeline
        text = '[[stage]]\\nname = "good-stage:Vignette2"\\ngain = 0.25\\n'
        camera = Pipeline.from_toml(text)
        assert camera.to_toml() == text, camera.to_toml()
        print(camera(Frame(rgb=torch.ones(3, 2, 2))).rgb.mean().item())
        """
    )
    assert (done.stdout, done.stderr) == ("0.25\n", "")


def test_two_of_a_name_need_their_package_but_ours_does_not(run):
    done = run(
        """
        from isp_meta import Pipeline, errors
        print(type(Pipeline.from_toml('[[stage]]\\nname = "Gamma"\\n')[0]).__module__)
        other = Pipeline.from_toml('[[stage]]\\nname = "good-stage:Gamma"\\n')
        print(type(other[0]).__module__, other.to_toml() == Pipeline(other).to_toml())
        try:
            Pipeline.from_toml('[[stage]]\\nname = "Vignette2"\\n')
        except errors.PipelineFileError as error:
            print(error)
        """
    )
    assert done.stdout.splitlines() == [
        "isp_meta.stages.gamma",
        "good_stage True",
        "pipeline, line 2: several packages have a stage 'Vignette2'; "
        "write 'broken-stage:Vignette2' or 'good-stage:Vignette2'",
    ]


def test_broken_packages_are_named_and_keep_nobody_away(run):
    done = run(
        """
        from isp_meta.pipeline.plugins import installed
        found = installed()
        print(*sorted({offer.package for offer in found.offers}))
        print(*found.broken, sep="\\n")
        """
    )
    first, *broken = done.stdout.splitlines()
    assert first == "broken-stage good-stage isp-meta"
    assert len(broken) == 4
    for line, package, cause in zip(
        broken,
        ["broken-stage"] * 3 + ["exits-stage"],
        ["No module named 'broken_stage_two'", "has no attribute 'Missing'", "is no Stage", "bye"],
        strict=True,
    ):
        assert line.startswith(f"package {package!r} is broken: its entry point")
        assert cause in line


def test_the_command_lists_them(run):
    done = run("from isp_meta.cli import main; main()", "stages")
    assert done.returncode == 0
    (line,) = [x for x in done.stdout.splitlines() if "Vignette2" in x and "good" in x]
    assert line.split() == ["Vignette2", "rgb", "->", "rgb", "good-stage", "1.5"]
    assert len(done.stderr.splitlines()) == 4
    assert "Traceback" not in done.stderr


def test_what_is_unknown_says_what_is_broken(run):
    done = run(
        """
        from isp_meta.pipeline.plugins import installed
        try:
            installed().find("Missing")
        except LookupError as error:
            print(error)
        """
    )
    assert "there is no stage 'Missing'" in done.stdout
    assert "package 'broken-stage' is broken" in done.stdout
