from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pytest
import torch

from isp_meta.errors import TrainingError
from isp_meta.io.toml_file import described, fits, parse_toml, read_text


@pytest.mark.parametrize(
    ("hint", "right", "wrong", "words"),
    [
        (int, [0, -3], [True, 1.0, "1", None], "a whole number"),
        (float, [0, 1.5], [False, "1"], "a number"),
        (bool, [True], [0, "true"], "true or false"),
        (str, [""], [1], "a text"),
        (Literal["a", "b"], ["a"], ["c", ["a"]], "'a' or 'b'"),
        (Literal[1], [1], [True, 1.0], "1"),
        (int | None, [None, 1], ["1"], "a whole number"),
        (Sequence[float], [[], [1, 2.5]], [1, ["a"]], "a list of numbers"),
        (
            tuple[float, float],
            [[1, 2.5], (1, 2)],
            [[1], [1, 2, 3], 1, ["a", 1]],
            "a list of 2 numbers",
        ),
        (tuple[str, ...], [[], ["a"]], ["a", [1]], "a list of texts"),
        (torch.Tensor, [1, [1.0, [2]]], ["a", [[True]]], "a list of numbers"),
        (Mapping[str, float], [{}], [[]], "a table"),
        (torch.dtype, [], ["float32"], "a dtype, which a file cannot hold"),
    ],
    ids=str,
)
def test_values_and_what_they_should_be(hint, right, wrong, words):
    assert all(fits(value, hint) for value in right)
    assert not any(fits(value, hint) for value in wrong)
    assert described(hint) == words
    assert all(fits(value, Any) for value in (*right, *wrong))


def test_errors_are_of_the_readers_kind_and_name_the_file(tmp_path):
    path = tmp_path / "a.toml"
    with pytest.raises(TrainingError, match=r"a\.toml"):
        read_text(path, TrainingError)
    path.write_bytes(b"\xff")
    with pytest.raises(TrainingError, match=r"a\.toml: is no TOML: it is no text in UTF-8"):
        read_text(path, TrainingError)
    path.write_bytes(b"\xef\xbb\xbfa = 1")
    assert parse_toml(read_text(path, TrainingError), "a.toml", TrainingError) == {"a": 1}
    with pytest.raises(TrainingError, match=r"^a\.toml: is no TOML"):
        parse_toml("a = ", "a.toml", TrainingError)
