"""``isp-meta doctor``: what it says of an installation that works, and of others."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


def examine_without(module):
    """Exit code, findings and standard error of a doctor whom that module does not load."""
    script = (
        f"import sys; sys.modules[{module!r}] = None; sys.argv = ['isp-meta', 'doctor', '--json']\n"
        "from isp_meta.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    parts = json.loads(done.stdout)["parts"]
    return done.returncode, {part["part"]: part for part in parts}, done.stderr


def test_an_installation_that_works(run):
    result = run("doctor")
    assert (result.code, result.lines) == (0, [])
    assert "  operators    ok" in result.out
    assert "BROKEN" not in result.out
    values = json.loads(run("doctor", "--json").out)
    assert values["healthy"] is True
    parts = {part["part"]: part for part in values["parts"]}
    assert parts["coder"]["detail"] == "decodes what it encodes"
    assert "LibRaw" in parts["rawpy"]["detail"]
    assert all(part["status"] == "works" for part in parts.values() if part["essential"])


@pytest.mark.parametrize(
    ("module", "part"),
    [("isp_meta._ops", "operators"), ("isp_meta._payload", "coder"), ("torch", "torch")],
)
def test_what_is_needed_and_missing(module, part):
    code, parts, _ = examine_without(module)
    assert code == 1
    assert parts[part]["status"] in ("missing", "broken")
    assert "pip install" in parts[part]["remedy"]
    assert module in parts[part]["detail"]
    assert parts["sample"]["status"] == "works"
    if module == "torch":
        assert parts["operators"]["remedy"] == "install torch first"


def test_a_library_that_is_missing():
    code, parts, errors = examine_without("kornia")
    assert code == 1
    assert (parts["kornia"]["status"], parts["kornia"]["remedy"]) == (
        "missing",
        "pip install kornia",
    )
    assert errors == ""


def test_optional_packages_are_no_illness(monkeypatch, run):
    def version(package):
        raise metadata.PackageNotFoundError(package)

    from importlib import metadata

    monkeypatch.setattr("isp_meta.cli.installation._NEEDED", {})
    monkeypatch.setattr("isp_meta.cli.installation.metadata.version", version)
    monkeypatch.setattr("isp_meta.cli.installation._stages", lambda: "")
    result = run("doctor")
    assert result.code == 0
    assert "pyexiv2      missing" in result.out
    assert "-> pip install 'isp-meta[exif]'" in result.out
