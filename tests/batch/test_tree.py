from __future__ import annotations

import pytest

from isp_meta.batch import Recover, Verify
from isp_meta.batch.store import LocalStore
from isp_meta.batch.tree import Task, find_tasks
from isp_meta.errors import BatchError

from .conftest import EMBED


def test_the_tree_is_mirrored_by_names_alone(tree, tmp_path):
    folder = tree("b/x.NEF", "a.dng", "b/c/x.dng", ".hidden/a.dng", ".a.dng", "note.txt", "p.jpg")
    (folder / "p.jpg.ispmeta").write_bytes(b"x")
    here, there = LocalStore(folder), LocalStore(tmp_path / "out")
    assert [(task.name, task.target) for task in find_tasks(EMBED, here, there).tasks] == [
        ("a.dng", "a.jpg"),
        ("b/c/x.dng", "b/c/x.jpg"),
        ("b/x.NEF", "b/x.jpg"),
    ]
    assert find_tasks(Recover("tiff"), here, there).tasks == [
        Task("p.jpg", "p-recovered.tif", beside=True)
    ]
    assert find_tasks(Verify(), here, there).tasks == [Task("p.jpg", beside=True)]


def test_two_files_with_one_result_are_both_refused(tree, tmp_path):
    folder = tree("a.dng", "a.nef", "A.dng", "b/a.dng")
    tasks = find_tasks(EMBED, LocalStore(folder), LocalStore(tmp_path / "out")).tasks
    refused = {task.name: task.refusal for task in tasks if task.refusal}
    text = "a.jpg would be made from another file, too; rename one of them"
    assert refused == {"a.dng": text, "a.nef": text}


def test_links_are_refused_where_they_would_be_done(tree, tmp_path):
    folder = tree("a.dng")
    for name in ("b.dng", "b.txt"):
        (folder / name).symlink_to("/etc/passwd")
    (folder / "c").symlink_to("/etc")
    tasks = find_tasks(EMBED, LocalStore(folder), LocalStore(tmp_path / "out")).tasks
    refusal = "is a link out of the tree; not followed"
    refused = {task.name: task.refusal for task in tasks}
    assert refused == {"a.dng": "", "b.dng": refusal, "c/": refusal}


def test_results_inside_are_passed_over(tree):
    folder = tree("a.dng", "out/b.dng")
    tasks = find_tasks(EMBED, LocalStore(folder), LocalStore(folder / "out")).tasks
    assert [task.name for task in tasks] == ["a.dng"]


def test_results_may_lie_beside(tree):
    folder = tree("a.dng")
    (task,) = find_tasks(EMBED, LocalStore(folder), LocalStore(folder)).tasks
    assert (task.name, task.target) == ("a.dng", "a.jpg")


def test_nothing_to_do_is_an_error(tree, tmp_path):
    folder = LocalStore(tree("note.txt"))
    with pytest.raises(BatchError, match="in: holds no file that ends in one of"):
        find_tasks(EMBED, folder, LocalStore(tmp_path / "out"))
    with pytest.raises(BatchError, match="none: there is no such folder"):
        find_tasks(EMBED, LocalStore(tmp_path / "none"), folder)


def test_what_is_passed_over_is_counted(tree, tmp_path):
    folder = tree("a.dng", "a.JPG", "b/b.jpg", "b/b.heic", "notes", ".hidden", "out/c.txt")
    (folder / "a.JPG.ispmeta").write_bytes(b"x")
    (folder / "lost.ispmeta").write_bytes(b"x")
    found = find_tasks(EMBED, LocalStore(folder), LocalStore(folder / "out"))
    assert found.passed_over == {".jpg": 2, ".heic": 1, "": 1, ".ispmeta": 1}
    found = find_tasks(Verify(), LocalStore(folder), LocalStore(folder / "out"))
    assert found.passed_over == {".dng": 1, ".heic": 1, "": 1, ".ispmeta": 1}
    with pytest.raises(BatchError, match="; 2 passed over"):
        find_tasks(EMBED, LocalStore(folder / "b"), LocalStore(tmp_path / "out"))


def test_tasks_travel_as_ascii(tree, tmp_path, do):
    tree("\udcff.dng")
    (row,) = do().values()
    task = Task("\udcff.dng", "\udcff.jpg", known=row)
    assert task.to_json().isascii()
    assert Task.from_json(task.to_json()) == task
    assert (tmp_path / "out" / "\udcff.jpg").is_file()
