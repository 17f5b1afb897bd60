"""Programs are known by what they say of themselves, not by their names."""

import stat

import pytest
from programs import TESTS, Found, Program

CONVERT = Program(
    "Convert", "convert-tools", ("newer", "convert"), "-v", r"Convert (\d+\.\d+)", (2, 1)
)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts programs that say a text into folders of PATH, in that order."""

    def install(*installed):
        folders = []
        for name, said in installed:
            folders.append(tmp_path / f"bin{len(folders)}")
            folders[-1].mkdir()
            file = folders[-1] / name
            file.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
            file.chmod(file.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", ":".join(map(str, folders)))
        return [str(folder / name) for folder, (name, _) in zip(folders, installed, strict=True)]

    return install


def test_a_stand_in_is_passed_over(install):
    paths = install(
        ("convert", "Convert is not installed"),
        ("convert", "Convert 2.0"),
        ("convert", "Convert 2.10"),
    )
    assert CONVERT.find() == Found(paths[2], "2.10")
    assert CONVERT.path() == paths[2]


def test_the_better_name_comes_first(install):
    paths = install(("convert", "Convert 2.1"), ("newer", "Convert 3.0"))
    assert CONVERT.path() == paths[1]


def test_what_is_missing_names_its_package_and_what_was_passed_over(install):
    (path,) = install(("convert", "another"))
    assert CONVERT.find() is None
    with pytest.raises(FileNotFoundError) as error:
        CONVERT.path()
    assert str(error.value) == (
        f"Convert 2.1 or later is missing: apt-get install convert-tools; {path} is another"
        " program, or too old"
    )


@pytest.mark.parametrize("program", TESTS, ids=str)
def test_those_of_the_tests_are_here(program):
    assert program.path()
