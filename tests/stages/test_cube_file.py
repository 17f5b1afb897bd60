import pytest
import torch

from isp_meta.errors import PipelineFileError
from isp_meta.stages import cube_text, read_cube

COLORS = "".join(f"{r} {g} {b}\n" for b in (0, 1) for g in (0, 0.5) for r in (0, 1))
GOOD = f"""\ufeff# a comment
TITLE "warm, with spaces"

DOMAIN_MIN 0 0 -0.5
LUT_3D_SIZE\t2
DOMAIN_MAX 1 2 1e0
{COLORS}# the end
"""


def test_reads_what_the_specification_allows(tmp_path):
    path = tmp_path / "a.cube"
    path.write_bytes(GOOD.replace("\n", "\r\n").encode())
    table, domain = read_cube(path)
    assert table.shape == (2, 2, 2, 3)
    assert domain == ((0, 0, -0.5), (1, 2, 1))
    # By red, green, blue.
    assert table[1, 0, 0].tolist() == [1, 0, 0]
    assert table[0, 1, 0].tolist() == [0, 0.5, 0]
    assert table[0, 0, 1].tolist() == [0, 0, 1]


def test_writes_what_it_reads(tmp_path):
    table = torch.rand(3, 3, 3, 3, generator=torch.Generator().manual_seed(0)) * 3 - 1
    domain = ((-0.1, 0.0, 0.0), (1.0, 1.5, 1.0))
    path = tmp_path / "a.cube"
    path.write_text(cube_text(table, domain, "a look"), "ascii")
    again, found = read_cube(path)
    assert torch.equal(again, table)
    assert found == domain
    path.write_text(cube_text(table), "ascii")
    assert read_cube(path)[1] == ((0, 0, 0), (1, 1, 1))


@pytest.mark.parametrize(
    ("change", "line", "cause"),
    [
        (("# a comment", "HUE 3"), 1, "unknown keyword 'HUE'"),
        (("LUT_3D_SIZE\t2", "LUT_3D_SIZE 1"), 5, "whole number of 2 to 256"),
        (("LUT_3D_SIZE\t2", "LUT_3D_SIZE 999999999999"), 5, "whole number of 2 to 256"),
        (("LUT_3D_SIZE\t2", "LUT_3D_SIZE"), 5, "whole number of 2 to 256"),
        (("LUT_3D_SIZE\t2", "LUT_1D_SIZE 16"), 5, "one-dimensional"),
        (("DOMAIN_MAX 1 2 1e0", "DOMAIN_MIN 0 0 0"), 6, "DOMAIN_MIN for the second time"),
        (("DOMAIN_MAX 1 2 1e0", "DOMAIN_MAX 1 nan 1"), 6, "DOMAIN_MAX must be three numbers"),
        (("1 0.5 0", "1 0.5"), 10, "a color must be three numbers"),
        (("1 0.5 0", "1 0.5 0 0"), 10, "a color must be three numbers"),
        (("1 0.5 0", "1 half 0"), 10, "a color must be three numbers"),
        (("1 0.5 0", "1 inf 0"), 10, "a color must be three numbers"),
        (("1 0.5 0", 'TITLE "late"'), 10, "a color must be three numbers"),
        (("1 0.5 0", "# nothing"), 15, "ends after 7 of 8 colors"),
        (("1 0.5 0", "1 0.5 0\n1 0.5 0"), 15, "more than the 8 colors"),
    ],
)
def test_says_which_line_is_wrong(tmp_path, change, line, cause):
    path = tmp_path / "a.cube"
    path.write_text(GOOD.replace(*change, 1), "utf-8")
    with pytest.raises(PipelineFileError, match=f"a.cube, line {line}: .*{cause}"):
        read_cube(path)


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "no LUT_3D_SIZE"),
        (b"# nothing\n", "no LUT_3D_SIZE"),
        (COLORS.encode(), "no LUT_3D_SIZE"),
        (b"\x89PNG\0", "is no text"),
        (b"\xff\xfe\xff", "unknown keyword"),
        (GOOD.replace("DOMAIN_MAX 1", "DOMAIN_MAX 0").encode(), "DOMAIN_MIN must be below"),
    ],
)
def test_refuses_what_is_no_such_file(tmp_path, data, cause):
    path = tmp_path / "a.cube"
    path.write_bytes(data)
    with pytest.raises(PipelineFileError, match=f"a.cube.*{cause}"):
        read_cube(path)


def test_refuses_what_is_not_there(tmp_path):
    with pytest.raises(PipelineFileError, match=r"a\.cube: cannot be read: No such file"):
        read_cube(tmp_path / "a.cube")


def test_refuses_to_write_what_no_file_holds():
    with pytest.raises(ValueError, match=r"\(N, N, N, 3\)"):
        cube_text(torch.zeros(2, 3, 2, 3))
    with pytest.raises(ValueError, match="line breaks"):
        cube_text(torch.zeros(2, 2, 2, 3), title="a\nb")
