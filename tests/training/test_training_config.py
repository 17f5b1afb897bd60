import dataclasses
from pathlib import Path

import pytest

from isp_meta.errors import TrainingError
from isp_meta.training import TrainingConfig
from isp_meta.training.config import RunConfig, SamplesConfig

FOLDER = Path(__file__).parents[2] / "configs"
CONFIGS = sorted(FOLDER.glob("*.toml"))


def test_defaults_are_the_constants_of_the_paper():
    config = TrainingConfig()
    assert (config.loss.superpixel, config.loss.meta, config.loss.distance) == (1e-4, 1e-2, "l1")
    assert (config.meta.steps, config.meta.rate) == (5, 1e-3)
    assert (config.optimizer.rate, config.run.batch, config.data.crop) == (1e-3, 128, 128)
    assert config.validation.fine_tune == 10
    assert config.samples.share == 1 / 64
    assert config.run.total_steps(128 * 50) == 120 * 50


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_the_examples_are_valid_and_survive_a_round_trip(path):
    config = TrainingConfig.from_toml(path)
    assert TrainingConfig.from_dict(config.to_dict()) == config


def test_there_are_examples():
    assert {"paper.toml", "fast.toml"} <= {path.name for path in CONFIGS}


def test_the_papers_example_departs_from_the_defaults_where_it_says_so():
    paper, default = TrainingConfig.from_toml(FOLDER / "paper.toml"), TrainingConfig()
    assert paper.sampler == dataclasses.replace(default.sampler, clip=1.0)
    for section in ("reconstructor", "samples", "loss", "meta", "optimizer", "schedule"):
        assert getattr(paper, section) == getattr(default, section)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[lost]\n", ["lost", "unknown section", "loss"]),
        ("[loss]\nlambda = 1\n", ["[loss] lambda", "unknown key", "superpixel"]),
        ("[loss]\nmeta = '1'\n", ["[loss] meta", "a number", "'1'"]),
        ("[loss]\nmeta = -1\n", ["[loss] meta", "at least 0", "-1"]),
        ("[loss]\nmeta = nan\n", ["[loss] meta", "at least 0", "nan"]),
        ("[loss]\nmeta = inf\n", ["[loss] meta", "at least 0", "inf"]),
        ("[meta]\nrate = 0\n", ["[meta] rate", "above 0"]),
        (f"[meta]\nrate = {10**400}\n", ["[meta] rate", "too large"]),
        (f"[meta]\nsteps = {10**400}\n", ["[meta] steps", "too large"]),
        ("[meta]\nsteps = 2.5\n", ["[meta] steps", "a whole number", "2.5"]),
        ("[meta]\nsteps = true\n", ["[meta] steps", "a whole number", "True"]),
        ("[meta]\ntask = 'all'\n", ["[meta] task", "'batch' or 'picture'", "'all'"]),
        ("[samples]\nkind = ['x']\n", ["[samples] kind", "'learned'"]),
        ("[sampler]\ninputs = 3\n", ["[sampler] inputs", "'srgb'"]),
        ("[run]\nsteps = 1\nepochs = 1\n", ["[run] epochs", "steps"]),
        ("[run]\nbatch = 4\n[meta]\npictures = 5\n", ["[meta] pictures", "4"]),
        ("[run]\nmicro_batch = -1\n", ["[run] micro_batch", "at least 0"]),
        ("[run]\nprecision = 'half'\n", ["[run] precision", "'auto'"]),
        ("[prepare]\npictures = 'a'\n", ["[prepare] pictures", "a list of texts", "'a'"]),
        ("[prepare]\nnoise = [1]\n", ["[prepare] noise", "a list of 2 numbers"]),
        ("[prepare]\nnoise = [0, 1]\n", ["[prepare] noise", "electrons"]),
        ("[prepare]\nquality = [75.5, 98]\n", ["[prepare] quality", "2 whole numbers"]),
        ("[prepare]\ninputs = ['gif']\n", ["[prepare] inputs", "'16bit'", "'gif'"]),
        ("[prepare]\npresets = ['nikon']\n", ["[prepare]", "nikon", "local_tone"]),
        ("[prepare]\nrenderings = 0\n", ["[prepare] renderings", "at least 1"]),
        ("loss = 1\n", ["[loss]", "a table"]),
        ("[loss\n", ["no TOML"]),
        ("\x00", ["no TOML"]),
    ],
)
def test_an_error_names_file_section_and_key(tmp_path, text, said):
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(TrainingError) as error:
        TrainingConfig.from_toml(path)
    assert str(error.value).startswith(f"{path}: ")
    for part in said:
        assert part in str(error.value)


def test_a_file_that_is_missing_or_binary(tmp_path):
    with pytest.raises(TrainingError, match=r"none\.toml"):
        TrainingConfig.from_toml(tmp_path / "none.toml")
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TrainingError, match=r"binary\.toml: is no TOML"):
        TrainingConfig.from_toml(path)


def test_epochs_are_counted_in_steps():
    assert RunConfig(batch=8, epochs=3).total_steps(20) == 7
    assert RunConfig(batch=8, epochs=1).total_steps(3) == 1
    assert RunConfig(batch=8, steps=5).total_steps(20) == 5


def test_values_made_in_python_are_checked_as_well():
    with pytest.raises(TrainingError, match=r"\[samples\] cell"):
        SamplesConfig(cell=1)
    with pytest.raises(TrainingError, match=r"\[run\] output"):
        RunConfig(output=3)  # type: ignore[arg-type]


def test_a_table_without_paths_says_nothing_of_the_machine():
    table = TrainingConfig().to_dict(paths=False)
    assert "folder" not in table["data"]
    assert "output" not in table["run"]
    assert not {"pictures", "camera"} & table["prepare"].keys()
    assert table["run"]["batch"] == 128
