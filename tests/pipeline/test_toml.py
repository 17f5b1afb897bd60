import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isp_meta import presets
from isp_meta.errors import IspMetaError, PipelineFileError
from isp_meta.pipeline import Pipeline
from isp_meta.samplers import UniformSampler
from isp_meta.stage import Stage
from isp_meta.stages import (
    BlackLevel,
    ColorMatrix,
    Demosaic,
    Gamma,
    Quantize,
    SampleMetadata,
    ToneCurve,
    WhiteBalance,
)


def same(a, b):
    return (
        type(a) is type(b)
        and all(
            torch.equal(x.float(), y.float()) for x, y in zip(a.buffers(), b.buffers(), strict=True)
        )
        and (
            all(same(x, y) for x, y in zip(a, b, strict=True))
            if isinstance(a, Pipeline)
            else Pipeline([a]).to_toml() == Pipeline([b]).to_toml()
        )
    )


def test_reads_as_a_person_would_write_it(tmp_path):
    path = tmp_path / "camera.toml"
    path.write_text(
        '# mine\n[[stage]]\nname = "BlackLevel"\n\n[[stage]]\nname = "Demosaic"\n'
        'method = "bilinear"\n\n[[stage]]\nname = "WhiteBalance"\ngains = [2, 1.0, 1.5]\n'
    )
    for source in (path, str(path), path.read_text()):
        pipeline = Pipeline.from_toml(source)
        assert [type(stage) for stage in pipeline] == [BlackLevel, Demosaic, WhiteBalance]
        assert pipeline[1].method == "bilinear"
        assert pipeline[2].gains.tolist() == [2.0, 1.0, 1.5]


def test_writes_what_differs_from_the_defaults():
    pipeline = Pipeline([Demosaic(), ColorMatrix(torch.eye(3) * 0.1, clip=False), Gamma()])
    assert pipeline.to_toml() == (
        '[[stage]]\nname = "Demosaic"\n\n[[stage]]\nname = "ColorMatrix"\n'
        "matrix = [[0.1, 0.0, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, 0.1]]\nclip = false\n\n"
        '[[stage]]\nname = "Gamma"\n'
    )


@pytest.mark.parametrize("name", presets.__all__)
def test_every_preset_comes_back(name):
    pipeline = getattr(presets, name)()
    text = pipeline.to_toml()
    assert same(Pipeline.from_toml(text), pipeline)
    assert Pipeline.from_toml(text).to_toml() == text
    assert max(map(len, text.splitlines())) <= 100


@settings(deadline=None)
@given(
    st.lists(
        st.floats(0, 1, width=32).map(lambda x: x or 0.0), min_size=2, max_size=9, unique=True
    ).map(sorted)
)
def test_every_float32_comes_back_to_the_bit(knots):
    pipeline = Pipeline([ToneCurve(knots)])
    (again,) = Pipeline.from_toml(pipeline.to_toml())
    assert torch.equal(again.knots, pipeline[0].knots)


def test_pipelines_nest():
    pipeline = Pipeline(
        [BlackLevel(), Pipeline([Demosaic(), Pipeline([WhiteBalance()])]), Pipeline([Gamma()])]
    )
    text = pipeline.to_toml()
    assert "[[stage.stage.stage]]" in text
    assert same(Pipeline.from_toml(text), pipeline)


BAD = {
    "no table": ("\n", "holds no [[stage]] table"),
    "not tables": ("stage = [1, 2]\n", "line 1: holds no [[stage]] table"),
    "text": ('\nstage = "Gamma"\n', "line 2: holds no [[stage]] table"),
    "other key": ('\n[[stage]]\nname = "Gamma"\n[camera]\nx = 1\n', "line 4: unknown key 'camera'"),
    "syntax": ('[[stage]]\nname = \n"Gamma"', "is no TOML: Invalid value (at line 2"),
    "twice": ('[[stage]]\nname = "Gamma"\nname = "Gamma"\n', "is no TOML"),
    "no name": ("# a\n[[stage]]\nclip = true\n", "line 2: a [[stage]] needs its name"),
    "name 3": ("[[stage]]\nname = 3\n", "line 2: a [[stage]] needs its name"),
    "unknown": (
        '[[stage]]\nname = "Gama"\n',
        "line 2: there is no stage 'Gama'; is it 'Gamma'? (installed: AutoExposure, ",
    ),
    "unknown key": (
        '[[stage]]\nname = "Demosaic"\n\nmetod = "x"\n',
        "line 4: Demosaic has no 'metod'; it takes method",
    ),
    "key of none": (
        '[[stage]]\nname = "GrayWorld"\nclap = 1\n',
        "line 3: GrayWorld has no 'clap'; it takes clip",
    ),
    "type": ('[[stage]]\nname = "BlackLevel"\nclip = 1\n', "line 3: BlackLevel: clip must be true"),
    "bool for int": (
        '[[stage]]\nname = "Quantize"\nbits = true\n',
        "line 3: Quantize: bits must be a whole number",
    ),
    "float for int": ('[[stage]]\nname = "Quantize"\nbits = 8.5\n', "bits must be a whole number"),
    "text for list": (
        '[[stage]]\nname = "ToneCurve"\nknots = ["a"]\n',
        "line 3: ToneCurve: knots must be a list of numbers",
    ),
    "date": ('[[stage]]\nname = "ToneCurve"\nknots = 1979-05-27\n', "line 3: ToneCurve: knots"),
    "choice": (
        '[[stage]]\nname = "Demosaic"\nmethod = "best"\n',
        "line 3: Demosaic: method must be 'malvar' or 'bilinear'",
    ),
    "range": (
        '[[stage]]\nname = "Quantize"\nbits = 99\n',
        "line 3: Quantize: bits must be 1 to 16",
    ),
    "range of a list": (
        '[[stage]]\nname = "WhiteBalance"\nclip = true\ngains = [\n 1,\n 1,\n -2]\n',
        "line 4: WhiteBalance: gains must be ",
    ),
    "nan": ('[[stage]]\nname = "WhiteBalance"\ngains = [nan, 1, 1]\n', "gains must be "),
    "shape": ('[[stage]]\nname = "WhiteBalance"\ngains = [1.0]\n', "line 3: WhiteBalance: gains"),
    "ragged": ('[[stage]]\nname = "ColorMatrix"\nmatrix = [[1], [1, 2]]\n', "line 3: ColorMatrix"),
    "huge": (f'[[stage]]\nname = "Quantize"\nbits = {10**400}\n', "line 3: Quantize: bits"),
    "falling": ('[[stage]]\nname = "ToneCurve"\nknots = [1.0, 0.0]\n', "line 3: ToneCurve: knots"),
    "needed": ('[[stage]]\nname = "Linearize"\n', "line 1: Linearize needs 'table'"),
    "object": (
        '[[stage]]\nname = "SampleMetadata"\nsampler = "uniform"\n',
        "line 3: SampleMetadata: sampler must be a Sampler, which a file cannot hold",
    ),
    "order": (
        '[[stage]]\nname = "BlackLevel"\n[[stage]]\nname = "WhiteBalance"\n[[stage]]\n'
        'name = "Demosaic"\n',
        "line 3: WhiteBalance (position 1) needs raw, which Demosaic (position 2)",
    ),
    "order within": (
        '[[stage]]\n[[stage.stage]]\nname = "Gamma"\n[[stage.stage]]\nname = "WhiteBalance"\n',
        "line 2: Gamma (position 0) needs rgb",
    ),
    "nothing within": ("[[stage]]\nstage = 1\n", "line 2: holds no [[stage]] table"),
    "long number": (f"[[stage]]\nname = {'9' * 5000}\n", "is no TOML"),
    "deep list": (f'[[stage]]\nname = "ToneCurve"\nknots = {"[" * 9999}\n', "is no TOML"),
    "deep": ("\n".join(f"[[stage{'.stage' * i}]]" for i in range(600)) + "\n", "too deep"),
}


