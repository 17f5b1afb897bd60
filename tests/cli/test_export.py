from onnxruntime import InferenceSession


def test_writes_a_model_that_runs(run, raw, tmp_path):
    path = tmp_path / "camera.onnx"
    result = run("export", raw, "-o", path, "--takes", "raw", "--gives", "rgb")
    assert (result.code, result.lines) == (0, [])
    assert "opset 18, raw to rgb" in result.out
    assert [item.name for item in InferenceSession(path).get_inputs()] == ["raw"]
    assert run("export", raw, "-o", path).failed(1, "exists already")


def test_a_wrong_call_is_one_line(run, raw, tmp_path):
    path = tmp_path / "x.onnx"
    assert run("export", raw, "-o", path, "--takes", "samples").failed(1, "needs codes too")
    assert run("export", raw, "-o", path, "--gives", "x").failed(1, "but not x")
    assert run("export", tmp_path / "none.dng", "-o", path).failed(1, "none.dng")
    assert not path.exists()
