"""What the documentation says of the metadata's survival is what the tools at hand do.

A tool that is not installed is skipped: its record was measured where it was.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from isp_meta import read_metadata

ROOT = Path(__file__).parent.parent
RECORD = ROOT / "benchmarks" / "results" / "survival" / "debian-12.json"

specification = importlib.util.spec_from_file_location(
    "survival", ROOT / "benchmarks" / "survival.py"
)
survival = importlib.util.module_from_spec(specification)
sys.modules["survival"] = survival  # dataclasses look their module up
specification.loader.exec_module(survival)

RECORDED = json.loads(RECORD.read_text(encoding="utf-8"))["outcomes"]
KNOWN = {"exact", "recompressed", "edited", "foreign", "damaged", "lost", survival.NOT_FOR_IT}


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    return survival.embed_all(tmp_path_factory.mktemp("survival"))


@pytest.mark.parametrize("tool", survival.TOOLS, ids=lambda tool: tool.name)
def test_tools_do_what_is_recorded(tool, embedded, tmp_path):
    if not tool.is_here:
        pytest.skip(f"{tool.program} is not here")
    found = {carrier: survival.outcome(tool, path, tmp_path) for carrier, path in embedded.items()}
    assert found == RECORDED[tool.name]


def test_every_tool_is_recorded_for_every_carrier():
    assert list(RECORDED) == [tool.name for tool in survival.TOOLS]
    for row in RECORDED.values():
        assert list(row) == list(survival.CARRIERS)
        assert set(row.values()) <= KNOWN


def test_the_documentation_shows_the_record():
    page = (ROOT / "docs" / "carriers.md").read_text(encoding="utf-8")
    assert survival.table(RECORDED) in page


def test_payloads_take_several_segments_and_hold_an_enhancement(embedded):
    jpeg = embedded["app11"].read_bytes()
    assert jpeg.count(b"\xff\xeb\xff\xffJP") >= 2
    for path in embedded.values():
        assert read_metadata(path).payload.enhancement.size > 50_000
