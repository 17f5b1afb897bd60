"""The examples of the documentation run as they stand."""

import re
import shutil
from pathlib import Path

import pytest

from isp_meta.data import sample_path

ROOT = Path(__file__).parent.parent
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("README.md"))]
WITH_CODE = [page for page in PAGES if "```python\n" in page.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.name)
def test_python_blocks_of_a_page_run_in_order(page, tmp_path, monkeypatch):
    shutil.copy(sample_path(), tmp_path / "photo.dng")
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(block, page.name, "exec"), names)


def test_there_are_such_pages():
    assert {"index.md", "stages.md", "kernels.md"} <= {page.name for page in WITH_CODE}
