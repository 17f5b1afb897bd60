"""The notebook of the documentation runs from its first cell to its last."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent.parent / "docs" / "tutorial.ipynb"


@pytest.fixture(scope="module")
def stored():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_is_stored_without_outputs(stored):
    nbformat.validate(stored)
    cells = [cell for cell in stored.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in cells)


def test_runs_and_shows_what_it_says(stored, tmp_path):
    made = stored.copy()
    NotebookClient(
        made, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    outputs = [output for cell in made.cells for output in cell.get("outputs", [])]
    said = "".join(output.text for output in outputs if output.output_type == "stream")
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 4
    assert re.search(r"the picture is exact; 12,\d{3} samples by UniformSampler", said)
    assert said.rstrip().endswith("equal to the sensor's codes: True")
    assert not any(output.get("name") == "stderr" for output in outputs)