@pytest.mark.parametrize(("text", "cause"), BAD.values(), ids=BAD.keys())
def test_what_is_wrong_is_named_with_its_line(text, cause, tmp_path):
    path = tmp_path / "camera.toml"
    path.write_text(text)
    with pytest.raises(PipelineFileError) as refused:
        Pipeline.from_toml(path)
    message = str(refused.value)
    assert message.startswith(f"{path}")
    assert cause in message
    assert "\n" not in message


def test_a_line_is_found_past_strings_comments_and_lists():
    text = (
        "[[stage]] # [[stage]]\nname = \"Gamma\" # = [\n[[stage]]\nname = 'ToneCurve'\n"
        'knots = [ # [\n  0.0, # ]\n  1.0,\n]\nmode = """\nhue\n[[stage]]"""\n'
    )
    with pytest.raises(PipelineFileError, match=r"^pipeline, line 9: ToneCurve: mode must be"):
        Pipeline.from_toml(text)


def test_files_that_cannot_be_read(tmp_path):
    for path, cause in (
        (tmp_path / "none.toml", "there is no such file"),
        (tmp_path, "is a folder"),
        ("/dev/zero", "is a device"),
        (str(tmp_path / ("x" * 300)), "cannot read it"),
    ):
        with pytest.raises(PipelineFileError, match=cause):
            Pipeline.from_toml(path)
    binary = tmp_path / "photo.jpg"
    binary.write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF")
    with pytest.raises(PipelineFileError, match=r"photo.jpg: is no TOML: it is no text in UTF-8"):
        Pipeline.from_toml(binary)
    binary.write_bytes(b"# " + b"x" * (1 << 24))
    with pytest.raises(PipelineFileError, match="more than 16777216 bytes"):
        Pipeline.from_toml(binary)


def test_a_byte_order_mark_is_no_error(tmp_path):
    path = tmp_path / "camera.toml"
    path.write_bytes(b"\xef\xbb\xbf" + Pipeline([Gamma()]).to_toml().encode())
    assert len(Pipeline.from_toml(path)) == 1


_PIECES = [
    "[[stage]]",
    "[[stage.stage]]",
    "[stage]",
    'name = "Gamma"',
    'name = "ToneCurve"',
    "knots = [0.0, 1.0]",
    "knots = {a = [1]}",
    "bits = 8",
    "[[",
    '"""',
    "'",
    "=",
    "#",
    "stage.name = 1",
    "\0",
    "clip = false",
]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(_PIECES) | st.text(max_size=9), max_size=12).map("\n".join))
def test_hostile_text_is_a_pipeline_or_an_error_of_ours(text):
    try:
        pipeline = Pipeline.from_toml(text + "\n")
    except IspMetaError as error:
        assert str(error).startswith("pipeline")  # noqa: PT017
    else:
        assert same(Pipeline.from_toml(pipeline.to_toml()), pipeline)


def test_refuses_to_write_what_no_file_can_hold():
    with pytest.raises(PipelineFileError, match="sampler is UniformSampler, which a file cannot"):
        Pipeline([SampleMetadata(UniformSampler())]).to_toml()
    with pytest.raises(PipelineFileError, match=r"Own of .* is in no installed package"):
        Pipeline([Own(), Quantize()]).to_toml()


class Own(Stage):
    needs = gives = frozenset({"srgb"})

    def forward(self, frame):
        return frame
